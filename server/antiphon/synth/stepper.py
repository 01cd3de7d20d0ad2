"""A synth backend as a worker's work: hops of packed events in, hops of sound out."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from antiphon.contract.block import Samples
from antiphon.contract.processor import Event
from antiphon.runtime.importing import named
from antiphon.synth.backend import SynthBackend, SynthSettings, unpack
from antiphon.workers.spec import WorkerSpec

WARM_HOPS = 50


class SynthStepper:
    """Slots are synth nodes; a stream's config is its `SynthSettings` as JSON, "" for one that plays nothing."""

    def __init__(self, spec: WorkerSpec) -> None:
        given = dict(spec.settings)
        self._backend: SynthBackend = named(str(given.pop("backend")))(spec.rate, spec.hop, spec.slots, **given)
        self._open: dict[int, SynthSettings] = {}
        self._active = np.zeros(spec.slots, np.bool_)
        self._spec = spec

    def attach(self, words: memoryview, refuse: Callable[[str, bool], None]) -> None:
        """Where a backend that plays by another process writes how that is, and what ends the worker for good."""
        follow = getattr(self._backend, "follow", None)
        if follow is not None:
            follow(words, refuse)

    def listen(self, hear: Callable[[], None]) -> bool:
        """Whether the backend plays events ahead of their hop; then it calls `hear` where it waits."""
        if not hasattr(self._backend, "hurry"):
            return False
        self._backend.meanwhile = hear  # type: ignore[attr-defined]
        return True

    def hurry(self, slot: int, event: Event) -> None:
        """An event that the slot's coming hops will hold as well."""
        if slot in self._open:
            self._backend.hurry(slot, event)  # type: ignore[attr-defined]

    def warm(self) -> None:
        """Plays a chord in the first slot, which loads what has to be loaded."""
        if not self._backend.rehearses:
            return
        spec = self._spec
        out = np.zeros((spec.slots, 2, spec.hop), np.float32)
        self.open(0, json.dumps(SynthSettings().to_json()))
        self._active[0] = True
        notes = [Event("on", 0, note, 0.5) for note in (48, 60, 64, 72)]
        for hop in range(WARM_HOPS):
            self._backend.play(0, hop * spec.hop, notes if hop == 0 else [])
            self._backend.render(out, self._active)
        self.close(0)
        self._active[0] = False

    def open(self, slot: int, config: str) -> None:
        if config:
            self._open[slot] = SynthSettings(**json.loads(config))
            self._backend.open(slot, self._open[slot])

    def close(self, slot: int) -> None:
        if self._open.pop(slot, None) is not None:
            self._backend.close(slot)

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        for slot, hop in enumerate(hops.tolist()):
            self._active[slot] = hop >= 0 and slot in self._open
            if self._active[slot]:
                sample, events = unpack(x[slot])
                self._backend.play(slot, sample, events)
            elif hop >= 0:
                y[slot] = 0.0
        self._backend.render(y, self._active)
