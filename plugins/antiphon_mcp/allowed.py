"""What a proposed script may do: music. It is read before it is run, rehearsed or not.

A script is a program with the performer's rights, and who proposes it may have been talked into it by what it read. So
a proposal imports the words and some arithmetic, calls nothing that opens files, and reaches into no object. What
stands in the performer's own script already may stand in the proposal.
"""

from __future__ import annotations

import ast

WORDS = "antiphon.live"
ARITHMETIC = {
    "math": None,
    "random": None,
    "itertools": None,
    "fractions": ("Fraction",),
    "types": ("SimpleNamespace",),
    "collections": ("Counter", "deque"),
    "functools": ("partial", "reduce"),
}
"""Modules that may be imported: whole (None), or these names of them."""
REFUSED_NAMES = frozenset({
    "breakpoint", "compile", "delattr", "dir", "eval", "exec", "exit", "getattr", "globals", "help", "input",
    "locals", "memoryview", "object", "open", "osc", "quit", "setattr", "super", "type", "vars",
})  # fmt: skip
REFUSED_ATTRIBUTES = ("format", "format_map", "mro")
FRAMES = ("gi_", "cr_", "ag_", "f_", "tb_", "co_", "func_")
"""Beginnings of attributes that lead to a frame or to code."""


def forbidden(text: str, before: str = "") -> str:
    """A sentence on what a proposed script may not have, with its line; "" for one that may be rehearsed.

    `before`: the script that plays; what that has is allowed. A syntax error is left to the rehearsal.
    """
    own = {what for what, _ in _found(before)}
    for what, line in _found(text):
        if what not in own:
            return f"line {line}: a proposed script has no {what}; it plays by the words of live scripts and arithmetic"
    return ""


def _found(text: str) -> list[tuple[str, int]]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [(what, getattr(node, "lineno", 0)) for node in ast.walk(tree) for what in _of(node)]


def _attributes(name: str) -> list[str]:
    refused = name.startswith(("_", *FRAMES)) or name in REFUSED_ATTRIBUTES
    return [f"attribute {name}"] if refused else []


def _of(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names):
            return [f"import {one.name}" for one in names if ARITHMETIC.get(one.name, ()) is not None]
        case ast.ImportFrom(module, names, level):
            if module == WORDS and not level:
                return [f"name {one.name}" for one in names if one.name.startswith("_")]
            allowed = ARITHMETIC.get(module or "", ())
            if allowed is None and not level:
                return [f"name {one.name}" for one in names if one.name.startswith("_")]
            return [f"import {module}.{one.name}" for one in names if level or one.name not in (allowed or ())]
        case ast.Name(name) if name in REFUSED_NAMES or name.startswith("__"):
            return [f"name {name}"]
        case ast.Attribute(_, name):
            return _attributes(name)
        case ast.MatchClass(kwd_attrs=names):  # `case int(__class__=x)` reads an attribute too
            return [what for name in names for what in _attributes(name)]
        case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name) if name.startswith("__"):
            return [f"name {name}"]
    return []
