"""Sound files decoded in a separate process (`decode_process`), block by block or in parts."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from antiphon.files.containers.pieces import Refused, open_file
from antiphon.files.decode_process import DecoderProcess, decoders, refusal
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.notices import notice, reading_file
from antiphon.kernel.runtime.paths import path_as_spelled
from antiphon.kernel.runtime.terms import path_text

log = logging.getLogger("antiphon.files")
STALL, PIPE_STALL = 10.0, 60.0
"""Timeouts in seconds without a byte, after which a file (of a hanging disk, for example) or a pipe is given up. A file
that makes the decoder spin is ended by the decoder's own limit on processor time, within 2 s."""
MAX_SECONDS = 6 * 3600
"""Maximum length of sound in a compressed format: a few kilobytes of flac can hold days of silence."""
MAX_SAMPLE = 2.0**32
"""Largest sample of a floating-point file, where 1 is full scale: unscaled 32-bit integers are below it. Squares of
much larger ones would overflow in processors."""
_UNPACKED = ("WAV", "WAVEX", "RF64", "W64", "CAF", "AIFF", "AU")
_PLAIN = ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
"""Uncompressed formats, whose files are as long as their sound: a set recorded for a whole night can be replayed."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Properties of a sound file, independent of the rate to which it is decoded.

    Attributes:
        rate: Frames per second.
        channels: 1 to 64.
        frames: As declared or counted; None if unknown.
        format: libsndfile's name: "WAV".
        subtype: libsndfile's name: "PCM_16".
        tags: (name, text) of its title, artist, album, genre, date, tracknumber and comment, those that it has.
        left: Names of its further tags, sorted.
        begins: Start of the sound within a video, in seconds.
        picture: Whether it is a video.
        chapters: How many it has.
        mask: The channels' speakers, as of WAVE_FORMAT_EXTENSIBLE; 0 if unknown.
    """

    rate: int
    channels: int
    frames: int | None
    format: str
    subtype: str
    tags: tuple[tuple[str, str], ...] = ()
    left: tuple[str, ...] = ()
    begins: float = 0.0
    picture: bool = False
    chapters: int = 0
    mask: int = 0


class Decoder:
    """A sound file decoded block by block in another process; a context manager.

    Args:
        rate: Resample to this rate, in Hz; None keeps the file's.
        pipe: Descriptor of a pipe whose bytes are decoded as they arrive, instead of the file. Flac cannot be read this
            way.
        name: Its name in messages; the path by default.
        process: A process that decodes nothing else meanwhile; one of `decoders` by default.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rate: int | None = None,
        pipe: int | None = None,
        name: str = "",
        process: DecoderProcess | None = None,
    ) -> None:
        self.name = name or path_text(path)
        self.path = os.fspath(path) if pipe is None else ""
        self._piped = pipe is not None
        self._stall = PIPE_STALL if self._piped else STALL
        self._kept = process is not None
        fd = _opened(path, self.name) if pipe is None else os.dup(pipe)
        self._process: DecoderProcess | None = process or decoders().take()
        try:
            header, _ = self._process.ask(self.name, {"do": "stream", "rate": rate or 0}, self._stall, fd)
        except BaseException:
            self._leave(done=True)
            raise
        finally:
            os.close(fd)
        if remark := header.pop("remark"):
            _say(self.name, remark)
        self._notice(header.pop("notices"))
        tags = tuple((str(name), str(value)) for name, value in header.pop("tags"))
        left = tuple(map(str, header.pop("left")))
        self.info = info = AudioInfo(**header, tags=tags, left=left)
        self.rate = rate or info.rate
        self.frames = None if info.frames is None else round(info.frames * self.rate / info.rate)

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Skips the rest of the sound. It may be called twice."""
        self._leave(done=False)

    def _notice(self, notices: Iterable[Any]) -> None:
        if notices:
            with reading_file("a sound file", self.name):
                for each in notices:
                    notice(*each)

    def _leave(self, *, done: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if self._piped and not done:
            process.close()  # it may wait for the pipe
        elif not done:
            process.stop()
        if not self._kept:
            decoders().give(process)

    def blocks(self) -> Iterator[Samples]:
        """Decodes the sound.

        Yields float32 `[channels, n]`, n a few thousand, each block an array of its own. Raises FileError: the file is
        damaged, contains non-finite numbers, or is too long.
        """
        channels = self.info.channels
        plain = self.info.format in _UNPACKED and self.info.subtype in _PLAIN
        most = sys.maxsize if plain else MAX_SECONDS * self.rate
        at = 0
        while True:
            assert self._process is not None, "the decoder is closed"
            try:
                message, data = self._process.read(self.name, self._stall)
            except FileError:
                self._leave(done=True)
                raise
            if "end" in message:
                self._notice(message["end"])
                self._leave(done=True)
                return
            block = np.frombuffer(data, np.float32).reshape(-1, channels).T
            check_samples(block, at / self.rate, self.rate, self.name)
            at += block.shape[1]
            if at > most:
                raise refusal(self.name, f"it is longer than {MAX_SECONDS // 3600} hours; cut it into parts")
            yield np.ascontiguousarray(block)


class KeptDecoder:
    """A process that decodes files at one rate, one after another, and runs until it is closed.

    A file whose parts are read in order is decoded only once. `rate`: Hz, to which files are resampled.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._process = DecoderProcess(0.0)

    def start(self) -> None:
        """Starts the process ahead of the first file, since that takes a while. Raises `OSError` if it cannot start."""
        self._process.start()

    def stream(self, path: str | os.PathLike[str], name: str = "") -> Decoder:
        """Decodes a file block by block. `name`: its name in messages; the path by default."""
        return Decoder(path, rate=self.rate, name=name, process=self._process)

    def part(self, path: str | os.PathLike[str], first: int, frames: int, name: str = "") -> Samples:
        """Decodes a part of a file, at most two channels of it.

        `first`: the part's first frame; it may be below 0. Beyond the file's ends there is silence. `name`: the file's
        name in messages; the path by default. Returns float32 `[1 or 2, frames]`.
        """
        name = name or path_text(path)
        place = {"path": os.path.abspath(os.fsdecode(path)), "first": first, "frames": frames}
        message, data = self._process.ask(name, {"do": "part", "rate": self.rate, **place}, STALL)
        sound = np.frombuffer(data, np.float32).reshape(message["channels"], frames)
        check_samples(sound, first / self.rate, self.rate, name)
        return sound

    def close(self) -> None:
        """Ends the process. Another file would start a new one."""
        self._process.close()


def check_samples(block: Samples, begin: float, rate: int, name: str) -> None:
    """Raises `FileError` if a block, which begins at `begin` seconds, has non-finite or far too large samples."""
    # the sum of squares is as small only if every sample is, and costs no array
    with np.errstate(over="ignore", invalid="ignore"):
        if np.dot(block.ravel("K"), block.ravel("K")) <= MAX_SAMPLE:
            return
        wrong = ~(np.abs(block) <= MAX_SAMPLE)
    if wrong.any():
        at = int(np.argmax(wrong.any(axis=0)))
        sample = block[int(np.argmax(wrong[:, at])), at]
        most = f"{sample:.3g}, and {MAX_SAMPLE:.3g} is the most"
        what = most if np.isfinite(sample) else "not a number (NaN or infinite)"
        raise refusal(name, f"its sample at {begin + at / rate:.3f} s is {what}; mend it in an editor")


def _opened(path: str | os.PathLike[str], name: str) -> int:
    try:
        return open_file(path_as_spelled(Path(path)))
    except (Refused, OSError, ValueError) as error:
        raise refusal(name, error) from None


@functools.lru_cache(4096)
def _say(name: str, remark: str) -> None:
    """Logs a remark once per file, however often that is read."""
    log.warning("%s: %s", name, remark)
