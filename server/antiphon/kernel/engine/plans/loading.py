"""Shared-memory note of the node that the engine's loader is preparing or closing.

The note survives an engine that a plugin's code hangs or crashes. The loader writes it before it calls a processor's
`prepare` or `close`. The supervisor reads how long the call has taken and, after the engine has ended, the node; the
next engine reads the list of nodes it must not prepare.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum

from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.engine.shared import Shared

MAX_NOTED_NODES = 32
"""Maximum length of the list of nodes that hung or crashed an engine; the oldest entry is dropped first."""
_NAME_AT, _NAME_BYTES = 64, 64
_NODES_AT = 16


class _Word(IntEnum):
    """Indices of the 64-bit words; the node's name, in UTF-8, follows them."""

    BEAT = 0  # CLOCK_MONOTONIC, ns, of the loader's last turn or of its last change to another node
    NUMBER = 1  # of the node that is being prepared, 0: none
    VALUES = 2  # checksum of what that node is prepared with
    LAST = 3  # number of the node that was being prepared when an earlier engine ended
    LAST_VALUES = 4
    COUNT = 5  # nodes in the list at _NODES_AT


@dataclass(frozen=True, slots=True)
class PreparedNode:
    """Identity of a node with the values it is prepared with.

    `number`: the node's number; `values`: CRC-32 of its type and of the values it is prepared with.
    """

    number: int
    values: int

    @staticmethod
    def of(number: int, info: ProcessorInfo, values: Mapping[str, object]) -> PreparedNode:
        """The identity of node `number` of type `info` with `values`."""
        asked = json.dumps([info.type, info.version, info.values_for_prepare(values)])  # type: ignore[arg-type]
        return PreparedNode(number, zlib.crc32(asked.encode()))


class LoadingNote:
    """The note in shared memory. One writer at a time: the loader while its engine runs, else the supervisor."""

    def __init__(self, shared: Shared) -> None:
        part = shared.part("loading")
        self._words, self._name = part.cast("q"), part[_NAME_AT : _NAME_AT + _NAME_BYTES]

    # ---- the loader
    def beat(self) -> None:
        """Notes a heartbeat of the loader while it is at no node."""
        self._words[_Word.NUMBER] = 0
        self._name[0] = 0
        self._words[_Word.BEAT] = time.monotonic_ns()

    def begin_prepare(self, node: PreparedNode, name: str) -> None:
        """Notes the start of a node's construction and `prepare`."""
        self.begin_close(name)
        self._words[_Word.VALUES] = node.values
        self._words[_Word.NUMBER] = node.number  # written last: readers take it as the sign that the rest is valid

    def begin_close(self, name: str) -> None:
        """Notes the start of a removed node's `close`."""
        self.beat()
        text = name.encode()[:_NAME_BYTES]
        self._name[: len(text)] = text
        self._name[len(text) :] = bytes(_NAME_BYTES - len(text))

    @property
    def blamed_nodes(self) -> frozenset[PreparedNode]:
        """Nodes whose `prepare` hung or crashed an engine; they are not prepared with the same values again."""
        return frozenset(self._entries())

    def keep(self, nodes: Collection[PreparedNode]) -> None:
        """Removes all but these nodes from the list: the others have left the graph, or have other values."""
        self._note([node for node in self._entries() if node in nodes])

    # ---- the supervisor
    @property
    def name(self) -> str:
        """Name of the node whose processor is being prepared or closed, or ""."""
        return bytes(self._name).partition(b"\0")[0].decode("utf-8", "replace")

    @property
    def last_beat_ns(self) -> int:
        """CLOCK_MONOTONIC, ns, of the loader's last beat; 0 before its first."""
        return self._words[_Word.BEAT]

    def forget(self) -> None:
        """Clears the beat of an ended engine, which must not count against the next engine's loader."""
        self._words[_Word.BEAT] = 0

    def note_engine_end(self, *, at_fault: bool) -> str:
        """Adds the node being prepared to the list, if it is to blame for the engine's end; returns its name, or "".

        An engine killed from outside (such as by a machine out of memory), not `at_fault` by a crash or a hang, does
        not put the blame on the node; a second kill at the same node does.
        """
        words, name = self._words, self.name
        node = PreparedNode(words[_Word.NUMBER], words[_Word.VALUES])
        again = node == PreparedNode(words[_Word.LAST], words[_Word.LAST_VALUES])
        words[_Word.LAST], words[_Word.LAST_VALUES] = node.number, node.values
        words[_Word.NUMBER] = words[_Word.BEAT] = 0
        self._name[0] = 0
        if not node.number or not (at_fault or again):
            return ""
        self._note([*(entry for entry in self._entries() if entry != node), node][-MAX_NOTED_NODES:])
        return name

    def _entries(self) -> list[PreparedNode]:
        at, words = _NODES_AT, self._words
        count = min(MAX_NOTED_NODES, words[_Word.COUNT])
        return [PreparedNode(words[at + 2 * n], words[at + 2 * n + 1]) for n in range(count)]

    def _note(self, nodes: list[PreparedNode]) -> None:
        words = self._words
        words[_Word.COUNT] = 0  # a writer that is killed half-way leaves an empty list, not a mixture
        for place, node in enumerate(nodes):
            words[_NODES_AT + 2 * place], words[_NODES_AT + 2 * place + 1] = node.number, node.values
        words[_Word.COUNT] = len(nodes)
