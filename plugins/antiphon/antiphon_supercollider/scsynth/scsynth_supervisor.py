"""Supervisor of two scsynths, an active one and a spare, in its own thread.

When the active one dies, the spare is already connected and silent: one message activates it, and a new spare is
started. The thread reads every reply, tracks the notes confirmed by scsynth, and counts silently dropped ones.
"""

import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count

from antiphon.api import EngineError
from antiphon.api.backends import transports as osc
from antiphon.api.backends.runtime import hear, make_bell, ring
from antiphon_supercollider.scsynth.asset_store import AssetLoader
from antiphon_supercollider.scsynth.jack_bridge import ECHO, Wires
from antiphon_supercollider.scsynth.server import Scsynth
from antiphon_supercollider.scsynth.status import NoteCounts
from antiphon_supercollider.voices.own import PLACES

# ---- Nodes, buses and buffers of a scsynth used by Antiphon

FIRST_GROUP = 10


@dataclass(frozen=True, slots=True)
class Layout:
    """Resource layout within a scsynth; an external one has other clients."""

    out: int
    clock: int
    private: int  # first audio bus of `2 * places` for each slot
    nodes: int = 0
    held: int = 0  # first control bus of `places` for each slot
    places: int = PLACES
    buffers: int = 0
    together: bool = False  # whether all slots write to `out`

    def sound(self, slot: int) -> int:
        """First of the two buses of a slot."""
        return self.out if self.together else self.out + ECHO + 2 * slot

    def group(self, slot: int) -> int:
        return self.nodes + FIRST_GROUP + slot


# ---- Detects a hung scsynth: its counter does not return, or it does not answer

SECONDS, PERIODS = 0.2, 28
"""Maximum silence: the longer of seconds and JACK periods. Our jackd waits 20 periods for a client."""
ASK_SECONDS = 0.1


class HangDetector:
    """Measures the time without progress.

    A stall of the whole machine is not a hang: a check counts for at most two intervals, however late it is. Nor is a
    stall of JACK's clock, which advances by at least a block while JACK waits for a hung client.
    """

    def __init__(self, block: int, rate: int, look: float) -> None:
        self.patience = max(SECONDS, PERIODS * block / rate)
        self._most = 2.0 * look
        self._looked_ns = time.monotonic_ns()
        self._block = block
        self._seen, self._clock = 0, -1
        self.seconds = self._before = 0.0

    def restart(self, grace: float = 0.0) -> None:
        """Restarts the measurement, after progress or if none is due, with `grace` more seconds of silence allowed."""
        self.seconds = self._before = -grace
        self._clock = -1

    def look(self, clock: int, seen: int = 0) -> bool:
        """True if `seen` has not changed for too long by JACK's frame counter; the measurement then restarts."""
        now = time.monotonic_ns()
        passed, self._looked_ns = min((now - self._looked_ns) / 1e9, self._most), now
        if seen != self._seen:
            self._seen = seen
            self.restart()
        if self._clock < 0:
            self._clock = clock
            return False
        self._before, self.seconds = self.seconds, self.seconds + passed
        if self.seconds <= self.patience or clock < self._clock + self._block:
            return False
        self.restart()
        return True

    @property
    def due(self) -> bool:
        """True if the next query is due, as of the last check."""
        return int(self._before / ASK_SECONDS) != int(self.seconds / ASK_SECONDS)


UNCONFIRMED_SECONDS = 0.08
"""Seconds after which scsynth is queried about an unconfirmed note."""
LOOK_SECONDS = 0.02
RESTARTS, WITHIN = 3, 60.0
"""Maximum restarts of scsynth within a time in seconds."""
CLOCK_GROUP, VOICES_GROUP, ECHO_NODE, FIRST_NODE = 1, 2, 900, 1000
LATE_TRIGGERS = (44000, 44001)
"""IDs of the triggers that our voices send once if their start or end arrived after its frame."""
SETTLE_SECONDS = 0.05
"""Fade-in time in seconds of the counter's return path."""
SYNCED = 1000
"""Offset of the asset version in the `/sync` that follows the assets."""
MAX_PENDING = 65536
MAX_UNCONFIRMED = 64
"""Maximum unconfirmed notes in flight."""
MAX_BACKLOG = 32768
MAX_DATAGRAM_MESSAGES = 16
"""Maximum messages in a datagram: below 8 kB, which scsynth always accepts."""


class ScsynthSupervisor:
    """Starts, watches and ends scsynths. One thread calls `send` and `flush`; a second is the supervisor's own."""

    def __init__(
        self, wires: Wires, slots: int, *, spare: bool = True, restarts: int = RESTARTS, layout: Layout | None = None
    ) -> None:
        """Starts the thread and waits for the first scsynth.

        `restarts`: maximum restarts of scsynth within a minute. `layout`: nodes and buses to use; None for those of our
        own scsynth. Raises EngineError: scsynth does not start.
        """
        self.counts = NoteCounts()
        self.generation = 0  # incremented each time another scsynth is activated, which has none of the notes
        self.until = 0  # frame up to which the sound that has come back is that of the scsynth before the active one
        self.ended: deque[int] = deque(maxlen=MAX_PENDING)
        self._outputs = ECHO + 2 * slots
        # scsynth numbers output buses first, then inputs, then private buses
        self.layout = layout or Layout(0, self._outputs, self._outputs + ECHO)
        self._wires, self._slots = wires, slots
        self.gave_up = ""  # why no scsynth is started any more, "" otherwise
        self._words: memoryview | None = None
        self._refuse: Callable[[str, bool], None] = lambda _why, _again: None
        self._spare_wanted, self._most = spare, restarts
        self._active: Scsynth | None = None
        self._spare: Scsynth | None = None
        self._pending: dict[int, int] = {}
        self._query = self._queried = self._answered = self._asked = 0
        self._backlog: deque[tuple[int, bytes]] = deque()
        self._backlog_generation = 0
        self._deaths: deque[float] = deque(maxlen=64)
        self._numbers = count(1)
        self._ending = False
        self._error: EngineError | None = None
        self._up = threading.Event()
        self._bell = make_bell(inherited=False)
        wires.on_down = self._ring
        self._silence = HangDetector(wires.block, wires.rate, LOOK_SECONDS)
        self._spare_silence = HangDetector(wires.block, wires.rate, LOOK_SECONDS)
        self._spare_silence.patience += ASK_SECONDS
        self.shelf = AssetLoader(self._ring, self.layout.buffers)
        self._thread = threading.Thread(target=self._run, name="scsynth", daemon=True)
        self._thread.start()
        self._up.wait()
        if self._error is not None:
            self._thread.join()
            self.shelf.close()
            raise self._error

    @property
    def has(self) -> int:
        """Asset version completely loaded by the active scsynth."""
        active = self._active
        return active.has if active is not None else 0

    # ---- for the thread that plays

    def send(self, messages: Iterable[tuple[int, bytes]], generation: int | None = None) -> None:
        """Queues messages in order, each with the number of the voice it begins, or 0, and flushes.

        `generation`: that of the scsynth they are meant for; another scsynth does not get them.
        """
        self._drop_stale_backlog()
        if generation not in (None, self._backlog_generation):
            return
        for message in messages:
            if len(self._backlog) == MAX_BACKLOG:
                self.counts.dropped += message[0] > 0
                continue
            self._backlog.append(message)
        self.flush()

    def flush(self) -> None:
        """Sends queued messages up to `MAX_UNCONFIRMED` unconfirmed notes: beyond, scsynth loses messages."""
        server = self._active  # read before the generation, which changes before it
        self._drop_stale_backlog()
        backlog, pending = self._backlog, self._pending
        while backlog and server is not None and len(pending) < MAX_UNCONFIRMED:
            some: list[bytes] = []
            now = time.monotonic_ns()
            while backlog and len(some) < MAX_DATAGRAM_MESSAGES:
                node, packet = backlog.popleft()
                if node:
                    self.counts.sent += 1
                    pending[node] = now
                some.append(packet)
            server.send_bytes(some[0] if len(some) == 1 else osc.encode_bundle(osc.IMMEDIATELY, some))

    def _drop_stale_backlog(self) -> None:
        """Drops messages queued for a previous scsynth; a new one gets the current state instead."""
        if self._backlog_generation != self.generation:
            self._backlog_generation = self.generation
            self._backlog.clear()

    def close(self) -> None:
        """Ends the thread and all scsynths it started."""
        self._ending = True
        self._ring()
        self._thread.join(10.0)
        self.shelf.close()

    # ---- the keeper's own thread

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            ring(self._bell)

    def _run(self) -> None:
        try:
            self._activate(self._start_scsynth())
        except Exception as error:  # passed to the thread that waits in __init__
            problem = f"scsynth does not start: {error}"
            self._error = error if isinstance(error, EngineError) else EngineError(problem)
            self._end()
            self._up.set()
            return
        self._up.set()
        try:
            if self._spare_wanted:
                self._spare = self._start_scsynth()
            while not self._ending:
                self._turn()
        except Exception as error:
            problem = str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
            self.gave_up = "" if self._ending else problem
        finally:
            self._end()
            self._report()
            if self.gave_up:
                self._refuse(self.gave_up, self._wires.down)

    def follow(self, words: memoryview, refuse: Callable[[str, bool], None]) -> None:
        """Sets the arena's words, by `ScsynthWord`, for counts, and the callback on giving up, called in its thread."""
        self._refuse, self._words = refuse, words
        self._report()
        if self.gave_up:
            refuse(self.gave_up, self._wires.down)

    def _report(self) -> None:
        if self._words is not None:
            self.counts.write(self._words)

    def _end(self) -> None:
        for server in (self._active, self._spare):
            if server is not None:
                server.close()
        self._active = self._spare = None
        self.counts.pid = 0

    def _start_scsynth(self) -> Scsynth:
        """Starts a scsynth: booted, connected and silent, with its groups. The active one is watched meanwhile."""
        name = f"antiphon-scsynth-{os.getpid()}-{next(self._numbers)}"
        server = Scsynth(name, self._wires.block, ECHO, self._outputs, self.shelf.folder)
        try:
            server.boot(self._watch_meanwhile)
            self._create_groups(server)
            until = time.monotonic() + SETTLE_SECONDS
            while time.monotonic() < until:
                time.sleep(0.005)
                self._watch_meanwhile()
            # wired only once it is silent: the counters of two scsynths would add up to an invalid one
            server.send("/n_run", self.layout.nodes + ECHO_NODE, 0)
            self._send_assets(server)
            server.sync(self._watch_meanwhile)
            server.has = server.provided
            time.sleep(4 * self._wires.block / self._wires.rate)
            self._wires.join(name)
        except BaseException as error:
            why = server.end_reason()
            server.close()
            if not isinstance(error, EngineError) or not why.startswith("killed"):
                raise
            self._count_death(why)  # one that was killed is no sign that none will start
            return self._start_scsynth()
        return server

    def _create_groups(self, server: Scsynth) -> None:
        """Creates our groups, and the synth that returns the counter."""
        layout, first = self.layout, self.layout.nodes
        server.send("/g_new", first + CLOCK_GROUP, 0, 0, first + VOICES_GROUP, 3, first + CLOCK_GROUP)
        for slot in range(self._slots):
            server.send("/g_new", layout.group(slot), 1, first + VOICES_GROUP)
        place = first + ECHO_NODE, 0, first + CLOCK_GROUP
        server.send("/s_new", "antiphon_send", *place, "in", float(layout.clock), "out", float(layout.out))

    def _send_assets(self, server: Scsynth) -> None:
        """Sends the assets added since the last call; scsynth answers `/synced` after loading them."""
        version = self.shelf.version
        if server.provided >= version:
            return
        for packet in self.shelf.since(server.provided):
            server.send_bytes(packet)
        server.send("/sync", SYNCED + version)
        server.provided = version

    def _watch_meanwhile(self) -> None:
        """Reads replies, and counts a death of the active scsynth, while another boots; there is no replacement yet."""
        if self._wires.down:
            raise EngineError("JACK has gone")
        if self._ending:
            raise EngineError("it is being ended")
        active = self._active
        if active is not None:
            self._read_replies(active)
            self._count_dropped()
            self._look_for_hang()
            self._report()
            if active.end_reason():
                self._handle_death(active)

    def _handle_death(self, server: Scsynth) -> None:
        why = server.end_reason()
        server.close()
        self._active = None
        self.counts.pid = 0
        self._pending.clear()
        if self._wires.down:
            raise EngineError("JACK has gone")
        self._count_death(why)
        self.counts.restarts += 1

    def _count_death(self, why: str) -> None:
        now = time.monotonic()
        self._deaths.append(now)
        if sum(now - t < WITHIN for t in self._deaths) > self._most:
            raise EngineError(f"scsynth ended {self._most + 1} times within a minute, last {why}")

    def _activate(self, server: Scsynth) -> None:
        self.until = self._wires.returned_frames
        self.generation += 1  # before its first sound, which no reader takes for that of the one before
        server.send("/n_run", self.layout.nodes + ECHO_NODE, 1)
        self._active = server
        # JACK may still be waiting for the previous one
        self._silence.restart(self._silence.patience)
        self.counts.pid = server.pid
        self._report()

    def _turn(self) -> None:
        """Waits for an event, at most `LOOK_SECONDS`, and handles it."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        for server in filter(None, (self._active, self._spare)):
            if server.life >= 0:
                poll.register(server.life, select.POLLIN)
            poll.register(server.socket, select.POLLIN)
        poll.poll(LOOK_SECONDS * 1000)
        # a bell that is not heard would end every poll at once
        with contextlib.suppress(BlockingIOError):
            hear(self._bell)
        if self._ending:
            return
        if self._wires.down:
            raise EngineError("JACK has gone")
        if self._spare is not None:
            why = self._spare.end_reason()
            if why:
                self._spare.close()
                self._spare = None
                self._count_death(why)
            else:
                self._send_assets(self._spare)
                replies = self._spare.replies()
                for reply in replies:
                    _synced(self._spare, reply)
                if replies:
                    self._spare_silence.restart()
        if self._active is not None:
            self._send_assets(self._active)
            self._read_replies(self._active)
            if self._active.end_reason():
                self._handle_death(self._active)
        if self._active is None:
            ready, self._spare = self._spare, None
            self._activate(ready if ready is not None else self._start_scsynth())
        if self._spare is None and self._spare_wanted:
            self._spare = self._start_scsynth()
        self._count_dropped()
        self._look_for_hang()
        self._report()

    def _read_replies(self, server: Scsynth) -> None:
        counts = self.counts
        for reply in server.replies():
            match reply.address:
                case b"/n_go":
                    if self._pending.pop(int(reply.args[0]), None) is not None:  # type: ignore[arg-type]
                        counts.confirmed += 1
                case b"/n_end":
                    node = int(reply.args[0])  # type: ignore[arg-type]
                    # a node that ended has played, even if its /n_go was lost
                    counts.confirmed += self._pending.pop(node, None) is not None
                    self.ended.append(node)
                    self._on_node_end(server, node)
                case b"/synced":
                    _synced(server, reply)
                    if reply.args == (-self._query,):
                        self._answered = self._queried
                case b"/fail":
                    counts.failed += 1
                case b"/tr":
                    # users' SynthDefs may send other triggers
                    counts.late += reply.args[1] in LATE_TRIGGERS

    def _on_node_end(self, server: Scsynth, node: int) -> None:
        """Handles an ended node; nothing else frees nodes in our own scsynth."""

    def _count_dropped(self) -> None:
        """Counts notes that are not confirmed although scsynth has answered a later query.

        Elapsed time alone proves no loss: our jackd waits 20 periods for a late client, and a busy machine stalls.
        """
        server, patience = self._active, int(UNCONFIRMED_SECONDS * 1e9)
        while self._pending and server is not None:
            try:
                node, sent = next(iter(self._pending.items()))
            except (RuntimeError, StopIteration):
                return  # the other thread has just added a note: checked again at the next look
            if sent > self._answered - patience:
                self._ask_about(server, sent + patience)
                return
            if self._pending.pop(node, None) is not None:
                self.counts.dropped += 1
                self.ended.append(node)
                # if its confirmation was lost, nothing else would end it
                server.send("/n_free", node)

    def _ask_about(self, server: Scsynth, due: int) -> None:
        """Sends a query if one is due, or repeats the open one, because scsynth may drop queries too."""
        now, patience = time.monotonic_ns(), int(UNCONFIRMED_SECONDS * 1e9)
        if now < max(due, self._asked + patience):
            return
        if self._answered == self._queried:
            self._query, self._queried = self._query + 1, now
        self._asked = now
        server.send("/sync", -self._query)

    def _look_for_hang(self) -> None:
        """Kills a hung scsynth; the handling of its death does the rest.

        The active one returns its counter. The spare is queried, since JACK would wait for it too.
        """
        clock = self._wires.counter
        if self._silence.look(clock, self._wires.returned_frames) and self._active is not None:
            self._active.kill()
        spare = self._spare
        if spare is None:
            self._spare_silence.restart()
        elif self._spare_silence.look(clock):
            spare.kill()
        elif self._spare_silence.due:
            spare.send("/sync", 1)


def _synced(server: Scsynth, reply: osc.Message) -> None:
    if reply.address == b"/synced" and reply.args and isinstance(number := reply.args[0], int) and number >= SYNCED:
        server.has = max(server.has, number - SYNCED)
