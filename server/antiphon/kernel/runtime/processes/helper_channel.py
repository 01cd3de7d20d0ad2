"""The child's end of a lane, and messages between it and its parent. Imports little.

A message is two lengths (u64 little-endian: of the JSON, of the raw bytes), the JSON, and the raw bytes.
"""

import contextlib
import json
import os
import signal
import struct
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from antiphon.kernel.runtime.processes.scheduling import StallTimeout

Raw: TypeAlias = "bytes | bytearray | memoryview"
Message: TypeAlias = dict[str, Any]
HEAD = struct.Struct("<QQ")
MAX_MESSAGE_BYTES = 64 << 20
"""Maximum bytes of a message's JSON."""
PIECE, MAX_PARTS = 1 << 20, 256
"""Bytes of one read, and maximum buffers of one write."""


def pack(message: Message, raw: Sequence[Raw] = ()) -> bytes:
    """Returns the bytes of a message up to its raw bytes, which follow."""
    # ASCII: file names that are no UTF-8 arrive as they are
    data = json.dumps(message).encode() if message else b""
    return HEAD.pack(len(data), sum(memoryview(part).nbytes for part in raw)) + data


def write_message(fd: int, message: Message, *raw: Any) -> None:
    """Writes a message, JSON values and contiguous buffers, to a blocking descriptor; `OSError` if nothing reads."""
    write_parts(fd, [memoryview(part).cast("B") for part in (pack(message, raw), *raw) if memoryview(part).nbytes])


def write_parts(fd: int, parts: list[memoryview]) -> None:
    """Writes all bytes of a list of buffers, which it uses up, to a blocking descriptor."""
    while parts:
        count = os.writev(fd, parts[:MAX_PARTS])
        while parts and count >= len(parts[0]):
            count -= len(parts.pop(0))
        if count:
            parts[0] = parts[0][count:]


def read_message(fd: int, most: int = 0, silence: float | None = None, pid: int = 0) -> tuple[Message, bytearray]:
    """Reads a message of at most `most` raw bytes from a blocking descriptor.

    `silence`: timeout in seconds without a byte, None for no timeout; counted by `StallTimeout` for the process `pid`,
    by the clock for 0. Raises EOFError: the other end is closed. Raises TimeoutError: no byte came in time. Raises
    ValueError: the bytes are no message, or too long.
    """
    size, raw = check_head(_read_exact_bytes(fd, HEAD.size, silence, pid), most)
    message = parse(_read_exact_bytes(fd, size, silence, pid))
    return message, _read_exact_bytes(fd, raw, silence, pid)


def check_head(data: bytes | bytearray, most: int) -> tuple[int, int]:
    """Reads the lengths of JSON and raw bytes from `HEAD.size` bytes. Raises `ValueError` where they are too large."""
    size, raw = HEAD.unpack(data)
    if size > MAX_MESSAGE_BYTES or raw > most:
        raise ValueError(f"a message of {size} and {raw} bytes, where {MAX_MESSAGE_BYTES} and {most} are allowed")
    return size, raw


def parse(data: bytes | bytearray) -> Message:
    """Returns a message's JSON object. Raises `ValueError` where there is none."""
    message = json.loads(data) if data else {}
    if not isinstance(message, dict):
        raise ValueError("a message that is not a JSON object")
    return message


class MessageBuffer:
    """Splits a non-blocking stream, added in pieces as they arrive, into messages without raw bytes."""

    def __init__(self) -> None:
        self._data = bytearray()

    def put(self, piece: bytes) -> None:
        """Adds a piece."""
        self._data += piece

    def take(self) -> Message | None:
        """Returns the next complete message, None without one. Raises `ValueError` as `read_message` does."""
        if len(self._data) < HEAD.size:
            return None
        end = HEAD.size + check_head(self._data[: HEAD.size], 0)[0]
        if len(self._data) < end:
            return None
        data = self._data[HEAD.size : end]
        del self._data[:end]
        return parse(data)


def _read_exact_bytes(fd: int, size: int, silence: float | None, pid: int) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        if silence is not None and not StallTimeout(silence).wait_readable(fd, pid):
            raise TimeoutError(f"nothing came for {silence:g} s")
        count = os.readv(fd, [rest[:PIECE]])
        if not count:
            raise EOFError("it closed its end")
        rest = rest[count:]
    return data


class HelperChannel:
    """The helper's end: requests come from standard input, answers go to what was standard output.

    From then on standard input is empty, and printed text, from libraries too, goes to standard error. The process
    ignores Ctrl-C, which reaches a whole group: its parent decides. `input`, `output`: the descriptors that requests
    are read from, and answers are written to.
    """

    def __init__(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.input, self.output = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def requests(self, idle: float | None = None) -> Iterator[Message]:
        """Yields the requests until the parent closes its end.

        `idle`: timeout in seconds since the last request, after which they end too; None for no timeout.
        """
        silence = None  # the parent has a first request, late as it may be on a busy machine
        with contextlib.suppress(EOFError, TimeoutError):
            while True:
                yield read_message(self.input, silence=silence)[0]
                silence = idle

    def send(self, message: Message, *raw: Any) -> None:
        """Sends an answer. Waits while the pipe is full. Raises OSError: the parent has closed its end."""
        write_message(self.output, message, *raw)
