"""Memory shared by the engine, the zygotes and their workers, and the bells that wake them.

A table of workers. Each has slots, and each slot a ring of input hops and a ring of output hops, tagged with epoch and
hop number. A word has one writer; data is written before the tag that publishes it (x86-64 keeps that order). The table
lists the requested workers and streams, so that a restarted engine, zygote or worker can continue.
"""

from __future__ import annotations

import mmap
import os
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import WorkerError
from antiphon.kernel.runtime.platform import anonymous_file, make_bell
from antiphon.kernel.workers.spec import MAX_SLOTS, MAX_SPEC_BYTES, WorkerSpec

MAX_WORKERS = 32
MAX_DEPTH = 64
DATA_BYTES = 32 << 20
"""Size of one worker's rings; unused pages use no memory."""
MAX_KINDS = 8
"""Maximum kinds of zygotes in one arena: each has a bell, created before the first process."""
FIRST_KINDS = ("torch", "none")
"""Kinds with the first indices; the others follow in order of first use."""
EPOCHS, HOP_BITS = 0x3FFFFF, 40
"""Largest epoch number of a tag, and the bits below it, which hold the hop's number."""
OWN_WORDS = 16
"""Words of each worker that are defined and written by its stepper."""
_WORDS = 64
_SLOT_WORDS = 16
_TEXT = 512
_CONFIG = 4096


class State(IntEnum):
    """State of a worker, written by its zygote."""

    NONE = 0
    STARTING = 1
    RUNNING = 2
    RESTARTING = 3
    QUARANTINED = 4
    REFUSED = 5
    WAITING = 6  # the program or device that it uses did not answer; another process may be trying


class WorkerWord(IntEnum):
    """Indices of a worker's 64-bit words. E: written by the engine, Z: by the zygote, W: by the worker."""

    WANTED = 0  # E: 1 while a slot is open
    LEFT_NS = 1  # E: CLOCK_MONOTONIC when the last slot was closed
    RETRY = 2  # E: number of requests to start it again
    BLAMED = 3  # E: the generation whose answer could not be played
    WAITING = 4  # E: 1 while the engine waits for the answer bell
    CHANGES = 5  # E: when slots were last opened, closed or given a new epoch
    DIRECT_WRITE = 6  # control: low-latency events sent to it
    STATE = 8  # Z
    PID = 9  # Z
    GENERATION = 10  # Z: of the process
    RESTARTS = 11  # Z
    RETRIED = 12  # Z: value of RETRY that was last handled
    DIED_NS = 13  # Z: when the last death was noticed
    STARTED_NS = 14  # Z
    DONE = 24  # W: hops done
    READY_NS = 25  # W: when it was warmed up
    HOP_P50_NS = 26  # W: time of a hop with all slots in use, measured at its start
    HOP_P99_NS = 27  # W
    CUDA = 28  # W: 1 on a GPU
    HOP_NS = 29  # W: smoothed time of a hop in use
    TAKES = 30  # W: 1 if it takes low-latency events
    DIRECT_READ = 31  # W: low-latency events read
    OWN = 40  # W: the first of OWN_WORDS


class SlotWord(IntEnum):
    """Indices of a slot's 64-bit words."""

    OPEN = 0  # E: serial of the stream, 0: free
    NODE = 1  # E: number of the stream's node
    FIRST = 2  # E: first hop of the epoch
    BORN = 3  # E: generation of the worker at the start of the epoch
    EPOCH = 4  # E: written after FIRST and BORN
    POSTED = 5  # E: hop after the last one posted
    MISSES = 6  # E: answers that were late
    READY = 8  # W: value of OPEN whose stream is prepared
    CURSOR = 9  # W: the next hop
    SEEN = 10  # W: the epoch of CURSOR


DIRECT = 256
DIRECT_BYTES = 40
"""Maximum low-latency events queued for a worker, and bytes of each."""
_PER_WORKER = DIRECT * DIRECT_BYTES + (
    _WORDS * 8 + MAX_SPEC_BYTES + _TEXT + MAX_SLOTS * (_SLOT_WORDS * 8 + _CONFIG) + 2 * MAX_SLOTS * MAX_DEPTH * 8
)
_HEADER = 4096
_KINDS_AT = 512
"""Byte offset of the kinds' names in the header, `_KIND` bytes each."""
_KIND = 64
_BASE = _HEADER + -(-MAX_WORKERS * _PER_WORKER // 4096) * 4096
ARENA_BYTES = _BASE + MAX_WORKERS * DATA_BYTES


@dataclass(frozen=True, slots=True)
class Bells:
    """Bells that all processes inherit."""

    keeper: int
    zygotes: tuple[int, ...]  # wake the zygotes, by `Arena.place_of`
    wake: tuple[int, ...]
    answer: tuple[int, ...]

    @staticmethod
    def make() -> Bells:
        """Creates inheritable bells."""
        return Bells(
            make_bell(),
            tuple(make_bell() for _ in range(MAX_KINDS)),
            tuple(make_bell(waits=True) for _ in range(MAX_WORKERS)),
            tuple(make_bell() for _ in range(MAX_WORKERS)),
        )

    def fds(self) -> tuple[int, ...]:
        """All descriptors, as `of` takes them."""
        return (self.keeper, *self.zygotes, *self.wake, *self.answer)

    @staticmethod
    def of(fds: tuple[int, ...]) -> Bells:
        """Inverse of `fds`."""
        rest = fds[1 + MAX_KINDS :]
        return Bells(fds[0], tuple(fds[1 : 1 + MAX_KINDS]), tuple(rest[:MAX_WORKERS]), tuple(rest[MAX_WORKERS:]))

    def close(self) -> None:
        for fd in self.fds():
            os.close(fd)


class WorkerEntry:
    """Entry of one worker in the table.

    `slots`: int64 `[MAX_SLOTS, words]`, indexed by `SlotWord`. `tags_in`: tags of the input hops (see `tag`),
    `MAX_DEPTH` for each slot. `tags_out`: tags of the output hops.
    """

    def __init__(self, arena: Arena, number: int) -> None:
        self.arena, self.number = arena, number
        view, at = memoryview(arena.map), _HEADER + number * _PER_WORKER

        def take(size: int) -> memoryview:
            nonlocal at
            part = view[at : at + size]
            at += size
            return part

        self.words = take(_WORDS * 8).cast("q")  # int64 words, indexed by `WorkerWord`
        self._spec, self._reason = take(MAX_SPEC_BYTES), take(_TEXT)
        slots = take(MAX_SLOTS * _SLOT_WORDS * 8)
        self.slots: NDArray[np.int64] = np.frombuffer(slots, np.int64).reshape(MAX_SLOTS, _SLOT_WORDS)
        self.slot_words = slots.cast("q")
        self._configs = take(MAX_SLOTS * _CONFIG)
        tags = MAX_SLOTS * MAX_DEPTH * 8
        self.tags_in, self.tags_out = take(tags).cast("q"), take(tags).cast("q")
        self.direct = take(DIRECT * DIRECT_BYTES)  # ring of low-latency events, as bytes

    @property
    def state(self) -> State:
        return State(self.words[WorkerWord.STATE])

    def slot(self, number: int, word: SlotWord) -> int:
        return self.slot_words[number * _SLOT_WORDS + word]

    def set_slot(self, number: int, word: SlotWord, value: int) -> None:
        self.slot_words[number * _SLOT_WORDS + word] = value

    def change(self) -> None:
        """Notifies the worker that slots were opened, closed or given a new epoch."""
        # a time, not a count: two threads write it, and could write the same count
        self.words[WorkerWord.CHANGES] = time.monotonic_ns()

    def spec(self) -> WorkerSpec:
        return WorkerSpec.from_json(self.spec_bytes)

    @property
    def kind(self) -> str:
        """Kind of zygote that the spec names; "" while the spec is being written."""
        try:
            return self.spec().zygote if self.spec_bytes else ""
        except (ValueError, TypeError, KeyError):
            return ""

    @property
    def spec_bytes(self) -> bytes:
        return bytes(self._spec).rstrip(b"\0")

    def set_spec(self, spec: WorkerSpec) -> None:
        _put(self._spec, spec.to_json())

    @property
    def reason(self) -> str:
        """Reason why the worker last ended or does not run, as text."""
        return bytes(self._reason).rstrip(b"\0").decode("utf-8", "replace")

    def set_reason(self, text: str) -> None:
        _put(self._reason, " ".join(text.split()).encode("utf-8", "backslashreplace")[: _TEXT - 4])

    def config(self, slot: int) -> str:
        return bytes(self._configs[slot * _CONFIG : (slot + 1) * _CONFIG]).rstrip(b"\0").decode()

    def set_config(self, slot: int, text: str) -> None:
        data = text.encode()
        if len(data) > _CONFIG:
            raise WorkerError(f"a stream is described by {len(data)} bytes; at most {_CONFIG}")
        _put(self._configs[slot * _CONFIG : (slot + 1) * _CONFIG], data)

    def rings(self, spec: WorkerSpec) -> tuple[Samples, Samples]:
        """Float32 `[slots, depth, *inputs]` and `[slots, depth, *outputs]`. `WorkerError` when there is no space."""
        for what, number, most in (("slots", spec.slots, MAX_SLOTS), ("hops in a ring", spec.depth, MAX_DEPTH)):
            if not 1 <= number <= most:
                raise WorkerError(f"the worker {spec.name} asks for {number} {what}; 1 to {most} are allowed")
        count = spec.slots * spec.depth
        into = self.arena.data(self.number, 0, count * spec.floats_in).reshape(spec.slots, spec.depth, *spec.inputs)
        out = self.arena.data(self.number, count * spec.floats_in, count * spec.floats_out)
        return into, out.reshape(spec.slots, spec.depth, *spec.outputs)


def _put(into: memoryview, data: bytes) -> None:
    into[:] = data + bytes(len(into) - len(data))


def tag(epoch: int, hop: int) -> int:
    """The tag of a hop in a ring: bits of the epoch's number, then the hop's."""
    return (epoch & EPOCHS) << HOP_BITS | hop


class Arena:
    """The mapping: a header, the table of workers, and their rings."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.map = mmap.mmap(fd, ARENA_BYTES)
        self._header = memoryview(self.map)[:_HEADER].cast("q")
        self._kinds = memoryview(self.map)[_KINDS_AT : _KINDS_AT + MAX_KINDS * _KIND]
        self.entries = [WorkerEntry(self, number) for number in range(MAX_WORKERS)]

    def __reduce__(self) -> Any:
        return Arena, (self.fd,)  # the same mapping, in a process that has the descriptor

    @staticmethod
    def create(hang_ns: int) -> Arena:
        """Creates an arena with an inheritable descriptor. `hang_ns`: see the property."""
        arena = Arena(anonymous_file("antiphon-workers", ARENA_BYTES))
        arena._header[0] = hang_ns
        for kind in FIRST_KINDS:
            arena.place_of(kind)
        return arena

    @property
    def hang_ns(self) -> int:
        """Time without an answer, ns, after which a worker with pending hops is killed."""
        return self._header[0]

    def place_of(self, kind: str) -> int:
        """Index into `Bells.zygotes` of a kind of zygote; a new kind, requested by the loader, gets the next one."""
        name = kind.encode()
        if not 0 < len(name) < _KIND:
            raise WorkerError(f"a zygote is called {kind!r}; 1 to {_KIND - 1} bytes are allowed")
        for place in range(MAX_KINDS):
            at = self._kinds[place * _KIND : (place + 1) * _KIND]
            there = bytes(at).rstrip(b"\0")
            if not there:
                _put(at, name)
            if there in (b"", name):
                return place
        raise WorkerError(f"there are {MAX_KINDS} kinds of zygotes already, and {kind!r} would be another")

    def data(self, worker: int, first: int, count: int) -> Samples:
        if (first + count) * 4 > DATA_BYTES:
            raise WorkerError(f"a worker's hops take more than {DATA_BYTES >> 20} MB; fewer slots or shorter hops")
        at = _BASE + worker * DATA_BYTES + first * 4
        return np.frombuffer(memoryview(self.map)[at : at + count * 4], np.float32)
