"""Steppers for real workers of kind "none": one that passes its input, one with a memory, and some that misbehave.

A worker imports them by name: `spec("Echo")`.
"""

import ctypes
import functools
import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass

import numpy as np

from antiphon.kernel.errors import Unanswered
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.networks.model_files import ModelError

HERE = "tests.workers.steppers"
HOP = 32


def spec(kind: str = "Echo", name: str = "test", **given) -> WorkerSpec:
    """A small worker of that class; given: fields of the spec."""
    shape = {"hop": HOP, "inputs": (1, HOP), "outputs": (1, HOP), "slots": 3, "memory": 64, **given}
    return WorkerSpec(name, f"{HERE}:{kind}", zygote="none", imports=HERE, **shape)


@dataclass(frozen=True)
class Model:
    """As a `ModelInfo`, of kind "none"."""

    kind: str = "Pole"
    hop: int = 32
    inputs: int = 1
    slots: int = 4
    latency: int = 0
    answer: int = 0
    rate: int = 48000
    name: str = "test"
    devices: tuple[str, ...] = ("cpu",)

    @property
    def outputs(self) -> int:
        return self.inputs

    def worker(self, device: str) -> WorkerSpec:
        shape = (self.inputs, self.hop)
        return spec(self.kind, self.name, hop=self.hop, inputs=shape, outputs=shape, slots=self.slots)


class Echo:
    def __init__(self, spec):
        self.spec = spec

    def warm(self):
        pass

    def open(self, slot, config):
        pass

    def close(self, slot):
        pass

    def step(self, hops, x, y):
        y[:] = x


class Pole(Echo):
    """Adds to each hop a part of where the one before ended: what it says hangs on all it has heard."""

    def __init__(self, spec):
        self.last, self.by = np.zeros(spec.slots), [0.9] * spec.slots

    def open(self, slot, config):
        self.last[slot] = 0.0
        self.by[slot] = json.loads(config)["by"] if config else 0.9

    def step(self, hops, x, y):
        for slot in np.flatnonzero(hops >= 0):
            y[slot], self.last[slot] = pole(x[slot], self.last[slot], self.by[slot])


def pole(x: np.ndarray, last: float, by: float = 0.9) -> tuple[np.ndarray, float]:
    """The same without a worker: a hop, float32 `[1, frames]`, and what it remembers."""
    y = x + np.float32(by * last)
    return y, float(y[0, -1])


class Tell(Echo):
    """Says in its first frames what it was given: the hop of every slot."""

    def step(self, hops, x, y):
        y[:] = 0.0
        y[:, 0, : len(hops)] = hops


class Poison(Pole):
    """As `Pole`, until a hop begins with one of these."""

    HANG, NAN, INF, SHAPE, RAISE, EXIT, LEAVE, MEMORY, SLEEP, CRASH = (float(n) for n in range(10, 20))

    def step(self, hops, x, y):
        super().step(hops, x, y)
        for slot in np.flatnonzero(hops >= 0):
            self.take(float(x[slot].flat[0]), y, slot)

    def take(self, code, y, slot):
        match code:
            case self.HANG:
                while True:
                    pass
            case self.NAN:
                y[slot, 0, 3] = np.nan
            case self.INF:
                y[slot, 0, -1] = -np.inf
            case self.SHAPE:
                y.shape = (-1,)
            case self.RAISE:
                raise RuntimeError("as I was told")
            case self.EXIT:
                os._exit(3)
            case self.LEAVE:
                sys.exit("leaving")
            case self.MEMORY:
                held = []
                while True:
                    held.append(np.empty(1 << 18))
            case self.SLEEP:
                time.sleep(0.05)  # it is late
            case self.CRASH:
                ctypes.string_at(0)


class Refused(Echo):
    def __init__(self, spec):
        raise ModelError("the weights of it are missing; run: antiphon models")


class Unmade(Echo):
    def __init__(self, spec):
        raise ValueError("no such kernel")


class Large(Echo):
    """Takes more than it may before it starts."""

    def __init__(self, spec):
        self.held = np.ones(spec.memory << 18)


class Unwarm(Echo):
    """Fails where it is measured."""

    def step(self, hops, x, y):
        y.shape = (-1,)


class Joins(Echo):
    """Plays by a file: nobody answers until it is there."""

    def __init__(self, spec):
        if not os.path.exists(spec.settings["by"]):
            raise Unanswered("nobody answers there")


class Stopped(Echo):
    """Stops its process, until there is a file that tells of it."""

    def __init__(self, spec):
        if not os.path.exists(spec.settings["by"]):
            with open(spec.settings["by"], "wb"):
                os.kill(os.getpid(), signal.SIGSTOP)


class Slow(Echo):
    """A stream named by a file cannot be opened before that file is there, which is waited for in another thread."""

    def __init__(self, spec):
        self.loaded, self.factor = {""}, [0.0] * spec.slots
        self.thread = self.by = threading.get_ident()

    def preload(self, config):
        return None if config in self.loaded else functools.partial(self.load, config)

    def load(self, config):
        while config and not os.path.exists(config):
            time.sleep(0.002)  # pytest, and with it `until`, is not in a worker
        if config.endswith("bad"):
            raise ValueError("that file is bad")
        self.loaded.add(config)
        self.by = threading.get_ident()

    def open(self, slot, config):
        if config not in self.loaded:
            self.load(config)
        self.factor[slot] = 2.0 if self.by != self.thread else 1.0

    def step(self, hops, x, y):
        for slot in np.flatnonzero(hops >= 0):
            y[slot] = self.factor[slot] * x[slot]
