"""The OpenAPI document of the routes below /api: what they take, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        method: In small letters.
        path: With names of its parts in braces.
        summary: One sentence.
        answers: Schema of the answer, or None for an empty one.
        status: Of the answer.
        body: Schema of the request's body, or None.
        query: Names of query parameters and what they are.
        binary: Whether the body is a file.
        file: Whether the answer is a file.
        token: Whether a GET needs the token too.
        lines: Whether the answer may be asked for as lines of JSON, by Accept.
        optional: Names of query parameters that may be left out, and what they are.
    """

    method: str
    path: str
    summary: str
    answers: Schema | None = None
    status: int = 200
    body: Schema | None = None
    query: tuple[tuple[str, str], ...] = ()
    binary: bool = False
    file: bool = False
    token: bool = False
    lines: bool = False
    optional: tuple[tuple[str, str], ...] = ()


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _optional(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
SWITCH: Schema = {"type": "boolean"}
ANY: Schema = {"type": "object"}
VALUE: Schema = {"type": ["number", "string", "boolean", "null"]}
"""Of a parameter."""
SCHEMAS: dict[str, Schema] = {
    "Error": _object(error=TEXT),
    "File": _object(id=TEXT, name=TEXT, bytes=INTEGER, created=NUMBER),
    "Job": _object(
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
        results=_list(_object(name=TEXT, bytes=INTEGER)),
    ),
    "Port": _object(name=TEXT, kind={"type": "string", "enum": ["audio", "control", "events", "asset"]}),
    "Param": _object(
        name=TEXT,
        kind={"type": "string", "enum": ["float", "int", "switch", "choice", "text", "file", "trigger"]},
        default=VALUE,
        low={"type": ["number", "null"]},
        high={"type": ["number", "null"]},
        unit=TEXT,
        warp={"type": "string", "enum": ["linear", "log"]},
        choices=_list(TEXT),
        restart=SWITCH,
        readonly=SWITCH,
        doc=TEXT,
    ),
    "NodeParam": {"allOf": [_ref("Param"), _object(value=VALUE)]},
    "Node": _object(
        name=TEXT,
        type=TEXT,
        number=INTEGER,
        state=TEXT,
        reason=TEXT,
        doc=TEXT,
        inputs=_list(_ref("Port")),
        outputs=_list(_ref("Port")),
        params=_list(_ref("NodeParam")),
    ),
    "Graph": _object(
        patch=TEXT,
        nodes=_list(_ref("Node")),
        wires=_list({"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2}),
        scenes=_list(INTEGER),
    ),
    "Plugin": _object(
        name=TEXT,
        doc=TEXT,
        plugin=TEXT,
        inputs=_list(_ref("Port")),
        outputs=_list(_ref("Port")),
        needs=_list(TEXT),
        params=_list(_ref("Param")),
    ),
    "Overview": _object(seconds=NUMBER, rate=INTEGER, channels=INTEGER, peaks=_list(NUMBER), notes=INTEGER),
    "LiveSet": _object(name=TEXT, line=TEXT, bars=INTEGER, own=SWITCH),
    "Track": _object(
        id=INTEGER,
        path=TEXT,
        duration={"type": ["number", "null"]},
        score=NUMBER,
        **{name: {"type": ["string", "null"]} for name in ("title", "artist", "album", "genre")},
    ),
    "Map": _object(
        tracks=_list(_object(id=INTEGER, path=TEXT, title=TEXT, artist=TEXT, genre=TEXT, x=NUMBER, y=NUMBER)),
        artists=_list(_object(name=TEXT, genre=TEXT, x=NUMBER, y=NUMBER, tracks=INTEGER, nearest=_list(TEXT))),
        genres=_list(_object(name=TEXT, x=NUMBER, y=NUMBER, tracks=INTEGER)),
        unplaced=INTEGER,
        placed=SWITCH,
        placing=SWITCH,
    ),
    "Classifier": _object(
        name=TEXT,
        labels=_list(TEXT),
        shortest=NUMBER,
        quantities=_list(_object(name=TEXT, kind=TEXT, unit=TEXT, doc=TEXT)),
        problem=TEXT,
    ),
    "Patch": _object(name=TEXT, line=TEXT, hint=TEXT, group=TEXT, **{"from": TEXT}),
}
RUN = _optional(
    "file",
    file=TEXT,
    params=ANY,
    format=TEXT,
    midi=SWITCH,
    analysis=SWITCH,
    tail={**NUMBER, "minimum": 0, "maximum": 60},
)
LIVE = _object(
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
WORDS = _list(_object(name=TEXT, signature=TEXT, doc=TEXT))
SCRIPT = _object(name=TEXT, text=TEXT, version=INTEGER, by=TEXT)
RENDER = _optional(file=TEXT, format=TEXT, seconds={**NUMBER, "minimum": 0, "maximum": 3600})
RENDER_LIVE = _optional(file=TEXT, format=TEXT, bars={**NUMBER, "minimum": 0, "maximum": 2048}, midi=SWITCH)
TRACK_OR_PATH: Schema = {"type": ["string", "integer"]}
TRACKS: Schema = {"anyOf": [TRACK_OR_PATH, _list(TRACK_OR_PATH)]}
NEXT = _optional(
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
OPERATIONS = (
    Operation(
        "get", "/api/health", "Whether the server plays, for load balancers; it never needs the token.",
        _object(health=TEXT),
    ),
    Operation("get", "/api/status", "The state of the server and its counters.", ANY),
    Operation("get", "/api/openapi.json", "This document.", ANY),
    Operation("get", "/api/graph", "The patch: nodes with their parameters and values, wires, scenes.", _ref("Graph")),
    Operation("get", "/api/patches", "The patches there are.", _list(_ref("Patch"))),
    Operation("get", "/api/plugins", "The processors there are, with their parameters.", _list(_ref("Plugin"))),
    Operation("get", "/api/plugins/{name}", "One processor.", _ref("Plugin")),
    Operation("get", "/api/surfaces", "Addresses that wait for approval, and those that have it.", ANY),
    Operation(
        "get", "/api/phone", "With --lan, the page's address with the token, and its QR code.",
        _object(addresses=_list(_object(host=TEXT, url=TEXT, rows=_list(TEXT)))),
    ),
    Operation(
        "post", "/api/surfaces/approve", "Approve an address.", _object(approved=TEXT, kept=SWITCH),
        body=_object(ip=TEXT),
    ),
    Operation(
        "post", "/api/surfaces/forget", "Revoke an approval.", _object(forgot=TEXT, kept=SWITCH),
        body=_object(ip=TEXT),
    ),
    Operation(
        "post", "/api/osc", "Send an OSC message, as any client of this machine; it is not answered.", status=202,
        body=_optional("address", address=TEXT, args=_list({"type": ["number", "string", "boolean"]})),
    ),
    Operation("post", "/api/panic", "Silence everything at once.", _object(sent=TEXT)),
    Operation("get", "/api/files", "The files that were sent.", _list(_ref("File"))),
    Operation(
        "post", "/api/files", "Send a file: sound or MIDI. Its bytes are the body.", _ref("File"), 201,
        query=(("name", "Its name; the ending says what it holds."),), binary=True,
    ),
    Operation("get", "/api/files/{id}", "One file.", _ref("File")),
    Operation("get", "/api/files/{id}/content", "A file's bytes.", file=True),
    Operation("get", "/api/files/{id}/overview", "A file's length and waveform.", _ref("Overview")),
    Operation("delete", "/api/files/{id}", "Remove a file.", status=204),
    Operation("post", "/api/run/{plugin}", "Run a plugin over a file.", _ref("Job"), 202, RUN),
    Operation("post", "/api/render/{patch}", "Render a patch, over a file or for a time.", _ref("Job"), 202, RENDER),
    Operation("post", "/api/live/sets/{name}/render", "Render a script by its name.", _ref("Job"), 202, RENDER_LIVE),
    Operation("get", "/api/jobs", "The jobs, newest first.", _list(_ref("Job"))),
    Operation("get", "/api/jobs/{id}", "One job.", _ref("Job")),
    Operation("delete", "/api/jobs/{id}", "Cancel a job; forget one that has ended.", _ref("Job")),
    Operation("post", "/api/jobs/{id}/repeat", "Do a job once more.", _ref("Job"), 202),
    Operation("get", "/api/jobs/{id}/overview", "The length and waveform of a job's first result.", _ref("Overview")),
    Operation("get", "/api/jobs/{id}/result", "A job's first result.", file=True),
    Operation("get", "/api/jobs/{id}/result/{name}", "A job's result of that name.", file=True),
    Operation("get", "/api/classify", "The classifiers there are.", _list(_ref("Classifier"))),
    Operation(
        "post", "/api/classify/{name}", "Classify a sound: its bytes are the body, or a file that was sent is named.",
        CLASSIFIED, body=_optional("file", file=TEXT), binary=True, lines=True,
        optional=(("every", "Seconds of sound for each line, 1 to 60."),),
    ),
    Operation("get", "/api/library/map", "The library's tracks, artists and genres in two dimensions.", _ref("Map")),
    Operation("post", "/api/library/map", "Place all tracks anew.", _object(placing=SWITCH), 202),
    Operation(
        "post", "/api/library/next", "What comes next, after signals about tracks, which are stored.",
        _object(matches=_list(_ref("Track"))), body=NEXT,
    ),
    Operation("get", "/api/library/tracks/{id}/sound", "Some seconds of a track, as WAV.", file=True),
    Operation("get", "/api/live", "What performs the scripts of pages: what plays, and what failed.", LIVE),
    Operation("get", "/api/live/script", "The script that was run last.", SCRIPT, token=True),
    Operation(
        "get", "/api/live/words", "The words of live scripts.",
        _object(words=WORDS, changes=WORDS, nodes=WORDS, scales=_list(TEXT), chords=_list(TEXT)),
    ),
    Operation("get", "/api/live/sounds", "The names of the sounds of each sampler of the patch.", ANY),
    Operation(
        "post", "/api/live/eval", "With `serve --live`: perform a script from the next bar on.",
        _object(version=INTEGER), 202,
        _optional("text", "version", text=TEXT, version={**INTEGER, "minimum": 1}, name=TEXT, by=TEXT),
    ),
    Operation("post", "/api/live/stop", "End the script that plays.", _object(stopped=SWITCH)),
    Operation(
        "get", "/api/live/sets", "The live scripts that ship, and those of the performer.",
        _list(_ref("LiveSet")),
    ),
    Operation("get", "/api/live/sets/{name}", "One script.", _object(name=TEXT, own=SWITCH, text=TEXT)),
    Operation(
        "put", "/api/live/sets/{name}", "Save a script; one that is there only with `replace`.",
        _object(name=TEXT, own=SWITCH), 201, _optional("text", text=TEXT, replace=SWITCH),
    ),
)  # fmt: skip


@cache
def document() -> Schema:
    """The document, OpenAPI 3.1."""
    paths: dict[str, dict[str, Schema]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Antiphon",
            "version": version("antiphon"),
            "description": "Whatever may change something needs the token; with --lan, everything does.",
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation) -> Schema:
    parts = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    parameters = [{"name": part, "in": "path", "required": True, "schema": TEXT} for part in parts]
    parameters += [
        {"name": name, "in": "query", "required": True, "schema": TEXT, "description": doc}
        for name, doc in operation.query
    ]
    parameters += [
        {"name": name, "in": "query", "schema": TEXT, "description": doc} for name, doc in operation.optional
    ]
    answered: Schema = {"description": "Done."}
    if operation.file:
        answered["content"] = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
        parameters.append({"name": "Range", "in": "header", "schema": TEXT, "description": "A part of it: bytes=0-99."})
    elif operation.answers is not None and operation.lines:
        schema = {"schema": operation.answers}
        answered["content"] = {"application/json": schema, "application/x-ndjson": {"schema": TEXT}}
    elif operation.answers is not None:
        answered["content"] = {"application/json": {"schema": operation.answers}}
    shown: Schema = {
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            str(operation.status): answered,
            "4XX": {"description": "Refused.", "content": {"application/json": {"schema": _ref("Error")}}},
            "5XX": {"description": "Not possible now.", "content": {"application/json": {"schema": _ref("Error")}}},
        },
    }
    if operation.file:
        shown["responses"]["206"] = {**answered, "description": "The part that was asked for."}
    if operation.method != "get" or operation.token:
        shown["security"] = [{"token": []}]
    if operation.binary:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        if operation.body is not None:
            content["application/json"] = {"schema": operation.body}
        shown["requestBody"] = {"required": True, "content": content}
    elif operation.body is not None:
        shown["requestBody"] = {"required": True, "content": {"application/json": {"schema": operation.body}}}
    return shown
