"""A zygote and an engine's pool over one arena, without the engine."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from tests.waiting import until
from tests.workers.steppers import HERE, HOP

from antiphon.kernel.workers.arena import Arena, Bells, State, WorkerWord
from antiphon.kernel.workers.pool import HopStart, Pool, WorkerStream
from antiphon.kernel.workers.zygote import HANG
from antiphon.networks.lockstep import spawn
from antiphon.testing import noise

PATIENCE = 60.0


class Rig:
    """pool: of the engine that begun last.  zygote: the pid of the one that was started last.

    imports: what the zygote imports, so that no worker does.
    """

    def __init__(self, hang: int = HANG, imports: str = HERE) -> None:
        self.arena, self.bells, self._imports = Arena.create(hang), Bells.make(), imports
        self.lifeline = -1
        self.start()
        self.pool = Pool(self.arena, self.bells)

    def start(self) -> None:
        if self.lifeline >= 0:
            os.close(self.lifeline)
        self.zygote, self.lifeline = spawn("none", self.arena, self.bells, self._imports)

    def open(self, spec, config: str = "", node: int = 0) -> WorkerStream:
        stream = self.pool.open(spec, config, node)
        until(self.pool.is_settled, PATIENCE, "the worker is ready")
        return stream

    def patient(self, seconds: float = PATIENCE) -> None:
        """How long a coming `take` may wait."""
        self.pool.until_ns = time.monotonic_ns() + int(seconds * 1e9)

    def clear(self) -> None:
        """Lets go of everything, as if its workers had been idle for a minute."""
        self.pool.shut()
        for entry in self.arena.entries:
            entry.words[WorkerWord.LEFT_NS] -= 60_000_000_000
        self.pool.call_zygote(self.arena.entries[0])
        until(lambda: not any(e.words[WorkerWord.STATE] for e in self.arena.entries), PATIENCE, "idle workers end")

    def close(self) -> None:
        self.pool.shut()
        if self.lifeline >= 0:
            os.close(self.lifeline)
        os.waitpid(self.zygote, 0)
        self.bells.close()
        os.close(self.arena.fd)


def hops(count: int, seed: int = 1) -> np.ndarray:
    """Noise `[count, 1, HOP]`."""
    return noise(count * HOP, seed=seed).reshape(count, 1, HOP)


def put(stream: WorkerStream, hop: int, x: np.ndarray) -> HopStart:
    """Posts it; what `start` said."""
    started = stream.start(hop)
    if started is not HopStart.NO_WORKER:
        stream.input(hop)[:] = x
        stream.post(hop)
        stream._pool.flush()
    return started


def through(rig: Rig, stream: WorkerStream, first: int, x: np.ndarray) -> list[np.ndarray | None]:
    """Hops `first`, … posted and taken one by one."""
    said = []
    for n, sound in enumerate(x, first):
        put(stream, n, sound)
        rig.patient()
        given = stream.take(n)
        said.append(None if given is None else given.copy())
    return said


def words(stream: WorkerStream) -> memoryview:
    return stream.entry.words


def runs(stream: WorkerStream) -> None:
    """Waits until its worker is (again) at work."""
    until(stream.runs, PATIENCE, f"the worker runs: {stream.entry.state.name} {stream.entry.reason}")


def pid(stream: WorkerStream) -> int:
    return int(words(stream)[WorkerWord.PID])


def kill(stream: WorkerStream, number: int = signal.SIGKILL) -> None:
    """A signal to its worker, and until its death has been noticed."""
    generation = words(stream)[WorkerWord.GENERATION]
    assert pid(stream) > 0, "no process of its own: 0 is the group of the tests"
    os.kill(pid(stream), number)

    def noticed() -> bool:
        return words(stream)[WorkerWord.GENERATION] != generation or words(stream)[WorkerWord.STATE] != State.RUNNING

    until(noticed, PATIENCE, "the death is noticed")


def gone(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def stopped(number: int) -> bool:
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def stop_before_three(rig: Rig, stream: WorkerStream, x: np.ndarray) -> None:
    """Plays hops 0 to 4 of `x`, stops the worker, and sends it hops 5 to 7."""
    through(rig, stream, 0, x[:5])
    os.kill(pid(stream), signal.SIGSTOP)
    until(lambda: stopped(pid(stream)), 5, "stopped")
    for n in (5, 6, 7):
        assert put(stream, n, x[n]) is HopStart.CONTINUES
