"""Voices: note position, amplitudes, and the kernel with Clenshaw's recurrence."""

from __future__ import annotations

import math
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from antiphon.api import F32, Samples
from antiphon.api.kernels import Audio, f32p, f64, f64p, i64, i64p, kernel, offset
from antiphon_latent.decoder import (
    AXES,
    AXIS_RANGE,
    BANDS,
    BEND,
    CONDITIONS,
    EDGES,
    FRAMES,
    HELD,
    LONGEST,
    PARTIALS,
    RELEASE_BEND,
    RELEASED,
    RINGS,
    ROW,
    TIMES,
    PartialDecoder,
    conditions,
    hz_of,
)

LOOP = 65536
"""Length of the noise loops in samples."""


class LatentVoice(IntEnum):
    """Indices of a voice's numbers."""

    PHASE = 0  # turns of the fundamental
    PACE = 1  # turns in a sample
    PACE_STEP = 2  # change of it in a sample
    GAIN = 3  # of its beginning and end, 0 to 1
    GAIN_STEP = 4  # change of it in a sample
    NOISE = 5  # sample of the loops


NUMBERS = 6
VOICES, SPARE = 16, 8
"""Maximum simultaneous notes, and further rows for the fade-out of stolen ones."""
ROWS = VOICES + SPARE
TICK = 256
"""Samples between two updates of the axes."""


@kernel
def latent_voice(
    out: f32p, count: i64, real: f64p, now: f64p, step: f64p, turned: f64p, noise: f32p, partials: i64
) -> None:
    """Adds `count` samples of a voice, mono, with the numbers `real` of `LatentVoice`.

    now, step: amplitudes `[ROW]`, of partials and then of noise bands, and their change per sample. turned: cosines,
    then sines `[2 * PARTIALS]` of the initial phases of partials. noise: loops `[BANDS, LOOP]` of power 1.
    """
    phase = real[LatentVoice.PHASE]
    pace = real[LatentVoice.PACE]
    gain = real[LatentVoice.GAIN]
    place = i64(real[LatentVoice.NOISE])
    for n in range(count):
        angle = 6.283185307179586 * phase
        cosine = math.cos(angle)
        sine = math.sin(angle)
        twice = 2.0 * cosine
        a1 = 0.0
        a2 = 0.0
        b1 = 0.0
        b2 = 0.0
        k = partials - 1
        while k >= 0:
            level = now[k] + f64(n) * step[k]
            a = level * turned[k] - a2 + twice * a1
            b = level * turned[PARTIALS + k] - b2 + twice * b1
            a2 = a1
            a1 = a
            b2 = b1
            b1 = b
            k = k - 1
        # sum of level * sin(k * angle + phase of k)
        total = a1 * sine + b1 * cosine - b2
        for band in range(BANDS):
            m = PARTIALS + band
            total = total + (now[m] + f64(n) * step[m]) * f64(noise[band * LOOP + place])
        out[n] = f64(out[n]) + gain * total
        gain = min(1.0, max(0.0, gain + real[LatentVoice.GAIN_STEP]))
        phase = phase + pace
        if phase >= 1.0:
            phase = phase - 1.0
        pace = pace + real[LatentVoice.PACE_STEP]
        place = (place + 1) % LOOP
    for k in range(ROW):
        now[k] = now[k] + f64(count) * step[k]
    real[LatentVoice.PHASE] = phase
    real[LatentVoice.PACE] = pace
    real[LatentVoice.GAIN] = gain
    real[LatentVoice.NOISE] = f64(place)


@kernel
def latent_out(made: f32p, gain: f32p, out: Audio) -> None:
    """out ← made times gain, dB, equal in all channels, soft-clipped from -3 dBFS on below full scale."""
    for n in range(out.frames):
        x = f64(made[n]) * math.exp(0.11512925464970229 * f64(gain[n]))
        size = abs(x)
        if size > 0.7:
            bent = 1.0 - 0.3 * math.exp((0.7 - size) / 0.3)
            x = bent if x > 0.0 else -bent
        for c in range(out.channels):
            out[c, n] = x


ATTACK, CUT = 0.002, 0.006
"""Fade-in of a voice, and fade-out of a stolen one, in seconds."""
LOUDNESS = 10.0 ** (-18.3 / 20.0)
"""RMS amplitude of a note at full velocity, by `PartialDecoder.loudness`."""
DECAY_FRAME = HELD - 12
"""Frame from which the decay of a held note is extrapolated."""
NO_DECAY_DB = 1.5
"""Decay in dB per second that counts as none, so that a sustained tone does not end by itself."""
MAX_DECAY_DB = 60.0
"""Maximum decay in dB per second."""
END_DB = -78.0
"""Level in dB below its maximum at which a held note ends."""
_DB = math.log(10.0) / 20.0


@lru_cache(maxsize=4)
def noise_loops(rate: int) -> F32:
    """Noise of each band, of power 1, in loops `[BANDS, LOOP]`; bands above the Nyquist frequency are silent."""
    rng = np.random.default_rng(5)
    frequency = np.fft.rfftfreq(LOOP, 1.0 / rate)
    loops = np.zeros((BANDS, LOOP), np.float32)
    for band in range(BANDS):
        within = (frequency >= EDGES[band]) & (frequency < min(EDGES[band + 1], 0.49 * rate))
        if within.any():
            turns = np.exp(2j * np.pi * rng.random(len(frequency))) * within
            loop = np.fft.irfft(turns, LOOP)
            loops[band] = loop / np.sqrt(np.mean(loop**2))
    return loops


class LatentRows(NamedTuple):
    """State of all rows: `LatentVoice`, amplitudes and their steps, tables, and the age in samples and partials."""

    real: f64p
    now: f64p
    step: f64p
    turned: f64p
    noise: f32p
    ages: i64p
    partials: i64p


@kernel
def latent_play(out: f32p, at: i64, count: i64, s: LatentRows) -> None:
    """Adds the next `count` samples of all rows from out[at] on."""
    for n in range(ROWS):
        real = offset(s.real, n * NUMBERS)
        if real[LatentVoice.GAIN] > 0.0 or real[LatentVoice.GAIN_STEP] > 0.0:
            now = offset(s.now, n * ROW)
            latent_voice(offset(out, at), count, real, now, offset(s.step, n * ROW), s.turned, s.noise, s.partials[n])
            s.ages[n] += count


@kernel
def latent_sounding(real: f64p) -> i64:
    """Number of rows that sound."""
    count = i64(0)
    for n in range(ROWS):
        if real[n * NUMBERS + LatentVoice.GAIN] > 0.0 or real[n * NUMBERS + LatentVoice.GAIN_STEP] > 0.0:
            count = count + 1
    return count


@kernel
def latent_rests(left: i64p, real: f64p, frames: i64) -> i64:
    """1 if no row sounds, or none gets new targets in the block, else 0. `left`: samples of the tick."""
    return 1 if left[0] >= frames or latent_sounding(real) == 0 else 0


@kernel
def latent_block(made: f32p, left: i64p, s: LatentRows, level: f32p, y: Audio, sounding: f64p) -> None:
    """y ← a block for which `latent_rests`."""
    for n in range(y.frames):
        made[n] = 0.0
    at = i64(0)
    while at < y.frames:
        if left[0] == 0:
            left[0] = TICK
        count = min(y.frames - at, left[0])
        latent_play(made, at, count, s)
        left[0] -= count
        at = at + count
    latent_out(made, level, y)
    sounding[0] = f64(latent_sounding(s.real))


class LatentVoices:
    """Rows of notes; a silent one is free.

    Per row: `key`, (channel, note) while the key is down or held by the pedal, else (-1, -1); `pitch`, a note number
    with all bends; `level`, a factor for velocity and pressure; `shift`, added to the first axis.
    """

    def __init__(self, decoder: PartialDecoder, rate: int) -> None:
        self.rate, self._decoder = rate, decoder
        self._real = np.zeros((ROWS, NUMBERS))
        self._now, self._step = np.zeros((ROWS, ROW)), np.zeros((ROWS, ROW))
        self._noise = noise_loops(rate)
        angle = np.pi * np.arange(PARTIALS) ** 2 / PARTIALS
        self._turned = np.concatenate([np.cos(angle), np.sin(angle)])
        self._inputs = np.zeros((ROWS, AXES + CONDITIONS), np.float32)
        self._layers = [decoder.buffers(1) for _ in range(ROWS)]
        # without hidden layers the inputs are what frames are made of
        self._hidden = [layers[-1][0] if layers else self._inputs[n] for n, layers in enumerate(self._layers)]
        self._place, self._turn = np.zeros(AXES, np.float32), np.zeros(AXES, np.float32)
        self._pair, self._row = np.zeros((2, ROW), np.float32), np.zeros(ROW, np.float32)
        self._base, self._exact = np.zeros((ROWS, ROW), np.float32), np.zeros(ROW)
        self._factor = np.full(ROW, math.sqrt(2.0) * LOUDNESS)
        self._factor[PARTIALS:] = LOUDNESS
        self._levelled = [0.0] * ROWS
        self._begun, self._ended = [0] * ROWS, [-1] * ROWS
        ages, self._partials = np.zeros(ROWS, np.int64), np.zeros(ROWS, np.int64)
        self._age: memoryview[int] = memoryview(ages)  # type: ignore[arg-type]
        self.rows = LatentRows(self._real, self._now, self._step, self._turned, self._noise, ages, self._partials)
        self.key = [(-1, -1)] * ROWS
        self.pitch, self.level, self.shift = [0.0] * ROWS, [0.0] * ROWS, [0.0] * ROWS
        self._serial = 0

    def reset(self) -> None:
        self._real.fill(0.0)
        self._serial = 0
        for n in range(ROWS):
            self.key[n] = (-1, -1)

    def sounding(self, n: int) -> bool:
        """Whether a row is sounding."""
        return bool(self._real[n, LatentVoice.GAIN] > 0.0 or self._real[n, LatentVoice.GAIN_STEP] > 0.0)

    def begin(self, key: tuple[int, int], pitch: float, velocity: float, level: float, shift: float) -> int:
        """Begins a note without a target; -1 without a free row.

        If `VOICES` notes sound, the oldest released one ends, or else the oldest.
        """
        held = [n for n in range(ROWS) if self.sounding(n) and self._real[n, LatentVoice.GAIN_STEP] > 0.0]
        if len(held) >= VOICES:
            self.cut(min(held, key=lambda n: (self._ended[n] < 0, self._begun[n])))
        row = next((n for n in range(ROWS) if not self.sounding(n)), -1)
        if row < 0:
            return row
        self._serial += 1
        real = self._real[row]
        real.fill(0.0)
        real[LatentVoice.GAIN_STEP] = 1.0 / (ATTACK * self.rate)
        real[LatentVoice.NOISE] = 7919 * self._serial % LOOP
        real[LatentVoice.PACE] = hz_of(pitch) / self.rate
        self.key[row], self._begun[row], self._age[row], self._ended[row] = key, self._serial, 0, -1
        self.pitch[row], self.level[row], self.shift[row] = pitch, level, shift
        self._inputs[row, :AXES] = np.nan
        self._inputs[row, AXES:] = conditions(np.array([pitch]), np.array([velocity]))[0]
        return row

    def release(self, n: int) -> None:
        """Starts a note's release, from its present levels."""
        self.key[n] = (-1, -1)
        if self._ended[n] < 0:
            self._ended[n] = self._age[n]
            if self._age[n]:  # else it is aimed first: nothing is computed of it yet
                self._store_release_levels(n)

    def _store_release_levels(self, n: int) -> None:
        """Stores the levels at a note's release, from which it decays."""
        self._held(n, self._age[n] / self.rate)
        np.copyto(self._base[n], self._row)

    def cut(self, n: int) -> None:
        """Fades out a row in `CUT` seconds."""
        self.key[n] = (-1, -1)
        self._real[n, LatentVoice.GAIN_STEP] = -1.0 / (CUT * self.rate)

    def set_targets(self, n: int, place: F32, count: int) -> None:
        """Sets the targets of a row's amplitudes and pitch `count` samples ahead, from a position `[AXES]`."""
        real, ended = self._real[n], self._ended[n]
        # recomputes a row's hidden layer after a change of position
        np.copyto(self._place, place)
        self._place[0] = min(max(self._place[0] + self.shift[n], -AXIS_RANGE), AXIS_RANGE)
        np.matmul(self._place, self._decoder.axes, out=self._turn)
        inputs = self._inputs[n]
        if not np.array_equal(inputs[:AXES], self._turn):
            inputs[:AXES] = self._turn
            self._decoder.hidden_of(self._inputs[n : n + 1], self._layers[n])
            self._levelled[n] = self._decoder.loudness(self._hidden[n])
        if self._age[n] == 0:
            if ended == 0:
                self._store_release_levels(n)
            self._compute_amplitudes(n, 0)
            np.copyto(self._now[n], self._exact)
        quiet = self._compute_amplitudes(n, count) < 10.0 ** (END_DB / 10.0)
        np.subtract(self._exact, self._now[n], out=self._step[n])
        self._step[n] /= count
        real[LatentVoice.PACE_STEP] = (min(hz_of(self.pitch[n]) / self.rate, 0.48) - real[LatentVoice.PACE]) / count
        over = ended >= 0 and self._age[n] + count - ended > RINGS * self.rate
        if over or (quiet and self._age[n] > LONGEST * self.rate):
            self.cut(n)

    def play(self, out: Samples, at: int, count: int) -> None:
        """Adds the next samples of all rows to `[frames]` from `at` on."""
        for n in range(ROWS):
            if self.sounding(n):
                self._partials[n] = min(PARTIALS, int(0.48 * self.rate / hz_of(self.pitch[n])))
        latent_play(out, at, count, self.rows)

    def _compute_amplitudes(self, n: int, ahead: int) -> float:
        """Computes a row's amplitudes `ahead` samples later; returns their power, 1 for the loudest."""
        age, row = self._age[n] + ahead, self._row
        if self._ended[n] < 0:
            self._held(n, age / self.rate)
        else:
            after = (age - self._ended[n]) / self.rate
            self._between(n, HELD, (min(after, RINGS) / RINGS) ** (1.0 / RELEASE_BEND) * (RELEASED - 1))
            self._frame(n, HELD, self._pair[0])
            np.subtract(row, self._pair[0], out=row)
            # nothing rings for longer than the frames say
            np.minimum(row, -60.0 * after / RINGS, out=row)
            np.add(row, self._base[n], out=row)
        np.subtract(row, self._levelled[n], out=row)
        np.clip(row, -120.0, 12.0, out=row)
        np.multiply(row, _DB, out=self._exact)
        np.exp(self._exact, out=self._exact)
        power = float(np.dot(self._exact, self._exact))
        np.multiply(self._exact, self._factor, out=self._exact)
        np.multiply(self._exact, self.level[n], out=self._exact)
        return power

    def _held(self, n: int, seconds: float) -> None:
        """Levels of a held note, extrapolated beyond the last frame."""
        if seconds < LONGEST:
            self._between(n, 0, (seconds / LONGEST) ** (1.0 / BEND) * (HELD - 1))
            return
        fall, last = self._pair[0], self._pair[1]
        self._frame(n, DECAY_FRAME, fall)
        self._frame(n, HELD - 1, last)
        np.subtract(last, fall, out=fall)
        np.divide(fall, TIMES[-1] - TIMES[DECAY_FRAME], out=fall)
        np.add(fall, NO_DECAY_DB, out=fall)
        np.clip(fall, -MAX_DECAY_DB, 0.0, out=fall)
        np.multiply(fall, seconds - LONGEST, out=fall)
        np.add(last, fall, out=self._row)

    def _between(self, n: int, first: int, place: float) -> None:
        """Levels interpolated between two frames."""
        whole = int(place)
        low, high = self._pair[0], self._pair[1]
        self._frame(n, first + whole, low)
        self._frame(n, min(first + whole + 1, FRAMES - 1), high)
        np.subtract(high, low, out=high)
        np.multiply(high, place - whole, out=high)
        np.add(low, high, out=self._row)

    def _frame(self, n: int, frame: int, out: F32) -> None:
        np.matmul(self._decoder.rows[frame], self._hidden[n], out=out)
        np.add(out, self._decoder.base[frame], out=out)
