"""Rehearsal of a live set, or of a change to it: rendered offline from a copy, and judged before it plays."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from itertools import groupby, pairwise, repeat
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.backends.info import BackendChoice, choose, play_ahead, use
from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.params import Param
from antiphon.kernel.errors import AntiphonError, PatchError
from antiphon.kernel.graph.graph import End, Graph, NodeSpec, Wire
from antiphon.kernel.graph.io_nodes import ENDS
from antiphon.kernel.graph.macros import macros_from_json
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.graph.patch import Patch, file_name, load as load_patch
from antiphon.kernel.plugins.loader import Loaded, load
from antiphon.kernel.runtime.shortening import count_of
from antiphon.kernel.session.commands import Command, Sample, SetTransport
from antiphon.kernel.session.messages import FindParam
from antiphon.kernel.session.notes import Players
from antiphon.live.faults import fault_in_script
from antiphon.live.performance import Performance
from antiphon.live.reading import read
from antiphon.live.records import LiveEvent, ScriptError, ScriptTooLong
from antiphon.live.stage import LiveScript
from antiphon.offline.commands import param_finder
from antiphon.offline.event_file import commands_of, parse_events
from antiphon.offline.hearing import tempo_map
from antiphon.offline.player import FilePlayer, patch_player
from antiphon.offline.script_child import begin_step, end_step, set_limits
from antiphon.offline.script_run import TIMEOUT_SECONDS, accepts_event, commands, drop_missing_macros, unknown_values
from antiphon.signal.loudness import QUIETEST, LoudnessMeter, lufs_of

SILENT_BARS = 2
"""Maximum silence in bars without an objection."""
STEP_LU = 6.0
"""Maximum loudness change in LU between bars without an objection."""
MAX_NOTES_PER_BEAT = 512
"""Maximum notes per beat."""
MAX_RENDER_SHARE = 0.7
"""Maximum rendering time as a fraction of real time; beyond it the set does not fit beside a server's own work."""
MAX_LIMITED_SHARE = 0.01
"""Maximum share of time with output beyond full scale."""
SILENCE = -60.0
"""Loudness in LUFS below which a bar is silent."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Figures of the rehearsed bars, and objections to playing them."""

    loudness: float  # integrated, LUFS
    peak: float  # largest sample, dBFS
    clipped: int  # samples beyond full scale
    bars: tuple[float, ...]  # loudness of each bar, LUFS
    silent: int  # longest run of silent bars
    step: float  # largest change of loudness between two bars that sound, LU
    notes: int  # most notes that begin within a beat
    cost: float  # processor time of the rendering, as a share of its length; what workers take is not in it
    limited: float  # share of the time with sound beyond full scale, before the output's limiter
    why: tuple[str, ...]  # a sentence for each fault; empty for a set that can be played
    remarks: tuple[str, ...]  # sentences about what may be meant so

    @property
    def ok(self) -> bool:
        """True without objections."""
        return not self.why


def judge(
    sound: Samples,
    rate: int,
    edges: Sequence[int],
    notes: int,
    cost: float,
    failed: Sequence[str],
    *,
    limited: float = 0.0,
    remarks: Sequence[str] = (),
) -> Verdict:
    """Judges a sound.

    Args:
        sound: Float32 `[channels, frames]`.
        edges: Frames at which its bars begin, and the end of the last.
        notes: Maximum number of notes that begin within a beat.
        cost: Processor time of its rendering, as a fraction of its length.
        failed: A sentence for each node that failed and each loss of events.
        limited: Fraction of the time with output beyond full scale.
        remarks: Sentences that are not objections.
    """
    bars = tuple(bar_loudness(sound[:, first:last], rate) for first, last in pairwise(edges))
    meter = LoudnessMeter(rate, len(sound))
    meter.feed(sound)
    top = float(np.abs(sound).max(initial=0.0))
    clipped = int(np.count_nonzero(np.abs(sound) > 1.0))
    runs = (len(list(run)) for quiet, run in groupby(level < SILENCE for level in bars) if quiet)
    silent, step = max(runs, default=0), largest_step(bars)
    why, said = list(failed), list(remarks)
    if silent > SILENT_BARS:
        why.append(f"it is silent for {count_of(silent, 'bar')}")
    if clipped or limited > MAX_LIMITED_SHARE:
        how = f"{clipped} samples are" if clipped else f"it is for {limited:.0%} of the time"
        why.append(f"{how} beyond full scale; set a lower gain, or put a limiter before out")
    if notes > MAX_NOTES_PER_BEAT:
        why.append(f"{notes} notes begin within a beat, of at most {MAX_NOTES_PER_BEAT}")
    if cost > MAX_RENDER_SHARE:
        why.append(f"it takes {cost:.0%} of the time that it lasts, of at most {MAX_RENDER_SHARE:.0%}")
    if step > STEP_LU:
        said.append(f"its loudness changes by {step:.1f} LU from one bar to the next")
    peak = 20.0 * float(np.log10(max(top, 1e-6)))
    figures = (meter.integrated_loudness(), peak, clipped, bars, silent, step, notes, cost, limited)
    return Verdict(*figures, tuple(why), tuple(said))


def bar_loudness(sound: Samples, rate: int) -> float:
    """Loudness of a bar: that of its loudest 400 ms, in LUFS."""
    meter = LoudnessMeter(rate, len(sound))
    meter.feed(sound)
    return max(QUIETEST, float(lufs_of(meter.blocks(max(1, meter.hops))).max()))


def largest_step(bars: Sequence[float]) -> float:
    """Largest loudness change between two sounding bars, in LU."""
    pairs = [abs(b - a) for a, b in pairwise(bars) if min(a, b) >= SILENCE]
    return max(pairs, default=0.0)


_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_NAMES = ("c", "c#", "d", "eb", "e", "f", "f#", "g", "ab", "a", "bb", "b")


def remark_on_foreign_notes(before: Iterable[int], after: Iterable[int]) -> list[str]:
    """Remark on notes outside the major scale, or its relative minor, that contains all notes before the change."""
    was, now = ({note % 12 for note in notes} for notes in (before, after))
    fitting = [{(root + step) % 12 for step in _MAJOR} for root in range(12)]
    scale = set().union(*(one for one in fitting if was <= one))
    strange = now - was - scale
    if len(was) < 4 or not scale or not strange:
        return []
    return [f"notes out of the key of what plays: {', '.join(_NAMES[one] for one in sorted(strange))}"]


def caused_loudness_steps(
    bars: Sequence[float], before: Samples, edges: Sequence[int], steps: list[int], rate: int
) -> list[str]:
    """Sentence on the first loudness step caused by the change, which the playing set without it would not have."""
    for at in steps:
        usual = bar_loudness(before[:, edges[at] : edges[at + 1]], rate)
        if largest_step([usual, bars[at + 1]]) > STEP_LU:
            where = f"from its bar {at} to the next" if at else "where it comes in"
            return [f"the loudness changes by {abs(bars[at + 1] - bars[at]):.1f} LU {where}, by at most {STEP_LU:g}"]
    return []


RATE = 48000
"""Sample rate in Hz."""
BLOCK = 512
"""Block size in frames: twice a server's, which saves a quarter of the time."""
MAX_BARS = 16
MEMORY_BEATS = 512
"""Beats before the change for which the loops of the playing script are run, to restore their memory."""
MAX_REMARKS = 8
SILENT = np.zeros((2, 0), np.float32)
"""Silent input."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A proposed change, with the playing set that it modifies.

    Attributes:
        text: The proposed script.
        before: The playing script; "" without one.
        beat: Current beat of the playing script; the change comes on its next bar.
        tempo: The server's tempo in bpm; None for the patch's.
        graph: The playing patch: `patch`, its name, `nodes` with `name`, `type` and `values`, `wires` as pairs of
            "node.port", `scenes` by number and `macros` as in a patch file; None for the file of the patch.
        lines: Further commands at the change, in the form of an event file, at beat 0.
        locked: Tracks and loops whose notes may not change.
    """

    text: str
    name: str = "set.py"
    before: str = ""
    beat: Fraction = Fraction(0)
    tempo: float | None = None
    graph: Mapping[str, Any] | None = None
    lines: tuple[str, ...] = ()
    locked: frozenset[str] = frozenset()
    bars: int = 4


@dataclass(frozen=True, slots=True)
class RehearsalResult:
    """Verdict and sound, `[channels, frames]` at `RATE`: from the change on, and of the bar before it."""

    verdict: Verdict
    sound: Samples
    before: Samples
    rate: int = RATE


@dataclass(slots=True)
class ScriptEvents:
    """Events of a script around the change.

    `bar`: beats of a bar; `lead`: beats before the change, a bar or none; `line`: line that names its patch;
    `unchanged`: events without the change; `usual`: addresses that its tracks and loops set.
    """

    patch: str
    line: int
    bar: Fraction
    lead: Fraction
    events: list[LiveEvent]
    unchanged: list[LiveEvent] = field(default_factory=list)
    usual: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Returns the record as JSON data."""
        plain = asdict(replace(self, events=[], unchanged=[]))
        for name in _EVENTS:
            plain[name] = [[str(e.beat), e.address, list(e.args), e.source, e.line] for e in getattr(self, name)]
        return {**plain, "bar": str(self.bar), "lead": str(self.lead)}

    @staticmethod
    def of(plain: Mapping[str, Any]) -> ScriptEvents:
        """Record of `plain` data."""
        events = {name: [LiveEvent(Fraction(e[0]), e[1], tuple(e[2]), *e[3:]) for e in plain[name]] for name in _EVENTS}
        return ScriptEvents(**{**plain, **events, "bar": Fraction(plain["bar"]), "lead": Fraction(plain["lead"])})


_EVENTS = ("events", "unchanged")


def rehearse(trial: Trial, played: ScriptEvents, loaded: Loaded, heard: Samples = SILENT) -> RehearsalResult:
    """Renders a change from its events, and judges it; the script itself is not run.

    `heard`: the input sound, float32 `[2, frames]` at `RATE`, looped.

    Raises AntiphonError: the patch does not accept it; the error has the script's line.
    """
    notes = max(Counter(int(event.beat) for event in played.events if _is_note(event)).values(), default=0)
    if notes > MAX_NOTES_PER_BEAT:  # they need not be rendered to be known as too many
        raise ScriptError(f"{trial.name}: {notes} notes begin within a beat, of at most {MAX_NOTES_PER_BEAT}")
    patch = _patch(trial, played, loaded)
    find, players = param_finder(patch.graph, loaded.catalog), Players(patch.graph, loaded.catalog)
    # what plays goes on without what the patch refuses of it; a note that ends may have begun before
    begun = (one for one in played.events if one.beat < played.lead or one.address == "/note/off")
    known = {(one.address, one.args): one for one in (*played.unchanged, *begun)}
    taken = Players(patch.graph, loaded.catalog)
    refused = {key for key, one in known.items() if not accepts_event(one, find, taken)}
    events, unchanged = (
        [one for one in some if (one.address, one.args) not in refused] for some in (played.events, played.unchanged)
    )
    played = replace(played, events=events, unchanged=unchanged)
    if trial.graph is not None and not _is_of(trial.graph, patch, played):
        lead = played.lead  # only what comes from the change on
        after = [replace(one, beat=one.beat - lead) for one in played.events if one.beat >= lead]
        played = replace(played, events=after, unchanged=[], lead=Fraction(0))
    tempo = patch.tempo if trial.tempo is None else trial.tempo
    events, remarks = drop_missing_macros(played.events, players)
    present = _ends(trial.graph, players, find)
    shifted = [line.replace('"beat": 0', f'"beat": {float(played.lead)}', 1) for line in trial.lines]
    sounds = [*commands(events, trial.name, find, players), *present]
    sounds += parse_events(shifted, RATE, find, "the change", players, patch)
    times = tempo_map(events, RATE, tempo)
    edges = [round(times.sample_at(float(played.lead + played.bar * k))) for k in range(trial.bars + 1)]
    player, sound, spent = _rendered(patch, loaded, tempo, sounds, edges[-1], heard)
    failed = [*played.failed, *(f"{node} fails: {reason}" for node, reason in player.failures)]
    if player.dropped:
        failed.append(f"{player.dropped} events exceed the limit of one block")
    first = [0] if played.lead else []
    verdict = judge(
        sound, RATE, [*first, *edges], notes, spent * RATE / edges[-1], failed,
        limited=player.beyond * BLOCK / edges[-1],
        remarks=[*played.remarks, *remarks, *unknown_values(played.events, player.vocabularies())[:MAX_REMARKS]],
    )  # fmt: skip
    why = list(verdict.why)
    if not why and max(verdict.bars[len(first) :]) < SILENCE:
        why.append("it is silent")
    steps = [at for at in range(len(verdict.bars) - 1) if largest_step(verdict.bars[at : at + 2]) > STEP_LU]
    if first and steps:
        unchanged = drop_missing_macros(played.unchanged, players)[0]
        usual = [*commands(unchanged, trial.name, find, players), *present]
        before = _rendered(patch, loaded, tempo, usual, edges[steps[-1] + 1], heard)[1]
        why += caused_loudness_steps(verdict.bars, before, edges, steps, RATE)
    verdict = replace(verdict, why=tuple(why), bars=verdict.bars[len(first) :])
    return RehearsalResult(verdict, sound[:, edges[0] :], sound[:, : edges[0]])


def prepared() -> Loaded:
    """Loads the plugins and the synth of a rehearsing process."""
    loaded = load(check=False)
    use(BackendChoice(choose("auto", loaded.factories["synths"])))
    return loaded


def preload(patch: str, loaded: Loaded) -> None:
    """Preloads a patch's machine code and sounds, so that forks of this process inherit them."""
    with closing(patch_player(patch, loaded, StreamSpec(RATE, BLOCK, 2), trusted=False)) as player:
        player.run(np.zeros((2, BLOCK), np.float32))


def perform_change(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the input of `rehearse_change` from a `Trial` as JSON, or `fault` and `picture`; limits its own process."""
    set_limits(TIMEOUT_SECONDS)
    try:
        return run_script(_trial(asked)).plain()
    except AntiphonError as error:
        return {"fault": str(error), "picture": getattr(error, "picture", "")}


def rehearse_change(
    asked: Mapping[str, Any], played: Mapping[str, Any], loaded: Loaded, heard: Samples = SILENT
) -> RehearsalResult:
    """Renders and judges the result of `perform_change`. Raises `AntiphonError` like `rehearse`."""
    return rehearse(_trial(asked), ScriptEvents.of(played), loaded, heard)


def _trial(plain: Mapping[str, Any]) -> Trial:
    sets = {"lines": tuple(plain["lines"]), "locked": frozenset(plain["locked"])}
    return Trial(**{**plain, **sets, "beat": Fraction(plain["beat"])})


# ---- the script


def run_script(trial: Trial) -> ScriptEvents:
    """Runs the scripts, in a process that `script_child.set_limits` has limited.

    Raises ScriptError: a script has an error, or takes too long; it has the line.
    """
    try:
        return _performed(trial)
    except (MemoryError, RecursionError, ScriptTooLong) as error:
        raise fault_in_script(trial.name, error) from None
    finally:
        end_step()


def _performed(trial: Trial) -> ScriptEvents:
    script = _read(trial.name, trial.text)
    played = ScriptEvents(script.patch, script.patch_line, script.bar, Fraction(0), [])
    before = _read("playing.py", trial.before) if trial.before else None
    length = script.bar * trial.bars
    if before is None:
        played.events = _until(Performance(script, trial.tempo or 120.0), length)
        return played
    played.lead = lead = before.bar
    at = max(lead, -(-trial.beat // lead) * lead)
    performance, ran = _performance_at(before, at - lead, trial)
    events = _until(performance, at)
    performance.swap(script, at)
    after = _until(performance, at + length)
    unchanged = _until(_performance_at(before, at, trial)[0], at + length)
    played.usual = sorted(before.sets() | {one.address for one in (*ran, *events, *unchanged) if one.source})
    played.failed += _locked_track_objections(trial.locked, unchanged, after)
    played.unchanged = [replace(event, beat=event.beat - (at - lead)) for event in (*events, *unchanged)]
    played.remarks += remark_on_foreign_notes(_keys(events), _keys(after))
    played.events = [replace(event, beat=event.beat - (at - lead)) for event in (*events, *after)]
    return played


def _performance_at(script: LiveScript, at: Fraction, trial: Trial) -> tuple[Performance, list[LiveEvent]]:
    """Performance advanced to a beat, and its events: loops run to restore their memory; patterns need no run."""
    begin = max(Fraction(0), at - MEMORY_BEATS) if script.loops else at
    kept = script.settings if trial.graph is None or trial.tempo is None else []  # else those of now hold already
    performance = Performance(
        replace(script, tracks={}, settings=kept), trial.tempo or 120.0, at=begin, report=lambda _: None
    )
    performance.script = replace(script, tracks={})  # the next version is compared with all its settings
    events = _until(performance, at)
    performance.swap(script, at)
    return performance, events


def _read(name: str, text: str) -> LiveScript:
    begin_step(TIMEOUT_SECONDS)
    try:
        return read(name, text, patch_plays=True)
    finally:
        end_step()


def _until(performance: Performance, beat: Fraction) -> list[LiveEvent]:
    events: list[LiveEvent] = []
    while performance.beat < beat:
        begin_step(TIMEOUT_SECONDS)
        events += performance.until(min(beat, performance.beat + 1))
        end_step()
    return events


def _locked_track_objections(
    locked: Iterable[str], before: Sequence[LiveEvent], after: Sequence[LiveEvent]
) -> list[str]:
    def notes(events: Sequence[LiveEvent], name: str) -> list[tuple[Fraction, str, tuple[Any, ...]]]:
        return sorted((event.beat, event.address, event.args) for event in events if event.source == name)

    changed = [name for name in sorted(locked) if notes(before, name) != notes(after, name)]
    return [f"it changes {name}, which the performer has locked" for name in changed]


def _keys(events: Iterable[LiveEvent]) -> set[int]:
    return {int(event.args[0]) for event in events if event.address == "/note/on"}


def _is_note(event: LiveEvent) -> bool:
    return event.address == "/note/on" or event.address.endswith("/play")


# ---- the patch


def _patch(trial: Trial, script: ScriptEvents, loaded: Loaded) -> Patch:
    """The script's patch: the playing one in its current state, if the script names it or none."""
    live, patch = trial.graph, None
    if script.patch:
        try:
            patch = load_patch(script.patch, loaded.catalog)
        except PatchError as error:
            if live is None or not _is_of(live, None, script):
                raise ScriptError(f"{trial.name} line {script.line}: {error}") from None
    if live is None or (patch and not _is_of(live, patch, script)):
        if patch is None:
            raise ScriptError(f'{trial.name}: it names no patch; write patch("band") in it')
        return patch
    patch = patch or Patch(str(live["patch"]), trial.tempo or 120.0, Graph())
    nodes = tuple(
        NodeSpec(node["name"], node["type"], _values(node, loaded.catalog[node["type"]].cells))
        for node in live["nodes"]
        if node["name"] not in (*ENDS, MACRO) and node["type"] in loaded.catalog
    )
    wires = tuple(Wire(_end(source), _end(dest)) for source, dest in live["wires"])
    macros, scenes = macros_from_json(live["macros"]), {int(number): one for number, one in live["scenes"].items()}
    return replace(patch, scenes=scenes, graph=Graph(nodes, wires, macros).without_rejected_values(loaded.catalog))


def _is_of(live: Mapping[str, Any], patch: Patch | None, script: ScriptEvents) -> bool:
    """Whether the playing patch is the script's, by name or, for the performer's names, by file."""
    return file_name(live["patch"]) in {file_name(Path(script.patch).stem), *([file_name(patch.name)] if patch else [])}


def _values(node: Mapping[str, Any], cells: Iterable[Param]) -> dict[str, Any]:
    settable = {param.name: param for param in cells if not param.readonly and param.kind != "trigger"}
    return {
        name: value for name, value in node["values"].items() if name in settable and value != settable[name].default
    }


def _ends(live: Mapping[str, Any] | None, players: Players, find: FindParam) -> Sequence[Command]:
    """Values of the server's own nodes, such as the master volume."""
    found: list[Command] = []
    for node in (live or {"nodes": []})["nodes"]:
        for name, value in node["values"].items() if node["name"] in ENDS else ():
            with contextlib.suppress(AntiphonError):  # a value that is read only, an end that a render has not
                if value != find(node["name"], name).default:
                    found += commands_of(f"/node/{node['name']}/{name}", [value], Sample(0), find, players)
    return found


def _end(text: str) -> End:
    return End(*text.rsplit(".", 1))


# ---- the sound


def _rendered(
    patch: Patch, loaded: Loaded, tempo: float, played: Sequence[Command], frames: int, heard: Samples
) -> tuple[FilePlayer, Samples, float]:
    """Renders; returns the closed player, the sound, and the processor time in seconds."""

    def play() -> tuple[FilePlayer, Samples]:
        spec, commands = StreamSpec(RATE, BLOCK, 2), (SetTransport(True), *played)
        player = FilePlayer(patch.graph, loaded.catalog, loaded.make, spec, tempo, commands)
        return player, player.sound(repeat(heard) if heard.shape[1] else (), frames)

    with play_ahead(lambda: frames + play()[0].latency + BLOCK, RATE):
        begun = time.process_time()
        return *play(), time.process_time() - begun
