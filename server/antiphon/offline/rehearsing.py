"""A change to a live set played before it is heard: from a copy of what plays, faster than time, and judged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.errors import AntiphonError, PatchError
from antiphon.kernel.graph.graph import End, Graph, NodeSpec, Wire
from antiphon.kernel.graph.io_nodes import ENDS
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.graph.patch import Patch, load as load_patch
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.session.commands import Command
from antiphon.kernel.session.notes import Players
from antiphon.kernel.session.play import silent, unknown_words
from antiphon.kernel.synth.choosing import chosen
from antiphon.live.faults import fault_in_script
from antiphon.live.performance import Performance
from antiphon.live.reading import read
from antiphon.live.records import LiveEvent, ScriptError, ScriptTooLong
from antiphon.live.stage import LiveScript
from antiphon.offline.event_file import FileEvent, commands_of, parse_events
from antiphon.offline.hearing import tempo_map
from antiphon.offline.rehearsal import Verdict, judge
from antiphon.offline.rendering import PlayerRunner, param_finder
from antiphon.offline.runner import process_stream
from antiphon.offline.script_limits import disarm, rearm
from antiphon.offline.script_run import PATIENCE, commands, without_macros

RATE, BLOCK = 48000, 256
LONGEST_BARS = 16
REMEMBERED = 512
"""Beats before the change through which the loops of what plays are run, for what they remember."""
MOST_REMARKS = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """A change, and what it would come into.

    Attributes:
        text: The script that is proposed.
        before: The script that plays; "" where none does.
        beat: Of the script that plays, at which the change would come.
        tempo: Of the server, bpm; None for that of the patch.
        graph: The patch that plays, as of `GET /api/graph`; None for the file of the patch.
        lines: Commands at the change beside the script, as of a file of events, at beat 0.
        locked: Tracks and loops whose notes may not change.
        steady: Whether a step of loudness is a fault.
    """

    text: str
    name: str = "set.py"
    before: str = ""
    beat: Fraction = Fraction(0)
    tempo: float | None = None
    graph: Mapping[str, Any] | None = None
    lines: tuple[str, ...] = ()
    locked: frozenset[str] = frozenset()
    steady: bool = False
    bars: int = 4


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """The verdict and the sound, from the change on; `[channels, frames]` at `RATE`."""

    verdict: Verdict
    sound: Samples


@dataclass(slots=True)
class _Played:
    """What a performance plays around the change. `lead`: beats before it, a bar or none."""

    script: LiveScript
    events: list[LiveEvent]
    lead: Fraction
    failed: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def rehearse(trial: Trial, loaded: Loaded) -> Rehearsed:
    """Plays a change and judges it. The process is to be one that `script_limits.confine` has limited.

    Raises ScriptError: the script has an error, with its line. Raises AntiphonError: the change makes no sense.
    """
    played = _performed(trial)
    patch = _patch(trial, played.script, loaded)
    find, players = param_finder(patch.graph, loaded.catalog), Players(patch.graph, loaded.catalog)
    tempo = patch.tempo if trial.tempo is None else trial.tempo
    events, lacking = without_macros(played.events, patch.graph)
    played.remarks += [f"line {line}: the patch has no macro {macro!r}" for macro, line in sorted(lacking.items())]
    sounds = commands(events, trial.name, RATE, find, players)
    sounds += _ends(trial.graph, players, find)
    shifted = [line.replace('"beat": 0', f'"beat": {float(played.lead)}', 1) for line in trial.lines]
    sounds += parse_events(shifted, RATE, find, "the change", players, patch)
    times = tempo_map(events, RATE, tempo)
    bar = played.script.bar
    edges = [round(times.sample_at(float(played.lead + bar * k))) for k in range(trial.bars + 1)]
    runner, sound, spent = _rendered(patch, loaded, tempo, sounds, edges[-1])
    played.failed += [f"{node} fails: {reason}" for node, reason in runner.failures]
    if runner.dropped:
        played.failed.append(f"{runner.dropped} events exceed the limit of one block")
    played.remarks += _unknown(played.events, runner.vocabularies())
    first = [0] if played.lead else []
    notes = Counter(int(event.beat) for event in played.events if _is_note(event))
    verdict = judge(
        sound, RATE, [*first, *edges], max(notes.values(), default=0), spent * RATE / edges[-1], played.failed,
        limited=runner.limited * BLOCK / edges[-1], steady=trial.steady, remarks=played.remarks,
    )  # fmt: skip
    return Rehearsed(replace(verdict, bars=verdict.bars[len(first) :]), sound[:, edges[0] :])


def within(trial: Trial, work: Callable[[], Rehearsed]) -> Rehearsed:
    """Calls `work`; what ends a script for its time or memory becomes a `ScriptError`."""
    try:
        return work()
    except (MemoryError, RecursionError, ScriptTooLong) as error:
        raise fault_in_script(trial.name, error) from None
    finally:
        disarm()


# ---- the script


def _performed(trial: Trial) -> _Played:
    script = _read(trial.name, trial.text)
    before = _read("playing.py", trial.before) if trial.before else None
    length = script.bar * trial.bars
    if before is None:
        performance = Performance(script, trial.tempo or 120.0)
        return _Played(script, _until(performance, length), Fraction(0))
    lead = before.bar
    at = max(lead, trial.beat)
    performance = _advanced(before, at - lead, trial.tempo or 120.0)
    events = _until(performance, at)
    played = _Played(script, [replace(event, beat=event.beat - (at - lead)) for event in events], lead)
    performance.swap(script, at)
    after = _until(performance, at + length)
    if trial.locked:
        unchanged = _advanced(before, at, trial.tempo or 120.0)
        played.failed += _against(trial.locked, _until(unchanged, at + length), after)
    played.remarks += _out_of_key(events, after)
    played.events += [replace(event, beat=event.beat - (at - lead)) for event in after]
    return played


def _advanced(script: LiveScript, at: Fraction, tempo: float) -> Performance:
    """A performance that has come to a beat: loops have run for what they remember, patterns need none of it."""
    begin = max(Fraction(0), at - REMEMBERED) if script.loops else at
    performance = Performance(replace(script, tracks={}), tempo, at=begin, report=lambda _: None)
    _until(performance, at)
    performance.swap(script, at)
    return performance


def _read(name: str, text: str) -> LiveScript:
    rearm(PATIENCE)
    try:
        return read(name, text, patch_plays=True)
    finally:
        disarm()


def _until(performance: Performance, beat: Fraction) -> list[LiveEvent]:
    events: list[LiveEvent] = []
    while performance.beat < beat:
        rearm(PATIENCE)
        events += performance.until(min(beat, performance.beat + 1))
        disarm()
    return events


def _against(locked: Iterable[str], before: Sequence[LiveEvent], after: Sequence[LiveEvent]) -> list[str]:
    def notes(events: Sequence[LiveEvent], name: str) -> list[tuple[Fraction, str, tuple[Any, ...]]]:
        return sorted((event.beat, event.address, event.args) for event in events if event.source == name)

    changed = [name for name in sorted(locked) if notes(before, name) != notes(after, name)]
    return [f"it changes {name}, which the performer has locked" for name in changed]


def _is_note(event: LiveEvent) -> bool:
    return event.address == "/note/on" or event.address.endswith("/play")


_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_NAMES = ("c", "c#", "d", "eb", "e", "f", "f#", "g", "ab", "a", "bb", "b")


def _out_of_key(before: Iterable[LiveEvent], after: Iterable[LiveEvent]) -> list[str]:
    """A remark on notes outside the seven of the major scale, or its minor, that hold all notes before."""

    def classes(events: Iterable[LiveEvent]) -> set[int]:
        return {int(event.args[0]) % 12 for event in events if event.address == "/note/on"}

    was, now = classes(before), classes(after)
    fitting = [{(root + step) % 12 for step in _MAJOR} for root in range(12)]
    scale = set().union(*(one for one in fitting if was <= one))
    strange = now - was - scale
    if len(was) < 4 or not scale or not strange:
        return []
    return [f"notes out of the key of what plays: {', '.join(_NAMES[one] for one in sorted(strange))}"]


# ---- the patch


def _patch(trial: Trial, script: LiveScript, loaded: Loaded) -> Patch:
    """The script's patch: as it is now, where it is the one that plays."""
    if not script.patch:
        raise ScriptError(f'{trial.name}: it names no patch; write patch("band") in it')
    try:
        patch = load_patch(script.patch, loaded.catalog)
    except PatchError as error:
        raise ScriptError(f"{trial.name} line {script.patch_line}: {error}") from None
    live = trial.graph
    if live is None or _plain(live["patch"]) not in (_plain(patch.name), _plain(script.patch)):
        return patch
    nodes = tuple(
        NodeSpec(node["name"], node["type"], _values(node))
        for node in live["nodes"]
        if node["name"] not in (*ENDS, MACRO)
    )
    wires = tuple(Wire(_end(source), _end(dest)) for source, dest in live["wires"])
    return replace(patch, graph=Graph(nodes, wires, patch.graph.macros).with_types(loaded.catalog))


def _values(node: Mapping[str, Any]) -> dict[str, Any]:
    settable = (param for param in node["params"] if not param["readonly"] and param["kind"] != "trigger")
    return {param["name"]: param["value"] for param in settable if param["value"] not in (None, param["default"])}


def _ends(live: Mapping[str, Any] | None, players: Players, find: Callable[[str, str], Any]) -> Sequence[Command]:
    """The values of the server's own nodes, such as the master volume."""
    nodes = [node for node in (live or {"nodes": []})["nodes"] if node["name"] in ENDS]
    lines = [
        FileEvent(sample=0, address=f"/node/{node['name']}/{name}", args=[value])
        for node in nodes
        for name, value in _values(node).items()
    ]
    found: list[Command] = []
    for line in lines:
        try:
            found += commands_of(line, RATE, find, players)
        except AntiphonError:
            continue  # a render has no such end
    return found


def _end(text: str) -> End:
    return End(*text.rsplit(".", 1))


def _plain(name: str) -> str:
    return name.casefold().replace(" ", "")


# ---- the sound


def _rendered(
    patch: Patch, loaded: Loaded, tempo: float, played: Sequence[Command], frames: int
) -> tuple[PlayerRunner, Samples, float]:
    """The closed runner, its sound, and the processor time in seconds."""
    spec = StreamSpec(RATE, BLOCK, 2)

    def run() -> tuple[PlayerRunner, Samples]:
        runner = PlayerRunner(patch.graph, loaded.catalog, loaded.make, spec, tempo, played)
        with closing(runner):
            blocks = [samples.copy() for samples in process_stream((), runner, frames)]
        return runner, np.concatenate(blocks, axis=1)

    with ExitStack() as stack:
        passes = chosen().info.make_support().passes(live=0)
        if passes is not None:
            rounds = stack.enter_context(passes)
            rounds.begin()
            while not rounds.done(frames + run()[0].latency + BLOCK, RATE):
                rounds.begin()
        begun = time.process_time()
        runner, sound = run()
        return runner, sound, time.process_time() - begun


def _unknown(events: Sequence[LiveEvent], words: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Remarks on notes that name something that their node lacks."""
    found = dict[str, None]()
    for event in events:
        node = event.address.removeprefix("/node/").removesuffix("/play")
        if event.address == f"/node/{node}/play":
            for value, word, _ in unknown_words(words.get(node, {}), event.args):
                found[f"line {event.line}: {silent(node, value, word)}"] = None
    return list(found)[:MOST_REMARKS]
