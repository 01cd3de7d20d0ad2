"""`SuperCollider`: the synth backend whose voices are scsynth's, exact to the sample.

A hop's events go to scsynth at once, with the frame of the clock they are meant for; the answer of hop k is what
scsynth gave for hop k - `delay`. Between the engine's samples and the clock's frames lies one constant: whatever
JACK, scsynth or the scheduler do on the way, a note is at its sample in what comes back or it is counted.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from antiphon.block import Samples
from antiphon.errors import EngineError
from antiphon.processor import Event
from antiphon.synth.backend import SynthSettings
from antiphon.synth.sc.keeper import FIRST_GROUP, FIRST_NODE, Counts, Keeper
from antiphon.synth.sc.players import Player
from antiphon.synth.sc.timing import delay
from antiphon.synth.sc.wires import ECHO, Wires
from antiphon.synth.sounding import Sounding
from antiphon.wire import osc
from antiphon.workers.presence import Presence

JACK_SECONDS = 10.0
"""How long a worker waits for JACK: it may be starting again as well."""
WAIT_STEP = 0.0002
UNSTEADY = 4
"""Hops in a row that come at the wrong time before the constant is chosen anew."""


class SuperCollider:
    """rate, hop: of the stream; hop is to be JACK's block, or what it is called with has to be late by more.

    slots: nodes.  spare: a second scsynth stands ready.  restarts: deaths made good within a minute.
    Raises `EngineError` where scsynth or JACK is not there, or JACK runs at another rate.
    """

    name = "supercollider"
    rehearses = False

    def __init__(
        self, rate: int, hop: int, slots: int = 8, spare: bool = True, restarts: int = 3, wait: float = JACK_SECONDS
    ) -> None:
        self._wires = Wires(f"antiphon-scsynth-wires-{os.getpid()}", slots, wait)
        if self._wires.rate != rate:
            self._wires.close()
            raise EngineError(
                f"JACK runs at {self._wires.rate} Hz and the server at {rate}; start with --rate {self._wires.rate}"
            )
        self._rate, self._hop, self._block = rate, hop, self._wires.block
        self.delay = delay(rate, hop)
        # how far a hop's frames may be ahead of the clock's next one and its answer still have come
        self._latest = (self.delay - 1) * hop - self._block
        # a third of the room there is for sound that comes back late, the rest for notes that are told late
        room = self._latest - self._block
        self._aim = self._latest - max(1, round(0.35 * room / self._block)) * self._block
        if room < 2 * self._block:
            self._wires.close()
            raise EngineError(f"JACK's blocks of {self._block} frames are too long for hops of {hop}; raise --block")
        try:
            self.keeper = Keeper(self._wires, slots, spare=bool(spare), restarts=restarts)
        except BaseException:
            self._wires.close()
            raise
        self._nodes = count(FIRST_NODE)
        self._players: list[Player | None] = [None] * slots
        self._sounding = [Sounding() for _ in range(slots)]
        self._known = [0] * slots
        self._messages: list[tuple[int, bytes]] = []
        self._presence = [Presence(2, hop, rate) for _ in range(slots)]
        self._answer: Samples = np.zeros((2, hop), np.float32)
        self._frames = [0] * slots
        self._constants: deque[tuple[int, int]] = deque(maxlen=32)
        self._unsteady = 0
        self._looked = -1

    def follow(self, words: memoryview, refuse: Callable[[str, bool], None]) -> None:
        """The keeper writes its counts into a worker's words, and ends the worker when it has to give up."""
        self.keeper.follow(words, refuse)

    @property
    def counts(self) -> Counts:
        return self.keeper.counts

    def open(self, slot: int, settings: SynthSettings) -> None:
        self.close(slot)
        self._players[slot] = Player(
            settings, self._rate, FIRST_GROUP + slot, ECHO + 2 * slot, self.keeper.outputs, self._nodes
        )
        self._sounding[slot].clear()
        self._presence[slot].clear()
        self._known[slot] = self.keeper.generation

    def close(self, slot: int) -> None:
        if self._players[slot] is not None:
            self._players[slot] = None
            self.keeper.send([(0, osc.encode("/n_set", FIRST_GROUP + slot, "gate", -1.0))])

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        player = self._players[slot]
        if player is None:
            return
        self._bring_out_your_dead()
        frame = sample + self._aligned(sample)
        behind = sample - self.delay * self._hop
        self._frames[slot] = behind + self._constant_at(behind)
        sounding, generation = self._sounding[slot], self.keeper.generation
        if generation != self._known[slot]:
            self._known[slot] = generation
            player.forget()
            again = sounding.again(sample)
            sounding.follow(sample, events)
            events = [*again, *events]
        elif events:
            sounding.follow(sample, events)
        if events:
            counter = self._wires.counter
            # made at the beginning of JACK's next cycle, a voice hears frames after the first of it
            self.keeper.counts.late += sum(
                e.kind == "on" and not e.live and not e.age and frame + e.offset <= counter for e in events
            )
            player.play(events, frame, counter, self._note)
            self.keeper.send(self._messages)
            self._messages.clear()

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        self.keeper.flush()
        # the engine wants its answer a hop from now
        until = time.monotonic() + 0.25 * self._hop / self._rate
        for slot in np.flatnonzero(active):
            if self._players[slot] is None:
                out[slot] = 0.0
                continue
            frame = self._frames[slot]
            there = self._wires.read(frame, int(slot), self._answer)
            while not there and time.monotonic() < until and frame + self._hop > self._wires.came:
                time.sleep(WAIT_STEP)
                there = self._wires.read(frame, int(slot), self._answer)
            self.keeper.counts.unheard += not there
            self._presence[slot].play(self._answer if there else None, None, out[slot])

    def shut(self) -> None:
        """Ends scsynth and the client."""
        self.keeper.close()
        self._wires.close()

    def _note(self, node: int, packet: bytes) -> None:
        self._messages.append((node, packet))

    def _bring_out_your_dead(self) -> None:
        ended = self.keeper.ended
        while ended:
            node = ended.popleft()
            for player in self._players:
                if player is not None:
                    player.ended(node)

    def _aligned(self, sample: int) -> int:
        """Frames of the clock minus the engine's samples: the same from hop to hop, unless time itself has moved.

        A hop's frames have to be so far ahead that a voice is made before its frame, and its answer so far behind
        that it has come. Where that does not hold for some hops, the constant is chosen anew, in whole blocks.
        """
        counter = self._wires.counter
        if self._constants:
            if sample <= self._looked:
                return self._constants[-1][1]
            self._looked = sample
            constant = self._constants[-1][1]
            if self._block <= sample + constant - counter <= self._latest:
                self._unsteady = 0
                return constant
            self._unsteady += 1
            if self._unsteady < UNSTEADY:
                return constant
            self.keeper.counts.moved += 1
        self._unsteady = 0
        self._looked = sample
        self._constants.append((sample, counter + self._aim - sample))
        return self._constants[-1][1]

    def _constant_at(self, sample: int) -> int:
        """What held when the hop that begins at `sample` was told: its notes are where that puts them."""
        for first, constant in reversed(self._constants):
            if first <= sample:
                return constant
        return self._constants[0][1]
