"""Queries on nodes of a JavaScript syntax tree, and short texts of them."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from antiphon.paste import words
from antiphon.paste.script import UnknownPartError, quoted
from antiphon.paste.words import UNSUPPORTED_WORDS

ARITHMETIC = frozenset({"add", "sub", "mul", "div", "set", "mod", "pow", "keep", "eq", "ne", "lt", "gt", "lte", "gte"})
JOINS = frozenset({"in", "out", "mix", "squeeze", "squeezeout", "reset", "restart"})
"""Ways to join the times of two patterns, as in `.add.out(…)`."""

MATH = {"PI": "math.pi", "E": "math.e", **{name: name for name in ("round", "abs", "min", "max")}} | {
    name: f"math.{name}"
    for name in ("floor", "ceil", "sin", "cos", "tan", "sqrt", "exp", "log", "log2", "pow", "trunc")
}
"""Python's names of those of `Math`."""


def literal(node: Any) -> str:
    """A value that is no text. Raises UnknownPartError: it is an expression of texts."""
    if isinstance(node.value, bool) or (node.value is None and node.raw == "null"):
        return str(node.value)
    if isinstance(node.value, int | float):
        whole = float(node.value).is_integer() and abs(node.value) < 1e15
        return str(int(node.value)) if whole else repr(float(node.value))
    raise UnknownPartError("a live script has no such value")


def ducked_orbits(text: str) -> set[str]:
    """Orbits that a program pushes down."""
    return {orbit for found in re.findall(r"\bduck(?:orbit)?\(([^)]*)", text) for orbit in re.findall(r"\d+", found)}


def is_arithmetic(node: Any) -> bool:
    """True for the `p.add` of `p.add.out(…)`."""
    return bool(node.type == "MemberExpression" and not node.computed and node.property.name in ARITHMETIC)


def euclid(nodes: Sequence[Any]) -> str:
    """Euclidean rhythm as a text; "" for a computed one."""
    plain = [one.value for one in nodes[:2] if one.type == "Literal"]
    return quoted(words.plain(f"t({plain[0]},{plain[1]})")) if len(plain) == 2 else ""


def is_undefined(node: Any) -> bool:
    return bool(node.type == "Identifier" and node.name == "undefined")


def is_text(node: Any) -> bool:
    return node.type == "TemplateLiteral" or (node.type == "Literal" and isinstance(node.value, str))


def polymeter(nodes: Sequence[Any]) -> str:
    """Texts, or lists of steps, as one mini-notation text; "" for others."""
    lists = [one.elements if one.type == "ArrayExpression" else [one] for one in nodes]
    if not lists or any(step.type != "Literal" for steps in lists for step in steps):
        return ""
    texts = [" ".join(str(step.value) for step in steps) for steps in lists]
    counts = [len(text.split()) for text in texts]
    steps = counts[0] if nodes[0].type == "ArrayExpression" else math.lcm(*counts)
    return f"{{{', '.join(texts)}}}%{steps}" if re.fullmatch(r"[\w#. -]+", "".join(texts)) else ""


def bound_names(params: Sequence[Any]) -> Iterator[str]:
    for one in params:
        named = one.left if one.type == "AssignmentPattern" else one
        if named.type == "Identifier":
            yield named.name


def declared(node: Any) -> set[str]:
    """Names that a statement declares."""
    each = [node] if node.type == "FunctionDeclaration" else node.declarations or ()
    return {one.id.name for one in each if one.id.type == "Identifier"}


def is_plain(node: Any) -> bool:
    """True for a number, a text, or a list of them."""
    if node is None or node.type != "ArrayExpression":
        return node is not None and node.type == "Literal"
    return all(is_plain(one) for one in node.elements)


def is_call_of(node: Any, name: str) -> bool:
    return bool(node.type == "CallExpression" and node.callee.type == "Identifier" and node.callee.name == name)


def key_of(name: str) -> str:
    """Name of a value; empty here for an unnamed one."""
    return "" if name == "value" else name


def as_tuple(shown: str) -> str:
    return f"({shown[1:-1]})" if shown.startswith("[") and shown.endswith("]") else shown


def missing_reason(name: str) -> str:
    """Reason why a word has no counterpart, as the end of a sentence; "" if unknown."""
    return f"; {UNSUPPORTED_WORDS[name]}" if name in UNSUPPORTED_WORDS else ""
