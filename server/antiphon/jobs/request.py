"""Job requests of clients: checked against the declarations, and converted to a command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from antiphon.jobs.errors import Missing
from antiphon.jobs.job import Task
from antiphon.jobs.live_sets import live_set
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.file_use import NOTHING
from antiphon.kernel.contract.params import Param, instead_of
from antiphon.kernel.errors import ParamError, WireError
from antiphon.kernel.graph import asset_names, patch_list
from antiphon.kernel.graph.graph import known_type
from antiphon.kernel.runtime.finite import is_finite_number
from antiphon.kernel.runtime.shortening import shorten
from antiphon.kernel.runtime.sound_formats import FORMATS, MAX_RATE, MIN_RATE
from antiphon.kernel.runtime.suggestion import instead

BESIDE = {
    "midi": ("midi-out", "notes.mid"),
    "analysis": ("analysis", "analysis.json"),
    "report": ("report", "report.json"),
    "picture": ("picture", "picture.png"),
    "roll": ("roll", "roll.svg"),
}
"""Fields that request a further result: the option of `antiphon run`, and the result's name."""
APART = "--out-dir"
"""Option, in `Task.beside`, of a job that writes several results itself."""
RUN_KEYS = ("file", "params", "format", *BESIDE, "stems", "tail", "rate")
RENDER_KEYS = ("file", "format", "seconds", "rate")
LIVE_KEYS = ("file", "format", "bars", "midi", "rate")
MOST_SECONDS = 3600.0
"""Maximum seconds of a rendered patch."""
MOST_BARS = 2048.0
"""Maximum bars of a rendered live set."""
MOST_TRIGGER = 7 * 24 * 3600.0
FORMAT_NAMES = tuple(suffix.removeprefix(".") for suffix in FORMATS)
SHOWN_FORMATS = f"{', '.join(FORMAT_NAMES[:-1])} or {FORMAT_NAMES[-1]}"
NOTES, MIDI = ".mid", (".mid", ".midi")


def run_task(catalog: Catalog, plugin: str, body: object, path_of: Callable[[str], Path]) -> Task:
    """Task of `POST /api/run/PLUGIN`.

    Body: {"file": ID, "params": {…}, "format": ".flac", "midi": true, "analysis": true, "stems": true, "tail": 2.0,
    "rate": 44100}; all but `file` are optional, and `file` for a plugin that needs none, as `generate`. `path_of`
    returns the path of a file by its identifier; it raises if there is none.

    Raises:
        AntiphonError: Something of it is not allowed; the message says what is.
    """
    info = known_type(plugin, catalog)
    info.check_writes()
    fields = _fields(body, RUN_KEYS)
    if info.on_files.default_source not in ("", NOTHING):
        raise WireError(f"{plugin} works on a folder, which HTTP does not take; render a patch that plays it instead")
    key, source = "", Path(NOTHING)
    if "file" in fields or info.on_files.default_source != NOTHING:
        key, source = _file(fields, path_of)
        _check_source(info, source)
    arguments: list[str] = []
    params = fields.get("params", {})
    if not isinstance(params, dict):
        raise WireError('"params" is an object of names and values')
    cells = {cell.name: cell for cell in info.cells if not cell.readonly}
    for name, value in params.items():
        if name not in cells:
            raise ParamError(f"{plugin} has no parameter {shorten(name)!r}{instead_of(name, cells.values())}")
        arguments += ["-p", f"{name}={_typed(cells[name], value, path_of)}"]
    # a form shows the only choice that files take as chosen
    choices = {p.name: p.default for p in info.needed() if p.kind == "choice" and p.name not in params}
    arguments += [part for name, value in choices.items() for part in ("-p", f"{name}={value}")]
    if lacking := info.lacking({**params, **choices}):
        how = '{"file": ID}' if lacking.kind == "file" else f'"{info.needed_value(lacking)}"'
        raise ParamError(f'{plugin} does nothing without "params": {{"{lacking.name}": {how}}}')
    if "tail" in fields:
        if info.on_files.job:
            raise WireError(f'{plugin} sets the length of its result itself; leave "tail" out')
        arguments += ["--tail", f"{_number(fields, 'tail', 60.0):g}"]
    beside = {}
    for name, (option, result) in BESIDE.items():
        if _switch(fields, name):
            if option not in info.on_files.beside:
                raise WireError(f'{plugin} writes no {"MIDI" if name == "midi" else name}; leave "{name}" out')
            beside[f"--{option}"] = result
    if _switch(fields, "stems"):
        if not info.on_files.splits:
            raise WireError(f'{plugin} takes no sound apart; leave "stems" out')
        if fields.get("format", "wav") not in ("wav", ".wav"):
            raise WireError('the stems are WAV files; leave "format" out')
        return Task("run", plugin, key, ".wav", params, (*arguments, *_rate(fields, ".wav")), {APART: ""})
    suffix = _run_suffix(fields, info, source, asked=bool(beside))
    return Task("run", plugin, key, suffix, params, (*arguments, *_rate(fields, suffix)), beside)


def render_task(patch: str, body: object, path_of: Callable[[str], Path]) -> Task:
    """Task of `POST /api/render/PATCH`; `patch` from the network is never a path, `path_of` as for `run_task`.

    Body: {"file": ID, "format": ".wav", "seconds": 10, "rate": 44100}; `seconds` is optional with a file.

    Raises:
        AntiphonError: As `run_task`.
    """
    if all(entry.name != patch for entry in patch_list.entries()):
        raise Missing(f"there is no patch {shorten(patch)!r}{instead(patch, patch_list.names())}")
    fields = _fields(body, RENDER_KEYS)
    key = ""
    arguments: list[str] = []
    if "file" in fields:
        key, _ = _file(fields, path_of)
    elif "seconds" not in fields:
        raise WireError('a patch is rendered over a file ("file": ID) or for a time ("seconds": 10)')
    if "seconds" in fields:
        arguments += ["--seconds", f"{_number(fields, 'seconds', MOST_SECONDS):g}"]
    suffix = _suffix(fields, ".wav")
    return Task("render", patch, key, suffix, {}, (*arguments, *_rate(fields, suffix)))


def live_task(name: str, body: object, path_of: Callable[[str], Path]) -> Task:
    """Task of `POST /api/live/SET`: `name` is looked up, and no script is taken from the request.

    Body: {"bars": 16, "file": ID, "format": ".wav", "midi": true}; all are optional. The file is the patch's input.

    Raises:
        AntiphonError: As `run_task`.
    """
    script = live_set(name)
    fields = _fields(body, LIVE_KEYS)
    key = _file(fields, path_of)[0] if "file" in fields else ""
    bars = _number(fields, "bars", MOST_BARS, "bars") if "bars" in fields else float(script.bars)
    if bars <= 0.0:
        raise WireError(f'"bars" is above 0, at most {MOST_BARS:g}')
    suffix = _suffix(fields, ".wav")
    beside = {"--midi": "notes.mid"} if _switch(fields, "midi") else {}
    return Task("live", name, key, suffix, {}, ("--bars", f"{bars:g}", *_rate(fields, suffix)), beside)


def command(task: Task, source: Path | None, folder: Path, *, own_scripts: bool = False) -> list[str]:
    """Command-line words of a task, without the interpreter.

    With `own_scripts` a live set of the performer's folder, where HTTP writes, may be evaluated.

    Raises:
        WireError: The live set was removed meanwhile, or is not evaluated.
    """
    out = str(folder / f"out{task.suffix}")
    beside = [word for option, name in task.beside.items() for word in (option, str(folder / name))]
    if task.command == "run":
        whole = [] if APART in task.beside else [out]
        given = [str(source)] if source is not None else []
        return ["run", *task.arguments, *beside, "--", task.name, *given, *whole]
    given = ["--in", str(source)] if source is not None else []
    played = str(_script(task.name, own_scripts)) if task.command == "live" else task.name
    return ["render", "--out", out, *given, *task.arguments, *beside, "--", played]


def _script(name: str, own_scripts: bool) -> Path:
    script = live_set(name)
    if script.own and not own_scripts:  # a job of an earlier server, too
        raise WireError(f"{name} was saved on the page, and is evaluated by a server with --live alone")
    return script.path


def _fields(body: object, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise WireError(f"the body is a JSON object with {', '.join(known)}")
    for name in body:
        if name not in known:
            raise WireError(f"the body has no field {shorten(str(name))!r}{instead(str(name), known, 'it has')}")
    return body


def _file(fields: Mapping[str, Any], path_of: Callable[[str], Path]) -> tuple[str, Path]:
    key = fields.get("file")
    if not isinstance(key, str):
        raise WireError('"file" is the identifier that POST /api/files has answered')
    return key, path_of(key)


def _typed(param: Param, value: object, path_of: Callable[[str], Path]) -> str:
    match param.kind:
        case "file":
            if isinstance(value, dict) and isinstance(value.get("file"), str):
                return str(path_of(value["file"]))
            if not isinstance(value, str):
                raise ParamError(f'{param.name} takes a name in the library, or {{"file": ID}}')
            return asset_names.locate_asset(asset_names.check_name(value), WireError)
        case "trigger":
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= MOST_TRIGGER:
                raise ParamError(f"{param.name} takes the seconds at which it fires, 0 or more")
            return f"{value:g}"
        case "switch":
            return "on" if param.typed(value) else "off"
        case _:
            return str(param.typed(value))


def _check_source(info: ProcessorInfo, source: Path) -> None:
    """Raises `WireError` if the plugin takes sound and this is MIDI, or vice versa."""
    if source.suffix in MIDI and info.first("events", "in") is None:
        raise WireError(f"{info.type} takes sound, and the file is MIDI")
    if source.suffix not in MIDI and info.first("audio", "in") is None and info.first("events", "in") is not None:
        raise WireError(f"{info.type} takes notes: send a MIDI file")


def _suffix(fields: Mapping[str, Any], natural: str, allowed: tuple[str, ...] = tuple(FORMATS)) -> str:
    """Suffix of the result: the requested one, of `allowed`, or `natural`."""
    given = fields.get("format", natural)
    suffix = given.lower() if isinstance(given, str) else ""
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    if suffix not in allowed:
        if allowed == (NOTES,):
            raise WireError('this gives notes; leave "format" out')
        either = ", or mid for the notes alone" if NOTES in allowed else ""
        sound = "this gives sound; " if suffix in MIDI else ""
        raise WireError(f'{sound}"format" is one of {SHOWN_FORMATS}{either}')
    return suffix


def _run_suffix(fields: Mapping[str, Any], info: ProcessorInfo, source: Path, *, asked: bool) -> str:
    """Suffix of the result: the source's format, or MIDI for a note output.

    A plugin that writes a MIDI file beside its sound also writes one alone: sound is requested with `midi`, or with a
    sound format.
    """
    sound = source.suffix if source.suffix in FORMATS else ".wav"
    if "midi-out" in info.on_files.beside:
        return _suffix(fields, sound if asked else NOTES, tuple(FORMATS) if asked else (*FORMATS, NOTES))
    return _suffix(fields, NOTES, (NOTES,)) if info.first("audio", "out") is None else _suffix(fields, sound)


def _number(fields: Mapping[str, Any], name: str, most: float, unit: str = "seconds") -> float:
    value = fields[name]
    if not is_finite_number(value):
        raise WireError(f'"{name}" is a number of {unit}')
    if not 0.0 <= value <= most:
        raise WireError(f'"{name}" is 0 to {most:g} {unit}')
    return float(value)


def _rate(fields: Mapping[str, Any], suffix: str) -> tuple[str, ...]:
    """Option for the requested rate of the result."""
    if "rate" not in fields:
        return ()
    if suffix in MIDI:
        raise WireError('this gives notes; leave "rate" out')
    rate = fields["rate"]
    if isinstance(rate, bool) or not isinstance(rate, int) or not MIN_RATE <= rate <= MAX_RATE:
        raise WireError(f'"rate" is a whole number of Hz, {MIN_RATE} to {MAX_RATE}')
    return "--rate", str(rate)


def _switch(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise WireError(f'"{name}" is true or false')
    return value
