"""The process that decodes samples: `python -m antiphon_sampler.decoding_child RATE FRAMES`, run by `decoding`.

A sound file may be broken or made to harm, and its decoder is C, so it runs here, with bounds on memory and, for each
request, on processor time. One process decodes file after file: to start one for each would take longer than the
decoding.

A request has `path`, and for a part of the file `first` and `frames`, at RATE. An answer has `shape` (channels, frames
that follow), `frames` of the whole file, and the samples, float32, channel after channel; or the `problem`. Of a file
of more than FRAMES frames that is asked for as a whole, none follow.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import stat
import sys
from typing import Any

from antiphon.api.processes import HelperChannel, limit_resources

MEMORY = 800 << 20
"""Bytes of address space; the interpreter, numpy and libsndfile take 105 MB of them."""
PATIENCE = 4.0
"""Seconds of processor time for one request; 30 s of sound take under 0.3."""
PIECE = 1 << 16
"""Frames read at once."""
MAX_CHANNELS = 64
MIN_RATE, MAX_RATE = 1000, 768000
HOURS = 6
"""The longest file."""
LONG = "long"
"""The reason of a file that is longer than `HOURS`."""
EMPTY = "empty"
"""The reason of a file without a frame."""
MARGIN = 4096
"""Frames before and after a part that are decoded for the resampler, whose filter is shorter, and for formats whose
decoder needs those before."""
UNKNOWN = 1 << 60
"""From so many frames on a file is one whose length is not known."""
OPEN = 32
"""Files open at once."""
LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_III", "MPEG_LAYER_II", "MPEG_LAYER_I")


class SampleRefused(Exception):
    """A file that cannot be decoded, with the reason."""


class OpenFile:
    """A file that is decoded in parts.

    Attributes:
        path: Its path.
        rate: Its own.
        channels: Those that are read, 1 or 2.
        frames: As it promises; `UNKNOWN` and above where it does not.
        at: Frame after the last that was decoded.
        sound: What was decoded last, float32 `[frames, channels]`.
    """

    def __init__(self, path: str) -> None:
        # O_NONBLOCK: opening a named pipe would otherwise wait for its writer
        self._handle = os.open(path.encode(errors="surrogateescape"), os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(self._handle).st_mode):
                raise SampleRefused("it is not an ordinary file")
            self._file = _unseeking()(self._handle, "r", closefd=False)
            rate, channels = self._file.samplerate, self._file.channels
            if not MIN_RATE <= rate <= MAX_RATE or not 1 <= channels <= MAX_CHANNELS:
                raise SampleRefused(
                    f"it has {channels} channels at {rate} Hz; up to {MAX_CHANNELS} at up to {MAX_RATE} are read"
                )
        except BaseException:
            os.close(self._handle)
            raise
        self.path, self.rate, self.channels, self.frames = path, rate, min(2, channels), self._file.frames
        self.at, self.sound = 0, _nothing(self.channels)
        self._lossy = self._file.subtype in LOSSY

    def close(self) -> None:
        self._file.close()
        os.close(self._handle)

    def length(self, rate: int) -> int:
        """Frames of the whole file at a rate."""
        if self.frames >= UNKNOWN:
            raise SampleRefused("it does not say how long it is; a long one has to, write it again")
        if self.frames > HOURS * 3600 * self.rate:
            raise SampleRefused(LONG)
        return int(self.frames * rate // self.rate)

    def covers(self, frame: int) -> bool:
        """Whether it reads on from a frame without a jump."""
        return self.at - len(self.sound) <= frame <= self.at

    def read(self, first: int, last: int) -> Any:
        """Frames from `first` to before `last`, float32 `[frames, channels]`; fewer where the file ends before."""
        import numpy

        if not self.covers(first):
            self._jump(first)
        pieces = [self.sound[len(self.sound) - max(0, self.at - first) :]]
        while self.at < last:
            piece = self._file.read(min(PIECE, last - self.at), dtype="float32", always_2d=True)
            if not len(piece):
                break
            bad = ~numpy.isfinite(piece).all(axis=1)
            if bad.any():
                at = f"{(self.at + int(bad.argmax())) / self.rate:.3f}"
                raise SampleRefused(f"its sample at {at} s is not a number (NaN or infinite); mend it in an editor")
            pieces.append(piece[:, : self.channels].copy())
            self.at += len(piece)
        self.sound = numpy.concatenate(pieces)
        if self.frames < UNKNOWN:
            slack = MARGIN + self.frames // 100 if self._lossy else 0
            if self.at < min(last, self.frames) - slack:
                raise SampleRefused(
                    f"it promises {self.frames} frames and ends or breaks after {self.at}: fetch or make it again"
                )
        return self.sound[: max(0, last - first)]

    def _jump(self, frame: int) -> None:
        begin = min(self.frames, max(0, frame - MARGIN) if self._lossy else frame)
        self._file.seek(begin)
        self.at, self.sound = begin, _nothing(self.channels)
        if begin < frame:
            self.read(begin, frame)


def _unseeking() -> Any:
    import soundfile

    class Unseeking(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:
            """Never: soundfile would seek after every piece, by which an MP3 file's decoder loses what it had."""
            return False

    return Unseeking


def _nothing(channels: int) -> Any:
    import numpy

    return numpy.zeros((0, channels), numpy.float32)


def main(rate: int, frames: int) -> None:
    channel = HelperChannel(at_once=False)  # SIGPROF bounds its requests
    limit_resources({resource.RLIMIT_AS: MEMORY, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0})
    import numpy  # noqa: F401  before the first file
    import soundfile  # noqa: F401

    opened: list[OpenFile] = []
    for request in channel.requests():
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        try:
            if "first" in request:
                sound, whole = part(opened, request["path"], rate, request["first"], request["frames"])
            else:
                sound, whole = decode(request["path"], rate, frames)
        except MemoryError:
            problem = "decoding it takes too much memory; it is broken or made to harm"
        except SampleRefused as reason:
            problem = str(reason)
        except OSError as error:
            problem = (error.strerror or str(error)).lower()
        except Exception as error:
            text = getattr(error, "error_string", None) or str(error) or type(error).__name__
            problem = f"it is broken, fetch or make it again ({' '.join(text.split())[:200].rstrip('.')})"
            if "unimplemented format" in text:
                problem = "it is broken, or holds what is not read, as video: convert its sound to .flac or .wav"
        else:
            channel.send({"shape": sound.shape, "frames": whole}, sound)
            continue
        channel.send({"problem": problem[:2000]})


def decode(path: str, rate: int, most: int) -> tuple[Any, int]:
    """A file's length and at most two channels of it, float32 `[1 or 2, frames]`, empty where longer than `most`."""
    import numpy

    file = OpenFile(path)
    try:
        limit = most * file.rate // rate + 1
        if limit < file.frames < UNKNOWN:
            return _nothing(file.channels).T, file.length(rate)
        sound = file.read(0, limit + 1)
        if len(sound) > limit:
            file.length(rate)
        if not len(sound):
            raise SampleRefused(EMPTY)
    finally:
        file.close()
    if file.rate != rate:
        import soxr

        sound = soxr.resample(sound, file.rate, rate)
    return numpy.ascontiguousarray(sound.T, numpy.float32), len(sound)


def part(opened: list[OpenFile], path: str, rate: int, first: int, count: int) -> tuple[Any, int]:
    """Frames `first` to `first + count` of a file, at `rate`, and its length; silence beyond its ends.

    A part has the same samples whatever was read before it: it is resampled by itself, from a frame that is a whole
    frame at both rates.
    """
    import numpy

    file = next((file for file in opened if file.path == path), None) or _opened(opened, path)
    whole = file.length(rate)
    begin, end = max(0, first), min(whole, first + count)
    sound = numpy.zeros((file.channels, count), numpy.float32)
    if end <= begin:
        return sound, whole
    shared = math.gcd(file.rate, rate)
    up, down = rate // shared, file.rate // shared
    if up == down:
        found = _reading(opened, file, begin).read(begin, end)
    else:
        import soxr

        steps = max(0, begin * down // up - MARGIN) // down
        last = min(file.frames, end * down // up + 1 + MARGIN)
        read = _reading(opened, file, steps * down).read(steps * down, last)
        found = soxr.resample(read, file.rate, rate)[begin - steps * up : end - steps * up]
    sound[:, begin - first : begin - first + len(found)] = found.T
    return sound, whole


def _reading(opened: list[OpenFile], file: OpenFile, frame: int) -> OpenFile:
    """The open file of the same path that reads on from a frame, else one more; the newest used becomes the last."""
    for n, other in enumerate(opened):
        if other.path == file.path and other.covers(frame):
            opened.append(opened.pop(n))
            return other
    return _opened(opened, file.path)


def _opened(opened: list[OpenFile], path: str) -> OpenFile:
    if len(opened) >= OPEN:
        opened.pop(0).close()
    opened.append(OpenFile(path))
    return opened[-1]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
