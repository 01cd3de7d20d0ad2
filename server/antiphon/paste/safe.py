"""Names that a translated program may use: whatever was pasted, its script calls patterns, arithmetic and itself."""

from __future__ import annotations

import ast
import builtins

from antiphon.kernel.errors import UsageError
from antiphon.paste.script import name_of
from antiphon.paste.words import FUNCTIONS

PLAIN = frozenset(
    {
        "abs",
        "bool",
        "dict",
        "enumerate",
        "float",
        "int",
        "isinstance",
        "len",
        "list",
        "map",
        "max",
        "min",
        "round",
        "str",
    }
)
"""Functions of Python that translated programs are written with."""
RESERVED = frozenset(dir(builtins)) | {"math", "everything", "play_all", "pattern_"}
"""Names that a program's own are kept apart from."""
_MODULES = frozenset({"math", "antiphon.live"})


def check(text: str) -> None:
    """Refuses a script that would do anything but play.

    Raises:
        UsageError: It is no Python, reads a name that is neither its own nor one of patterns, or an attribute of
            Python's own.
    """
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError("the translation is no script that can be read; write it by hand") from None
    made = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    made |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    made |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    known = PLAIN | FUNCTIONS | {"math"} | (made - set(dir(builtins)))
    for node in nodes:
        match node:
            case ast.Name(id=name) if name not in known or name.startswith("__"):
                raise UsageError(f"the translation would use {name}, which no pattern needs; write it by hand")
            case ast.Attribute(attr=name) if name.startswith("_"):
                raise UsageError(f"the translation would use .{name}, which no pattern needs; write it by hand")
            case ast.Import(names=names) if any(one.name not in _MODULES for one in names):
                raise UsageError("the translation would import a module; write it by hand")
            case ast.ImportFrom(module=module) if module not in _MODULES:
                raise UsageError("the translation would import a module; write it by hand")


def own_name(name: str) -> str:
    """A name of the program, apart from the words of live scripts and of Python."""
    plain = name_of(name).lstrip("_") or "own"
    return f"{plain}_" if name in FUNCTIONS or plain in RESERVED or plain[:6] == "change" else plain
