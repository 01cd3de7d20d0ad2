"""Source check of a TorchScript file before torch loads it, against code executed during loading.

Of a class torch runs `__setstate__`, and it computes the constants of its body and the values of arguments left out.
Both happen before there is a graph that could be looked at (`antiphon_model.torchscript`), so no call may stand
there. The text is read by Python's parser; what its lexer and torch's could read differently is refused, since torch
writes none of it.
"""

import ast
import io
import re
import tokenize

from antiphon.api.backends.models import ModelError

_FORBIDDEN_BYTES = re.compile(rb"[^\n -~]|\\\n|'''|\"\"\"")
"""Bytes that torch does not write: other than printable ASCII, continuation lines, multi-line strings."""
_VALUES = (
    ast.Constant,
    ast.UnaryOp,
    ast.unaryop,
    ast.Tuple,
    ast.List,
    ast.Dict,
    ast.Name,
    ast.Attribute,
    ast.Subscript,
)
_VALUES_BESIDE = (ast.expr_context, ast.keyword)
_CALLS = ("float", "annotate", "torch.device")
"""Calls written by torch in such values: infinity, the type of an empty list, a device."""


def check(text: bytes) -> None:
    """Checks one file of code without running it.

    Raises ModelError: it has what torch would run while it loads, or what torch does not write.
    """
    if _FORBIDDEN_BYTES.search(text):
        raise ModelError("its code has characters or strings that torch does not write; it is made to harm")
    try:
        tree = ast.parse(text)
        words = tokenize.tokenize(io.BytesIO(text).readline)
        comment = any(word.type == tokenize.COMMENT for word in words) if b"#" in text else False
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        raise ModelError("its code is not what torch writes; export it again") from None
    if comment:
        raise ModelError("its code has comments, which torch does not write; it is made to harm")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            if node.name == "__setstate__":
                raise ModelError(
                    "its code has '__setstate__', which torch runs while it loads; such models are not played"
                )
            defaults = (*node.args.defaults, *(value for value in node.args.kw_defaults if value))
            _constant(f"an argument of {node.name}", *defaults)
            _constant(f"a decorator of {node.name}", *node.decorator_list)
        elif isinstance(node, ast.ClassDef):
            values = [part.value for part in node.body if isinstance(part, ast.Assign | ast.AnnAssign) and part.value]
            _constant(f"a value of {node.name}", *values)


def _constant(what: str, *values: ast.expr) -> None:
    for value in values:
        for part in ast.walk(value):
            if isinstance(part, ast.Call) and ast.unparse(part.func) in _CALLS:
                continue
            if not isinstance(part, (*_VALUES, *_VALUES_BESIDE)):
                raise ModelError(
                    f"its code computes {what[:60]}, which torch does while it loads; such models are not played"
                )
