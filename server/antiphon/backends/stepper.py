"""Synth backend as a worker's stepper: hops of packed events in, hops of sound out."""

import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from antiphon.backends.backend import SynthBackend, SynthSettings, unpack
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.event import Event
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.workers.spec import WorkerSpec

WARM_HOPS = 50
REHEARSAL = "bass"
"""Instrument played by `warm`: the smallest of those every backend plays."""


class SynthStepper:
    """`Stepper` of a synth's worker: unpacks each hop's events for a `SynthBackend`.

    A slot is a synth node. A stream's config is the node's `SynthSettings` as JSON; "" for a stream that stays silent.

    A backend may have methods beyond `SynthBackend`. `follow(words, refuse)` gets the arguments of `attach`.
    `hurry(slot, event)` plays an event before its hop; a backend with it has an attribute `meanwhile` as well, set to
    the function given to `listen`. `preload(settings)` is that of `Stepper`, with settings. `spec`: the worker's spec.
    `settings["backend"]` is "module:Name" of the backend, the other settings are its arguments.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        given = dict(spec.settings)
        self._backend: SynthBackend = import_object(str(given.pop("backend")))(spec.rate, spec.hop, spec.slots, **given)
        self._open: dict[int, SynthSettings] = {}
        self._active = np.zeros(spec.slots, np.bool_)
        self._spec = spec

    def attach(self, words: memoryview, refuse: Callable[[str, bool], None]) -> None:
        """Passes the worker's words to a backend with `follow`, which plays through another process.

        `words`: 16 integers in shared memory, which `WorkerSpec.describe` gets as `own`.
        """
        follow = getattr(self._backend, "follow", None)
        if follow is not None:
            follow(words, refuse)

    def listen(self, on_event: Callable[[], None]) -> bool:
        """Lets the backend play events before their hop; returns False if it cannot, for want of `hurry`.

        `on_event`: reads the events that have arrived, and calls `hurry` with each. The backend calls it as `meanwhile`
        where it blocks, so that an event need not stay unread for a hop.
        """
        if not hasattr(self._backend, "hurry"):
            return False
        self._backend.meanwhile = on_event  # type: ignore[attr-defined]
        return True

    def hurry(self, slot: int, event: Event) -> None:
        """Plays an event at once. A later hop of the slot contains it too, with the same serial."""
        if slot in self._open:
            self._backend.hurry(slot, event)  # type: ignore[attr-defined]

    def warm(self) -> None:
        """Plays a chord in the first slot if the backend `rehearses`, so that the first note loads nothing."""
        if not self._backend.rehearses:
            return
        spec = self._spec
        out = np.zeros((spec.slots, 2, spec.hop), np.float32)
        self.open(0, json.dumps(SynthSettings(REHEARSAL).to_json()))
        self._active[0] = True
        notes = [Event("on", 0, note, 0.5) for note in (48, 60, 64, 72)]
        for hop in range(WARM_HOPS):
            self._backend.play(0, hop * spec.hop, notes if hop == 0 else [])
            self._backend.render(out, self._active)
        self.close(0)
        self._active[0] = False

    def preload(self, config: str) -> Callable[[], None] | None:
        """Returns a function that loads a node's files in the background; None if nothing is missing."""
        preload = getattr(self._backend, "preload", None)
        if preload is None or not config:
            return None
        work: Callable[[], None] | None = preload(SynthSettings(**json.loads(config)))
        return work

    def open(self, slot: int, config: str) -> None:
        """Opens a node, silent."""
        if config:
            self._open[slot] = SynthSettings(**json.loads(config))
            self._backend.open(slot, self._open[slot])

    def close(self, slot: int) -> None:
        """Closes a node and its sound."""
        if self._open.pop(slot, None) is not None:
            self._backend.close(slot)

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        """Renders one hop of every slot that has one.

        `hops`: `[slots]`: each slot's hop number, or -1 where it has none. `x`: float32 `[slots, 257, 7]`: events as
        `backend.pack` packs them. `y`: float32 `[slots, 2, hop]`: the sound, to be filled in rows with a hop.
        """
        for slot, hop in enumerate(hops.tolist()):
            self._active[slot] = hop >= 0 and slot in self._open
            if self._active[slot]:
                sample, events = unpack(x[slot])
                self._backend.play(slot, sample, events)
            elif hop >= 0:
                y[slot] = 0.0
        self._backend.render(y, self._active)
