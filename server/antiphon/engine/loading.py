"""What the engine's loader is at, in the shared memory: it outlives an engine that a plugin's code hangs or crashes.

The loader writes before it calls a processor's `prepare` or `close`. The supervisor reads how long that has taken,
and after a death at which node it was; the next engine reads which nodes it is not to prepare.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum

from antiphon.contract.catalog import ProcessorInfo
from antiphon.engine.shared import Shared

LOAD_SECONDS = 15.0
"""A loader that has been at one thing for so long hangs. Longer than it waits for the weigher and for workers."""
NOTED = 32
"""Nodes that are kept in mind; the oldest is forgotten first."""
_NAME_AT, _NAME_BYTES = 64, 64
_NODES_AT = 16


class _Word(IntEnum):
    """Places of 64-bit words; the name of the node lies behind them."""

    BEAT = 0  # CLOCK_MONOTONIC, ns, when the loader last turned, or went on to another node
    NUMBER = 1  # of the node that is being prepared, 0: none
    VALUES = 2  # what it is prepared with
    LAST = 3  # number of the node that was being prepared when an engine before ended
    LAST_VALUES = 4
    COUNT = 5  # nodes noted


@dataclass(frozen=True, slots=True)
class Prepared:
    """A node as it is prepared. values: a checksum of its type and of what it is prepared with."""

    number: int
    values: int

    @staticmethod
    def of(number: int, info: ProcessorInfo, values: Mapping[str, object]) -> Prepared:
        asked = json.dumps([info.type, info.prepared_with(values)])  # type: ignore[arg-type]
        return Prepared(number, zlib.crc32(asked.encode()))


class LoadingNote:
    """One writer at a time: the loader while its engine lives, the supervisor between two engines."""

    def __init__(self, shared: Shared) -> None:
        part = shared.part("loading")
        self._words, self._name = part.cast("q"), part[_NAME_AT : _NAME_AT + _NAME_BYTES]

    # ---- the loader
    def beat(self) -> None:
        """It is not at any node, and turns."""
        self._words[_Word.NUMBER] = 0
        self._name[0] = 0
        self._words[_Word.BEAT] = time.monotonic_ns()

    def prepares(self, node: Prepared, name: str) -> None:
        """The processor of a node is made and prepared from here."""
        self.closes(name)
        self._words[_Word.VALUES] = node.values
        self._words[_Word.NUMBER] = node.number  # last: it is what the others are read by

    def closes(self, name: str) -> None:
        """The processor of a node that has gone is closed from here."""
        self.beat()
        text = name.encode()[:_NAME_BYTES]
        self._name[: len(text)] = text
        self._name[len(text) :] = bytes(_NAME_BYTES - len(text))

    @property
    def noted(self) -> frozenset[Prepared]:
        """Nodes whose `prepare` has hung or crashed an engine: they are not prepared with these values again."""
        return frozenset(self._listed())

    def keep(self, nodes: Collection[Prepared]) -> None:
        """Of the noted nodes these stay so; the others have gone, or have other values."""
        self._note([node for node in self._listed() if node in nodes])

    # ---- the supervisor
    @property
    def name(self) -> str:
        """Of the node whose processor is being prepared or closed, or ""."""
        return bytes(self._name).partition(b"\0")[0].decode("utf-8", "replace")

    @property
    def stalled(self) -> float:
        """Seconds for which the loader has been at one thing, once they are too many; else 0."""
        beat = self._words[_Word.BEAT]
        seconds = (time.monotonic_ns() - beat) / 1e9 if beat else 0.0
        return seconds if seconds > LOAD_SECONDS else 0.0

    def forget(self) -> None:
        """The engine that hung is being ended; the loader of the next one has not turned yet."""
        self._words[_Word.BEAT] = 0

    def engine_ended(self, *, at_fault: bool) -> str:
        """Notes the node that was being prepared; its name, or "" where none was or it is not to blame.

        at_fault: the engine crashed, or hung. One that was killed tells nothing the first time, but twice at the
        same node does: a machine out of memory kills as well.
        """
        words, name = self._words, self.name
        node = Prepared(words[_Word.NUMBER], words[_Word.VALUES])
        again = node == Prepared(words[_Word.LAST], words[_Word.LAST_VALUES])
        words[_Word.LAST], words[_Word.LAST_VALUES] = node.number, node.values
        words[_Word.NUMBER] = words[_Word.BEAT] = 0
        self._name[0] = 0
        if not node.number or not (at_fault or again):
            return ""
        self._note([*(listed for listed in self._listed() if listed != node), node][-NOTED:])
        return name

    def _listed(self) -> list[Prepared]:
        at, words = _NODES_AT, self._words
        count = min(NOTED, words[_Word.COUNT])
        return [Prepared(words[at + 2 * n], words[at + 2 * n + 1]) for n in range(count)]

    def _note(self, nodes: list[Prepared]) -> None:
        words = self._words
        words[_Word.COUNT] = 0  # whoever dies in between leaves none, not a mixture
        for place, node in enumerate(nodes):
            words[_NODES_AT + 2 * place], words[_NODES_AT + 2 * place + 1] = node.number, node.values
        words[_Word.COUNT] = len(nodes)
