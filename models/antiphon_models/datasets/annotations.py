"""Reads the annotations of a recording: its tempo, keys, beats, chords and sections."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.api import FileError
from antiphon_models.datasets import tables
from antiphon_models.datasets.records import Item

_KEY = re.compile(r"([A-G])([b#]?)\s*:?\s*(major|maj|minor|min|m)?", re.IGNORECASE)
_APART = re.compile(r"[\s,;]+")
JAMS = ".jams"
_NAMESPACES = {"beats": "beat_position", "chords": "chord", "keys": "key_mode", "tempo": "tempo", "genre": "tag_open"}


@dataclass(frozen=True, slots=True)
class AnnotatedBeat:
    """A beat. `time`: seconds; `position`: beat number in the bar, from 1, or 0 where it is not annotated."""

    time: float
    position: int = 0


@dataclass(frozen=True, slots=True)
class AnnotatedSpan:
    """An annotated section of the recording.

    `start`: seconds. `end`: seconds. `label`: a chord in Harte's syntax, a key as "A minor", or a section's name.
    """

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class MusicAnnotations:
    """All annotations of an item.

    Attributes:
        tempo: Beats a minute; 0 where it is not known.
        key: "A minor"; "" where it is not known.
    """

    tempo: float = 0.0
    key: str = ""
    beats: tuple[AnnotatedBeat, ...] = ()
    chords: tuple[AnnotatedSpan, ...] = ()
    keys: tuple[AnnotatedSpan, ...] = ()
    sections: tuple[AnnotatedSpan, ...] = ()


def annotations_of(root: Path, item: Item) -> MusicAnnotations:
    """Reads an item's annotations from its files. Raises `FileError`, naming the unreadable file."""
    found: dict[str, tuple[Any, ...]] = {}
    parsed: dict[str, dict[str, Any]] = {}  # a file of JAMS has several kinds, and megabytes
    for kind, file in item.annotations.items():
        path = root / file
        if not path.is_file():
            continue
        if path.suffix == JAMS and file not in parsed:
            parsed[file] = tables.json_object(path)
        found[kind] = (_beats if kind == "beats" else _spans)(path, kind, parsed.get(file))
    return MusicAnnotations(item.tempo, item.key, **found)


def key_of(text: str) -> str:
    """Converts a data set's spelling of a key ("A minor", "Amin", "A:minor", "A") to "A minor"; "" where it is none."""
    found = _KEY.fullmatch(re.split(r"[/|\t,]", text)[0].strip())  # comments and other readings follow the first
    if not found:
        return ""
    mode = "minor" if found[3] and (found[3] == "m" or found[3].lower().startswith("min")) else "major"
    return f"{found[1].upper()}{found[2].lower()} {mode}"


def tempo_in(path: Path) -> float:
    """Tempo from a file with one number, or a JAMS file; 0 where unknown. Raises `FileError`: it is neither."""
    if path.suffix == JAMS:
        rows = jams_rows(tables.json_object(path), "tempo")
        return _number(path, rows[0].get("value")) if rows else 0.0
    lines = tables.lines(path)
    return _number(path, re.split(r"[,\s]", lines[0])[0]) if lines else 0.0


def jams_rows(jams: Mapping[str, Any], kind: str) -> Sequence[dict[str, Any]]:
    """The rows of the first annotation of a kind in a file of JAMS: dicts with `time`, `duration`, `value`."""
    every = jams.get("annotations")
    for annotation in every if isinstance(every, list) else ():
        if isinstance(annotation, dict) and annotation.get("namespace") == _NAMESPACES[kind]:
            rows = annotation.get("data")
            return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return []


def _beats(path: Path, kind: str, jams: Mapping[str, Any] | None) -> tuple[AnnotatedBeat, ...]:
    if jams is not None:
        rows = [(row.get("time"), row.get("value")) for row in jams_rows(jams, kind)]
        positions = [value.get("position") or 0 if isinstance(value, dict) else 0 for _, value in rows]
        return tuple(
            AnnotatedBeat(_number(path, time), int(_number(path, position)))
            for (time, _), position in zip(rows, positions, strict=True)
        )
    return read_beats(path)


def read_beats(path: Path) -> tuple[AnnotatedBeat, ...]:
    """Reads beats: lines of seconds, and the beat number in the bar if known; the first line may be a header.

    Blanks, commas or semicolons separate fields. Raises `FileError`: it cannot be read, or holds something else.
    """
    fields = [_APART.split(line) for line in tables.lines(path)]
    if fields and not any(letter.isdecimal() for letter in fields[0][0]):
        del fields[0]
    if fields and all(len(row) == 3 and set(row[1:]) <= {"0.0", "1.0"} for row in fields):
        return tuple(_counted(path, fields))
    return tuple(AnnotatedBeat(_number(path, row[0]), _place(row)) for row in fields)


def _place(row: Sequence[str]) -> int:
    """Beat number in the bar: 3 for "3", or for "9.3", the third beat of bar 9; 1 for a downbeat "db"; else 0."""
    if "db" in row:
        return 1
    place = row[-1].rpartition(".")[2] if len(row) == 2 else ""
    return int(place) if place.isdecimal() else 0


def _counted(path: Path, fields: Iterable[Sequence[str]]) -> Iterator[AnnotatedBeat]:
    """Beats of rows whose last field marks the first beat of a bar; beats before the first bar have no position.

    The field before it marks half bars.
    """
    position = 0
    for time, _, first in fields:
        position = 1 if first == "1.0" else position + 1 if position else 0
        yield AnnotatedBeat(_number(path, time), position)


def _spans(path: Path, kind: str, jams: Mapping[str, Any] | None) -> tuple[AnnotatedSpan, ...]:
    if jams is not None:
        rows = [
            (
                time := _number(path, row.get("time")),
                time + _number(path, row.get("duration") or 0),
                str(row.get("value")),
            )
            for row in jams_rows(jams, kind)
        ]
    else:
        # by tabs, of which a section's name has none, or by spaces
        split = [line.split("\t") if "\t" in line else line.split() for line in tables.lines(path)]
        if short := next((row for row in split if len(row) < 3), None):
            raise FileError(f"{path} has a line of {len(short)} fields: start, end and a label were expected")
        rows = [(_number(path, row[0]), _number(path, row[1]), row[-1].strip()) for row in split]
    spans = [AnnotatedSpan(*row) for row in rows]
    if kind == "keys":
        return tuple(AnnotatedSpan(one.start, one.end, key) for one in spans if (key := key_of(one.label)))
    return tuple(spans)


def _number(path: Path, text: Any) -> float:
    try:
        number = float(text)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise FileError(f"{path} has {str(text)[:40]!r} where a number was expected")
    return number
