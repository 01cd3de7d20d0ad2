"""The OpenAPI document of the routes below /api: what they take, and what they answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from antiphon.web.api.examples import EXAMPLES, RequestExample
from antiphon.web.api.schemas import (
    ANY,
    CLASSIFIED,
    FORM,
    INTEGER,
    LIVE,
    NEXT,
    RENDER,
    RENDER_LIVE,
    RUN,
    SCHEMAS,
    SCRIPT,
    SWITCH,
    TEXT,
    WORDS,
    Schema,
    list_of,
    object_of,
    optional_of,
    ref,
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        method: In small letters.
        path: With names of its parts in braces.
        summary: One sentence.
        answers: Schema of the answer, or None for an empty one.
        status: Status of the answer.
        body: Schema of the request's body, or None.
        binary: Whether the body is a file.
        form: Whether the file may come in a form too.
        file: Whether the answer is a file.
        token: Whether a GET needs the token too.
        lines: Whether the answer may be asked for as lines of JSON, by Accept.
        query: Names of query parameters, which may be left out, and what they are.
    """

    method: str
    path: str
    summary: str
    answers: Schema | None = None
    status: int = 200
    body: Schema | None = None
    binary: bool = False
    form: bool = False
    file: bool = False
    token: bool = False
    lines: bool = False
    query: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """Operation id for generated clients: the method and the words of the path."""
        return "_".join([self.method, *re.findall(r"[a-z]+", self.path.removeprefix("/api"))])

    @property
    def example(self) -> RequestExample:
        """A request that works."""
        return EXAMPLES.get((self.method, self.path), RequestExample())


OPERATIONS = (
    Operation(
        "get", "/api/health", "Whether the server plays, for load balancers; it never needs the token.",
        object_of(health=TEXT),
    ),
    Operation("get", "/api/status", "The state of the server and its counters.", ANY),
    Operation("get", "/api/openapi.json", "This document.", ANY),
    Operation("get", "/api/graph", "The patch: nodes with their parameters and values, wires, scenes.", ref("Graph")),
    Operation("get", "/api/patches", "The patches there are.", list_of(ref("Patch"))),
    Operation("get", "/api/plugins", "The processors there are, with their parameters.", list_of(ref("Plugin"))),
    Operation("get", "/api/plugins/{name}", "One processor.", ref("Plugin")),
    Operation("get", "/api/surfaces", "Addresses that wait for approval, and those that have it.", ANY),
    Operation(
        "get", "/api/phone", "With --lan, the page's address with the token, and its QR code.",
        object_of(addresses=list_of(object_of(host=TEXT, url=TEXT, rows=list_of(TEXT)))),
    ),
    Operation(
        "post", "/api/surfaces/approve", "Approve an address.", object_of(approved=TEXT, kept=SWITCH),
        body=object_of(ip=TEXT),
    ),
    Operation(
        "post", "/api/surfaces/forget", "Revoke an approval.", object_of(forgot=TEXT, kept=SWITCH),
        body=object_of(ip=TEXT),
    ),
    Operation(
        "post", "/api/osc", "Send an OSC message, as any client of this machine; it is not answered.", status=202,
        body=optional_of("address", address=TEXT, args=list_of({"type": ["number", "string", "boolean"]})),
    ),
    Operation("post", "/api/panic", "Silence everything at once.", object_of(sent=TEXT)),
    Operation("get", "/api/files", "The files that were sent.", list_of(ref("File"))),
    Operation(
        "post", "/api/files", "Send a file: sound or MIDI. Its bytes are the body.", ref("File"), 201,
        query=(("name", "Its name, whose ending says what it holds; a form names its file itself."),),
        binary=True, form=True,
    ),
    Operation("get", "/api/files/{id}", "One file.", ref("File")),
    Operation("get", "/api/files/{id}/content", "A file's bytes.", file=True),
    Operation("get", "/api/files/{id}/overview", "A file's length and waveform.", ref("Overview")),
    Operation("delete", "/api/files/{id}", "Remove a file.", status=204),
    Operation("post", "/api/run/{plugin}", "Run a plugin over a file.", ref("Job"), 202, RUN),
    Operation("post", "/api/render/{patch}", "Render a patch, over a file or for a time.", ref("Job"), 202, RENDER),
    Operation("post", "/api/live/sets/{name}/render", "Render a script by its name.", ref("Job"), 202, RENDER_LIVE),
    Operation("get", "/api/jobs", "The jobs, newest first.", list_of(ref("Job"))),
    Operation("get", "/api/jobs/{id}", "One job.", ref("Job")),
    Operation("delete", "/api/jobs/{id}", "Cancel a job; forget one that has ended.", ref("Job")),
    Operation("post", "/api/jobs/{id}/repeat", "Do a job once more.", ref("Job"), 202),
    Operation("get", "/api/jobs/{id}/overview", "The length and waveform of a job's first result.", ref("Overview")),
    Operation("get", "/api/jobs/{id}/result", "A job's first result.", file=True),
    Operation("get", "/api/jobs/{id}/result/{name}", "A job's result of that name.", file=True),
    Operation("get", "/api/classify", "The classifiers there are.", list_of(ref("Classifier"))),
    Operation(
        "post", "/api/classify/{name}", "Classify a sound: its bytes are the body, or a file that was sent is named.",
        CLASSIFIED, body=optional_of("file", file=TEXT), binary=True, lines=True,
        query=(("every", "Seconds of sound for each line, 1 to 60."),),
    ),
    Operation("get", "/api/library/map", "The library's tracks, artists and genres in two dimensions.", ref("Map")),
    Operation("post", "/api/library/map", "Place all tracks anew.", object_of(placing=SWITCH), 202),
    Operation(
        "post", "/api/library/next", "What comes next, after signals about tracks, which are stored.",
        object_of(matches=list_of(ref("Track"))), body=NEXT,
    ),
    Operation("get", "/api/library/tracks/{id}/sound", "Some seconds of a track, as WAV.", file=True),
    Operation("get", "/api/live", "What performs the scripts of pages: what plays, and what failed.", LIVE),
    Operation("get", "/api/live/script", "The script that was run last.", SCRIPT, token=True),
    Operation(
        "get", "/api/live/words", "The words of live scripts.",
        object_of(words=WORDS, changes=WORDS, nodes=WORDS, scales=list_of(TEXT), chords=list_of(TEXT)),
    ),
    Operation("get", "/api/live/sounds", "The names of the sounds of each sampler of the patch.", ANY),
    Operation(
        "post", "/api/live/eval", "With `serve --live`: perform a script from the next bar on.",
        object_of(version=INTEGER), 202,
        optional_of("text", "version", text=TEXT, version={**INTEGER, "minimum": 1}, name=TEXT, by=TEXT),
    ),
    Operation("post", "/api/live/stop", "End the script that plays.", object_of(stopped=SWITCH)),
    Operation(
        "get", "/api/live/sets", "The live scripts that ship, and those of the performer.",
        list_of(ref("LiveSet")),
    ),
    Operation("get", "/api/live/sets/{name}", "One script.", object_of(name=TEXT, own=SWITCH, text=TEXT)),
    Operation(
        "put", "/api/live/sets/{name}", "Save a script; one that is there only with `replace`.",
        object_of(name=TEXT, own=SWITCH), 201, optional_of("text", text=TEXT, replace=SWITCH),
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
        "servers": [
            {"url": "/", "description": "The server that this document comes from."},
            {"url": "http://127.0.0.1:4401", "description": "`antiphon serve` as it starts, on this machine."},
        ],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation) -> Schema:
    example = operation.example
    parts = re.findall(r"\{(\w+)\}", operation.path)
    parameters = [
        {"name": part, "in": "path", "required": True, "schema": TEXT, "example": example.parts[part]} for part in parts
    ]
    parameters += [
        {"name": name, "in": "query", "schema": TEXT, "description": doc, "example": example.query[name]}
        for name, doc in operation.query
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
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            str(operation.status): answered,
            "4XX": {"description": "Refused.", "content": {"application/json": {"schema": ref("Error")}}},
            "5XX": {"description": "Not possible now.", "content": {"application/json": {"schema": ref("Error")}}},
        },
    }
    if operation.file:
        shown["responses"]["206"] = {**answered, "description": "The part that was asked for."}
    if operation.method != "get" or operation.token:
        shown["security"] = [{"token": []}]
    sent = {"schema": operation.body, "example": example.body}
    if operation.binary:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        if operation.body is not None:
            content["application/json"] = sent
        if operation.form:
            content["multipart/form-data"] = {"schema": FORM}
        shown["requestBody"] = {"required": True, "content": content}
    elif operation.body is not None:
        shown["requestBody"] = {"required": True, "content": {"application/json": sent}}
    return shown
