"""Engine's loop; the loader, a second thread, shares one reference (`next_plan`) and one queue (`to_say`) with it."""

import math
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from antiphon.kernel.contract.event import EVENT_KINDS, Event
from antiphon.kernel.engine.drivers.base import Driver
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.journal import Journal
from antiphon.kernel.engine.levels import FADE_IN_SECONDS
from antiphon.kernel.engine.link import NodeState
from antiphon.kernel.engine.loop_words import LOST, NO_BLOCK, LoopWord, LoopWords
from antiphon.kernel.engine.native.blocks import COMMANDS_A_BLOCK, STALL_NS
from antiphon.kernel.engine.native.loop import NO_PARTS, LoopParts, NativeLoop
from antiphon.kernel.engine.playing import PlayerReport
from antiphon.kernel.engine.remote import PLACES
from antiphon.kernel.engine.shared import DRIVERS, HeaderWord, Shared, command_ring, report_ring
from antiphon.kernel.graph.node_host import NodeHost, Touch
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.session.actions import EndTails, FadeOut
from antiphon.kernel.session.notes import HIGHEST

_KINDS = {kind: place for place, kind in enumerate(EVENT_KINDS)}
METER_HZ = 60
SILENT_NS = 500_000_000
"""Nanoseconds without a request after which the loop leaves a device without a fade."""
MAX_SECONDS = 8.0
"""A plan whose bar line is farther away is taken at once: control repeats an unanswered plan request after 20 s."""
MOST_FADING, CROWDED_SHARE = 0.5, 0.1
"""Load, as a share of a block, above which the last patch's tails end, and its smoothing weight of the newest block."""
_NOT_SET = -math.inf


@dataclass(frozen=True, slots=True)
class NextPlan:
    """A prepared plan, ready for the loop.

    `quantum`: beats, at whose next multiple it is taken, if at most `MAX_SECONDS` later; otherwise, and for 0, at once.
    """

    plan: Plan
    serial: int
    fade: float  # seconds of the crossfade
    tempo: float  # new tempo in bpm; 0 leaves it as it is
    text: bytes
    tail: float = 0.0  # seconds in which the nodes that left ring out
    aside: tuple[int, str] = (0, "")  # number of the node that is bypassed from the start, and why; (0, "") for none
    quantum: float = 0.0


class EngineLoop:
    """Runs a `GraphPlayer` under a `Driver`, and publishes clocks, counters, meters and reports in shared memory."""

    def __init__(
        self,
        player: GraphPlayer,
        driver: Driver,
        shared: Shared,
        bell: int,
        parts: LoopParts = NO_PARTS,
    ) -> None:
        """Creates a stopped loop; `bell`: wakes control for reports."""
        self.player, self.shared, self._parts = player, shared, parts
        self._words = shared.words
        self._commands, self._reports = command_ring(shared), report_ring(shared)
        self._next_plan: NextPlan | None = None
        self._next_driver: Driver | None = None
        self._sounds = True  # the sound fades in with the next driver
        self._since = 0  # sample that the driver began at
        self._hurried = False  # the tails of the last patch end
        self._crowded = 0.0  # smoothed share of a block that two plans take
        self._bar_line = _NOT_SET  # beat at which the next plan is taken
        self.to_say: deque[NodeState] = deque(maxlen=1024)
        self._echoed: dict[tuple[int, int, int], NodeHost] = {}  # who sounds a reported note, by node, channel, note
        self._echoes = 0  # the node that they are of, as of `HeaderWord.ECHO`
        self.journal = Journal(shared, player)
        frames = round(FADE_IN_SECONDS * driver.rate)
        line = np.arange(1, -(-frames // driver.block) * driver.block + 1, dtype=np.float32)
        self._rise = np.minimum(line / np.float32(frames), np.float32(1.0))  # gains of the input behind a gap
        self._risen = self._rise.size  # frames since the gap
        own = LoopWords()
        self._loop, self._loads = own.whole, own.real
        self._ending: Sequence[int] = ()
        self._call_handlers = self.turn, self._wait, self._play, self._publish  # by `CallReason`
        self._native = NativeLoop(own, player, driver, shared, parts, bell, self._handle_call)
        self._labels = self._native.labels
        self._use(driver)
        self._loop[LoopWord.METER_EVERY] = max(1, round(driver.rate / driver.block / METER_HZ))
        self._late_base = self._words[HeaderWord.LATE]
        self._loop[LoopWord.TURNED] = self._loop[LoopWord.NOTED] = time.monotonic_ns()
        self._loop[LoopWord.COMPUTED] = time.process_time_ns()
        self._loop[LoopWord.LATEST] = self._words[HeaderWord.LATEST_NS]

    def _use(self, driver: Driver) -> None:
        """Makes a driver the loop's clock. Its counts begin at 0, and the server's continue."""
        words, loop = self._words, self._loop
        self.driver = driver
        self._native.use(driver)
        loop[LoopWord.BASE_MISSED] = words[HeaderWord.MISSED_BLOCKS]
        loop[LoopWord.BASE_LATE] = words[HeaderWord.LATE_BLOCKS]
        loop[LoopWord.BASE_XRUNS] = words[HeaderWord.DEVICE_XRUNS]
        words[HeaderWord.DEVICE_RATE], words[HeaderWord.DEVICE_BLOCK] = driver.device_rate, driver.device_block
        words[HeaderWord.LATENCY_DRIVER], words[HeaderWord.LATENCY_RING] = driver.latency, driver.ring
        self.player.time.latency = driver.latency + driver.ring

    def change(self, driver: Driver, *, sounds: bool = True) -> None:
        """Asks, from the loader's thread, for another driver; the sound fades out before the change and in after it."""
        self._sounds, self._next_driver = sounds, driver
        self._loop[LoopWord.ASKED] = 1

    @property
    def changing(self) -> bool:
        """True until the driver of the last `change` is the clock."""
        return self._next_driver is not None

    def _change(self, driver: Driver) -> None:
        """Changes to a driver once the output has faded out; the sample clock advances by the time that passes."""
        player, block, now = self.player, driver.block, time.monotonic_ns()
        last, played = player.sample // block - 1, player.sample > self._since
        # a device that has not called yet knows no time
        at = self.driver.time_of(last) if played else now
        player.edges.fall()
        if played and not player.has_faded_out and now - at < SILENT_NS:
            return
        self._use(driver)
        self._words[HeaderWord.DRIVER] = DRIVERS.index(driver.name)
        first = last + max(1, round((now - at) * driver.rate / (block * 1e9)))
        driver.start(first, at - last * block * 1_000_000_000 // driver.rate)
        if first * block > player.sample:
            self._skip(first * block)
        self._since = player.sample
        self.journal.record_latency(player.sample, player.time.latency)
        if self._sounds:
            player.edges.stay()
            player.rise()
        self._loop[LoopWord.ASKED], self._next_driver = 0, None

    @property
    def next_plan(self) -> NextPlan | None:
        """Plan to take before the next block; the loader sets it, the loop clears it."""
        return self._next_plan

    @next_plan.setter
    def next_plan(self, plan: NextPlan | None) -> None:
        # The word last when a plan comes, first when it is taken: the loader may hand over the one after it meanwhile.
        if plan is None:
            self._loop[LoopWord.ASKED] = 0
        self._next_plan = plan
        if plan is not None:
            self._loop[LoopWord.ASKED] = 1

    def begin(self, first: int, died: int) -> None:
        """Starts at block `first`; blocks from `died`, the previous engine's end, are missed. 0 for a first engine."""
        block = self.driver.block
        if died:
            self._loop[LoopWord.BASE_MISSED] += first - died
            self._risen = 0
        self.player.sample = self._since = first * block
        self.player.rise()
        self.journal.record_start(self.player.sample, died * block)

    def run_block(self) -> bool:
        """Runs the next block, which the interpreter plays. Returns False if the device asks for none."""
        self._loop[LoopWord.RESTS], self._loop[LoopWord.SAMPLE] = 0, self.player.sample
        return self._native.run_block()

    def run(self, ending: Sequence[int], signals: int) -> bool:
        """Runs blocks until the device is lost or `ending` is filled; `signals`: of `signal.set_wakeup_fd`."""
        loop, self._ending = self._loop, ending
        loop[LoopWord.SIGNALS], loop[LoopWord.RESTS], loop[LoopWord.SAMPLE] = signals, 0, self.player.sample
        self._native.run()
        loop[LoopWord.SIGNALS] = -1
        return bool(ending)

    def _handle_call(self, reason: int, block: int) -> int:
        """Does what machine code calls for, a `CallReason`."""
        self.player.sample = self._loop[LoopWord.SAMPLE]
        return self._call_handlers[reason](block)

    def turn(self, _block: int = 0) -> int:
        """Changes the driver if asked to, and prepares the next blocks for machine code; 1 ends the loop."""
        loop = self._loop
        if loop[LoopWord.WOKEN]:
            loop[LoopWord.WOKEN] = 0
            os.read(loop[LoopWord.SIGNALS], 64)
        if self._ending:
            return 1
        if self._next_driver is not None:
            self._change(self._next_driver)
            loop[LoopWord.SAMPLE] = self.player.sample
        asked = self._next_plan is not None or self._next_driver is not None
        loop[LoopWord.RESTS] = int(not asked and self._native.prepare(self.journal, self._limit_wait))
        return 0

    def _wait(self, _block: int) -> int:
        """Number of the block that the driver waits for, `NO_BLOCK` or `LOST`."""
        loop = self._loop
        block = NO_BLOCK if loop[LoopWord.WOKEN] else self.driver.wait()
        if block < 0:
            loop[LoopWord.RESTS] = 0
            self._words[HeaderWord.ALIVE_NS] = loop[LoopWord.TURNED] = time.monotonic_ns()
            return NO_BLOCK if self.driver.alive() else LOST
        return block

    def _play(self, block: int) -> int:
        """Computes a block with the player."""
        driver, player = self.driver, self.player
        sample = block * driver.block
        if sample != player.sample:
            late = self._loop[LoopWord.STARTED] - driver.time_of(block)
            self._late(late + (sample - player.sample) * 1_000_000_000 // driver.rate)
            self._skip(sample)
        if self._loop[LoopWord.DUE] == Touch.OTHER:
            ramps = player.tempo.line_at(player.sample) is None
            self._loop[LoopWord.DUE] = player.unrest or (Touch.MOVING if ramps else Touch.OTHER)
        self._swap()
        self._drain()
        self._native.read(block)
        x = self._native.input
        if (browser := self._parts.browser) is not None:
            x = browser.add(x) if self._parts.looped is None else browser.replace(x)
        if self._risen < self._rise.size:
            gains = self._rise[self._risen : self._risen + driver.block]
            np.multiply(x, gains, out=x)
            self._risen += driver.block
        self._limit_wait()
        player.run(x)
        self._words[HeaderWord.AT_WORK] = 0
        if player.fading:
            spent = time.monotonic_ns() - self._loop[LoopWord.STARTED]
            self._crowded += CROWDED_SHARE * (spent / self._loads[LoopWord.BLOCK_NS] - self._crowded)
        self._native.close(x, player.tempo.beat_at(sample))
        return 0

    def _skip(self, sample: int) -> None:
        """Notes that the blocks before `sample` were missed. What comes in then rises, also for a recording of it."""
        self.journal.record_gap(self.player.sample, sample)
        self.player.skip(sample - self.player.sample)
        self._risen = 0

    def _limit_wait(self) -> None:
        """Limits the wait for late worker answers to half of the time left after this block's own work."""
        if (pool := self._parts.pool) is not None:
            driver, block, at = self.driver, self._loop[LoopWord.NUMBER], time.monotonic_ns()
            work = int(self._loads[LoopWord.LOAD_MEAN] * driver.block * 1_000_000_000 / driver.rate)
            pool.until_ns = at + max(0, driver.deadline(block) - at - work) // 2

    def _publish(self, block: int) -> int:
        """Publishes what the interpreter did in a block, or that it was delivered too late."""
        player, words, loop = self.player, self._words, self._loop
        sample, metered = block * self.driver.block, loop[LoopWord.METERED]
        moved = not loop[LoopWord.DUE] and player.end_rows()
        if not loop[LoopWord.HEARD]:
            self._unheard(sample)
        if (node := words[HeaderWord.ECHO]) != self._echoes:
            self._echoes = node
            self._echoed.clear()
        if node:
            self._echo(node, sample)  # machine code runs no node that emits events
        words[HeaderWord.LATE] = self._late_base + player.counters.late
        words[HeaderWord.PENDING], words[HeaderWord.LEADER] = len(player.schedule), player.leader
        self.shared.floats[HeaderWord.FOUND_TEMPO] = player.found_tempo
        words[HeaderWord.SCHEDULE_DROPPED] = player.counters.schedule_dropped
        if player.reports:
            self._send_reports(player.reports)
        if metered and player.plan is not None:
            for node, cell, value in player.plan.reports():
                self._reports.push((PLACES["reported"], node << 16 | (cell + 1), value, 0.0, 0, 0.0, 0, 0))
                loop[LoopWord.WAKE] = 1
        if player.applied:
            self.journal.record_actions(player.applied)  # those before a set that begins, for one beside it
        if self.journal.follow() or self._native.labels is not self._labels:
            self._labels = self._native.labels
            self.journal.record_tracks(sample, self._labels)
        if player.strips.heard:
            self.journal.record_events(sample, player.strips.heard)
        loop[LoopWord.WAITING] = int(not metered)
        if loop[LoopWord.DUE] or moved or player.unrest:
            loop[LoopWord.RESTS] = 0
        return 0

    def _unheard(self, sample: int) -> None:
        """Notes a block that was computed too late to be played, and starts a fade-in with the next one."""
        self.journal.record_late_block(sample)
        self.player.restart_fade_in()

    def end(self) -> None:
        """Runs the last blocks, over which the sound fades out, until the device requests no more."""
        self.player.take(FadeOut())
        while not self.player.has_faded_out and self.run_block():
            pass

    def _late(self, behind: int) -> None:
        """Records that a block was missed `behind` ns after its time; `note_lateness` is for computed ones."""
        if self._loop[LoopWord.LATEST] < behind < STALL_NS:
            self._loop[LoopWord.LATEST] = self._words[HeaderWord.LATEST_NS] = behind

    def _swap(self) -> None:
        ready = self.next_plan
        due = ready is not None and self._due(ready.quantum)
        if self.player.fading:
            if (due or self._crowded > MOST_FADING) and not self._hurried:
                self._hurried = True
                self.player.take(EndTails())
            return
        self._hurried, self._crowded = False, 0.0
        if ready is not None and due:
            self.next_plan, self._bar_line = None, _NOT_SET
            self.journal.record_plan(self.player.sample, ready.text)
            if ready.aside[0]:
                self.journal.record_failure(self.player.sample, *ready.aside, aside=True)
            self.player.load(ready.plan, ready.serial, ready.fade, ready.tempo, ready.tail)
            # a restarted engine continues the input file at the clock's position
            self._words[HeaderWord.BEGUN] = self._words[HeaderWord.BEGUN] or self.player.sample + 1
            self._words[HeaderWord.LATENCY_GRAPH] = ready.plan.latency
            self._loop[LoopWord.WAKE] = 1

    def _due(self, quantum: float) -> bool:
        """True if a plan with this quantum is taken in the coming block: the first from its bar line on."""
        tempo, sample = self.player.tempo, self.player.sample
        if not quantum or not tempo.playing:
            return True
        beat = tempo.beat_at(sample)
        if self._bar_line == _NOT_SET or self._bar_line > beat + quantum:  # the transport may have jumped back
            self._bar_line = math.ceil(beat / quantum - 1e-9) * quantum
        seconds = (tempo.sample_at(self._bar_line) - sample) / self.driver.rate
        return seconds <= 0.0 or seconds > MAX_SECONDS

    def _drain(self) -> None:
        take = self.player.take
        for action in self._commands.drain(COMMANDS_A_BLOCK):
            take(action)

    def _send_reports(self, reports: deque[PlayerReport]) -> None:
        while reports:
            report = reports.popleft()
            if report.kind == "failed":
                sample = self._words[HeaderWord.HEARTBEAT] * self.driver.block
                if not report.cell:
                    self.to_say.append(NodeState(report.node, "failed", report.text))
                self.journal.record_failure(sample, report.node, report.text, leaving=bool(report.cell))
                continue
            if report.kind == "mark":
                self.journal.record_mark(self._words[HeaderWord.HEARTBEAT] * self.driver.block, report)
                continue
            where = report.node << 16 | (report.cell + 1)
            self._reports.push((PLACES[report.kind], where, report.number, 0.0, 0, 0.0, report.token, 0))
        self._loop[LoopWord.WAKE] = 1

    def _echo(self, node: int, sample: int) -> None:
        """Reports the events that a node, or every node, emitted in the block that began at `sample`.

        Notes of a node that was removed, prepared anew or has failed are ended here, since it emits no note-off.
        """
        plan, sounding = self.player.plan, self._echoed
        if sounding:
            self._end_echoed(plan, sample)
        if plan is None:
            return
        for number, events in plan.emitted_events(node):
            for event in events:
                key = int(event.number)
                if event.kind in _KINDS and 0 <= key <= HIGHEST:
                    if event.kind == "on":
                        sounding[number, event.channel, key] = plan.hosts[number]
                    elif event.kind == "off":
                        sounding.pop((number, event.channel, key), None)
                    self._played(number, key, event, sample)

    def _end_echoed(self, plan: Plan | None, sample: int) -> None:
        for (number, channel, key), host in [*self._echoed.items()]:
            if plan is None or plan.hosts.get(number) is not host or host.failed:
                del self._echoed[number, channel, key]
                self._played(number, key, Event("off", 0, key, channel=channel), sample)

    def _played(self, number: int, key: int, event: Event, sample: int) -> None:
        where, value, channel = number << 16 | key + 1, float(event.value), float(event.channel)
        kind = _KINDS[event.kind]
        self._reports.push((PLACES["played"], where, value, channel, sample + event.offset, 0.0, kind, 0))
        self._loop[LoopWord.WAKE] = 1
