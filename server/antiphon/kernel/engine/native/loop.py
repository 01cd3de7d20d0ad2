"""Interpreter's side of the machine-code loop: sets up its addresses, and reads its results."""

import ctypes
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples, missed_fade_out
from antiphon.kernel.engine.callback import CallbackWord
from antiphon.kernel.engine.drivers.base import Driver
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.journal import Journal, TrackLabel
from antiphon.kernel.engine.levels import ChosenPairs
from antiphon.kernel.engine.loop_words import REPORTED_SIZE, LoopWord, LoopWords
from antiphon.kernel.engine.native.blocks import play_block, play_blocks
from antiphon.kernel.engine.native.waiting import DLL_HZ, take_input
from antiphon.kernel.engine.shared import TRACKS, HeaderWord, Shared
from antiphon.kernel.engine.taps import BrowserInput, NodeCapture, NodeTaps
from antiphon.kernel.graph.plan import Plan, Strip
from antiphon.kernel.runtime.platform import c_function
from antiphon.kernel.workers.pool import Pool
from antiphon.native.call_back import CallBack
from antiphon.native.kernel import address, sound as layout_of

_NEVER = 1 << 62
_NO_LABELS: list[TrackLabel] = []


@dataclass(frozen=True, slots=True)
class LoopParts:
    """Optional parts of a server."""

    looped: Samples | None = None  # sound that repeats in place of the input, float32 `[channels, frames]`
    pool: Pool | None = None
    taps: NodeTaps | None = None
    capture: NodeCapture | None = None
    browser: BrowserInput | None = None
    pairs: ChosenPairs | None = None


NO_PARTS = LoopParts()


class NativeLoop:
    """Plays blocks, whole ones of a resting plan without the interpreter. For the engine loop's thread."""

    def __init__(
        self,
        words: LoopWords,
        player: GraphPlayer,
        driver: Driver,
        shared: Shared,
        parts: LoopParts,
        bell: int,
        answer: Callable[[int, int], int],
    ) -> None:
        """Stores addresses that are constant while the engine runs. `answer`: called by machine code (`CallReason`)."""
        self.words, self._player, self._shared = words, player, shared
        self._taps, self._capture, self._browser = parts.taps, parts.capture, parts.browser
        # held, as their addresses are in the words
        self._file, self._fall = parts.looped, missed_fade_out(driver.block, driver.rate)
        self._plan: Plan | None = None
        self._strips: Mapping[str, Strip] = {}
        self.labels = _NO_LABELS  # of the tracks that are recorded
        self.input: Samples = np.zeros((driver.channels, driver.block), np.float32)  # of the block under way
        rows = np.arange(driver.channels, dtype=np.int64) if parts.pairs is None else parts.pairs.rows
        self._rows = np.ascontiguousarray(rows)
        self._sources = self._owners = self._reported = np.zeros(1, np.int64)
        self._parts = [np.frombuffer(shared.part(name), np.uint8) for name in _PARTS]
        self._fill(driver, parts, bell)
        self._call_back = CallBack(answer)
        words.whole[LoopWord.CALL_BACK] = self._call_back.address
        self._run = play_blocks.bind(words.address, words.address)
        self._play_block = play_block.bind(words.address, words.address)
        self._take(None)

    def _fill(self, driver: Driver, parts: LoopParts, bell: int) -> None:
        """Writes the words that stay the same."""
        whole, real = self.words.whole, self.words.real
        functions = {
            LoopWord.CLOCK: "clock_gettime",
            LoopWord.SLEEP: "nanosleep",
            LoopWord.POLL: "poll",
            LoopWord.READ: "read",
            LoopWord.WRITE: "write",
        }
        for word, name in functions.items():
            whole[word] = c_function(name)
        for word, value in self._values(driver, parts, bell).items():
            whole[word] = value
        self.use(driver)
        omega = 2.0 * math.pi * DLL_HZ * driver.block / driver.rate
        real[LoopWord.DLL_B], real[LoopWord.DLL_C] = math.sqrt(2.0) * omega, omega * omega

    def use(self, driver: Driver) -> None:
        """Makes a driver of the same rate and block the clock, from the next block on."""
        whole, real = self.words.whole, self.words.real
        real[LoopWord.BLOCK_NS] = driver.block * 1e9 / driver.rate
        real[LoopWord.DLL_EXPECTED], real[LoopWord.DLL_PERIOD] = -1.0, real[LoopWord.BLOCK_NS]
        whole[LoopWord.PACE], whole[LoopWord.DEVICE] = address(driver.pace), driver.device
        whole[LoopWord.DEVICE_BELL], whole[LoopWord.COUNT_OUT] = driver.bell, self._count_out(driver)

    def _values(self, driver: Driver, parts: LoopParts, bell: int) -> dict[LoopWord, int]:
        """Sizes, addresses and descriptors, by their words."""
        named = {name: address(part) for name, part in zip(_PARTS, self._parts, strict=True)}
        buses = self._player.buses
        return {
            LoopWord.ONE: 1,
            LoopWord.SIGNALS: -1,
            LoopWord.BLOCK: driver.block,
            LoopWord.RATE: driver.rate,
            LoopWord.CHANNELS: driver.channels,
            LoopWord.HEADER: named["words"],
            LoopWord.REPORTS: named["reports"],
            LoopWord.COMMANDS: named["commands"],
            LoopWord.METERS: named["meters"],
            LoopWord.TAP_SLOTS: self._shared.shape.tap,
            LoopWord.TAP_TAGS: named["tap_tags"],
            LoopWord.TAP_OUT: named["tap_out"],
            LoopWord.TAP_IN: named["tap_in"],
            LoopWord.FALL: address(self._fall),
            LoopWord.FALL_FRAMES: self._fall.size,
            LoopWord.ROWS_OUT: address(self._rows),
            LoopWord.X: address(self.input),
            LoopWord.OUT: address(buses.channels),
            LoopWord.OUTPUTS: address(buses.words),
            LoopWord.COUNTS: address(self._player.counters.sound),
            LoopWord.FILE: 0 if self._file is None else address(self._file),
            LoopWord.FILE_FRAMES: 0 if self._file is None else self._file.shape[1],
            LoopWord.FILE_ROW: 0 if self._file is None else self._file.strides[0] // 4,
            LoopWord.BELL: bell,
            **({} if parts.pool is None else {LoopWord.WAKING: address(parts.pool.waking)}),
            **({} if parts.taps is None else parts.taps.tables),
            **({} if parts.capture is None else parts.capture.tables),
        }

    def _count_out(self, driver: Driver) -> int:
        """Number of channels delivered to the device: all that it has, at most those played."""
        if not driver.device:
            return 0
        slot = (ctypes.c_int64 * (CallbackWord.CHANNELS_OUT + 1)).from_address(driver.device)
        return min(int(slot[CallbackWord.CHANNELS_OUT]), len(self._rows))

    def _keep(self) -> None:
        words = self._shared.words
        self._player.strips.keep(words[HeaderWord.TAPPING] >= TRACKS or words[HeaderWord.STRIPS] != 0)

    def read(self, block: int) -> None:
        """Reads the input of block number `block` into `input`."""
        self._keep()
        take_input.call(self.words.address, block)

    def close(self, x: Samples, beat: float) -> None:
        """Prepares the end of a block computed by the player. `x`: its input; `beat`: of its first sample."""
        player, whole, real = self._player, self.words.whole, self.words.real
        if player.plan is not self._plan or player.strips.now is not self._strips:
            self._take(player.plan)
        if x is not self.input:
            self.input[:] = x
        if self._taps is not None:
            self._listen(player.plan)
        whole[LoopWord.TAPPING], whole[LoopWord.SAMPLE] = self._shared.words[HeaderWord.TAPPING], player.sample
        real[LoopWord.TEMPO], whole[LoopWord.PLAYING] = player.tempo.tempo_at(player.sample), int(player.tempo.playing)
        real[LoopWord.BEAT] = beat

    def run(self) -> None:
        """Runs blocks until the interpreter ends the loop or the device is lost; raises what the interpreter raised."""
        self._run()
        self._check()

    def run_block(self) -> bool:
        """Runs the next block; False if the device asks for none."""
        played = self._play_block()
        self._check()
        return played == 0

    def _check(self) -> None:
        if self._plan is not None:
            self._plan.native.check()
        self._call_back.check()

    def prepare(self, journal: Journal, opened: Callable[[], None]) -> bool:
        """Prepares the next blocks for machine code; False if the player does not rest. `opened`: of `NativePlan`."""
        player, plan, whole, real = self._player, self._player.plan, self.words.whole, self.words.real
        line = player.tempo.line_at(player.sample)
        header = self._shared.words
        # before the journal is asked: a session that begins after this ends the run of blocks
        whole[LoopWord.TAPPING], whole[LoopWord.SESSIONS] = header[HeaderWord.TAPPING], header[HeaderWord.SESSIONS]
        rests = not player.unrest and journal.rests and (self._browser is None or self._browser.rests)
        if plan is None or line is None or not rests:
            return False
        self._keep()
        player.strips.take(plan.strips, self.words.whole[LoopWord.BLOCK], fades=False)
        if plan is not self._plan or player.strips.now is not self._strips:
            self._take(plan)
        time = player.time
        # the block before may have ended within a ramp that is over
        time.tempo, time.playing = player.tempo.tempo_at(player.sample), player.tempo.playing
        plan.native.begin(time, opened)
        upcoming = player.schedule.upcoming(player.tempo)
        whole[LoopWord.UNTIL] = _NEVER if math.isinf(upcoming) else int(upcoming)
        whole[LoopWord.LINE_SAMPLE], real[LoopWord.LINE_BEAT] = line.sample, line.beat
        real[LoopWord.LINE_AFTER], real[LoopWord.LINE_BPM] = line.after, line.bpm
        real[LoopWord.TEMPO], whole[LoopWord.PLAYING] = time.tempo, int(time.playing)
        if self._taps is not None:
            self._listen(plan)
        plan.heard, whole[LoopWord.WAITING] = player.strips.heard, int(any(step.io.reports for step in plan.steps))
        return True

    def _take(self, plan: Plan | None) -> None:
        """Stores the table addresses of a plan; None plays no node."""
        whole = self.words.whole
        self._plan, self._strips = plan, self._player.strips.now
        if self._capture is not None:
            player = self._player
            sounds = self.input, player.out, plan, player.buses.channels, self._strips
            sources, self._owners = self._capture.sources(*sounds)
            self.labels = self._capture.labels if player.strips.heard is not None else _NO_LABELS
            self._sources = np.array([layout_of(sound)[:3] for sound in sources], np.int64)
            whole[LoopWord.SOURCES], whole[LoopWord.SOURCES_COUNT] = address(self._sources), len(self._sources)
            whole[LoopWord.SOURCES_OWNERS], whole[LoopWord.SOURCES_ROWS] = address(self._owners), len(self._owners)
        if plan is None:
            return
        whole[LoopWord.PLAN], whole[LoopWord.INPUT] = address(plan.native.words), plan.input_at
        whole[LoopWord.PLAYED] = 0 if plan.played is None else address(plan.played)
        self._reported = _reported_table(plan)
        whole[LoopWord.REPORTED], whole[LoopWord.REPORTED_COUNT] = address(self._reported), len(self._reported)

    def _listen(self, plan: Plan | None) -> None:
        assert self._taps is not None
        whole = self.words.whole
        for tap, number in enumerate(self._taps.selected_nodes()):
            sound = self._taps.sound(number, self.input, self._player.out, plan, self._player.buses.channels)
            at = LoopWord.SOUNDS + 3 * tap
            whole[LoopWord.WANTED + tap] = number
            whole[at], whole[at + 1], whole[at + 2] = (0, 0, 0) if sound is None else layout_of(sound)[:3]


_PARTS = ("words", "commands", "reports", "meters", "tap_tags", "tap_out", "tap_in")


def _reported_table(plan: Plan) -> NDArray[Any]:
    """Returns the words of each readonly parameter that kernels write, as for `waiting.publish_meters`."""
    rows = []
    for host, name, array, index in plan.native.readonly_values:
        cell = next(n for n, param in enumerate(host.info.cells) if param.name == name)
        param = host.info.cells[cell]
        where = address(array) + index * array.itemsize
        bounds = np.array([param.low, param.high], np.float64).view(np.int64)
        rows.append((host.number << 16 | (cell + 1), where, array.itemsize, *bounds))
    return np.array(rows, np.int64).reshape(-1, REPORTED_SIZE)
