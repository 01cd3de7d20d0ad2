"""Programs of Strudel, translated, play the events that Strudel's own library gives: at the same fractions, with the
same values.

`strudel.jsonl` has a program a line with the events of its first four cycles: begin, end and the number of the value.
They come from @strudel/core, mini, tonal and transpiler 1.2.6 in Node, bundled by esbuild with an empty SalatRepl in
the place of @kabelsalat/web: `await evalScope(core, mini, tonal)`, `setStringParser(mini.mini)`, then for each
program `repl({transpiler, defaultOutput: () => {}, getTime: () => 0})`, `await evaluate(program, false)`, and of
`scheduler.pattern.queryArc(0, 4)` the haps with an onset; `scheduler.cps` is the tempo.
"""

import json
from collections.abc import Mapping
from fractions import Fraction as F
from pathlib import Path
from typing import Any

import pytest
from tests.each import each

from antiphon.live import reading
from antiphon.live.patterns.harmony import note_number
from antiphon.paste.child import translate_program

CASES = [json.loads(line) for line in Path(__file__).with_name("strudel.jsonl").read_text("utf-8").splitlines()]
CYCLES = 4
OTHER_NAMES = {"cutoff": "lpf", "legato": "clip", "sustainlevel": "sustain"}
TEMPO = 120.0
"""Of the patch, as Strudel's own is where a program sets none."""


def plain(values: Mapping[str, Any], loudest: float = 1.0) -> dict[str, Any]:
    """Values as both sides have them; `loudest` is that of velocities."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name == "note" and isinstance(value, str):
            value = note_number((value if value[-1].isdigit() else f"{value}3").lower())
        if isinstance(value, int | float | F):
            value = round(float(value) / (loudest if name == "velocity" else 1.0), 6)
        if not name.startswith("_"):
            found[OTHER_NAMES.get(name, name)] = value
    if "bank" in found:
        found["s"] = f"{found.pop('bank')}_{found['s']}"
    return dict(sorted(found.items()))


@each("case", CASES)
def test_a_translated_program_plays_the_events_of_strudel(case: dict[str, Any]) -> None:
    text, made = translate_program(case["program"])
    script = reading.read("set.py", text)
    ours = [
        (event.whole.begin, event.whole.end, plain(event.value, 127.0))
        for track in script.tracks.values()
        for event in track.pattern.query(0, CYCLES, script.seed)
        if event.whole is not None and event.begins
    ]
    theirs = [
        (F(begin), F(end), plain(case["values"][int(number)]))
        for begin, end, number in (one.split() for one in case["events"].split("; "))
    ]
    assert sorted(ours, key=str) == sorted(theirs, key=str)
    assert not made.left_out
    tempo = next((event.args[0] for event in script.settings if event.address == "/tempo"), TEMPO)
    assert float(tempo) / 60 / float(script.bar) == pytest.approx(case["cps"])
