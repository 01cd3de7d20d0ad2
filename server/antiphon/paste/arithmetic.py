"""Value of an expression of numbers, + - * / and brackets."""

from __future__ import annotations

import ast
import operator

from antiphon.paste.script import UnknownPartError

_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def value(text: str) -> float:
    """The value.

    Raises:
        UnknownPartError: It is another expression, or has none.
    """
    try:
        return _of(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError, KeyError, RecursionError):
        raise UnknownPartError("the tempo is no number") from None


def _of(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_of(inner)
        case ast.BinOp(left=left, op=op, right=right):
            return float(_OPERATORS[type(op)](_of(left), _of(right)))
    raise UnknownPartError("the tempo is no number")
