"""Writes page/src/api.d.ts, the page's TypeScript types, from the OpenAPI document; with --check it compares only."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from antiphon.web import operations
from antiphon.web.operations import Operation
from antiphon.web.routes import all_operations

OPERATIONS = all_operations()
PAGE = Path(__file__).parents[1] / "page/src/api.d.ts"
HEAD = "// The types of the HTTP API. tools/page_types.py makes them of its OpenAPI document: make page.\n"
PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


def typescript_type(schema: dict[str, Any]) -> str:
    """Converts a JSON schema to a TypeScript type; `unknown` for a schema without a type, which any value fits.

    Raises ValueError: it has an unsupported type.
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(map(typescript_type, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kinds = schema.get("type", [])
    if isinstance(kinds, list):
        return " | ".join(typescript_type({**schema, "type": kind}) for kind in kinds) or "unknown"
    if kinds == "array" and "prefixItems" in schema:
        return f"[{', '.join(map(typescript_type, schema['prefixItems']))}]"
    if kinds == "array":
        of = typescript_type(schema["items"])
        return f"({of})[]" if " | " in of else f"{of}[]"
    if kinds == "object":
        if "properties" not in schema:
            return "Record<string, unknown>"
        return "{ " + "; ".join(_parts(schema)) + " }"
    if kinds not in PLAIN:
        raise ValueError(f"no type for {schema}")
    return PLAIN[kinds]


def text() -> str:
    """Generated file: an interface per schema, with answers and bodies of each path."""
    shown = [HEAD]
    for name, schema in operations.components(OPERATIONS).items():
        shown.append(f"export interface {name} {{\n" + "".join(f"  {part};\n" for part in _parts(schema)) + "}\n")
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        rows = [_row(one) for one in OPERATIONS if one.method == method and one.answers is not bytes]
        if rows:
            shown.append(f"export interface {method.capitalize()} {{\n" + "".join(rows) + "}\n")
    return "\n".join(shown)


def _row(operation: Operation) -> str:
    path = re.sub(r"\{\w+\}", "${string}", operation.path)
    place = f"[path: `{path}`]" if "$" in path else f'"{path}"'
    answers = _named(operation.answers)
    takes = "Blob" if operation.upload else _named(operation.body)
    held = answers if operation.method == "GET" else f"{{ takes: {takes}; answers: {answers} }}"
    return f"  {place}: {held};\n"


def _named(kind: Any) -> str:
    return "null" if kind is None else typescript_type(operations.schema_of(kind))


def _parts(schema: dict[str, Any]) -> list[str]:
    """The properties of an object: name and type."""
    needed = schema.get("required", [])
    return [
        f"{name}{'' if name in needed else '?'}: {typescript_type(of)}" for name, of in schema["properties"].items()
    ]


def main() -> None:
    made = text()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made)
    elif not PAGE.is_file() or PAGE.read_text() != made:
        sys.exit("page/src/api.d.ts is not what the OpenAPI document gives: make page")


if __name__ == "__main__":
    main()
