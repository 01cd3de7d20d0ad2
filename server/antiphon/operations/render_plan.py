"""Plans `antiphon render`: one pure function checks a request, and opens nothing but the patch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from antiphon.files.scores.midi_suffixes import is_midi
from antiphon.files.scores.midifile import SUFFIXES
from antiphon.files.sound_finish import SoundFinish
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.errors import Refusal
from antiphon.kernel.graph.clips import locate_asset
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.patch import Patch, load
from antiphon.kernel.runtime.arguments import check
from antiphon.kernel.runtime.settings import check_cue
from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES, format_of
from antiphon.kernel.runtime.terms import path_text, spell, spell_call
from antiphon.offline.file_job import Named, check_distinct, check_free
from antiphon.operations.file_tasks import gather_tasks, sound_suffix
from antiphon.operations.finishing import convert_finish_request
from antiphon.operations.plan import check_folder
from antiphon.operations.requests import PIPE, RenderRequest, is_script

MAX_BARS = 100_000


@dataclass(frozen=True, slots=True)
class RenderPlan:
    """What a rendering will do.

    Attributes:
        request: The request.
        patch: The patch; None for a live script, whose process names it.
        tasks: IN, None for silence and `PIPE` for standard input, and OUT of each file.
        finish: Finish of OUT.
        remarks: Sentences for the user.
    """

    request: RenderRequest
    patch: Patch | None
    tasks: tuple[tuple[str | None, str], ...]
    finish: SoundFinish
    remarks: tuple[str, ...] = ()


def plan(asked: RenderRequest, catalog: Catalog) -> RenderPlan:
    """Checks a request, and returns what is to be done.

    Raises Refusal: an argument is not allowed. Raises AntiphonError: the patch, a value or a file is not.
    """
    check(asked)
    finish = convert_finish_request(asked.finish, asked.rate)
    check_cue(asked.cue)
    if asked.stems == "":
        raise Refusal("stems", f"{spell('stems')} takes a folder", f"name one, as {spell('stems', 'strips')}")
    if PIPE in asked.source and (len(asked.source) > 1 or asked.out_dir is not None):
        hint = f"write {spell('out', 'OUT.wav')}, and nothing else behind {spell('in')}"
        raise Refusal("in", f"{spell('in', '-')} is one sound", hint)
    if is_script(asked.patch):
        _check_script(asked)
        return RenderPlan(asked, None, ((asked.source[0] if asked.source else None, asked.out),), finish)
    for option in ("bars", "midi"):
        if getattr(asked, option) is not None:
            example = spell_call("render", "set.py", bars=8, out="set.wav")
            raise Refusal(option, f"{spell(option)} is for a live script: {example}")
    if asked.stems is not None and asked.out_dir is not None:
        raise Refusal("stems", f"{spell('stems')} goes with one {spell('out')}: the tracks are of one file")
    patch, remarks = load(asked.patch, catalog, trusted=True), list[str]()
    tasks = _plan_tasks(asked, remarks)
    read: list[Named] = [(spell("in"), source) for source, _ in tasks if source not in (None, PIPE)]
    read += [(spell("events"), asked.events)] if asked.events is not None else []
    what = spell("out" if asked.out_dir is None else "out_dir")
    mend = "" if asked.out_dir is None else f"name another folder with {what}"
    check_distinct([*read, *_files_of(patch.graph, catalog)], [(what, out) for _, out in tasks], mend)
    if asked.out_dir is None:  # else each file is checked in its turn
        check_free([(what, out) for _, out in tasks], force=asked.force)
        check_folder(Path(asked.out))
    return RenderPlan(asked, patch, tuple(tasks), finish, tuple(remarks))


def _check_script(asked: RenderRequest) -> None:
    """Refuses arguments that a live script does not take, and files that it cannot write."""
    if asked.events is not None:
        raise Refusal("events", "a script plays its own events", f"leave {spell('events')} out")
    if asked.seconds is not None and asked.bars is not None:
        reason = f"{spell('bars', f'{asked.bars:g}')} says how long a script is"
        raise Refusal("seconds", f"{reason}: leave {spell('seconds')} out")
    if asked.seconds is not None or asked.bars is None or not asked.out:
        example = spell_call("render", "set.py", bars=32, out="set.wav")
        raise Refusal("bars", f"say how long in bars, and where to: {example}")
    if asked.out_dir is not None or len(asked.source) > 1:
        raise Refusal("out", f"a script is rendered to one {spell('out')}, with one {spell('in')} at most")
    if not 0 < asked.bars <= MAX_BARS:
        raise Refusal("bars", f"{spell('bars')} takes a number above 0, to {MAX_BARS}, not {asked.bars:g}")
    format_of(asked.out)
    written: list[Named] = [(spell("out"), asked.out), *([(spell("midi"), asked.midi)] if asked.midi else [])]
    sounds = [(spell("in"), sound) for sound in asked.source if sound != PIPE]
    check_distinct([("the script", asked.patch), *sounds], written)
    check_free(written, force=asked.force)
    for _, path in written:
        check_folder(Path(path))


def _plan_tasks(asked: RenderRequest, remarks: list[str]) -> Sequence[tuple[str | None, str]]:
    """IN, or None, and OUT of each file to render."""
    events, sources = asked.events, asked.source
    if events is not None and events.lower().endswith(READ_SUFFIXES):
        takes = f"{spell('events')} takes a file of events (.jsonl) or notes (.mid)"
        raise Refusal("events", f"{path_text(events)} is a sound", takes)
    if not sources and asked.seconds is None and not (events is not None and is_midi(events)):
        said = f"say {spell('in', 'IN.wav')}, or {spell('seconds', 'S')} to render without input"
        raise Refusal("in", said)
    if asked.out_dir is None:
        if not asked.out:
            folder = f"a folder for several, {spell('out_dir', 'FOLDER')}"
            raise Refusal("out", f"name the file to write, {spell('out', 'OUT.wav')}, or {folder}")
        if len(sources) > 1 or any(os.path.isdir(path) for path in sources):
            hint = f"write {spell('out_dir', 'FOLDER')} for several files or a folder"
            raise Refusal("in", f"one {spell('in', 'FILE')} goes with {spell('out')}", hint)
        format_of(asked.out)
        return [(sources[0] if sources else None, asked.out)]
    if asked.out:
        hint = f"{path_text(asked.out)} would be one file for all"
        raise Refusal("out", f"{spell('out')} and {spell('out_dir')} exclude each other", hint)
    if not sources:
        raise Refusal("in", f"{spell('out_dir')} takes the files or folders of {spell('in')}", "name one")
    read, recursive = (*READ_SUFFIXES, *SUFFIXES), asked.recursive
    tasks = gather_tasks(
        sources, asked.out_dir, "sound or MIDI", read, sound_suffix, remarks.append, recursive=recursive
    )
    return [(str(task.source), str(task.target)) for task in tasks]


def _files_of(graph: Graph, catalog: Catalog) -> list[Named]:
    """(node.parameter, path) of each file and folder that the patch's nodes read."""
    return [
        (f"{node.name}.{param.name}", locate_asset(str(node.values[param.name])))
        for node in graph.nodes
        for param in catalog[node.type].cells
        if param.kind == "file" and node.values.get(param.name)
    ]
