"""Worker of one node `plugin`, the only process that loads the plugin's code during playback."""

from __future__ import annotations

import gc
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antiphon.api import AntiphonError, ParamError, Samples
from antiphon.api.backends.runtime import say
from antiphon.api.backends.synths import SharedPressure
from antiphon_host import states
from antiphon_host.catalogue import card_of
from antiphon_host.instance import HostedInstance, instance_of
from antiphon_host.midi import HEAD, unpack

if TYPE_CHECKING:  # its module has kernels, which each worker would compile
    from antiphon.api.backends.workers import WorkerSpec

WARM_HOPS = 8


class Hosted:
    """`Stepper` of one slot with a third-party plugin."""

    def __init__(self, spec: WorkerSpec) -> None:
        """Loads the plugin, an instance a copy. Raises ParamError: it cannot be made, or has changed since."""
        card = card_of(str(spec.settings["address"]))
        if len(card.controls) != spec.settings["controls"]:
            raise ParamError(f"{card.name} was changed since the patch was loaded; load the patch again")
        self._keys = [control.key for control in card.controls]
        self._card, self._spec = card, spec
        self._copies = self._make()
        self._rows = (card.ins + card.side) * len(self._copies)
        self._hop, self._notes = spec.hop, card.notes
        self._defaults: Samples = np.array([control.first for control in card.controls], np.float32)
        self._values = self._defaults.copy()  # with which a plugin begins by itself
        self._pressures = SharedPressure()
        self._played = False
        self._kept = 0.0
        self._state = self._broken = ""
        self._writing: Thread | None = None

    def _make(self) -> list[HostedInstance]:
        spec = self._spec
        try:
            return [instance_of(self._card, spec.rate, spec.hop) for _ in range(int(spec.settings["copies"]))]
        except ParamError as error:
            raise ParamError(f"{self._card.name} {error}") from None

    def warm(self) -> None:
        """Runs the plugin on silence."""
        for _ in range(WARM_HOPS):
            for copy in self._copies:
                copy.run([])
        self._played = True

    def open(self, slot: int, config: str) -> None:
        """Starts a stream in its initial state; controls stay until the first hop sets them. `config`: its name."""
        if not self._played and config == self._state:
            return
        self.close(slot)
        for copy in self._copies:
            copy.close()
        self._copies = []
        gc.collect()  # of instances, which hold themselves by what C calls; a worker collects nothing by itself
        # anew, since plugins clear their delay lines by `activate` and not what moves by itself
        self._copies = self._make()
        self._pressures.clear()
        values, self._values = self._values, self._defaults.copy()
        self._state, self._kept, self._played = config, 0.0, False
        if config:
            self._load(config)
        self._set(values)

    def _load(self, config: str) -> None:
        """Restores the state; an invalid file is never overwritten."""
        try:
            if state := states.read(config, self._card.address):
                self._values.fill(np.nan)  # a state may hold controls too; those of the node are what counts
                for copy in self._copies:
                    copy.load(state)
        except Exception as error:  # a file or a plugin may fail in any way
            if self._broken != config:
                self._say(f"not restored, and keep does not write over it: {error}")
            self._broken = config

    def close(self, slot: int) -> None:
        """Waits until the state is written; a closed slot gets no hops."""
        if self._writing is not None:
            self._writing.join()

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        """Computes a hop: sets the controls and events of hops that contain them, then runs the plugin."""
        if hops[0] < 0:
            return
        given, out, messages = x[0], y[0], []
        more = given[self._rows :].reshape(-1)
        if more[0] == 1.0:
            after = HEAD + len(self._keys)
            self._set(more[HEAD:after])
            if more[2] > self._kept and self._state not in (
                "",
                self._broken,
            ):  # by a new worker once more, which has just read the same
                self._kept = float(more[2])
                self._keep()
            if self._notes and more[1] > 0.0:
                messages = unpack(more[after:], int(more[1]), self._hop, self._pressures)
        at = to = 0
        for copy in self._copies:
            copy.x[...] = given[at : at + len(copy.x)]
            copy.run(messages)
            out[to : to + len(copy.y)] = copy.y
            at, to = at + len(copy.x), to + len(copy.y)
        self._played = True

    def _keep(self) -> None:
        """Writes the state in a thread, so that a slow disk does not block the sound."""
        state, before = self._copies[0].save(), self._writing

        def write() -> None:
            if before is not None:
                before.join()
            try:
                states.write(self._state, self._card.address, state)
            except (OSError, AntiphonError) as error:
                self._say(f"not kept: {error}")

        self._writing = Thread(target=write)
        self._writing.start()

    def _say(self, what: str) -> None:
        say(f"{self._card.name}: the state {self._state} is {what}")

    def _set(self, values: Samples) -> None:
        for n in np.flatnonzero(values != self._values).tolist():
            for copy in self._copies:
                copy.set(self._keys[n], float(values[n]))
        self._values[:] = values
