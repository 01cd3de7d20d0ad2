"""Requests of operations on files: the arguments of each (`antiphon.kernel.runtime.arguments`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

from msgspec import Struct

from antiphon.files.sound_finish import FADE
from antiphon.kernel.errors import Refusal
from antiphon.kernel.runtime.arguments import Argument, argument, arguments
from antiphon.kernel.runtime.notices import collect
from antiphon.kernel.runtime.settings import DEVICES, MAX_BLOCK, MIN_BLOCK, RUN_BLOCK
from antiphon.kernel.runtime.sound_formats import MAX_RATE, MIN_RATE

if TYPE_CHECKING:
    from antiphon.kernel.contract.catalog import ProcessorInfo
    from antiphon.offline.output_summary import Written

# ---- Messages of work on files: progress, written files, warnings


class Progress(Protocol):
    """Progress of one task."""

    def update(self, done: int) -> None:
        """Sets the finished amount."""
        ...


class _NoProgress:
    def update(self, done: int) -> None:
        """Does nothing."""


@contextmanager
def hidden_progress(label: str, total: int | None, rate: int) -> Iterator[Progress]:
    """Progress without a display."""
    yield _NoProgress()


@dataclass(frozen=True, slots=True)
class Reporting:
    """Receiver of the messages of operations on files.

    Attributes:
        wrote: Called with each written file.
        complain: Called with a sentence for the user.
        progress: Makes the progress of a task from its label, its total (None if unknown) and the amount of the total
            that is a second.
        ask: Asks the user a question and returns the answer; "" without a user.
        stage: Called with the current stage before progress is made, in a word or two of ASCII.
    """

    complain: Callable[[str], None] = lambda sentence: None
    wrote: Callable[[Written], None] = lambda written: None
    progress: Callable[[str, int | None, int], AbstractContextManager[Progress]] = hidden_progress
    ask: Callable[[str], str] = lambda question: ""
    stage: Callable[[str], None] = lambda text: None


SILENT = Reporting()


@contextmanager
def noticing(to: Reporting) -> Iterator[Reporting]:
    """Context with a reporting whose line of each written file has the notices of the files that were read for it.

    Notices of files that were read after the last line are complaints.
    """
    with collect() as notices:
        yield replace(to, wrote=lambda written: to.wrote(written.noticed(notices)))
        for rest in notices.take():
            to.complain(rest)


# ---- Requests of operations on files: the arguments of each (`antiphon.kernel.runtime.arguments`)

R = TypeVar("R", "RunRequest", "RenderRequest")
PIPE = "-"
"""The name of standard input and output."""
MAX_SECONDS = 6 * 3600.0
"""Longest rendered sound in seconds."""
MAX_REHEARSED_BARS = 16
APART = "splits", "takes no sound apart"


Tail = (
    Annotated[
        float,
        argument(
            "Length after IN; default: until -60 dB, 10 s at most.",
            "SECONDS",
            low=0,
            high=600,
            unit="seconds",
            needs=("as_long", "sets the length of its result itself"),
        ),
    ]
    | None
)
Rate = Annotated[int, argument("Resample OUT; default: the rate of IN.", "HZ", low=MIN_RATE, high=MAX_RATE, unit="Hz")]
Device = Annotated[str, argument("What models run on: auto, cpu or cuda.", choices=DEVICES)]
OutDir = Annotated[str | None, argument("A folder for the results, under the names of IN.")]
Recursive = Annotated[bool, argument("Go into folders in a folder.")]


class FinishRequest(Struct, frozen=True, kw_only=True):
    """Finish of a written sound."""

    limit: Annotated[
        bool | None,
        argument(
            "Keep the true peak below -1 dBFS; what is made of notes alone by default, at -16 LUFS at most.",
            flags="--limit/--no-limit",
        ),
    ] = None
    normalise: Annotated[
        float | None, argument("Bring the loudness to this, such as -14.", "LUFS", low=-50, high=-5, unit="LUFS")
    ] = None
    tag: Annotated[
        tuple[str, ...], argument("Set a tag, as title=…; bpm and key alone are found in OUT.", "NAME=TEXT")
    ] = ()


class RunRequest(Struct, frozen=True):
    """Arguments of `antiphon run`: one plugin over files."""

    plugin: Annotated[str, argument("The processor, as `antiphon plugins` lists it.", names="plugins")]
    paths: Annotated[tuple[str, ...], argument("IN OUT, or files and folders with --out-dir; - for a pipe.", "IN OUT")]
    param: Annotated[
        tuple[str | tuple[str, Any], ...],
        argument(
            "One of its parameters, which antiphon run PLUGIN --help lists; may be given again.",
            "NAME=VALUE",
            flags="-p --param",
            names="params",
        ),
    ] = ()
    out_dir: OutDir = None
    recursive: Recursive = False
    block: Annotated[int, argument("Frames at a time, 32 to 2048.", low=MIN_BLOCK, high=MAX_BLOCK, unit="frames")] = (
        RUN_BLOCK
    )
    device: Device = "auto"
    midi_out: Annotated[str, argument("A file for the notes it detects.", "F.mid", beside=("midi", "notes.mid"))] = ""
    analysis: Annotated[str, argument("A file for its analysis.", "F.json", beside=("analysis", "analysis.json"))] = ""
    report: Annotated[str, argument("A file for what it chose.", "F.json", beside=("report", "report.json"))] = ""
    picture: Annotated[str, argument("A file for a picture of it.", "F.png", beside=("picture", "picture.png"))] = ""
    chords: Annotated[
        str,
        argument("Chords to play: | C Am | F G7 |, or a file of them.", "CHORDS", needs=("chords", "takes no chords")),
    ] = ""
    roll: Annotated[str, argument("A file for a piano roll of it.", "F.svg", beside=("roll", "roll.svg"))] = ""
    click: Annotated[str, argument("A file: IN and a click on its beats.", "F.wav", beside=("", ""))] = ""
    chords_out: Annotated[str, argument("A file for the chords played.", "F", beside=("", ""))] = ""
    stems: Annotated[
        bool, argument("Also a file for each part, OUT-PART; OUT is their sum.", needs=("stems", "writes no stems"))
    ] = False
    only: Annotated[
        tuple[str, ...], argument("OUT is this part of IN, as voice; may be given again.", "PART", needs=APART)
    ] = ()
    without: Annotated[
        tuple[str, ...], argument("OUT is IN without this part; may be given again.", "PART", needs=APART)
    ] = ()
    tail: Tail = None
    fade: Annotated[
        float | None,
        argument(
            "At the end; default: none where OUT ends with IN, else 0.02.", "SECONDS", low=0, high=10, unit="seconds"
        ),
    ] = None
    rate: Rate = 0
    causal: Annotated[
        bool, argument("Work as live, without a look at what comes.", needs=("causal", "works on files in one way"))
    ] = False
    raw: Annotated[str, argument("Bare samples in pipes, as s16le:48000:2; default: wav.", "TYPE:HZ:CHANNELS")] = ""
    force: Annotated[bool, argument("Replace existing files.")] = False
    finish: FinishRequest = FinishRequest()

    @property
    def given_params(self) -> tuple[tuple[str, Any], ...]:
        """Names and values of parameters, in order. Raises Refusal for other texts than NAME=VALUE."""
        return tuple(split_name_value(one) if isinstance(one, str) else one for one in self.param)

    @property
    def beside(self) -> dict[str, str]:
        """Further files, by argument."""
        return {name: path for name in BESIDE if (path := getattr(self, name))}


RUN_OPTIONS = {one.name: one for one in arguments(RunRequest)}
BESIDE = {one.name: one.extra("beside") for one in RUN_OPTIONS.values() if one.extra("beside")}
"""Arguments for further files of a run, each with its HTTP field and the name of that result."""
LIMITED = tuple(one.name for one in RUN_OPTIONS.values() if one.extra("needs") or one.extra("beside"))
"""Arguments of a run that do not apply to every processor."""


def applies(one: Argument, info: ProcessorInfo) -> bool:
    """Whether an option of `antiphon run` applies to a processor."""
    needed, _ = one.extra("needs") or ("", "")
    return (
        bool(getattr(info.on_files, needed)) if needed else one.name not in BESIDE or one.option in info.on_files.beside
    )


def is_script(path: str) -> bool:
    """True if the name of what is rendered is a live script's."""
    return path.endswith(".py")


class RenderRequest(Struct, frozen=True):
    """Arguments of `antiphon render`: a patch over files, or a live script."""

    patch: Annotated[
        str, argument("A patch: its name, or the path of a .toml file; or a live script, a .py file.", names="patches")
    ]
    out: Annotated[str, argument("The file to write.", "OUT.wav")] = ""
    source: Annotated[
        tuple[str, ...],
        argument("Sound, or notes (.mid); - is standard input. More with --out-dir.", "IN", flags="--in"),
    ] = ()
    events: Annotated[str | None, argument("Timed commands (.jsonl), or notes (.mid).", "E")] = None
    seconds: Annotated[
        float | None, argument("Length of OUT; else that of IN and a tail.", low=0, high=MAX_SECONDS)
    ] = None
    block: Annotated[
        int, argument("Frames at a time, 32 to 2048; 0 chooses.", low=MIN_BLOCK, high=MAX_BLOCK, unit="frames")
    ] = 0
    device: Device = "auto"
    synth: Annotated[str, argument("What plays notes: SYNTHS; null is silence.")] = "auto"
    tail: Tail = None
    fade: Annotated[float, argument("At the end; 0 leaves it as it is.", "SECONDS", low=0, high=10, unit="seconds")] = (
        FADE
    )
    bars: Annotated[float | None, argument("Length of OUT in bars, of a live script.")] = None
    stems: Annotated[
        str | None, argument("A file for each track of a script or strip of a patch, with projects for studios.", "DIR")
    ] = None
    midi: Annotated[
        str | None, argument("The notes of a live script as a MIDI file.", "F.mid", beside=("midi", "notes.mid"))
    ] = None
    rate: Rate = 0
    cue: Annotated[str, argument("Channels of OUT for the cue, such as 3-4; else it is left out.", "PAIR")] = ""
    force: Annotated[bool, argument("Replace an existing file.")] = False
    recursive: Recursive = False
    out_dir: OutDir = None
    finish: FinishRequest = FinishRequest()


class ReplayRequest(Struct, frozen=True):
    """Arguments of `antiphon replay`: a recorded set, rendered to a file, to its tracks, or both."""

    session: Annotated[str, argument("A folder that `serve --session` or `--record-tracks` wrote, or a set's name.")]
    out: Annotated[str, argument("The file to write; it may be left out with --stems.", "OUT.wav", placed=True)] = ""
    stems: Annotated[str, argument("A file for each strip, with projects for studios, in this folder.", "DIR")] = ""
    finish: FinishRequest = FinishRequest()
    force: Annotated[bool, argument("Replace an existing file.")] = False


class RehearseRequest(Struct, frozen=True):
    """Arguments of `antiphon rehearse`: the first bars of a live script, judged."""

    script: Annotated[str, argument("A live script.", "SET.py")]
    bars: Annotated[int, argument(f"Bars to rehearse, 1 to {MAX_REHEARSED_BARS}.", low=1, high=MAX_REHEARSED_BARS)] = 8
    as_json: Annotated[bool, argument("Print the figures as JSON.", flags="--json")] = False


def split_name_value(text: str) -> tuple[str, str]:
    """Splits NAME=VALUE into name and value."""
    name, equals, value = text.partition("=")
    if not equals:
        raise Refusal("param", f"-p takes NAME=VALUE, not {text!r}")
    return name, value


def from_json(kind: type[R], fields: Mapping[str, Any]) -> R:
    """Makes a request of `run` or `render` from its fields as JSON data."""
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    return kind(**{**given, "finish": FinishRequest(**fields.get("finish", {}))})
