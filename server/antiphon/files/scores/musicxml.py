"""Reader of MusicXML, `.musicxml`, `.xml` or compressed `.mxl`, by the standard library.

The format is that of MusicXML 4.0, https://www.w3.org/2021/06/musicxml40/. No entity is expanded and nothing is
fetched. Signs that no note plays, such as ornaments, are counted in `Score.unused`.
"""

import io
import re
import zipfile
import zlib
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from antiphon.files.scores.midi_suffixes import SCORES_READ
from antiphon.files.scores.musicxml_chords import read_chord_symbol
from antiphon.files.scores.musicxml_dynamics import accent_of, level_marks, swing_of
from antiphon.files.scores.score_form import Signs, numbers_of, read_worded_jump
from antiphon.files.scores.written_score import (
    LevelMark,
    Lyric,
    Score,
    ScorePart,
    ScoreRefused,
    WrittenMeasure,
    WrittenNote,
    unfold_written_score,
)
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.notices import notice, reading_file
from antiphon.signal.lyrics import sung_letters

SUFFIXES = SCORES_READ
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
_NAMES = {"trill-mark": "trill", "arpeggiate": "arpeggio", "wavy-line": "trill"}
"""Names of signs that are not those of their elements."""
_DRUM_CHANNEL = 10
_SILENT = ("harmony", "print", "grouping", "link", "bookmark", "listening")
"""Elements of a measure without sound, and chord symbols of further parts."""
_GRADUAL = re.compile(r"(?i)\b(?:rit(?:ard(?:ando)?|en(?:uto)?)?|rall(?:entando)?|accel(?:erando)?|string(?:endo)?)\b")
"""Words of a tempo that changes gradually."""
_WORDS, _MARK, _SOUND = range(3)
"""Sources of a tempo, in order of precision."""


def read(path: Path) -> Score:
    """Reads a score in playing order. Raises FileError: it is not MusicXML, is too large, or cannot be read."""
    try:
        with reading_file("a score", path):
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
    sheets = (one for one, part in measures.items() if any(item.find("harmony") is not None for item in part))
    sheet = next(sheets, None)
    unused = Counter[str]()
    readers = [_PartReader(one, given.get(one), part, unused, one == sheet) for one, part in measures.items()]
    written: list[WrittenMeasure] = []
    for at in range(max(map(len, measures.values()))):
        present = [part[at] for part in measures.values() if at < len(part)]
        head = present[0]
        written.append(WrittenMeasure(head.get("number") or str(at + 1), Signs(), head.get("implicit") == "yes"))
        for place, (reader, part) in enumerate(zip(readers, measures.values(), strict=True)):
            rows = reader.measure(part[at], written[-1], first=not place) if at < len(part) else []
            again = reader.repeated if not rows and reader.repeated <= at else 0
            written[-1].rows.append(written[at - again].rows[place] if again else rows)
            written[-1].levels.append(sorted(reader.levels, key=lambda mark: mark.at))
            if again and reader.sheet and not written[-1].chords:
                written[-1].chords = written[at - again].chords
    title = root.findtext("work/work-title") or root.findtext("movement-title") or ""
    given_parts = [ScorePart(one.id, one.name, (), one.transposition or 0, one.program) for one in readers]
    return unfold_written_score(" ".join(title.split()), given_parts, written, tuple((+unused).items()))


class _PartReader:
    """Reads the measures of a part in order."""

    def __init__(
        self, name: str, given: Element | None, measures: list[Element], unused: Counter[str], sheet: bool
    ) -> None:
        """`unused`: counts signs that no note plays. `sheet`: whether its chord symbols are the score's."""
        self.id, self.name, self.program, self.sheet = name, "", None, sheet
        self.transposition: int | None = None
        self.repeated = 0  # measures before that the last one repeats by its sign
        self.levels: list[LevelMark] = []  # dynamics of the last measure
        self._unused, self._slashes, self._kit = unused, False, False
        # some writers put them behind the first notes, which they are for too
        stated = (_number(one.findtext("attributes/divisions")) for one in measures)
        self._divisions, self._meter = next((one for one in stated if one > 0), Fraction(1)), (0, 4)
        self._shifts: dict[int, int] = {}
        self._drums: dict[str, int] = {}
        self._endings = frozenset[int]()
        if given is not None:
            self.name = " ".join((given.findtext("part-name") or "").split())
            programs = [_whole(one, 1, 128) for one in given.findall("midi-instrument/midi-program")]
            self.program = next((number - 1 for number in programs if number is not None), None)
            channels = {_whole(one.find("midi-channel"), 1, 16) for one in given.findall("midi-instrument")}
            self._kit = channels == {_DRUM_CHANNEL}  # its pitches are drums
            for one in given.findall("midi-instrument"):
                if one.findtext("pan") and _number(one.findtext("pan")):
                    self._unused["part pan"] += 1
                if (drum := _whole(one.find("midi-unpitched"), 1, 128)) is not None:
                    self._drums[one.get("id") or ""] = drum - 1

    def measure(self, element: Element, into: WrittenMeasure, *, first: bool) -> list[WrittenNote]:
        """Reads the notes of a measure. Its signs, and properties of all parts, go into `into`."""
        at = start = most = silent = Fraction(0)
        rows: list[WrittenNote] = []
        self.levels = []
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
                case "harmony" if self.sheet:
                    self._read_harmony(item, at, into)
                case "barline":
                    ends |= self._read_barline(item, at, into)
                case "figured-bass":
                    notice("figured bass", 0)
                case tag if tag not in _SILENT:
                    notice("element", place=tag, manner="unknown")
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
        for one in item.findall("measure-style"):
            if (again := one.find("measure-repeat")) is not None:
                self.repeated = (_whole(again, 1, 8) or 1) if again.get("type") == "start" else 0
            if (slash := one.find("slash")) is not None:
                self._slashes = slash.get("type") == "start"
        for one in item.findall("transpose"):
            shift = round(_number(one.findtext("chromatic"))) + 12 * round(_number(one.findtext("octave-change")))
            self._shifts[_whole(one, 1, 99, "number") or 0] = max(-127, min(127, shift))
        if first and (fifths := item.find("key/fifths")) is not None and -8 < (sharps := _number(fifths.text)) < 8:
            into.key = _transpose_key(round(sharps), self._shift(1))

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
        if self._slashes or (item.findtext("notehead") or "").strip() == "slash":
            return  # the rhythm of a band on the chords, and no tune
        staff, drum = _whole(item.find("staff"), 1, 99) or 1, item.find("unpitched") is not None
        bend = 0.0
        if drum:
            instrument = item.find("instrument")
            known = self._drums.get("" if instrument is None else instrument.get("id") or "")
            number = known if known is not None else _pitch(item.find("unpitched"), "display-") or 38
        else:
            pitch = _pitch(item.find("pitch"), "")
            number = -1 if pitch is None else pitch + self._shift(staff)
            alter = _number(item.findtext("pitch/alter"))
            bend, drum = float(alter - int(alter)), self._kit
            if drum and pitch is not None:
                instrument = item.find("instrument")
                number = self._drums.get("" if instrument is None else instrument.get("id") or "", pitch)
        if not 0 <= number <= 127:
            return
        ties = {one.get("type") for one in (*item.findall("tie"), *item.findall("notations/tied"))}
        marks = [one.tag for one in item.findall("notations/ornaments/*") if one.tag != "accidental-mark"]
        marks += ["arpeggiate"] if item.find("notations/arpeggiate") is not None else []
        grace = item.find("grace") is not None
        lines = [one.tag for one in item.findall("notations/*") if one.tag in ("glissando", "slide")]
        lines = [one for one in lines if item.find(f"notations/{one}[@type='start']") is not None]
        bent = ["bend"] if item.find("notations/technical/bend") is not None else []
        for mark in [*marks, *lines, *bent, *["fermata"] * held, *["grace note"] * grace]:
            self._unused[_NAMES.get(mark, mark.replace("-", " "))] += 1
        self.levels += level_marks(item, "notations/dynamics", start)
        accent, sounds = accent_of(item)
        rows.append(
            WrittenNote(
                start,
                length,
                number,
                voice=(item.findtext("voice") or "1").strip(),
                staff=staff,
                drum=drum,
                grace=grace,
                fermata=held,
                tied_from="stop" in ties,
                tied_to="start" in ties,
                lyrics=tuple(map(_read_lyric, item.findall("lyric"))),
                ornaments=tuple(marks),
                accent=accent,
                bend=bend,
                held=sounds,
            )
        )

    def _read_harmony(self, item: Element, at: Fraction, into: WrittenMeasure) -> None:
        at = max(Fraction(0), at + _number(item.findtext("offset")) / self._divisions)
        text = read_chord_symbol(item, self._shift(1))
        if text is None:
            notice("chord by its function")
        else:
            into.chords.append((at, text))

    def _read_direction(self, item: Element, at: Fraction, into: WrittenMeasure) -> None:
        at = max(Fraction(0), at + _number(item.findtext("offset")) / self._divisions)
        said = False
        for sound in [item] if item.tag == "sound" else item.findall("sound"):
            self._unused["instrument change"] += sound.find("midi-instrument") is not None
            into.put_tempo(at, _SOUND, float(_number(sound.get("tempo"))))
            said |= _jump(sound, into.signs)
        self.levels += level_marks(item, "direction-type/dynamics", at)
        for one in item.findall("direction-type/pedal"):
            self._unused["pedal"] += one.get("type") in ("start", "sostenuto")
        texts = [" ".join((one.text or "").split()) for one in item.findall("direction-type/words")]
        into.swing += [(at, *swing) for swing in swing_of(item, texts)]
        for text in filter(None, texts):
            into.words.append((at, text))
            self._unused["tempo ramp"] += _GRADUAL.search(text) is not None
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
    word = sung_letters(text)
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


def _transpose_key(sharps: int, semitones: int) -> int:
    """Sharps of a key after transposition, -5 to 6 if it changes."""
    return sharps if semitones % 12 == 0 else (sharps + 7 * semitones + 5) % 12 - 5


def _pitch(item: Element | None, prefix: str) -> int | None:
    """MIDI number of a pitch, quarter tones left out; None if there is no pitch."""
    if item is None:
        return None
    step = _STEPS.get((item.findtext(f"{prefix}step") or "").strip())
    octave = _whole(item.find(f"{prefix}octave"), 0, 9)
    if step is None or octave is None:
        return None
    return 12 * (octave + 1) + step + int(_number(item.findtext("alter")))


def _number(text: str | None) -> Fraction:
    """A decimal number of up to nine digits; 0 for anything else."""
    text = (text or "").strip()
    return Fraction(text) if re.fullmatch(r"-?\d{1,9}(?:\.\d{0,9})?", text, re.ASCII) else Fraction(0)


def _whole(item: Element | None, low: int, high: int, name: str = "") -> int | None:
    """An integer within limits, of an element or of its attribute `name`; None if it is invalid."""
    text = "" if item is None else (item.get(name) or "" if name else item.text or "").strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) and low <= int(text) <= high else None
