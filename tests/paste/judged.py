"""Kept answers of Strudel and Tidal, and their comparison with the events of a translated program.

What is compared: beginnings, ends, and of the values those that are heard in the patch of translated scripts; values
without a counterpart are named in a comment of the script. Times are those of the clock: a word for the tempo counts.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction as F
from pathlib import Path
from typing import Any, TypeAlias

from antiphon.kernel.errors import UsageError
from antiphon.live import reading
from antiphon.live.patterns.harmony import note_number
from antiphon.live.patterns.words.samples import _resonance
from antiphon.live.patterns.words.table import WORDS
from antiphon.live.records import ScriptError
from antiphon.paste.child import translate_program
from antiphon.paste.words import BOUNDS, VALUE_NAMES

CYCLES = 4
Values: TypeAlias = dict[str, Any]
Answer: TypeAlias = str | list[tuple[F, F, Values]]
"""Events of the first cycles, begin, end and values; or the text of an error."""
FOLDER = Path(__file__).parent / "judge"
LANGUAGES = ("strudel", "tidal")
SILENT = frozenset({"on", "octave", "duckorbit"})
"""Values of routes, and of Strudel's octave, which no sound takes."""
HEARD = {
    name: value for name, value in VALUE_NAMES.items() if "nothing" not in WORDS[value].doc and value not in SILENT
}  # fmt: skip
ZERO = 36
"""Our number of Tidal's note 0 of a sample; of a synth it is 60."""
SCALES: dict[str, tuple[str, Callable[[float], float]]] = {
    "distort": ("shape", lambda amount: math.tanh(amount / 2)),
    "freq": ("note", lambda hertz: 69 + 12 * math.log2(hertz / 440)),
}
"""Values on another scale here."""
STRUDEL_SCALES = SCALES | {
    "bandq": ("bandq", lambda q: min(max(q, 1.0), 30.0)),
    "resonance": ("resonance", _resonance),
    "hresonance": ("hresonance", _resonance),
    "velocity": ("velocity", lambda share: 127 * share),
}


def _number(value: Any) -> Any:
    return round(float(value), 3) if isinstance(value, bool | int | float | F) else value


def ours(values: Mapping[str, Any]) -> Values:
    """Our values that are heard."""
    found = {HEARD[name]: value for name, value in values.items() if name in HEARD}
    if isinstance(found.get("note"), str):
        found["note"] = note_number(found["note"])
    return {name: _number(_bounded(name, value)) for name, value in found.items()}


def _bounded(name: str, value: Any) -> Any:
    low, high = BOUNDS.get(name, (-math.inf, math.inf))
    return min(max(value, low), high) if isinstance(value, int | float) else value


def strudel(values: Mapping[str, Any]) -> Values:
    """Strudel's values in our names and on our scales."""
    found = Values()
    for name, value in values.items():
        if isinstance(value, list):  # bd:3:.5 is a sound, its number and its level
            value = value[0]
        if name in ("note", "n") and isinstance(value, str):
            name, value = "note", note_number((value if value[-1].isdigit() else f"{value}3").lower())
        name = "sustainlevel" if name == "sustain" else name
        name, scaled = STRUDEL_SCALES.get(HEARD.get(name, name), (HEARD.get(name, ""), lambda same: same))
        if name:
            value = scaled(value) if isinstance(value, int | float) else value
            found[name] = _number(_bounded(name, value))
    if "bank" in values and "s" in found:
        found["s"] = f"{values['bank']}_{found['s']}"
    return found


def tidal(values: Mapping[str, Any]) -> Values:
    """Tidal's values in our names and on our scales."""
    found = Values()
    synth = str(values.get("s", "")).startswith("super")
    for name, value in values.items():
        if name in ("note", "up") or (name == "n" and synth):
            name, value = "note", value + (60 if synth else ZERO)
        elif name == "midinote":
            name = "note"
        elif name == "velocity":
            value *= 127
        name, scaled = SCALES.get(HEARD.get(name, name), (HEARD.get(name, ""), lambda same: same))
        if name:
            found[name] = _number(_bounded(name, scaled(value) if isinstance(value, int | float) else value))
    if "octave" in values and "note" in found:
        found["note"] += 12 * (values["octave"] - 5)
    return found


def our_events(line: str, cps: F) -> Iterator[tuple[F, F, Values]]:
    """Events of a translated program, in the cycles of a tempo. Raises UsageError or ScriptError: it does not play."""
    text, _ = translate_program(line)
    script = reading.read("set.py", text)
    factor = cps / (script.pace() / 60)
    for track in script.tracks.values():
        for event in track.pattern.query(0, CYCLES / factor, script.seed):
            if event.whole is not None and event.begins:
                yield event.whole.begin * factor, event.whole.end * factor, dict(event.value)


def difference(language: str, line: str, answer: Answer) -> str:
    """Difference of a line's events from an answer; "" for none."""
    assert not isinstance(answer, str)
    cps = F(next((value["cps"] for *_, value in answer if "cps" in value), 1 / 2))
    try:
        mine = sorted(_key(begin, end, ours(value)) for begin, end, value in our_events(line, cps))
    except (UsageError, ScriptError) as error:
        return f"refused: {error}"
    theirs = strudel if language == "strudel" else tidal
    if "loopAt" in line and language == "strudel":  # the speed is times the tempo there
        answer = [(b, e, {**value, "speed": value.get("speed", 1) / float(cps)}) for b, e, value in answer]
    wanted = sorted(_key(begin, end, theirs(value)) for begin, end, value in answer)
    if mine == wanted:
        return ""
    extra, missing = [one for one in mine if one not in wanted], [one for one in wanted if one not in mine]
    return f"ours {_shown(extra)}\n     want {_shown(missing)}"


def _key(begin: F, end: F, values: Values) -> tuple[F, F, str]:
    return begin, end, json.dumps(values, sort_keys=True, default=str)


def _shown(events: list[tuple[F, F, str]]) -> str:
    return f"{len(events)}: " + "; ".join(f"{b} {e} {v}" for b, e, v in events[:4])


def packed(answer: Answer) -> str:
    """An answer on one line: the values, then the events of each cycle as `begin-end:number of the value`.

    A cycle that is the same as an earlier one is `=` and its number.
    """
    assert not isinstance(answer, str)
    values, cycles = list[str](), [list[str]() for _ in range(CYCLES)]
    for begin, end, value in answer:
        shown = json.dumps(value, separators=(",", ":"))
        if shown not in values:
            values.append(shown)
        cycle = int(begin // 1)
        cycles[cycle].append(f"{begin - cycle}-{end - cycle}:{values.index(shown)}")
    shown_cycles = [" ".join(one) for one in cycles]
    same = [one if (at := shown_cycles.index(one)) == n else f"={at}" for n, one in enumerate(shown_cycles)]
    return f"[{','.join(values)}]\t{';'.join(same)}"


def unpacked(values: str, events: str) -> Answer:
    """Inverse of `packed`."""
    known, found, cycles = json.loads(values), list[tuple[F, F, Values]](), events.split(";")
    for cycle, text in enumerate(cycles):
        for one in (cycles[int(text[1:])] if text.startswith("=") else text).split():
            times, _, number = one.partition(":")
            begin, end = times.split("-")
            found.append((cycle + F(begin), cycle + F(end), known[int(number)]))
    return found


def rows(language: str) -> Iterator[tuple[str, bool, Answer]]:
    """Yields each kept line, whether it differs from ours, and its answer."""
    for line in (FOLDER / f"{language}.txt").read_text("utf-8").splitlines():
        program, values, events = line.split("\t")
        yield program[1:], program[0] == "!", unpacked(values, events)
