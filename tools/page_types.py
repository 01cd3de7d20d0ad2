"""Writes page/src/api.d.ts, the page's TypeScript types, from the OpenAPI document; with --check it compares only."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from antiphon.web.api import openapi, schemas

PAGE = Path(__file__).parents[1] / "page/src/api.d.ts"
HEAD = "// The types of the HTTP API. tools/page_types.py makes them of its OpenAPI document: make page.\n"
PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


def typed(schema: dict[str, Any]) -> str:
    """A JSON schema as a TypeScript type.

    Args:
        schema: Of those keywords that the document uses.

    Returns:
        An expression; `unknown` for a schema without a type, which any value fits.

    Raises:
        ValueError: It has a type that no TypeScript type is written for.
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kinds = schema.get("type", [])
    if isinstance(kinds, list):
        return " | ".join(typed({**schema, "type": kind}) for kind in kinds) or "unknown"
    if kinds == "array" and "prefixItems" in schema:
        return f"[{', '.join(map(typed, schema['prefixItems']))}]"
    if kinds == "array":
        of = typed(schema["items"])
        if schema.get("minItems") == schema.get("maxItems") == 2:
            return f"[{of}, {of}]"
        return f"({of})[]" if " | " in of else f"{of}[]"
    if kinds == "object":
        if "properties" not in schema:
            return "Record<string, unknown>"
        return "{ " + "; ".join(_parts(schema)) + " }"
    if kinds not in PLAIN:
        raise ValueError(f"no type for {schema}")
    return PLAIN[kinds]


def text() -> str:
    """The file as it should be: an interface for each schema, and what each path answers and takes."""
    shown = [HEAD]
    for name, schema in schemas.SCHEMAS.items():
        every = schema.get("allOf", [schema])
        bases = [typed(one) for one in every if "$ref" in one]
        heading = f"{name} extends {', '.join(bases)}" if bases else name
        rows = [f"  {part};\n" for one in every if "$ref" not in one for part in _parts(one)]
        shown.append(f"export interface {heading} {{\n" + "".join(rows) + "}\n")
    for method in ("get", "post", "put", "patch", "delete"):
        rows = [_row(one) for one in openapi.OPERATIONS if one.method == method and not one.file]
        if rows:
            shown.append(f"export interface {method.capitalize()} {{\n" + "".join(rows) + "}\n")
    return "\n".join(shown)


def _row(operation: openapi.Operation) -> str:
    path = re.sub(r"\{\w+\}", "${string}", operation.path)
    place = f"[path: `{path}`]" if "$" in path else f'"{path}"'
    answers = "null" if operation.answers is None else typed(operation.answers)
    takes = "Blob" if operation.binary else "null" if operation.body is None else typed(operation.body)
    held = answers if operation.method == "get" else f"{{ takes: {takes}; answers: {answers} }}"
    return f"  {place}: {held};\n"


def _parts(schema: dict[str, Any]) -> list[str]:
    """The properties of an object: name and type."""
    needed = schema.get("required", [])
    return [f"{name}{'' if name in needed else '?'}: {typed(of)}" for name, of in schema["properties"].items()]


def main() -> None:
    made = text()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made)
    elif not PAGE.is_file() or PAGE.read_text() != made:
        sys.exit("page/src/api.d.ts is not what the OpenAPI document gives: make page")


if __name__ == "__main__":
    main()
