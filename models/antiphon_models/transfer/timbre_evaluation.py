"""`antiphon evaluate timbre`: compares the learned instruments on a sung melody with a soundfont."""

import math
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from antiphon.api import F32, F64, StreamSpec
from antiphon.api.backends.files import AudioWriter
from antiphon.api.backends.rendering import load_plugins
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Example, MetricValue, metric_values
from antiphon_models.learning.user_commands import run_on_sound
from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import (
    FLUID,
    TICKS,
    TIM,
    FluidSettings,
    midi_bytes,
    note_off,
    note_on,
    program_change,
)
from antiphon_models.material.singing import PERIOD, SecondsNote, Singer, singing
from antiphon_models.material.sounds import of_length, resample_mono
from antiphon_models.material.styles import draw_singing_style
from antiphon_models.transfer.solos import INSTRUMENTS, RATE

# ---- Closeness to a target, and preservation of the input, of mono sound at 22.05 kHz scaled to one RMS

MEASURED_RATE = 22050
"""Sample rate for measurement."""
SIZE = 2048
HOP = 512
FLOOR = 80.0


def normalise_for_measurement(sound: F32, rate: int) -> F32:
    """Prepares a sound for measurement: at `MEASURED_RATE`, with RMS 0.1, so that loudness makes no difference."""
    at = resample_mono(sound, rate, MEASURED_RATE)
    return np.asarray(at * (0.1 / (np.sqrt(np.mean(np.square(at, dtype=np.float64))) + 1e-9)), np.float32)


def magnitudes(sound: F32, size: int = SIZE, hop: int = HOP) -> F64:
    """Magnitudes `[frames, size / 2 + 1]` under a Hann window; a full-scale sine is 0.5."""
    window = np.hanning(size + 1)[:-1]
    padded = np.pad(sound.astype(np.float64), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.asarray(np.abs(np.fft.rfft(frames * window, axis=1)) / window.sum(), np.float64)


def decibels(spectrum: F64) -> F64:
    """Spectrum in dB, at least `FLOOR` relative to its peak."""
    levels = 20.0 * np.log10(spectrum + 1e-9)
    return np.asarray(np.maximum(levels, levels.max() - FLOOR), np.float64)


def log_spectral_distance(output: F32, target: F32) -> float:
    """Log-spectral distance in dB: root mean square over the bins, mean over the frames."""
    a, b = decibels(magnitudes(output)), decibels(magnitudes(target))
    return float(np.sqrt(np.mean((a - b) ** 2, axis=1)).mean())


@lru_cache(maxsize=4)
def mel_bank(bands: int = 64, low: float = 30.0, high: float = 11000.0) -> F64:
    """Triangles of equal width in mel, `[bands, bins]`, each of area 1."""
    hertz = np.fft.rfftfreq(SIZE, 1.0 / MEASURED_RATE)
    first, last = (2595.0 * math.log10(1.0 + edge / 700.0) for edge in (low, high))
    mel = np.linspace(first, last, bands + 2)
    edges = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    up = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.maximum(0.0, np.minimum(up, down))
    return np.asarray(bank / np.maximum(bank.sum(axis=1, keepdims=True), 1e-9), np.float64)


def cepstra(sound: F32) -> F64:
    """MFCC 2 to 13, `[frames, 12]`, of non-silent frames."""
    power = magnitudes(sound) ** 2
    loud = power.sum(axis=1)
    levels = decibels(np.sqrt(power[loud > loud.max() * 1e-5] @ mel_bank().T))
    n = levels.shape[1]
    basis = np.cos(np.pi / n * (np.arange(n) + 0.5) * np.arange(1, 13)[:, None]) * np.sqrt(2.0 / n)
    return np.asarray(levels @ basis.T, np.float64)


def timbre_distance(output: F32, reference: F32) -> float:
    """Distance in dB of means and covariances of two sounds' MFCC: |m1 - m2| + |C1 - C2|^½ (Frobenius)."""
    a, b = cepstra(output), cepstra(reference)
    means = np.linalg.norm(a.mean(axis=0) - b.mean(axis=0))
    return float(means + np.sqrt(np.linalg.norm(np.cov(a.T) - np.cov(b.T))))


def onset_envelope(sound: F32) -> F64:
    """Onset strength: rise of mel band levels from frame to frame, summed over the bands."""
    levels = decibels(magnitudes(sound) @ mel_bank().T)
    return np.asarray(np.maximum(0.0, np.diff(levels, axis=0)).mean(axis=1), np.float64)


def onset_likeness(output: F32, source: F32) -> float:
    """Correlation of the onset envelopes, maximised over shifts within a frame."""
    a, b = onset_envelope(output), onset_envelope(source)
    pairs = ((a, b), (a[1:], b[:-1]), (a[:-1], b[1:]))
    return max(float(np.corrcoef(x, y)[0, 1]) if x.std() > 1e-9 and y.std() > 1e-9 else 0.0 for x, y in pairs)


COUNT = 12
NEAR = 20.0
"""Tolerance in cents of a frame in tune."""
VOICES = {48: "en-us+m2", 60: "en+f3"}
"""Voices by their lowest note."""
FONTS = {"FluidR3": FLUID, "TimGM6mb, never trained on": TIM}


def tune(low: int, rng: np.random.Generator) -> list[SecondsNote]:
    """Melody of some ten seconds in steps and small leaps above `low`."""
    notes, now, degree = [], 0.3, int(rng.integers(2, 8))
    for _ in range(18):
        length = float(rng.choice([0.3, 0.5, 0.9]))
        degree = min(11, max(0, degree + int(rng.integers(-3, 4))))
        pitch = low + 12 * (degree // 7) + (0, 2, 4, 5, 7, 9, 11)[degree % 7]
        notes.append(SecondsNote(now, now + length * 0.95, pitch, float(rng.uniform(0.4, 1.0))))
        now += length + float(rng.choice([0.0, 0.3], p=[0.85, 0.15]))
    return notes


def play_notes(notes: list[SecondsNote], program: int, font: Path, frames: int) -> F32:
    """Renders the notes with a program of a soundfont, in mono."""
    events = [(0, program_change(0, program))]
    for note in notes:
        events.append((round(note.start * TICKS) + 1, note_on(0, note.pitch, round(127 * note.velocity))))
        events.append((round(note.end * TICKS), note_off(0, note.pitch)))
    score = midi_bytes(sorted(events, key=lambda event: event[0]))
    sound = fluidsynth.play(score, font, RATE, FluidSettings(gain=0.8, reverb=False, chorus=False)).mean(axis=1)
    return of_length(sound, frames)


class Timbres(Evaluation):
    """Measures instruments on melodies sung by espeak-ng's voices with WORLD."""

    trivial = "the voice"
    ours = "instrument; envelope"
    oracle = "exact"
    columns = "cents [%]; voiced [%]; lsd ↓; timbre ↓; onsets; latency [ms] ↓"
    note = (
        "cents: share of frames within 20 cents of what was sung, by swift-f0, where both have a pitch; voiced: of the "
        "frames sung with a pitch, those that have one. lsd, timbre: distances to the same notes by the instrument of "
        "a soundfont, as a part of the voice's. The measures are our own."
    )
    road = "`antiphon run transfer IN OUT -p mode=instrument -p instrument=NAME`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Yields scores of each item by each soundfont; pitch and latency in the first group alone."""
        if find_spec("swift_f0") is None:
            ask.say("swift-f0 is not installed: pitch is left out (pip install antiphon-lab[bench])")
        distances: dict[tuple[str, str, str], list[tuple[str, float]]] = defaultdict(list)
        first = next(iter(FONTS))
        for item, notes, sounds, pitch in _items(ask):
            exact = {
                group: play_notes(notes, INSTRUMENTS[item.split()[0]][0], font, len(pitch))
                for group, font in FONTS.items()
            }
            for name in ("the voice", "instrument", "envelope", "exact"):
                for group, target in exact.items():
                    output = target if name == "exact" else sounds[name]
                    # distances to the target, and likeness of the onsets to the voice's
                    y, v, t = (normalise_for_measurement(x, RATE) for x in (output, sounds["the voice"], target))
                    row = {
                        "lsd": log_spectral_distance(y, t),
                        "timbre": timbre_distance(y, t),
                        "onsets": onset_likeness(y, v),
                    }
                    for key in ("lsd", "timbre"):
                        distances[group, name, key].append((item, row.pop(key)))
                    if group == first:
                        row |= _pitch(output, pitch)
                        if name == "instrument":
                            # reported latency of the node in ms at 48 kHz
                            processor = load_plugins(check=False).make("transfer")
                            processor.settings = {**processor.settings, "mode": "instrument"}
                            processor.prepare(StreamSpec(48000, 256, 1))
                            row["latency"] = 1000.0 * processor.latency / 48000
                    if ask.wants(name):
                        yield from metric_values(name, item, row, group)
        for (group, name, key), values in distances.items():
            base = float(np.mean([value for _, value in distances[group, "the voice", key]]))
            for item, value in values:
                if ask.wants(name):
                    yield MetricValue(name, key, item, value / base, group)

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        for item, _, sounds, _ in _items(ask):
            for name, sound in sounds.items():
                yield Example(item, name, sound, RATE)


def _items(ask: EvaluationRequest) -> Iterator[tuple[str, list[SecondsNote], dict[str, F32], F32]]:
    """Yields name, notes, the voice and our outputs, and MIDI numbers at the sound's rate, 0 unvoiced."""
    for n in range(ask.limit or COUNT):
        rng = np.random.default_rng((ask.seed, 71, n))
        name = sorted(INSTRUMENTS)[n % len(INSTRUMENTS)]
        program, low, _ = INSTRUMENTS[name]
        bottom = max(48, low) if low < 55 else 60
        voice = VOICES[48 if bottom < 55 else 60]
        notes = tune(bottom, rng)
        sound, hertz = singing(notes, Singer(voice), draw_singing_style(rng), int(rng.integers(1 << 30)), RATE)
        sound = np.ascontiguousarray(sound, np.float32)
        places = np.minimum((np.arange(len(sound)) / RATE * 1000 / PERIOD).astype(int), len(hertz) - 1)
        pitch = np.where(hertz[places] > 0, 69 + 12 * np.log2(np.maximum(hertz[places], 1.0) / 440.0), 0.0)
        sounds = {"the voice": sound}
        if ask.wants("instrument"):
            sounds["instrument"] = run_on_sound("transfer", sound, RATE, {"mode": "instrument", "instrument": name})
        if ask.wants("envelope"):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "reference.wav"
                with AudioWriter(path, RATE, 1, "PCM_16") as writer:
                    writer.write(play_notes(tune(bottom, rng), program, FLUID, 10 * RATE)[None])
                sounds["envelope"] = run_on_sound("transfer", sound, RATE, {"reference": path})
        yield f"{name} {n // len(INSTRUMENTS) + 1}", notes, sounds, pitch.astype(np.float32)


def _pitch(output: F32, pitch: F32) -> dict[str, float]:
    """Percentages of frames in tune, and of frames with a pitch."""
    if find_spec("swift_f0") is None:
        return {}
    import soxr
    from swift_f0 import SwiftF0

    x = soxr.resample(output / max(1e-6, float(np.abs(output).max())) * 0.8, RATE, 16000).astype(np.float32)
    found = SwiftF0().detect(x, 16000)
    wanted = pitch[np.minimum((np.asarray(found.timestamps) * RATE).astype(int), len(pitch) - 1)]
    sure, sung = np.asarray(found.confidence) > 0.5, wanted > 0
    hertz = np.maximum(np.asarray(found.pitch_hz), 1.0)
    cents = np.abs(100.0 * (69.0 + 12.0 * np.log2(hertz / 440.0) - wanted))[sure & sung]
    voiced = 100.0 * float((sure & sung).sum()) / max(1, int(sung.sum()))
    return {"cents": 100.0 * float((cents < NEAR).mean()) if len(cents) else 0.0, "voiced": voiced}
