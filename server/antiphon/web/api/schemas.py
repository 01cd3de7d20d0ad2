"""JSON schemas of what routes below /api take and answer."""

from __future__ import annotations

from typing import Any

from antiphon.jobs.request import FORMAT_NAMES

Schema = dict[str, Any]


def object_of(**properties: Schema) -> Schema:
    """An object with these properties, each of which is there."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def optional_of(*required: str, **properties: Schema) -> Schema:
    """An object with no other properties, of which those named are required."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def list_of(of: Schema) -> Schema:
    """An array of such values."""
    return {"type": "array", "items": of}


def ref(name: str) -> Schema:
    """The schema of that name among `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
SWITCH: Schema = {"type": "boolean"}
ANY: Schema = {"type": "object"}
VALUE: Schema = {"type": ["number", "string", "boolean", "null"]}
"""Of a parameter."""
FORMAT: Schema = {"type": "string", "enum": list(FORMAT_NAMES)}
"""Of a sound that is written."""
SCHEMAS: dict[str, Schema] = {
    "Error": object_of(error=TEXT),
    "File": object_of(id=TEXT, name=TEXT, bytes=INTEGER, created=NUMBER),
    "Job": object_of(
        id=TEXT,
        command={"type": "string", "enum": ["run", "render", "live"]},
        name=TEXT,
        file=TEXT,
        params=ANY,
        state={"type": "string", "enum": ["waiting", "running", "done", "failed", "cancelled"]},
        progress={"type": "number", "minimum": 0, "maximum": 1},
        error=TEXT,
        summary=TEXT,
        created=NUMBER,
        started=NUMBER,
        ended=NUMBER,
        results=list_of(object_of(name=TEXT, bytes=INTEGER)),
    ),
    "Port": object_of(name=TEXT, kind={"type": "string", "enum": ["audio", "control", "events", "asset"]}),
    "Param": object_of(
        name=TEXT,
        kind={"type": "string", "enum": ["float", "int", "switch", "choice", "text", "file", "trigger"]},
        default=VALUE,
        low={"type": ["number", "null"]},
        high={"type": ["number", "null"]},
        unit=TEXT,
        warp={"type": "string", "enum": ["linear", "log"]},
        choices=list_of(TEXT),
        restart=SWITCH,
        readonly=SWITCH,
        doc=TEXT,
    ),
    "NodeParam": {"allOf": [ref("Param"), object_of(value=VALUE)]},
    "Node": object_of(
        name=TEXT,
        type=TEXT,
        number=INTEGER,
        state=TEXT,
        reason=TEXT,
        doc=TEXT,
        inputs=list_of(ref("Port")),
        outputs=list_of(ref("Port")),
        params=list_of(ref("NodeParam")),
    ),
    "Graph": object_of(
        patch=TEXT,
        nodes=list_of(ref("Node")),
        wires=list_of({"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2}),
        scenes=list_of(INTEGER),
    ),
    "Plugin": object_of(
        name=TEXT,
        doc=TEXT,
        plugin=TEXT,
        inputs=list_of(ref("Port")),
        outputs=list_of(ref("Port")),
        needs=list_of(TEXT),
        params=list_of(ref("Param")),
    ),
    "Overview": object_of(seconds=NUMBER, rate=INTEGER, channels=INTEGER, peaks=list_of(NUMBER), notes=INTEGER),
    "LiveSet": object_of(name=TEXT, line=TEXT, bars=INTEGER, own=SWITCH),
    "Track": object_of(
        id=INTEGER,
        path=TEXT,
        duration={"type": ["number", "null"]},
        score=NUMBER,
        **{name: {"type": ["string", "null"]} for name in ("title", "artist", "album", "genre")},
    ),
    "Map": object_of(
        tracks=list_of(object_of(id=INTEGER, path=TEXT, title=TEXT, artist=TEXT, genre=TEXT, x=NUMBER, y=NUMBER)),
        artists=list_of(object_of(name=TEXT, genre=TEXT, x=NUMBER, y=NUMBER, tracks=INTEGER, nearest=list_of(TEXT))),
        genres=list_of(object_of(name=TEXT, x=NUMBER, y=NUMBER, tracks=INTEGER)),
        unplaced=INTEGER,
        placed=SWITCH,
        placing=SWITCH,
    ),
    "Classifier": object_of(
        name=TEXT,
        labels=list_of(TEXT),
        shortest=NUMBER,
        quantities=list_of(object_of(name=TEXT, kind=TEXT, unit=TEXT, doc=TEXT)),
        problem=TEXT,
    ),
    "Patch": object_of(name=TEXT, line=TEXT, hint=TEXT, group=TEXT, **{"from": TEXT}),
}
RUN = optional_of(
    "file",
    file=TEXT,
    params=ANY,
    format={"type": "string", "enum": [*FORMAT_NAMES, "mid"]},
    midi=SWITCH,
    analysis=SWITCH,
    report=SWITCH,
    picture=SWITCH,
    tail={**NUMBER, "minimum": 0, "maximum": 60},
)
FORM = object_of(file={"type": "string", "format": "binary"})
LIVE = object_of(
    on=SWITCH,
    start=TEXT,
    playing=SWITCH,
    reading=SWITCH,
    silent=SWITCH,
    version=INTEGER,
    tried=INTEGER,
    begins=NUMBER,
    name=TEXT,
    by=TEXT,
    fault={
        "type": ["object", "null"],
        "properties": {"line": INTEGER, "sentence": TEXT, "picture": TEXT, "version": INTEGER},
    },
)
WORDS = list_of(object_of(name=TEXT, signature=TEXT, doc=TEXT))
SCRIPT = object_of(name=TEXT, text=TEXT, version=INTEGER, by=TEXT)
RENDER = optional_of(file=TEXT, format=FORMAT, seconds={**NUMBER, "minimum": 0, "maximum": 3600})
RENDER_LIVE = optional_of(file=TEXT, format=FORMAT, bars={**NUMBER, "minimum": 0, "maximum": 2048}, midi=SWITCH)
TRACK_OR_PATH: Schema = {"type": ["string", "integer"]}
TRACKS: Schema = {"anyOf": [TRACK_OR_PATH, list_of(TRACK_OR_PATH)]}
NEXT = optional_of(
    count={**INTEGER, "minimum": 1, "maximum": 500}, after=TRACK_OR_PATH, like=TRACKS, skip=TRACKS, dislike=TRACKS
)
CLASSIFIED: Schema = {
    "type": "object",
    "properties": {
        "duration": NUMBER,
        "labels": {"type": ["array", "null"], "items": {"type": "array", "prefixItems": [TEXT, NUMBER], "minItems": 2}},
    },
    "required": ["duration", "labels"],
}
"""And each quantity of the classifier by its name."""
