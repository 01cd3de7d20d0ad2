"""What a kernel may say beyond arithmetic. As plain Python these do the same where Python can, for tests.

Words are 64-bit; `at` counts them. Addresses are whole numbers.
"""

from __future__ import annotations

from typing import Any


def load_acquire(words: Any, at: int) -> int:
    """The word, read before anything after it."""
    return int(words[at])


def store_release(words: Any, at: int, value: int) -> int:
    """Writes the word after everything before it; returns 0."""
    words[at] = value
    return 0


def address_f32(address: int) -> Any:
    """A pointer to float32 at an address."""
    raise TypeError("address_f32 exists in compiled kernels alone")


def offset(pointer: Any, items: int) -> Any:
    """The pointer, `items` further on."""
    return pointer[items:]


def as_u8p(pointer: Any) -> Any:
    """The pointer as one to bytes."""
    raise TypeError("as_u8p exists in compiled kernels alone")


def call_c(function: int, *args: Any) -> int:
    """Calls the C function at an address; returns its result as a word."""
    raise TypeError("call_c exists in compiled kernels alone")
