"""Job requests of clients: checked against the declarations, and converted to a command line."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct

from antiphon.files.scores.midifile import SUFFIXES
from antiphon.jobs.job import Missing, Task
from antiphon.jobs.live_sets import live_set
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.file_use import NOTHING
from antiphon.kernel.contract.params import Param
from antiphon.kernel.errors import ParamError, WireError
from antiphon.kernel.graph import clips
from antiphon.kernel.graph.graph import known_type
from antiphon.kernel.runtime.arguments import Argument, arguments
from antiphon.kernel.runtime.shortening import shorten
from antiphon.kernel.runtime.sound_formats import FORMATS, VIDEOS
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.runtime.typed import Misfit, convert
from antiphon.offline.file_job import check_has_output, check_source, lacking, needed, needed_value, read_settings
from antiphon.operations import patch_list
from antiphon.operations.requests import RUN_OPTIONS, RenderRequest, RunRequest, check_applies

T = TypeVar("T")

SEPARATE_OPTION = "--out-dir"
"""Option of `Task.beside` for jobs that write several results instead of one."""
MAX_SECONDS = 3600.0
"""Maximum seconds of a rendered patch."""
MAX_BARS = 2048.0
"""Maximum bars of a rendered live set."""
FORMAT_NAMES = tuple(suffix.removeprefix(".") for suffix in FORMATS)
SHOWN_FORMATS = f"{', '.join(FORMAT_NAMES[:-1])} or {FORMAT_NAMES[-1]}"
NOTES, MIDI = ".mid", SUFFIXES


Seconds: TypeAlias = Annotated[float, Meta(ge=0.0, le=MAX_SECONDS, description=f"0 to {MAX_SECONDS:g} seconds")]
Bars: TypeAlias = Annotated[float, Meta(gt=0.0, le=MAX_BARS, description=f"above 0, at most {MAX_BARS:g} bars")]
"""HTTP's limits in place of the command line's, since other people may send requests."""
Rate: TypeAlias = Annotated[int, RUN_OPTIONS["rate"].in_words]
FileId: TypeAlias = Annotated[str, Meta(description="the identifier that POST /api/files has answered")]
Format: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": list(FORMAT_NAMES)})]
RunFormat: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": [*FORMAT_NAMES, "mid"]})]


class JobBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """Common body of job requests. All fields may be missing."""

    file: FileId | UnsetType = UNSET
    rate: Rate | UnsetType = UNSET
    later: Annotated[bool, Meta(description="It gives way to all jobs that are not to run later.")] = False


def offered(kind: Any) -> dict[str, Argument]:
    """Options of a command by their HTTP field; a further file is requested by true."""
    return {(one.said("beside") or [one.name])[0]: one for one in arguments(kind)}


OFFERED, RENDERED = offered(RunRequest), offered(RenderRequest)
SWITCHES = tuple(name for name, one in OFFERED.items() if name and (one.said("beside") or name == "stems"))
RUN = "Body of `POST /api/run/PLUGIN`. `file` is missing for a plugin that needs none, as `generate`."
Run: Any = defstruct(
    "Run",
    [
        ("params", dict[str, Any], {}),
        ("format", RunFormat | UnsetType, UNSET),
        *((name, bool, False) for name in SWITCHES),
        ("tail", Annotated[float, OFFERED["tail"].in_words] | UnsetType, UNSET),
    ],
    bases=(JobBody,),
    kw_only=True,
    namespace={"__doc__": RUN},
)


class Render(JobBody):
    """Body of `POST /api/render/PATCH`. `seconds` may be missing where there is a file."""

    format: Format | UnsetType = UNSET
    seconds: Seconds | UnsetType = UNSET


class RenderLive(JobBody):
    """Body of `POST /api/live/sets/SET/render`; its file is the patch's input."""

    format: Format | UnsetType = UNSET
    bars: Bars | UnsetType = UNSET
    midi: bool = False


def run_task(catalog: Catalog, plugin: str, body: object, path_of: Callable[[str], Path]) -> Task:
    """Task of `POST /api/run/PLUGIN`.

    `path_of` returns the path of a file by its identifier, and raises if there is none. Raises AntiphonError: a part of
    the request is not allowed; the message says what is allowed.
    """
    info = known_type(plugin, catalog)
    check_has_output(info)
    asked = _checked(body, Run)
    if info.on_files.default_source not in ("", NOTHING):
        raise WireError(f"{plugin} works on a folder, which HTTP does not take; render a patch that plays it instead")
    key, source = "", Path(NOTHING)
    if asked.file is not UNSET or info.on_files.default_source != NOTHING:
        key, source = _file(asked, path_of)
        check_source(info, "the file", midi=source.suffix in MIDI)
    params = asked.params
    values, fires = read_settings(info, params.items(), partial(_path, path_of))
    # a form shows the only choice that files take as chosen
    values |= {p.name: p.default for p in needed(info) if p.kind == "choice" and p.name not in params}
    words = {name: ("off", "on")[value] if isinstance(value, bool) else str(value) for name, value in values.items()}
    words |= {name: f"{seconds:g}" for name, seconds in fires}
    typed = [part for name, word in words.items() for part in ("-p", f"{name}={word}")]
    if param := lacking(info, values):
        how = '{"file": ID}' if param.kind == "file" else f'"{needed_value(param)}"'
        raise ParamError(f'{plugin} does nothing without "params": {{"{param.name}": {how}}}')
    more, beside = _options(asked, OFFERED, ("tail", *SWITCHES), info)
    typed += more
    if asked.stems:
        if asked.format not in (UNSET, "wav", ".wav"):
            raise WireError('the stems are WAV files; leave "format" out')
        return Task(
            "run", plugin, key, ".wav", params, (*typed, *_rate(asked, ".wav")), {SEPARATE_OPTION: ""}, asked.later
        )
    suffix = _run_suffix(asked, info, source, beside=bool(beside))
    return Task("run", plugin, key, suffix, params, (*typed, *_rate(asked, suffix)), beside, asked.later)


def render_task(patch: str, body: object, path_of: Callable[[str], Path]) -> Task:
    """Task of `POST /api/render/PATCH`; `patch` from the network is never a path, `path_of` as for `run_task`.

    Raises AntiphonError like `run_task`.
    """
    if all(entry.name != patch for entry in patch_list.entries()):
        raise Missing(f"there is no patch {shorten(patch)!r}{instead(patch, patch_list.names())}")
    asked = _checked(body, Render)
    if asked.file is UNSET and asked.seconds is UNSET:
        raise WireError('a patch is rendered over a file ("file": ID) or for a time ("seconds": 10)')
    return _make_rendering_task("render", patch, asked, ("seconds",), path_of)


def live_task(name: str, body: object, path_of: Callable[[str], Path]) -> Task:
    """Task of `POST /api/live/SET`: `name` is looked up, and no script is taken from the request.

    Raises AntiphonError like `run_task`.
    """
    script = live_set(name)
    asked = _checked(body, RenderLive)
    asked.bars = float(script.bars) if asked.bars is UNSET else asked.bars
    return _make_rendering_task("live", name, asked, ("bars", "midi"), path_of)


def _make_rendering_task(
    command: str, name: str, asked: Any, names: Sequence[str], path_of: Callable[[str], Path]
) -> Task:
    """Makes a task that renders; `names`: the options of `antiphon render` to accept."""
    key = "" if asked.file is UNSET else _file(asked, path_of)[0]
    suffix = _suffix(asked, ".wav")
    words, beside = _options(asked, RENDERED, names)
    return Task(command, name, key, suffix, {}, (*words, *_rate(asked, suffix)), beside, asked.later)


def _options(
    asked: Any, offered: Mapping[str, Argument], names: Iterable[str], info: ProcessorInfo | None = None
) -> tuple[list[str], dict[str, str]]:
    """Command-line words for the given fields, and further results by option.

    Raises UsageError: an option does not apply to the processor.
    """
    words: list[str] = []
    beside: dict[str, str] = {}
    for name in names:
        if (given := getattr(asked, name)) is UNSET or given is False:
            continue
        if info is not None:
            check_applies(offered["only" if name == "stems" else name], info, f'"{name}"')
        option = f"--{offered[name].option}"
        if results := offered[name].said("beside"):
            beside[option] = results[1]
        elif given is not True:
            words += [option, f"{given:g}"]
    return words, beside


def command(task: Task, source: Path | None, folder: Path, *, own_scripts: bool = False) -> list[str]:
    """Command-line words of a task, without the interpreter.

    With `own_scripts`, live sets in the performer's folder, where HTTP writes, may be evaluated. Raises WireError: the
    live set was removed meanwhile, or may not be evaluated.
    """
    out = str(folder / f"out{task.suffix}")
    beside = [word for option, name in task.beside.items() for word in (option, str(folder / name))]
    if task.command == "run":
        whole = [] if SEPARATE_OPTION in task.beside else [out]
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


def _checked(body: object, kind: type[T]) -> T:
    try:
        return convert(body, kind, "the body")
    except Misfit as misfit:
        raise WireError(str(misfit)) from None


def _file(asked: JobBody, path_of: Callable[[str], Path]) -> tuple[str, Path]:
    if asked.file is UNSET:
        raise WireError("file takes the identifier that POST /api/files has answered")
    return asked.file, path_of(asked.file)


def _path(path_of: Callable[[str], Path], param: Param, value: object) -> str:
    if isinstance(value, dict) and isinstance(value.get("file"), str):
        return str(path_of(value["file"]))
    if not isinstance(value, str):
        raise ParamError(f'{param.name} takes a name in the library, or {{"file": ID}}')
    return clips.locate_asset(clips.check_name(value), WireError)


def _suffix(asked: Any, natural: str, allowed: tuple[str, ...] = tuple(FORMATS)) -> str:
    """The result's suffix: the requested one, if among `allowed`, or `natural`."""
    suffix = natural if asked.format is UNSET else asked.format.lower()
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    if suffix not in allowed and suffix != natural:
        if allowed == (NOTES,):
            raise WireError('this gives notes; leave "format" out')
        either = ", or mid for the notes alone" if NOTES in allowed else ""
        sound = "this gives sound; " if suffix in MIDI else ""
        raise WireError(f'{sound}"format" is one of {SHOWN_FORMATS}{either}')
    return suffix


def _run_suffix(asked: Any, info: ProcessorInfo, source: Path, *, beside: bool) -> str:
    """The result's suffix: the format of the source, or MIDI for a plugin with note output.

    A plugin that writes a MIDI file beside its sound also writes one alone: sound is requested with `midi`, or with a
    sound format.
    """
    sound = source.suffix if source.suffix in (*FORMATS, *VIDEOS) else ".wav"
    if "midi-out" in info.on_files.beside:
        return _suffix(asked, sound if beside else NOTES, tuple(FORMATS) if beside else (*FORMATS, NOTES))
    return _suffix(asked, NOTES, (NOTES,)) if info.first("audio", "out") is None else _suffix(asked, sound)


def _rate(asked: JobBody, suffix: str) -> tuple[str, ...]:
    """Option for the result's sample rate, if requested."""
    if asked.rate is UNSET:
        return ()
    if suffix in MIDI:
        raise WireError('this gives notes; leave "rate" out')
    return "--rate", str(asked.rate)
