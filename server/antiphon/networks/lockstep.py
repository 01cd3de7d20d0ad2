"""The worker pool of a process that computes files: it waits for every answer. The engine installs a live pool instead.

`current()` is the process-wide pool, created at its first use; a check of a processor has none.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import WorkerError, WorkerLost, WorkersFull
from antiphon.kernel.runtime.processes.scheduling import StallTimeout
from antiphon.kernel.workers import devices
from antiphon.kernel.workers.arena import MAX_DEPTH, Arena, Bells, State, WorkerEntry, WorkerWord, tag
from antiphon.kernel.workers.devices import CONTEXT as _context, HERE as _here, Device
from antiphon.kernel.workers.hop_kernels import EpochWord, hop_continues
from antiphon.kernel.workers.pool import HopStart, Pool, WorkerStream
from antiphon.kernel.workers.spec import WorkerSpec

HANG_NS = 30_000_000_000
"""Time without an answer, ns, after which a worker is killed."""
_GIVEN_UP_NS = 1_000_000_000
"""Maximum wait in ns of a replay for an answer that was missing live, as for a hop that crashes every worker."""
START_SECONDS = 60.0
"""Timeout in seconds for a worker's start, for `StallTimeout`; a failed start is noticed at once."""
LOOK_SECONDS = 0.1
"""Seconds between checks of the zygote during a wait for an answer."""
_making = threading.Lock()


class LockstepStream(WorkerStream):
    """A stream that waits for every answer, without a timeout."""

    lockstep = True
    _pool: Lockstep

    def __init__(self, pool: Lockstep, entry: WorkerEntry, slot: int, spec: WorkerSpec, serial: int) -> None:
        super().__init__(pool, entry, slot, spec, serial)
        # (number, first hop) of earlier epochs: a replay may take answers of several
        self._past: deque[tuple[int, int]] = deque(maxlen=MAX_DEPTH)

    def start(self, hop: int, wait: bool = True) -> HopStart:
        """Does what `WorkerStream.start` does; if it may wait, a replay waits for a restarted worker."""
        own = self._own
        if self.runs():
            if not own[EpochWord.BROKEN] and hop_continues.call(self._lane, hop, 0):
                return HopStart.CONTINUES
            ended = not self._finished()
        else:
            ended, own[EpochWord.BROKEN] = True, 1
        if ended and not (wait and self._pool.restart_failed_worker(self)):
            return HopStart.NO_WORKER
        self._begin(hop)
        return HopStart.BEGINS

    def _finished(self) -> bool:
        """Waits for the answers of the present epoch before a new one begins. Returns False when the worker ended."""
        own = self._own
        last = own[EpochWord.POSTED] - 1
        if last >= own[EpochWord.FIRST] and own[EpochWord.BORN] == self._words[WorkerWord.GENERATION]:
            self._wait(last % self._depth, tag(own[EpochWord.EPOCH], last), time.monotonic_ns() + _GIVEN_UP_NS)
        return self.runs()

    def _begin(self, hop: int) -> None:
        self._past.append((self._own[EpochWord.EPOCH], self._own[EpochWord.FIRST]))
        super()._begin(hop)

    def take(self, hop: int, needed: bool = True) -> Samples | None:
        """Waits for an answer without a timeout; for an unneeded one, up to `_GIVEN_UP_NS`, to keep the state.

        Raises WorkerLost: a needed answer is permanently missing.
        """
        own = self._own
        new, place = hop >= own[EpochWord.FIRST], hop % self._depth
        wanted = tag(own[EpochWord.EPOCH] if new else self._epoch_of(hop), hop)
        until = self._pool.until_ns if needed else time.monotonic_ns() + _GIVEN_UP_NS
        comes = new and hop < own[EpochWord.POSTED]
        if self._tags_out[place] == wanted or (comes and self._wait(place, wanted, until)):
            answer: Samples = self._out[place]
            return answer
        if needed:
            reason = self.entry.reason or "has ended"
            raise WorkerLost(f"the worker {self.spec.name} {reason}; the work ends where its answer is missing")
        if comes and not own[EpochWord.BROKEN]:
            self.blame()
        self._missed()
        return None

    def _epoch_of(self, hop: int) -> int:
        """Number of the last epoch whose first hop is not after `hop`."""
        return next((epoch for epoch, first in reversed(self._past) if first <= hop), 0)


class Lockstep(Pool):
    """Pool for files: it waits for every answer, and starts its zygotes as child processes."""

    lockstep = True
    stream_class = LockstepStream

    def __init__(self) -> None:
        super().__init__(Arena.create(HANG_NS), Bells.make(), devices.resolve(_context.asked))
        self.until_ns = 1 << 62
        self._lifelines: dict[str, tuple[int, int]] = {}
        self._looked = 0.0
        self._shut = False
        self._opening = threading.Lock()
        atexit.register(self.shut)

    def open(self, spec: WorkerSpec, config: str = "", node: int = 0) -> WorkerStream:
        """Opens a stream and waits until its worker is ready."""
        with self._opening:  # two threads would start a zygote each, and take one slot for both of their streams
            if spec.zygote not in self._lifelines:
                self._lifelines[spec.zygote] = spawn(spec.zygote, self.arena, self.bells, spec.imports)
            stream = super().open(spec, config, node)
        try:
            if not self._wait_ready(stream) and not _here.replaying:
                raise WorkerError(f"the worker {spec.name} does not start: {stream.entry.reason}")
        except WorkerError:
            stream.close()
            raise
        return stream

    def _entry(self, spec: WorkerSpec) -> WorkerEntry:
        """Entry as in `Pool`. If all are taken, some by workers without streams, waits until one of these has ended."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return super()._entry(spec)
            except WorkersFull:
                wanted = all(entry.words[WorkerWord.WANTED] for entry in self.arena.entries)
                if wanted or time.monotonic() > deadline:
                    raise
            for zygote in tuple(self._lifelines):
                self._look(zygote)
            time.sleep(0.001)

    def _wait_ready(self, stream: WorkerStream) -> bool:
        """Waits until a stream's worker has prepared it. Returns False when the worker has failed for good."""
        patience, words = StallTimeout(START_SECONDS), stream.entry.words
        while not stream.runs():
            if stream.entry.state in (State.QUARANTINED, State.REFUSED):
                return False
            if patience.has_expired(0 if stream.entry.state == State.WAITING else words[WorkerWord.PID]):
                raise WorkerLost(f"the worker {stream.spec.name} did not get ready in {START_SECONDS:g} s")
            self._look(stream.spec.zygote)
            time.sleep(0.001)
        return True

    def restart_failed_worker(self, stream: WorkerStream) -> bool:
        """Restarts a worker in a replay after any number of failures, which may follow faster than they did live."""
        if not _here.replaying:
            return False
        if stream.entry.state == State.QUARANTINED:
            stream.retry()
            while stream.entry.state == State.QUARANTINED:
                self._look(stream.spec.zygote)
                time.sleep(0.001)
        return self._wait_ready(stream)

    def _look(self, kind: str) -> None:
        """Raises WorkerLost if the zygote has ended: a file command has no supervisor to restart it."""
        if kind in self._lifelines and os.waitpid(self._lifelines[kind][0], os.WNOHANG)[0]:
            os.close(self._lifelines.pop(kind)[1])
        if kind not in self._lifelines:
            raise WorkerLost(f"the parent process of the workers ({kind}) has ended; start the command again")

    def wait_answer(self, worker: int, milliseconds: float) -> None:
        """Waits for a worker's answer, and checks at intervals that its zygote still runs."""
        super().wait_answer(worker, milliseconds)
        now = time.monotonic()
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._look(self.arena.entries[worker].spec().zygote)

    def shut(self) -> None:
        """Closes all streams, ends the zygotes and closes the descriptors; the pool cannot be used afterwards."""
        if self._shut:
            return
        self._shut = True
        super().shut()
        for pid, lifeline in self._lifelines.values():
            os.close(lifeline)
            os.waitpid(pid, 0)
        self._lifelines.clear()
        self.bells.close()
        os.close(self.arena.fd)
        atexit.unregister(self.shut)


def spawn(kind: str, arena: Arena, bells: Bells, imports: str = "") -> tuple[int, int]:
    """Starts a zygote as a child process; returns its pid, and a descriptor that ends it when closed."""
    from antiphon.kernel.workers.zygote import start  # the engine imports this module, and starts none

    read, write = os.pipe()
    pid = start(kind, arena, bells, imports, read)
    os.close(read)
    return pid, write


def current() -> Pool | None:
    """Returns the process-wide pool, which opens streams. Off the block path.

    `pool.open(spec, config="", node=0)` returns a `WorkerStream`, a slot of a worker for `spec`, a `WorkerSpec`. The
    worker is started if there is none, and may not be ready yet. `config` is the stream's own text for `Stepper.open`,
    `node` the processor's `node`. `pool.lockstep` is True while a file is computed, when streams wait for every answer.
    Returns None while a declaration is only checked, so that no worker is started. Raises WorkerError: on Windows.
    """
    if _here.disabled:
        return None
    if _context.pool is None:
        if sys.platform == "win32":
            raise WorkerError("workers need a POSIX system; on Windows models and synths cannot be played yet")
        with _making:
            if _context.pool is None:
                _context.pool = Lockstep()
    made: Pool = _context.pool
    return made


def inline_device() -> Device | None:
    """Device for a processor that computes inline by its own choice; None during a check."""
    here = current()
    return _here.weighed if here is None else here.device


@contextlib.contextmanager
def replaying() -> Iterator[None]:
    """Context of a replay, in which a worker's end raises no error, since the log says which answers were missing."""
    before, _here.replaying = _here.replaying, True
    try:
        yield
    finally:
        _here.replaying = before
