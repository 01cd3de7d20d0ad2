"""`SuperCollider`: synth backend that renders its voices in scsynth, sample-exact.

A hop's events are sent to scsynth at once, with their frames on the JACK clock; the answer of hop k is the sound
scsynth returned for hop k - `delay`. The difference between the engine's samples and JACK's frames is one constant:
whatever delays JACK, scsynth or the scheduler cause, a note is at its sample in the returned sound or it is counted.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from antiphon.api import EngineError, Event, Samples
from antiphon.api.backends import transports as osc
from antiphon.api.backends.synths import SynthMemory, SynthSettings
from antiphon.api.backends.workers import DropoutFader
from antiphon.kernel.runtime.platform import short_slices
from antiphon_supercollider.info import ahead, delay
from antiphon_supercollider.scsynth.jack_bridge import NAME, Wires
from antiphon_supercollider.scsynth.scsynth_supervisor import FIRST_NODE, ScsynthSupervisor
from antiphon_supercollider.scsynth.status import NoteCounts, ScsynthWord
from antiphon_supercollider.voices.material import NOTHING, VoiceAssets, needs
from antiphon_supercollider.voices.own import create_node_player
from antiphon_supercollider.voices.players import NodeVoices, VoicePlace

TIMEOUT_SECONDS = 1.0
"""Maximum seconds of engine time until the hop with the event must come."""
MAX_EVENTS = 256
INITIAL_HOPS = 16
"""Number of initial hops that may contain events which were played ahead, and ended, before the stream."""


class PlayedAheadEvents:
    """Events of one slot that were played ahead of their hop, until that hop confirms them.

    Their order is kept: if one is deferred to its hop, so are the following ones.
    """

    def __init__(self, rate: int) -> None:
        self._patience = round(TIMEOUT_SECONDS * rate)
        self._waiting: dict[int, tuple[int, int]] = {}
        self._left, self._left_at = 0, -1
        self._hops = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def takes(self, event: Event) -> bool:
        """True if an event may be played ahead; otherwise it and the following ones are deferred to their hops."""
        if self._hops >= INITIAL_HOPS and not self._left and len(self._waiting) < MAX_EVENTS:
            return True
        self.leave(event)
        return False

    def leave(self, event: Event) -> None:
        """Defers an event to its hop, and the following ones until that hop has arrived."""
        self._left, self._left_at = event.serial, -1

    def add(self, event: Event, node: int, sample: int) -> None:
        """Records an event played by voice `node`, -1 for none, before the hop that begins at `sample`."""
        self._waiting[event.serial] = sample, node

    def hop(self, sample: int, events: Sequence[Event]) -> Sequence[Event]:
        """Events of the hop that begins at `sample`, without those already played."""
        self._hops += 1
        if self._left:
            if self._left_at < 0:
                self._left_at = sample
            if sample - self._left_at > self._patience or any(event.serial == self._left for event in events):
                self._left = 0
        if not self._waiting:
            return events
        return [event for event in events if not event.serial or self._waiting.pop(event.serial, None) is None]

    def unconfirmed_voices(self, sample: int) -> list[int]:
        """Voices of events that the hop beginning at `sample` should have confirmed but did not."""
        before = sample - self._patience
        # in order of playing
        late = [serial for serial, (played, _) in self._waiting.items() if played < before]
        return [self._waiting.pop(serial)[1] for serial in late]

    def defer(self) -> None:
        """Handles the loss of scsynth: events are deferred to their hops until these have arrived."""
        if self._waiting:
            self._left, self._left_at = next(reversed(self._waiting)), -1
            self._waiting.clear()

    def clear(self) -> None:
        self._waiting.clear()
        self._left = self._hops = 0


JACK_SECONDS = 10.0
"""Maximum seconds a worker waits for JACK, which may be restarting at the same time."""
WAIT_STEP = 0.0002
FREE_BLOCKS = 3
"""Blocks within which scsynth frees a node after `/n_free`."""
NEVER = 1 << 62
LATE_HOPS = 4
"""Consecutive hops with late sound after which the clock constant is re-estimated."""
BEHIND_SECONDS = 0.5
"""Seconds of notes sent too late after which the clock constant is re-estimated: a delayed engine catches up, and a new
constant would break sounding notes."""
SPLICE_SECONDS = 0.005
"""Crossfade in seconds between answers read with different constants."""


class SuperCollider:
    """Backend of one worker."""

    name = "supercollider"
    rehearses = False
    beside = False
    """scsynth plays to its own outputs, and its sound does not return to the graph."""

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
        """Connects to JACK and starts scsynth.

        `hop`: frames of a hop; JACK's block, or more than that by the margin of `delay`. `spare`: whether to run a
        second scsynth. `restarts`: maximum restarts of scsynth within a minute. `wait`: seconds to wait for JACK.
        `wires`: the JACK client to use; None to open one. Raises `EngineError`: scsynth or JACK is missing, or JACK's
        rate or block does not fit.
        """
        # before JACK's thread is created, which inherits them
        short_slices()
        sys.setswitchinterval(1e-4)
        self._wires = wires or Wires(f"{NAME}{os.getpid()}", slots, wait)
        self._rate, self._hop, self._block = rate, hop, self._wires.block
        self.delay = delay(rate, hop)  # hops by which the answer is late
        # the most frames by which a hop may be ahead of JACK's clock so that its answer still arrives in time
        self._latest = (self.delay - 1) * hop - self._block
        self._aim = ahead(rate, hop, self._block)
        try:
            if self._wires.rate != rate:
                raise EngineError(
                    f"JACK runs at {self._wires.rate} Hz and the server at {rate}; start with --rate {self._wires.rate}"
                )
            if self._latest < 3 * self._block:
                raise EngineError(
                    f"JACK's blocks of {self._block} frames are too long for hops of {hop}; raise --block"
                )
            self.keeper = self._keep(slots, bool(spare), restarts)
        except BaseException:
            self._wires.close()
            raise
        self._nodes = count(self.keeper.layout.nodes + FIRST_NODE)
        self._players: list[NodeVoices | None] = [None] * slots
        self._waiting: list[SynthSettings | None] = [None] * slots
        self._versions = [0] * slots
        self._sounding = [SynthMemory() for _ in range(slots)]
        self._known = [0] * slots
        self._heard = [0] * slots  # the scsynth of each slot's sound, by its generation
        self._generation = 0  # of the scsynth played to, read before what it has
        self._hurried = [PlayedAheadEvents(rate) for _ in range(slots)]
        self._next: list[tuple[int, int] | None] = [None] * slots
        self.meanwhile: Callable[[], None] = lambda: None  # called while `render` waits
        self._messages: list[tuple[int, bytes]] = []
        self._presence = [DropoutFader(2, hop, rate) for _ in range(slots)]
        self._answer: Samples = np.zeros((2, hop), np.float32)
        self._before: Samples = np.zeros((2, min(hop, max(1, round(SPLICE_SECONDS * rate)))), np.float32)
        self._rise = np.arange(1, self._before.shape[1] + 1, dtype=np.float32) / self._before.shape[1]
        self._spliced: list[int | None] = [None] * slots
        self._behind_hops = max(LATE_HOPS, round(BEHIND_SECONDS * rate / hop))
        self._frames = [0] * slots
        self._clear_from = [0] * slots
        self._fresh: list[int | None] = [None] * slots
        self._constants: deque[tuple[int, int]] = deque(maxlen=32)
        self._unsteady = 0
        self._looked = -1

    def _keep(self, slots: int, spare: bool, restarts: int) -> ScsynthSupervisor:
        return ScsynthSupervisor(self._wires, slots, spare=spare, restarts=restarts)

    def follow(self, words: memoryview, refuse: Callable[[str, bool], None]) -> None:
        """Sets the arena's words, by `ScsynthWord`, for counts, and the callback with the reason for giving up."""
        words[ScsynthWord.BESIDE] = self.beside
        self.keeper.follow(words, refuse)

    @property
    def counts(self) -> NoteCounts:
        return self.keeper.counts

    def open(self, slot: int, settings: SynthSettings) -> None:
        # no fade: sound still on its way back is muted, until the first note, however late scsynth hears of it
        self._close(slot, fade=self.beside)
        self._clear_from[slot], self._fresh[slot] = NEVER, self._wires.counter + FREE_BLOCKS * self._block
        if needs(settings):
            self._waiting[slot] = settings
            self.keeper.shelf.ask(slot, settings)
        else:
            self._players[slot] = self._make_player(slot, settings, NOTHING)
        self._sounding[slot].clear()
        self._presence[slot].clear()
        self._hurried[slot].clear()
        self._next[slot] = None
        self._known[slot] = self._heard[slot] = self.keeper.generation

    def _make_player(self, slot: int, settings: SynthSettings, material: VoiceAssets) -> NodeVoices:
        layout = self.keeper.layout
        place = VoicePlace(self._rate, layout.group(slot), layout.sound(slot), layout.clock, self._nodes)
        first_bus, first_held = layout.private + 2 * layout.places * slot, layout.held + layout.places * slot
        return create_node_player(settings, place, material, first_bus, first_held, layout.places)

    def _player_when_loaded(self, slot: int) -> NodeVoices | None:
        """The player of a node; None until scsynth has loaded its SynthDef and sound."""
        settings, assets = self._waiting[slot], self.keeper.shelf.take(slot)
        if settings is None or assets is None or assets[1] > self.keeper.has:
            return None
        self._waiting[slot] = None
        material, self._versions[slot] = assets
        if material is None:
            self.keeper.counts.failed += 1
            return None
        self._players[slot] = self._make_player(slot, settings, material)
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
        self._generation = self.keeper.generation
        player = self._players[slot] or self._player_when_loaded(slot)
        if player is None or self._versions[slot] > self.keeper.has:
            self._sounding[slot].follow(sample, events)
            return
        self._free_ended_nodes()
        frame = sample + self._clock_constant(sample)
        behind = sample - self.delay * self._hop
        frame_before, self._frames[slot] = self._frames[slot] + self._hop, behind + self._constant_at(behind)
        self._spliced[slot] = frame_before if frame_before != self._frames[slot] else None
        self._next[slot] = sample + self._hop, frame + self._hop
        self._resend_sounding(slot, player, sample, frame)
        hurried = self._hurried[slot]
        if player.litter:
            player.sweep(self._note)
            self._send()
        if events:
            self._sounding[slot].follow(sample, events)
        self._send_events(slot, player, hurried.hop(sample, events), frame)
        for node in hurried.unconfirmed_voices(sample):
            self.keeper.counts.unclaimed += 1
            player.end_wrong_voice(node, self._note)
            self._send()

    def hurry(self, slot: int, event: Event) -> None:
        """Plays a live event ahead of its hop; one of the slot's next hops contains it as well."""
        self._generation = self.keeper.generation
        player, coming, hurried = self._players[slot], self._next[slot], self._hurried[slot]
        if not hurried.takes(event):
            return
        if player is None or coming is None or self._versions[slot] > self.keeper.has:
            hurried.leave(event)
            return
        sample, frame = coming
        self._free_ended_nodes()
        self._resend_sounding(slot, player, sample, frame)
        self._send_events(slot, player, (event,), frame)
        hurried.add(event, player.playing(event), sample)

    def _resend_sounding(self, slot: int, player: NodeVoices, sample: int, frame: int) -> None:
        """Sends the sounding notes to a newly activated scsynth, from `sample` on."""
        if self._generation != self._known[slot]:
            self._known[slot] = self._generation
            self._hurried[slot].defer()
            player.forget()
            self._send_events(slot, player, self._sounding[slot].restore_events(sample), frame)

    def _send_events(self, slot: int, player: NodeVoices, events: Sequence[Event], frame: int) -> None:
        fresh = self._fresh[slot]
        if fresh is not None and (live := {event.live for event in events if event.kind == "on"}):
            # muting ends at the first note of this stream
            now = max(fresh, self._wires.counter)
            self._fresh[slot], self._clear_from[slot] = None, min(frame, now) if True in live else frame
        if events:
            player.play(events, frame, self._wires.counter, self._note)
            self._send()

    def _send(self) -> None:
        self.keeper.send(self._messages, self._generation)
        self._messages.clear()

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        self.keeper.flush()
        # the engine needs the answer within a hop
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
            complete = self._wires.read(frame, int(slot), self._answer)
            while not complete and time.monotonic() < until and frame + self._hop > self._wires.returned_frames:
                time.sleep(WAIT_STEP)
                self.meanwhile()
                complete = self._wires.read(frame, int(slot), self._answer)
            self.keeper.counts.unheard += not complete
            # Warning: the number is read after the sound. Another scsynth is silent at first: the last sound of the one
            # before fades out, as where a hop is missing
            if self._heard[slot] != (generation := self.keeper.generation) and frame + self._hop > self.keeper.until:
                self._heard[slot], complete = generation, False
            if complete:
                self._crossfade(int(slot))
            if old > 0:
                self._answer[:, :old] = 0.0
            self._presence[slot].play(self._answer if complete else None, None, out[slot])

    def _crossfade(self, slot: int) -> None:
        """Crossfades from the previous constant's sound if the answer does not continue the last one."""
        before = self._spliced[slot]
        if before is not None and self._wires.read(before, slot, self._before):
            start = self._answer[:, : self._before.shape[1]]
            start += (1.0 - self._rise) * (self._before - start)

    def shut(self) -> None:
        """Ends scsynth and the JACK client."""
        self.keeper.close()
        self._wires.close()

    def _note(self, node: int, packet: bytes) -> None:
        self._messages.append((node, packet))

    def _free_ended_nodes(self) -> None:
        ended = self.keeper.ended
        while ended:
            node = ended.popleft()
            for player in self._players:
                if player is not None:
                    player.end_voice(node)

    def _clock_constant(self, sample: int) -> int:
        """Clock constant, JACK frames minus engine samples; unchanged between hops unless the clocks have drifted.

        A hop's frames must be far enough ahead for voices to be created in time, and its answer late enough to have
        arrived. If the first fails for `BEHIND_SECONDS`, or the second for `LATE_HOPS`, the constant is re-estimated,
        in whole blocks.
        """
        counter = self._wires.counter
        if self._constants:
            if sample <= self._looked:
                return self._constants[-1][1]
            self._looked = sample
            constant = self._constants[-1][1]
            early = sample + constant - counter
            if self._block <= early <= self._latest:
                self._unsteady = 0
                return constant
            self._unsteady += 1
            if self._unsteady < (LATE_HOPS if early > self._latest else self._behind_hops):
                return constant
            self.keeper.counts.moved += 1
        self._unsteady = 0
        self._looked = sample
        self._constants.append((sample, counter + self._aim - sample))
        return self._constants[-1][1]

    def _constant_at(self, sample: int) -> int:
        """The constant that was used for the notes of the hop that begins at `sample`."""
        for first, constant in reversed(self._constants):
            if first <= sample:
                return constant
        return self._constants[0][1]
