"""Finishing of a sound file: loudness normalisation, true peak limiting, tags."""

import math
import tempfile
from collections.abc import Iterator

import numpy as np

from antiphon.files.sound_finish import SoundFinish
from antiphon.files.temporary import keeping
from antiphon.kernel.contract.block import Samples
from antiphon.signal.loudness import CEILING, QUIETEST, LoudnessMeter, TruePeakLimiter

PIECE = 1 << 16
"""Frames per processing step."""
ROUNDS, NEAR = 4, 0.05
"""Maximum passes over a limited sound to find its gain, and tolerance in LU of the target."""
MAX_GAIN = 40.0
"""Maximum gain of normalisation in dB."""
LOSSY_CEILING = 10.0 ** (-2.0 / 20.0)
"""Maximum true peak before Vorbis, Opus or MP3 encoding, which raises that of records by .2 to .8 dB."""


class Finishing:
    """Finishes one sound in pieces; buffers it on disk if a step needs the whole sound."""

    def __init__(self, finish: SoundFinish, rate: int, channels: int, *, lossy: bool = False) -> None:
        self._finish, self._rate, self._channels = finish, rate, channels
        self._ceiling = LOSSY_CEILING if lossy else CEILING
        self.tags = dict(finish.tags)  # known at the end where some are found in the sound
        self._tagger = finish.tagger(rate, channels) if finish.tagger is not None else None
        self._meter = LoudnessMeter(rate, channels, finish.mask)
        self._limiter = TruePeakLimiter(rate, channels, self._ceiling) if finish.limit else None
        self._target = finish.loudness if finish.loudest is None else finish.loudest
        whole = self._target is not None or self._tagger is not None
        self._held = tempfile.TemporaryFile() if whole else None  # noqa: SIM115 (closed by `close`)
        self._gain, self._reached = 0.0, QUIETEST

    def close(self) -> None:
        """Releases the buffered sound."""
        if self._held is not None:
            self._held.close()

    def take(self, sound: Samples) -> Samples:
        """Processes the next float32 `[channels, n]`; returns the sound ready to be written."""
        if self._held is None:
            return sound if self._limiter is None else self._limiter.take(sound)
        if self._tagger is not None:
            self._tagger.take(sound)
        if self._target is not None:
            self._meter.feed(sound)
        with keeping():
            self._held.write(np.ascontiguousarray(sound.T, np.float32).tobytes())
        return sound[:, :0]

    def end(self) -> Iterator[Samples]:
        """Yields the remaining sound to be written."""
        if self._held is None:
            if self._limiter is not None:
                yield self._limiter.end()
            return
        if self._tagger is not None:
            self.tags |= self._tagger.tags()
        self._find_gain()
        yield from self._played()

    @property
    def words(self) -> tuple[str, ...]:
        """Applied steps as text, for the line of the file."""
        words = []
        if self._target is not None and self._reached > QUIETEST and (self._gain or self._finish.loudness is not None):
            words.append(f"{self._gain:+.1f} dB to {self._reached:.1f} LUFS")
        if self._limiter is not None and self._limiter.least < 1.0:
            words.append(f"limited by {-20.0 * math.log10(self._limiter.least):.1f} dB at most")
        return tuple(words)

    def _find_gain(self) -> None:
        target = self._target
        if target is None:
            return
        self._reached = self._meter.integrated_loudness()
        if self._reached <= (QUIETEST if self._finish.loudest is None else target):
            return
        self._change(target)
        for left in range(ROUNDS, -1, -1) if self._limiter is not None else ():
            meter = LoudnessMeter(self._rate, self._channels, self._finish.mask)
            for piece in self._played():
                meter.feed(piece)
            self._reached = meter.integrated_loudness()
            if not left or abs(target - self._reached) < NEAR or self._gain == MAX_GAIN:
                break
            self._change(target)

    def _change(self, target: float) -> None:
        self._gain = min(MAX_GAIN, self._gain + target - self._reached)
        self._reached = target

    def _played(self) -> Iterator[Samples]:
        """Yields the buffered sound, with gain and limiter applied."""
        assert self._held is not None
        with keeping():  # which writes what is buffered
            self._held.seek(0)
        gain = np.float32(10.0 ** (self._gain / 20.0))
        if self._limiter is not None:
            self._limiter = TruePeakLimiter(self._rate, self._channels, self._ceiling)
        while data := self._held.read(4 * self._channels * PIECE):
            piece = np.frombuffer(data, np.float32).reshape(-1, self._channels).T * gain
            yield piece if self._limiter is None else self._limiter.take(piece)
        if self._limiter is not None:
            yield self._limiter.end()
