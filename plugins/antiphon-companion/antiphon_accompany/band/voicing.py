"""Voicing of chords: a bass, and voices of a part with small, non-parallel motion, below the melody."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache

from antiphon_accompany.harmony.chords import KINDS, Chord

BASS_CENTRE = 45
"""Target MIDI number of the left hand's lowest note."""
LOWEST, HIGHEST = 28, 96
NEAR, CENTRE, ABOVE, PARALLEL = 0.15, 0.5, 3.0, 12.0
"""Costs of a semitone of motion, a semitone off the centre, one above the ceiling, a parallel fifth or octave."""
_NONE: tuple[int, ...] = ()


@cache
def shapes(chord: Chord, voicing: str) -> tuple[tuple[int, ...], ...]:
    """All voicings of a chord for a part, MIDI numbers from below.

    `voicing`: "close" four tones in a row, "open" the second highest an octave lower, "triad" three in a row, "shell"
    without root where there is a seventh, "power" root and fifth, "choir" three up to a tenth apart.
    """
    tones = chord.tones
    count = 4
    if voicing in ("triad", "choir"):
        # of a seventh or ninth the fifth is left out
        tones, count = tones[:3] if len(tones) == 3 else (tones[0], tones[1], tones[3]), 3
    elif voicing == "shell":
        tones, count = tones[1:4] if len(tones) > 3 else tones, 3
    elif voicing == "power":
        tones, count = (tones[0], tones[2]), 3
    elif len(tones) > 4:
        tones = tones[1:]
    row = [pitch for pitch in range(LOWEST + 8, HIGHEST) if pitch % 12 in tones]
    found: list[tuple[int, ...]] = []
    for n in range(len(row) - count - 2):
        close = tuple(row[n : n + count])
        if voicing == "open":
            close = tuple(sorted((close[0], close[1], close[2] - 12, close[3])))
        if voicing == "power" and close[0] % 12 != chord.root:
            continue
        found.append(close)
        if voicing == "choir":
            found += [
                (row[n], row[n + 2], row[n + 4]),
                (row[n], row[n + 1], row[n + 3]),
                (row[n], row[n + 2], row[n + 3]),
            ]
    if voicing == "choir":
        found = [shape for shape in found if {pitch % 12 for pitch in shape} >= set(tones)]
    return tuple(found)


def parallels(before: tuple[int, ...], after: tuple[int, ...]) -> int:
    """Number of parallel fifths and octaves between two voicings."""
    if len(before) != len(after):
        return 0
    moved = [(p, q) for p, q in zip(before, after, strict=True) if p != q]
    count = 0
    for n, (low, low_to) in enumerate(moved):
        for high, high_to in moved[n + 1 :]:
            apart = (high - low) % 12
            if apart in (0, 7) and apart == (high_to - low_to) % 12 and (high_to > high) == (low_to > low):
                count += 1
    return count


@dataclass(frozen=True, slots=True)
class Placing:
    """Settings by which the voices of a chord are placed.

    `centre`: target MIDI number of the second voice. `ceiling`: highest key for the third voice. `basses`: the previous
    bass and the bass of the chord. `strict`: parallels with the bass cost more.
    """

    chord: Chord
    voicing: str
    centre: int
    ceiling: int
    basses: tuple[int, int]
    strict: bool = False


class PartVoices:
    """The voices of one part."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Clears the voices, so that only the centre determines the next chord's place."""
        self.held = _NONE
        # the keys that were struck for the voices: below the melody, so not always in their order
        self._struck: list[int] = []
        self._before: tuple[tuple[int, ...], list[int]] = _NONE, []
        self._unsettled: Placing | None = None

    def place(self, placing: Placing, below: Callable[[int], int] = int) -> None:
        """Moves the voices to a chord.

        `below`: returns the key to strike for a voice, moved away from the melody.
        """
        self._before, self._unsettled = (self.held, self._struck), placing
        self._place(placing, below, (), (), bool)

    def settle(
        self,
        below: Callable[[int], int],
        left: Sequence[int],
        lanes: Collection[str],
        free: Callable[[int], bool] = bool,
    ) -> None:
        """Moves the voices to their chord again when its first keys are struck and the sounding keys are known.

        `left`: keys of the bass and this part that sounded until then. `lanes`: lanes struck together; without any the
        voices stay. `free`: whether the melody leaves a key free.
        """
        placing, self._unsettled = self._unsettled, None
        if placing is not None and lanes:
            self._place(placing, below, left, lanes, free)

    def _place(
        self,
        placing: Placing,
        below: Callable[[int], int],
        left: Sequence[int],
        lanes: Collection[str],
        free: Callable[[int], bool],
    ) -> None:
        basses, ceiling = placing.basses, placing.ceiling
        centre = max(min(placing.centre, ceiling - 1), basses[1] + 12)
        before, struck_before = self._before
        toll = 3.0 * PARALLEL if placing.strict else PARALLEL
        best, held, struck = float("inf"), before, struck_before
        for shape in shapes(placing.chord, placing.voicing):
            if not centre - 17 <= shape[1] <= centre + 12:
                continue
            cost = CENTRE * abs(shape[1] - centre) + ABOVE * max(0, shape[2] - ceiling)
            if len(before) == len(shape):
                cost += NEAR * sum(abs(p - q) for p, q in zip(shape, before, strict=True))
            if cost < best:
                keys = [below(pitch) for pitch in shape]
                cost += ABOVE * max(0, basses[1] + 3 - min(keys))
                if left:
                    together = {key for lane in lanes for key in voices_of_lane(keys, lane) if free(key)}
                    cost += toll * parallels(*outer(left, (basses[1], *sorted(together))))
                # the three that a chord strikes, and all four
                for count in {3, len(keys)}:
                    pair = sorted(struck_before[:count]), sorted(keys[:count])
                    cost += toll * parallels((basses[0], *pair[0]), (basses[1], *pair[1]))
                if cost < best:
                    best, held, struck = cost, shape, keys
        self.held, self._struck = held, list(struck)

    def strike(self, pitch: int, key: int) -> None:
        """Notes the key that is struck for a voice's pitch."""
        if pitch in self.held:
            self._struck[self.held.index(pitch)] = key

    def pitches(self, lane: str) -> tuple[int, ...]:
        """Keys of a lane of the right hand."""
        return tuple(voices_of_lane(self.held, lane))


def voices_of_lane(voices: Sequence[int], lane: str) -> Sequence[int]:
    """Voices, from below, that a lane of the right hand strikes."""
    match lane:
        case "chord":
            return voices[:3]
        case "upper":
            return voices[1:3]
    number = int(lane[-1]) - 1
    return voices[number : number + 1]


def outer(then: Sequence[int], now: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the keys before and after a change: all, or the outer two if the counts differ; none if one is single."""
    if len(then) == len(now):
        return tuple(then), tuple(now)
    return ((then[0], then[-1]), (now[0], now[-1])) if min(len(then), len(now)) > 1 else ((), ())


def choose_bass_key(chord: Chord, before: int, centre: int) -> int:
    """Bass key of a chord: near the previous one and a centre."""
    centre = max(centre, LOWEST + 5)
    spots = [p for p in range(max(LOWEST, centre - 8), centre + 9) if p % 12 == chord.bass]
    return min(spots, key=lambda p: abs(p - before) + 0.8 * abs(p - centre))


def left_hand(chord: Chord, bass: int, lane: str) -> int:
    """The MIDI note of a part of the left hand: the "fifth", "third", "octave" or "tenth" above the bass."""
    above = {(tone - chord.bass) % 12 for tone in chord.tones}
    third, fifth = KINDS[chord.kind].tones[1], KINDS[chord.kind].tones[2]
    match lane:
        case "fifth":
            # under an inversion the nearest tone of the chord
            wanted = fifth if chord.bass == chord.root else min(above - {0}, key=lambda step: abs(step - 7))
            return bass + wanted
        case "third":
            return bass + (third if chord.bass == chord.root else min(above - {0}))
        case "octave":
            return bass + 12
        case "tenth":
            return bass + 12 + (third if chord.bass == chord.root else min(above - {0}))
    return bass
