"""Static check of a proposed script, restricted to music, before it is rehearsed or run.

A script is a program with the performer's rights, and who proposes it may have been talked into it by what it read.
So a proposal imports all the words and some arithmetic, calls nothing that opens files, and reaches into no object.
What stands in the performer's own script already may stand in the proposal.
"""

import ast

WORDS = "antiphon.live"
ALLOWED_MODULES = {
    "math": None,
    "random": None,
    "itertools": None,
    "fractions": ("Fraction",),
    "types": ("SimpleNamespace",),
    "collections": ("Counter", "deque"),
    "functools": ("partial", "reduce"),
}
"""Importable modules: None for the whole module, or the allowed names."""
REFUSED_NAMES = frozenset({
    "breakpoint", "compile", "delattr", "dir", "eval", "exec", "exit", "getattr", "globals", "help", "input",
    "locals", "memoryview", "object", "open", "osc", "quit", "setattr", "super", "type", "vars",
})  # fmt: skip
REFUSED_ATTRIBUTES = ("builtins", "dump", "format", "format_map", "mro", "os", "osc", "sys", "tofile")
FRAME_PREFIXES = ("gi_", "cr_", "ag_", "f_", "tb_", "co_", "func_")
"""Prefixes of attributes that lead to a frame or to code."""
UNREAD = "nesting so deep, and no null character"


def forbidden(text: str, before: str = "") -> str:
    """Sentence on a forbidden construct of a proposed script, with its line; "" if it may be rehearsed.

    `before`: the current script; constructs it already has are allowed. Syntax errors are left to the rehearsal.
    """
    own = {what for what, _ in _found(before)} - {UNREAD}
    for what, line in _found(text):
        if what not in own:
            return f"line {line}: a proposed script has no {what}; it plays by the words of live scripts and arithmetic"
    return ""


def _found(text: str) -> list[tuple[str, int]]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []
    except (ValueError, RecursionError, MemoryError):  # it may be read elsewhere, where there is more room
        return [(UNREAD, 1)]
    return [(what, getattr(node, "lineno", 0)) for node in ast.walk(tree) for what in (*_of(node), *_named(node))]


def _named(node: ast.AST) -> list[str]:
    """Dunder names bound or read by a node: most nodes hold them as plain text."""
    if isinstance(node, ast.Constant):
        return []
    fields = [value for _, value in ast.iter_fields(node)]
    texts = [one for value in fields for one in (value if isinstance(value, list) else [value])]
    return [f"name {one}" for one in texts if isinstance(one, str) and one.startswith("__")]


def _of(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names):
            return [f"import {one.name}" for one in names if ALLOWED_MODULES.get(one.name, ()) is not None]
        case ast.ImportFrom(module, names, level):
            return [what for one in names for what in _imported("" if level else module or "", one.name)]
        case ast.Name(name) if name in REFUSED_NAMES:
            return [f"name {name}"]
        case ast.Attribute(_, name) if name.startswith(("_", *FRAME_PREFIXES)) or name in REFUSED_ATTRIBUTES:
            return [f"attribute {name}"]
        case ast.MatchClass(patterns=parts, kwd_patterns=named) if parts or named:  # `case int(__class__=x)` reads it
            return ["class pattern with parts"]
        case ast.ClassDef():
            return ["class"]
    return []


def _imported(module: str, name: str) -> list[str]:
    if module == WORDS:  # a package gives its modules by name as well as its words
        return [] if name == "*" else [f"import of {name} from {WORDS} but by *"]
    allowed = ALLOWED_MODULES.get(module, ())
    if name.startswith("_") or name in REFUSED_NAMES or (allowed is not None and name not in allowed):
        return [f"import {module}.{name}"]
    return []
