"""How well landmarks agree with those of a catalogued sound, beside how well they do a moment earlier or later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon_library.identification.fingerprints import F64

_SECONDS = 0.03
"""By which two landmarks that agree are apart at most; a step of the spectrum is 0.025 s."""
_SHARE, _HERTZ = 0.008, 4.0
"""Their frequencies: a seventh of a semitone, or half a bin of the spectrum."""
_SHIFTS = (-1.47, -1.13, -0.79, -0.47, 0.33, 0.61, 0.97, 1.31)
"""Seconds at which chance is measured: no multiples of one another, as beats are."""
_COPY = 0.6
"""Of the landmarks of two sounds: more agree in copies of a recording alone. Of the two best matches of 500 unknown
sounds 1 % had more than 0.45 in common, of ten songs with two soundfonts none had more than 0.51."""


_SCATTER, _FEWEST = 0.18, 12
"""Of frequencies of landmarks that agree, in parts of the tolerance: those of one recording scatter by .14 at most,
through noise, phone, room and at another speed (48 excerpts of eight songs), those of the song with another soundfont
by .21 at least. And how many have to agree for the difference to be seen."""


@dataclass(frozen=True, slots=True)
class SoundLandmarks:
    """Landmarks of a sound. `seconds`: `[n]`, ascending; `hertz`: `[n]`."""

    seconds: F64
    hertz: F64

    def between(self, first: float, last: float) -> SoundLandmarks:
        """Landmarks from one second to another."""
        chosen = slice(*np.searchsorted(self.seconds, (first, last)))
        return SoundLandmarks(self.seconds[chosen], self.hertz[chosen])

    def placed(self, offset: float, speed: float) -> SoundLandmarks:
        """The same, were it to begin at `offset` in a sound that is played so many times as fast."""
        return SoundLandmarks(offset + self.seconds * speed, self.hertz / speed)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of landmarks with a catalogued sound at one offset.

    Attributes:
        beside: The excess of the best moment beside that place: music agrees with itself a beat away.
    """

    excess: float
    share: float
    beside: float = 0.0


def agreement(asked: SoundLandmarks, sound: SoundLandmarks) -> Agreement:
    """Compares what is asked, as `placed` gives it, with all landmarks of a sound, there and a moment away."""
    if not len(asked.seconds):
        return Agreement(0.0, 0.0)
    first, last = float(asked.seconds[0]), float(asked.seconds[-1])
    near = sound.between(first - 2.0, last + 2.0)
    count = int(_agreeing(asked, near).sum())
    moments = [int(_agreeing(asked.placed(shift, 1.0), near).sum()) for shift in _SHIFTS]
    chance = float(np.mean(moments))
    spread = float(np.sqrt(chance + 1.0))
    most = min(len(asked.seconds), len(near.between(first, last).seconds))
    return Agreement(
        (count - chance) / spread, (count - chance) / max(1.0, most - chance), (max(moments) - chance) / spread
    )


def is_recording(asked: SoundLandmarks, sound: SoundLandmarks) -> bool:
    """Whether what is asked, as `placed` gives it, is the recording, and not its notes played by other instruments.

    Peaks of another rendering are near, as the notes are the same, but not at the same frequencies.
    """
    first = np.searchsorted(sound.seconds, asked.seconds - _SECONDS)
    last = np.searchsorted(sound.seconds, asked.seconds + _SECONDS)
    off = []
    for hertz, begin, end in zip(asked.hertz, first, last, strict=True):
        apart = (sound.hertz[begin:end] - hertz) / max(_HERTZ, _SHARE * hertz)
        off += [apart[np.argmin(np.abs(apart))]] if len(apart) and np.abs(apart).min() < 1.0 else []
    # a speed that is nearly right moves all frequencies alike
    return len(off) < _FEWEST or float(np.abs(off - np.median(off)).mean()) < _SCATTER


def is_copy(one: SoundLandmarks, other: SoundLandmarks) -> bool:
    """Whether two stretches, placed at one time, are of the same recording."""
    total = len(one.seconds) + len(other.seconds)
    return 2.0 * float(_agreeing(one, other).sum()) > _COPY * max(1, total)


def _agreeing(asked: SoundLandmarks, sound: SoundLandmarks) -> NDArray[np.bool_]:
    """Which of the landmarks have one of the sound near them."""
    first = np.searchsorted(sound.seconds, asked.seconds - _SECONDS)
    last = np.searchsorted(sound.seconds, asked.seconds + _SECONDS)
    found = np.zeros(len(asked.seconds), np.bool_)
    within = np.maximum(_HERTZ, _SHARE * asked.hertz)
    for step in range(int((last - first).max(initial=0))):
        place = np.minimum(first + step, len(sound.seconds) - 1)
        found |= (first + step < last) & (np.abs(sound.hertz[place] - asked.hertz) < within)
    return found
