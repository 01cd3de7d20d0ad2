"""A plugin for real servers: models whose workers pass the sound, and do what a code in it tells them to.

Copied into a server's folder of plugins under the name `faulty`, where the engine and the workers import it.
Node types: `mirror`, `past` (its answers hang on all it has heard), and one a word of `CODES`, each of which
heeds its own code alone.
"""

import os
import time
from dataclasses import dataclass

import numpy as np

from antiphon.kernel.contract.hookspecs import hookimpl
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.networks.model_client import ModelProcessor

HOP, RATE = 960, 48000
CODES = {
    word: np.float32(n * 1e-4) for n, word in enumerate(("hang", "nan", "shape", "memory", "raise", "exit", "sleep"), 1)
}
"""A frame that makes a worker misbehave so."""


class Echo:
    def __init__(self, spec):
        self.code = CODES.get(spec.settings["heeds"], -1.0)
        self.word = spec.settings["heeds"]

    def warm(self):
        pass

    def open(self, slot, config):
        pass

    def close(self, slot):
        pass

    def step(self, hops, x, y):
        y[:] = x
        for slot in np.flatnonzero(hops >= 0):
            if np.any(x[slot, 0] == self.code):
                self.misbehave(y, slot)

    def misbehave(self, y, slot):
        match self.word:
            case "hang":
                while True:
                    pass
            case "nan":
                y[slot, 0, 5] = np.nan
            case "shape":
                y.shape = (-1,)
            case "memory":
                held = []
                while True:
                    held.append(np.empty(1 << 18))
            case "raise":
                raise RuntimeError("as I was told")
            case "exit":
                os._exit(3)
            case "sleep":
                time.sleep(4.5 * HOP / RATE)  # it is late


class Past(Echo):
    """Its past is heard for seconds: a slow mean of the sound is taken from it."""

    def __init__(self, spec):
        super().__init__(spec)
        self.mean = np.zeros(spec.slots, np.float32)

    def open(self, slot, config):
        self.mean[slot] = 0.0

    def step(self, hops, x, y):
        for slot in np.flatnonzero(hops >= 0):
            self.mean[slot] = np.float32(0.98) * self.mean[slot] + np.float32(0.02) * x[slot, 0].mean()
            y[slot] = x[slot] - self.mean[slot]


@dataclass(frozen=True)
class Model:
    name: str
    stepper: str = "Echo"
    hop: int = HOP
    rate: int = RATE
    inputs: int = 1
    outputs: int = 1
    latency: int = 0
    devices: tuple[str, ...] = ("cpu",)
    answer: int = 0

    def worker(self, device):
        shape = (1, self.hop)
        return WorkerSpec(
            self.name,
            f"faulty:{self.stepper}",
            "none",
            self.hop,
            self.rate,
            shape,
            shape,
            4,
            memory=64,
            settings={"heeds": self.name},
        )


def node(name: str, stepper: str = "Echo") -> type[ModelProcessor]:
    return type(name.title(), (ModelProcessor,), {"model": Model(name, stepper), "rate": RATE})


@hookimpl
def antiphon_processors(register):
    for word in ("mirror", *CODES):
        register(word, node(word), "Passes its sound through a worker.")
    register("lost", node("lost", "Nowhere"), "Has a worker that does not start.")
    register("past", node("past", "Past"), "Takes a slow mean from its sound, in a worker.")
