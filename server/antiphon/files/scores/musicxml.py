"""Reader of MusicXML, `.musicxml`, `.xml` or compressed `.mxl`, by the standard library.

The format is that of MusicXML 4.0, https://www.w3.org/2021/06/musicxml40/. No entity is expanded and nothing is
fetched. Not supported: parts of `measure-style`, such as signs for repeated bars, and playback of ornaments.
"""

import io
import math
import re
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from antiphon.files.scores.midi_song import DEFAULT_BPM, Tempo
from antiphon.files.scores.score_form import MAX_PLAYED, Signs, numbers_of, played_order, read_worded_jump
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths

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
    (quarter, text) of tempo words and directions. `fermatas`: their positions, over notes or rests.
    """

    title: str
    parts: tuple[ScorePart, ...]
    measures: tuple[ScoreMeasure, ...]
    tempo: Tempo
    keys: tuple[tuple[float, int], ...] = ()  # (quarter, sharps, or flats below 0) of the first part as it sounds
    words: tuple[tuple[float, str], ...] = ()
    fermatas: tuple[float, ...] = ()

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
Lyric = tuple[int, frozenset[int], str]
"""A syllable: its verse, the repetitions in which it is sung (empty: all), and its text."""


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

    def put_tempo(self, at: Fraction, exact: int, bpm: float) -> None:
        """Sets a tempo, 0 for none, unless a more precise one is already there."""
        if bpm > 0.0 and exact >= self.tempi.get(at, (0, 0.0))[0]:
            self.tempi[at] = exact, min(max(bpm, MIN_BPM), MAX_BPM)


def unfold_written_score(title: str, parts: Sequence[ScorePart], written: Sequence[WrittenMeasure]) -> Score:
    """Puts written measures into playing order. `parts`: without their notes. Raises ScoreRefused: it is too long."""
    _complete_measures(written)
    playing = _PlayingOrder(written)
    full = tuple(replace(one, notes=playing.notes(place)) for place, one in enumerate(parts))
    return playing.score(title, full)


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

    def score(self, title: str, parts: tuple[ScorePart, ...]) -> Score:
        """Returns the score with its parts."""
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
        """Notes of a part; tied notes are joined."""
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
        """Yields each written measure, its start, and its index."""
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


SUFFIXES = (".musicxml", ".xml", ".mxl")
"""Suffixes of readable scores."""
MAX_BYTES = 16 << 20
"""Maximum bytes of a score, also after decompression."""
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_UNITS = {"longa": 16.0, "breve": 8.0, "whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 0.5, "16th": 0.25}
_TEMPI = {
    "larghissimo": 24, "grave": 40, "largo": 50, "larghetto": 62, "lento": 56, "adagietto": 72, "adagio": 68,
    "andante": 84, "andantino": 92, "moderato": 108, "allegretto": 114, "allegro": 132, "vivace": 160,
    "vivacissimo": 172, "presto": 180, "prestissimo": 200,
}  # fmt: skip
"""Tempi in bpm for tempo words without a number."""
_WORDS, _MARK, _SOUND = range(3)
"""Sources of a tempo, in order of precision."""


def read(path: Path) -> Score:
    """Reads a score in playing order. Raises FileError: it is not MusicXML, is too large, or cannot be read."""
    try:
        content = _extract_score(paths.read_ordinary(path, MAX_BYTES, "a score"))
        return _score(_parsed(content))
    except (ScoreRefused, expat.ExpatError) as error:
        reason = str(error) if isinstance(error, ScoreRefused) else "it is damaged, fetch or make it again"
        raise FileError(f"{path.name} is no MusicXML that can be read: {reason}") from None


def _extract_score(content: bytes) -> bytes:
    """Extracts the score from a compressed file, by its list of contents or, without one, by its name."""
    if content[:2] != b"PK":
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            names = packed.namelist()
            found = [name for name in names if name.lower().endswith((".xml", ".musicxml")) and "META-INF" not in name]
            if "META-INF/container.xml" in names:
                listed = _parsed(_read(packed, "META-INF/container.xml")).iter()
                roots = [one.get("full-path") or "" for one in listed if one.tag.rpartition("}")[2] == "rootfile"]
                found = [name for name in roots if name in names] + found
            if not found:
                raise ScoreRefused("there is no score in it")
            return _read(packed, found[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError):
        raise ScoreRefused("it is packed, and damaged or locked") from None


def _read(packed: zipfile.ZipFile, name: str) -> bytes:
    with packed.open(name) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ScoreRefused(f"it is larger than {MAX_BYTES >> 20} MiB when it is unpacked")
    return content


def _parsed(content: bytes) -> Element:
    builder, parser = TreeBuilder(), expat.ParserCreate()

    def refuse(*_: object) -> NoReturn:
        raise ScoreRefused("it defines entities, which a score does not need")

    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler, parser.EntityDeclHandler = builder.data, refuse
    parser.Parse(content, True)
    root: Element = builder.close()
    return root


def _score(root: Element) -> Score:
    if root.tag not in ("score-partwise", "score-timewise"):
        raise ScoreRefused(f"its root is {root.tag[:40]}, where a score begins with score-partwise or score-timewise")
    given = {one.get("id") or "": one for one in root.iter("score-part")}
    measures: dict[str, list[Element]] = {}
    for outer in root:
        for inner in outer if outer.tag in ("part", "measure") else ():
            timewise = outer.tag == "measure"
            if inner.tag == ("part" if timewise else "measure"):
                # of a timewise score the measure's attributes are the outer element's
                attributes = outer.attrib if timewise else {}
                inner.attrib = {**attributes, **inner.attrib}
                measures.setdefault((inner if timewise else outer).get("id") or "", []).append(inner)
    if not measures:
        raise ScoreRefused("there are no measures in it")
    readers = [_PartReader(one, given.get(one)) for one in measures]
    written: list[WrittenMeasure] = []
    for at in range(max(map(len, measures.values()))):
        present = [part[at] for part in measures.values() if at < len(part)]
        head = present[0]
        written.append(WrittenMeasure(head.get("number") or str(at + 1), Signs(), head.get("implicit") == "yes"))
        for place, (reader, part) in enumerate(zip(readers, measures.values(), strict=True)):
            written[-1].rows.append(reader.measure(part[at], written[-1], first=not place) if at < len(part) else [])
    title = root.findtext("work/work-title") or root.findtext("movement-title") or ""
    given_parts = [ScorePart(one.id, one.name, (), one.transposition or 0, one.program) for one in readers]
    return unfold_written_score(" ".join(title.split()), given_parts, written)


class _PartReader:
    """Reads the measures of a part in order."""

    def __init__(self, name: str, given: Element | None) -> None:
        self.id, self.name, self.program = name, "", None
        self.transposition: int | None = None
        self._divisions, self._meter = Fraction(1), (0, 4)
        self._shifts: dict[int, int] = {}
        self._drums: dict[str, int] = {}
        self._endings = frozenset[int]()
        if given is not None:
            self.name = " ".join((given.findtext("part-name") or "").split())
            programs = [_whole(one, 1, 128) for one in given.findall("midi-instrument/midi-program")]
            self.program = next((number - 1 for number in programs if number is not None), None)
            for one in given.findall("midi-instrument"):
                if (drum := _whole(one.find("midi-unpitched"), 1, 128)) is not None:
                    self._drums[one.get("id") or ""] = drum - 1

    def measure(self, element: Element, into: WrittenMeasure, *, first: bool) -> list[WrittenNote]:
        """Reads the notes of a measure. Its signs, and properties of all parts, go into `into`."""
        at = start = most = silent = Fraction(0)
        rows: list[WrittenNote] = []
        ends = False
        for item in element:
            match item.tag:
                case "attributes":
                    self._attributes(item, into, first=first)
                case "backup":
                    at = max(Fraction(0), at - self._read_duration(item))
                case "forward":
                    at += self._read_duration(item)
                case "note":
                    grace = item.find("grace") is not None
                    length = Fraction(0) if grace else self._read_duration(item)
                    if item.find("rest") is not None and not length and item.find("rest[@measure='yes']") is not None:
                        length = Fraction(4 * (self._meter[0] or 4), self._meter[1])
                    if item.find("chord") is None:
                        start, at = at, at + length
                    self._note(item, start, length, into, rows)
                case "direction" | "sound":
                    self._read_direction(item, at, into)
                case "barline":
                    ends |= self._read_barline(item, at, into)
            if item.tag == "note" and item.find("rest") is None:
                most = max(most, at)
            silent = max(silent, at)
        # rests alone do not make a measure longer than its time signature: some writers leave too many of them
        most = max(most, min(silent, Fraction(4 * (self._meter[0] or 4), self._meter[1])))
        if self.transposition is None:
            self.transposition = self._shift(1)
        into.signs.endings |= self._endings
        if ends:
            self._endings = frozenset()
        into.length = max(into.length, most)
        if not into.meter[0] or first:
            into.meter = self._meter
        return rows

    def _read_duration(self, item: Element) -> Fraction:
        return max(Fraction(0), _number(item.findtext("duration"))) / self._divisions

    def _attributes(self, item: Element, into: WrittenMeasure, *, first: bool) -> None:
        self._divisions = max(Fraction(0), _number(item.findtext("divisions"))) or self._divisions
        if (time := item.find("time")) is not None:
            beats = [sum(map(int, re.findall(r"\d{1,3}", one.text or ""))) for one in time.findall("beats")]
            units = [_whole(one, 1, 128) or 4 for one in time.findall("beat-type")]
            if beats and len(beats) == len(units) and all(beats):
                unit = max(units)
                self._meter = sum(count * unit // own for count, own in zip(beats, units, strict=True)), unit
        for one in item.findall("transpose"):
            shift = round(_number(one.findtext("chromatic"))) + 12 * round(_number(one.findtext("octave-change")))
            self._shifts[_whole(one, 1, 99, "number") or 0] = max(-127, min(127, shift))
        if first and (fifths := item.find("key/fifths")) is not None and -8 < (sharps := _number(fifths.text)) < 8:
            into.key = _moved(round(sharps), self._shift(1))

    def _shift(self, staff: int) -> int:
        return self._shifts.get(staff, self._shifts.get(0, 0))

    def _note(
        self, item: Element, start: Fraction, length: Fraction, into: WrittenMeasure, rows: list[WrittenNote]
    ) -> None:
        held = item.find("notations/fermata") is not None
        if held:
            into.fermatas.add(start)
        if item.find("rest") is not None or item.find("cue") is not None:
            return
        staff, drum = _whole(item.find("staff"), 1, 99) or 1, item.find("unpitched") is not None
        if drum:
            instrument = item.find("instrument")
            known = self._drums.get("" if instrument is None else instrument.get("id") or "")
            number = known if known is not None else _pitch(item.find("unpitched"), "display-") or 38
        else:
            pitch = _pitch(item.find("pitch"), "")
            number = -1 if pitch is None else pitch + self._shift(staff)
        if not 0 <= number <= 127:
            return
        ties = {one.get("type") for one in (*item.findall("tie"), *item.findall("notations/tied"))}
        marks = [one.tag for one in item.findall("notations/ornaments/*") if one.tag != "accidental-mark"]
        marks += ["arpeggiate"] if item.find("notations/arpeggiate") is not None else []
        rows.append(
            WrittenNote(
                start,
                length,
                number,
                voice=(item.findtext("voice") or "1").strip(),
                staff=staff,
                drum=drum,
                grace=item.find("grace") is not None,
                fermata=held,
                tied_from="stop" in ties,
                tied_to="start" in ties,
                lyrics=tuple(map(_read_lyric, item.findall("lyric"))),
                ornaments=tuple(marks),
            )
        )

    def _read_direction(self, item: Element, at: Fraction, into: WrittenMeasure) -> None:
        at = max(Fraction(0), at + _number(item.findtext("offset")) / self._divisions)
        said = False
        for sound in [item] if item.tag == "sound" else item.findall("sound"):
            into.put_tempo(at, _SOUND, float(_number(sound.get("tempo"))))
            said |= _jump(sound, into.signs)
        texts = [" ".join((one.text or "").split()) for one in item.findall("direction-type/words")]
        for text in filter(None, texts):
            into.words.append((at, text))
            if not said:
                read_worded_jump(into.signs, text)
        for mark in item.findall("direction-type/metronome"):
            into.put_tempo(at, _MARK, _metronome(mark))
        if item.find("direction-type/segno") is not None and into.signs.segno is None:
            into.signs.segno = ""
        if item.find("direction-type/coda") is not None and into.signs.to_coda is None:
            into.coda_signs += not said
            into.signs.coda = into.signs.coda or ""
        words = (_TEMPI.get(word) for text in texts for word in re.findall(r"[a-z]+", text.lower())[:2])
        into.put_tempo(at, _WORDS, float(next(filter(None, words), 0)))

    def _read_barline(self, item: Element, at: Fraction, into: WrittenMeasure) -> bool:
        """Reads a bar line; returns whether the present ending stops with the measure."""
        signs = into.signs
        if item.find("fermata") is not None:
            into.fermatas.add(at)
        if (repeat := item.find("repeat")) is not None:
            if repeat.get("direction") == "forward":
                signs.forward = True
            else:
                signs.backward = max(2, _whole(repeat, 1, 999, "times") or 2)
                signs.after_jump |= repeat.get("after-jump") == "yes"
        if item.find("segno") is not None and signs.segno is None:
            signs.segno = item.get("segno") or ""
        if item.find("coda") is not None and signs.coda is None and item.get("location") == "left":
            signs.coda = item.get("coda") or ""
        if (ending := item.find("ending")) is None:
            return False
        if ending.get("type") == "start":
            self._endings = numbers_of(ending.get("number") or ending.text or "")
            return False
        return True


def _read_lyric(item: Element) -> Lyric:
    text = "".join(one.text or "" for one in item if one.tag in ("text", "elision"))
    word = "".join(c for c in text if c.isalpha() or c in "'’")
    kinds = [one.text for one in item.findall("syllabic")]
    goes_on = bool(word and kinds and kinds[-1] in ("begin", "middle"))
    return _whole(item, 1, 999, "number") or 1, numbers_of(item.get("time-only") or ""), word + "-" * goes_on


def _jump(sound: Element, signs: Signs) -> bool:
    """Reads the jumps of a `sound` element; returns whether it has any."""
    signs.da_capo |= sound.get("dacapo") == "yes"
    signs.fine |= sound.get("fine") is not None
    for key, name in (("segno", "segno"), ("dalsegno", "dal_segno"), ("coda", "coda"), ("tocoda", "to_coda")):
        if (text := sound.get(key)) is not None:
            setattr(signs, name, text)
    signs.forward |= sound.get("forward-repeat") == "yes"
    return any(sound.get(key) is not None for key in ("dacapo", "fine", "segno", "dalsegno", "coda", "tocoda"))


def _metronome(mark: Element) -> float:
    """Tempo of a metronome mark in quarters per minute; 0 for a mark that relates two notes."""
    unit = _UNITS.get((mark.findtext("beat-unit") or "").strip())
    found = re.search(r"\d+(?:\.\d+)?", mark.findtext("per-minute") or "")
    if unit is None or found is None or len(found[0]) > 8:
        return 0.0
    return float(found[0]) * unit * (2.0 - 0.5 ** len(mark.findall("beat-unit-dot")))


def _moved(sharps: int, semitones: int) -> int:
    """Sharps of a key after transposition, -5 to 6 if it changes."""
    return sharps if semitones % 12 == 0 else (sharps + 7 * semitones + 5) % 12 - 5


def _pitch(item: Element | None, prefix: str) -> int | None:
    """MIDI number of a pitch, to the nearest semitone; None if there is no pitch."""
    if item is None:
        return None
    step = _STEPS.get((item.findtext(f"{prefix}step") or "").strip())
    octave = _whole(item.find(f"{prefix}octave"), 0, 9)
    if step is None or octave is None:
        return None
    return 12 * (octave + 1) + step + math.floor(_number(item.findtext("alter")) + Fraction(1, 2))


def _number(text: str | None) -> Fraction:
    """A decimal number of up to nine digits; 0 for anything else."""
    text = (text or "").strip()
    return Fraction(text) if re.fullmatch(r"-?\d{1,9}(?:\.\d{0,9})?", text, re.ASCII) else Fraction(0)


def _whole(item: Element | None, low: int, high: int, name: str = "") -> int | None:
    """An integer within limits, of an element or of its attribute `name`; None if it is invalid."""
    text = "" if item is None else (item.get(name) or "" if name else item.text or "").strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) and low <= int(text) <= high else None
