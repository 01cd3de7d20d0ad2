"""`answer` with audio=on: sound in, sound out, by recorded beats."""

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import F32, IO, BlockTime, StreamSpec
from antiphon_answer.slices import FADE, MOST, SliceMemory
from antiphon_answer.turns import PlayerTurns

MIN_COUNT = 2
"""Minimum beats for an answer."""
LENGTH_TOLERANCE = 2
"""Tolerance in samples of a beat's length for a seamless continuation."""
_RUN = 6
"""Beats of a copied run, where `originality` is 0."""
JUMP_BEATS = 0.25
"""Beat difference from which the clock has jumped."""


class SoundAnswerSettings(NamedTuple):
    """Settings; see the parameters of `Answer`. mode: "" where `SoundAnswer.answer` alone begins."""

    mode: str
    bars: int
    meter: int
    pause: float
    originality: int
    seed: int


class _Head:
    """A playing head of the memory, with fade-in, and fade-out from `leaving` samples on."""

    def __init__(self, spec: StreamSpec) -> None:
        self._sound, self._ramp = np.zeros((spec.channels, spec.block), np.float32), np.arange(spec.block, dtype=float)
        self._fade = max(1.0, FADE * spec.rate)
        self.stop()

    def stop(self) -> None:
        self.beat, self.at, self.age, self.leaving = -1, 0, 0, 1 << 60

    def begin(self, beat: int) -> None:
        self.beat, self.at, self.age, self.leaving = beat, 0, 0, 1 << 60

    def leave(self) -> None:
        self.leaving = min(self.leaving, self.age)

    def add(self, memory: SliceMemory, out: F32) -> None:
        """Adds its next samples to `[channels, n]`."""
        if self.beat < 0:
            return
        n = out.shape[1]
        sound, ramp = self._sound[:, :n], self._ramp[:n]
        memory.read(self.beat, self.at, sound)
        up = np.minimum((ramp + self.age) / self._fade, 1.0)
        down = np.maximum(1.0 - np.maximum(ramp + self.age - self.leaving, 0.0) / self._fade, 0.0)
        sound *= (up * down).astype(np.float32)
        out += sound
        self.at += n
        self.age += n
        if self.age - self.leaving > self._fade:
            self.stop()


class SoundAnswer:
    """Records beats of the input in `memory`, and plays them in other orders."""

    def __init__(self, spec: StreamSpec) -> None:
        self._rate = spec.rate
        self.memory = SliceMemory(spec)
        self._new, self._old = _Head(spec), _Head(spec)
        self._beats = np.zeros(MOST, np.int64)
        self._turns = PlayerTurns()
        self.clear()

    def clear(self) -> None:
        self.memory.clear()
        self._new.stop()
        self._old.stop()
        self._expected: float | None = None
        self._rest()
        self._plans = 0

    def _rest(self) -> None:
        self._heard = self._quiet = self._run = 0
        self._until, self._turn = -math.inf, 1
        self._turns.first = None
        self._state = 0

    def process(self, io: IO) -> None:
        """Processes a block."""
        out, time = io.audio_out[0], io.time
        out.fill(0.0)
        moved = self._expected is not None and abs(time.beat - self._expected) > JUMP_BEATS
        if moved or not time.playing:
            self.memory.jump()
            self._new.leave()
            self._rest()
        self.advance(io.audio_in[0], out, time, io)
        io.report("known", self.memory.known)
        self._turns.tell(io, time.beat, self._turn)

    def advance(
        self, sound: F32, out: F32, time: BlockTime, io: IO | None = None, wishes: SoundAnswerSettings | None = None
    ) -> None:
        """Records sound and adds the answer to `out`, from beat to beat of the clock."""
        frames, at = sound.shape[1], 0
        per_frame = time.tempo / 60.0 / self._rate if time.playing else 0.0
        self._expected = time.beat + per_frame * frames if time.playing else None
        number = math.ceil(time.beat - 1e-6 * per_frame)
        while at < frames:
            due = max(0, math.ceil((number - time.beat) / per_frame - 1e-6)) if per_frame else frames
            if due <= at and per_frame:
                self._beat(number, wishes or _wishes(io, at))
                number += 1
                continue
            end = min(frames, due, at + self.memory.to_hop())
            self.memory.write(sound[:, at:end])
            for head in (self._old, self._new):
                head.add(self.memory, out[:, at:end])
            at = end

    def answer(self, until: float, seed: int) -> None:
        """Answers up to a beat, from the next on."""
        self._plans += 1
        self._until, self._state, self._run = until, seed * 0x9E3779B97F4A7C15 + self._plans, 1 << 30
        self._last = self.memory.count - 1
        self._heard = 0

    def _beat(self, beat: int, wishes: SoundAnswerSettings) -> None:
        mode, bars, meter, pause, most, seed = wishes
        most = max(2, most) if most else _RUN
        memory, length = self.memory, bars * meter
        sounds = memory.beat((beat - 1) % meter)
        if sounds:
            self._beats[(memory.count - 1) % MOST] = beat - 1
        self._heard += sounds
        self._quiet = 0 if sounds else self._quiet + 1
        if mode == "continue":
            if sounds and beat - 1 >= self._until - length:
                self._until = -math.inf
            elif self._heard >= MIN_COUNT and self._quiet >= max(1, math.ceil(pause)) and beat >= self._until:
                self.answer(meter * math.ceil((beat + length - meter // 2) / meter), seed)
        elif mode == "trade":
            self._trade(beat, length, meter, seed, sounds=sounds)
        elif mode == "accompany" and sounds:
            if beat >= self._until:
                self.answer(beat + 1, seed)
            self._until, self._last, self._run = beat + 1, memory.count - 1, 1 << 30
        if mode != "trade":
            self._turns.first = None
        following = -1
        if mode == "canon":
            found = np.flatnonzero(self._beats[: min(MOST, memory.count)] == beat - length)
            following = next((n for n in range(memory.count - memory.known, memory.count) if n % MOST in found), -1)
        elif beat < self._until:
            following, self._state = memory.follow(self._last, beat % meter, self._run, most, self._state)
            self._run = self._run + 1 if following == self._last + 1 else 1
            self._last = following
        self._play(following)

    def _trade(self, beat: int, length: int, meter: int, seed: int, *, sounds: bool) -> None:
        """Takes turns of `length` beats, from the player's first bar on; a sound in a bar's last beat is an upbeat."""
        self._turn = length
        if sounds:
            self._turns.begin(beat - 1, meter)
        place = self._turns.place(beat, length)
        if place == length and self._heard >= MIN_COUNT:
            self.answer(beat + length, seed)
        elif place == length:
            self._turns.first = None  # the player rests
            self._heard = 0
        elif place == 0:
            self._heard = 0

    def _play(self, beat: int) -> None:
        new, memory = self._new, self.memory
        if (
            beat >= 0
            and new.beat == beat - 1
            and memory.joins(new.beat, new.at, LENGTH_TOLERANCE)
            and new.leaving > new.age
        ):
            new.at -= memory.length(new.beat)
            new.beat = beat
            return
        self._old, self._new = new, self._old
        self._old.leave()
        self._new.stop()
        if beat >= 0:
            self._new.begin(beat)


def _wishes(io: IO | None, frame: int) -> SoundAnswerSettings:
    assert io is not None
    return SoundAnswerSettings(
        str(io.at("mode", frame)),
        int(io.at("bars", frame)),
        int(io.at("meter", frame)),
        float(io.at("pause", frame)),
        int(io.at("originality", frame)),
        int(io.at("seed", frame)),
    )
