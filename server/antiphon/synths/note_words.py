"""A note's own values, as received by its node: words in pieces, and the indices of values among its parameters."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from math import floor

from antiphon.kernel.runtime.shortening import composed
from antiphon.kernel.session.play import (
    CONTROLLERS,
    FIRST,
    FIRST_EXTRA_VALUE,
    FIRST_WORD,
    LAST,
    MAX_WORD,
    PIECE,
    PIECES,
)

_HASH_BITS = 53
"""Bits of a word's hash: the precision of a 64-bit float."""


def value_place(number: int) -> int:
    """Index among `note_params` of a value's parameter; -1 for a number without one."""
    if FIRST <= number < FIRST + CONTROLLERS:
        return number - FIRST
    return number - FIRST_EXTRA_VALUE + CONTROLLERS if FIRST_EXTRA_VALUE <= number < FIRST_WORD else -1


class NoteWord:
    """A word of a note, which controllers send in pieces; `data`: its bytes, None before the first."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data: bytes | None = None

    @staticmethod
    def place(number: int) -> int:
        """Index among `note_params` of the parameter whose word has a piece in a controller; -1 for none."""
        return number - FIRST_WORD if FIRST_WORD <= number <= LAST else -1

    def take(self, number: int, value: float) -> int:
        """Adds the piece in a controller, if any; returns its `place`."""
        place, data = self.place(number), self.data or b""
        if place >= 0 and len(data) < MAX_WORD:
            self.data = data + min(int(min(max(0.0, value), 1.0) * PIECES), PIECES - 1).to_bytes(PIECE).rstrip(b"\0")
        return place

    @property
    def text(self) -> str | None:
        """The word; None before its first piece."""
        return None if self.data is None else self.data.decode("utf-8", "replace")

    @staticmethod
    def keys(words: Iterable[str], *, named: bool = False) -> Iterator[tuple[bytes | float, str]]:
        """Yields keys of words: their hash, used by session logs before `word_controller_values`, and their bytes.

        `named`: whether the words are names of named values.
        """
        for word in words:
            yield name_hash(word) if named else word_hash(word), word
            yield _encoded(word), word


def _encoded(word: str) -> bytes:
    return composed(word).encode("utf-8", "surrogateescape")


def word_hash(word: str) -> float:
    """The number of a word in session logs before `word_controller_values`: 53 bits of its BLAKE2b digest, 0 to 1."""
    digest = blake2b(_encoded(word), digest_size=8).digest()
    return float((int.from_bytes(digest) >> (64 - _HASH_BITS)) / (1 << _HASH_BITS))


def name_hash(name: str) -> float:
    """The number that stood for the name of a value in old session logs: `word_hash` in 24 bits."""
    return floor(word_hash(name) * PIECES) / PIECES
