"""Two scsynths, one that plays and one that stands ready, and the thread that watches over them.

When the one that plays dies, the other is wired already and silent: one message puts it to work, and a new one is
started to stand ready. The thread hears every reply, knows which notes scsynth has confirmed, and counts those it
dropped without a word.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count

from antiphon.api import EngineError, osc
from antiphon_supercollider.asset_store import AssetLoader
from antiphon_supercollider.counts import NoteCounts
from antiphon_supercollider.hang_detector import ASK_SECONDS, HangDetector
from antiphon_supercollider.jack_bridge import ECHO, Wires
from antiphon_supercollider.layout import Layout
from antiphon_supercollider.server import Scsynth
from antiphon_supercollider.status import ScsynthWord

UNCONFIRMED_SECONDS = 0.08
"""A note that scsynth has not said to play by then was dropped."""
LOOK_SECONDS = 0.02
RESTARTS, WITHIN = 3, 60.0
"""So many deaths within so many seconds are made good."""
CLOCK_GROUP, VOICES_GROUP, ECHO_NODE, FIRST_NODE = 1, 2, 900, 1000
TOLD_LATE = (44000, 44001)
"""What our voices trigger, once, where they hear of a beginning or an end after its frame."""
SETTLE_SECONDS = 0.05
"""Until the counter's way back has faded in."""
SYNCED = 1000
"""Added to the shelf's version where scsynth is to say that it has it."""
MAX_PENDING = 65536
WINDOW = 64
"""Notes under way, told and not yet confirmed."""
MAX_BACKLOG = 32768
TOGETHER = 16
"""Messages in a datagram: below 8 kB, which scsynth always takes."""


class ScsynthSupervisor:
    """Starts, watches and ends scsynths. `send` is for one thread, the keeper's own is another.

    generation: goes up by one each time another scsynth is put to work: it knows no note.
    ended: numbers of voices that are no more.
    gave_up: why nothing more can be done, "" while it can.
    """

    def __init__(
        self, wires: Wires, slots: int, *, spare: bool = True, restarts: int = RESTARTS, layout: Layout | None = None
    ) -> None:
        self.counts = NoteCounts()
        self.generation = 0
        self.ended: deque[int] = deque(maxlen=MAX_PENDING)
        self._outputs = ECHO + 2 * slots
        # outputs come first, then inputs, then what is heard nowhere
        self.layout = layout or Layout(0, self._outputs, self._outputs + ECHO)
        self._wires, self._slots = wires, slots
        self.gave_up = ""
        self._words: memoryview | None = None
        self._refuse: Callable[[str, bool], None] = _ignore
        self._spare_wanted, self._most = spare, restarts
        self._active: Scsynth | None = None
        self._spare: Scsynth | None = None
        self._pending: dict[int, int] = {}
        self._backlog: deque[tuple[int, bytes]] = deque()
        self._told_generation = 0
        self._deaths: deque[float] = deque(maxlen=64)
        self._numbers = count(1)
        self._ending = False
        self._error: EngineError | None = None
        self._up = threading.Event()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)
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
        """The version of the shelf that the scsynth which plays has all of."""
        active = self._active
        return active.has if active is not None else 0

    # ---- for the thread that plays

    def send(self, messages: Iterable[tuple[int, bytes]]) -> None:
        """Messages in their order, each with the number of the voice it begins, or 0."""
        self._forget_gone()
        for message in messages:
            if len(self._backlog) == MAX_BACKLOG:
                self.counts.dropped += message[0] > 0
                continue
            self._backlog.append(message)
        self.flush()

    def flush(self) -> None:
        """What waits goes out while scsynth keeps up: faster than it confirms, it would lose messages and replies."""
        self._forget_gone()
        backlog, pending, server = self._backlog, self._pending, self._active
        while backlog and server is not None and len(pending) < WINDOW:
            some: list[bytes] = []
            now = time.monotonic_ns()
            while backlog and len(some) < TOGETHER:
                node, packet = backlog.popleft()
                if node:
                    self.counts.sent += 1
                    pending[node] = now
                some.append(packet)
            server.send_bytes(some[0] if len(some) == 1 else osc.encode_bundle(osc.IMMEDIATELY, some))

    def _forget_gone(self) -> None:
        """What waited for one that is gone is not for the next: it is told of what sounds."""
        if self._told_generation != self.generation:
            self._told_generation = self.generation
            self._backlog.clear()

    def close(self) -> None:
        """Ends all it has started."""
        self._ending = True
        self._ring()
        self._thread.join(10.0)
        self.shelf.close()

    # ---- the keeper's own thread

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            os.eventfd_write(self._bell, 1)

    def _run(self) -> None:
        try:
            self._employ(self._started())
        except Exception as error:  # whoever waits for it must hear
            said = f"scsynth does not start: {error}"
            self._error = error if isinstance(error, EngineError) else EngineError(said)
            self._end()
            self._up.set()
            return
        self._up.set()
        try:
            if self._spare_wanted:
                self._spare = self._started()
            while not self._ending:
                self._turn()
        except Exception as error:
            said = str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
            self.gave_up = "" if self._ending else said
        finally:
            self._end()
            self._report()
            if self.gave_up:
                self._refuse(self.gave_up, self._wires.down)

    def follow(self, words: memoryview, refuse: Callable[[str, bool], None]) -> None:
        """Where counts are written, and what is called, from the keeper's thread, when it gives up."""
        self._refuse = refuse
        self._words = words
        self._report()
        if self.gave_up:
            refuse(self.gave_up, self._wires.down)

    def _report(self) -> None:
        words, counts = self._words, self.counts
        if words is not None:
            words[ScsynthWord.PID], words[ScsynthWord.RESTARTS] = counts.pid, counts.restarts
            words[ScsynthWord.SENT], words[ScsynthWord.CONFIRMED] = counts.sent, counts.confirmed
            words[ScsynthWord.DROPPED], words[ScsynthWord.LATE] = counts.dropped, counts.late
            words[ScsynthWord.UNHEARD], words[ScsynthWord.MOVED] = counts.unheard, counts.moved
            words[ScsynthWord.UNCLAIMED] = counts.unclaimed

    def _end(self) -> None:
        for server in (self._active, self._spare):
            if server is not None:
                server.close()
        self._active = self._spare = None
        self.counts.pid = 0

    def _started(self) -> Scsynth:
        """Another scsynth: booted, with its groups, wired, and silent. The one that plays is watched meanwhile."""
        name = f"antiphon-scsynth-{os.getpid()}-{next(self._numbers)}"
        server = Scsynth(name, self._wires.block, ECHO, self._outputs, self.shelf.folder)
        try:
            server.boot(self._watch_meanwhile)
            self._furnish(server)
            until = time.monotonic() + SETTLE_SECONDS
            while time.monotonic() < until:
                time.sleep(0.005)
                self._watch_meanwhile()
            # unwired until it is silent: two that send the counter back would be taken for none
            server.send("/n_run", self.layout.nodes + ECHO_NODE, 0)
            self._provide(server)
            server.sync(self._watch_meanwhile)
            server.has = server.provided
            time.sleep(4 * self._wires.block / self._wires.rate)
            self._wires.join(name)
        except BaseException:
            server.close()
            raise
        return server

    def _furnish(self, server: Scsynth) -> None:
        """Our groups, and what sends the counter back."""
        layout, first = self.layout, self.layout.nodes
        server.send("/g_new", first + CLOCK_GROUP, 0, 0, first + VOICES_GROUP, 3, first + CLOCK_GROUP)
        for slot in range(self._slots):
            server.send("/g_new", layout.group(slot), 1, first + VOICES_GROUP)
        server.send(
            "/s_new", "antiphon_send", first + ECHO_NODE, 0, first + CLOCK_GROUP,
            "in", float(layout.clock), "out", float(layout.out),
        )  # fmt: skip

    def _provide(self, server: Scsynth) -> None:
        """Tells it of what has come to the shelf since; it says `/synced` when it has it."""
        version = self.shelf.version
        if server.provided >= version:
            return
        for packet in self.shelf.since(server.provided):
            server.send_bytes(packet)
        server.send("/sync", SYNCED + version)
        server.provided = version

    def _watch_meanwhile(self) -> None:
        """While another boots, replies are heard and a death is counted; there is nothing to put in its place yet."""
        if self._wires.down:
            raise EngineError("JACK has gone")
        if self._ending:
            raise EngineError("it is being ended")
        active = self._active
        if active is not None:
            self._hear(active)
            self._count_dropped()
            self._look_for_hang()
            self._report()
            if active.ended():
                self._bury(active)

    def _bury(self, server: Scsynth) -> None:
        why = server.ended()
        server.close()
        self._active = None
        self.counts.pid = 0
        self._pending.clear()
        if self._wires.down:
            raise EngineError("JACK has gone")
        self._died(why)
        self.counts.restarts += 1

    def _died(self, why: str) -> None:
        now = time.monotonic()
        self._deaths.append(now)
        if sum(now - t < WITHIN for t in self._deaths) > self._most:
            raise EngineError(f"scsynth ended {self._most + 1} times within a minute, last {why}")

    def _employ(self, server: Scsynth) -> None:
        server.send("/n_run", self.layout.nodes + ECHO_NODE, 1)
        self._active = server
        # JACK may wait for the one before still
        self._silence.broken(self._silence.patience)
        self.counts.pid = server.pid
        self.counts.switched_ns = time.monotonic_ns()
        self.generation += 1
        self._report()

    def _turn(self) -> None:
        """Waits for something to happen, at most `LOOK_SECONDS`, and sees to it."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        for server in (self._active, self._spare):
            if server is not None:
                poll.register(server.pidfd, select.POLLIN)
                poll.register(server.socket, select.POLLIN)
        poll.poll(LOOK_SECONDS * 1000)
        # one that stays rung would end every wait at once
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        if self._ending:
            return
        if self._wires.down:
            raise EngineError("JACK has gone")
        if self._spare is not None:
            why = self._spare.ended()
            if why:
                self._spare.close()
                self._spare = None
                self._died(why)
            else:
                self._provide(self._spare)
                replies = self._spare.replies()
                for reply in replies:
                    _synced(self._spare, reply)
                if replies:
                    self._spare_silence.broken()
        if self._active is not None:
            self._provide(self._active)
            self._hear(self._active)
            if self._active.ended():
                self._bury(self._active)
        if self._active is None:
            ready, self._spare = self._spare, None
            self._employ(ready if ready is not None else self._started())
        if self._spare is None and self._spare_wanted:
            self._spare = self._started()
        self._count_dropped()
        self._look_for_hang()
        self._report()

    def _hear(self, server: Scsynth) -> None:
        counts = self.counts
        for reply in server.replies():
            match reply.address:
                case b"/n_go":
                    if self._pending.pop(int(reply.args[0]), None) is not None:  # type: ignore[arg-type]
                        counts.confirmed += 1
                case b"/n_end":
                    node = int(reply.args[0])  # type: ignore[arg-type]
                    # one that has ended has played, should the first reply have been lost
                    counts.confirmed += self._pending.pop(node, None) is not None
                    self.ended.append(node)
                    self._gone(server, node)
                case b"/synced":
                    _synced(server, reply)
                case b"/fail":
                    counts.failed += 1
                case b"/tr":
                    # others may send triggers of their own
                    counts.late += reply.args[1] in TOLD_LATE

    def _gone(self, server: Scsynth, node: int) -> None:
        """A node has ended. Nobody else frees what is in a scsynth of our own."""

    def _count_dropped(self) -> None:
        before = time.monotonic_ns() - int(UNCONFIRMED_SECONDS * 1e9)
        while self._pending:
            try:
                node, sent = next(iter(self._pending.items()))
            except (RuntimeError, StopIteration):
                return  # a note was begun this moment: the next look
            if sent > before:
                return
            if self._pending.pop(node, None) is not None:
                self.counts.dropped += 1
                self.ended.append(node)
                if self._active is not None:
                    # should it come after all, nobody would end it
                    self._active.send("/n_free", node)

    def _look_for_hang(self) -> None:
        """One that lives and does nothing is ended; its death does the rest.

        The one that plays sends its counter back. The one that stands ready is asked, for JACK would wait for it too.
        """
        clock = self._wires.counter
        if self._silence.look(clock, self._wires.came) and self._active is not None:
            self._active.kill()
        spare = self._spare
        if spare is None:
            self._spare_silence.broken()
        elif self._spare_silence.look(clock):
            spare.kill()
        elif self._spare_silence.due:
            spare.send("/sync", 1)


def _synced(server: Scsynth, reply: osc.Message) -> None:
    if reply.address == b"/synced" and reply.args and isinstance(number := reply.args[0], int) and number >= SYNCED:
        server.has = max(server.has, number - SYNCED)


def _ignore(_why: str, _again: bool) -> None:
    """Nobody is there to be told."""
