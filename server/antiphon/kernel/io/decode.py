"""The parent's side of the decoding process: starts it, reads its messages, ends it."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import FileError
from antiphon.kernel.io.containers import Dishonest, check
from antiphon.kernel.io.decode_child import BLOCK_SAMPLES
from antiphon.kernel.io.decode_zygote import DecodingProcess, zygote
from antiphon.kernel.runtime import frames

STALL = 10.0
"""Seconds without a byte before a file is given up: a disk that hangs. A file that keeps the decoder
busy for nothing is ended by the decoder's own limit on processor time, within 2 s."""
PIPE_STALL = 60.0
"""Seconds without a byte before a pipe is given up."""
MAX_SECONDS = 6 * 3600
"""The longest sound decoded of a format that packs it: a few kilobytes of flac can hold days of silence."""
_UNPACKED = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU")
_PLAIN = ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
"""Their files are as long as their sound: a set kept for a whole night is played again."""
_LARGEST_MESSAGE = 64 * BLOCK_SAMPLES * 4 * 16
_GAVE_UP = {
    signal.SIGPROF: "decoding it takes far longer than its sound accounts for; it is broken or made to harm",
    signal.SIGXCPU: "decoding it takes far longer than its sound accounts for; it is broken or made to harm",
    signal.SIGKILL: "its decoder was killed, perhaps for want of memory",
}


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """The properties of a sound file, whatever rate it is decoded to.

    Attributes:
        rate: Frames per second.
        channels: 1 to 64.
        frames: As promised; None where the file does not say.
        format: libsndfile's word: "WAV".
        subtype: libsndfile's word: "PCM_16".
        tags: (name, text) of its title, artist, album, genre, date, tracknumber and comment, as far as it has them.
    """

    rate: int
    channels: int
    frames: int | None
    format: str
    subtype: str
    tags: tuple[tuple[str, str], ...] = ()


class FileStalled(FileError):
    """Nothing came from a file in time: its disk does not answer, or the machine has no processor for its decoder."""


class Decoder:
    """A sound file decoded block by block in a process of its own; a context manager, whose end ends the process.

    Args:
        path: The file.
        rate: Resample to this rate, in Hz; None keeps the file's.
        pipe: The descriptor of a pipe whose bytes are decoded as they come, in place of the file; the path is then
            what messages call them. Flac cannot be read so.

    Attributes:
        name: The path as one line of text.
        info: What the file says of itself.
        rate: Frames per second of the blocks: the asked rate, else the file's.
        frames: Of all blocks together, as promised; None where the file does not say.

    Raises:
        FileError: It cannot be read; `blocks` may raise it as well.
    """

    def __init__(self, path: str | os.PathLike[str], *, rate: int | None = None, pipe: int | None = None) -> None:
        self.name = path_text(path)
        self._stall = STALL if pipe is None else PIPE_STALL
        self._process: DecodingProcess | None = None
        fd = _opened(path, self.name) if pipe is None else os.dup(pipe)
        try:
            if pipe is None:
                check(fd)
            self._process = zygote().begin(fd, rate or 0)
        except Dishonest as reason:
            raise self._refused(str(reason)) from None
        except OSError as error:
            raise self._refused(_reason(error)) from None
        finally:
            os.close(fd)
        try:
            self.info = info = self._header()
        except BaseException:
            self.close()
            raise
        self.rate = rate or info.rate
        self.frames = None if info.frames is None else round(info.frames * self.rate / info.rate)

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process. It may be called twice."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def blocks(self) -> Iterator[Samples]:
        """Decodes the sound.

        Yields:
            float32 `[channels, n]`, n a few thousand, each block an array of its own.

        Raises:
            FileError: The file is damaged, holds numbers that are not finite, or is too long.
        """
        channels = self.info.channels
        plain = self.info.format in _UNPACKED and self.info.subtype in _PLAIN
        most = sys.maxsize if plain else MAX_SECONDS * self.rate
        at = 0
        while True:
            message, data = self._message()
            if "end" in message:
                return
            flat: NDArray[np.float32] = np.frombuffer(data, np.float32)
            block = np.ascontiguousarray(flat.reshape(-1, channels).T)
            # The sum of squares is finite only if every sample is, and costs no array; it may overflow without.
            with np.errstate(over="ignore", invalid="ignore"):
                power = np.dot(flat, flat)
            if not np.isfinite(power) and not np.isfinite(flat).all():
                first = at + int(np.argmin(np.isfinite(flat))) // channels
                raise self._refused(
                    f"its sample at {first / self.rate:.3f} s is not a number (NaN or infinite); mend it in an editor"
                )
            at += block.shape[1]
            if at > most:
                raise self._refused(f"it is longer than {MAX_SECONDS // 3600} hours; cut it into parts")
            yield block

    def _header(self) -> AudioInfo:
        header, _ = self._message()
        tags = tuple((str(name), str(value)) for name, value in header.pop("tags"))
        return AudioInfo(**header, tags=tags)

    def _message(self) -> tuple[dict[str, Any], bytearray]:
        assert self._process is not None, "the decoder is closed"
        try:
            message, samples = frames.read(self._process.sound, _LARGEST_MESSAGE, self._stall)
        except TimeoutError:
            raise FileStalled(
                f"cannot read {self.name}: no sound came from it for {self._stall:g} s; is its disk well?"
            ) from None
        except EOFError:
            raise self._refused(self._why_ended()) from None
        except ValueError:
            raise self._refused("its decoder sent what is no sound") from None
        if "failed" in message:
            raise self._refused(message["failed"])
        return message, samples

    def _why_ended(self) -> str:
        assert self._process is not None
        code = self._process.exit_code()
        if code is None:
            return "its decoder stopped answering"
        if code >= 0:
            return f"its decoder ended early (exit code {code})"
        return _GAVE_UP.get(signal.Signals(-code), f"its decoder crashed ({signal.Signals(-code).name}); it is broken")

    def _refused(self, reason: str) -> FileError:
        return _refusal(self.name, reason)


def check_header(path: str | os.PathLike[str], name: str) -> None:
    """Checks that a file is a sound file and holds what its header promises. Nothing is decoded.

    Args:
        path: The file.
        name: As it is named in the message.

    Raises:
        FileError: It is not, or does not.
    """
    fd = _opened(path, name)
    try:
        check(fd)
    except Dishonest as reason:
        raise _refusal(name, str(reason)) from None
    except OSError as error:
        raise _refusal(name, _reason(error)) from None
    finally:
        os.close(fd)


def _opened(path: str | os.PathLike[str], name: str) -> int:
    try:
        # O_NONBLOCK: opening a named pipe would otherwise wait for its writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _refusal(name, _reason(error)) from None
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    what = "a folder" if stat.S_ISDIR(mode) else "not an ordinary file"
    raise _refusal(name, f"it is {what}; name a sound file")


def _refusal(name: str, reason: str) -> FileError:
    return FileError(f"cannot read {name}: {reason}")


def path_text(path: str | os.PathLike[str]) -> str:
    """Formats a path for a message: one line of printable text.

    Args:
        path: The path.

    Returns:
        The path, with what cannot be printed escaped.
    """
    text = os.fspath(path)
    return text if text.isprintable() else text.encode("unicode_escape", "surrogatepass").decode("ascii")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError):
        return f"{(error.strerror or str(error)).lower()}"
    return "its name holds a zero byte"
