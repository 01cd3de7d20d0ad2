"""Content of a MIDI file: tracks of notes and controllers in beats, a tempo map, and where its players' beats are."""

import cmath
import math
from bisect import bisect, bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

DEFAULT_BPM = 120.0
"""Default tempo of a MIDI file."""
TICKS = 480
"""Ticks per beat of written files."""
Tempo = Sequence[tuple[float, float]]
"""Tempo map as (beat, bpm), in order, the first at beat 0."""


@dataclass(frozen=True, slots=True)
class MidiNote:
    """A note of a MIDI file."""

    start: float  # in beats (quarter notes) from the beginning
    length: float  # in beats
    number: int  # 0 to 127
    velocity: float = 0.8  # above 0 to 1
    channel: int = 1  # 1 to 16
    release: int = 64  # velocity of its end, 0 to 127

    @property
    def end(self) -> float:
        """End of the note in beats."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class MidiControlChange:
    """A controller, a pitch bend or a program change of a MIDI file."""

    at: float  # in beats from the beginning
    kind: str  # "control", "bend" or "program"
    number: int  # number of the controller or the program, 0 to 127
    value: float  # 0 to 1, or -1 to 1 for a bend; 0 for a program
    channel: int = 1  # 1 to 16


@dataclass(frozen=True, slots=True)
class MidiTrack:
    """A track of a MIDI file.

    `name`: its name, or "". `program`: the General MIDI instrument it begins with, 0 to 127, or None. `lyrics`: (beat,
    syllable) of what is sung, in order, with a hyphen where its word goes on; "-" holds the one before.
    """

    name: str = ""
    notes: tuple[MidiNote, ...] = ()
    program: int | None = None
    controls: tuple[MidiControlChange, ...] = ()
    lyrics: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class MidiSong:
    """A MIDI file.

    `texts`: (beat, kind, text) of each lyric, marker and text, in order; kind is mido's name. `tunings`: (beat,
    channels 1 to 16, semitones beside each pitch class from C) of each tuning of the octave, in order.
    """

    tracks: tuple[MidiTrack, ...]
    tempo: tuple[tuple[float, float], ...] = ((0.0, DEFAULT_BPM),)  # (beat, bpm) from there on, the first at beat 0
    ticks: int = TICKS  # ticks of a beat in the file
    length: float = 0.0  # beats to the end of its longest track
    signatures: tuple[tuple[float, int, int], ...] = ()  # (beat, upper, lower) of each time signature, in order
    texts: tuple[tuple[float, str, str], ...] = ()
    keys: tuple[tuple[float, str], ...] = ()  # (beat, name as "F#m") of each key signature, in order
    drums: frozenset[int] = frozenset({10})  # channels of rhythm parts, 1 to 16
    tunings: tuple[tuple[float, frozenset[int], tuple[float, ...]], ...] = ()

    @property
    def meters(self) -> tuple[tuple[float, float], ...]:
        """Time signatures as (beat, beats per bar), in order; empty without any."""
        return tuple((at, 4.0 * upper / lower) for at, upper, lower in self.signatures)

    @property
    def has_no_bars(self) -> bool:
        """Whether its time signatures mean no bars; see `is_barless`."""
        return is_barless(self._uppers)

    @property
    def in_fours(self) -> bool:
        """Whether its bars may be of four quarter notes."""
        return in_fours(self._uppers)

    @property
    def _uppers(self) -> list[tuple[int, int]]:
        return [(upper, lower) for _, upper, lower in self.signatures]

    def beat_offset_of_notes(self, *, guess: bool = False) -> float | None:
        """`beat_offset` of its pitched notes, or of all where these are few."""
        notes = [note for track in self.tracks for note in track.notes]
        pitched = [note for note in notes if note.channel not in self.drums]
        chosen = pitched if len(pitched) >= FEW else notes
        rows = [(note.start, note.end, note.number) for note in chosen]
        return beat_offset(rows, self._uppers, guess=guess)

    def seconds(self, beat: float) -> float:
        """Time in seconds of a beat, by the tempo map."""
        return Times(self.tempo).seconds(beat)


class Times:
    """Converts between beats and seconds by a tempo map of the form of `MidiSong.tempo`."""

    def __init__(self, tempo: Tempo) -> None:
        """Computes the times of tempo changes. `tempo`: (beat, bpm), in order, the first at beat 0."""
        self._beats = [at for at, _ in tempo]
        self._bpm = [bpm for _, bpm in tempo]
        self._seconds = [0.0]
        for last, after, bpm in zip(self._beats, self._beats[1:], self._bpm, strict=False):
            self._seconds.append(self._seconds[-1] + (after - last) * 60.0 / bpm)

    def seconds(self, beat: float) -> float:
        """Converts a beat to a time."""
        place = max(0, bisect(self._beats, beat) - 1)
        return self._seconds[place] + (beat - self._beats[place]) * 60.0 / self._bpm[place]

    def bpm(self, beat: float) -> float:
        """Tempo at a beat."""
        return self._bpm[max(0, bisect(self._beats, beat) - 1)]

    def beat(self, seconds: float) -> float:
        """Converts a time to a beat."""
        place = max(0, bisect(self._seconds, seconds) - 1)
        return self._beats[place] + (seconds - self._seconds[place]) * self._bpm[place] / 60.0


# ---- Place of the players' beats in a MIDI file, which need not be the file's own: recordings begin anywhere on a grid

BAR = 4
"""Quarter notes in a bar."""
FEW = 8
"""Number of notes below which a song is assumed to be on its beats."""
_EXACT, _ON_BEATS = 0.005, 0.1
"""Tolerance in beats of an exact onset, and share of exact onsets from which a song is notated on its beats."""
_STEADY, _BY_CHANCE, _SURE = 0.35, 2.0, 0.99
"""Minimum mean vector of onset phases for a steady step; that of random onsets, times the root of their number; and the
value that suffices for a few onsets."""
_SIXTEENTH, _TRIPLETS, _OTHERS, _NEARLY = 4, (3, 6), (1, 2, 3, 4, 6), 0.1
"""Steps of a beat, and the margin by which sixteenths may be less steady than triplets."""
_BESIDE, _OFF_STEP = 0.06, 0.25
"""Offset in beats from which notes are off the beats, and offset as a fraction of a step from which they are off it."""
_BY_HAND, _MANY, _BESIDE_GRID = 0.95, 32, 0.02
"""Mean vector below which notes are played by hand; number below which they always are; off-beat limit for others."""
_BETTER, _BETTER_FEW, _CLEAR, _CLEAR_FEW = 0.3, 3.0, 0.05, 1.0
"""Margin in log probability per note by which another quarter beats the file's own for notes on sixteenths, and by
which the best quarter is clear of the next; each also for few notes, divided by the root of their number."""
_RANKS, _AGAIN = (0.25, 0.5, 0.75), 2.2
"""Bounds of the length classes as ranks among all notes; quarter notes after which a pitch class counts as new."""
_STARTS = (
    (56, 17, 84, 49, 93, 31, 107, 50, 66, 19, 80, 44, 98, 40, 115, 52),
    (108, 23, 86, 40, 69, 22, 102, 42, 59, 20, 78, 34, 85, 34, 127, 72),
    (87, 12, 76, 31, 131, 24, 97, 25, 103, 15, 84, 33, 136, 25, 100, 21),
    (146, 18, 83, 25, 79, 20, 101, 25, 90, 17, 82, 23, 111, 26, 121, 35),
    (138, 13, 64, 28, 139, 20, 75, 23, 152, 18, 80, 27, 138, 18, 54, 13),
    (223, 19, 64, 22, 97, 18, 78, 20, 130, 18, 65, 21, 107, 19, 78, 22),
    (224, 26, 79, 28, 111, 14, 66, 28, 186, 25, 57, 21, 73, 12, 34, 17),
    (341, 24, 70, 19, 93, 15, 51, 23, 160, 20, 42, 17, 46, 15, 42, 21),
)
"""Share in thousandths of notes that begin on each quarter of a beat in a 4/4 bar, by classes of length, each for
repeated and for new pitch classes; from POP909's songs whose numbers end in 1 to 6."""


def beat_offset(
    notes: Sequence[tuple[float, float, int]], meters: Collection[tuple[int, int]], *, guess: bool = False
) -> float | None:
    """Offset in quarter notes of the players' beats after the file's; None if they do not keep them steadily.

    0.0 for notes on the file's beats. For other notes: 0 to below 4, to one of their bar lines, if they are in fours;
    else, or if they are off by less than a quarter of a beat, -0.5 to 0.5.

    Args:
        notes: (start, end, number) of each, in quarter notes, in any order.
        meters: (upper, lower) of each time signature, as for `is_barless` and `in_fours`.
        guess: Whether to take the most probable quarter if none is clear.
    """
    if len(notes) < FEW:
        return 0.0
    notes = sorted(notes)
    starts = [start for start, _, _ in notes]
    onsets = {round(start, 3) for start in starts}
    has_no_bars = is_barless(meters)
    exact = sum(abs(at - round(at)) < _EXACT for at in onsets) > _ON_BEATS * len(onsets)
    if exact and not has_no_bars:
        return 0.0
    turns = {steps: sum(cmath.exp(2j * math.pi * steps * at) for at in starts) / len(starts) for steps in _OTHERS}
    root = math.sqrt(len(onsets))
    least = min(_SURE, max(_STEADY, _BY_CHANCE / root))
    even, uneven = abs(turns[_SIXTEENTH]), max(abs(turns[steps]) for steps in _TRIPLETS)
    compound = any(lower >= 8 for _, lower in meters)
    late, best, kinds = 0.0, 0, _kinds(notes)
    if compound or even < max(least, uneven - _NEARLY):
        sides = [abs(cmath.phase(turn)) / (2.0 * math.pi) for turn in turns.values() if abs(turn) > least]
        if not sides or max(sides) >= _OFF_STEP:
            return None
    else:
        late = cmath.phase(turns[_SIXTEENTH]) / (2.0 * math.pi * _SIXTEENTH)
        chances = _chances(
            [[sum(row[n::_SIXTEENTH]) for n in range(_SIXTEENTH)] for row in _STARTS], kinds, starts, late
        )
        best = chances.index(max(chances))
        by_hand = even < _BY_HAND or len(onsets) < _MANY
        if abs(late) < (_BESIDE if by_hand else _BESIDE_GRID) and (exact or not has_no_bars):
            if chances[best] - chances[0] < max(_BETTER, _BETTER_FEW / root):
                late, best = (late, 0) if has_no_bars else (0.0, 0)
        elif not guess and chances[best] - sorted(chances)[-2] < max(_CLEAR, _CLEAR_FEW / root):
            return None
    late += best / _SIXTEENTH
    if not (best or has_no_bars) or not in_fours(meters):
        return (late + 0.5) % 1.0 - 0.5
    bars = _chances(_STARTS, kinds, starts, late)[::_SIXTEENTH]
    return (late + bars.index(max(bars))) % BAR


def is_barless(meters: Collection[tuple[int, int]]) -> bool:
    """Whether all bars have one beat, which transcription programs write for music without bars."""
    return bool(meters) and all(upper == 1 for upper, _ in meters)


def in_fours(meters: Collection[tuple[int, int]]) -> bool:
    """Whether bars may be of four quarter notes."""
    return is_barless(meters) or all(upper * 4 / lower in (2, BAR) for upper, lower in meters)


def _kinds(notes: Sequence[tuple[float, float, int]]) -> list[int]:
    """Row of `_STARTS` for each note; equal lengths carry no information."""
    lengths = [round(end - start, 2) for start, end, _ in notes]
    ordered, before = sorted(lengths), dict[int, float]()
    kinds = []
    for (start, _, number), length in zip(notes, lengths, strict=True):
        rank = (bisect_left(ordered, length) + bisect_right(ordered, length)) / (2.0 * len(notes))
        new = start - before.get(number % 12, -math.inf) > _AGAIN
        before[number % 12] = start
        kinds.append(2 * bisect_left(_RANKS, rank) + new)
    return kinds


def _chances(table: Sequence[Sequence[int]], kinds: Sequence[int], starts: Sequence[float], late: float) -> list[float]:
    """Mean log probability of notes by a table, for beats that are later than `late` by each quarter in turn."""
    size, logs = len(table[0]), [[math.log(count / sum(row)) for count in row] for row in table]
    found = Counter((kind, round((at - late) * _SIXTEENTH) % size) for kind, at in zip(kinds, starts, strict=True))
    return [
        sum(count * logs[kind][(quarter - by) % size] for (kind, quarter), count in found.items()) / len(starts)
        for by in range(size)
    ]
