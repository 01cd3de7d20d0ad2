"""Client of an external scsynth, not started by Antiphon: over JACK if possible, else by time tags only.

Its sound returns into the graph, exact to the frame, if it is a client of the same JACK server and has enough inputs
and outputs, the last of which are used. Otherwise notes have time tags, and scsynth plays to its own outputs.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import EngineError, Event, Samples
from antiphon.api.backends import transports as osc
from antiphon.api.backends.runtime import say
from antiphon.api.backends.synths import Unanswered
from antiphon_supercollider.backend import SuperCollider
from antiphon_supercollider.info import scsynth_address
from antiphon_supercollider.scsynth import external_scsynth
from antiphon_supercollider.scsynth.external_scsynth import ExternalScsynth
from antiphon_supercollider.scsynth.jack_bridge import ECHO, ForeignClient, Wires
from antiphon_supercollider.scsynth.scsynth_supervisor import CLOCK_GROUP, VOICES_GROUP, Layout, ScsynthSupervisor
from antiphon_supercollider.scsynth.server import Scsynth

CLIENTS = 32
FIRST, EACH = 1 << 23, 1 << 18
"""First node number, and numbers per client: exact in a 32-bit float; sclang's own reach them after 8 million notes."""
PLACES = 16
BUSES, CONTROLS, BUFFERS, BUFFERS_EACH = 1024, 16384, 1024, 96
"""Limits of a scsynth booted without options; the last numbers are used here."""
SHARES = 3
"""Number of shares of the private buses, for users' SynthDefs."""
RETRY_SECONDS = 0.25
ECHO_SECONDS = 0.5
AWAY_SECONDS = 10.0
"""Maximum seconds a new worker tries to reach an unresponsive scsynth, before the next worker tries."""
JACK_SECONDS = 2.0
"""Maximum wait in seconds for a restarting JACK server before falling back to time tags."""
NTP_1970 = 2208988800
CONFIRMED_SECONDS = 0.5


def share_of(number: int, there: Collection[int]) -> int:
    """Share of `CLIENTS` that this client takes: one in which no other Antiphon has nodes."""
    taken = {(node - FIRST) // EACH for node in there if FIRST <= node < FIRST + EACH * CLIENTS}
    # two that come at the same moment begin to look at different places
    order = [(number + n) % CLIENTS for n in range(CLIENTS)]
    free = [share for share in order if share not in taken] or order
    apart = {share % SHARES for share in taken}
    return next((share for share in free if share % SHARES not in apart), free[0])


def layout_of(number: int, out: int, clock: int, slots: int) -> Layout:
    """The layout of share `number`; `out` and `clock` as in `Layout`."""
    each = 2 * PLACES * slots
    return Layout(
        out,
        clock,
        BUSES - each * (number % SHARES + 1),
        FIRST + EACH * (number % CLIENTS),
        CONTROLS - PLACES * slots * (number % CLIENTS + 1),
        PLACES,
        BUFFERS - BUFFERS_EACH * (number % 8 + 1),
    )


class ExternalClient(ScsynthSupervisor):
    """Supervises the connection to an `ExternalScsynth`, and reconnects whenever it runs again."""

    def __init__(
        self,
        wires: Wires,
        slots: int,
        address: tuple[str, int],
        clients: Sequence[ForeignClient],
        until: float = math.inf,
    ) -> None:
        self._address, self._brings, self._number, self._until = address, bool(clients), -1, until
        self._why = f"the scsynth at {self._shown} answers, but accepts no client; it may be busy or have ended"
        self._names = [outside.name for outside in clients]
        probe = ExternalScsynth(address, Path())
        try:
            probe.register_client()
            self._number = probe.number
            share = share_of(probe.number, probe.numbers())
        finally:
            probe.close()
        if clients:
            # the last ports: the first are for those it belongs to
            self._first_in = clients[0].free_inputs - ECHO
            first_out = clients[0].free_outputs - ECHO - 2 * slots
            layout = layout_of(share, first_out, clients[0].outputs + self._first_in, slots)
        else:
            # a bus to which nothing is written
            layout = replace(layout_of(share, 0, 0, slots), together=True)
            layout = replace(layout, clock=layout.private - ECHO)
        super().__init__(wires, slots, spare=False, layout=layout)

    def send_at(self, seconds: float, messages: Iterable[tuple[int, bytes]]) -> None:
        """Sends messages in bundles for a time of `time.monotonic`; each has its new voice's number, or 0."""
        server, due = self._active, int((seconds + CONFIRMED_SECONDS) * 1e9)
        if server is None:
            return
        packets = []
        for node, packet in messages:
            if node:
                self.counts.sent += 1
                self._pending[node] = due
            packets.append(packet)
        # both are read here: the clock of the machine may be set at any time
        tag = round((seconds - time.monotonic() + time.time() + NTP_1970) * 2**32)
        for n in range(0, len(packets), 16):
            server.send_bytes(osc.encode_bundle(tag, packets[n : n + 16]))

    def _start_scsynth(self) -> Scsynth:
        while True:
            scsynth = ExternalScsynth(self._address, self.shelf.folder, self._number)
            try:
                external_scsynth.ask_scsynth(self._address, self._wires.rate)
                self._begin(scsynth)
                return scsynth
            except EngineError as error:
                away = isinstance(error, Unanswered) or scsynth.end_reason()
                scsynth.close()
                if not away or self._wires.down or self._ending:
                    raise
                self._why = str(error)
            except BaseException:
                scsynth.close()
                raise
            self._report()
            until = time.monotonic() + RETRY_SECONDS
            while time.monotonic() < until:
                time.sleep(0.02)
                self._watch_meanwhile()

    def _watch_meanwhile(self) -> None:
        super()._watch_meanwhile()
        if not self.generation and time.monotonic() > self._until:
            raise Unanswered(self._why)

    def _begin(self, scsynth: ExternalScsynth) -> None:
        first = self.layout.nodes
        groups = [osc.encode("/n_free", first + group) for group in (VOICES_GROUP, CLOCK_GROUP)]
        scsynth.boot(self._watch_meanwhile)
        scsynth.send_after_end(
            [*groups, *(osc.encode("/b_free", self.layout.buffers + n) for n in range(BUFFERS_EACH))]
        )
        self._create_groups(scsynth)
        self._send_assets(scsynth)
        scsynth.sync(self._watch_meanwhile)
        scsynth.has = scsynth.provided
        if self._brings:
            self._wire(scsynth)

    def _wire(self, scsynth: ExternalScsynth) -> None:
        """Finds scsynth's JACK client: the one that returns the counter."""
        for name in self._names:
            before = self._wires.returned_frames
            try:
                self._wires.join(name, self._first_in, self.layout.out)
            except EngineError:
                continue
            until = time.monotonic() + ECHO_SECONDS
            while time.monotonic() < until:
                if self._wires.returned_frames > before:
                    scsynth.client, self._names = name, [name]
                    return
                time.sleep(0.01)
                self._watch_meanwhile()
            self._wires.leave(name)
        if self.generation:
            raise Unanswered("its JACK ports are not there yet")
        raise EngineError("none of JACK's clients sends back what is played to it")

    def _count_death(self, why: str) -> None:
        """Does nothing: an external scsynth is waited for, however often it ends."""
        say(f"the scsynth at {self._shown} is gone ({why}); Antiphon reconnects when it is back")

    def _activate(self, server: Scsynth) -> None:
        returned = self.generation > 0
        super()._activate(server)
        if returned:
            say(f"the scsynth at {self._shown} is back")

    @property
    def _shown(self) -> str:
        return f"{self._address[0]}:{self._address[1]}"

    def _look_for_hang(self) -> None:
        """Does nothing: `ExternalScsynth.ended` detects a hang."""

    def _on_node_end(self, server: Scsynth, node: int) -> None:
        """Recreates our groups and resends held notes, after Cmd-period in sclang has freed all nodes."""
        if node == self.layout.nodes + VOICES_GROUP and server is self._active and not self._ending:
            self._pending.clear()
            self._create_groups(server)
            self.generation += 1


class NullBridge(Wires):
    """Null object used instead of `Wires` if no sound returns."""

    returned_frames, counter = 0, 0

    def __init__(self, rate: int) -> None:
        self.rate, self.block, self.down = rate, 64, False
        self.on_down: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Does nothing."""


class TimetagOnly(SuperCollider):
    """Plays notes by time tags; the sound goes to scsynth's own outputs, not into the graph."""

    beside = True

    def __init__(
        self, rate: int, hop: int, slots: int, address: tuple[str, int], why: str, until: float = math.inf
    ) -> None:
        self._address, self._until = address, until
        super().__init__(rate, hop, slots, spare=False, wires=NullBridge(rate))
        self._zeros: deque[float] = deque(maxlen=256)
        say(f"the scsynth at {address[0]}:{address[1]} plays beside, by its own outputs: {why}")

    def _keep(self, slots: int, spare: bool, restarts: int) -> ScsynthSupervisor:
        return ExternalClient(self._wires, slots, self._address, (), self._until)

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        player = self._players[slot] or self._player_when_loaded(slot)
        sounding, self._generation = self._sounding[slot], self.keeper.generation
        # the smallest offset is the one with the least scheduling delay
        self._zeros.append(time.monotonic() - sample / self._rate)
        if player is None or self._versions[slot] > self.keeper.has or not self.keeper.counts.pid:
            sounding.follow(sample, events)
            return
        self._free_ended_nodes()
        if self._generation != self._known[slot]:
            self._known[slot] = self._generation
            player.forget()
            events = [*sounding.restore_events(sample), *events]
        elif not events and not player.litter:
            return
        sounding.follow(sample, [event for event in events if not event.age])
        player.sweep(self._note)
        self._send()
        zero = min(self._zeros) + (1 + self.delay) * self._hop / self._rate
        for event in events:
            # the time tag replaces the frame
            player.play([replace(event, live=True)], 0, 0, self._note)
            if event.live or event.age:
                self._send()
            else:
                self.keeper.send_at(zero + (sample + event.offset) / self._rate, self._messages)  # type: ignore[attr-defined]
                self._messages.clear()

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        self.keeper.flush()
        out[active] = 0.0


def join_scsynth(rate: int, hop: int, slots: int = 8, scsynth: str = "") -> SuperCollider:
    """Returns the backend for the external scsynth at an address.

    Raises EngineError: it cannot be joined. Raises Unanswered: it has not answered or accepted a client for
    `AWAY_SECONDS`.
    """
    address, until = scsynth_address(scsynth), time.monotonic() + AWAY_SECONDS
    while True:
        try:
            external_scsynth.ask_scsynth(address, rate)
            try:
                return HeardOverJack(rate, hop, slots, address, until)
            except Unanswered:
                raise
            except EngineError as error:
                return TimetagOnly(rate, hop, slots, address, str(error), until)
        except Unanswered:
            if time.monotonic() > until:
                raise
        time.sleep(RETRY_SECONDS)


class HeardOverJack(SuperCollider):
    """Plays notes on an external scsynth whose sound returns over JACK."""

    def __init__(self, rate: int, hop: int, slots: int, address: tuple[str, int], until: float = math.inf) -> None:
        self._address, self._until = address, until
        super().__init__(rate, hop, slots, spare=False, wait=JACK_SECONDS)

    def _keep(self, slots: int, spare: bool, restarts: int) -> ScsynthSupervisor:
        outputs = ECHO + 2 * slots
        names = [c for c in self._wires.clients() if c.free_inputs >= ECHO and c.free_outputs >= outputs]
        if not names:
            raise EngineError(
                "it is no client of the same JACK server with enough ports; boot it with s.options.numInputBusChannels "
                f"= {ECHO + 2} and numOutputBusChannels = {outputs + 2} to hear it in the graph"
            )
        return ExternalClient(self._wires, slots, self._address, names, self._until)
