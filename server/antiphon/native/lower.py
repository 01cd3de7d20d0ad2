"""Compiler of kernels: Python to LLVM IR to machine code.

Python subset of kernels: assignment to locals (their type is that of their first value), arithmetic (`//` and `%`
of whole numbers only, rounded down as in Python; by zero the result is undefined), comparison, `and or not`,
`x if c else y`, `if`, `while`, `for … in range(…)`, `break`, `continue`, `return`, indexing of pointers, of sound
by channel and frame (`x[c, n]`, `x.channels`, `x.frames`), fields of records (`s.field`), numbers of the
module and members of its IntEnums (`CallbackWord.CALLS`), `min max abs`, `f32() f64() i64()`, `math.*` of `_MATH`,
other kernels, and what `intrinsics` holds.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from antiphon.native.identity import members, packed_symbol, symbol
from antiphon.native.kernel import Kernel

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


def _is_power_of_two(value: ir.Value) -> bool:
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

    def convert_to_wider(self, a: ir.Value, b: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Converts two operands to the wider of their types; a literal takes the other's: f32 stays f32."""
        top = self.common_type(a, b)
        return self.literal(a, top), self.literal(b, top)

    def common_type(self, a: ir.Value, b: ir.Value) -> ir.Type:
        """Common type to which `same` converts two operands."""
        if isinstance(a, ir.Constant) and b.type in (F32, F64) and a.type != BOOL:
            return b.type
        if isinstance(b, ir.Constant) and a.type in (F32, F64) and b.type != BOOL:
            return a.type
        order = [BOOL, U8, I64, F32, F64]
        return order[max(order.index(a.type), order.index(b.type), 2)]

    def literal(self, value: ir.Value, to: ir.Type) -> ir.Value:
        """Converts a value; a literal remains one."""
        if isinstance(value, ir.Constant) and to in (F32, F64) and value.type != BOOL:
            return ir.Constant(to, float(value.constant))
        return self.convert(value, to)

    def arithmetic(self, op: ast.operator, a: ir.Value, b: ir.Value, node: ast.AST) -> ir.Value:
        """Emits a binary operator. Returns the result, of the wider type; `/` of whole numbers gives f64."""
        if isinstance(op, ast.Div) and a.type == I64 and b.type == I64:
            a, b = self.convert(a, F64), self.convert(b, F64)
        a, b = self.convert_to_wider(a, b)
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
                if _is_power_of_two(b):
                    return self.b.and_(a, ir.Constant(I64, b.constant - 1))
                rest = self.b.srem(a, b)
                return self.b.add(rest, self.b.select(self._needs_floor_correction(rest, b), b, ir.Constant(I64, 0)))
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
        if _is_power_of_two(b):
            return self.b.ashr(a, ir.Constant(I64, b.constant.bit_length() - 1))
        return self.b.sub(self.b.sdiv(a, b), self.b.zext(self._needs_floor_correction(self.b.srem(a, b), b), I64))

    def _needs_floor_correction(self, rest: ir.Value, b: ir.Value) -> ir.Value:
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
        a, b = self.convert_to_wider(a, b)
        sign = signs[type(op)]
        if a.type == I64:
            return self.b.icmp_signed(sign, a, b)
        return self.b.fcmp_unordered(sign, a, b) if sign == "!=" else self.b.fcmp_ordered(sign, a, b)


_MATH = {"sqrt", "exp", "sin", "cos", "log", "floor", "pow", "log2", "exp2"}
_CHEAP = {"sqrt", "floor", "min", "max", "abs", "f32", "f64", "i64", "offset", "channel"}
"""Calls that cost no more than a branch."""


class KernelSyntaxError(TypeError):
    """A kernel uses something outside the subset of Python."""

    def __init__(self, item: Kernel[Any, Any], what: str) -> None:
        super().__init__(f"{item.name}, {what}")
        self.kernel = item


def build(
    wanted: Iterable[Kernel[Any, Any]], machine: Any, named: Callable[[Kernel[Any, Any], int], str] = symbol
) -> bytes:
    """Compiles kernels, with the kernels they call inlined, to an object file."""
    # Plan: each wanted kernel gets a function; lowering it meets calls of others, which join `waiting` as private
    # functions that LLVM inlines. So a file holds what it needs, and a kernel is lowered once, however
    # often it is called.
    module = ir.Module("antiphon")
    unit = _Unit(module, named)
    for item in wanted:
        unit.function(item)
    while unit.waiting:
        item = unit.waiting.pop()
        _Lowering(unit, item, unit.functions[item]).lower()
        unit.packed(item)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization = True
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(parsed, builder)
    return bytes(machine.emit_object(parsed))


class _Unit:
    def __init__(self, module: ir.Module, named: Callable[[Kernel[Any, Any], int], str]) -> None:
        self.module, self.named = module, named
        self.functions: dict[Kernel[Any, Any], ir.Function] = {}
        self.waiting: list[Kernel[Any, Any]] = []

    def function(self, item: Kernel[Any, Any]) -> ir.Function:
        if item not in self.functions:
            kind = ir.FunctionType(TYPES[item.returns], [TYPES[t] for _, t in item.flat])
            self.functions[item] = ir.Function(self.module, kind, self.named(item, len(self.functions)))
            self.waiting.append(item)
        return self.functions[item]

    def packed(self, item: Kernel[Any, Any]) -> None:
        """Emits the wrapper that reads a kernel's arguments from 64-bit words: a call with one argument is cheaper."""
        function = self.functions[item]
        into = ir.Function(
            self.module, ir.FunctionType(TYPES[item.returns], [I64.as_pointer()]), packed_symbol(function.name)
        )
        b = ir.IRBuilder(into.append_basic_block())
        given = []
        for place, (_, kind) in enumerate(item.flat):
            word = b.load(b.gep(into.args[0], [ir.Constant(I64, place)]))
            to = TYPES[kind]
            if isinstance(to, ir.PointerType):
                given.append(b.inttoptr(word, to))
            elif to == I64:
                given.append(word)
            else:
                number = b.bitcast(word, F64)
                given.append(number if to == F64 else b.fptrunc(number, to))
        # inlined, every kernel would be compiled twice
        result = b.call(function, given, attrs=("noinline",))
        b.ret_void() if item.returns == "None" else b.ret(result)


class _Lowering:
    def __init__(self, unit: _Unit, item: Kernel[Any, Any], into: ir.Function):
        self.unit, self.module, self.item, self.function = unit, unit.module, item, into
        tree = ast.parse(textwrap.dedent(inspect.getsource(item.function))).body[0]
        assert isinstance(tree, ast.FunctionDef)
        self.tree = tree
        seen = inspect.getclosurevars(item.function)
        self.constants = {**seen.globals, **seen.nonlocals}
        self.entry = into.append_basic_block("entry")
        self.b = ir.IRBuilder(into.append_basic_block("body"))
        self.numbers = Arithmetic(self.b, self.fail)
        self.slots: dict[str, ir.AllocaInstr] = {}
        self.loops: list[tuple[ir.Block, ir.Block]] = []

    def lower(self) -> None:
        body = self.b.block
        for (name, _), arg in zip(self.item.flat, self.function.args, strict=True):
            self.store(name, arg)
        self.statements(self.tree.body)
        if not self.b.block.is_terminated:
            self.b.ret_void() if self.item.returns == "None" else self.b.unreachable()
        ir.IRBuilder(self.entry).branch(body)

    def fail(self, node: ast.AST, what: str) -> KernelSyntaxError:
        return KernelSyntaxError(self.item, f"line {getattr(node, 'lineno', '?')}: {what}")

    # ---- locals are allocated in the entry block; LLVM turns them into registers
    def store(self, name: str, value: ir.Value) -> None:
        if name not in self.slots:
            builder = ir.IRBuilder(self.entry)
            self.slots[name] = builder.alloca(value.type, name=name)
        self.b.store(self.numbers.convert(value, self.slots[name].allocated_type), self.slots[name])

    def statements(self, body: list[ast.stmt]) -> None:
        for node in body:
            if self.b.block.is_terminated:
                return
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                made = [self.value(item) for item in values]
                for name, value in zip(names, made, strict=True):
                    self.assign(name, value)
            case ast.Assign(targets=[target], value=value):
                self.assign(target, self.value(value))
            case ast.AugAssign(target=target, op=op, value=value):
                left = ast.copy_location(ast.parse(ast.unparse(target), mode="eval").body, node)
                self.assign(target, self.numbers.arithmetic(op, self.value(left), self.value(value), node))
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case ast.Expr(value=value):
                self.value(value)
            case ast.Return(value=None):
                self.b.ret_void()
            case ast.Return(value=value) if value is not None:
                self.b.ret(self.numbers.convert(self.value(value), self.function.function_type.return_type))
            case ast.If(test=test, body=body, orelse=orelse):
                self.branch(test, body, orelse)
            case ast.While(test=test, body=body):
                self.loop(test, body, [])
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=args), body=body):
                self.counted(name, [self.numbers.convert(self.value(a), I64) for a in args], body)
            case ast.Break():
                self.b.branch(self.loops[-1][1])
            case ast.Continue():
                self.b.branch(self.loops[-1][0])
            case _:
                raise self.fail(node, f"{type(node).__name__} is outside the subset")

    def assign(self, target: ast.expr, value: ir.Value) -> None:
        match target:
            case ast.Name(id=name) if not self.sound(target):
                self.store(name, value)
            case ast.Subscript(value=base, slice=index):
                place = self.place(base, index)
                self.b.store(self.numbers.convert(value, place.type.pointee), place)
            case _:
                raise self.fail(target, "only names and pointer elements can be assigned")

    def sound(self, node: ast.expr) -> str:
        """The name of a sound argument; "" for any other expression."""
        return name if self.item.types.get(name := _dotted_name(node)) == "Audio" else ""

    def place(self, base: ast.expr, index: ast.expr) -> ir.Value:
        if name := self.sound(base):
            if not isinstance(index, ast.Tuple) or len(index.elts) != 2:
                raise self.fail(base, f"{name} is sound: {name}[channel, frame]")
            channel, frame = (self.numbers.convert(self.value(part), I64) for part in index.elts)
            row = self.b.mul(channel, self.b.load(self.slots[f"{name}.stride"]))
            return self.b.gep(self.b.load(self.slots[name]), [self.b.add(row, frame)])
        return self.b.gep(self.value(base), [self.numbers.convert(self.value(index), I64)])

    def branch(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        then, other, after = (self.function.append_basic_block(n) for n in ("then", "else", "after"))
        self.b.cbranch(self.numbers.convert(self.value(test), BOOL), then, other)
        for block, part in ((then, body), (other, orelse)):
            self.b.position_at_end(block)
            self.statements(part)
            if not self.b.block.is_terminated:
                self.b.branch(after)
        self.b.position_at_end(after)

    def loop(self, test: ast.expr, body: list[ast.stmt], step: list[ast.stmt]) -> None:
        head, inside, bump, after = (self.function.append_basic_block(n) for n in ("head", "inside", "bump", "after"))
        self.b.branch(head)
        self.b.position_at_end(head)
        self.b.cbranch(self.numbers.convert(self.value(test), BOOL), inside, after)
        self.b.position_at_end(inside)
        self.loops.append((bump, after))
        self.statements(body)
        self.loops.pop()
        if not self.b.block.is_terminated:
            self.b.branch(bump)
        self.b.position_at_end(bump)
        self.statements(step)
        self.b.branch(head)
        self.b.position_at_end(after)

    def counted(self, name: str, bounds: list[ir.Value], body: list[ast.stmt]) -> None:
        start = ir.Constant(I64, 0) if len(bounds) == 1 else bounds[0]
        self.store(name, start)
        self.store(f"{name}.end", bounds[0] if len(bounds) == 1 else bounds[1])
        self.store(f"{name}.step", bounds[2] if len(bounds) == 3 else ir.Constant(I64, 1))
        test = ast.Compare(ast.Name(name), [ast.Lt()], [ast.Name(f"{name}.end")])
        step = ast.AugAssign(ast.Name(name), ast.Add(), ast.Name(f"{name}.step"))
        self.loop(test, body, [step])

    def value(self, node: ast.expr) -> ir.Value:
        match node:
            case ast.Constant(value=bool(v)):
                return ir.Constant(BOOL, int(v))
            case ast.Constant(value=int(v)):
                return ir.Constant(I64, v)
            case ast.Constant(value=float(v)):
                return ir.Constant(F64, v)
            case ast.Name() | ast.Attribute() if name := self.sound(node):
                raise self.fail(node, f"{name} is sound: {name}[channel, frame], {name}.channels, {name}.frames")
            case ast.Attribute() if _dotted_name(node) in self.item.types:
                return self.b.load(self.slots[_dotted_name(node)])
            case ast.Attribute(value=base, attr=part) if self.sound(base) and part in ("channels", "frames"):
                return self.b.load(self.slots[f"{self.sound(base)}.{part}"])
            case ast.Name(id=name) if name in self.slots:
                return self.b.load(self.slots[name])
            case ast.Name(id=name) if isinstance(self.constants.get(name), int | float):
                return self.value(ast.Constant(self.constants[name]))
            case ast.Attribute(value=ast.Name(id=name), attr=member) if member in members(self.constants.get(name)):
                return ir.Constant(I64, members(self.constants[name])[member])
            case ast.Subscript(value=base, slice=index):
                return self.b.load(self.place(base, index))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.value(operand)
                if isinstance(inner, ir.Constant):
                    return ir.Constant(inner.type, -inner.constant)
                return self.b.neg(inner) if inner.type == I64 else self.b.fneg(inner)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.b.not_(self.numbers.convert(self.value(operand), BOOL))
            case ast.BinOp(left=left, op=op, right=right):
                return self.numbers.arithmetic(op, self.value(left), self.value(right), node)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self.numbers.compare(op, self.value(left), self.value(right), node)
            case ast.BoolOp(op=op, values=values):
                made = [self.numbers.convert(self.value(v), BOOL) for v in values]
                total = made[0]
                for one in made[1:]:
                    total = self.b.and_(total, one) if isinstance(op, ast.And) else self.b.or_(total, one)
                return total
            case ast.IfExp(body=body, orelse=orelse) if _is_costly(body) or _is_costly(orelse):
                return self.choice(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                a, b = self.numbers.convert_to_wider(self.value(body), self.value(orelse))
                return self.b.select(self.numbers.convert(self.value(test), BOOL), a, b)
            case ast.Call(func=ast.Name(id=name), args=args):
                return self.call(name, args, node)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr=name), args=args) if name in _MATH:
                made = [self.value(a) for a in args]
                made = [self.numbers.convert(m, F64) if m.type == I64 else m for m in made]
                kind = made[0].type
                function = self.module.declare_intrinsic(
                    f"llvm.{name}", [kind], ir.FunctionType(kind, [kind] * len(made))
                )
                return self.b.call(function, [self.numbers.convert(m, kind) for m in made])
        raise self.fail(node, f"{ast.unparse(node)} is outside the subset")

    def choice(self, node: ast.IfExp) -> ir.Value:
        """Emits `x if c else y` with a costly operand as a branch, so that only one is computed."""
        blocks = [self.function.append_basic_block(name) for name in ("one", "other")]
        self.b.cbranch(self.numbers.convert(self.value(node.test), BOOL), *blocks)
        values, ends = [], []
        for block, part in zip(blocks, (node.body, node.orelse), strict=True):
            self.b.position_at_end(block)
            values.append(self.value(part))
            ends.append(self.b.block)
        top = self.numbers.common_type(*values)
        after = self.function.append_basic_block("chosen")
        chosen = []
        for end, value in zip(ends, values, strict=True):
            self.b.position_at_end(end)
            chosen.append(self.numbers.literal(value, top))
            self.b.branch(after)
        self.b.position_at_end(after)
        phi = self.b.phi(top)
        for end, value in zip(ends, chosen, strict=True):
            phi.add_incoming(value, end)
        return phi

    def given(self, node: ast.expr) -> list[ir.Value]:
        """Returns the machine code's values of an argument: several for sound and for a record."""
        name = _dotted_name(node)
        parts = [flat for flat, _ in self.item.flat if name and flat.startswith(f"{name}.")]
        if not parts:
            return [self.value(node)]
        return [self.b.load(self.slots[part]) for part in ([name, *parts] if self.sound(node) else parts)]

    def call(self, name: str, args: list[ast.expr], node: ast.AST) -> ir.Value:
        if name in ("f32", "f64", "i64"):
            return self.numbers.convert(self.value(args[0]), TYPES[name])
        if name in ("min", "max"):
            a, b = self.numbers.convert_to_wider(self.value(args[0]), self.value(args[1]))
            return self.b.select(self.numbers.compare(ast.Lt() if name == "min" else ast.Gt(), a, b, node), a, b)
        if name == "abs":
            a = self.value(args[0])
            zero = ir.Constant(a.type, 0)
            negative = self.numbers.compare(ast.Lt(), a, zero, node)
            return self.b.select(negative, self.b.neg(a) if a.type == I64 else self.b.fneg(a), a)
        if name == "channel" and self.sound(args[0]):
            row = self.b.mul(self.numbers.convert(self.value(args[1]), I64), self.given(args[0])[1])
            return self.b.gep(self.given(args[0])[0], [row])
        made = [value for a in args for value in self.given(a)]
        match name:
            case "load_acquire":
                return self.b.load_atomic(self.b.gep(made[0], [made[1]]), "acquire", 8)
            case "store_release":
                self.b.store_atomic(self.numbers.convert(made[2], I64), self.b.gep(made[0], [made[1]]), "release", 8)
                return ir.Constant(I64, 0)
            case "address_f32" | "address_f64" | "address_i64":
                return self.b.inttoptr(made[0], TYPES[f"{name.removeprefix('address_')}p"])
            case "offset":
                return self.b.gep(made[0], [made[1]])
            case "as_u8p":
                return self.b.bitcast(made[0], TYPES["u8p"])
            case "prefetch":
                place = self.b.bitcast(self.b.gep(made[0], [made[1]]), TYPES["u8p"])
                kind = ir.FunctionType(ir.VoidType(), [place.type, ir.IntType(32), ir.IntType(32), ir.IntType(32)])
                function = self.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
                self.b.call(function, [place, *(ir.Constant(ir.IntType(32), word) for word in (0, 3, 1))])
                return ir.Constant(I64, 0)
            case "bits_f64":
                return self.b.bitcast(self.numbers.convert(made[0], F64), I64)
            case "f64_bits":
                return self.b.bitcast(self.numbers.convert(made[0], I64), F64)
            case "call_c":
                kind = ir.FunctionType(I64, [m.type for m in made[1:]])
                return self.b.call(self.b.inttoptr(made[0], kind.as_pointer()), made[1:])
        called = self.constants.get(name)
        if isinstance(called, Kernel):
            if called.error is not None:
                raise self.fail(node, f"{name}() cannot be compiled: {called.error}")
            target = self.unit.function(called)
            return self.b.call(
                target, [self.numbers.convert(m, t) for m, t in zip(made, target.function_type.args, strict=True)]
            )
        raise self.fail(node, f"{name}() is outside the subset")


def _dotted_name(node: ast.expr) -> str:
    """The name of an argument or of a record's field, such as `s.field`; "" for any other expression."""
    if isinstance(node, ast.Attribute) and (inside := _dotted_name(node.value)):
        return f"{inside}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _is_costly(node: ast.expr) -> bool:
    """True if the expression costs more than a branch."""
    calls = (part.func for part in ast.walk(node) if isinstance(part, ast.Call))
    return any(
        (func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")) not in _CHEAP for func in calls
    )
