"""The class of kernels, the types of their arguments, and their calls in a processor's block.

A kernel's function stays callable as plain Python through `.python` (slow; tests compare the two). Calling
the kernel itself runs machine code without holding an array object: arguments are numbers, or numpy
arrays where a pointer is declared. Signature types: `i64 f32 f64`, the pointers `i64p f32p f64p u8p`, and `Audio`:
float32 `[channels, frames]`, in the kernel `x[channel, frame]`, `x.channels`, `x.frames`. A NamedTuple of these is one
argument, in the kernel `s.field`; the machine code takes its fields one by one.
"""

from __future__ import annotations

import ctypes
import inspect
import struct
import sys
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")

i64 = int
"""64-bit integer of a kernel. `//` and `%` round down, as in Python; division by zero is undefined."""
f32 = float
"""A 32-bit float of a kernel. `f32(x)` rounds to one."""
f64 = float
"""A 64-bit float of a kernel. `f64(x)` converts to one."""
# a pointer is a numpy array, or the address of one that stays where it is
f32p: TypeAlias = Any
"""Pointer to 32-bit floats: a numpy array, or the address of one that is not moved."""
f64p: TypeAlias = Any
"""A pointer to 64-bit floats, as `f32p`."""
i64p: TypeAlias = Any
"""A pointer to 64-bit integers, as `f32p`."""
u8p: TypeAlias = Any
"""A pointer to bytes, as `f32p`."""
# a numpy array whose frames lie side by side; a channel's may lie anywhere
Audio: TypeAlias = Any
"""Sound argument of a kernel: a numpy array, float32 `[channels, frames]`, each channel contiguous.

In the kernel it has `x[channel, frame]`, `x.channels` and `x.frames`.
"""

_CTYPES: dict[str, Any] = {
    "i64": ctypes.c_int64,
    "f32": ctypes.c_float,
    "f64": ctypes.c_double,
    "i64p": ctypes.c_void_p,
    "f32p": ctypes.c_void_p,
    "f64p": ctypes.c_void_p,
    "u8p": ctypes.c_void_p,
    "None": None,
}
AUDIO = {"": "f32p", "stride": "i64", "channels": "i64", "frames": "i64"}
"""Machine-code arguments of an `Audio`, in order. stride: frames from one channel's start to the next's."""

_addresses: dict[int, tuple[weakref.ref[Any], int]] = {}
_sounds: dict[int, tuple[weakref.ref[Any], tuple[int, int, int, int]]] = {}
_MAX_ADDRESSES = 4096
_SAMPLE_BYTES = 4
_NOTHING = object()
_REAL, _BITS = struct.Struct("=d"), struct.Struct("=q")


def address(array: Any) -> int:
    """Address of an array's data, cached: reading it from numpy costs about a small kernel's run time."""
    entry = _addresses.get(id(array))
    if entry is not None and entry[0]() is array:
        return entry[1]
    where = int(array.ctypes.data)
    if len(_addresses) >= _MAX_ADDRESSES:
        _addresses.clear()
    _addresses[id(array)] = (weakref.ref(array), where)
    return where


def words_of(kind: str) -> int:
    """Number of 64-bit words of an argument of that type."""
    return len(AUDIO) if kind == "Audio" else 1


def _flatten_records(args: Iterable[Any]) -> list[Any]:
    """Returns the arguments, with records replaced by their fields."""
    flat: list[Any] = []
    for value in args:
        if isinstance(value, tuple):
            flat += _flatten_records(value)
        else:
            flat.append(value)
    return flat


def _declared_types(name: str, hint: object, outside: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields (name, type) of an argument, or of each field of a record, by its dotted name."""
    record = outside.get(str(hint), hint)
    if isinstance(record, type) and issubclass(record, tuple):
        within = vars(sys.modules[record.__module__])
        for field, kind in inspect.get_annotations(record).items():
            yield from _declared_types(f"{name}.{field}", getattr(kind, "__forward_arg__", kind), within)
    else:
        yield name, str(hint)


def sound(array: Any) -> tuple[int, int, int, int]:
    """Values of `AUDIO` for an array, cached like its address."""
    if type(array) is _PlainSound:
        array = array.array
    entry = _sounds.get(id(array))
    if entry is not None and entry[0]() is array:
        return entry[1]
    apart = array.ndim == 2 and array.shape[1] > 1 and array.size and array.strides[1] != _SAMPLE_BYTES
    if array.ndim != 2 or array.dtype != np.float32 or apart:
        raise TypeError(
            f"sound for a kernel is float32 [channels, frames]; {array.dtype} {list(array.shape)} was given"
        )
    layout = (int(array.ctypes.data), array.strides[0] // _SAMPLE_BYTES, *array.shape)
    if len(_sounds) >= _MAX_ADDRESSES:
        _sounds.clear()
    _sounds[id(array)] = (weakref.ref(array), layout)
    return layout


def _by_arrays(call: Callable[..., R], kinds: Sequence[str]) -> Callable[..., R]:
    """Generates a loop-free argument conversion: a loop would cost about a small kernel's run time."""
    names = [f"a{n}" for n in range(len(kinds))]
    given = {"Audio": "*sound({0})", "i64": "{0}", "f32": "{0}", "f64": "{0}"}
    pointer = "address({0}) if type({0}) is ndarray else {0}"
    flat = ", ".join(given.get(kind, pointer).format(name) for kind, name in zip(kinds, names, strict=True))
    outside = {"call": call, "sound": sound, "address": address, "ndarray": np.ndarray}
    wrapper: Callable[..., R] = eval(f"lambda {', '.join(names)}: call({flat})", outside)
    return wrapper


def _caching_caller(call: Callable[[int], R], kinds: Collection[str]) -> Callable[..., R]:
    """Generates a call that writes only changed arguments into words, and passes their address."""
    words = bytearray(8 * sum(map(words_of, kinds)))
    place, lines = 0, []
    for n, kind in enumerate(kinds):
        lines.append(f"  if a{n} is not last{n}:")
        if kind == "Audio":
            lines.append(f"   whole[{place}], whole[{place + 1}], whole[{place + 2}], whole[{place + 3}] = sound(a{n})")
        elif kind in ("f32", "f64"):
            lines.append(f"   real[{place}] = a{n}")
        elif kind == "i64":
            lines.append(f"   whole[{place}] = a{n}")
        else:
            lines.append(f"   whole[{place}] = address(a{n}) if type(a{n}) is ndarray else a{n}")
        lines.append(f"   last{n} = a{n}")
        place += len(AUDIO) if kind == "Audio" else 1
    names, last = ", ".join(f"a{n}" for n in range(len(kinds))), ", ".join(f"last{n}" for n in range(len(kinds)))
    source = [
        "def make():",
        f" {' = '.join(last.split(', '))} = unset" if kinds else " pass",
        f" def remembering({names}):",
    ]
    source += [f"  nonlocal {last}" if kinds else "  pass", *lines, "  return call(where)", " return remembering"]
    where = ctypes.addressof(ctypes.c_char.from_buffer(words)) if kinds else 0
    outside: dict[str, Any] = {
        "call": call,
        "where": where,
        "whole": memoryview(words).cast("q"),
        "real": memoryview(words).cast("d"),
        "sound": sound,
        "address": address,
        "ndarray": np.ndarray,
        "unset": object(),
    }
    exec("\n".join(source), outside)
    made: Callable[..., R] = outside["make"]()
    return made


class _PlainSound:
    """An `Audio` argument of a kernel that runs as plain Python."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.channels, self.frames = array.shape

    def __getitem__(self, place: tuple[int, int]) -> Any:
        return self.array[place]

    def __setitem__(self, place: tuple[int, int], value: Any) -> None:
        self.array[place] = value


class Kernel(Generic[P, R]):
    """A compiled function, which `kernel` makes. Called with numbers and numpy arrays, it runs as machine code.

    Indices are not checked: an out-of-range access crashes the process or corrupts its memory. `call`: the bare machine
    code: pointers are addresses (`array.ctypes.data`, read once), at half the cost of a call with arrays. `types`: the
    type of each argument by name, and of a record's fields by `argument.field`.
    """

    def __init__(self, python: Callable[P, R], compile_declared: Callable[[], object]) -> None:
        self.function = python
        self._compile_declared = compile_declared
        self.name = python.__name__
        hints = inspect.get_annotations(python)
        outside = python.__globals__
        self.types = dict(flat for name, hint in hints.items() for flat in _declared_types(name, hint, outside))
        self._records = len(self.types) > len(hints)
        wrong = next((name for name, kind in self.types.items() if kind != "Audio" and kind not in _CTYPES), None)
        if wrong is not None or "return" not in self.types:
            raise TypeError(
                f"the kernel {self.name} needs a type for {wrong or 'what it returns'}: {' '.join(_CTYPES)} Audio; "
                "and its module begins with: from __future__ import annotations"
            )
        self.returns = self.types.pop("return")
        self.size = sum(map(words_of, self.types.values()))  # 64-bit words that the arguments take
        self.call: Callable[..., R] = self._first
        self._by_arrays: Callable[..., R] = self._compile_and_call
        self.address = self._packed = 0  # the address of the machine code, for a C library; 0 before it is compiled
        self.error: Exception | None = None  # why it cannot be compiled, or None. It is raised at the first call.
        self.__doc__ = python.__doc__

    def python(self, *args: Any) -> R:
        """Runs the function as plain Python, for tests that compare the two."""
        kinds = iter(self.types.values())

        def plain(value: Any) -> Any:
            if isinstance(value, tuple):
                return type(value)(*map(plain, value))
            return _PlainSound(value) if next(kinds) == "Audio" else value

        function: Callable[..., R] = self.function
        return function(*map(plain, args))

    @property
    def flat(self) -> list[tuple[str, str]]:
        """(name, type) of each argument of the machine code."""
        return [
            (f"{name}.{part}" if part else name, flat)
            for name, kind in self.types.items()
            for part, flat in (AUDIO if kind == "Audio" else {"": kind}).items()
        ]

    def link(self, address: int, packed: int) -> None:
        """Sets the addresses of the kernel's machine code; `packed` takes the arguments from 64-bit words."""
        self.address, self._packed = address, packed
        proto = ctypes.CFUNCTYPE(_CTYPES[self.returns], *(_CTYPES[kind] for _, kind in self.flat))
        self.call = proto(address)
        self._by_arrays = _by_arrays(self.call, list(self.types.values()))

    def _compile(self) -> None:
        self._compile_declared()
        if self.error is not None:
            raise self.error

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the machine code, by position."""
        if kwargs:
            raise TypeError(f"{self.name} takes positional arguments only")
        return self._by_arrays(*args) if len(args) == len(self.types) else self._by_arrays(*_flatten_records(args))

    def bind(self, *args: object) -> Callable[[], R]:
        """Returns a function without arguments that calls the kernel with these arguments, which are converted once."""
        if self.address == 0:
            self._compile()
        kinds = self.types.values()
        pack = _caching_caller(lambda where: where, kinds)
        where, call = pack(*_flatten_records(args)), self._make_words_call()

        def bound(_words: object = pack) -> R:
            return call(where)

        return bound

    def step(self, *args: P.args, **kwargs: P.kwargs) -> Step:
        """Returns a step of a block that calls this kernel later (`Processor.step`).

        `*args`: the arguments, by position. Arrays must outlive the processor's next `prepare` and not move.
        """
        if kwargs:
            raise TypeError(f"{self.name} takes positional arguments only")
        return Step(((self, tuple(_flatten_records(args)) if self._records else args),))

    @property
    def packed_address(self) -> int:
        """Address of the machine code that takes the arguments from 64-bit words; compiles it if needed."""
        if self.address == 0:
            self._compile()
        return self._packed

    def pack(self, args: Sequence[Any], words: memoryview, at: int, packed: Sequence[Any] = ()) -> None:
        """Writes arguments as `packed_address` reads them. `words`: 64-bit whole numbers; `packed`: what is there."""
        for kind, value, there in zip(self.types.values(), args, packed or [_NOTHING] * len(args), strict=True):
            if value is there:
                at += words_of(kind)
            elif kind == "Audio":
                for part in sound(value):
                    words[at] = part
                    at += 1
            else:
                if kind in ("f32", "f64"):
                    words[at] = _BITS.unpack(_REAL.pack(value))[0]
                elif isinstance(value, np.ndarray):
                    words[at] = address(value)
                else:
                    words[at] = int(value)
                at += 1

    def caller(self) -> Callable[P, R]:
        """Creates a call for one call site: it converts only arguments that changed since the last call.

        A block's buffers are mostly the same arrays. The call costs a third of a call of the kernel itself. It keeps
        the last arguments, and is for one thread.
        """
        if self.address == 0:
            self._compile()
        call: Callable[P, R] = _caching_caller(self._make_words_call(), self.types.values())

        def of_records(*args: P.args, **_none: P.kwargs) -> R:
            return call(*_flatten_records(args))  # type: ignore[call-arg]

        return of_records if self._records else call

    def _make_words_call(self) -> Callable[[int], R]:
        return ctypes.CFUNCTYPE(_CTYPES[self.returns], ctypes.c_void_p)(self._packed)

    def _first(self, *args: object) -> R:
        self._compile()
        return self.call(*args)

    def _compile_and_call(self, *args: object) -> R:
        self._compile()
        return self._by_arrays(*args)


Call: TypeAlias = tuple[Kernel[..., Any], tuple[Any, ...]]
"""A kernel and its arguments."""


@dataclass(frozen=True, slots=True)
class Step:
    """Kernel calls in order, as made by `Kernel.step`.

    Attributes:
        conditions: Kernels that are called before a block; where one returns 0, `process` computes the block.
        reports: Readonly parameters by name: an array, and the index in it at which the kernels store the value.
    """

    calls: tuple[Call, ...]
    reports: Mapping[str, tuple[NDArray[Any], int]] = field(default_factory=dict)
    conditions: tuple[Call, ...] = ()

    def then(self, after: Step) -> Step:
        """Joins two steps."""
        conditions = *self.conditions, *after.conditions
        return Step((*self.calls, *after.calls), {**self.reports, **after.reports}, conditions)

    def provided(self, condition: Step) -> Step:
        """Adds a condition: a kernel without side effects; blocks for which it returns 0 go to `process`."""
        return replace(self, conditions=(*self.conditions, *condition.calls))

    def reporting(self, **values: tuple[NDArray[Any], int]) -> Step:
        """Publishes array elements written by the kernels as values of `readonly` parameters."""
        return replace(self, reports={**self.reports, **values})

    def bound(self) -> Callable[[], bool]:
        """Returns a function that runs the step unless a condition is 0, and tells if it ran. Off the block path."""
        asks, calls = ([item.bind(*args) for item, args in part] for part in (self.conditions, self.calls))

        def run() -> bool:
            for ask in asks:
                if not ask():
                    return False
            for call in calls:
                call()
            return True

        return run

    def run(self) -> None:
        """Calls the kernels one by one."""
        for kernel, args in self.calls:
            kernel(*args)
