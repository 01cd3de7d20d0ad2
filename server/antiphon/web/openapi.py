"""OpenAPI document of the operations: parameters, bodies and answers."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from antiphon.web.operations import Operation, TokenLevel, fields_of

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
    """OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Schema]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
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


def _operation(one: Operation) -> Schema:
    parameters: list[Schema] = [
        {"name": part, "in": "path", "required": True, "schema": TEXT, "example": one.example[part]}
        for part in one.parts
    ]
    if one.query is not None:
        for name, schema in fields_of(one.query).items():
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
