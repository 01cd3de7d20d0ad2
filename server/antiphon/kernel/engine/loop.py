"""The engine's loop: wait for a block, drain the commands, run the graph player, deliver the output, count.

One thread runs it. A second one, the loader, prepares plans and uses the socket to control. The two share one
reference (`next_plan`) and one queue (`to_say`).
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.engine.drivers.base import Driver
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.loop_words import Left, LoopWord, LoopWords
from antiphon.kernel.engine.native.blocks import STALL_NS
from antiphon.kernel.engine.native.loop import NO_PARTS, LoopParts, NativeLoop
from antiphon.kernel.engine.native.publishing import MEAN_SHARE, PEAK_FALL
from antiphon.kernel.engine.player_reports import PlayerReport
from antiphon.kernel.engine.recorder_tap import RecorderTap
from antiphon.kernel.engine.recording.journal import Journal
from antiphon.kernel.engine.remote import KINDS, PLACES
from antiphon.kernel.engine.shared import METERS, HeaderWord, Shared, command_ring, report_ring
from antiphon.kernel.graph.clock import DelayLockedLoop
from antiphon.kernel.graph.io_nodes import IN_NUMBER, OUT_NUMBER
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.native import dsp
from antiphon.kernel.session.actions import FadeOut
from antiphon.kernel.session.notes import HIGHEST

_KINDS = {kind: place for place, kind in enumerate(KINDS)}
METER_HZ = 60
COMMANDS_A_BLOCK = 2048
MOST_SECONDS = 8.0
"""A plan whose bar line is farther away is taken at once: control requests a plan again that has no answer in 20 s."""
_NOT_SET = -math.inf


@dataclass(frozen=True, slots=True)
class NextPlan:
    """A prepared plan that waits for the loop.

    Attributes:
        serial: Number of the load request.
        fade: Seconds of the crossfade.
        tempo: New tempo in bpm; 0 leaves it as it is.
        text: The load request as JSON, for the session log.
        aside: Number of the node that is bypassed from the start, and why; (0, "") for none.
        quantum: Beats: it is taken at the next multiple of them, at most `MOST_SECONDS` later; 0 takes it at once.
    """

    plan: Plan
    serial: int
    fade: float
    tempo: float
    text: bytes
    aside: tuple[int, str] = (0, "")
    quantum: float = 0.0


class EngineLoop:
    """Runs a `GraphPlayer` under a `Driver`, and publishes clocks, counters, meters and reports in shared memory.

    Attributes:
        shared: The mapping that control and recorder read.
    """

    def __init__(
        self,
        player: GraphPlayer,
        driver: Driver,
        shared: Shared,
        bell: int,
        parts: LoopParts = NO_PARTS,
    ) -> None:
        """A loop that has not begun; `bell` wakes control when there are reports."""
        self.player, self.driver, self.shared, self._bell, self._parts = player, driver, shared, bell, parts
        self._words, self._floats = shared.words, shared.floats
        self._commands, self._reports = command_ring(shared), report_ring(shared)
        self._dll = DelayLockedLoop(driver.rate, driver.block)
        self._next_plan: NextPlan | None = None
        self._bar_line = _NOT_SET  # beat at which the next plan is taken
        self.to_say: deque[dict[str, object]] = deque(maxlen=1024)
        self.journal = Journal(shared, player)
        self._tap = RecorderTap(shared, driver.channels)
        self._meter_every = max(1, round(driver.rate / driver.block / METER_HZ))
        self._node_meters = np.asarray(shared.meters, np.float32)[8 : 4 * (METERS - 1)]
        self._own = LoopWords()
        self._loop, self._loads = self._own.whole, self._own.real
        self._loop[LoopWord.METER_EVERY] = self._meter_every
        self._base = (
            self._words[HeaderWord.MISSED_BLOCKS],
            self._words[HeaderWord.LATE_BLOCKS],
            self._words[HeaderWord.DEVICE_XRUNS],
        )
        self._late_base = self._words[HeaderWord.LATE]
        self._wake_needed = False
        self._loop[LoopWord.TURNED] = self._loop[LoopWord.NOTED] = time.monotonic_ns()
        self._loop[LoopWord.COMPUTED] = time.process_time_ns()
        self._loop[LoopWord.LATEST] = self._words[HeaderWord.LATEST_NS]

    @property
    def next_plan(self) -> NextPlan | None:
        """The plan to take before the next block; the loader sets it, the loop clears it."""
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
        """Begins with block number `first`.

        The blocks from `died`, after the last block of the previous engine, to `first` count as missed, and a replay
        leaves them out; 0 for the server's first engine.
        """
        block = self.driver.block
        if died:
            self._base = (self._base[0] + first - died, *self._base[1:])
        self.player.sample = first * block
        self.player.rise()
        self.journal.started(self.player.sample, died * block)

    def run_block(self) -> bool:
        """Runs one block. Returns False when the driver has none because its device no longer asks for blocks."""
        driver, player, words = self.driver, self.player, self._words
        block = driver.wait()
        words[HeaderWord.ALIVE_NS] = now = time.monotonic_ns()
        turned, self._loop[LoopWord.TURNED] = self._loop[LoopWord.TURNED], now
        if block < 0:
            return False
        if now - turned > STALL_NS:
            self._stalled(now, now - turned)
        if self._loop[LoopWord.METER_IN] <= 1:
            # before the block, so that a stall in the middle of it is between this and the next turn
            self._loop[LoopWord.NOTED], self._loop[LoopWord.COMPUTED] = now, time.process_time_ns()
        words[HeaderWord.HEARTBEAT] = block
        sample = block * driver.block
        if sample != player.sample:
            self._late(now - driver.time_of(block) + (sample - player.sample) * 1_000_000_000 // driver.rate)
            self.journal.missed(player.sample, sample)
            player.skip(sample - player.sample)
        self._swap()
        self._clock(sample, block)
        self._drain()
        x = driver.input(block)
        overlay, browser = self._parts.overlay, self._parts.browser
        if overlay is not None:
            x = overlay.block(sample - words[HeaderWord.BEGUN] + 1 if words[HeaderWord.BEGUN] else -1, driver.block)
        if browser is not None:
            x = browser.add(x)
        self._limit_wait(block)
        self._hand_over(block, x, player.run(x), now)
        return True

    def _limit_wait(self, block: int) -> None:
        """A worker's late answer is waited for at most half of the time that this block's own work leaves."""
        if (pool := self._parts.pool) is not None:
            driver, at = self.driver, time.monotonic_ns()
            work = int(self._loads[LoopWord.LOAD_MEAN] * driver.block * 1_000_000_000 / driver.rate)
            pool.until_ns = at + max(0, driver.deadline(block) - at - work) // 2

    def run(self, ending: Sequence[int], signals: int) -> bool:
        """Runs blocks until the device is gone or a signal's handler has put something into `ending`.

        Args:
            ending: Read between blocks.
            signals: Descriptor that can be read once a signal has come (`signal.set_wakeup_fd`).

        Returns:
            Whether the device is still there.
        """
        bell, parts = self._bell, self._parts
        native = NativeLoop(self._own, self.player, self.driver, self.shared, self._dll, parts, bell, signals)
        while not ending:
            if self.run_block():
                self._play_on(native)
            elif not self.driver.alive():
                return False
        return True

    def _play_on(self, native: NativeLoop) -> None:
        """Has machine code play as long as nothing needs the interpreter, and ends the block that it left."""
        if self._next_plan is not None:
            return
        left = native.play(self._base, self.journal)
        block, player = self._loop[LoopWord.NUMBER], self.player
        if left == Left.ROW:
            started = self._loop[LoopWord.STARTED]
            self._limit_wait(block)
            self._hand_over(block, native.input, player.go_on(self._loop[LoopWord.STOP]), started)
        elif left == Left.UNHEARD:
            self.journal.unheard(block * self.driver.block)

    def _hand_over(self, block: int, x: Samples, out: Samples, started: int) -> None:
        driver, player, words, parts = self.driver, self.player, self._words, self._parts
        sample = block * driver.block
        words[HeaderWord.AT_WORK] = 0
        if words[HeaderWord.ECHO]:
            self._echo(words[HeaderWord.ECHO], sample)
        played = driver.deliver(block, out if parts.pairs is None else parts.pairs.gather(player.buses))
        self._late(time.monotonic_ns() - driver.time_of(block))
        self._tap.put(block, x, out, played)
        if parts.taps is not None:
            parts.taps.put(block, x, out, player.plan, player.buses.channels)
        if parts.capture is not None:
            parts.capture.put(block, player.tempo.beat_at(sample), x, out, player.plan)
        if not played:
            self.journal.unheard(sample)
        self._publish(block, x, out)
        self._measure(time.monotonic_ns() - started)
        # last: on a busy machine a process that is woken may take this core at once
        if parts.pool is not None:
            parts.pool.flush()
        if self._wake_needed:
            self._wake_needed = False
            os.eventfd_write(self._bell, 1)

    def end(self) -> None:
        """Runs the last blocks, over which the sound fades out. Returns early when the device asks for no more."""
        self.player.take(FadeOut())
        while not self.player.over and self.run_block():
            pass

    def _stalled(self, now: int, turn: int) -> None:
        """After a turn of so many ns: counts a stall of the machine where this process did not compute."""
        computed = time.process_time_ns() - self._loop[LoopWord.COMPUTED]
        if min(now - self._loop[LoopWord.NOTED] - computed, turn) > STALL_NS:
            self._words[HeaderWord.STALLS] += 1
            self._words[HeaderWord.STALLED_NS] = turn

    def _late(self, behind: int) -> None:
        """A block was computed `behind` ns after its time; what is later than a stall says nothing about `--ahead`."""
        if self._loop[LoopWord.LATEST] < behind < STALL_NS:
            self._loop[LoopWord.LATEST] = self._words[HeaderWord.LATEST_NS] = behind

    def _swap(self) -> None:
        ready = self.next_plan
        if ready is not None and not self.player.fading and self._due(ready.quantum):
            self.next_plan, self._bar_line = None, _NOT_SET
            self.journal.loaded(self.player.sample, ready.text)
            if ready.aside[0]:
                self.journal.failed(self.player.sample, *ready.aside, aside=True)
            self.player.load(ready.plan, ready.serial, ready.fade, ready.tempo)
            # an engine after a restart goes on in the input file where the clock is
            self._words[HeaderWord.BEGUN] = self._words[HeaderWord.BEGUN] or self.player.sample + 1
            self._words[HeaderWord.LATENCY_GRAPH] = ready.plan.latency
            self._wake_needed = True

    def _due(self, quantum: float) -> bool:
        """Whether a plan with this quantum is taken in the coming block: the first from its bar line on."""
        tempo, sample = self.player.tempo, self.player.sample
        if not quantum or not tempo.playing:
            return True
        beat = tempo.beat_at(sample)
        if self._bar_line == _NOT_SET or self._bar_line > beat + quantum:  # the transport may have jumped back
            self._bar_line = math.ceil(beat / quantum - 1e-9) * quantum
        seconds = (tempo.sample_at(self._bar_line) - sample) / self.driver.rate
        return seconds <= 0.0 or seconds > MOST_SECONDS

    def _clock(self, sample: int, block: int) -> None:
        words, asked = self._words, self.driver.time_of(block)
        at, step = asked, 1e9 / self.driver.rate
        if not self.driver.exact:
            self._dll.update(sample, asked)
            at, step = round(self._dll.time), self._dll.ns_per_sample
        words[HeaderWord.CLOCK_SEQUENCE] += 1
        words[HeaderWord.CLOCK_SAMPLE], words[HeaderWord.CLOCK_NS] = sample, at
        self._floats[HeaderWord.CLOCK_NS_PER_SAMPLE] = step
        words[HeaderWord.CLOCK_SEQUENCE] += 1

    def _drain(self) -> None:
        take = self.player.take
        for action in self._commands.drain(COMMANDS_A_BLOCK):
            take(action)

    def _publish(self, block: int, x: Samples, out: Samples) -> None:
        player, words, floats = self.player, self._words, self._floats
        missed, late, xruns = self.driver.counts()
        words[HeaderWord.BLOCKS] += 1
        words[HeaderWord.MISSED_BLOCKS] = self._base[0] + missed
        words[HeaderWord.LATE_BLOCKS] = self._base[1] + late
        words[HeaderWord.DEVICE_XRUNS] = self._base[2] + xruns
        words[HeaderWord.LATE] = self._late_base + player.counters.late
        words[HeaderWord.PENDING] = len(player.schedule)
        words[HeaderWord.SCHEDULE_DROPPED] = player.counters.schedule_dropped
        # odd, also where an engine was killed between the two changes
        words[HeaderWord.BEAT_SEQUENCE] |= 1
        words[HeaderWord.BEAT_SAMPLE] = block * self.driver.block
        floats[HeaderWord.BEAT] = player.tempo.beat_at(block * self.driver.block)
        floats[HeaderWord.TEMPO] = player.tempo.tempo_at(player.sample)
        words[HeaderWord.PLAYING] = int(player.tempo.playing)
        words[HeaderWord.BEAT_SEQUENCE] += 1
        if player.reports:
            self._send_reports(player.reports)
        self._loop[LoopWord.METER_IN] -= 1
        if self._loop[LoopWord.METER_IN] <= 0:
            self._loop[LoopWord.METER_IN] = self._meter_every
            self._meters(x, out)
        self.journal.follow()
        if player.applied:
            self.journal.applied(player.applied)

    def _send_reports(self, reports: deque[PlayerReport]) -> None:
        while reports:
            report = reports.popleft()
            if report.kind == "failed":
                sample = self._words[HeaderWord.HEARTBEAT] * self.driver.block
                if not report.cell:
                    self.to_say.append({"said": "failed", "node": report.node, "reason": report.text})
                self.journal.failed(sample, report.node, report.text, leaving=bool(report.cell))
                continue
            if report.kind == "mark":
                self.journal.marked(self._words[HeaderWord.HEARTBEAT] * self.driver.block, report)
                continue
            self._reports.push(
                (
                    PLACES[report.kind],
                    report.node << 16 | (report.cell + 1),
                    report.number,
                    0.0,
                    0,
                    0.0,
                    report.token,
                    0,
                )
            )
        self._wake_needed = True

    def _echo(self, node: int, sample: int) -> None:
        """Reports the events that a node, or every node, emitted in the block that began at `sample`."""
        plan = self.player.plan
        for number, events in plan.emitted(node) if plan is not None else ():
            for event in events:
                kind, key = _KINDS.get(event.kind), int(event.number)
                if kind is not None and 0 <= key <= HIGHEST:
                    where, value, channel = number << 16 | key + 1, float(event.value), float(event.channel)
                    self._reports.push((PLACES["played"], where, value, channel, sample + event.offset, 0.0, kind, 0))
                    self._wake_needed = True

    def _meters(self, x: Samples, out: Samples) -> None:
        view, player, plan = self.shared.meters, self.player, self.player.plan
        frames = self.driver.block
        for row, number, sound in ((0, OUT_NUMBER, out), (1, IN_NUMBER, x)):
            view[4 * row] = number
            _level(sound, frames, view, 4 * row)
        row = 2
        if plan is not None:
            row += plan.native.meters(frames, self._node_meters)
            for node, cell, value in plan.reports():
                self._reports.push((PLACES["reported"], node << 16 | (cell + 1), value, 0.0, 0, 0.0, 0, 0))
                self._wake_needed = True
        view[4 * row] = 0.0
        counters, words = player.counters, self._words
        words[HeaderWord.NAN_BLOCKS], words[HeaderWord.LIMITED_BLOCKS] = counters.nan_blocks, counters.limited_blocks
        words[HeaderWord.CLIPPED_BLOCKS] = counters.clipped_blocks

    def _measure(self, spent_ns: int) -> None:
        share = spent_ns * self.driver.rate / (self.driver.block * 1e9)
        mean = self._loads[LoopWord.LOAD_MEAN]
        mean += MEAN_SHARE * (share - mean)
        peak = max(share, self._loads[LoopWord.LOAD_PEAK] * PEAK_FALL)
        self._loads[LoopWord.LOAD_MEAN] = self._floats[HeaderWord.LOAD_MEAN] = mean
        self._loads[LoopWord.LOAD_PEAK] = self._floats[HeaderWord.LOAD_PEAK] = peak


def _level(sound: Samples, frames: int, view: memoryview[float], at: int) -> None:
    """Writes a block's peak and RMS to the two places after `at`, which holds the node's number."""
    stride, channels = sound.strides[0] // 4, sound.shape[0]
    view[at + 1] = max(0.0, dsp.peak(sound, stride, channels, frames))
    view[at + 2] = math.sqrt(max(0.0, dsp.rms_sum(sound, frames)) / (frames * channels))
