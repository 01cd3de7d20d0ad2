"""Fades between a worker's answers and the dry signal where answers are missing, in 10 ms."""

from __future__ import annotations

import math

import numpy as np

from antiphon.contract.block import Samples
from antiphon.native import dsp

FADE = 0.010
"""Seconds of each fade."""
RELATED = 0.5
"""Least correlation of an answer that counts as the dry sound, changed; unrelated sounds reach less by chance."""


class DropoutFader:
    """Plays the answers of a worker, hop by hop, and fades to the dry sound, or to silence, where one is missing.

    Where an answer is missing, the sound before it is continued by its mirror image while it fades in 10 ms; what of it
    was the dry sound is continued by the dry sound. Gains keep the power of sounds that are unrelated, and the
    amplitude of sounds that are the same. All calls are for the block path.

    Args:
        channels: Channels of the sound.
        hop: Frames of a hop.
        rate: Frames per second.

    Attributes:
        fade: Frames of a fade.
    """

    def __init__(self, channels: int, hop: int, rate: int) -> None:
        self.fade = max(1, round(FADE * rate))
        place = np.arange(self.fade + 1) / self.fade * (math.pi / 2.0)
        self._rising: Samples = np.sin(place).astype(np.float32)
        self._rising[self.fade] = 1.0
        self._falling: Samples = self._rising[::-1].copy()
        self._hop = hop
        self._wet = np.zeros((channels, hop), np.float32)
        self._part = np.zeros((channels, min(hop, self.fade)), np.float32)
        self._ghost = np.zeros((channels, self.fade), np.float32)
        self._backwards = self._ghost[:, ::-1]
        self._share = np.zeros(hop, np.float32)
        # the last 10 ms of the output, and of the dry sound at the same time
        self._tail, self._dry_tail = _Tail(channels, hop, self.fade), _Tail(channels, hop, self.fade)
        # of the sound that fades out: its correlation with the dry sound, and the gain of the dry sound in it; of
        # answers that fade in: their correlation
        self._was = self._held = self._is = 0.0
        self._rise = self._gone = self.fade
        self._there = True

    def clear(self) -> None:
        """Forgets the past: as at the start, with no answer missing."""
        self._tail.sound.fill(0.0)
        self._dry_tail.sound.fill(0.0)
        self._rise = self._gone = self.fade
        self._there = True

    @property
    def there(self) -> bool:
        """Whether the last hop was an answer."""
        return self._there

    def play(self, answer: Samples | None, dry: Samples | None, out: Samples) -> None:
        """Plays one hop.

        Args:
            answer: float32 `[channels, hop]`, or None where it is missing.
            dry: float32 `[channels, hop]`, delayed as the answers are; None where there is no dry sound.
            out: float32 `[channels, hop]`, to be filled.
        """
        if answer is None and self._there:
            self._leave()
        elif answer is not None and dry is not None and not self._there:
            self._is, _ = _related(answer, dry)
        self._there = answer is not None
        risen = min(self.fade - self._rise, self._hop) if answer is not None else 0
        fallen = min(self.fade - self._gone, self._hop)
        if answer is not None and not risen and not fallen:
            out[:] = answer
        else:
            self._mix(answer, dry, out, risen, fallen)
        self._tail.push(out)
        if dry is not None:
            self._dry_tail.push(dry)

    def _mix(self, answer: Samples | None, dry: Samples | None, out: Samples, risen: int, fallen: int) -> None:
        wet = self._wet
        if answer is not None:
            _scaled(answer[:, :risen], self._gains(self._rising, self._rise, risen), wet[:, :risen])
            wet[:, risen:] = answer[:, risen:]
        else:
            wet.fill(0.0)
        if fallen:
            part = self._part[:, :fallen]
            ghost = self._backwards[:, self._gone : self._gone + fallen]
            _scaled(ghost, self._gains(self._falling, self._gone, fallen), part)
            np.add(wet[:, :fallen], part, out=wet[:, :fallen])
        if dry is None:
            out[:] = wet
        else:
            self._left(risen, fallen, answer is not None)
            _scaled(dry, self._share, out)
            np.add(out, wet, out=out)
        self._rise += risen
        self._gone += fallen

    def _leave(self) -> None:
        """Builds the continuation of the last output ("ghost"): its dry part goes on, the rest is mirrored in time."""
        tail, dry, ghost = self._tail.sound, self._dry_tail.sound, self._ghost
        self._was, self._held = _related(tail, dry)
        np.multiply(dry, self._held, out=ghost)
        np.subtract(tail, ghost, out=ghost)
        self._rise = self._gone = 0

    def _gains(self, curve: Samples, done: int, count: int) -> Samples:
        """The next `count` gains of a fade; its first frame differs from the start already."""
        gains: Samples = curve[done + 1 : done + count + 1]
        return gains

    def _left(self, risen: int, fallen: int, there: bool) -> None:
        """The dry sound's gain, into `_share`.

        With r of an answer of correlation κ, and f of a ghost that held h of the dry sound by a correlation ρ:
        √(1 - r²(1 - κ²) - f²(1 - ρ²)) - rκ + f(h - ρ), which keeps the power whatever κ and ρ are.
        """
        share = self._share
        share.fill(1.0)
        for curve, done, count, near in (
            (self._rising, self._rise, risen, self._is),
            (self._falling, self._gone, fallen, self._was),
        ):
            gains, part = self._gains(curve, done, count), self._part[0, :count]
            np.multiply(gains, gains, out=part)
            np.multiply(part, 1.0 - near * near, out=part)
            np.subtract(share[:count], part, out=share[:count])
        np.maximum(share, 0.0, out=share)
        np.sqrt(share, out=share)
        for curve, done, count, more in (
            (self._rising, self._rise, risen, -self._is),
            (self._falling, self._gone, fallen, self._held - self._was),
        ):
            part = np.multiply(self._gains(curve, done, count), more, out=self._part[0, :count])
            np.add(share[:count], part, out=share[:count])
        if there:
            # the ghost never ends after the fade-in
            share[risen:] = 0.0


class _Tail:
    """The last `frames` of a sound that comes in hops."""

    def __init__(self, channels: int, hop: int, frames: int) -> None:
        self.sound = np.zeros((channels, frames), np.float32)
        self._keep = np.zeros((channels, max(0, frames - hop)), np.float32)
        self._hop, self._frames = hop, frames

    def push(self, sound: Samples) -> None:
        over = self._frames - self._hop
        if over <= 0:
            self.sound[:] = sound[:, -over:] if over else sound
        else:
            # through a buffer: numpy would allocate one to copy overlapping parts
            self._keep[:] = self.sound[:, self._hop :]
            self.sound[:, :over] = self._keep
            self.sound[:, over:] = sound


def _related(x: Samples, dry: Samples) -> tuple[float, float]:
    """Correlation of x with the dry sound, and the gain of the dry sound in x, at most 1; both 0 below `RELATED`."""
    both, power, given = dsp.dot(x, dry), dsp.dot(x, x), dsp.dot(dry, dry)
    if both <= 0.0 or both * both < RELATED * RELATED * power * given:
        return 0.0, 0.0
    return min(1.0, both / math.sqrt(power * given)), min(1.0, both / given)


def _scaled(x: Samples, gains: Samples, out: Samples) -> None:
    """Writes x · gains into `out`, row by row: numpy would allocate a buffer to broadcast."""
    for row, into in zip(x, out, strict=True):
        np.multiply(row, gains, out=into)
