"""Standard input and output as sound: a wav without a length, or raw samples."""

import contextlib
import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from antiphon.files.temporary import keeping, temporary_folder
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime.shortening import count_of
from antiphon.kernel.runtime.sound_formats import MAX_CHANNELS, MAX_RATE, MIN_RATE
from antiphon.kernel.runtime.terms import spell

STDIN, STDOUT = "/dev/stdin", "/dev/stdout"
"""Names that messages use for `-`."""
PIECE_SECONDS = 0.02
"""Maximum seconds of sound processed at once."""
HEAD = 64
"""Bytes read to detect the format."""
_TYPES = {
    "u8": "u1",
    "s8": "i1",
    **{f"s{bits}{end}": f"{'<' if end == 'le' else '>'}i{bits // 8}" for bits in (16, 24, 32) for end in ("le", "be")},
    **{f"f{bits}{end}": f"{'<' if end == 'le' else '>'}f{bits // 8}" for bits in (32, 64) for end in ("le", "be")},
}
"""numpy types by FFmpeg's names of raw sample types."""
_WAV_TYPES = {"PCM_U8": "u8", "PCM_16": "s16le", "PCM_24": "s24le", "PCM_32": "s32le", "FLOAT": "f32le"}
_UNKNOWN = 0xFFFFFFFF
"""Length field of a wav of unknown length."""
_GUID = bytes.fromhex("000000001000800000aa00389b71")


@dataclass(frozen=True, slots=True)
class RawForm:
    """Format of raw samples: FFmpeg's name of their type ("s16le"), Hz, channels."""

    type: str
    rate: int
    channels: int

    @classmethod
    def of(cls, text: str) -> "RawForm":
        """Parses a format of raw samples such as "s16le:48000:2". Raises UsageError if it is invalid."""
        found = re.fullmatch(r"(\w+):(\d{1,9}):(\d{1,4})", text)
        if found and found[1] in _TYPES:
            rate, channels = int(found[2]), int(found[3])
            if MIN_RATE <= rate <= MAX_RATE and 1 <= channels <= MAX_CHANNELS:
                return cls(found[1], rate, channels)
        raise UsageError(
            f"--raw takes TYPE:HZ:CHANNELS, as s16le:48000:2, with one of {', '.join(_TYPES)}, {MIN_RATE} to "
            f"{MAX_RATE} Hz and 1 to {MAX_CHANNELS} channels, not {text[:40]!r}"
        )

    @property
    def width(self) -> int:
        """Bytes of a sample."""
        return int(_TYPES[self.type][-1])

    def check(self, channels: int) -> None:
        """Checks the count of channels; one channel is written to all. Raises UsageError: this format has another
        count.
        """
        if channels not in (1, self.channels):
            raise UsageError(
                f"--raw {self.type}:{self.rate}:{self.channels}, and the sound has {count_of(channels, 'channel')}"
            )

    def samples(self, data: bytes) -> Samples:
        """Converts whole frames to float32 `[channels, n]`."""
        kind = _TYPES[self.type]
        if self.width == 3:
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            own = np.frombuffer(data, np.uint8).reshape(-1, 3)
            wide[:, 1:] = own if kind[0] == "<" else own[:, ::-1]
            values: np.ndarray[Any, Any] = wide.view("<i4").ravel() / np.float32(1 << 31)
        else:
            found = np.frombuffer(data, kind)
            if kind[-2] == "f":
                values = found
            elif self.type == "u8":
                values = (found.astype(np.float32) - 128.0) / 128.0
            else:
                values = found / np.float64(1 << (8 * self.width - 1))
        return np.ascontiguousarray(values.reshape(-1, self.channels).T, np.float32)

    def data(self, chunk: Samples) -> bytes:
        """Converts float32 `[frames, channels]` to bytes; integers are clipped at full scale."""
        kind = _TYPES[self.type]
        if chunk.shape[1] != self.channels:
            chunk = np.repeat(chunk, self.channels, axis=1)
        if kind[-2] == "f":
            return chunk.astype(kind).tobytes()
        full = 1 << (8 * self.width - 1)
        whole = np.clip(np.rint(chunk.astype(np.float64) * full), -full, full - 1).astype(np.int64)
        if self.type == "u8":
            return (whole + 128).astype(np.uint8).tobytes()
        if self.width == 3:
            parts = whole.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3]
            return (parts if kind[0] == "<" else parts[:, ::-1]).tobytes()
        return whole.astype(kind).tobytes()


def wav_head(form: RawForm, mask: int = 0) -> bytes:
    """Header of a wav of unknown length. `mask`: of the channels' speakers."""
    code, bits = (3 if form.type[0] == "f" else 1), 8 * form.width
    frame = form.channels * form.width
    plain = struct.pack("<HIIHH", form.channels, form.rate, form.rate * frame, frame, bits)
    if (form.channels <= 2 and bits <= 16) or (code == 3 and form.channels <= 2):
        described = struct.pack("<H", code) + plain
    else:
        described = struct.pack("<H", 0xFFFE) + plain + struct.pack("<HHIH", 22, bits, mask, code) + _GUID
    begin = b"RIFF" + struct.pack("<I", _UNKNOWN) + b"WAVEfmt " + struct.pack("<I", len(described)) + described
    return begin + b"data" + struct.pack("<I", _UNKNOWN)


class OutputPipe:
    """Standard output in place of a draft; written bytes cannot be taken back."""

    def __init__(self) -> None:
        self.fd = os.dup(1)

    def discard(self) -> None:
        """Closes standard output."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    publish = discard


class PipeWriter:
    """Writes sound to a pipe; a context manager. `raw`: format of raw samples; None for a wav."""

    def __init__(self, fd: int, rate: int, channels: int, subtype: str, raw: RawForm | None, mask: int = 0) -> None:
        self._fd = fd
        self._form = raw or RawForm(_WAV_TYPES.get(subtype, "f32le"), rate, channels)
        if raw is None:
            self._put(wav_head(self._form, mask))

    def __enter__(self) -> "PipeWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def write(self, chunk: Samples) -> None:
        """Writes float32 `[frames, channels]`. Raises `BrokenPipeError`: the reader has closed it."""
        self._put(self._form.data(chunk))

    def end(self) -> None:
        """Does nothing: written bytes are already out."""

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]


MAX_BYTES = 8 << 30
"""Maximum bytes of standard input that are stored on disk."""


@contextmanager
def input_file() -> Iterator[Path]:
    """Stores standard input in a temporary file. Raises FileError: it is empty, or too long."""
    pipe = InputPipe()
    if not pipe.peek():
        raise FileError("cannot read standard input: it gave nothing (0 bytes)")
    with temporary_folder() as folder:
        kept = folder / ("in.mid" if pipe.head.startswith(b"MThd") else "in.wav")
        pipe.write_all_to(kept, MAX_BYTES)
        try:
            yield kept
        except FileError as error:
            raise FileError(str(error).replace(str(kept), "standard input")) from None


MAX_HEAD = 1 << 16
"""Bytes within which the sound of a stream begins, or its header is left as it is."""


def open_ended(head: bytes) -> bytes | None:
    """The beginning of a stream with an unknown length in place of a length of 0 before sound.

    Programs that cannot go back in their output write 0. Returns None while more of the stream has to be known: up to
    the 8 bytes behind the header, which may be another chunk of a sound that is empty.
    """
    if head[:4] == b".snd":
        return head[:8] + b"\xff" * 4 + head[12:] if head[8:12] == bytes(4) else head
    if head[:4] not in (b"RIFF", b"RF64") or len(head) > MAX_HEAD:
        return head
    at, long = 12, 0
    while len(head) >= at + 16:
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"data":
            told = size if head[:4] == b"RIFF" or size != _UNKNOWN else int.from_bytes(head[long : long + 8], "little")
            after = head[at + 8 : at + 16]
            if told or (after[:4].isalnum() and int.from_bytes(after[4:], "little") < MAX_HEAD):
                return head
            # which says as well that the length of 64 bits is unknown
            return b"RIFF" + b"\xff" * 4 + head[8 : at + 4] + b"\xff" * 4 + head[at + 8 :]
        long = at + 16 if name == b"ds64" else long
        at += 8 + size + size % 2
    return None


class InputPipe:
    """Standard input, read once. `head`: its first bytes, for detecting the format."""

    def __init__(self, fd: int = 0) -> None:
        self._fd, self.head = fd, b""

    def peek(self) -> bytes:
        """Returns the first bytes; fewer at the end of input."""
        while len(self.head) < HEAD and (piece := os.read(self._fd, HEAD - len(self.head))):
            self.head += piece
        return self.head

    def write_all_to(self, path: str | os.PathLike[str], most: int) -> None:
        """Writes all input to a file. Raises FileError: it has more than `most` bytes."""
        size = len(self.head)
        piece = self.head
        with keeping():
            file = open(path, "wb")  # noqa: SIM115 - closed below; what reading raises is no fault of the folder
        with contextlib.closing(file):
            while piece:
                with keeping():
                    file.write(piece)
                piece = os.read(self._fd, 1 << 18)
                size += len(piece)
                if size > most:
                    raise FileError(
                        f"standard input gave more than {most >> 30} GiB; name a file {spell('source')} instead"
                    )

    def pump(self) -> int:
        """Returns the descriptor of a pipe that provides all input, from the first byte on."""
        ours, theirs = os.pipe()
        threading.Thread(target=self._copy_pipe_into, args=(theirs,), name="input pipe", daemon=True).start()
        return ours

    def _copy_pipe_into(self, into: int) -> None:
        piece = self.head
        try:
            while (head := open_ended(piece)) is None and (more := os.read(self._fd, 1 << 16)):
                piece += more
            piece = head or piece
            while piece:
                while piece:
                    piece = piece[os.write(into, piece) :]
                piece = os.read(self._fd, 1 << 16)
        except OSError:
            pass  # the decoder has ended, which its reader finds
        finally:
            os.close(into)

    def blocks(self, form: RawForm) -> Iterator[Samples]:
        """Yields raw samples as they arrive, float32 `[channels, n]`."""
        size = form.width * form.channels
        rest, most = self.head, max(1, round(PIECE_SECONDS * form.rate)) * size
        self.head = b""
        while piece := os.read(self._fd, most):
            rest += piece
            if whole := len(rest) // size * size:
                yield form.samples(rest[:whole])
                rest = rest[whole:]
