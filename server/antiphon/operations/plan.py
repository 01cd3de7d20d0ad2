"""Plans `antiphon run`: one pure function checks a request, and touches nothing but the heads of files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from antiphon.files.scores.midi_suffixes import MIDI_READ, MIDI_WRITTEN, is_midi
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.file_use import NOTHING
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import FileError, Refusal
from antiphon.kernel.graph.graph import known_type
from antiphon.kernel.runtime.arguments import check
from antiphon.kernel.runtime.paths import path_as_spelled
from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES, format_of
from antiphon.kernel.runtime.terms import path_text, spell, spell_call, spell_parameter
from antiphon.offline.file_job import (
    Fires,
    Named,
    check_distinct,
    check_free,
    check_has_output,
    needed,
    needed_value,
    read_settings,
    takes_notes_alone,
)
from antiphon.operations.file_tasks import FileTask, gather_tasks, sound_suffix
from antiphon.operations.finishing import convert_finish_request
from antiphon.operations.requests import LIMITED, PIPE, RUN_OPTIONS, RunRequest, applies

if TYPE_CHECKING:
    from antiphon.files.pipes import RawForm
    from antiphon.files.sound_finish import SoundFinish

_ENDINGS = {"report": (".json",), "picture": (".png",), "roll": (".svg",), "click": (".wav",), "midi_out": MIDI_WRITTEN}
"""Allowed endings of further files, by their argument."""


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What a run will do.

    Attributes:
        request: The request, its plugin with the variant that its parameters choose.
        info: The plugin's declaration.
        tasks: Files in and out. IN or OUT may be `PIPE`.
        values: Values of parameters.
        fires: Triggers, each with the time in seconds at which it fires.
        finish: Finish of OUT.
        parts: Files of requested parts.
        raw: Form of bare samples in pipes.
        remarks: Sentences for the user.
    """

    request: RunRequest
    info: ProcessorInfo
    tasks: tuple[FileTask, ...]
    values: dict[str, Value]
    fires: Fires
    finish: SoundFinish
    parts: Mapping[str, Path]
    raw: RawForm | None
    remarks: tuple[str, ...] = ()


def plan(asked: RunRequest, catalog: Catalog) -> FilePlan:
    """Checks a request, and returns what is to be done.

    Raises Refusal: an argument is not allowed. Raises AntiphonError: a value, or a file, is not.
    """
    check(asked)
    finish = convert_finish_request(asked.finish, asked.rate)
    check_name(asked.plugin, catalog)
    # what comes last counts, as on a command line
    given = asked.given_params
    asked = structs.replace(asked, plugin=catalog.varied(asked.plugin, dict(given)))
    info = known_type(asked.plugin, catalog)
    check_has_output(info)
    _check_use(asked, info)
    raw = _plan_pipes(asked) if asked.raw or PIPE in asked.paths else None
    remarks: list[str] = []
    tasks = _plan_tasks(asked, info, remarks)
    values, fires = read_settings(info, given, find_file)
    if asked.causal:
        values[info.on_files.causal] = True
    parts = _plan_parts(asked, info, tasks[0]) if asked.stems or info.on_files.splits else {}
    beside: list[Named] = [(spell(name), path) for name, path in asked.beside.items()]
    beside += [(spell("stems" if asked.stems else "out_dir"), path) for path in parts.values()]
    _check_files(asked, info, tasks, values, beside)
    every = {p.name: p.default for p in info.params} | values
    for name, _, condition in (entry.partition(" ") for entry in info.on_files.idle):
        of, _, value = condition.partition("=")
        if name in values and (not condition or str(every[of]) == value):
            remarks.append(f"{name} of {info.type} has no effect on files{condition and f' with {condition}'}")
    _check_paths(asked, info, tasks, beside)
    return FilePlan(asked, info, tuple(tasks), values, fires, finish, parts, raw, tuple(remarks))


def check_name(plugin: str, catalog: Catalog) -> None:
    """Raises Refusal for several names, such as "chorus,reverb", or for a patch instead of a plugin."""
    if any(mark in plugin for mark in ",+|>"):
        played = spell_call("render", "PATCH.toml", "IN", out="OUT")
        reason = "run takes one processor; several in a row are a patch, a file of nodes and wires"
        raise Refusal("plugin", f"{reason}: {played} plays it")
    if plugin not in catalog:
        from antiphon.operations import patch_list

        if plugin in patch_list.names():
            raise Refusal("plugin", f"{plugin} is a patch: {spell_call('render', plugin, 'IN', out='OUT')}")


def _check_use(asked: RunRequest, info: ProcessorInfo) -> None:
    """Refuses an option that does not apply to this plugin."""
    splits, given = info.on_files.splits, [name for name in ("only", "without") if getattr(asked, name)]
    for name in LIMITED:
        one = RUN_OPTIONS[name]
        if getattr(asked, name) != one.default and not applies(one, info):
            writes = "MIDI" if name == "midi_out" else one.option
            _, lacks = one.extra("needs") or ("", f"writes no {writes}")
            raise Refusal(name, f"{info.type} {lacks}", f"leave {spell(name)} out")
    for name in given:
        for part in getattr(asked, name):
            if part not in splits:
                raise Refusal(name, f"{spell(name)} takes {', '.join(splits[:-1])} or {splits[-1]}, not {part!r}")
        if asked.out_dir is not None:
            hint = f"leave it out, or name {spell('target')} instead of {spell('out_dir')}"
            raise Refusal(name, f"{spell(name)} is for one file {spell('target')}", hint)
    if len(given) > 1:
        raise Refusal("only", f"{spell('only')} and {spell('without')} exclude each other", "give one of them")


def _plan_pipes(asked: RunRequest) -> RawForm | None:
    """The form of bare samples in pipes."""
    if PIPE not in asked.paths:
        if asked.raw:
            reason = f"{spell('raw')} is of standard input and output"
            raise Refusal("raw", f"{reason}: name {spell('source')} or {spell('target')} -")
        return None
    if asked.out_dir is not None or len(asked.paths) != 2:
        without = f", without {spell('out_dir')}" if asked.out_dir is not None else ""
        reason = f"name one {spell('source')} and one {spell('target')}{without}"
        raise Refusal("paths", f"- is standard input or output: {reason}")
    from antiphon.files.pipes import RawForm

    return RawForm.of(asked.raw) if asked.raw else None


def _plan_tasks(asked: RunRequest, info: ProcessorInfo, remarks: list[str]) -> list[FileTask]:
    """Files to process; a folder stands for its files that the plugin accepts (`gather_tasks`)."""
    paths = [path if path.isascii() else str(path_as_spelled(Path(path))) for path in asked.paths]
    source, target, out_dir = spell("source"), spell("target"), spell("out_dir", "FOLDER")
    use, alone = info.on_files, asked.out_dir is None
    if use.job and use.default_source and alone and len(paths) == 1 and not os.path.isdir(paths[0]):
        from antiphon.kernel.graph.clips import locate_asset

        paths.insert(0, use.default_source if use.default_source == NOTHING else locate_asset(use.default_source))
    lacking = ""
    if alone and len(paths) == 1:
        lacking = f"{target if os.path.exists(paths[0]) else source} is missing beside {path_text(paths[0])}"
    if use.splits and asked.out_dir is not None:
        if len(paths) != 1:
            reason = f"{info.type} takes one {source} apart at a time, not {len(paths)}"
            raise Refusal("paths", reason, "run it once for each")
        return [FileTask(Path(paths[0]), Path(asked.out_dir))]
    if use.job and (not alone or len(paths) != 2):
        folder = f", or one {source} and {out_dir} for its parts" if use.splits else ""
        raise Refusal("paths", f"{info.type} takes one {source} and one {target}{folder}", lacking)
    if asked.out_dir is not None:
        what, endings = ("MIDI", MIDI_READ) if takes_notes_alone(info) else ("sound", READ_SUFFIXES)
        suffix = partial(_find_suffix, info)
        return gather_tasks(paths, asked.out_dir, what, endings, suffix, remarks.append, recursive=asked.recursive)
    if len(paths) != 2:
        raise Refusal("paths", f"name one file {source} and one file {target}, or several and {out_dir}", lacking)
    given, written = path_text(paths[0]), path_text(paths[1])
    if os.path.isdir(paths[1]):
        raise Refusal("target", f"{written} is a folder", f"name a file, or write {spell('out_dir', written)}")
    if os.path.isdir(paths[0]) and not use.job:
        hint = f"write {spell('out_dir', written)} to do all that is in it"
        raise Refusal("source", f"{given} is a folder", hint)
    return [FileTask(Path(paths[0]), Path(paths[1]))]


def _find_suffix(info: ProcessorInfo, source: Path) -> str:
    """The ending of the output file for `source`: the same ending if it can be written."""
    if info.first("audio", "out") is None:
        return source.suffix if source.suffix.lower() in MIDI_WRITTEN else MIDI_WRITTEN[0]
    return sound_suffix(source)


def find_file(param: Param, value: str) -> str:
    """Path of a parameter of kind file."""
    path = Path(os.path.expanduser(value))
    if not path.exists():
        raise Refusal(param.name, f"{param.name} takes {param.holds}, and there is none at {value!r}")
    return str(path.absolute())


def _plan_parts(asked: RunRequest, info: ProcessorInfo, first: FileTask) -> dict[str, Path]:
    """Files of the requested parts: out-drums.wav beside out.wav, or files in the folder."""
    if info.on_files.splits and asked.out_dir is not None:
        return {part: Path(asked.out_dir) / f"{part}.wav" for part in info.on_files.splits}
    out, stems = first.target, info.on_files.stems if asked.stems else ()
    if stems and str(out) == PIPE:
        reason = f"{spell('stems')} writes files beside {spell('target')}, which is standard output"
        raise Refusal("stems", reason, f"name a file {spell('target')}")
    return {part: out.with_name(f"{out.stem}-{part}{out.suffix}") for part in stems}


def _check_files(
    asked: RunRequest,
    info: ProcessorInfo,
    tasks: Sequence[FileTask],
    values: Mapping[str, Value],
    beside: Sequence[Named],
) -> None:
    """Refuses a file that would be both read and written, and a parameter that is missing."""
    read: list[Named] = [(spell("source"), task.source) for task in tasks if str(task.source) != PIPE]
    read += [(p.name, str(values[p.name])) for p in info.cells if p.kind == "file" and p.name in values]
    mend = "" if asked.out_dir is None else f"name another folder with {spell('out_dir')}"
    written: list[Named] = [(spell("target"), task.target) for task in tasks if str(task.target) != PIPE]
    check_distinct(read, [*written, *beside], mend)
    exempt = any(f"{name}={value}" in info.on_files.exempt for name, value in values.items())
    for param in () if exempt else needed(info):
        value = values.get(param.name, "")
        if value in ("", None) if param.kind == "file" else value != param.default:
            given = spell_parameter(param.name, needed_value(param))
            raise Refusal(param.name, f"{info.type} does nothing without {given}")


def _check_paths(asked: RunRequest, info: ProcessorInfo, tasks: Sequence[FileTask], beside: Sequence[Named]) -> None:
    """Refuses an IN that is missing, and an output file that exists, or cannot be written."""
    use, task = info.on_files, tasks[0]
    if asked.out_dir is not None and not use.job:
        if beside:
            source, target = spell("source"), spell("target")
            hint = f"name {source} and {target}, and leave {spell('out_dir')} out"
            raise Refusal("out_dir", f"{beside[0][0]} is of one file: {hint}")
        return  # each file is checked in its turn
    piped = str(task.target) == PIPE
    # of a name that no file can have this is false as well
    if not os.path.exists(task.source) and str(task.source) != PIPE:
        what = "file or folder" if use.job else "file"
        raise FileError(f"cannot read {path_text(task.source)}: there is no such {what}")
    if asked.rate and is_midi(task.target, written=True):
        raise Refusal("rate", f"{spell('rate')} is of sound, and {spell('target')} holds notes", "leave it out")
    outs: list[Named] = [(spell("target"), task.target)] if asked.out_dir is None and not piped else []
    check_free([*outs, *beside], force=asked.force)
    if not use.job:
        if PIPE not in (str(task.source), str(task.target)):
            check_task(info, task)
        return
    written: list[tuple[str, Path]] = [("target", task.target)] if outs else []
    for name, path in (*written, *((name, Path(path)) for name, path in asked.beside.items())):
        if (endings := _ENDINGS.get(name)) and path.suffix.lower() not in endings:
            raise FileError(f"cannot write {path_text(path)}: {spell(name)} ends in {' or '.join(endings)}")
        check_folder(path)


def check_task(info: ProcessorInfo, task: FileTask) -> None:
    """Refuses an IN that is sound for notes or notes for sound, and an OUT of another kind than the plugin's output."""
    source, plays = path_text(task.source), is_midi(task.source)
    if plays and (info.first("events", "in") is None or info.analyses):
        raise Refusal("source", f"{info.type} takes sound, and {source} is a MIDI file")
    if not plays and takes_notes_alone(info):
        hint = f"give one that ends in {' or '.join(MIDI_WRITTEN)}"
        raise Refusal("source", f"{info.type} takes notes, and {source} is no MIDI file: {hint}")
    if info.first("events", "out") is None or not is_midi(task.target, written=True):
        if info.first("audio", "out") is None:
            file = f"{spell('target')} is a MIDI file ({' or '.join(MIDI_WRITTEN)})"
            raise Refusal("target", f"{info.type} writes notes: {file}, not {path_text(task.target)}")
        format_of(task.target)
    check_folder(task.target)


def check_folder(path: Path) -> None:
    """Raises FileError: the folder of a file to write is missing."""
    if not path.parent.is_dir():
        raise FileError(f"cannot write {path_text(path)}: its folder does not exist; make it first")
