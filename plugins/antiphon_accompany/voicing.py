"""From a chord to keys: a bass, the left hand, and a right hand that moves little and stays below the melody."""

from __future__ import annotations

from functools import cache

from antiphon_accompany.chords import tones

BASS = 36
"""C2: the bass lies in the octave and a bit from here up."""
RIGHT = 64
"""Where the right hand's middle is drawn to."""
LOWEST, HIGHEST = 28, 96


@cache
def _shape(lowest: int, chord: int) -> tuple[int, ...]:
    """Four tones of the chord in a row from `lowest` up; none where that is no tone of it."""
    wanted = [p for p in range(lowest, lowest + 24) if p % 12 in tones(chord)][:4]
    return tuple(wanted) if wanted[0] == lowest else ()


class Hands:
    """Where the hands are. register: semitones all of it is moved by."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Moves the hands to the middle."""
        self.chord = self.root = 0
        self.bass = BASS + 6
        self.right: tuple[int, ...] = (57, 60, 64, 69)

    def place(self, chord: int, ceiling: int, register: int) -> None:
        """The hands go to the chord. ceiling: no tone of the right hand above it."""
        root, _, _ = tones(chord)
        self.root, self.chord = root, chord
        low = BASS + register
        spots = [p for p in range(low, low + 15) if p % 12 == root]
        self.bass = min(spots, key=lambda p: abs(p - self.bass) + 0.5 * abs(p - low - 7))
        middle = min(RIGHT + register, ceiling - 2)
        middle = max(middle, self.bass + 14)
        best: tuple[float, tuple[int, ...]] | None = None
        for lowest in range(middle - 8, middle + 2):
            shape = _shape(lowest, chord)
            if not shape:
                continue
            near = sum(abs(p - q) for p, q in zip(shape, self.right, strict=True))
            cost = 0.15 * near + 0.8 * abs(shape[1] - middle) + 3.0 * max(0, shape[2] - ceiling)
            if best is None or cost < best[0]:
                best = (cost, shape)
        if best is not None:
            self.right = best[1]

    def _clear(self, what: str) -> str:
        """The same, where two tones of the right hand without the chord's third take it for the root or the fifth."""
        hand = [letter for letter in what if letter in "1234"]
        third = tones(self.chord)[1]
        thirds = [n for n in "1234" if self.right[int(n) - 1] % 12 == third]
        if len(hand) != 2 or not thirds or any(letter in thirds for letter in hand):
            return what
        roots = [letter for letter in hand if self.right[int(letter) - 1] % 12 == self.root]
        left = roots[0] if roots else hand[0]
        return what.replace(left, min(thirds, key=lambda n: abs(int(n) - int(left))))

    def pitches(self, what: str) -> list[int]:
        """The keys a strike's letters stand for; see `styles.Strike`."""
        minor = self.chord >= 12
        result = []
        for letter in self._clear(what):
            match letter:
                case "b":
                    pitch = self.bass
                case "f":
                    pitch = self.bass + 7
                case "o":
                    pitch = self.bass + 12
                case "t":
                    pitch = self.bass + (15 if minor else 16)
                case _:
                    pitch = self.right[int(letter) - 1]
            if LOWEST <= pitch <= HIGHEST and pitch not in result:
                result.append(pitch)
        return result
