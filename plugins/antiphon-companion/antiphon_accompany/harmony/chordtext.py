"""Text forms of chords: bars as `| C Am | F G7 |`, lines as `0.0 2.0 C:maj7` (seconds); JAMS and MusicXML."""

import json
import math
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from antiphon.api import FileError, UsageError
from antiphon.api.backends.files import MUSICXML_SUFFIXES, read_musicxml, reason_of_os_error
from antiphon.api.backends.signal import FLAT_NAMES
from antiphon_accompany.harmony.chords import KINDS, UNKNOWN, Chord, read_chord, substitute_chord, triad_chord

MAX_FILE_BYTES = 1 << 20
"""Maximum size of a chord file in bytes."""
MAX_CHORDS = 20_000
_AGAIN = ("%", "/", ".")
"""Words that repeat the previous chord."""
_GAP = re.compile(r"(?<=[^\s|])[ \t]+\((?=[b#+\-\d♭♯]|add|no|omit|maj|sus|alt)")
"""A space between a chord and the brackets around its tones."""
_LABEL = re.compile(
    r"^[ \t]*(?:\[[^\]|\n]+\](?=[ \t]*(?:\n|\|:?[ \t]*[^\s|\[]))|\w[^|:\n]*:(?=[ \t]*\n|[ \t]+\|))", re.MULTILINE
)
"""The name of a part of the piece, such as "[A] |" or "Verse: |", alone in its line or before a bar line."""
_ENDING = re.compile(r"\s*[1-9](?:\.(?!\S)|\s)")
"""The number of an ending, after its bar line."""
_IREAL = re.compile(r"\*[A-Za-z](?=[\s\[{|T])|(?<=[\s|\]}])Z\b")
"""A section and the last bar line of iReal's sheets."""
_METRE = re.compile(r"(?<![A-Za-z\d#])T(\d\d)[ \t]*")
"""iReal's time signature."""
_TIMES = r"[(\[]?(?:[xX×][ \t]?(1?[1-9]|10)|(1?[1-9]|10)[ \t]?[xX×])[)\]]?(?![^\s|])"
"""A count of repeats after a passage: x2, (3x)."""
_PART_TIMES = re.compile(rf":\|[ \t]*{_TIMES}[ \t]*\|?")
_LINE_TIMES = re.compile(rf"^(.*?)[ \t|]*[ \t|\n][ \t]*{_TIMES}[ \t|]*$", re.M)
_TONES = re.compile(r"(?<=[^\s|\]}])\{([^{}|\s]*)\}")
"""Braces around the tones of a chord; other braces are repeat signs."""
_SPELLED = re.compile(r"([A-G][#b]?)(?:.*/([A-G][#b]?)$)?")
_ROOT = re.compile(r"(^|/)([BbHh])([b♭#♯]?)")
"""A root that German notation reads otherwise, and its accidental."""
SUFFIXES = (".txt", ".lab", ".csv", ".jams", *MUSICXML_SUFFIXES)
"""Suffixes of chord files. A text with such a suffix is a file name, not a chord."""
_SECOND = r"(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"
_LINE = re.compile(rf"\s*{_SECOND}(?:\s*,\s*|\s+){_SECOND}(?:\s*,\s*|\s+)\"?([^\s\"]+)\"?\s*$")
"""A line of a chord file: start and end in seconds, and a chord."""
_POINT = re.compile(rf"\s*{_SECOND}(?:\s*,\s*|\s+)\"?([A-GNX&][^\s\"]*)\"?\s*$")
"""A line with a start alone."""
_LAST_SECONDS = 2.0
"""Minimum seconds of the last chord of a file that says no ends."""
_MAX_WORDS = 96
"""Maximum parts of a bar in which the chords of a score are told."""


class ChordSpan(NamedTuple):
    """A chord (None for no harmony) with its start and end beat."""

    start: float
    end: float
    chord: Chord | None


def text_of(given: str) -> str:
    """Content of a chord file of that name, if it exists, as bars or lines; otherwise the text itself.

    Of MusicXML the chord symbols, of JAMS the first chords in it. Raises UsageError: the file has no chords, or cannot
    be read.
    """
    path = Path(given)
    try:
        if "|" in given or "\n" in given or not (path.suffix.lower() in SUFFIXES or path.is_file()):
            return given
        if path.suffix.lower() in MUSICXML_SUFFIXES:
            return bars_of_score(path)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(
                f"{path.name} is larger than a file of chords may be; at most {MAX_FILE_BYTES >> 20} MiB is allowed"
            )
        text = path.read_text(encoding="utf-8-sig")
        return _lines_of_jams(text, path.name) if path.suffix.lower() == ".jams" else text
    except FileError as error:
        raise UsageError(str(error)) from None
    except (OSError, ValueError) as error:
        why = reason_of_os_error(error) if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageError(f"cannot read the chords in {given[:80]!r}: {why}") from None


def _lines_of_jams(text: str, name: str) -> str:
    try:
        found = [one for one in json.loads(text)["annotations"] if str(one["namespace"]).startswith("chord")]
        rows = [(float(row["time"]), float(row["duration"]), str(row["value"])) for row in found[0]["data"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise UsageError(f"{name} has no chords: JAMS names them as an annotation of the namespace chord") from None
    return "".join(f"{at:.6f} {at + length:.6f} {label}\n" for at, length, label in rows)


def bars_of_score(path: Path) -> str:
    """The chord symbols of a score as bars in playing order, without its pickup.

    Raises UsageError: it has none. Raises FileError: it cannot be read.
    """
    score = read_musicxml(path)
    if not score.chords:
        raise UsageError(f"{path.name} has no chord symbols; name a score that has, or a file of bars or of lines")
    bars, held = [], "N"
    for one in score.measures[1 if score.measures[0].before else 0 :]:
        inside = {0.0: held} | {at - one.start: text for at, text in score.chords if 0.0 <= at - one.start < one.length}
        places = [Fraction(at / one.length).limit_denominator(_MAX_WORDS) for at in inside]
        count = math.lcm(*(place.denominator for place in places))
        count = count if count <= _MAX_WORDS else _MAX_WORDS
        words = ["."] * count
        for place, text in zip(places, inside.values(), strict=True):
            words[min(count - 1, round(place * count))] = held = text
        bars.append(" ".join(words))
    return f"| {' | '.join(bars)} |"


def spans_of_score(path: Path) -> list[ChordSpan]:
    """The chord symbols of a score, each until the next, in quarter notes. Raises FileError: it cannot be read."""
    score = read_musicxml(path)
    edges = pairwise([*score.chords, (score.length, "")])
    return [ChordSpan(at, end, read_chord(text)) for (at, text), (end, _) in edges if end > at]


def spans_of(
    text: str, bar: float, beat_of: Callable[[float], float] | None = None, first: float = 0.0, until: float = 0.0
) -> list[ChordSpan]:
    """Parses chords.

    Args:
        text: Bars divided by `|`, chords of equal length in a bar, `%` to repeat; or lines of start, end and chord.
        bar: Beats of a bar.
        beat_of: Returns the beat at a second; None if lines are not accepted.
        first: Beat on which the first bar begins.
        until: Beat up to which bars are repeated from the first.

    Returns:
        Chords in order, without overlaps.

    Raises:
        UsageError: The text is in neither form.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = _lines(lines)
    spans: list[ChordSpan] = []
    if found:
        if beat_of is None:
            raise UsageError("chords played live are bars, as | C Am | F G7 |, not lines of seconds")
        for line in found:
            start, end = beat_of(float(line[1])), beat_of(float(line[2]))
            start = max(start, spans[-1].end) if spans else start
            if end > start:
                spans.append(ChordSpan(start, end, _chord(line[3])))
    else:
        bars = _convert_german_chords(_bars("\n".join(lines)))
        before: list[Chord | None] = []
        for number, words in enumerate(bars):
            now = before if words in (["%"], ["x"]) else []
            for word in words if words not in (["%"], ["x"]) else ():
                now.append((now or before)[-1] if word in _AGAIN and (now or before) else _chord(word))
            before = now or before
            if len(spans) > MAX_CHORDS:
                break
            step = bar / max(1, len(before))
            start = first + bar * number
            spans += [ChordSpan(start + n * step, start + (n + 1) * step, chord) for n, chord in enumerate(before)]
        round_ = bar * len(bars)
        for turn in range(1, min(MAX_CHORDS, math.ceil((until - first) / round_)) if spans else 0):
            spans += [
                ChordSpan(s.start + turn * round_, s.end + turn * round_, s.chord) for s in spans[: len(spans) // turn]
            ]
            if spans[-1].end >= until or len(spans) > MAX_CHORDS:
                break
    if not spans or len(spans) > MAX_CHORDS:
        raise UsageError(f"chords are bars, as | C Am | F G7 |, or lines, as 0.0 2.0 C:maj7; 1 to {MAX_CHORDS} of them")
    return spans


def _lines(lines: Sequence[str]) -> list[re.Match[str]]:
    """Lines of start, end and chord, all but a header; none if others are there. A missing end is the next start."""
    held = lines if lines and (_LINE.match(lines[0]) or _POINT.match(lines[0])) else lines[1:]
    points = [point for line in held if (point := _POINT.match(line))]
    if points and len(points) == len(held):
        starts = [float(point[1]) for point in points]
        ends = [*starts[1:], starts[-1] + max(starts[-1] - starts[-2] if len(starts) > 1 else 0.0, _LAST_SECONDS)]
        held = [f"{start} {end} {point[2]}" for start, end, point in zip(starts, ends, points, strict=True)]
    found = [_LINE.match(line) for line in held]
    return [line for line in found if line] if all(found) else []


def _bars(text: str) -> list[list[str]]:
    """Returns the words of each bar, with repeats written out: `|: :|` twice, and once for each numbered ending.

    A double bar line counts as one, and so do a bar line at the end of a line and one at the beginning of the next.
    Where all roots are lower case, lower case does not mean minor.
    """
    if len(metres := dict.fromkeys(_METRE.findall(text))) > 1:
        raise UsageError(
            f"the metre of these chords changes, T{' and T'.join(metres)}, and a bar of chords has one length; "
            "give each part by itself"
        )
    text = _METRE.sub("", _IREAL.sub("", text))
    if metres:  # of iReal, where brackets are double bar lines, and N1 is an ending
        text = re.sub(r"\|?[ \t]*N([1-3])(?![^\sA-G])", r"|\1 ", re.sub(r"[\[\]]", "|", text))
    text = re.sub(r"\|?[ \t]*\}", ":|", _TONES.sub(r"(\1)", text)).replace("{", "|:")
    text = _PART_TIMES.sub(lambda found: f":x{found[1] or found[2]}|", text)
    text = _LINE_TIMES.sub(lambda found: "\n".join([f"{found[1]} |"] * int(found[2] or found[3])), text)
    text = _LABEL.sub("", re.sub(r"\[\||\|\]", "|", text))
    text = re.sub(r"[\[(](\S+?)[\])](?=[\s|]|$)", _bare, _GAP.sub("(", text))
    text = re.sub(r"\|(\s*\n\s*)?\|", "|", re.sub(r":\|+:|::", ":|:", text)).strip()
    bars: list[list[str]] = []
    begins, small = 0, re.search(r"(^|[\s|:])[A-H]", text) is None
    common: list[list[str]] | None = None
    for piece in text.strip("|").split("|"):
        opens, closes = piece.startswith(":"), re.search(r":(?:x(\d+))?\s*$", piece)
        piece = piece[: closes.start()] if closes else piece
        ending = _ENDING.match(piece)
        words = piece[ending.end() if ending else 0 :].strip().strip(":").split()
        words = [bare for word in words if (bare := _strip_unmatched_bracket(word))]
        if opens:
            begins, common = len(bars), None
        elif ending and common is None:
            common = bars[begins:]
        bars.append([word[:1].upper() + word[1:] if small and word[:1] in "abcdefgh" else word for word in words])
        if closes:
            bars += bars[begins:] * (int(closes[1] or 2) - 1) if common is None else common
            begins = len(bars) if common is None else begins
        if len(bars) > MAX_CHORDS:
            break
    return bars


def _convert_german_chords(bars: list[list[str]]) -> list[list[str]]:
    """Reads B as Bb where the sheet is German, with H as a root. Raises UsageError: it has H, B and Bb."""
    roots = {(root[2].upper(), root[3]) for bar in bars for word in bar for root in _ROOT.finditer(word)}
    if not any(name == "H" for name, _ in roots) or ("B", "") not in roots:
        return bars
    if roots & {("B", "b"), ("B", "♭")}:
        raise UsageError("these chords have H, B and Bb as roots; write B and Bb, or H and B as in German")
    return [
        [_ROOT.sub(lambda root: f"{root[1]}{root[2]}{'b' * (root[2] in 'Bb')}", word) for word in bar] for bar in bars
    ]


def _bare(found: re.Match[str]) -> str:
    """Returns a chord without brackets around the whole of it."""
    before = found.string[found.start() - 1 : found.start()]
    return found[0] if before.strip(" \t\n|:") else found[1]


def _strip_unmatched_bracket(word: str) -> str:
    """Returns a chord without a bracket that opens before, or closes after, several chords."""
    opened, closed = (sum(map(word.count, signs)) for signs in ("([", ")]"))
    if opened > closed and word[0] in "([":
        return word[1:]
    return word[:-1] if closed > opened and word[-1] in ")]" else word


def replaced_chords_remark(text: str) -> str:
    """Returns a remark on chords that are played as a simpler kind, the first four by name, and on unknown ones."""
    words: dict[tuple[str, str], None] = {}
    if "|" in text:
        for bar, read in zip(bars := _bars(text), _convert_german_chords(bars), strict=True):
            words |= dict.fromkeys(zip(bar, read, strict=True))
    lines = [line[3] for line in _lines(text.splitlines())]
    words |= {(word, word): None for word in lines}
    found = [f"{word} as {chord}" for word, read in words if (chord := substitute_chord(read) or read) != word]
    unknown = lines.count(UNKNOWN)
    said = [f"{', '.join(found[:4])}{' and others' * (len(found) > 4)}"] if found else []
    said += [f"{unknown} × {UNKNOWN}, an unknown chord, as none"] if unknown else []
    return ", ".join(said)


Spellings = Mapping[Chord, tuple[str, str]]
"""Names of the roots and basses of chords as they are written."""


def spellings(text: str) -> Spellings:
    """Roots and basses as a text of bars or lines spells them, where it does otherwise than with flats."""
    words = [word for bar in _convert_german_chords(_bars(text)) for word in bar] if "|" in text else []
    words += [line[3] for line in _lines(text.splitlines())]
    made: dict[Chord, tuple[str, str]] = {}
    for word in reversed(words):
        found = _SPELLED.match(word)
        chord = read_chord(word) if found else None
        if found and chord:
            made[chord] = found[1], found[2] or (found[1] if chord.bass == chord.root else FLAT_NAMES[chord.bass])
    return made


def missing_bar_lines_remark(text: str) -> str:
    """Returns a remark if chords are not divided by `|`; otherwise ""."""
    count = len(text.split())
    undivided = count > 1 and not any(sign in text for sign in "|#\n")
    return f"{count} chords a bar, since no | divides them" if undivided else ""


def _chord(word: str) -> Chord | None:
    try:
        return read_chord(word)
    except ValueError:
        raise UsageError(f"{word[:40]!r} is no chord; write it as C, Am7, F/A, Bbsus4, N or C:maj7") from None


def timed_labels(spans: Sequence[ChordSpan], second_of: Callable[[float], float]) -> list[tuple[float, float, str]]:
    """Chords as (start s, end s, label), without those before second 0."""
    timed = ((max(0.0, second_of(s.start)), second_of(s.end), s.chord) for s in spans)
    return [(start, end, chord.label if chord else "N") for start, end, chord in timed if end > start]


def musicxml(
    spans: Sequence[ChordSpan],
    bars: Sequence[tuple[float, int, int]],
    end: float,
    spelled: Spellings | None = None,
    tempo: float = 0.0,
) -> str:
    """A lead sheet of chord symbols over rests, as MusicXML 4.0.

    `bars`: (quarter note, upper, lower) of each change of the time signature, the first at its first bar. `tempo`: in
    quarters a minute; 0 for none.
    """
    divisions = 24
    measures: list[str] = []
    at, change = bars[0][0], 0
    sound = f'<direction><sound tempo="{tempo:g}"/></direction>' if tempo else ""
    while at < end - 1e-6:
        signature = ""
        while change < len(bars) and bars[change][0] <= at + 1e-6:
            upper, lower = bars[change][1:]
            signature = (
                f"<attributes><divisions>{divisions}</divisions><time><beats>{upper}</beats>"
                f"<beat-type>{lower}</beat-type></time></attributes>"
            )
            change += 1
        length = upper * 4.0 / lower
        stop = min(at + length, bars[change][0]) if change < len(bars) else at + length
        inside = [s for s in spans if s.start < stop - 1e-6 and s.end > at + 1e-6]
        edges = sorted({at, stop, *(max(at, s.start) for s in inside), *(min(stop, s.end) for s in inside)})
        content = ""
        for start, until in pairwise(edges):
            begun = next((s for s in inside if abs(s.start - start) < 1e-6), None)
            content += _harmony_xml(begun.chord, spelled or {}) if begun else ""
            content += f"<note><rest/><duration>{max(1, round((until - start) * divisions))}</duration></note>"
        measures.append(f'<measure number="{len(measures) + 1}">{signature}{sound}{content}</measure>')
        at, sound = stop, ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 '
        'Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">\n<score-partwise version="4.0"><part-list>'
        '<score-part id="P1"><part-name>Chords</part-name></score-part></part-list><part id="P1">\n'
        + "\n".join(measures)
        + "\n</part></score-partwise>\n"
    )


_DEGREES = {1: (9, -1), 2: (9, 0), 3: (9, 1), 5: (11, 0), 6: (11, 1), 8: (13, -1), 9: (13, 0), 10: (7, 0), 11: (7, 1)}
"""Degree and alteration of tones that MusicXML adds to a chord."""


def _harmony_xml(chord: Chord | None, spelled: Spellings) -> str:
    if chord is None:
        # a root is required, and none of the name is shown
        return '<harmony><root><root-step text="">C</root-step></root><kind text="N.C.">none</kind></harmony>'

    def step(name: str, what: str) -> str:
        alter = f"<{what}-alter>{1 if name[1] == '#' else -1}</{what}-alter>" if len(name) > 1 else ""
        return f"<{what}><{what}-step>{name[0]}</{what}-step>{alter}</{what}>"

    root, bass = spelled.get(chord, (FLAT_NAMES[chord.root], FLAT_NAMES[chord.bass]))
    below, kind = step(bass, "bass") if chord.bass != chord.root else "", KINDS[chord.kind]
    base = next(other.tones for other in KINDS.values() if other.xml == kind.xml)
    degrees = ""
    for tone in (tone for tone in kind.tones if tone not in base):
        degree, alter = (5, tone - 7) if tone in (6, 8) and 7 not in kind.tones else _DEGREES[tone]
        degrees += f"<degree><degree-value>{degree}</degree-value><degree-alter>{alter}</degree-alter>"
        degrees += f"<degree-type>{'alter' if degree == 5 else 'add'}</degree-type></degree>"
    return f'<harmony>{step(root, "root")}<kind text="{chord.kind}">{kind.xml}</kind>{below}{degrees}</harmony>'


# ---- Chords from a text, a file or the left hand; cadences of endings, and sevenths of a key

CHORDS_AHEAD = 4
"""Number of coming chords that are published."""
ENDING_BARS = 2
"""Bars of an ending: a dominant and a tonic."""
HISTORY_SIZE = 64
"""Maximum number of left-hand chords that are remembered."""
ARPEGGIO_BEATS = 0.25
"""Maximum beats between keys of one arpeggiated chord."""


class GivenChords:
    """Chords of a text, looped, or of a file."""

    def __init__(self, text: str) -> None:
        # a bar of the text is one of the node's; its length follows `meter`
        self.text = spans_of(text, 1.0) if text.strip() else []  # the text's chords, in bars
        self.spans: Sequence[ChordSpan] = ()  # a file's chords, in beats; they come before all else

    def chords_around(self, beat: float, meter: int, follow: str) -> Sequence[ChordSpan]:
        """Returns the chords around a beat: the file's, or the text's in the present and the next round."""
        if self.spans or follow != "text" or not self.text:
            return self.spans
        length = math.ceil(self.text[-1].end - 1e-6)
        first = math.floor(beat / meter / length) * length
        return [
            ChordSpan((s.start + shift) * meter, (s.end + shift) * meter, s.chord)
            for shift in (first, first + length)
            for s in self.text
        ]

    def chords_from(self, beat: float, meter: int, follow: str) -> tuple[Chord | None, list[Chord]] | None:
        """Returns the chord at a beat, None if there is a gap or N.C., and up to `CHORDS_AHEAD` chords that follow.

        Returns None in place of both if neither a file nor, with `follow` "text", a text gives chords.
        """
        spans = self.chords_around(beat, meter, follow)
        if not spans:
            return None
        now = next((s.chord for s in spans if s.start <= beat + 1e-6 < s.end), None)
        ahead: list[Chord] = []
        for span in spans:
            if span.start > beat + 1e-6 and span.chord and span.chord != (ahead[-1] if ahead else now):
                ahead.append(span.chord)
                if len(ahead) == CHORDS_AHEAD:
                    break
        return now, ahead


class Progression:
    """History of played chords, with prediction by repetition.

    `now`: the latest chord; None before the first.
    """

    def __init__(self) -> None:
        self._chords: deque[Chord] = deque(maxlen=HISTORY_SIZE)
        self.since = -math.inf  # the beat at which it was played

    @property
    def now(self) -> Chord | None:
        return self._chords[-1] if self._chords else None

    def add(self, chord: Chord, beat: float) -> None:
        """Adds a chord; it replaces the previous one if it completes it key by key."""
        if self._chords and beat - self.since < ARPEGGIO_BEATS:
            self._chords.pop()
        if chord != self.now:
            self._chords.append(chord)
        self.since = beat

    def clear(self) -> None:
        self._chords.clear()

    def predict(self) -> list[Chord]:
        """Predicted chords: those after the longest and latest matching passage; none without one."""
        played = list(self._chords)
        best, goes_on = 0, 0
        for end in range(len(played) - 1):
            alike = 0
            while alike <= end and played[end - alike] == played[-1 - alike]:
                alike += 1
            if alike and alike >= best:
                best, goes_on = alike, end + 1
        if best:
            for n in range(goes_on, goes_on + CHORDS_AHEAD):
                # a loop of fewer chords goes on in what has just been foretold
                played.append(played[n])
            return played[-CHORDS_AHEAD:]
        return []


def cadence(number: int, key: int) -> Chord:
    """Chord of a bar of an ending: the dominant, then the tonic."""
    return triad_chord(key) if number % ENDING_BARS else Chord((key + 7) % 12, "7", (key + 7) % 12)


def add_seventh(triad: int, key: int) -> Chord:
    """Adds the diatonic seventh to a triad of a key; returns other triads unchanged."""
    degree = (triad - key) % 12
    minor = key >= 12
    sevenths = {0: "maj7", 5: "maj7", 7: "7", 14: "m7", 16: "m7", 21: "m7"}
    if minor:
        sevenths = {12: "m7", 17: "m7", 19: "m7", 7: "7", 3: "maj7", 8: "maj7", 10: "7"}
    kind = sevenths.get(triad // 12 * 12 + degree)
    return triad_chord(triad) if kind is None else Chord(triad % 12, kind, triad % 12)
