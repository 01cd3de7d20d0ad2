"""Request and answer types of the operations. msgspec checks requests by them, and writes their JSON schemas."""

import sys
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from antiphon.kernel.contract.params import MAX_TEXT
from antiphon.operations.shared import Request
from antiphon.web.messages import MAX_QUANTUM, MAX_SCRIPT_BYTES, MAX_VERSION

MAX_NAME = 80
NAME = f"At most {MAX_NAME} printable characters of ASCII."
VERSION = f"A whole number from 1 to {MAX_VERSION}, another for each run."

Name: TypeAlias = Annotated[str, Meta(max_length=MAX_NAME, pattern=r"^[ -~]*\Z", description=NAME)]
"""A name in a body."""
TrackNames: TypeAlias = Annotated[
    list[Annotated[str, Meta(max_length=64)]], Meta(max_length=256, description="Names of tracks and loops.")
]
ScriptText: TypeAlias = Annotated[str, Meta(description="The whole script.")]


class MachineBody(Struct):
    """A machine."""

    ip: Annotated[str, Meta(description="One machine's IP address.")]


class OscBody(Request):
    """An OSC message."""

    address: Annotated[str, Meta(description="An OSC address, such as /node/echo/wet.")]
    args: Annotated[list[float | str | bool], Meta(description="A list of numbers, texts, true and false.")] = field(
        default_factory=list
    )


class UploadQuery(Request):
    """The name of an uploaded file."""

    name: Annotated[str, Meta(description="Its name, by its ending what it holds; a form names its file itself.")] = ""


class LyricsQuery(Request):
    """A text that is to be sung."""

    lyrics: Annotated[str, Meta(max_length=MAX_TEXT, description="Words; / ends a line.")]


class EvaluateBody(Request):
    """A script that is to be performed."""

    text: ScriptText
    version: Annotated[int, Meta(ge=1, le=MAX_VERSION, description=VERSION)]
    name: Name = ""
    by: Name = ""
    quantum: Annotated[
        float, Meta(ge=0, le=MAX_QUANTUM, description="Beats at whose multiples it begins; 0 for the script's bars.")
    ] = 1.0
    top: Annotated[bool, Meta(description="It begins on a bar as from its beat 0, and nothing plays on.")] = False


class PasteBody(Request):
    """A program that is to be translated."""

    text: Annotated[str, Meta(description="A program of Strudel or Tidal.")]


class SliderBody(Request):
    """A slider of the playing script, and its value."""

    version: Annotated[int, Meta(ge=1, le=MAX_VERSION, description=VERSION)]
    place: Annotated[int, Meta(ge=0, le=MAX_SCRIPT_BYTES, description="First character of `slider(…)`, from 0.")]
    value: Annotated[float, Meta(ge=-1e9, le=1e9)]


class TracksBody(Request):
    """Muted and soloed tracks and loops of a script."""

    muted: TrackNames = field(default_factory=list)
    soloed: TrackNames = field(default_factory=list)


class CaptureBody(Request):
    """The node and the number of bars to capture."""

    bars: Annotated[int, Meta(ge=1, le=256, description="A number of bars, 1 to 256.")]
    node: Name = "out"
    name: Name = ""


class Captured(Struct):
    """A capture."""

    path: str


class SaveBody(Request):
    """A script that is to be saved."""

    text: ScriptText
    replace: Annotated[bool, Meta(description="True or false: whether a script of that name is replaced.")] = False
    version: Annotated[
        int, Meta(ge=0, le=MAX_VERSION, description="The version of it that was run, which has this name from now on.")
    ] = 0


def record(name: str, /, *bases: Any, **fields: Any) -> Any:
    """Type of objects with these fields, for a schema; an optional field may be UNSET."""
    given = [(key, of, UNSET) if UnsetType in getattr(of, "__args__", ()) else (key, of) for key, of in fields.items()]
    module = sys._getframe(1).f_globals["__name__"]  # a plugin's may have the name of another's
    return msgspec.defstruct(name, given, bases=bases or None, module=module, kw_only=True)


def list_of(kind: Any) -> Any:
    """List type of an element type."""
    return list[kind]


def maybe(kind: Any) -> Any:
    """Type of an optional field."""
    return kind | UnsetType


VALUE: Any = float | str | bool | None

Health = record("Health", health=str)
Port = record("Port", name=str, kind=Literal["audio", "control", "events", "asset"], midi=int)
Sung = record("Sung", text=str, word=int, line=int)
Param = record(
    "Param",
    name=str,
    kind=Literal["float", "int", "switch", "choice", "text", "file", "trigger"],
    default=VALUE,
    low=float | None,
    high=float | None,
    unit=str,
    warp=Literal["linear", "log"],
    choices=list[str],
    restart=bool,
    readonly=bool,
    doc=str,
)
NodeParam = record("NodeParam", Param, value=VALUE)
PORTS: Any = {"inputs": list_of(Port), "outputs": list_of(Port)}
STATE: Any = {"name": str, "type": str, "number": int, "state": str, "reason": str, "doc": str}
Node = record("Node", **STATE, **PORTS, params=list_of(NodeParam))
Drive = record("Drive", macro=str, node=str, param=str, low=float, high=float, curve=float)
Graph = record(
    "Graph",
    patch=str,
    nodes=list_of(Node),
    wires=list[tuple[str, str]],
    scenes=list[int],
    scene_names=dict[str, str],
    drives=list_of(Drive),
)
Plugin = record(
    "Plugin", name=str, doc=str, plugin=str, **PORTS, needs=list[str], splits=list[str], params=list_of(Param)
)
Patch = record("Patch", name=str, line=str, hint=str, group=str, **{"from": str})
Sketch = record("Sketch", name=str, nodes=list[list[str]], wires=list[list[str]])
PhoneAddress = record("PhoneAddress", host=str, url=str, rows=list[str])
Phone = record("Phone", addresses=list_of(PhoneAddress))
Approved = record("Approved", approved=str, kept=bool)
Forgot = record("Forgot", forgot=str, kept=bool)
Sent = record("Sent", sent=str)
Kept = record("Kept", kept=str)

File = record("File", id=str, name=str, bytes=int, created=float)
Result = record("Result", name=str, bytes=int)
Job = record(
    "Job",
    id=str,
    command=Literal["run", "render", "live"],
    name=str,
    file=str,
    params=dict[str, Any],
    state=Literal["waiting", "running", "done", "failed", "cancelled"],
    progress=Annotated[float, Meta(ge=0, le=1)],
    stage=str,
    error=str,
    summary=str,
    created=float,
    started=float,
    ended=float,
    results=list_of(Result),
)
Overview = record("Overview", seconds=float, rate=int, channels=int, peaks=list[float], notes=int)

Fault = record("Fault", line=maybe(int), sentence=maybe(str), picture=maybe(str), version=maybe(int))
SWITCHES: Any = dict.fromkeys(("playing", "reading", "silent"), bool)
NUMBERS: Any = {"version": int, "tried": int, "begins": float, "origin": float}
HEARD: Any = dict.fromkeys(("muted", "soloed"), list[str])
PLAYED: Any = {"tracks": list[tuple[str, str, bool]], **HEARD}
Live = record("Live", on=bool, start=str, **SWITCHES, **NUMBERS, name=str, by=str, fault=Fault | None, **PLAYED)
Heard = record("Heard", **HEARD)
Script = record("Script", name=str, text=str, version=int, by=str)
Word = record("Word", name=str, signature=str, doc=str)
WORDS: Any = dict.fromkeys(("words", "changes", "nodes"), list_of(Word))
Explained = record("Explained", names=list[str], group=str, doc=str, example=str)
Words = record("Words", **WORDS, scales=list[str], chords=list[str], reference=list_of(Explained))
Translated = record("Translated", text=str, left_out=int)
Version = record("Version", version=int)
Stopped = record("Stopped", stopped=bool)
# mix: bytes of the mix of tracks; small: the ending of the small file that is made of it, "" where none is
Recording = record(
    "Recording", name=str, bytes=int, tracks=int, capture=bool, ended=float, seconds=float, mix=int, small=str
)
LiveSet = record("LiveSet", name=str, line=str, bars=int, own=bool)
LiveSetText = record("LiveSetText", name=str, own=bool, text=str)
Saved = record("Saved", name=str, own=bool)


class TryBody(Request):
    """A try of a lesson: a script, or a finished job."""

    text: ScriptText = ""
    job: Annotated[str, Meta(max_length=64, description="Identifier of a job that is done.")] = ""


class RecordingQuery(Request):
    """Part and format of a recording to send."""

    form: Annotated[
        Literal["whole", "mix", "small"],
        Meta(description="`mix`: of tracks, their mix alone. `small`: the mix as an MP3, or Ogg Vorbis above 48 kHz."),
    ] = "whole"


class ListenQuery(Request):
    """Duration of listening."""

    seconds: Annotated[float, Meta(ge=0, le=20, description="0 to 20 s; it ends when all is right.")] = 8.0
    anew: Annotated[bool, Meta(description="Whether what an earlier request heard does not count.")] = False


class Work(Struct):
    """Work on the lesson's sound."""

    title: str
    jobs: Annotated[list[str], Meta(description="Paths of jobs, each on the result before.")]
    body: dict[str, Any]


class Tried(Struct):
    """Result of a lesson's check."""

    passed: bool
    answer: Annotated[str, Meta(description="Why it is so where it is right, else what to mend.")]
    came: Annotated[list[str], Meta(description="OSC messages that came last, as text.")]


class LessonStep(Struct):
    """A step of a lesson."""

    title: str
    text: Annotated[str, Meta(description="Markdown: paragraphs, `code` and fenced code.")]


class Lesson(Struct):
    """A lesson."""

    path: str
    name: str
    title: str
    patch: str
    task: str
    kind: Literal["events", "parameter", "loudness", "onsets", "osc", "file"]
    start: str
    solution: str
    hint: str
    why: str
    controls: Annotated[list[str], Meta(description="Addresses of parameters to move.")]
    keys: bool
    sound: Annotated[str, Meta(description="A sound that ships, as input or as a file.")]
    work: list[Work]
    steps: list[LessonStep]


class LessonPath(Struct):
    """A path of lessons."""

    path: str
    title: str
    lessons: list[Lesson]
