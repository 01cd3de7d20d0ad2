"""`SuperCollider`: the synth backend whose voices are scsynth's, exact to the sample.

A hop's events go to scsynth at once, with the frame of the clock they are meant for; the answer of hop k is what
scsynth gave for hop k - `delay`. Between the engine's samples and the clock's frames lies one constant: whatever
JACK, scsynth or the scheduler do on the way, a note is at its sample in what comes back or it is counted.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from antiphon.api import EngineError, Event, Samples, osc
from antiphon.api.synths import Sounding, SynthSettings
from antiphon.api.workers import DropoutFader, short_slices
from antiphon_supercollider.counts import NoteCounts
from antiphon_supercollider.jack_bridge import NAME, Wires
from antiphon_supercollider.material import NOTHING, VoiceAssets, needs
from antiphon_supercollider.own import player_of
from antiphon_supercollider.played_ahead import Hurried
from antiphon_supercollider.players import NodeVoices
from antiphon_supercollider.scsynth_supervisor import FIRST_NODE, ScsynthSupervisor
from antiphon_supercollider.status import ScsynthWord
from antiphon_supercollider.timing import ahead, delay

JACK_SECONDS = 10.0
"""How long a worker waits for JACK: it may be starting again as well."""
WAIT_STEP = 0.0002
CLOSING = 3
"""Blocks in which scsynth has ended what it was told to end at once."""
UNSTEADY = 4
"""Hops in a row that come at the wrong time before the constant is chosen anew."""


class SuperCollider:
    """rate, hop: of the stream; hop is to be JACK's block, or what it is called with has to be late by more.

    slots: nodes.  spare: a second scsynth stands ready.  restarts: deaths made good within a minute.
    Raises `EngineError` where scsynth or JACK is not there, or JACK runs at another rate.
    """

    name = "supercollider"
    rehearses = False
    beside = False
    """What plays is heard by itself, and does not come back."""

    def __init__(
        self,
        rate: int,
        hop: int,
        slots: int = 8,
        spare: bool = True,
        restarts: int = 3,
        wait: float = JACK_SECONDS,
        wires: Wires | None = None,
    ) -> None:
        # before JACK's thread is made: it inherits them
        short_slices()
        sys.setswitchinterval(1e-4)
        self._wires = wires or Wires(f"{NAME}{os.getpid()}", slots, wait)
        if self._wires.rate != rate:
            self._wires.close()
            raise EngineError(
                f"JACK runs at {self._wires.rate} Hz and the server at {rate}; start with --rate {self._wires.rate}"
            )
        self._rate, self._hop, self._block = rate, hop, self._wires.block
        self.delay = delay(rate, hop)
        # how far a hop's frames may be ahead of the clock's next one and its answer still have come
        self._latest = (self.delay - 1) * hop - self._block
        room = self._latest - self._block
        self._aim = ahead(rate, hop, self._block)
        if room < 2 * self._block:
            self._wires.close()
            raise EngineError(f"JACK's blocks of {self._block} frames are too long for hops of {hop}; raise --block")
        try:
            self.keeper = self._keep(slots, bool(spare), restarts)
        except BaseException:
            self._wires.close()
            raise
        self._nodes = count(self.keeper.layout.nodes + FIRST_NODE)
        self._players: list[NodeVoices | None] = [None] * slots
        self._waiting: list[SynthSettings | None] = [None] * slots
        self._versions = [0] * slots
        self._sounding = [Sounding() for _ in range(slots)]
        self._known = [0] * slots
        self._hurried = [Hurried(rate) for _ in range(slots)]
        self._next: list[tuple[int, int] | None] = [None] * slots
        self.meanwhile: Callable[[], None] = lambda: None
        self._messages: list[tuple[int, bytes]] = []
        self._presence = [DropoutFader(2, hop, rate) for _ in range(slots)]
        self._answer: Samples = np.zeros((2, hop), np.float32)
        self._frames = [0] * slots
        self._clear_from = [0] * slots
        self._fresh = [True] * slots
        self._constants: deque[tuple[int, int]] = deque(maxlen=32)
        self._unsteady = 0
        self._looked = -1

    def _keep(self, slots: int, spare: bool, restarts: int) -> ScsynthSupervisor:
        return ScsynthSupervisor(self._wires, slots, spare=spare, restarts=restarts)

    def follow(self, words: memoryview, refuse: Callable[[str, bool], None]) -> None:
        """The keeper writes its counts into a worker's own words, and ends the worker when it has to give up."""
        words[ScsynthWord.BESIDE] = self.beside
        self.keeper.follow(words, refuse)

    @property
    def counts(self) -> NoteCounts:
        return self.keeper.counts

    def open(self, slot: int, settings: SynthSettings) -> None:
        # nobody hears how it ends: what is on its way back is left out
        self._close(slot, fade=self.beside)
        self._clear_from[slot], self._fresh[slot] = self._wires.counter + CLOSING * self._block, True
        if needs(settings):
            self._waiting[slot] = settings
            self.keeper.shelf.ask(slot, settings)
        else:
            self._players[slot] = self._made(slot, settings, NOTHING)
        self._sounding[slot].clear()
        self._presence[slot].clear()
        self._hurried[slot].clear()
        self._next[slot] = None
        self._known[slot] = self.keeper.generation

    def _made(self, slot: int, settings: SynthSettings, material: VoiceAssets) -> NodeVoices:
        layout = self.keeper.layout
        return player_of(
            settings, self._rate, layout.group(slot), layout.sound(slot), layout.clock, self._nodes, material,
            layout.private + 2 * layout.places * slot, layout.held + layout.places * slot, layout.places,
        )  # fmt: skip

    def _arrived(self, slot: int) -> NodeVoices | None:
        """The player of a node whose SynthDef and sound scsynth has by now."""
        settings, found = self._waiting[slot], self.keeper.shelf.take(slot)
        if settings is None or found is None or found[1] > self.keeper.has:
            return None
        self._waiting[slot] = None
        material, self._versions[slot] = found
        if material is None:
            self.keeper.counts.failed += 1
            return None
        self._players[slot] = self._made(slot, settings, material)
        self._known[slot] = -1
        return self._players[slot]

    def close(self, slot: int) -> None:
        self._close(slot, fade=True)

    def _close(self, slot: int, *, fade: bool) -> None:
        player = self._players[slot]
        self._versions[slot] = 0
        if self._waiting[slot] is not None or player is not None:
            self._waiting[slot] = self._players[slot] = None
            self.keeper.shelf.ask(slot, None)
        if player is not None:
            group = self.keeper.layout.group(slot)
            packet = osc.encode("/n_set", group, player.closes, -1.0) if fade else osc.encode("/g_freeAll", group)
            self.keeper.send([(0, packet)])

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        player = self._players[slot] or self._arrived(slot)
        if player is None or self._versions[slot] > self.keeper.has:
            self._sounding[slot].follow(sample, events)
            return
        self._bring_out_your_dead()
        frame = sample + self._aligned(sample)
        if self._fresh[slot]:
            # where notes of this life begin nothing is left out
            self._fresh[slot], self._clear_from[slot] = False, min(self._clear_from[slot], frame)
        behind = sample - self.delay * self._hop
        self._frames[slot] = behind + self._constant_at(behind)
        self._next[slot] = sample + self._hop, frame + self._hop
        self._renew(slot, player, sample, frame)
        hurried = self._hurried[slot]
        if player.litter:
            player.sweep(self._note)
            self._send()
        if events:
            self._sounding[slot].follow(sample, events)
        self._tell(player, hurried.hop(sample, events), frame)
        for node in hurried.unclaimed(sample):
            self.keeper.counts.unclaimed += 1
            player.withdraw(node, self._note)
            self._send()

    def hurry(self, slot: int, event: Event) -> None:
        """Plays a live event now, that one of the slot's coming hops will hold as well."""
        player, coming, hurried = self._players[slot], self._next[slot], self._hurried[slot]
        if not hurried.takes(event):
            return
        if player is None or coming is None or self._versions[slot] > self.keeper.has:
            hurried.leave(event)
            return
        sample, frame = coming
        self._bring_out_your_dead()
        self._renew(slot, player, sample, frame)
        self._tell(player, (event,), frame)
        hurried.add(event, player.playing(event), sample)

    def _renew(self, slot: int, player: NodeVoices, sample: int, frame: int) -> None:
        """Another scsynth is told what sounds, from `sample` on."""
        generation = self.keeper.generation
        if generation != self._known[slot]:
            self._known[slot] = generation
            self._hurried[slot].lost()
            player.forget()
            self._tell(player, self._sounding[slot].again(sample), frame)

    def _tell(self, player: NodeVoices, events: Sequence[Event], frame: int) -> None:
        if events:
            player.play(events, frame, self._wires.counter, self._note)
            self._send()

    def _send(self) -> None:
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
            old = self._clear_from[slot] - frame
            if old >= self._hop:
                out[slot] = 0.0
                continue
            there = self._wires.read(frame, int(slot), self._answer)
            while not there and time.monotonic() < until and frame + self._hop > self._wires.came:
                time.sleep(WAIT_STEP)
                self.meanwhile()
                there = self._wires.read(frame, int(slot), self._answer)
            self.keeper.counts.unheard += not there
            if old > 0:
                self._answer[:, :old] = 0.0
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
