"""Node `listen`: its processor and worker, and the data that they exchange."""

import math

from antiphon.api.backends.signal import KEY_NAMES

HOP = 4096
"""Frames of a hop at the stream's own rate: 85 ms at 48 kHz."""
LEAD = 1
"""Hops that the worker has for an answer, at least: beats are predicted, and a chord may be late."""
TEMPO, NEXT, PLACE, METER, KEY, CHORD, MOMENTARY, SHORT_TERM, INTEGRATED, FIELDS = range(10)
"""Indices in an answer: bpm (0: none), seconds from the hop's end to the next beat, that beat's position in its bar
from 0, beats of a bar, key and chord as indices in `KEYS` and `CHORDS`, and three loudnesses in LUFS."""
KEYS = ("none", *KEY_NAMES)
CHORDS = ("none", *(name.replace(" ", ":")[:-2] for name in KEY_NAMES))


# ---- Beat scheduler from delayed estimates

_REFRACTORY_SHARE = 0.6
"""Refractory time after a beat, as a share of a period."""
_MAX_LATENESS = 0.03
"""Maximum delay of a beat in seconds; a later one is skipped."""


class NextBeats:
    """Scheduled beats in samples of the stream.

    `period`: frames per beat; 0 without a beat. `meter`: beats per bar. `place`: position of the last beat in its bar,
    from 0. `last`: sample of the last beat, -inf before the first.
    """

    def __init__(self, rate: int) -> None:
        self._late = _MAX_LATENESS * rate
        self.clear()

    def clear(self) -> None:
        self.period, self.last, self.meter, self.place = 0.0, -math.inf, 4, 0
        self._next, self._next_place = math.inf, 0

    def update(self, period: float, beat: float, place: int, meter: int, now: float) -> None:
        """Sets a new estimate: beat period in frames (0: none), a beat's sample, its place in a bar of `meter`.

        Beats from sample `now` on have not been output yet.
        """
        if period <= 0.0:
            self.clear()
            return
        earliest = max(now - self._late, self.last + _REFRACTORY_SHARE * period)
        steps = max(0, math.ceil((earliest - beat) / period))
        self.period, self.meter = period, meter
        self._next, self._next_place = beat + steps * period, (place + steps) % meter

    def beat_in_block(self, first: int, last: int) -> int | None:
        """Returns the next beat of a block, each beat once.

        `first`: sample of the first requested frame. `last`: sample after the last. Returns the sample of the beat,
        `first` if it was due earlier; None without a beat.
        """
        if self._next >= last:
            return None
        at = max(first, math.ceil(self._next))
        if at >= last:
            return None
        self.last, self.place = self._next, self._next_place % self.meter
        self._next += self.period
        self._next_place += 1
        return at
