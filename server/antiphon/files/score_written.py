"""A score as it is written, measure by measure, and its unfolding into what is played."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from antiphon.files.midi_song import DEFAULT_BPM
from antiphon.files.score import Score, ScoreMeasure, ScoreNote, ScorePart
from antiphon.files.score_form import MAX_PLAYED, Signs, played_order

MAX_QUARTERS = 1 << 17
"""Most quarters as they are played: 18 h at 120 bpm."""
MAX_PART_NOTES = 1 << 18
"""Most notes of a part as they are played."""
MIN_BPM, MAX_BPM = 5.0, 1000.0
_SNAP = Fraction(1, 32)
"""Quarters by which rounded durations may miss a bar line or the end of a tie."""
_GRID, _TUPLET = Fraction(1, 8), Fraction(1, 2)
"""Quarters of which the length of a measure is a multiple, and by how much less one that is none misses the bar line:
tuplets and ornaments that were written beside the time."""
Lyric = tuple[int, frozenset[int], str]
"""A syllable: its verse, the times at which alone it is sung (empty: any), and its text."""


class ScoreRefused(ValueError):
    """Reason why a score is not read."""


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

    def syllable(self, time: int) -> str:
        """Syllable that is sung at the `time`-th time: of the verse of that number, else of the last before."""
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

    def put_tempo(self, at: Fraction, exact: int, bpm: float) -> None:
        """Sets a tempo, 0 for none, unless one that is more exact stands there."""
        if bpm > 0.0 and exact >= self.tempi.get(at, (0, 0.0))[0]:
            self.tempi[at] = exact, min(max(bpm, MIN_BPM), MAX_BPM)


def unfolded(title: str, parts: Sequence[ScorePart], written: Sequence[WrittenMeasure]) -> Score:
    """Score of written measures as it is played. `parts`: without their notes. Raises ScoreRefused: it is too long."""
    _complete(written)
    playing = _Playing(written)
    full = tuple(replace(one, notes=playing.notes(place)) for place, one in enumerate(parts))
    return playing.score(title, full)


def _complete(written: Sequence[WrittenMeasure]) -> None:
    """Sets lengths, time signatures, and tempi at bar lines; of two coda signs without a word the first leads away."""
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


class _Playing:
    """The written measures in the order in which they are played."""

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

    def score(self, title: str, parts: tuple[ScorePart, ...]) -> Score:
        """The score with its parts."""
        tempo, keys = [(0.0, self._written[0].tempo)], list[tuple[float, int]]()
        words, fermatas = list[tuple[float, str]](), list[float]()
        for one, start, _ in self._played():
            changes = {Fraction(0): one.tempo} | {at: bpm for at, (_, bpm) in sorted(one.tempi.items())}
            for at, bpm in changes.items():
                if bpm != tempo[-1][1]:
                    tempo.append((float(start + at), bpm))
            if one.key is not None and (not keys or keys[-1][1] != one.key):
                keys.append((float(start), one.key))
            words += [(float(start + at), text) for at, text in one.words]
            fermatas += [float(start + at) for at in sorted(one.fermatas)]
        return Score(title, parts, tuple(self._measures), tuple(tempo), tuple(keys), tuple(words), tuple(fermatas))

    def notes(self, part: int) -> tuple[ScoreNote, ...]:
        """Notes of a part, tied ones as one."""
        found: list[tuple[Fraction, bool, int, ScoreNote]] = []
        ties: dict[int, tuple[int, Fraction]] = {}  # by number: place in `found`, and the end
        for one, start, place in self._played():
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
        return tuple(note for *_, note in found)

    def _played(self) -> Iterator[tuple[WrittenMeasure, Fraction, int]]:
        """Each measure as it is written, its start, and its place."""
        for place, (one, start) in enumerate(zip(self._measures, self._starts, strict=True)):
            yield self._written[one.written], start, place


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
    )
