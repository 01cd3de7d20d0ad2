"""Writes the reference of `antiphon.api`: every name with its signature and docstring. `make docs` runs it.

    python tools/api_reference.py authors > build/api.md
    python tools/api_reference.py backends > build/api-backends.md

The sources are parsed, not imported, so that the page is the same where torch is not installed.
"""

import ast
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SERVER = Path(__file__).resolve().parents[1] / "server"
API = SERVER / "antiphon" / "api"
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Example")
HEAD = """# antiphon.api for {part}

Generated from the docstrings of `server/antiphon/api/` by `make docs`. [plugins.md](../docs/plugins.md) is the
tutorial, [hooks.md](../docs/hooks.md) has the hooks and worked examples.
"""
Function = ast.FunctionDef | ast.AsyncFunctionDef
AUTHORS = ("antiphon.api", "antiphon.api.jobs", "antiphon.api.kernels")
"""The modules for authors of processors; the others are for those of backends, models, transports and pages."""


@dataclass(frozen=True, slots=True)
class Definition:
    """Definition of a name of the API. doc: its docstring, or the string below an assignment."""

    name: str
    module: str
    node: ast.ClassDef | Function | ast.Assign | ast.AnnAssign
    doc: str


def modules() -> list[str]:
    """Names of the API's modules, `antiphon.api` first."""
    places = {"antiphon.api": API, "antiphon.api.backends": API / "backends"}
    found = [f"{package}.{path.stem}" for package, place in places.items() for path in sorted(place.glob("[a-z]*.py"))]
    return ["antiphon.api", *found]


@cache
def parse_module(module: str) -> ast.Module:
    """The syntax tree of a module or package below `server/`."""
    path = SERVER.joinpath(*module.split("."))
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text("utf-8"))


def exported_names(module: str) -> list[str]:
    """Names exported by a module of the API: its imports from Antiphon, those for type checkers included."""
    return sorted({name for name, source, _ in imports(module) if source.startswith("antiphon.")})


def imports(module: str) -> Iterator[tuple[str, str, str]]:
    """(name, source module, name there) of a module's imports, those for type checkers included."""
    tree = parse_module(module)
    for node in [*tree.body, *(inner for block in tree.body if isinstance(block, ast.If) for inner in block.body)]:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((alias.asname or alias.name, node.module, alias.name) for alias in node.names)


def definition(module: str, name: str) -> Definition:
    """Definition of a module's name, resolved through other modules' imports."""
    body = parse_module(module).body
    found: Definition | None = None
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | Function) and node.name == name:
            found = Definition(name, module, node, docstring_of(node))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(target) == name:
                found = Definition(name, module, node, _string(after))
    if found is not None:
        return found
    for here, source, there in imports(module):
        if here == name:
            return definition(source, there)
    raise SystemExit(f"{module}.{name} is defined nowhere below server/")


def docstring_of(node: ast.ClassDef | Function) -> str:
    """The docstring; for a class also with the sections of its `__init__`."""
    doc = ast.get_docstring(node) or ""
    made = [item for item in node.body if isinstance(item, Function) and item.name == "__init__"]
    if not isinstance(node, ast.ClassDef) or not made:
        return doc
    section = re.search(rf"^(?:{'|'.join(SECTIONS)}):$.*", ast.get_docstring(made[0]) or "", re.MULTILINE | re.DOTALL)
    return f"{doc}\n\n{section[0]}" if section else doc


def _string(node: ast.stmt | None) -> str:
    """Text of a string statement."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return textwrap.dedent(node.value.value).strip()
    return ""


def methods(node: ast.ClassDef) -> list[Function]:
    """Public methods and properties of a class, in source order."""
    public = [item for item in node.body if isinstance(item, Function)]
    return [item for item in public if item.name == "__call__" or not item.name.startswith("_")]


def _decorated(node: ast.ClassDef | Function, name: str) -> bool:
    return any(ast.unparse(item).partition("(")[0] == name for item in node.decorator_list)


def _arguments(node: Function) -> str:
    text = ast.unparse(node.args)
    return re.sub(r"^(self|cls)(, /)?(, )?", "", text)


def signature(name: str, node: Function) -> str:
    """Call signature of a function, with types."""
    gives = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"{name}({_arguments(node)}){gives}"


def construction(name: str, node: ast.ClassDef) -> str:
    """Call of a class's constructor, by the fields of a dataclass or by `__init__`; bases if abstract."""
    for item in node.body:
        if isinstance(item, Function) and item.name == "__init__":
            return f"class {name}({_arguments(item)})"
    if _decorated(node, "dataclass"):
        fields = ", ".join(_field(item) for item in node.body if isinstance(item, ast.AnnAssign))
        return f"class {name}({fields})"
    return f"class {name}({', '.join(ast.unparse(base) for base in node.bases)})".removesuffix("()")


def _field(node: ast.AnnAssign) -> str:
    """Field of a dataclass; a factory default as its call."""
    if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "field":
        factory = node.value.keywords[0].value
        made = f"{factory.id}()" if isinstance(factory, ast.Name) else "…"
        return f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)} = {made}"
    return ast.unparse(node)


def markdown(doc: str) -> str:
    """Converts a Google-style docstring to Markdown: sections to lists, indented code to a block."""
    parts: list[str] = []
    for block in re.split(rf"\n\n?(?=(?:{'|'.join(SECTIONS)}):\n)", doc):
        head, _, rest = block.partition("\n")
        if head.rstrip(":") in SECTIONS and head.endswith(":"):
            parts.append(_section(head.rstrip(":"), textwrap.dedent(rest)))
        else:
            parts.append(_code(block))
    return "\n\n".join(parts)


def _section(title: str, body: str) -> str:
    if title == "Example":
        return f"```python\n{body.strip()}\n```"
    if title in ("Returns", "Yields"):
        return f"{title}: {' '.join(body.split())}"
    body = body.strip()
    items = [" ".join(item.split()) for item in re.split(r"\n(?=\S)", body)]
    entries = [re.sub(r"^\**(\w[\w, .\[\]]*?)(?: \([^)]*\))?:", r"`\1`:", item) for item in items]
    return f"{title}:\n\n" + "\n".join(f"- {entry}" for entry in entries)


def _code(text: str) -> str:
    """Converts paragraphs indented by four to a block of code."""
    made = []
    for paragraph in re.split(r"\n\n(?=\S)", text):
        lines = paragraph.split("\n")
        at = next((n for n, line in enumerate(lines) if line.startswith("    ")), None)
        if at is None:
            made.append(paragraph)
        else:
            code = textwrap.dedent("\n".join(lines[at:])).strip()
            made.append("\n".join(lines[:at]).strip() + f"\n\n```python\n{code}\n```")
    return "\n\n".join(part.strip() for part in made)


def entry(name: str, found: Definition) -> str:
    """Section of the page for one name."""
    node = found.node
    if isinstance(node, Function):
        return _entry(f"### {name}", signature(name, node), found.doc)
    if isinstance(node, ast.ClassDef):
        text = [_entry(f"### {name}", construction(name, node), found.doc)]
        for item in methods(node):
            doc = ast.get_docstring(item) or ""
            gives = f": {ast.unparse(item.returns)}" if item.returns is not None else ""
            code = f"{item.name}{gives}" if _decorated(item, "property") else signature(item.name, item)
            text.append(f"#### `{name}.{code}`\n\n{markdown(doc)}")
        return "\n\n".join(text)
    value = ast.unparse(node.value) if node.value is not None else ""
    shown = f"`{name} = {value}`\n\n" if len(value) < 200 else ""
    return f"### {name}\n\n{shown}{found.doc}"


def _entry(title: str, code: str, doc: str) -> str:
    return f"{title}\n\n```python\n{_wrapped(code)}\n```\n\n{markdown(doc)}".rstrip()


def _wrapped(code: str) -> str:
    """Signature with one argument per line, if too long for one line."""
    head, opened, rest = code.partition("(")
    if len(code) <= 100 or not opened:
        return code
    inside, _, end = rest.rpartition(")")
    parts, depth, start = [], 0, 0
    for n, character in enumerate(inside):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and not depth:
            parts.append(inside[start:n].strip())
            start = n + 1
    return f"{head}(\n" + "".join(f"    {part},\n" for part in [*parts, inside[start:].strip()]) + f"){end}"


def parts() -> dict[str, list[str]]:
    """Modules on the page for authors and on that for backends."""
    return {"authors": list(AUTHORS), "backends": [module for module in modules() if module not in AUTHORS]}


def page(part: str) -> str:
    """The text of a whole page, one of `parts`."""
    text = [HEAD.format(part=part)]
    for module in parts()[part]:
        names = sorted(exported_names(module), key=str.lower)
        listed = ", ".join(f"`{name}`" for name in names)
        text.append(f"## {module}\n\n{markdown(ast.get_docstring(parse_module(module)) or '')}\n\n{listed}\n")
        text += [entry(name, definition(module, name)) + "\n" for name in names]
    return "\n".join(text)


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1]))
