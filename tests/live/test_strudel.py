"""Words under the names of Strudel against the answers of its own library: the same events at the same fractions."""

import json
from fractions import Fraction as F
from pathlib import Path
from typing import Any

from tests.each import each

from antiphon import live
from antiphon.live.patterns.harmony import note_number

FOLDER = Path(__file__).parent / "strudel"
CASES = [
    (*line.split(" | ")[:2], answer)
    for line, answer in zip(
        (FOLDER / "cases.txt").read_text().splitlines(), (FOLDER / "answers.txt").read_text().splitlines(), strict=True
    )
    if " | " in line and not line.startswith("#")
]
OTHER_NAMES = {"cutoff": "lpf", "hcutoff": "hpf", "sustain": "sustainlevel", "clip": "legato"}
WORDS = {name: getattr(live, name) for name in live.__all__}


def plain(value: Any) -> Any:
    """A value as both sides have it: numbers to nine places, notes as numbers, values of a note by our names."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        return round(float(value), 6)
    if isinstance(value, dict):
        found = {OTHER_NAMES.get(name, name): plain(v) for name, v in value.items() if not name.startswith("_")}
        if "note" in found and isinstance(found["note"], str):
            found["note"] = float(note_number(found["note"].lower()))
        return found
    return 1.0 if value == "true" else 0.0 if value == "false" else value


def key(event: tuple[F, F, Any]) -> Any:
    return event[0], event[1], json.dumps(event[2], sort_keys=True)


@each("name, expression, answer", CASES)
def test_the_same_events_as_strudel(name: str, expression: str, answer: str) -> None:
    pattern = eval(expression, dict(WORDS))
    ours = [
        (event.whole.begin, event.whole.end - event.whole.begin, plain(event.value))
        for event in pattern.query(0, 4)
        if event.whole is not None and event.begins
    ]
    theirs = []
    for one in filter(None, answer.split("\t")):
        begin, length, value = one.split(" ", 2)
        theirs.append((F(begin), F(length), plain(json.loads(value))))
    assert sorted(ours, key=key) == sorted(theirs, key=key)
