"""Functions of kernels beyond arithmetic. For tests they also run as plain Python, where that is possible.

Words are 64-bit; `at` counts them. Addresses are whole numbers.
"""

from __future__ import annotations

import struct
from typing import Any


def load_acquire(words: Any, at: int) -> int:
    """Reads a word before anything that is read or written after it.

    Args:
        words: A pointer to 64-bit words.
        at: The word's index.

    Returns:
        The word.
    """
    return int(words[at])


def store_release(words: Any, at: int, value: int) -> int:
    """Writes a word after everything that was read or written before it.

    Args:
        words: A pointer to 64-bit words.
        at: The word's index.
        value: The word.

    Returns:
        0.
    """
    words[at] = value
    return 0


def address_f32(address: int) -> Any:
    """Makes a pointer to 32-bit floats of an address; in compiled kernels alone.

    Args:
        address: In bytes.

    Returns:
        The pointer.
    """
    raise TypeError("address_f32 exists in compiled kernels alone")


def address_f64(address: int) -> Any:
    """Makes a pointer to 64-bit floats of an address; in compiled kernels alone.

    Args:
        address: In bytes.

    Returns:
        The pointer.
    """
    raise TypeError("address_f64 exists in compiled kernels alone")


def address_i64(address: int) -> Any:
    """Makes a pointer to 64-bit whole numbers of an address; in compiled kernels alone.

    Args:
        address: In bytes.

    Returns:
        The pointer.
    """
    raise TypeError("address_i64 exists in compiled kernels alone")


def channel(sound: Any, at: int) -> Any:
    """The pointer to the first frame of a channel.

    Args:
        sound: An `Audio` argument of the kernel.
        at: The channel.

    Returns:
        A pointer to 32-bit floats.
    """
    return sound.array[at]


def offset(pointer: Any, items: int) -> Any:
    """Moves a pointer.

    Args:
        pointer: The pointer.
        items: Items of its type to move on.

    Returns:
        The new pointer.
    """
    return pointer[items:]


def as_u8p(pointer: Any) -> Any:
    """Converts a pointer to one to bytes; in compiled kernels alone.

    Args:
        pointer: The pointer.

    Returns:
        The same address as a pointer to bytes.
    """
    raise TypeError("as_u8p exists in compiled kernels alone")


def prefetch(pointer: Any, at: int) -> int:
    """Fetches memory into the cache, and does not wait for it.

    Args:
        pointer: A pointer.
        at: The index of what will be read or written soon; its neighbours within 64 bytes are fetched with it.

    Returns:
        0.
    """
    return 0


def bits_f64(value: float) -> int:
    """Reads the bits of a 64-bit float.

    Args:
        value: The float.

    Returns:
        Its IEEE 754 representation as a whole number.
    """
    return int(struct.unpack("=q", struct.pack("=d", value))[0])


def f64_bits(bits: int) -> float:
    """Makes a 64-bit float of its bits.

    Args:
        bits: Its IEEE 754 representation; of a larger number the low 64 bits.

    Returns:
        The float.
    """
    return float(struct.unpack("=d", struct.pack("=Q", bits & 0xFFFFFFFFFFFFFFFF))[0])


def call_c(function: int, *args: Any) -> int:
    """Calls a C function; in compiled kernels alone.

    Args:
        function: Its address.
        *args: Words, floats and pointers, as the function has them.

    Returns:
        Its result as a word.
    """
    raise TypeError("call_c exists in compiled kernels alone")
