"""What operations take and answer. msgspec checks requests against these types and writes the JSON schemas."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from antiphon.jobs.request import FORMAT_NAMES, MOST_BARS, MOST_SECONDS
from antiphon.wire.script_link import MAX_VERSION

LONGEST_NAME = 80

Value: TypeAlias = float | str | bool | None
"""Of a parameter."""
Format: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": list(FORMAT_NAMES)})]
"""Of a sound that is written."""
Name: TypeAlias = Annotated[
    str,
    Meta(
        max_length=LONGEST_NAME,
        pattern=r"^[ -~]*\Z",
        description=f"At most {LONGEST_NAME} printable characters of ASCII.",
    ),
]
Text: TypeAlias = Annotated[str, Meta(description="The whole script.")]
TrackOrPath: TypeAlias = str | int
Tracks: TypeAlias = str | int | list[str | int]


class Asked(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is asked for in a body; it has no other fields."""


class Health(Struct):
    health: str


class File(Struct):
    id: str
    name: str
    bytes: int
    created: float


class Result(Struct):
    name: str
    bytes: int


class Job(Struct):
    id: str
    command: Literal["run", "render", "live"]
    name: str
    file: str
    params: dict[str, Any]
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: Annotated[float, Meta(ge=0, le=1)]
    error: str
    summary: str
    created: float
    started: float
    ended: float
    results: list[Result]


class Port(Struct):
    name: str
    kind: Literal["audio", "control", "events", "asset"]


class Param(Struct):
    name: str
    kind: Literal["float", "int", "switch", "choice", "text", "file", "trigger"]
    default: Value
    low: float | None
    high: float | None
    unit: str
    warp: Literal["linear", "log"]
    choices: list[str]
    restart: bool
    readonly: bool
    doc: str


class NodeParam(Param):
    value: Value


class Node(Struct):
    name: str
    type: str
    number: int
    state: str
    reason: str
    doc: str
    inputs: list[Port]
    outputs: list[Port]
    params: list[NodeParam]


class Graph(Struct):
    patch: str
    nodes: list[Node]
    wires: list[tuple[str, str]]
    scenes: list[int]


class Plugin(Struct):
    name: str
    doc: str
    plugin: str
    inputs: list[Port]
    outputs: list[Port]
    needs: list[str]
    params: list[Param]


class Patch(Struct, rename={"source": "from"}):
    name: str
    line: str
    hint: str
    group: str
    source: str


class Overview(Struct):
    seconds: float
    rate: int
    channels: int
    peaks: list[float]
    notes: int


class PhoneAddress(Struct):
    host: str
    url: str
    rows: list[str]


class Phone(Struct):
    addresses: list[PhoneAddress]


class Machine(Struct):
    ip: Annotated[str, Meta(description="One machine's IP address.")]


class Approved(Struct):
    approved: str
    kept: bool


class Forgot(Struct):
    forgot: str
    kept: bool


class OscMessage(Asked):
    address: Annotated[str, Meta(description="An OSC address, such as /node/echo/wet.")]
    args: Annotated[list[float | str | bool], Meta(description="A list of numbers, texts, true and false.")] = []


class Sent(Struct):
    sent: str


class Upload(Asked):
    name: Annotated[
        str, Meta(description="Its name, whose ending says what it holds; a form names its file itself.")
    ] = ""


class Run(Asked):
    file: str
    params: dict[str, Any] | UnsetType = UNSET
    format: Annotated[str, Meta(extra_json_schema={"enum": [*FORMAT_NAMES, "mid"]})] | UnsetType = UNSET
    midi: bool = False
    analysis: bool = False
    report: bool = False
    picture: bool = False
    tail: Annotated[float, Meta(ge=0, le=60)] | UnsetType = UNSET


class Render(Asked):
    file: str | UnsetType = UNSET
    format: Format | UnsetType = UNSET
    seconds: Annotated[float, Meta(ge=0, le=MOST_SECONDS)] | UnsetType = UNSET


class RenderLive(Asked):
    file: str | UnsetType = UNSET
    format: Format | UnsetType = UNSET
    bars: Annotated[float, Meta(ge=0, le=MOST_BARS)] | UnsetType = UNSET
    midi: bool = False


class Quantity(Struct):
    name: str
    kind: str
    unit: str
    doc: str


class Classifier(Struct):
    name: str
    labels: list[str]
    shortest: float
    quantities: list[Quantity]
    problem: str


class Classified(Struct):
    """And each quantity of the classifier by its name."""

    duration: float
    labels: list[tuple[str, float]] | None


class FileNamed(Asked):
    file: Annotated[str, Meta(description="The identifier of a file or a job.")]


class Stream(Struct):
    every: Annotated[float, Meta(ge=1, le=60, description="Seconds of sound for each line, 1 to 60.")] = 5.0


class MapTrack(Struct):
    id: int
    path: str
    title: str
    artist: str
    genre: str
    x: float
    y: float


class MapArtist(Struct):
    name: str
    genre: str
    x: float
    y: float
    tracks: int
    nearest: list[str]


class MapGenre(Struct):
    name: str
    x: float
    y: float
    tracks: int


class Map(Struct):
    tracks: list[MapTrack]
    artists: list[MapArtist]
    genres: list[MapGenre]
    unplaced: int
    placed: bool
    placing: bool


class Placing(Struct):
    placing: bool


class Next(Asked):
    count: Annotated[int, Meta(ge=1, le=500)] = 1
    after: TrackOrPath | UnsetType = UNSET
    like: Tracks | UnsetType = UNSET
    skip: Tracks | UnsetType = UNSET
    dislike: Tracks | UnsetType = UNSET


class Track(Struct):
    id: int
    path: str
    duration: float | None
    score: float
    title: str | None
    artist: str | None
    album: str | None
    genre: str | None


class Matches(Struct):
    matches: list[Track]


class Fault(Struct):
    line: int = 0
    sentence: str = ""
    picture: str = ""
    version: int = 0


class Live(Struct):
    on: bool
    start: str
    playing: bool
    reading: bool
    silent: bool
    version: int
    tried: int
    begins: float
    name: str
    by: str
    fault: Fault | None


class Script(Struct):
    name: str
    text: str
    version: int
    by: str


class Word(Struct):
    name: str
    signature: str
    doc: str


class Words(Struct):
    words: list[Word]
    changes: list[Word]
    nodes: list[Word]
    scales: list[str]
    chords: list[str]


class Evaluate(Asked):
    text: Text
    version: Annotated[
        int,
        Meta(ge=1, le=MAX_VERSION, description=f"A whole number from 1 to {MAX_VERSION}, another for each run."),
    ]
    name: Name = ""
    by: Name = ""


class Version(Struct):
    version: int


class Stopped(Struct):
    stopped: bool


class LiveSet(Struct):
    name: str
    line: str
    bars: int
    own: bool


class LiveSetText(Struct):
    name: str
    own: bool
    text: str


class Save(Asked):
    text: Text
    replace: Annotated[bool, Meta(description="True or false: whether a script of that name is replaced.")] = False


class Saved(Struct):
    name: str
    own: bool
