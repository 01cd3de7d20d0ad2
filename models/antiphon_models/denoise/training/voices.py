"""Renders notes on random synthetic instruments, each of an oscillator, an envelope and a filter.

Sounds are mono float32 at `RATE`: detuned saws, partials that enter one by one, frequency modulation (Chowning, 1973),
plucked strings (Karplus and Strong, 1983): timbres for a denoiser's material that no soundfont has.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from antiphon.api import F32, F64
from antiphon_models.denoise.training import RATE


@dataclass(frozen=True, slots=True)
class VoiceNote:
    """begin, length: seconds.  pitch: MIDI.  level: 0..1."""

    begin: float
    length: float
    pitch: float
    level: float


@dataclass(frozen=True, slots=True)
class EnvelopeShape:
    """Attack, decay and release in seconds; sustain 0..1; vibrato in Hz and semitones."""

    attack: float
    decay: float
    sustain: float
    release: float
    rate: float
    depth: float


Oscillator = Callable[[F64, F64, random.Random], F64]
"""Oscillator of one note: gives sound from phase in cycles and seconds since the onset."""


def render_notes(notes: list[VoiceNote], seconds: float, rnd: random.Random) -> F32:
    """Renders notes on one instrument, through one filter."""
    oscillator, shape = rnd.choice(KINDS)(rnd), _shape(rnd)
    out = np.zeros(int(seconds * RATE) + 4 * RATE)
    seed = rnd.random()
    for note in notes:
        # every note of an instrument is made alike
        sound = _note(note, oscillator, shape, random.Random(seed))
        at = int(note.begin * RATE)
        out[at : at + len(sound)] += sound[: max(0, len(out) - at)]
    return _filtered(out, rnd)[: int(seconds * RATE)].astype(np.float32)


def _shape(rnd: random.Random) -> EnvelopeShape:
    slow = rnd.random() < 0.5
    vibrato = rnd.random() < 0.5
    return EnvelopeShape(
        rnd.uniform(0.05, 0.6) if slow else rnd.uniform(0.001, 0.03),
        rnd.uniform(0.05, 2.0),
        rnd.uniform(0.5, 1.0) if slow else rnd.choice([0.0, rnd.uniform(0.1, 1.0)]),
        rnd.uniform(0.05, 1.2) if slow else rnd.uniform(0.02, 0.4),
        rnd.uniform(3.0, 7.5),
        rnd.uniform(0.05, 0.6) if vibrato else 0.0,
    )


def _note(note: VoiceNote, oscillator: Oscillator, shape: EnvelopeShape, rnd: random.Random) -> F64:
    count = int((note.length + shape.release) * RATE)
    t = np.arange(count) / RATE
    wave = shape.depth * np.minimum(t / 0.4, 1.0) * np.sin(2 * np.pi * shape.rate * t)
    turns = np.cumsum(440.0 * 2.0 ** ((note.pitch - 69.0 + wave) / 12.0) / RATE)
    level = np.minimum(t / shape.attack, 1.0)
    level *= shape.sustain + (1.0 - shape.sustain) * np.exp(-np.maximum(t - shape.attack, 0.0) / shape.decay)
    level *= np.clip((note.length + shape.release - t) / shape.release, 0.0, 1.0)
    return note.level * level * oscillator(turns, t, rnd)


def _draw_saw_oscillator(rnd: random.Random) -> Oscillator:
    """One to seven detuned saws or squares, sometimes with bow noise."""
    many, cents, square = rnd.choice([1, 2, 3, 5, 7]), rnd.uniform(2, 30), rnd.random() < 0.3
    breath = rnd.choice([0.0, 0.0, rnd.uniform(0.01, 0.12)])

    def sum_detuned_saws(turns: F64, t: F64, own: random.Random) -> F64:
        sound = np.zeros(len(t))
        width = own.uniform(0.1, 0.5)
        for _ in range(many):
            place = turns * 2 ** (own.gauss(0, cents) / 1200) + own.random()
            sound += _saw(place) - (_saw(place + width) if square else 0.0)
        noise = np.random.default_rng(own.getrandbits(32)).standard_normal(len(t))
        return np.asarray(sound / np.sqrt(many) + breath * noise)

    return sum_detuned_saws


def _saw(turns: F64) -> F64:
    """A band-limited saw, its step smoothed over two samples (Välimäki and Huovilainen, 2007)."""
    place = np.mod(turns, 1.0)
    step = np.maximum(np.gradient(turns), 1e-6)
    sound = 2.0 * place - 1.0
    first, last = place / step, (place - 1.0) / step
    sound -= np.where(first < 1.0, 2.0 * first - first**2 - 1.0, 0.0)
    sound -= np.where(last > -1.0, last**2 + 2.0 * last + 1.0, 0.0)
    return np.asarray(sound)


def _draw_additive_oscillator(rnd: random.Random) -> Oscillator:
    """Up to thirty partials, harmonic or slightly inharmonic, each with its own level, onset and beating."""
    many, stretch, fall = rnd.randint(2, 30), rnd.choice([0.0, 0.0, rnd.uniform(0, 0.02)]), rnd.uniform(0.3, 2.0)
    bloom, beating = rnd.uniform(0.0, 0.4), rnd.uniform(0.0, 0.8)

    def partials(turns: F64, t: F64, own: random.Random) -> F64:
        sound = np.zeros(len(t))
        step = float(turns[-1] - turns[0]) / max(1, len(turns) - 1)
        for n in range(1, many + 1):
            ratio = n * (1.0 + stretch * n)
            if ratio * step > 0.45:
                break
            level = own.random() / n**fall * np.minimum(t / (0.002 + bloom * own.random()), 1.0)
            level = level * (1.0 - beating * (0.5 + 0.5 * np.sin(2 * np.pi * own.uniform(0.1, 5.0) * t)))
            sound += level * np.sin(2 * np.pi * (ratio * turns + own.random()))
        return sound

    return partials


def _modulated(rnd: random.Random) -> Oscillator:
    """Two-operator FM with a rising or falling index."""
    ratio = rnd.choice([0.5, 1.0, 1.0, 2.0, 3.0, 3.5, 1.414, rnd.uniform(0.3, 7.0)])
    most, least, speed = rnd.uniform(0.3, 8.0), rnd.uniform(0.0, 2.0), rnd.uniform(0.05, 1.5)

    def modulated(turns: F64, t: F64, own: random.Random) -> F64:
        index = least + (most - least) * np.exp(-t / speed)
        return np.asarray(np.sin(2 * np.pi * turns + index * np.sin(2 * np.pi * ratio * turns)))

    return modulated


def _plucked(rnd: random.Random) -> Oscillator:
    """Plucked string (Karplus-Strong): noise in a loop of one period with a two-sample mean."""
    damping, bright = rnd.uniform(0.985, 0.9995), rnd.uniform(0.1, 0.9)

    def plucked(turns: F64, t: F64, own: random.Random) -> F64:
        from scipy.signal import lfilter

        period = max(2, round(len(turns) / max(1.0, float(turns[-1] - turns[0]))))
        struck = np.zeros(len(t))
        burst = np.random.default_rng(own.getrandbits(32)).uniform(-1, 1, period)
        struck[:period] = lfilter([bright], [1.0, bright - 1.0], burst)[: len(struck)]
        loop = np.zeros(period + 2)
        loop[0], loop[period], loop[period + 1] = 1.0, -0.5 * damping, -0.5 * damping
        return np.asarray(lfilter([1.0], loop, struck))

    return plucked


KINDS = (
    _draw_saw_oscillator,
    _draw_saw_oscillator,
    _draw_additive_oscillator,
    _draw_additive_oscillator,
    _modulated,
    _plucked,
)


def _filtered(sound: F64, rnd: random.Random) -> F64:
    """Applies a resonant, modulated low-pass and up to four formants; either may be absent."""
    size, hop = 2048, 512
    padded = np.pad(sound, (size, size + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * np.hanning(size)
    spectra = np.fft.rfft(frames, axis=1)
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / RATE), 20.0)
    t = np.arange(len(frames)) * hop / RATE
    gains = np.ones(spectra.shape)
    if rnd.random() < 0.7:
        swing = rnd.uniform(0.0, 1.5) * np.sin(2 * np.pi * rnd.uniform(0.05, 6.0) * t + rnd.uniform(0, 6))
        cut = (_log_uniform(rnd, 300, 12000) * np.exp(swing))[:, None]
        gains /= np.sqrt((1.0 - (hertz / cut) ** 2) ** 2 + (hertz / cut / rnd.uniform(0.6, 6.0)) ** 2)
    for _ in range(rnd.choice([0, 0, 1, 2, 4])):
        middle, width = _log_uniform(rnd, 200, 6000), rnd.uniform(0.05, 0.4)
        gains *= 1.0 + rnd.uniform(1.0, 6.0) * np.exp(-((np.log(hertz / middle) / width) ** 2))
    made = np.fft.irfft(spectra * gains, size, axis=1) * np.hanning(size)
    out = np.zeros(len(frames) * hop + size)
    for n, frame in enumerate(made):
        out[n * hop : n * hop + size] += frame
    return out[size : size + len(sound)] / 1.5


def _log_uniform(rnd: random.Random, low: float, high: float) -> float:
    return float(np.exp(rnd.uniform(np.log(low), np.log(high))))
