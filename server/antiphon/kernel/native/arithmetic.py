"""Numbers in LLVM IR: their types, conversion, arithmetic and comparison with Python's meaning."""

import ast
from collections.abc import Callable

from llvmlite import ir

BOOL, U8, I64 = ir.IntType(1), ir.IntType(8), ir.IntType(64)
F32, F64 = ir.FloatType(), ir.DoubleType()
TYPES: dict[str, ir.Type] = {
    "i64": I64,
    "f32": F32,
    "f64": F64,
    "i64p": ir.PointerType(I64),
    "f32p": ir.PointerType(F32),
    "f64p": ir.PointerType(F64),
    "u8p": ir.PointerType(U8),
    "None": ir.VoidType(),
}


def _power_of_two(value: ir.Value) -> bool:
    return isinstance(value, ir.Constant) and value.constant > 0 and value.constant & (value.constant - 1) == 0


class Arithmetic:
    """Emits the LLVM instructions of operators at a builder's position."""

    def __init__(self, builder: ir.IRBuilder, fail: Callable[[ast.AST, str], Exception]) -> None:
        """`fail`: makes the syntax error for a node."""
        self.b, self.fail = builder, fail

    def convert(self, value: ir.Value, to: ir.Type) -> ir.Value:
        """Converts a value to a type, as an assignment to a local of that type does."""
        kind = value.type
        if kind == to:
            return value
        if to == BOOL:
            zero = ir.Constant(kind, 0)
            return self.b.icmp_signed("!=", value, zero) if kind == I64 else self.b.fcmp_unordered("!=", value, zero)
        if kind == BOOL:
            value, kind = self.b.zext(value, I64), I64
            if to == I64:
                return value
        if kind == U8:
            return self.convert(self.b.zext(value, I64), to)
        if to == U8:
            return self.b.trunc(self.convert(value, I64), U8)
        if kind == I64:
            return self.b.sitofp(value, to)
        if to == I64:
            return self.b.fptosi(value, to)
        return self.b.fpext(value, to) if to == F64 else self.b.fptrunc(value, to)

    def same(self, a: ir.Value, b: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Converts two operands to the wider of their types; a literal takes the other's: f32 stays f32."""
        top = self.wider(a, b)
        return self.literal(a, top), self.literal(b, top)

    def wider(self, a: ir.Value, b: ir.Value) -> ir.Type:
        """Common type to which `same` converts two operands."""
        if isinstance(a, ir.Constant) and b.type in (F32, F64) and a.type != BOOL:
            return b.type
        if isinstance(b, ir.Constant) and a.type in (F32, F64) and b.type != BOOL:
            return a.type
        order = [BOOL, U8, I64, F32, F64]
        return order[max(order.index(a.type), order.index(b.type), 2)]

    def literal(self, value: ir.Value, to: ir.Type) -> ir.Value:
        """Converts a value; a literal stays one."""
        if isinstance(value, ir.Constant) and to in (F32, F64) and value.type != BOOL:
            return ir.Constant(to, float(value.constant))
        return self.convert(value, to)

    def arithmetic(self, op: ast.operator, a: ir.Value, b: ir.Value, node: ast.AST) -> ir.Value:
        """Emits a binary operator. Returns the result, of the wider type; `/` of whole numbers gives f64."""
        if isinstance(op, ast.Div) and a.type == I64 and b.type == I64:
            a, b = self.convert(a, F64), self.convert(b, F64)
        a, b = self.same(a, b)
        whole = a.type == I64
        match op:
            case ast.Add():
                return self.b.add(a, b) if whole else self.b.fadd(a, b)
            case ast.Sub():
                return self.b.sub(a, b) if whole else self.b.fsub(a, b)
            case ast.Mult():
                return self.b.mul(a, b) if whole else self.b.fmul(a, b)
            case ast.Div():
                return self.b.fdiv(a, b)
            case ast.FloorDiv() if whole:
                return self._floor_divide(a, b)
            case ast.Mod() if whole:
                if _power_of_two(b):
                    return self.b.and_(a, ir.Constant(I64, b.constant - 1))
                rest = self.b.srem(a, b)
                return self.b.add(rest, self.b.select(self._rounded_up(rest, b), b, ir.Constant(I64, 0)))
            case ast.BitAnd() if whole:
                return self.b.and_(a, b)
            case ast.BitOr() if whole:
                return self.b.or_(a, b)
            case ast.LShift() if whole:
                return self.b.shl(a, b)
            case ast.RShift() if whole:
                return self.b.ashr(a, b)
        raise self.fail(node, f"{type(op).__name__} of {a.type} is outside the subset")

    # Python rounds a quotient down and a remainder has the divisor's sign; LLVM's sdiv and srem round towards zero.
    # By a power of two, a shift and a mask are already Python's.
    def _floor_divide(self, a: ir.Value, b: ir.Value) -> ir.Value:
        if _power_of_two(b):
            return self.b.ashr(a, ir.Constant(I64, b.constant.bit_length() - 1))
        return self.b.sub(self.b.sdiv(a, b), self.b.zext(self._rounded_up(self.b.srem(a, b), b), I64))

    def _rounded_up(self, rest: ir.Value, b: ir.Value) -> ir.Value:
        zero = ir.Constant(I64, 0)
        other_sign = self.b.icmp_signed("<", self.b.xor(rest, b), zero)
        return self.b.and_(self.b.icmp_signed("!=", rest, zero), other_sign)

    def compare(self, op: ast.cmpop, a: ir.Value, b: ir.Value, node: ast.AST) -> ir.Value:
        """Emits a comparison; with NaN it is false, except `!=`."""
        signs: dict[type[ast.cmpop], str] = {
            ast.Lt: "<",
            ast.LtE: "<=",
            ast.Gt: ">",
            ast.GtE: ">=",
            ast.Eq: "==",
            ast.NotEq: "!=",
        }
        if type(op) not in signs:
            raise self.fail(node, f"{type(op).__name__} is outside the subset")
        a, b = self.same(a, b)
        sign = signs[type(op)]
        if a.type == I64:
            return self.b.icmp_signed(sign, a, b)
        return self.b.fcmp_unordered(sign, a, b) if sign == "!=" else self.b.fcmp_ordered(sign, a, b)
