"""`answer` with audio=on: records beats of the input sound and plays them in other orders."""

import math
from typing import NamedTuple

import numpy as np

from antiphon.api import F32, IO, BlockTime, StreamSpec
from antiphon.api.backends.analysis import ListeningMix, MelSettings, mel_bank
from antiphon_answer.form import PlayerTurns
from antiphon_answer.improviser import next_splitmix_number

# ---- Audio memory of `answer`: beats of played sound, and candidates for their successors

SECONDS, MOST = 90, 512
"""Maximum seconds of stored sound, and maximum beats; the oldest are dropped."""
HOP = 2048
"""Hop in frames between spectra, each over two hops."""
BANDS, COEFFICIENTS = 40, 13
CHROMA = 12
WIDTH = COEFFICIENTS + CHROMA
LOW, HIGH = 60.0, 5000.0
"""Frequency range of chroma in Hz."""
SILENT = 0.003
"""Minimum RMS of a stored beat, -50 dB."""
FADE = 0.008
"""Crossfade in seconds at a jump in the memory."""
JUMP_PROBABILITY = 0.25
"""Probability of a jump where the memory could play on."""
CANDIDATES = 3
"""Number of best jumps drawn from."""
RECENT_BEATS = 4
"""Number of recent beats excluded from repetition."""
POSITION_PENALTY = 2.0
"""Distance factor of beats at another bar position."""


class SliceMemory:
    """Ring buffer of beats with timbre and pitch classes. Allocates nothing.

    `count`: number of stored beats; the newest is `count - 1`.
    """

    def __init__(self, spec: StreamSpec) -> None:
        self._ring = np.zeros((spec.channels, SECONDS * spec.rate), np.float32)
        self._mono = np.zeros(2 * HOP, np.float32)
        self._mix = ListeningMix.live(spec.rate)
        self._window = np.hanning(2 * HOP).astype(np.float32)
        settings = MelSettings(spec.rate, 2 * HOP, HOP, BANDS, 40.0, min(12000.0, 0.45 * spec.rate))
        self._bank = mel_bank(settings).astype(np.float64)
        k, n = np.arange(1, COEFFICIENTS + 1)[:, None], np.arange(BANDS)[None]
        self._cosines = np.cos(np.pi * k * (n + 0.5) / BANDS) * math.sqrt(2.0 / BANDS)
        hertz = np.fft.rfftfreq(2 * HOP, 1.0 / spec.rate)
        inside = (hertz > LOW) & (hertz < HIGH)
        classes = np.round(12.0 * np.log2(np.maximum(hertz, 1.0) / 440.0) + 9.0).astype(int) % CHROMA
        self._classes = ((np.arange(CHROMA)[:, None] == classes[None]) & inside[None]).astype(np.float64)
        self._features = np.zeros((MOST, WIDTH))
        self._starts, self._lengths, self._places = (np.zeros(MOST, np.int64) for _ in range(3))
        self._sum = np.zeros(WIDTH)
        self._recent = np.full(RECENT_BEATS, -1, np.int64)
        self.clear()

    def clear(self) -> None:
        self.count, self._first, self._written, self._begun = 0, 0, 0, -1
        self._frames, self._energy, self._played = 0, 0.0, 0
        self._sum.fill(0.0)
        self._mono.fill(0.0)
        self._mix.reset()

    def write(self, sound: F32) -> None:
        """Writes sound `[channels, n]`, at most up to the next multiple of `HOP`."""
        n, at = sound.shape[1], self._written % self._ring.shape[1]
        head = min(n, self._ring.shape[1] - at)
        self._ring[:, at : at + head] = sound[:, :head]
        self._ring[:, : n - head] = sound[:, head:]
        place = HOP + self._written % HOP
        mono = self._mono[place : place + n]
        self._mix.take(sound, mono)
        self._energy += float(np.dot(mono, mono))
        self._written += n
        if self._written % HOP == 0:
            power = np.abs(np.fft.rfft(self._mono * self._window)) ** 2
            self._sum[:COEFFICIENTS] += self._cosines @ np.log10(self._bank @ power + 1e-8)
            chroma = self._classes @ np.sqrt(power)
            self._sum[COEFFICIENTS:] += chroma / (1e-6 + math.sqrt(float(np.dot(chroma, chroma))))
            self._frames += 1
            self._mono[:HOP] = self._mono[HOP:]

    def frames_until_hop(self) -> int:
        """Maximum frames of the next `write`."""
        return HOP - self._written % HOP

    def beat(self, place: int) -> bool:
        """Begins a beat; the previous one, at `place` of its bar, is stored unless it is silent."""
        begun, length = self._begun, self._written - self._begun
        self._begun = self._written
        sounds = begun >= 0 and self._energy > SILENT**2 * length and self._frames > 0
        if sounds:
            n = self.count % MOST
            self._features[n] = self._sum / self._frames
            self._features[n, COEFFICIENTS:] *= 2.0
            self._starts[n], self._lengths[n], self._places[n] = begun, length, place
            self.count += 1
        while self._first < self.count and (
            self.count - self._first > MOST
            or self._starts[self._first % MOST] < self._written - self._ring.shape[1] + 4 * HOP
        ):
            self._first += 1
        self._sum.fill(0.0)
        self._frames, self._energy = 0, 0.0
        return sounds

    def jump(self) -> None:
        """Drops the current beat, after a jump of the clock."""
        self._begun = -1

    @property
    def beat_count(self) -> int:
        """Number of stored beats."""
        return self.count - self._first

    def follow(self, last: int, place: int, run: int, most: int, state: int) -> tuple[int, int]:
        """Returns the next beat to play, or -1, and the new state of the random numbers.

        last: the latest beat played or recorded; place: in its bar, of the beat to choose; run: number of beats played
        consecutively as they were recorded, at most `most`.
        """
        first, count = self._first, self.count
        state = next_splitmix_number(state)
        leap = (state >> 11) / float(1 << 53) < JUMP_PROBABILITY
        onward = last + 1
        joined = first <= onward < count and self._are_consecutive(last, onward)
        if joined and run < most and not leap:
            return self._note_played(onward), state
        if count - first < 2 or not first <= last < count:
            return (onward if joined else -1), state
        others = np.arange(first, count - 1)
        rows, after = others % MOST, (others + 1) % MOST
        gaps = self._features[rows] - self._features[last % MOST]
        distances = np.einsum("nf,nf->n", gaps, gaps)
        distances[self._places[after] != place] *= POSITION_PENALTY
        distances[self._starts[rows] + self._lengths[rows] != self._starts[after]] = np.inf
        distances[others == last] = np.inf
        for beat in self._recent:
            if first < beat < count:
                distances[beat - 1 - first] = np.inf
        near = [n for n in np.argsort(distances, kind="stable")[:CANDIDATES] if distances[n] < np.inf]
        if not near:
            return (self._note_played(onward) if joined else -1), state
        state = next_splitmix_number(state)
        return self._note_played(first + 1 + int(near[(state >> 11) % len(near)])), state

    def _are_consecutive(self, one: int, other: int) -> bool:
        """Whether a beat was recorded right after another."""
        return bool(self._starts[one % MOST] + self._lengths[one % MOST] == self._starts[other % MOST])

    def _note_played(self, beat: int) -> int:
        self._recent[self._played % RECENT_BEATS] = beat
        self._played += 1
        return beat

    def length(self, beat: int) -> int:
        """Length of a beat in samples."""
        return int(self._lengths[beat % MOST])

    def joins(self, beat: int, at: int, near: int) -> bool:
        """Whether sample `at` of a beat is, within `near` samples, the start of its recorded successor."""
        return abs(at - self.length(beat)) <= near and self._are_consecutive(beat, beat + 1)

    def read(self, beat: int, at: int, out: F32) -> None:
        """out `[channels, n]` ← sound of a beat from its sample `at` on, and of its recorded successors."""
        ring = self._ring.shape[1]
        place, n = (int(self._starts[beat % MOST]) + at) % ring, out.shape[1]
        head = min(n, ring - place)
        out[:, :head] = self._ring[:, place : place + head]
        out[:, head:] = self._ring[:, : n - head]


MIN_COUNT = 2
"""Minimum number of stored beats for an answer."""
LENGTH_TOLERANCE = 2
"""Tolerance in samples of a beat's length for a seamless continuation."""
_RUN = 6
"""Beats of a copied run, if `originality` is 0."""
JUMP_BEATS = 0.25
"""Difference in beats that counts as a jump of the clock."""


class SoundAnswerSettings(NamedTuple):
    """Settings; see the parameters of `Answer`. mode: "" if only `SoundAnswer.answer` begins an answer."""

    mode: str
    bars: int
    meter: int
    pause: float
    originality: int
    seed: int


class _PlaybackHead:
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
        """Adds the head's next samples to `[channels, n]`."""
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
        self._new, self._old = _PlaybackHead(spec), _PlaybackHead(spec)
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
        io.report("known", self.memory.beat_count)
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
                self._beat(number, wishes or _read_answer_settings(io, at))
                number += 1
                continue
            end = min(frames, due, at + self.memory.frames_until_hop())
            self.memory.write(sound[:, at:end])
            for head in (self._old, self._new):
                head.add(self.memory, out[:, at:end])
            at = end

    def answer(self, until: float, seed: int) -> None:
        """Begins an answer from the next beat up to a beat."""
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
            self._alternate_turns(beat, length, meter, seed, sounds=sounds)
        elif mode == "accompany" and sounds:
            if beat >= self._until:
                self.answer(beat + 1, seed)
            self._until, self._last, self._run = beat + 1, memory.count - 1, 1 << 30
        if mode != "trade":
            self._turns.first = None
        following = -1
        if mode == "canon":
            found = np.flatnonzero(self._beats[: min(MOST, memory.count)] == beat - length)
            following = next(
                (n for n in range(memory.count - memory.beat_count, memory.count) if n % MOST in found), -1
            )
        elif beat < self._until:
            following, self._state = memory.follow(self._last, beat % meter, self._run, most, self._state)
            self._run = self._run + 1 if following == self._last + 1 else 1
            self._last = following
        self._play(following)

    def _alternate_turns(self, beat: int, length: int, meter: int, seed: int, *, sounds: bool) -> None:
        """Alternates turns of `length` beats from the player's first bar on; sound in a bar's last beat is upbeat."""
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


def _read_answer_settings(io: IO | None, frame: int) -> SoundAnswerSettings:
    assert io is not None
    return SoundAnswerSettings(
        str(io.at("mode", frame)),
        int(io.at("bars", frame)),
        int(io.at("meter", frame)),
        float(io.at("pause", frame)),
        int(io.at("originality", frame)),
        int(io.at("seed", frame)),
    )
