"""The shared memory that the engine, the zygotes and their workers meet in, and the bells beside it.

A table of workers; each has slots, each slot a ring of hops in and a ring of hops out, tagged with epoch and
hop number. A word has one writer; data is written before the tag that publishes it (x86-64 keeps that order).
Whatever dies, what is wanted stands here: a new engine, zygote or worker reads it and goes on.
"""

from __future__ import annotations

import mmap
import os
import time
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from antiphon.contract.block import Samples
from antiphon.errors import WorkerError
from antiphon.workers.spec import MAX_SLOTS, MAX_SPEC_BYTES, WorkerSpec

MAX_WORKERS = 12
MAX_DEPTH = 64
DATA_BYTES = 32 << 20
"""Of one worker's rings; only what is used takes memory."""
MAX_KINDS = 8
"""Kinds of zygotes in one arena: every kind has a bell, and bells are made before the first process."""
FIRST_KINDS = ("torch", "none")
"""Kinds that have the first places; the others come in the order in which a worker first asks for one."""
OWN_WORDS = 16
"""Words of each worker whose meaning is its stepper's."""
_WORDS = 64
_SLOT_WORDS = 16
_TEXT = 512
_CONFIG = 4096


class State(IntEnum):
    """Of a worker, as its zygote says it."""

    NONE = 0
    STARTING = 1
    RUNNING = 2
    RESTARTING = 3
    QUARANTINED = 4
    REFUSED = 5
    WAITING = 6  # what it plays by did not answer the last; another may be asking


class WorkerWord(IntEnum):
    """Of one worker. E: written by the engine, Z: by the zygote, W: by the worker."""

    WANTED = 0  # E: some slot is open
    LEFT_NS = 1  # E: CLOCK_MONOTONIC when the last slot was closed
    RETRY = 2  # E: counts the times somebody asked to try again
    BLAMED = 3  # E: the generation that gave what cannot be played
    WAITING = 4  # E: the answer bell is listened to
    CHANGES = 5  # E: when slots were last opened, closed or begun anew
    EXPRESS_WRITE = 6  # control: events it was sent by the short way
    STATE = 8  # Z
    PID = 9  # Z
    GENERATION = 10  # Z: of the process
    RESTARTS = 11  # Z
    RETRIED = 12  # Z: RETRY as last answered
    DIED_NS = 13  # Z: when the last death was noticed
    STARTED_NS = 14  # Z
    DONE = 24  # W: hops done
    READY_NS = 25  # W: when it was warm
    HOP_P50_NS = 26  # W: measured at its start, all slots at work
    HOP_P99_NS = 27  # W
    CUDA = 28  # W: 1 on a GPU
    HOP_NS = 29  # W: what a hop costs at work, smoothed
    TAKES = 30  # W: 1 where it takes events by the short way
    EXPRESS_READ = 31  # W: of them, those it has read
    OWN = 40  # W: the first of OWN_WORDS that the stepper alone writes, and says the meaning of


class SlotWord(IntEnum):
    """Of one slot."""

    OPEN = 0  # E: serial of the stream, 0 free
    NODE = 1  # E: number of the node it is for
    FIRST = 2  # E: first hop of the epoch
    BORN = 3  # E: generation of the worker the epoch began with
    EPOCH = 4  # E: written after FIRST and BORN
    POSTED = 5  # E: hop after the last one posted
    MISSES = 6  # E: hops not there in time
    READY = 8  # W: OPEN, once the stream is prepared
    CURSOR = 9  # W: the hop to be done next
    SEEN = 10  # W: the epoch that CURSOR belongs to


EXPRESS = 256
EXPRESS_BYTES = 40
"""Events that wait for a worker on the short way, and bytes of each."""
_PER_WORKER = EXPRESS * EXPRESS_BYTES + (
    _WORDS * 8 + MAX_SPEC_BYTES + _TEXT + MAX_SLOTS * (_SLOT_WORDS * 8 + _CONFIG) + 2 * MAX_SLOTS * MAX_DEPTH * 8
)
_HEADER = 4096
_KINDS_AT = 512
"""Byte of the header at which the names of the kinds begin, `_KIND` bytes each."""
_KIND = 64
_BASE = _HEADER + -(-MAX_WORKERS * _PER_WORKER // 4096) * 4096
ARENA_BYTES = _BASE + MAX_WORKERS * DATA_BYTES


@dataclass(frozen=True, slots=True)
class Bells:
    """Event descriptors, inherited by all. keeper: whoever starts zygotes.  zygotes: by `Arena.place_of`.

    wake, answer: one each a worker.
    """

    keeper: int
    zygotes: tuple[int, ...]
    wake: tuple[int, ...]
    answer: tuple[int, ...]

    @staticmethod
    def make() -> Bells:
        def bell(flags: int = os.EFD_NONBLOCK) -> int:
            fd = os.eventfd(0, flags)
            os.set_inheritable(fd, True)
            return fd

        return Bells(
            bell(), tuple(bell() for _ in range(MAX_KINDS)),
            tuple(bell(0) for _ in range(MAX_WORKERS)), tuple(bell() for _ in range(MAX_WORKERS)),
        )  # fmt: skip

    def fds(self) -> tuple[int, ...]:
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
    """One worker's place in the table."""

    def __init__(self, arena: Arena, number: int) -> None:
        self.arena, self.number = arena, number
        view, at = memoryview(arena.map), _HEADER + number * _PER_WORKER

        def take(size: int) -> memoryview:
            nonlocal at
            part = view[at : at + size]
            at += size
            return part

        self.words = take(_WORDS * 8).cast("q")
        self._spec, self._reason = take(MAX_SPEC_BYTES), take(_TEXT)
        slots = take(MAX_SLOTS * _SLOT_WORDS * 8)
        self.slots: NDArray[np.int64] = np.frombuffer(slots, np.int64).reshape(MAX_SLOTS, _SLOT_WORDS)
        self.slot_words = slots.cast("q")
        self._configs = take(MAX_SLOTS * _CONFIG)
        tags = MAX_SLOTS * MAX_DEPTH * 8
        self.tags_in, self.tags_out = take(tags).cast("q"), take(tags).cast("q")
        self.express = take(EXPRESS * EXPRESS_BYTES)

    @property
    def state(self) -> State:
        return State(self.words[WorkerWord.STATE])

    def slot(self, number: int, word: SlotWord) -> int:
        return self.slot_words[number * _SLOT_WORDS + word]

    def set_slot(self, number: int, word: SlotWord, value: int) -> None:
        self.slot_words[number * _SLOT_WORDS + word] = value

    def change(self) -> None:
        """Slots were opened, closed or begun anew: the worker is to look."""
        # two threads say so: a count could come out the same for both
        self.words[WorkerWord.CHANGES] = time.monotonic_ns()

    def spec(self) -> WorkerSpec:
        return WorkerSpec.from_json(self.spec_bytes)

    @property
    def kind(self) -> str:
        """The zygote its spec names; "" while it is being written."""
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
        """Why it last died, or does not run."""
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
        """Float32 `[slots, depth, *inputs]` and `[slots, depth, *outputs]`. `WorkerError` when there is no room."""
        for what, asked, most in (("slots", spec.slots, MAX_SLOTS), ("hops in a ring", spec.depth, MAX_DEPTH)):
            if not 1 <= asked <= most:
                raise WorkerError(f"the worker {spec.name} asks for {asked} {what}; 1 to {most} are allowed")
        count = spec.slots * spec.depth
        into = self.arena.data(self.number, 0, count * spec.floats_in).reshape(spec.slots, spec.depth, *spec.inputs)
        out = self.arena.data(self.number, count * spec.floats_in, count * spec.floats_out)
        return into, out.reshape(spec.slots, spec.depth, *spec.outputs)


def _put(into: memoryview, data: bytes) -> None:
    into[:] = data + bytes(len(into) - len(data))


def tag(epoch: int, hop: int) -> int:
    return (epoch & 0x3FFFFF) << 40 | hop


class Arena:
    """The mapping. Its header: one word, ns a worker may take for a hop before it is killed; the kinds of zygotes."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.map = mmap.mmap(fd, ARENA_BYTES)
        self._header = memoryview(self.map)[:_HEADER].cast("q")
        self._kinds = memoryview(self.map)[_KINDS_AT : _KINDS_AT + MAX_KINDS * _KIND]
        self.entries = [WorkerEntry(self, number) for number in range(MAX_WORKERS)]

    @staticmethod
    def create(hang_ns: int) -> Arena:
        """A new one, anonymous; its descriptor is inheritable."""
        fd = os.memfd_create("antiphon-workers", 0)
        os.ftruncate(fd, ARENA_BYTES)
        os.set_inheritable(fd, True)
        made = Arena(fd)
        made._header[0] = hang_ns
        for kind in FIRST_KINDS:
            made.place_of(kind)
        return made

    @property
    def hang_ns(self) -> int:
        return self._header[0]

    def place_of(self, kind: str) -> int:
        """Which bell of `Bells.zygotes` a kind of zygote has: the engine's loader gives a new kind the next place.

        Raises:
            WorkerError: There are `MAX_KINDS` others already, or the name is too long.
        """
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
