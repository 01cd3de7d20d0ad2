"""Operations of the HTTP API: one declaration each, the source of routes, document, page types and tests.

    @operation("GET", "/api/files/{id}", types.File, example={"id": FILE})
    async def file(self, request: HttpRequest, id: str) -> object:
        \"\"\"One file.\"\"\"
        return self._files[id]

A handler gets the request, the parts of the path by name, and `query` and `body`, converted to the types that it names.
It returns the answer. Its docstring describes the operation in the document and in docs/http.md.
"""

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from inspect import isawaitable
from typing import Any, TypeVar, get_args
from urllib.parse import parse_qsl

import msgspec

from antiphon.kernel.runtime import typed
from antiphon.web.http_message import HttpRefusal, HttpRequest, Response, answer

Function = TypeVar("Function", bound=Callable[..., Any])


class TokenLevel(enum.Enum):
    """Authorisation required for an operation. `READ`: the token, only with `--lan` and `--proxy`."""

    ANYONE = "anyone"
    READ = "read"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    `plain`: whether the handler gets the JSON unconverted, because the function that it calls gives better errors.
    `query`: type of the query, or None; each of its fields is described by its `Meta`. `example`: a working request:
    values of the parts of the path and of the query by name, and `body`.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    answers: Any = None  # type of the answer's JSON; None for an empty answer, bytes for a file
    status: int = 200
    body: Any = None  # type of the request's JSON, or None
    plain: bool = False
    query: type[msgspec.Struct] | None = None
    level: TokenLevel = TokenLevel.READ
    upload: int = 0  # bytes of a body that the handler reads in pieces; 0 for none. A body of JSON may still be named.
    live: bool = False
    form: bool = False
    lines: bool = False
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Operation id for generated clients: the method and the words of the path."""
        words = re.findall(r"[a-z]+", self.path.removeprefix("/api"))
        return "_".join([self.method.lower(), *words])

    @property
    def doc(self) -> tuple[str, str]:
        """Summary and description: the paragraphs of the handler's docstring."""
        first, _, more = (self.handler.__doc__ or "").partition("\n\n")
        return " ".join(first.split()), " ".join(more.split())

    @property
    def parts(self) -> list[str]:
        """Names of the path's variable parts."""
        return re.findall(r"\{(\w+)\}", self.path)

    def bind(self, owner: object) -> Callable[..., Any]:
        """The endpoint for an object with the handler; it is called with the request (and an upload's pieces)."""
        return partial(self.call, getattr(owner, self.handler.__name__))

    async def call(self, handler: Callable[..., Any], request: HttpRequest, *pieces: Any) -> Response:
        """Calls a handler with a request, whose query and body are converted; returns the response.

        A handler returns a `Response`, or the JSON answer for the operation's status: objects with the attributes of
        its type, or plain data.
        """
        given: dict[str, Any] = dict(request.parts)
        if self.query is not None:
            given["query"] = convert(dict(parse_qsl(request.query or "")), self.query, "the query")
        if self.body is not None and not self.upload:
            given["body"] = request.json() if self.plain else convert(request.json(), self.body)
        found = handler(request, *pieces, **given)
        found = await found if isawaitable(found) else found
        if isinstance(found, Response):
            return found
        if found is None and self.answers is None:
            return Response(self.status)
        return answer(to_plain(found, self.answers), self.status)


def operation(
    method: str, path: str, answers: Any = None, status: int = 200, **more: Any
) -> Callable[[Function], Function]:
    """Declares a method as the handler of an operation; the arguments are the attributes of `Operation`.

    The types of `body` and `query` are the annotations of the handler's parameters of these names.
    """
    more.setdefault("level", TokenLevel.READ if method == "GET" else TokenLevel.OWNER)

    def declare(handler: Function) -> Function:
        more.update({name: kind for name, kind in _record_types(handler).items() if name not in more})
        handler.operation = Operation(method, path, handler, answers, status, **more)  # type: ignore[attr-defined]
        return handler

    return declare


def _record_types(handler: Any) -> dict[str, Any]:
    """Types of `body` and `query` from the annotations of a handler's parameters, if they are records."""
    given = {name: kind for name, kind in handler.__annotations__.items() if name in ("body", "query")}
    # texts are those of a module with `from __future__ import annotations`
    kinds = {name: eval(kind, handler.__globals__) if isinstance(kind, str) else kind for name, kind in given.items()}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)}


def to_plain(found: Any, kind: Any) -> Any:
    """Converts an answer of that type to plain data: for an object the attributes that are fields of the type."""
    if isinstance(found, msgspec.Struct):
        return msgspec.to_builtins(found)
    if isinstance(found, list | tuple):
        return [to_plain(one, next(iter(get_args(kind)), None)) for one in found]
    if found is None or isinstance(found, str | dict | int | float) or not hasattr(kind, "__struct_fields__"):
        return found
    return {name: getattr(found, name) for name in kind.__struct_fields__}


def operations_of(owner: type) -> list[Operation]:
    """Operations that a class declares, in order."""
    return [member.operation for member in vars(owner).values() if hasattr(member, "operation")]


def convert(data: Any, kind: Any, name: str = "the body") -> Any:
    """Converts JSON data, or query texts, to a type of the API; `name` is for the message.

    Raises HttpRefusal 400: the data do not fit; the message says where.
    """
    body = name == "the body"
    try:
        return typed.convert(data, kind, name, strict=body)
    except typed.Misfit as misfit:
        with suppress(typed.Misfit, RecursionError):
            if body:
                return typed.convert(_integers(data), kind, name)
        raise HttpRefusal(400, str(misfit)) from None


def _integers(data: Any) -> Any:
    """JSON data in which numbers such as 1.0 are integers, as JSON Schema has them."""
    match data:
        case float() if data.is_integer() and abs(data) < 2**53:
            return int(data)
        case dict():
            return {key: _integers(value) for key, value in data.items()}
        case list():
            return [_integers(value) for value in data]
    return data


Schema = dict[str, Any]
REF = "#/components/schemas/{name}"
TEXT: Schema = {"type": "string"}
BYTES: Schema = {"type": "string", "format": "binary"}
FORM: Schema = {"type": "object", "properties": {"file": BYTES}, "required": ["file"]}


Error = msgspec.defstruct("Error", [("error", str)])
"""Answer to a refused request."""


def schema_of(kind: Any) -> Schema:
    """JSON schema of a type; named types are references to the document's components."""
    return msgspec.json.schema_components([kind], ref_template=REF)[0][0]


def components(operations: Sequence[Operation]) -> dict[str, Schema]:
    """JSON schemas of all named types, by name."""
    kinds = [kind for one in operations for kind in (one.answers, one.body) if kind not in (None, bytes)]
    found = msgspec.json.schema_components([Error, *kinds], ref_template=REF)[1]
    return {name: found[name] for name in sorted(found)}


def document(operations: Sequence[Operation]) -> Schema:
    """Makes the OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Schema]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation_schema(one)
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
            "schemas": components(operations),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation_schema(one: Operation) -> Schema:
    parameters: list[Schema] = [
        {"name": part, "in": "path", "required": True, "schema": TEXT, "example": one.example[part]}
        for part in one.parts
    ]
    if one.query is not None:
        schemas = msgspec.json.schema_components([one.query], ref_template="{name}")[1]
        for name, schema in schemas[one.query.__name__]["properties"].items():
            doc = schema.pop("description", "")
            shown = {"name": name, "in": "query", "schema": schema, "description": doc, "example": one.example[name]}
            parameters.append(shown)
    answered: Schema = {"description": "Done."}
    if one.answers is bytes:
        answered["content"] = {"*/*": {"schema": BYTES}}
        parameters.append({"name": "Range", "in": "header", "schema": TEXT, "description": "A part of it: bytes=0-99."})
    elif one.answers is not None:
        answered["content"] = {"application/json": {"schema": schema_of(one.answers)}}
        if one.lines:
            answered["content"]["application/x-ndjson"] = {"schema": TEXT}
    refused = {"content": {"application/json": {"schema": schema_of(Error)}}}
    shown = {
        "operationId": one.id,
        "summary": one.doc[0],
        "description": one.doc[1],
        "parameters": parameters,
        "responses": {
            str(one.status): answered,
            "4XX": {"description": "Refused.", **refused},
            "5XX": {"description": "Not possible now.", **refused},
        },
    }
    if one.answers is bytes:
        shown["responses"]["206"] = {**answered, "description": "The part that was asked for."}
    if one.level is TokenLevel.OWNER:
        shown["security"] = [{"token": []}]
    content: Schema = {}
    if one.upload:
        content["application/octet-stream"] = {"schema": BYTES}
    if one.body is not None:
        content["application/json"] = {"schema": schema_of(one.body), "example": one.example["body"]}
    if one.form:
        content["multipart/form-data"] = {"schema": FORM}
    if content:
        shown["requestBody"] = {"required": True, "content": content}
    return shown
