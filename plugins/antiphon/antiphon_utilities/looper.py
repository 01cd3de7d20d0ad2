"""Loop recorder with overdubs."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from antiphon.api import IO, Param, Processor, Step, StreamSpec
from antiphon.api.backends.intrinsics import u8p
from antiphon.api.kernels import Audio, f32, f32p, f64, f64p, i64, i64p, kernel
from antiphon_utilities.beats import EARLY, JUMP_BEATS, frame_of, next_multiple, per_frame

# ---- Tape of the looper: per-frame processing, and crossfades at cuts
# The tape stores two takes of each frame. `mark` has, for each frame, the number of the overdub that wrote it last,
# times 2, plus the take it wrote to; the other take keeps the overwritten sound. `gone` marks undone overdubs: their
# frames are read from the other take. So undo and redo of a layer copy no sound.

EMPTY, RECORDING, PLAYING, OVERDUBBING, STOPPED = 0, 1, 2, 3, 4
LAYERS = 1 << 16
# places in `whole`: place on the tape, its length, frames of this pass, the overdub's number, frames risen of
# playing and of overdubbing, frames gone of the tail, where the frames before the recording are written
POS, LENGTH, PASS, LAYER, PLAY, PUNCH, TAIL, BEFORE, WHOLE = 0, 1, 2, 3, 4, 5, 6, 7, 8
# places in `real`: the length as the clock has it, how much later than it this pass began
EXACT, LATE, REAL = 0, 1, 2


class LooperCurves(NamedTuple):
    """The parameters, one value per frame."""

    level: f32p
    through: f32p
    feedback: f32p


class Tape(NamedTuple):
    """The tape and its state between blocks."""

    tape: f32p
    size: i64
    mark: f32p
    removed: u8p
    tail: f32p
    before: f32p
    whole: i64p
    real: f64p


@kernel
def utilities_looper(
    x: Audio, y: Audio, curves: LooperCurves, s: Tape, state: i64, fade: i64, first: i64, last: i64
) -> None:
    """Computes frames `first` to `last` of `y`, the input plus the loop, and records to the tape.

    `tape` holds two takes of `size` frames per channel, `tail` the last `fade` frames per channel of the fading-out
    sound, and `before` the last `fade` frames of input before the recording.
    """
    for n in range(first, last):
        p = s.whole[POS]
        recording = state == RECORDING
        sounds = state >= PLAYING and state <= OVERDUBBING
        utilities_looper_step_fades(s.whole, state, fade)
        runs = sounds or s.whole[PUNCH] > 0
        gain = f32(0.0)
        if sounds:
            gain = f32(f64(s.whole[PLAY]) / f64(fade))
        punch = f32(f64(s.whole[PUNCH]) / f64(fade))
        keep = f32(1.0) + (curves.feedback[n] - f32(1.0)) * punch
        # a pass one frame longer than the tape holds its last frame
        q = p if p < s.whole[LENGTH] else s.whole[LENGTH] - 1
        side = 0
        into = 0
        writes = s.whole[PUNCH] > 0 and p < s.whole[LENGTH]
        if runs:
            side = utilities_looper_take_at(s.mark, s.removed, q)
            into = side if i64(s.mark[q]) >> 1 == s.whole[LAYER] else 1 - side
            if writes:
                s.mark[q] = 2 * s.whole[LAYER] + into
        dying = s.whole[TAIL] < fade
        for c in range(y.channels):
            dry = x[c, n]
            loop = f32(0.0)
            if runs:
                old = s.tape[(side * y.channels + c) * s.size + q]
                loop = old * gain
                if writes:
                    mixed = old * keep + dry * punch
                    s.tape[(into * y.channels + c) * s.size + q] = f32(0.0) if abs(mixed) < f32(1e-20) else mixed
            if recording:
                s.tape[c * s.size + p] = dry
            else:
                s.before[c * fade + s.whole[BEFORE]] = dry
            if dying:
                loop = loop + s.tail[c * fade + s.whole[TAIL]]
            y[c, n] = dry * curves.through[n] + loop * curves.level[n]
        if dying:
            s.whole[TAIL] = s.whole[TAIL] + 1
        if recording:
            s.mark[p] = f32(0.0)
        elif s.whole[BEFORE] + 1 >= fade:
            s.whole[BEFORE] = 0
        else:
            s.whole[BEFORE] = s.whole[BEFORE] + 1
        if recording or runs:
            s.whole[POS] = p + 1
        if runs and p + 1 >= s.whole[PASS]:
            s.whole[POS] = 0
            utilities_looper_start_pass(s.whole, s.real)


@kernel
def utilities_looper_step_fades(whole: i64p, state: i64, fade: i64) -> None:
    """Advances the fades by one frame: fade-in of playing, and fade-in and fade-out of overdubbing."""
    if state >= PLAYING and state <= OVERDUBBING and whole[PLAY] < fade:
        whole[PLAY] = whole[PLAY] + 1
    if state == OVERDUBBING:
        if whole[PUNCH] < fade:
            whole[PUNCH] = whole[PUNCH] + 1
    elif whole[PUNCH] > 0:
        whole[PUNCH] = whole[PUNCH] - 1


@kernel
def utilities_looper_take_at(mark: f32p, removed: u8p, p: i64) -> i64:
    """The take that holds frame `p` of the loop: the one written last, or the other if that layer is undone."""
    m = i64(mark[p])
    return 1 - (m & 1) if removed[m >> 1] != 0 else m & 1


@kernel
def utilities_looper_start_pass(whole: i64p, real: f64p) -> None:
    """Starts a pass; its length is chosen so that the next pass begins on the frame of its beat."""
    left = real[EXACT] - real[LATE]
    frames = -math.floor(EARLY - left)
    whole[PASS] = i64(frames)
    real[LATE] = frames - left


@kernel
def utilities_looper_fill_tail(
    tape: f32p, size: i64, mark: f32p, removed: u8p, tail: f32p, whole: i64p, fade: i64, channels: i64
) -> None:
    """Copies the playing sound to the tail, which fades out over `fade` frames."""
    for i in range(fade):
        p = (whole[POS] + i) % whole[LENGTH]
        side = utilities_looper_take_at(mark, removed, p)
        gain = f64(whole[PLAY]) / f64(fade) * (1.0 - f64(i + 1) / f64(fade))
        for c in range(channels):
            v = f64(tape[(side * channels + c) * size + p]) * gain
            if whole[TAIL] + i < fade:
                v = v + f64(tail[c * fade + whole[TAIL] + i])
            tail[c * fade + i] = v
    whole[TAIL] = 0
    whole[PLAY] = 0


@kernel
def utilities_looper_crossfade_seam(tape: f32p, size: i64, before: f32p, whole: i64p, fade: i64, channels: i64) -> None:
    """Crossfades the recording's end into the sound before its beginning."""
    length = whole[LENGTH]
    for i in range(fade):
        r = f32(f64(i + 1) / f64(fade + 1))
        at = length - fade + i
        was = (whole[BEFORE] + i) % fade
        for c in range(channels):
            v = tape[c * size + at]
            tape[c * size + at] = v + (before[c * fade + was] - v) * r


@kernel
def utilities_looper_report(whole: i64p, state: i64, rate: f64, seconds: f64p) -> None:
    """seconds ← length of the loop, or of the recording so far, and the position in it."""
    seconds[0] = f64(whole[POS] if state == RECORDING else whole[LENGTH]) / rate
    seconds[1] = 0.0 if state == STOPPED else f64(whole[POS]) / rate


FADE = 0.004
_ORDERS = ("clear", "undo", "stop", "play", "overdub", "record", "pedal")
_NEVER = 1 << 62
_PEDAL = {EMPTY: "record", RECORDING: "play", PLAYING: "overdub", OVERDUBBING: "play", STOPPED: "play"}
# commands that act at once, whatever `sync` says
_IMMEDIATE = {("overdub", PLAYING), ("overdub", OVERDUBBING), ("overdub", STOPPED), ("play", OVERDUBBING)}
# commands without effect in a state
_IDLE = {("play", EMPTY), ("play", PLAYING), ("stop", EMPTY), ("stop", STOPPED), ("overdub", EMPTY)}


class Looper(Processor):
    """A loop pedal: record, play, overdub, stop, clear, undo, each on its sample.

    The end of a recording is crossfaded over 4 ms into the sound before its beginning, so that the seam does not click
    and the first note keeps its attack. Starts, stops, undo and overdubs fade over the same time.
    """

    params = (
        Param(
            "pedal",
            "trigger",
            False,
            doc="All by one foot: records, then plays, then overdubs, then plays, and so on; stopped, it plays.",
        ),
        Param("record", "trigger", False, doc="Records a new loop over the old one; again ends it, and it plays."),
        Param("overdub", "trigger", False, doc="Adds to the loop; again ends that. Ends a recording too."),
        Param("play", "trigger", False, doc="Plays, from the beginning if stopped; ends a recording or an overdub."),
        Param("stop", "trigger", False, doc="Stops; a recording is ended and kept."),
        Param("clear", "trigger", False, doc="Erases the loop."),
        Param("undo", "trigger", False, doc="Undoes the last overdub; again restores it. Discards a recording."),
        Param("level", default=1.0, low=0.0, high=1.0, smooth=0.01, doc="The loop's level."),
        Param("through", default=1.0, low=0.0, high=1.0, smooth=0.01, doc="The input's level in the output."),
        Param("feedback", default=1.0, smooth=0.01, doc="Share of the loop that an overdub leaves; 0 replaces it."),
        Param(
            "sync",
            "switch",
            False,
            doc="Recordings, play and stop wait for a multiple of `beats`, so that loops are that long to the frame.",
        ),
        Param("beats", "int", 4, low=1, high=64, unit="beats", doc="The multiple that `sync` waits for."),
        Param(
            "maximum",
            default=60.0,
            low=1.0,
            high=120.0,
            unit="s",
            restart=True,
            doc="The longest loop; a recording that reaches it is ended, and plays.",
        ),
        Param("state", "int", 0, 0, 4, readonly=True, doc="0 empty, 1 recording, 2 playing, 3 overdubbing, 4 stopped."),
        Param("waiting", "switch", False, readonly=True, doc="On while an order waits for its beat."),
        Param("length", default=0.0, low=0.0, high=121.0, unit="s", readonly=True, doc="Of the loop, or so far."),
        Param("position", default=0.0, low=0.0, high=121.0, unit="s", readonly=True, doc="Where in the loop it is."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate, self._channels = spec.rate, spec.channels
        self._size = round(float(self.settings["maximum"]) * spec.rate)
        self._fade = round(FADE * spec.rate)
        self._tape = np.zeros((2, spec.channels, self._size), np.float32)
        self._mark = np.zeros(self._size, np.float32)
        self._gone = np.zeros(LAYERS, np.uint8)
        self._tail = np.zeros((spec.channels, self._fade), np.float32)
        self._before = np.zeros((spec.channels, self._fade), np.float32)
        self._whole = np.zeros(WHOLE, np.int64)
        self._real = np.zeros(REAL, np.float64)
        self._seconds = np.zeros(2, np.float64)
        self.reset()

    def reset(self) -> None:
        # the tape need not be cleared: only frames written since are read
        self._state = EMPTY
        self._before.fill(0.0)
        self._whole.fill(0)
        self._whole[TAIL] = self._fade
        self._closing = self._pending = ""
        self._due = self._began = self._late = 0.0
        self._quantum = 1.0
        self._clocked = False

    def step(self, io: IO) -> Step | None:
        """Native step of a block without commands, except while recording, whose end is checked in each block."""
        if self._state == RECORDING or self._pending or self._closing:
            return None
        run = utilities_looper.step(*self._arguments(io, 0, io.frames))
        report = utilities_looper_report.step(self._whole, self._state, self._rate, self._seconds)
        return run.then(report).reporting(length=(self._seconds, 0), position=(self._seconds, 1))

    def process(self, io: IO) -> None:
        at = 0
        for frame, order in self._block_commands(io):
            at = self._until(io, at, frame)
            self._order(io, frame, order)
        self._until(io, at, io.frames)
        utilities_looper_report(self._whole, self._state, self._rate, self._seconds)
        io.report("state", float(self._state))
        io.report("waiting", float(bool(self._pending)))
        io.report("length", float(self._seconds[0]))
        io.report("position", float(self._seconds[1]))

    def _block_commands(self, io: IO) -> list[tuple[int, str]]:
        """Commands of this block, in order of time."""
        orders = [(frame, place) for place, name in enumerate(_ORDERS) for frame in io.fired(name)]
        return [(frame, _ORDERS[place]) for frame, place in sorted(orders)]

    def _order(self, io: IO, frame: int, order: str) -> None:
        if order == "pedal":
            order = _PEDAL[self._state]
        kind = (order, self._state)
        self._pending = self._closing = ""
        if kind in _IDLE:
            return
        waits = order not in ("clear", "undo") and kind not in _IMMEDIATE and io.at("sync", frame)
        # a stopped clock has no next beat to end a recording on
        if waits and (io.time.playing or self._state != RECORDING):
            self._pending, self._quantum = order, float(io.at("beats", frame))
            self._due = next_multiple(self._quantum, io.time, self._rate, frame) * self._quantum
            if self._state == RECORDING and self._due <= self._began:
                self._due += self._quantum
        else:
            self._clocked = self._clocked and self._state != RECORDING
            self._late = 0.0
            self._execute_command(order, False)

    def _until(self, io: IO, at: int, frame: int) -> int:
        """Runs up to `frame`, executing pending commands when due; returns it."""
        while True:
            due = self._due_frame(io, at) if self._pending else _NEVER
            full = _NEVER
            if self._state == RECORDING:
                full = at + (2 * self._fade if self._closing else self._size) - int(self._whole[POS])
            stop = min(frame, due, full)
            if stop > at:
                utilities_looper(*self._arguments(io, at, stop))
            at = stop
            if at >= io.frames:
                return at
            if due == at:
                order, self._pending = self._pending, ""
                self._execute_command(order, io.time.playing, io.time.tempo)
            elif full == at:
                order, self._closing, self._pending = self._closing or "play", "", ""
                self._clocked, self._late = False, 0.0
                self._execute_command(order, False)
            else:
                return at

    def _due_frame(self, io: IO, at: int) -> int:
        """Frame at which the pending command is due."""
        time = io.time
        if not time.playing:
            self._due = -math.inf  # whatever comes first where it goes on
            return at if self._state == RECORDING else _NEVER
        wait = self._due - time.beat
        if wait < -JUMP_BEATS or wait > self._quantum + JUMP_BEATS:
            self._due = next_multiple(self._quantum, time, self._rate, at) * self._quantum
        frame = max(at, frame_of(self._due, time, self._rate))
        self._late = frame - (self._due - time.beat) / per_frame(time, self._rate)
        return frame

    def _execute_command(self, order: str, clocked: bool, tempo: float = 0.0) -> None:
        """Executes a command. `clocked`: it is on its beat, at `tempo`."""
        state, whole = self._state, self._whole
        if order == "clear":
            self._leave(EMPTY)
            whole[LENGTH] = whole[POS] = whole[PUNCH] = 0
        elif order == "undo":
            self._undo()
        elif state == RECORDING:
            self._close(order, clocked, tempo)
        elif order == "record":
            self._leave(RECORDING)
            self._gone.fill(0)
            whole[LENGTH] = whole[POS] = whole[LAYER] = whole[PUNCH] = 0
            self._clocked, self._began = clocked, self._due if clocked else -math.inf
        elif order == "stop":
            self._leave(STOPPED)
        elif order == "overdub" and state != OVERDUBBING:
            self._start(OVERDUBBING)
        else:
            self._start(PLAYING)

    def _close(self, order: str, clocked: bool, tempo: float) -> None:
        """Ends the recording and executes `order`, its second press, after at least 8 ms."""
        whole, real = self._whole, self._real
        if whole[POS] < 2 * self._fade:
            self._closing = order
            return
        whole[LENGTH] = whole[POS]
        utilities_looper_crossfade_seam(self._tape, self._size, self._before, whole, self._fade, self._channels)
        real[EXACT] = float(whole[LENGTH])
        if clocked and self._clocked:
            exact = (self._due - self._began) * 60.0 * self._rate / tempo
            # after a tempo change while recording, the loop keeps its recorded length
            real[EXACT] = exact if abs(exact - real[EXACT]) < 1.0 else real[EXACT]
        self._state = STOPPED
        if order != "stop":
            self._start(OVERDUBBING if order == "overdub" else PLAYING)

    def _start(self, state: int) -> None:
        """Starts playing or overdubbing; from the beginning if it was stopped."""
        whole = self._whole
        if state == OVERDUBBING:
            whole[LAYER] = whole[LAYER] % (LAYERS - 1) + 1
            self._gone[whole[LAYER]] = 0
        if self._state == STOPPED:
            whole[POS] = whole[PLAY] = whole[PUNCH] = 0
            self._real[LATE] = min(max(self._late, -EARLY), 1.0)
            utilities_looper_start_pass(whole, self._real)
        self._state = state

    def _leave(self, state: int) -> None:
        """Enters a silent state."""
        self._cut()
        self._state = state

    def _cut(self) -> None:
        if self._state in (PLAYING, OVERDUBBING):
            utilities_looper_fill_tail(
                self._tape, self._size, self._mark, self._gone, self._tail, self._whole, self._fade, self._channels
            )

    def _undo(self) -> None:
        whole = self._whole
        if self._state == RECORDING:
            self._state = EMPTY
            whole[POS] = whole[LENGTH] = 0
        elif self._state != EMPTY and whole[LAYER]:
            self._cut()
            whole[PUNCH] = 0
            self._gone[whole[LAYER]] = 1 - self._gone[whole[LAYER]]
            self._state = PLAYING if self._state == OVERDUBBING else self._state

    def _arguments(self, io: IO, first: int, last: int) -> tuple[Any, ...]:
        """Kernel arguments for a sub-block."""
        return (
            io.audio_in[0],
            io.audio_out[0],
            io.curve("level"),
            io.curve("through"),
            io.curve("feedback"),
            self._tape,
            self._size,
            self._mark,
            self._gone,
            self._tail,
            self._before,
            self._whole,
            self._real,
            self._state,
            self._fade,
            first,
            last,
        )
