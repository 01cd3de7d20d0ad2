"""A score of parts: as it is written, measure by measure, and as it is played, its repeats unfolded, ties joined."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, NamedTuple

from antiphon.files.scores.midi_song import DEFAULT_BPM, Tempo
from antiphon.files.scores.score_form import MAX_PLAYED, Signs, played_order

VELOCITY = 0.8
"""Velocity of notes without dynamics."""

# ---- A written score as it is played: repeats unfolded, ties joined, pitches as they sound


@dataclass(frozen=True, slots=True)
class ScoreNote:
    """A note of a part."""

    start: float  # in quarters from the score's start; a grace note has that of the note that it leads to
    length: float  # in quarters; 0 for a grace note
    number: int  # as it sounds, 0 to 127
    measure: int  # place among `Score.measures`
    voice: str = "1"
    staff: int = 1
    syllable: str = ""  # of the verse that is sung this time, with a hyphen where its word goes on
    grace: bool = False
    fermata: bool = False
    drum: bool = False  # it is unpitched, and `number` General MIDI's
    ornaments: tuple[str, ...] = ()  # as MusicXML names them: "trill-mark", "mordent", "arpeggiate"
    velocity: float = VELOCITY  # 0 to 1, by dynamics and accents
    bend: float = 0.0  # semitones by which it sounds beside its number, as quarter tones do: -1 to 1
    held: float = 1.0  # share of its length that sounds, as of a staccato

    @property
    def end(self) -> float:
        """End of the note in quarters."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class ScorePart:
    """A part of a score. `notes`: sorted by start; grace notes before their main note, chords from the lowest up."""

    id: str
    name: str
    notes: tuple[ScoreNote, ...]
    transposition: int = 0  # semitones by which its first staff sounds above what is written, at the beginning
    program: int | None = None  # of General MIDI, 0 to 127


@dataclass(frozen=True, slots=True)
class ScoreMeasure:
    """A measure in playing order."""

    start: float  # in quarters from the score's start
    length: float  # in quarters
    name: str  # its number as it is printed
    written: int  # its place in the written score, from 0
    time: int  # how often it has been played by then, from 1
    meter: tuple[int, int] = (4, 4)  # time signature
    before: float = 0.0  # quarters that a pickup lacks at its beginning


@dataclass(frozen=True, slots=True)
class Score:
    """A score in playing order.

    All positions are in quarters from its start. `tempo`: (quarter, bpm of quarters), the first at 0. `words`:
    (quarter, text) of tempo words and directions. `fermatas`: their positions, over notes or rests. `chords`: (quarter,
    symbol or "N") of each printed chord, which holds until the next. `swing`: (quarter, share, unit) from there on: the
    second of two notes of `unit` quarters begins after this share of both. `unused`: kinds of signs that no note plays,
    and their numbers.
    """

    title: str
    parts: tuple[ScorePart, ...]
    measures: tuple[ScoreMeasure, ...]
    tempo: Tempo
    keys: tuple[tuple[float, int], ...] = ()  # (quarter, sharps, or flats below 0) of the first part as it sounds
    words: tuple[tuple[float, str], ...] = ()
    fermatas: tuple[float, ...] = ()
    chords: tuple[tuple[float, str], ...] = ()
    swing: tuple[tuple[float, float, float], ...] = ()
    unused: tuple[tuple[str, int], ...] = ()

    @property
    def length(self) -> float:
        """Quarters to the end of the last measure."""
        return self.measures[-1].start + self.measures[-1].length if self.measures else 0.0

    def measure_at(self, quarter: float) -> int:
        """Index in `measures` of the one that sounds at a position; the first or last one outside the score."""
        return max(0, bisect_right(self.measures, quarter + 1e-6, key=lambda one: one.start) - 1)

    def beat_at(self, quarter: float) -> float:
        """Beat within its measure, from 1, in units of the time signature's lower number; a pickup ends on its last."""
        one = self.measures[self.measure_at(quarter)]
        return 1.0 + (quarter - one.start + one.before) * one.meter[1] / 4.0


# ---- A score as it is written, measure by measure, and its unfolding into what is played

MAX_QUARTERS = 1 << 17
"""Maximum length in played quarters: 18 h at 120 bpm."""
MAX_PART_NOTES = 1 << 18
"""Maximum played notes of a part."""
MIN_BPM, MAX_BPM = 5.0, 1000.0
_SNAP = Fraction(1, 32)
"""Tolerance in quarters for rounded durations at a bar line or at the end of a tie."""
_GRID, _TUPLET = Fraction(1, 8), Fraction(1, 2)
"""Grid in quarters of a measure's length, and maximum deviation from the time signature at which a length off this grid
is taken for an error: tuplets and ornaments that do not add up."""
_STEP, _SOFTEST = 16 / 127, 16 / 127
"""Change of velocity by a hairpin that leads to no dynamics, and the lowest that it leads to."""
Lyric = tuple[int, frozenset[int], str]
"""A syllable: its verse, the repetitions in which it is sung (empty: all), and its text."""


class LevelMark(NamedTuple):
    """A mark of a part's dynamics at `at`, in quarters.

    `kind`: "level" sets `velocity`, 0 to 1, from `at` on; "note" sets it for the notes at `at` alone; "up" and "down"
    begin a hairpin, which changes the velocity until the next "stop".
    """

    at: Fraction
    kind: Literal["level", "note", "up", "down", "stop"]
    velocity: float = 0.0


class ScoreRefused(ValueError):
    """The reason why a score is refused."""


@dataclass(slots=True)
class WrittenNote:
    """A note; `start` and `length` are in quarters, from the beginning of its measure."""

    start: Fraction
    length: Fraction
    number: int  # as it sounds
    voice: str
    staff: int
    drum: bool
    grace: bool
    fermata: bool
    tied_from: bool
    tied_to: bool
    lyrics: tuple[Lyric, ...]
    ornaments: tuple[str, ...]
    accent: float = 0.0  # added to the velocity
    bend: float = 0.0
    held: float = 1.0

    def syllable(self, time: int) -> str:
        """The syllable of the `time`-th repetition: of the verse with that number, else of the last verse before it."""
        best = ""
        for verse, only, text in self.lyrics:
            if time in only or (not only and (verse <= time or not best)):
                best = text
        return best


@dataclass(slots=True)
class WrittenMeasure:
    """A measure of all parts. Positions are in quarters from its beginning."""

    name: str
    signs: Signs
    implicit: bool = False  # it is not counted, as a pickup
    meter: tuple[int, int] = (0, 4)  # time signature; (0, 4) where none is known
    length: Fraction = Fraction(0)
    tempi: dict[Fraction, tuple[int, float]] = field(default_factory=dict)  # how exact it is, and bpm
    tempo: float = DEFAULT_BPM  # where it begins
    key: int | None = None  # sharps, where they change
    words: list[tuple[Fraction, str]] = field(default_factory=list)
    fermatas: set[Fraction] = field(default_factory=set)
    coda_signs: int = 0  # without a word of where they lead
    rows: list[list[WrittenNote]] = field(default_factory=list)  # of each part
    levels: list[list[LevelMark]] = field(default_factory=list)  # of each part
    chords: list[tuple[Fraction, str]] = field(default_factory=list)
    swing: list[tuple[Fraction, float, float]] = field(default_factory=list)

    def put_tempo(self, at: Fraction, exact: int, bpm: float) -> None:
        """Sets a tempo, 0 for none, unless a more precise one is already there."""
        if bpm > 0.0 and exact >= self.tempi.get(at, (0, 0.0))[0]:
            self.tempi[at] = exact, min(max(bpm, MIN_BPM), MAX_BPM)


def unfold_written_score(
    title: str, parts: Sequence[ScorePart], written: Sequence[WrittenMeasure], unused: tuple[tuple[str, int], ...] = ()
) -> Score:
    """Puts written measures into playing order. `parts`: without their notes. Raises ScoreRefused: it is too long."""
    _complete_measures(written)
    playing = _PlayingOrder(written)
    full = tuple(replace(one, notes=playing.notes(place)) for place, one in enumerate(parts))
    return playing.score(title, full, unused)


def _complete_measures(written: Sequence[WrittenMeasure]) -> None:
    """Completes lengths, time signatures and tempi; of several coda signs without "To Coda", the first is the jump."""
    meter = (4, 4)
    tempo = written[0].tempi.get(Fraction(0), (0, DEFAULT_BPM))[1]
    codas = [one.signs for one in written if one.coda_signs]
    if len(codas) > 1 and not any(one.signs.to_coda is not None for one in written):
        codas[0].to_coda, codas[0].coda = "", None
    for place, one in enumerate(written):
        meter = one.meter = one.meter if one.meter[0] else meter
        whole = Fraction(4 * meter[0], meter[1])
        off = abs(one.length - whole)
        odd = off < _TUPLET and min(off % _GRID, -off % _GRID) > _SNAP
        if not one.length or off < _SNAP or (odd and place and not one.implicit):
            one.length = whole
        one.tempo = tempo
        tempo = one.tempi[max(one.tempi)][1] if one.tempi else tempo


class _PlayingOrder:
    """Puts written measures into playing order."""

    def __init__(self, written: Sequence[WrittenMeasure]) -> None:
        self._written, order = written, played_order([one.signs for one in written])
        if len(order) >= MAX_PLAYED:
            raise ScoreRefused(f"with its repeats it has more than {MAX_PLAYED} measures")
        self._measures: list[ScoreMeasure] = []
        self._starts: list[Fraction] = []
        at, times = Fraction(0), dict[int, int]()
        for place in order:
            one = written[place]
            times[place] = time = times.get(place, 0) + 1
            short = Fraction(4 * one.meter[0], one.meter[1]) - one.length
            before = max(short, Fraction(0)) if place == 0 or one.implicit else Fraction(0)
            self._starts.append(at)
            self._measures.append(
                ScoreMeasure(float(at), float(one.length), one.name, place, time, one.meter, float(before))
            )
            at += one.length
            if at > MAX_QUARTERS:
                raise ScoreRefused(f"with its repeats it is longer than {MAX_QUARTERS} quarters")

    def score(self, title: str, parts: tuple[ScorePart, ...], unused: tuple[tuple[str, int], ...]) -> Score:
        """Returns the score with its parts."""
        chords, swing = dict[float, str](), list[tuple[float, float, float]]()
        tempo, keys = [(0.0, self._written[0].tempo)], list[tuple[float, int]]()
        words, fermatas = list[tuple[float, str]](), list[float]()
        for one, start, _ in self._played_measures():
            changes = {Fraction(0): one.tempo} | {at: bpm for at, (_, bpm) in sorted(one.tempi.items())}
            for at, bpm in changes.items():
                if bpm != tempo[-1][1]:
                    tempo.append((float(start + at), bpm))
            if one.key is not None and (not keys or keys[-1][1] != one.key):
                keys.append((float(start), one.key))
            words += [(float(start + at), text) for at, text in one.words]
            fermatas += [float(start + at) for at in sorted(one.fermatas)]
            chords |= {float(start + at): text for at, text in one.chords}
            swing += [(float(start + at), share, unit) for at, share, unit in one.swing]
        return Score(
            title,
            parts,
            tuple(self._measures),
            tuple(tempo),
            tuple(keys),
            tuple(words),
            tuple(fermatas),
            tuple(sorted(chords.items())),
            tuple(swing),
            unused,
        )

    def notes(self, part: int) -> tuple[ScoreNote, ...]:
        """Notes of a part; tied notes are joined."""
        found: list[tuple[Fraction, bool, int, ScoreNote]] = []
        ties: dict[int, tuple[int, Fraction]] = {}  # by number: place in `found`, and the end
        for one, start, place in self._played_measures():
            if len(found) > MAX_PART_NOTES:
                raise ScoreRefused(f"with its repeats a part has more than {MAX_PART_NOTES} notes")
            for count, row in enumerate(one.rows[part]):
                at = start + row.start
                end = at + row.length
                kept, until = ties.pop(row.number, (-1, at)) if row.tied_from else (-1, at)
                if kept >= 0 and abs(until - at) < _SNAP:
                    begun, main, rank, note = found[kept]
                    longer = replace(note, length=float(end - begun), fermata=note.fermata or row.fermata)
                    found[kept] = begun, main, rank, longer
                else:
                    kept = len(found)
                    note = _note(row, at, place, self._measures[place].time)
                    found.append((at, not row.grace, count if row.grace else row.number, note))
                if row.tied_to and not row.grace:
                    ties[row.number] = kept, end
        found.sort(key=lambda row: row[:3])
        if levels := self._levels(part):
            return tuple(replace(note, velocity=levels.velocity(note)) for *_, note in found)
        return tuple(note for *_, note in found)

    def _levels(self, part: int) -> "_Levels | None":
        """Dynamics of a part; None without any."""
        marks = [
            mark._replace(at=start + mark.at) for one, start, _ in self._played_measures() for mark in one.levels[part]
        ]
        return _Levels(marks) if marks else None

    def _played_measures(self) -> Iterator[tuple[WrittenMeasure, Fraction, int]]:
        """Yields each written measure, its start, and its index."""
        for place, (one, start) in enumerate(zip(self._measures, self._starts, strict=True)):
            yield self._written[one.written], start, place


class _Levels:
    """Velocities of a part in time, by its dynamics in playing order."""

    def __init__(self, marks: Sequence[LevelMark]) -> None:
        self._points = [(0.0, VELOCITY)]  # straight lines between them
        self._once = {float(mark.at): mark.velocity for mark in marks if mark.kind == "note"}
        rising: tuple[float, int] | None = None  # where a hairpin begins, and its direction
        for place, mark in enumerate(marks):
            at, now = float(mark.at), self._points[-1][1]
            if mark.kind in ("up", "down"):
                rising = at, 1 if mark.kind == "up" else -1
            elif mark.kind == "stop" and rising:
                after = (one.velocity for one in marks[place:] if one.kind == "level" and one.at <= mark.at + 1)
                self._points += [(rising[0], now), (at, next(after, min(1.0, max(_SOFTEST, now + _STEP * rising[1]))))]
                rising = None
            elif mark.kind == "level":
                self._points += [(rising[0] if rising else at, now), (at, mark.velocity)]
                rising = None

    def velocity(self, note: ScoreNote) -> float:
        """Velocity of a note, whose own is `VELOCITY` and its accent."""
        place = max(1, bisect_right(self._points, note.start + 1e-6, key=lambda point: point[0]))
        (at, low), (end, high) = self._points[place - 1], self._points[min(place, len(self._points) - 1)]
        level = low + (high - low) * min(1.0, (note.start - at) / (end - at)) if end > at else low
        level = self._once.get(note.start, level)
        return min(1.0, level + note.velocity - VELOCITY)


def _note(row: WrittenNote, at: Fraction, place: int, time: int) -> ScoreNote:
    return ScoreNote(
        float(at),
        float(row.length),
        row.number,
        place,
        row.voice,
        row.staff,
        row.syllable(time),
        row.grace,
        row.fermata,
        row.drum,
        row.ornaments,
        min(1.0, VELOCITY + row.accent),
        row.bend,
        row.held,
    )
