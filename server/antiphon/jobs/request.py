"""Job requests of clients: checked by the plan of a run or a rendering, and given to the job's process as JSON."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct

from antiphon.files.scores.midifile import SUFFIXES
from antiphon.jobs.job import Missing, Task
from antiphon.jobs.live_sets import live_set
from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.file_use import NOTHING
from antiphon.kernel.contract.params import Param
from antiphon.kernel.errors import ParamError, Refusal, WireError
from antiphon.kernel.graph import clips
from antiphon.kernel.graph.graph import known_type
from antiphon.kernel.runtime.shortening import shorten
from antiphon.kernel.runtime.sound_formats import FORMATS, VIDEOS
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.runtime.terms import WEB, hold_file_names, use_terms
from antiphon.kernel.runtime.typed import Misfit, convert
from antiphon.offline.file_job import check_has_output, needed
from antiphon.operations import patch_list, render_plan
from antiphon.operations.plan import plan
from antiphon.operations.requests import BESIDE, RUN_OPTIONS, RenderRequest, RunRequest, from_json

T = TypeVar("T")

SEPARATE = "out_dir"
"""Argument in `Task.beside` of jobs that write several results instead of one."""
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
Limit: TypeAlias = Annotated[bool, Meta(description="It keeps the true peak below -1 dBFS.")]
FileId: TypeAlias = Annotated[str, Meta(description="the identifier that POST /api/files has answered")]
Format: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": list(FORMAT_NAMES)})]
RunFormat: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": [*FORMAT_NAMES, "mid"]})]


class JobBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """Common body of job requests. All fields may be missing."""

    file: FileId | UnsetType = UNSET
    rate: Rate | UnsetType = UNSET
    limit: Limit | UnsetType = UNSET
    later: Annotated[bool, Meta(description="It gives way to all jobs that are not to run later.")] = False


SWITCHES = (*(field for field, _ in BESIDE.values() if field), "stems")
"""Fields that request a further file by true."""
RUN = "Body of `POST /api/run/PLUGIN`. `file` is missing for a plugin that needs none, as `generate`."
Run: Any = defstruct(
    "Run",
    [
        ("params", dict[str, Any], {}),
        ("format", RunFormat | UnsetType, UNSET),
        *((name, bool, False) for name in SWITCHES),
        ("tail", Annotated[float, RUN_OPTIONS["tail"].in_words] | UnsetType, UNSET),
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
    asked = _read_body(body, Run)
    if info.on_files.default_source not in ("", NOTHING):
        raise WireError(f"{plugin} works on a folder, which HTTP does not take; render a patch that plays it instead")
    key, source = "", Path(NOTHING)
    if asked.file is not UNSET or info.on_files.default_source != NOTHING:
        key, source = _file(asked, path_of)
    files = {param.name: param for param in info.cells if param.kind == "file"}
    values = {n: _path(path_of, files[n], value) if n in files else value for n, value in asked.params.items()}
    # a form shows the only choice that files take as chosen
    values |= {p.name: p.default for p in needed(info) if p.kind == "choice" and p.name not in values}
    request = {"plugin": plugin, "param": [list(item) for item in values.items()], **_sent_fields(asked, "tail")}
    beside = {name: results[1] for name, results in BESIDE.items() if results[0] and getattr(asked, results[0])}
    suffix = ".wav"
    if asked.stems:
        if not info.on_files.splits:
            raise Refusal("stems", f"{info.type} takes no sound apart", 'leave "stems" out')
        if asked.format not in (UNSET, "wav", ".wav"):
            raise WireError('the stems are WAV files; leave "format" out')
        beside = {SEPARATE: ""}
    else:
        suffix = _run_suffix(asked, info, source, beside=bool(beside))
    task = Task("run", plugin, key, suffix, asked.params, request, beside, asked.later)
    with use_terms(WEB), hold_file_names({str(source): "the file"}):
        plan(from_json(RunRequest, make_request(task, source if key else None, Path())), catalog)
    return task


def render_task(catalog: Catalog, patch: str, body: object, path_of: Callable[[str], Path]) -> Task:
    """Task of `POST /api/render/PATCH`; `patch` from the network is never a path, `path_of` as for `run_task`.

    Raises AntiphonError like `run_task`.
    """
    if all(entry.name != patch for entry in patch_list.entries()):
        raise Missing(f"there is no patch {shorten(patch)!r}{instead(patch, patch_list.names())}")
    asked = _read_body(body, Render)
    if asked.file is UNSET and asked.seconds is UNSET:
        raise WireError('a patch is rendered over a file ("file": ID) or for a time ("seconds": 10)')
    return _make_rendering_task(catalog, "render", patch, asked, ("seconds",), path_of)


def live_task(catalog: Catalog, name: str, body: object, path_of: Callable[[str], Path]) -> Task:
    """Task of `POST /api/live/SET`: `name` is looked up, and no script is taken from the request.

    Raises AntiphonError like `run_task`.
    """
    script = live_set(name)
    asked = _read_body(body, RenderLive)
    asked.bars = float(script.bars) if asked.bars is UNSET else asked.bars
    return _make_rendering_task(catalog, "live", name, asked, ("bars",), path_of)


def _make_rendering_task(
    catalog: Catalog, command: str, name: str, asked: Any, names: Sequence[str], path_of: Callable[[str], Path]
) -> Task:
    """Makes a task that renders; `names`: the arguments of `antiphon render` to accept."""
    key, source = ("", None) if asked.file is UNSET else _file(asked, path_of)
    beside = {"midi": "notes.mid"} if getattr(asked, "midi", False) else {}
    task = Task(command, name, key, _suffix(asked, ".wav"), {}, _sent_fields(asked, *names), beside, asked.later)
    with use_terms(WEB), hold_file_names({str(source): "the file"}):
        render_plan.plan(from_json(RenderRequest, make_request(task, source, Path(), own_scripts=True)), catalog)
    return task


def _sent_fields(asked: Any, *names: str) -> dict[str, Any]:
    """The fields that were sent, of those in `names` and of every job, for a request."""
    fields = {name: value for name in (*names, "rate") if (value := getattr(asked, name)) is not UNSET}
    return {**fields, "finish": {} if asked.limit is UNSET else {"limit": asked.limit}, "force": True}


def make_request(task: Task, source: Path | None, folder: Path, *, own_scripts: bool = False) -> dict[str, Any]:
    """Makes the request of a task, as JSON for its process: the fields of a `RunRequest` or `RenderRequest`.

    With `own_scripts`, live sets in the performer's folder, where HTTP writes, may be evaluated. Raises WireError: the
    live set was removed meanwhile, or may not be evaluated.
    """
    if not task.request:
        raise WireError("this job was made by another version of Antiphon; send it again")
    out, given = str(folder / f"out{task.suffix}"), [] if source is None else [str(source)]
    request = {**task.request, **{name: str(folder / file) for name, file in task.beside.items()}}
    if task.command == "run":
        return {**request, "paths": given if SEPARATE in task.beside else [*given, out]}
    played = str(_script(task.name, own_scripts)) if task.command == "live" else task.name
    return {**request, "patch": played, "out": out, "source": given}


def _script(name: str, own_scripts: bool) -> Path:
    script = live_set(name)
    if script.own and not own_scripts:  # a job of an earlier server, too
        raise WireError(f"{name} was saved on the page, and is evaluated by a server with --live alone")
    return script.path


def _read_body(body: object, kind: type[T]) -> T:
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
