"""Section of each bar: variations, a fill before the next variation, and the sections that the performer triggers."""

from antiphon_accompany.band.styles import PHRASE
from antiphon_accompany.harmony.chordtext import ENDING_BARS

CALLS = ("fill", "break", "ending")
VARIATIONS = ("auto", "A", "B")
_NEVER = -(1 << 60)


class Form:
    """Form of the performance, in bars of the clock."""

    def __init__(self) -> None:
        self.begins = 0.0  # a file's first beat of melody
        self.restart()

    def restart(self) -> None:
        """Clears the form, including a played ending."""
        self._over, self._silent_since = False, 0.0
        self.clear()

    def clear(self) -> None:
        """Clears all triggered sections, before a start."""
        self.called: set[str] = set()
        self.begun: int | None = None
        self._fill = self._break = _NEVER
        self.closes = -_NEVER

    def plays_at(self, beat: int, bar: int, place: int, patience: int, last: float, *, text: bool) -> bool:
        """Whether to play at a beat. Called for each beat in order.

        `bar`: number of its bar. `place`: the beat in it, from 0. `patience`: beats without a note after which it ends.
        `last`: beat of the player's last note.
        """
        if bar >= self.closes + ENDING_BARS:
            self._over = True
            # what is played from here on begins anew
            self._silent_since = float(beat)
            self.clear()
        if self._over:
            self._over = last < self._silent_since
        if self._over or text:
            return not self._over
        # what is held for longer was most likely never ended
        if beat - last > patience and self.begun is not None and bar < self.closes:
            if place:
                return True
            self.closes = bar
        return beat - last <= patience or bar >= self.closes

    def section(self, bar: int, place: int, meter: int, variation: str, last: int | None) -> tuple[str, int]:
        """Section of a beat, and the bar's number in it. Called for each beat in order.

        `place`: the beat in the bar, from 0. `meter`: beats of a bar. `variation`: one of `VARIATIONS`. `last`: the
        last bar of a file; None live.
        """
        if self.begun is None:
            upbeat = bar * meter + 1.0 <= self.begins < (bar + 1) * meter
            self.begun = bar + upbeat
        if "fill" in self.called:
            self._fill = bar
        self.called.discard("fill")
        if place == 0:
            if "break" in self.called:
                self._break = bar
            if "ending" in self.called and bar < self.closes:
                self.closes = bar
            self.called.clear()
        if bar >= self.closes:
            return "ending", bar - self.closes
        if bar == last:
            return "ending", ENDING_BARS - 1
        if bar == self._fill:
            return "fill", 0
        if bar == self._break:
            return "break", 0
        number, since = divmod(max(0, bar - self.begun), PHRASE)
        if variation != "auto":
            return variation, since
        if number == since == 0:
            return "intro", 0
        if since == PHRASE - 1:
            return "fill", 0
        return "AB"[number % 2], since
