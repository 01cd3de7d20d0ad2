"""Modes `gate` and `wavelet` as machine code: process sound hop by hop, without Python.

`antiphon.api.backends.signal` explains hops. The transform here is that of the kernels, for frames of a power of two.
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from antiphon.api import F32, IO, Step
from antiphon.api.backends.signal import SpectrumSizes, windows
from antiphon.api.kernels import (
    Audio,
    RealFft,
    address,
    address_f32,
    f32,
    f32p,
    f64,
    fft_real,
    fft_real_inverse,
    i64,
    i64p,
    kernel,
    offset,
)
from antiphon.native.intrinsics import address_f64, address_i64
from antiphon.signal.hop_spectrum import power_unit
from antiphon_denoise.bands import COUNT
from antiphon_denoise.gate.estimate import (
    LEVEL,
    LIMIT,
    Estimator,
    EstimatorWord,
    RecentSpectra,
    RecentWord,
    denoise_estimate,
    denoise_learn,
    denoise_recent_add,
    denoise_recent_take,
)
from antiphon_denoise.gate.gains import PhraseGate, denoise_apply_trust, denoise_phrase, denoise_power
from antiphon_denoise.wavelet import Shrinker, ShrinkerWord, denoise_shrink_row

NEPERS_PER_DB = math.log(10.0) / 10.0
"""Nepers of power per dB."""
NO_CEILING = 1e9


class PlayerWord(IntEnum):
    """Places in the words of a player: numbers, then addresses of arrays."""

    CHANNELS = 0
    SIZE = 1
    HOP = 2
    FADE = 3
    FILLED = 4
    """Frames of the current hop received so far."""
    HOPS = 5
    """Hops since the last reset."""
    LEARN_AT = 6
    """Frame, since the last reset, of a `learn` request in this hop; -1 for none."""
    PAST = 7
    """`[channels, size]`: the newest frames, a ring."""
    READY = 8
    """`[channels, hop]`: the output of the last hop."""
    TAIL = 9
    """`[channels, fade]`: overlap with the next hop."""
    FRAME = 10
    SPECTRA = 11
    ANALYSIS = 12
    SHORT = 13
    """Analysis window of the spectra to which gains are applied."""
    SYNTHESIS = 14
    TURNS = 15
    WORK = 16
    ESTIMATOR = 17
    RECENT = 18
    PHRASE = 19
    SHRINKER = 20
    """Address of the shrinker's words; 0 in mode `gate`."""
    TRUST = 21
    """Address of trust `[COUNT]` of a file; 0 without an analysis."""


@kernel
def denoise_window(past: f32p, size: i64, end: i64, window: f32p, length: i64, frame: f32p) -> None:
    """frame ← the `length` samples before `end` of a ring of `size`, a power of two, under a window."""
    start = (end - length) & (size - 1)
    turn = min(length, size - start)
    for n in range(turn):
        frame[n] = past[start + n] * window[n]
    for n in range(turn, length):
        frame[n] = past[n - turn] * window[n]


@kernel
def denoise_transform_channels(w: i64p, window: f32p) -> None:
    """Transforms the newest frame of every channel."""
    size = w[PlayerWord.SIZE]
    end = w[PlayerWord.HOPS] * w[PlayerWord.HOP]
    frame = address_f32(w[PlayerWord.FRAME])
    for c in range(w[PlayerWord.CHANNELS]):
        denoise_window(address_f32(w[PlayerWord.PAST] + 4 * c * size), size, end, window, size, frame)
        spectrum = address_f32(w[PlayerWord.SPECTRA] + 4 * c * (size + 2))
        fft_real(frame, size, address_f32(w[PlayerWord.TURNS]), address_f32(w[PlayerWord.WORK]), spectrum)


@kernel
def denoise_hop_gain(w: i64p, threshold: f64, unit: f32) -> None:
    """Estimates the gain of the newest frame; learns the noise first, if requested."""
    recent = address_i64(w[PlayerWord.RECENT])
    estimator = address_i64(w[PlayerWord.ESTIMATOR])
    power = address_f32(estimator[EstimatorWord.POWER])
    denoise_transform_channels(w, address_f32(w[PlayerWord.ANALYSIS]))
    bins = w[PlayerWord.SIZE] // 2 + 1
    denoise_power(address_f32(w[PlayerWord.SPECTRA]), w[PlayerWord.CHANNELS], bins, unit, power)
    denoise_recent_add(recent, power)
    if w[PlayerWord.LEARN_AT] >= 0:
        if denoise_recent_take(recent, w[PlayerWord.LEARN_AT]) == 1:
            denoise_learn(estimator, address_f32(recent[RecentWord.MEAN]))
        w[PlayerWord.LEARN_AT] = -1
    denoise_estimate(estimator, threshold * NEPERS_PER_DB if threshold < 0.0 else NO_CEILING)
    if w[PlayerWord.TRUST] != 0:
        below, fraction = address_i64(estimator[EstimatorWord.BELOW]), address_f32(estimator[EstimatorWord.FRACTION])
        gain = address_f32(estimator[EstimatorWord.GAIN])
        denoise_apply_trust(gain, bins, below, fraction, address_f32(w[PlayerWord.TRUST]))


@kernel
def denoise_apply_gain(w: i64p, c: i64, gain: f32p, amount: f32) -> None:
    """FRAME ← the newest frame of a channel, with share `amount` of the reduction `gain`."""
    size = w[PlayerWord.SIZE]
    frame = address_f32(w[PlayerWord.FRAME])
    spectrum = address_f32(w[PlayerWord.SPECTRA] + 4 * c * (size + 2))
    for k in range(size // 2 + 1):
        g = f32(1.0) - amount * (f32(1.0) - gain[k])
        spectrum[2 * k] = spectrum[2 * k] * g
        spectrum[2 * k + 1] = spectrum[2 * k + 1] * g
    fft_real_inverse(spectrum, size, address_f32(w[PlayerWord.TURNS]), address_f32(w[PlayerWord.WORK]), frame)


@kernel
def denoise_overlap_add(w: i64p, c: i64, sound: f32p, window: f32p, level: f32) -> None:
    """READY, TAIL ← a channel's hop and overlap, from the windowed end of a frame."""
    hop = w[PlayerWord.HOP]
    fade = w[PlayerWord.FADE]
    ready = address_f32(w[PlayerWord.READY] + 4 * c * hop)
    tail = address_f32(w[PlayerWord.TAIL] + 4 * c * fade)
    for n in range(hop):
        ready[n] = sound[n] * window[n] * level
    for n in range(fade):
        ready[n] = ready[n] + tail[n]
        tail[n] = sound[hop + n] * window[hop + n] * level


@kernel
def denoise_hop(w: i64p, amount: f64, threshold: f64, full: i64, unit: f32) -> None:
    """Computes the output of a full hop."""
    w[PlayerWord.HOPS] = w[PlayerWord.HOPS] + 1
    denoise_hop_gain(w, threshold, unit)
    estimator = address_i64(w[PlayerWord.ESTIMATOR])
    numbers = address_f64(estimator[EstimatorWord.NUMBERS])
    power = address_f32(estimator[EstimatorWord.POWER])
    gain = address_f32(estimator[EstimatorWord.GAIN])
    phrase = denoise_phrase(address_f64(w[PlayerWord.PHRASE]), power, gain, numbers[LEVEL])
    level = f32(1.0 - amount * (1.0 - phrase)) if full == 1 else f32(1.0)
    limited = f32(amount * numbers[LIMIT])
    size = w[PlayerWord.SIZE]
    if w[PlayerWord.SHRINKER] == 0:
        if w[PlayerWord.SHORT] != w[PlayerWord.ANALYSIS]:
            denoise_transform_channels(w, address_f32(w[PlayerWord.SHORT]))
        end = offset(address_f32(w[PlayerWord.FRAME]), size - w[PlayerWord.HOP] - w[PlayerWord.FADE])
        for c in range(w[PlayerWord.CHANNELS]):
            denoise_apply_gain(w, c, gain, limited)
            denoise_overlap_add(w, c, end, address_f32(w[PlayerWord.SYNTHESIS]), level)
    else:
        shrinker = address_i64(w[PlayerWord.SHRINKER])
        row = address_f32(shrinker[ShrinkerWord.ROW])
        window = address_f32(shrinker[ShrinkerWord.WINDOW])
        age = w[PlayerWord.HOPS] * w[PlayerWord.HOP]
        for c in range(w[PlayerWord.CHANNELS]):
            past = address_f32(w[PlayerWord.PAST] + 4 * c * size)
            denoise_window(past, size, age, window, shrinker[ShrinkerWord.LENGTH], row)
            denoise_shrink_row(shrinker, power, gain, limited)
            denoise_overlap_add(w, c, row, window, level)


class DenoiseCurves(NamedTuple):
    """Parameter curves, one value per frame."""

    amount: f32p
    threshold: f32p
    full: f32p


@kernel
def denoise_play(
    x: Audio, y: Audio, frames: i64, p: DenoiseCurves, fired: i64p, fires: i64, unit: f32, w: i64p
) -> None:
    """y ← x denoised, with a latency of a hop and a fade.

    amount, threshold (dB), full (0 or 1): of each frame; a hop uses their values at its last frame. fired: frames at
    which to learn the noise, in order; fires: their number. unit: as `power_unit`. w: the words (`PlayerWord`).
    """
    hop = w[PlayerWord.HOP]
    mask = w[PlayerWord.SIZE] - 1
    done = 0
    fire = 0
    while done < frames:
        at = w[PlayerWord.FILLED]
        count = min(frames - done, hop - at)
        age = w[PlayerWord.HOPS] * hop + at
        for c in range(y.channels):
            past = address_f32(w[PlayerWord.PAST] + 4 * c * (mask + 1))
            ready = address_f32(w[PlayerWord.READY] + 4 * c * hop)
            for n in range(count):
                past[(age + n) & mask] = x[c, done + n]
                y[c, done + n] = ready[at + n]
        while fire < fires:
            if fired[fire] >= done + count:
                break
            w[PlayerWord.LEARN_AT] = age + fired[fire] - done
            fire = fire + 1
        done = done + count
        at = at + count
        if at == hop:
            at = 0
            on = 1 if p.full[done - 1] != f32(0.0) else 0
            denoise_hop(w, f64(p.amount[done - 1]), f64(p.threshold[done - 1]), on, unit)
        w[PlayerWord.FILLED] = at


class GatePlayer:
    """Runs the gate of one stream, or wavelets with the gate's estimate.

    The estimator, the recent spectra and the phrase gate belong to the processor; reset this object together with them.
    """

    def __init__(
        self,
        grid: SpectrumSizes,
        channels: int,
        estimator: Estimator,
        recent: RecentSpectra,
        phrase: PhraseGate,
        shrinker: Shrinker | None,
    ) -> None:
        fft = RealFft(grid.size)
        analysis = windows(replace(grid, overlap=0))[0]
        short, synthesis = windows(grid) if grid.overlap else (analysis, windows(grid)[1])
        self._unit = power_unit(grid, channels)
        self._state = [np.zeros((channels, frames), np.float32) for frames in (grid.size, grid.hop, grid.fade)]
        frame, spectra = np.zeros(grid.size + 2, np.float32), np.zeros((channels, grid.size + 2), np.float32)
        self._arrays = (
            *self._state, frame, spectra, analysis, short, synthesis, fft.turns, fft.work,
            estimator.words, recent.words, phrase.numbers,
        )  # fmt: skip
        numbers = channels, grid.size, grid.hop, grid.fade, 0, 0, -1
        self._shrinker = shrinker  # whose words hold addresses of its arrays
        shrinks = address(shrinker.words) if shrinker is not None else 0
        self._trust: F32 = np.ones(COUNT, np.float32)
        self._words = np.array([*numbers, *map(address, self._arrays), shrinks, 0], np.int64)
        self._never = np.zeros(1, np.int64)

    def clear(self) -> None:
        """Clears the sound, and pending requests."""
        for sound in self._state:
            sound.fill(0.0)
        self._words[PlayerWord.FILLED : PlayerWord.PAST] = 0, 0, -1

    def rewind(self) -> None:
        """Begins a new hop, after a restart of the file."""
        self._words[PlayerWord.FILLED] = 0

    def trust(self, trust: F32) -> None:
        """Sets the share of the reduction in each band of a file, `[COUNT]`."""
        self._trust[:] = trust
        self._words[PlayerWord.TRUST] = address(self._trust)

    def step(self, io: IO) -> Step:
        """Processes a block."""
        fired = io.fired("learn")
        return denoise_play.step(
            io.audio_in[0],
            io.audio_out[0],
            io.frames,
            DenoiseCurves._make(map(io.curve, DenoiseCurves._fields)),
            np.array(fired, np.int64) if fired else self._never,
            len(fired),
            self._unit,
            self._words,
        )
