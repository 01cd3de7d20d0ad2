"""Functions of kernels beyond arithmetic, some of them usable in plain Python; words are 64-bit, indexed by `at`."""

import struct
from typing import Any


def load_acquire(words: Any, at: int) -> int:
    """Atomic load with acquire order: later reads and writes stay after it."""
    return int(words[at])


def store_release(words: Any, at: int, value: int) -> int:
    """Atomic store with release order: earlier reads and writes stay before it."""
    words[at] = value
    return 0


def address_f32(address: int) -> Any:
    """Pointer to 32-bit floats at an address in bytes; in compiled kernels only."""
    raise TypeError("address_f32 exists in compiled kernels alone")


def address_f64(address: int) -> Any:
    """Pointer to 64-bit floats at an address; in compiled kernels only."""
    raise TypeError("address_f64 exists in compiled kernels alone")


def address_i64(address: int) -> Any:
    """Pointer to 64-bit integers at an address; in compiled kernels only."""
    raise TypeError("address_i64 exists in compiled kernels alone")


def channel(sound: Any, at: int) -> Any:
    """Pointer to the first frame of a channel. `sound`: an `Audio` argument of the kernel."""
    return sound.array[at]


def offset(pointer: Any, items: int) -> Any:
    """Pointer moved by `items` elements."""
    return pointer[items:]


def as_u8p(pointer: Any) -> Any:
    """Pointer cast to bytes; in compiled kernels only."""
    raise TypeError("as_u8p exists in compiled kernels alone")


def prefetch(pointer: Any, at: int) -> int:
    """Prefetches the 64 bytes around index `at` into the cache without waiting."""
    return 0


def bits_f64(value: float) -> int:
    """Bit pattern of a 64-bit float as an integer."""
    return int(struct.unpack("=q", struct.pack("=d", value))[0])


def f64_bits(bits: int) -> float:
    """64-bit float of a bit pattern. `bits`: its IEEE 754 representation; only the low 64 bits are used."""
    return float(struct.unpack("=d", struct.pack("=Q", bits & 0xFFFFFFFFFFFFFFFF))[0])


def call_c(function: int, *args: Any) -> int:
    """Calls a C function; in compiled kernels only."""
    raise TypeError("call_c exists in compiled kernels alone")
