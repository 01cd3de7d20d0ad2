"""Renders a patch over sound files, with timed events, or a live script, like the engine."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from antiphon.files.pipes import input_file
from antiphon.files.scores import midifile
from antiphon.files.scores.midi_song import MidiNote, MidiTrack
from antiphon.files.scores.studio import PROJECTS, StudioSet, StudioTrack, write_projects
from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.errors import PatchError, UsageError
from antiphon.kernel.graph.patch import load as load_patch
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime.paths import make_folder
from antiphon.kernel.runtime.sound_packs import in_pack
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.runtime.terms import hold_file_names, path_text, spell
from antiphon.kernel.session.commands import Command
from antiphon.kernel.session.notes import Players
from antiphon.kernel.session.play import find_substituted_words, silent, stands_in, unknown_words, word_after_bank
from antiphon.live.listening import missing
from antiphon.live.patterns.spans import exact
from antiphon.live.records import LiveEvent, ScriptError
from antiphon.offline.commands import param_finder
from antiphon.offline.file_job import check_free
from antiphon.offline.hearing import MAX_ROUNDS, BlockListener, Cue
from antiphon.offline.output_summary import Written
from antiphon.offline.script_run import ScriptProcess, commands, drop_missing_macros, frames_of
from antiphon.operations.drums import DRUMS
from antiphon.operations.file_tasks import count_failures, play_with
from antiphon.operations.render_plan import RenderPlan, plan
from antiphon.operations.rendering import BLOCK, PatchRender, RenderedFile, render_file, sound_form, tail_after
from antiphon.operations.requests import MAX_SECONDS, PIPE, SILENT, RenderRequest, Reporting, noticing

# ---- Notes of a live script as a MIDI file: a track for each of its tracks and loops, exact to the tick

TICKS = 960
"""Ticks of a beat: triplets and sixty-fourths are whole numbers."""
_DRUM_CHANNEL = 10
_CHANNELS = tuple(channel for channel in range(1, 17) if channel != _DRUM_CHANNEL)
_DEFAULT_LENGTH = 0.25
"""Length in beats of a sound for which none is given."""
_STEP = Fraction(1, 4)
"""Step in beats of tempo changes that approximate a ramp."""


def write(
    path: Path, events: Sequence[LiveEvent], beats: Fraction, tempo: float, bar: Fraction | None = None
) -> tuple[int, list[str]]:
    """Writes notes, tempo and the `bar` in beats; returns the number of notes, and the sounds without a MIDI note."""
    tracks, missing = group_notes_by_track(events, beats)
    midifile.write(path, tracks, tempo_of(events, tempo), TICKS, [] if bar is None else [_signature(bar)])
    return sum(len(track.notes) for track in tracks), missing


def _signature(bar: Fraction) -> tuple[float, int, int]:
    """Time signature of bars of so many beats, from beat 0 on; the nearest whole number where there is none."""
    lower = 4 * bar.denominator
    return (0.0, bar.numerator, lower) if lower in (4, 8, 16, 32) else (0.0, max(1, round(bar)), 4)


def group_notes_by_track(events: Sequence[LiveEvent], beats: Fraction) -> tuple[list[MidiTrack], list[str]]:
    """Notes of each track and loop, and names of sounds without a MIDI note. Unended notes end at `beats`."""
    notes: dict[str, list[MidiNote]] = {}
    sounding: dict[tuple[object, ...], tuple[LiveEvent, int, float]] = {}
    channels: dict[str, int] = {}
    missing: list[str] = []

    def keep(source: str, note: MidiNote) -> None:
        notes.setdefault(source, []).append(note)

    def end(key: tuple[object, ...], at: Fraction) -> None:
        event, number, velocity = sounding.pop(key)
        length = max(float(at - event.beat), 1.0 / TICKS)
        keep(event.source, MidiNote(float(event.beat), length, number, velocity, channels[event.source]))

    for event in events:
        if event.address in ("/note/on", "/note/off"):
            number, velocity, *rest = event.args
            key: tuple[object, ...] = (number, *rest)
            if key in sounding:
                end(key, event.beat)
            if event.address == "/note/on":
                _channel(channels, event.source)
                sounding[key] = event, int(number), float(velocity) / 127.0
        elif event.address.endswith("/play"):
            values = dict(zip(event.args[::2], event.args[1::2], strict=True))
            sound = str(values.get("s"))
            number = int(values.get("note", DRUMS.get(sound, DRUMS.get(word_after_bank(sound), -1))))
            if number < 0:
                name = str(values.get("s", "?"))
                missing += [] if name in missing else [name]
                continue
            velocity = float(values.get("velocity", 100.0)) / 127.0
            channel = _channel(channels, event.source) if "note" in values else _DRUM_CHANNEL
            own = event.mark.length if "note" in values and event.mark else _DEFAULT_LENGTH
            length = float(values.get("lasts", own))
            keep(event.source, MidiNote(float(event.beat), length, number, velocity, channel))
    for left in list(sounding):
        end(left, max(beats, sounding[left][0].beat))
    tracks = [
        MidiTrack(source, tuple(sorted(held, key=lambda n: (n.start, n.number)))) for source, held in notes.items()
    ]
    return tracks, missing


def _channel(channels: dict[str, int], source: str) -> int:
    """Channel of a track's notes; beyond fifteen they are reused."""
    return channels.setdefault(source, _CHANNELS[len(channels) % len(_CHANNELS)])


def tempo_of(events: Sequence[LiveEvent], tempo: float) -> list[tuple[float, float]]:
    """(beat, bpm) of each change, `tempo` before the script sets one; a ramp, which MIDI lacks, as steps."""
    changes: dict[Fraction, float] = {Fraction(0): tempo}
    begun, over, first, last = Fraction(0), Fraction(0), tempo, tempo  # the present ramp

    def bpm_at(beat: Fraction) -> float:
        return first + (last - first) * float(min(Fraction(1), (beat - begun) / over)) if over else last

    for event in events:
        if event.address != "/tempo":
            continue
        first = bpm_at(event.beat)
        begun, last = event.beat, float(event.args[0])
        over = Fraction(float(event.args[1])) if len(event.args) > 1 else Fraction(0)
        changes = {at: value for at, value in changes.items() if at < begun}
        steps = max(1, min(4096, int(over / _STEP))) if over else 0
        edges = [begun + over * step / max(1, steps) for step in range(steps + 1)]
        for at, after in pairwise(edges):  # each with its mean tempo, so that it lasts as long as the engine's
            changes[at] = _mean(bpm_at(at), bpm_at(after))
        changes[begun + over] = last
    return [(float(at), bpm) for at, bpm in sorted(changes.items())]


def _mean(first: float, last: float) -> float:
    """Mean tempo over a ramp that is linear in beats."""
    return (last - first) / math.log(last / first) if abs(last / first - 1.0) > 1e-9 else first


MAX_SENTENCES = 16
_NOTES = ("/note/on", "/note/off", "/cc", "/bend")


def _render_script(planned: RenderPlan, loaded: Loaded, reporting: Reporting) -> bool:
    """Renders a script; returns whether a node failed. Raises ScriptError: the script is faulty."""
    asked = planned.request
    path, out, name = asked.patch, asked.out, Path(asked.patch).name
    with ScriptProcess(path) as script:
        task, beats, events = perform_script(planned, script, loaded, reporting)
    stems = _stems(script.header.names, events, asked.stems)
    if asked.stems:
        Path(asked.stems).mkdir(parents=True, exist_ok=True)
        projects = [str(Path(asked.stems) / name) for name in PROJECTS]
        check_free([(spell("stems"), file) for file in (*(file for file, _ in stems), *projects)], force=asked.force)
    bar = max(1, round(script.header.bar))
    done = task.write(out, convert_to_commands(task, events, name), name, bar=bar)
    sources = path_text(path), f"the patch {task.patch.name}"
    explained, sentences, remarks = find_unknown_notes(name, events, done)
    for sentence in [*sentences, *remarks][:MAX_SENTENCES]:
        reporting.complain(sentence)
    failed = done.tell(reporting, sources, explained)
    made: list[StudioTrack] = []
    for file, own in stems:
        stem = task.write(file, convert_to_commands(task, own, name), Path(file).name, bar=bar)
        failed |= stem.tell(reporting, sources, explained)
        wrote = stem.written
        made.append(StudioTrack(Path(file).stem, Path(file).name, wrote.channels, seconds=wrote.seconds))
    if asked.stems:
        notes, _ = group_notes_by_track(events, beats)
        made += [StudioTrack(f"{track.name} notes", muted=True, notes=track) for track in notes]
        tempo = tempo_of(events, task.patch.tempo)
        seconds = done.written.seconds or 0.0
        meters = [_signature(script.header.bar)]
        held = StudioSet(task.spec.rate, seconds, 0.0, tempo, bar, made, meters=meters)
        for project in write_projects(Path(asked.stems), held):
            reporting.wrote(Written(project, f"{len(made)} tracks", seconds))
    if asked.midi:
        count, missing = write(Path(asked.midi), events, beats, task.patch.tempo, script.header.bar)
        reporting.wrote(Written(asked.midi, path_text(path), (task.frames or 0) / task.spec.rate, notes=count))
        if missing:
            reporting.complain(
                f"{path_text(asked.midi)} is without {', '.join(missing[:8])}: no drum of General MIDI is called so"
            )
    return failed


def find_unknown_notes(
    name: str, events: Sequence[LiveEvent], done: RenderedFile
) -> tuple[Mapping[str, int], list[str], list[str]]:
    """Finds notes with names unknown to their node; returns their number by node, a sentence per line, and remarks on
    substitutes. `name`: the script's."""
    found = Counter[str]()
    sentences, remarks = dict[str, None](), dict[str, None]()
    for event in events:
        node = event.address.removeprefix("/node/").removesuffix("/play")
        if event.address != f"/node/{node}/play":
            continue
        for value, word, known in unknown_words(done.vocabularies.get(node, {}), event.args):
            found[node] += 1
            sentences[
                f"{name} line {event.line}: {silent(node, value, word)}{in_pack(value, word) or instead(word, known)}"
            ] = None
        for word, known in find_substituted_words(done.vocabularies.get(node, {}), event.args):
            remarks[stands_in(node, word, known)] = None
    return found, list(sentences), list(remarks)


def perform_script(
    planned: RenderPlan, script: ScriptProcess, loaded: Loaded, reporting: Reporting
) -> tuple[PatchRender, Fraction, list[LiveEvent]]:
    """The rendering of a script, with its length in beats and its events."""
    asked, header, complain = planned.request, script.header, reporting.complain
    path, source = Path(asked.patch), planned.tasks[0][0]
    if not header.patch:
        raise UsageError(f'{path.name} names no patch; write patch("pads") in it')
    beside = path.parent / header.patch
    try:
        patch = load_patch(str(beside) if beside.is_file() else header.patch, loaded.catalog, trusted=True)
    except PatchError as error:
        raise ScriptError(f"{path.name} line {header.patch_line}: {error}") from None
    for line, sentence in missing(header.listens, [node.name for node in patch.graph.nodes]):
        complain(f"{path.name} line {line}: {sentence}")
    play_with(asked.device, asked.synth, loaded, patch.graph, complain)
    rate, channels, subtype, _, finish = sound_form(source, planned.finish)
    if source is None and asked.stems is None:  # stems sum to OUT
        finish = finish.from_notes()
    beats = exact(asked.bars or 0.0, spell("bars")) * header.bar
    events = script.play(beats, patch.tempo)
    frames = frames_of(events, beats, rate, patch.tempo)
    if frames > MAX_SECONDS * rate:
        raise UsageError(f"{path.name} would last {frames / rate:,.0f} s; at most {MAX_SECONDS:g} are allowed")
    tail = tail_after(asked, patch, loaded.catalog)
    spec = StreamSpec(rate, asked.block or BLOCK, channels)
    task = PatchRender(
        loaded, patch, spec, source, subtype, frames, frames, tail, asked.fade, finish, asked.cue, reporting
    )
    if source is not None and header.listens:
        events = _answer_cues(task, script, beats, events)
        frames = frames_of(events, beats, rate, patch.tempo)
        task = replace(task, frames=frames, expected=frames)
    events, lacking = drop_missing_macros(events, Players(patch.graph, loaded.catalog))
    for sentence in lacking:
        complain(f"{path.name} {sentence}")
    return task, beats, events


def convert_to_commands(task: PatchRender, events: Sequence[LiveEvent], name: str) -> list[Command]:
    """Converts a script's events to commands; `name`: the script's, for errors."""
    graph, catalog = task.patch.graph, task.loaded.catalog
    return commands(events, name, param_finder(graph, catalog), Players(graph, catalog))


def _answer_cues(task: PatchRender, script: ScriptProcess, beats: Fraction, events: list[LiveEvent]) -> list[LiveEvent]:
    """Events of the script with the cues from its output, iterated until the cues are stable."""
    spec, header = task.spec, script.header
    cues: list[Cue] = []
    for _ in range(MAX_ROUNDS):
        hearing = BlockListener((node for node, _ in header.listens), header.levels, spec.rate, spec.block)
        taken, _ = drop_missing_macros(events, Players(task.patch.graph, task.loaded.catalog))
        task.hear(convert_to_commands(task, taken, script.name), hearing)
        heard = hearing.cues(events, spec.rate, task.patch.tempo)
        if heard == cues:
            break
        cues = heard
        events = script.play(beats, task.patch.tempo, cues)
    return events


def _stems(names: Sequence[str], events: Sequence[LiveEvent], folder: str | None) -> list[tuple[str, list[LiveEvent]]]:
    """Stem files: for each track and loop with notes the path, and its events together with those that are no notes."""
    if folder is None:
        return []
    stems: list[tuple[str, list[LiveEvent]]] = []
    used: set[str] = set()
    for name in names:
        if not any(event.source == name and _is_note(event) for event in events):
            continue
        base = re.sub(r"[^\w.-]+", "_", name).strip(".") or "track"
        file, number = base, 2
        while file.lower() in used:
            file, number = f"{base}_{number}", number + 1
        used.add(file.lower())
        own = [event for event in events if event.source == name or not _is_note(event)]
        stems.append((str(Path(folder) / f"{file}.wav"), own))
    return stems


def _is_note(event: LiveEvent) -> bool:
    return event.address in _NOTES or event.address.endswith("/play")


# ---- A patch over sound files, with timed events, or a live script, as the engine would play it


def render(asked: RenderRequest, loaded: Loaded, reporting: Reporting = SILENT) -> bool:
    """Renders a patch or a live script; returns whether a node failed, or events were left out.

    With `out_dir`, failures of single files are complaints. Raises AntiphonError: the request is invalid, or cannot be
    rendered. Raises ScriptError: the script has an error.
    """
    return carry_out(plan(asked, loaded.catalog), loaded, reporting)


def carry_out(planned: RenderPlan, loaded: Loaded, reporting: Reporting) -> bool:
    """Opens and writes what a plan says; returns whether a node failed, or events were left out."""
    asked, patch = planned.request, planned.patch
    with ExitStack() as stack:
        if PIPE in asked.source:
            kept = str(stack.enter_context(input_file()))
            stack.enter_context(hold_file_names({kept: "standard input"}))
            planned = replace(planned, tasks=((kept, planned.tasks[0][1]),))
        reporting = stack.enter_context(noticing(reporting))
        if patch is None:
            return _render_script(planned, loaded, reporting)
        for remark in planned.remarks:
            reporting.complain(remark)
        play_with(asked.device, asked.synth, loaded, patch.graph, reporting.complain)
        if asked.out_dir is None:
            return not render_file(*planned.tasks[0], planned, patch, loaded, reporting)

        def write(task: tuple[str | None, str]) -> bool:
            make_folder(Path(task[1]).parent)
            check_free([(spell("out_dir"), task[1])], force=asked.force)
            return render_file(*task, planned, patch, loaded, reporting)

        failed, count = count_failures(planned.tasks, write, reporting.complain), len(planned.tasks)
        if failed:
            patch_file = path_text(asked.patch)
            reporting.complain(f"{failed} of {count} files could not be rendered without a fault from {patch_file}")
        return failed > 0
