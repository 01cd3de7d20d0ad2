"""`antiphon train timbre FOLDER`: trains an instrument of `transfer mode=instrument` on solo recordings.

The levels of harmonics and of the noise between them are measured in the recordings, and a network learns to predict
them from the features that the node measures in a voice: pitch, level and their changes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from antiphon.api import F32, F64, UsageError, frequency
from antiphon.api.backends.files import SOUND_FORMATS, read_sound
from antiphon.api.backends.signal import Decimator
from antiphon_models.learning.making import slug
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_transfer.instrument import (
    ANALYSIS_LAG,
    FEATURES,
    HARMONICS,
    HIGHEST_PARTIAL,
    NOISES,
    PREFIX,
    TOP,
    WIDTH,
    VoiceTracker,
    noise_bands,
)

FLOOR, NOISE_FLOOR = -9.2, -13.8
"""Floors of levels relative to the frame's, as natural logarithms: harmonics -80 dB, noise in a 1 Hz band -120 dB."""
RANGE = 45.0
"""Range in dB below the loudest frame; softer frames are left out."""
LONGEST, SHORTEST = 1200.0, 20.0
"""Maximum seconds of recordings, and minimum seconds with a pitch."""
LOW_NOTE = 55.0
"""MIDI number below which harmonics are measured in a window of double length."""
SEARCH_BINS = 4
"""Search range in bins around a harmonic."""
BATCH, AT_ONCE = 512, 512
VALIDATION_SECONDS = 10
"""Validation share: one in this many seconds."""


def node_voice_features(sound: F32, rate: int) -> tuple[F32, F64]:
    """Features `[hops, FEATURES]`, and rows of frame centre, pitch, level and voicing, equal to the node's."""
    decimator = Decimator(rate)
    tracker = VoiceTracker(decimator)
    behind = ANALYSIS_LAG * decimator.factor + decimator.lag
    features, rows = [], []
    at = 0
    while at < len(sound):
        at += decimator.take(sound[None], at, len(sound))
        if decimator.full:
            tracker.step()
            decimator.turn()
            features.append(tracker.features.copy())
            rows.append((at - behind, tracker.pitch, tracker.level, float(tracker.voiced)))
    return np.array(features), np.array(rows)


def harmonic_and_noise_levels(sound: F32, rate: int, rows: F64) -> tuple[F32, F32]:
    """Levels around each centre: natural logarithms `[hops, HARMONICS + NOISES]` relative to the total level of
    harmonics and noise, or their floors if unknown; and weights."""
    floors = np.repeat(np.array([FLOOR, NOISE_FLOOR], np.float32), [HARMONICS, NOISES])
    found = np.zeros((len(rows), HARMONICS + NOISES), np.float32)
    weights = np.zeros_like(found)
    for low in (True, False):
        where = np.flatnonzero((rows[:, 1] < LOW_NOTE) == low)
        window = np.hanning(round(rate * (0.093 if low else 0.046)) // 2 * 2 + 1)[:-1]
        size = 1 << (4 * len(window) - 1).bit_length() - 1
        hertz = np.fft.rfftfreq(size, 1.0 / rate).astype(np.float64)
        bands = noise_bands(hertz)
        padded = np.pad(sound, len(window))
        lobe = 2.2 * rate / len(window)
        for part in np.array_split(where, max(1, len(where) // AT_ONCE)):
            centres, first = rows[part, 0].astype(int), frequency(rows[part, 1])
            pieces = padded[(centres + len(window) // 2)[:, None] + np.arange(len(window))] * window
            spectra = np.abs(np.fft.rfft(pieces, size, axis=1))
            partials = first[:, None] * np.arange(1, HARMONICS + 1)
            there = partials < min(TOP, HIGHEST_PARTIAL * rate)
            bins = np.round(np.where(there, partials, 0.0) * size / rate).astype(int)
            nearby = np.clip(bins[..., None] + np.arange(-SEARCH_BINS, SEARCH_BINS + 1), 0, len(hertz) - 1)
            peak = np.take_along_axis(spectra[:, None, :], nearby, axis=2).max(axis=2)
            amplitude = peak * 2.0 / window.sum() * there
            apart = np.abs(hertz / first[:, None] - np.round(hertz / first[:, None])) * first[:, None]
            between = (apart > np.minimum(lobe, 0.4 * first)[:, None]) & (hertz > 0.5 * first[:, None])
            density = np.square(spectra) * (2.0 / (rate * np.square(window).sum())) * between
            counted = between.astype(np.float32) @ bands.T
            noise = (density @ bands.T) / np.maximum(counted, 1e-9)
            hz = bands.sum(axis=1) * rate / size
            power = 0.5 * np.square(amplitude).sum(axis=1) + noise @ hz + 1e-20
            both = np.concatenate([amplitude, np.sqrt(noise)], axis=1) / np.sqrt(power)[:, None]
            known = np.concatenate([there, counted > 1.0], axis=1)
            found[part] = np.where(known, np.maximum(np.log(both + 1e-9), floors), floors)
            weights[part] = np.clip(1.0 - found[part] / floors, 0.05, 1.0)
    return found, weights


class TimbreNetwork(torch.nn.Module):
    """The four-layer network that `antiphon_transfer.instrument` plays."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (FEATURES, WIDTH, WIDTH, WIDTH, HARMONICS + NOISES)
        for n in range(4):
            self.add_module(str(n), torch.nn.Linear(sizes[n], sizes[n + 1]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps `[N, FEATURES]` to `[N, HARMONICS + NOISES]`."""
        layers = list(self.children())
        for layer in layers[:-1]:
            x = torch.nn.functional.silu(layer(x))
        last: torch.Tensor = layers[-1](x)
        return last


class TimbreRecipe(Recipe):
    """Recipe of an instrument; its weights are named after the folder."""

    name = "timbre"
    weights = "timbre"  # of the instance, once the folder is known
    plugin = "transfer"
    module = TimbreNetwork
    steps = 3000
    rate = 1e-3
    half = True  # for 0.01 dB
    takes = "recordings of one instrument, a note at a time, some minutes in all"

    def prepare(self, job: TrainingJob) -> None:
        assert job.folder is not None
        self._job = job
        self.weights = PREFIX + slug(job.folder)  # type: ignore[misc]
        kinds: list[list[F32]] = [[], [], []]
        seconds, voiced = 0.0, 0.0
        inside = (path for path in job.folder.rglob("*") if path.suffix.lower() in SOUND_FORMATS and path.is_file())
        for path in sorted(inside):
            sound = read_sound(path)
            mono = np.ascontiguousarray(sound.samples.mean(axis=0)[: round((LONGEST - seconds) * sound.rate)])
            seconds += len(mono) / sound.rate
            features, rows = node_voice_features(mono, sound.rate)
            keep = (rows[:, 3] > 0) & (rows[:, 2] > rows[:, 2].max() - RANGE) & (rows[:, 0] > 0)
            voiced += keep.sum() * (len(mono) / sound.rate / max(1, len(rows)))
            for kind, array in zip(
                kinds, (features[keep], *harmonic_and_noise_levels(mono, sound.rate, rows[keep])), strict=True
            ):
                kind.append(array)
            if seconds >= LONGEST:
                break
        if voiced < SHORTEST:
            raise UsageError(
                f"{job.folder} has {voiced:.0f} s of a voice with a pitch; give at least {SHORTEST:.0f} s of "
                "recordings of one instrument, a note at a time"
            )
        job.say(f"{voiced:.0f} s of notes in {seconds:.0f} s of recordings")
        arrays = [torch.from_numpy(np.concatenate(kind)) for kind in kinds]
        held = torch.arange(len(arrays[0])) // 180 % VALIDATION_SECONDS == 0
        self._train, self._held = [a[~held] for a in arrays], [a[held] for a in arrays]

    def batch(self, step: int) -> Batch:
        rows = np.random.default_rng((self._job.seed, step)).integers(0, len(self._train[0]), BATCH)
        return tuple(array[rows].to(self._job.device) for array in self._train)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        error = _error(network, batch)
        return error, {"error": error.detach()}

    def validate(self, network: torch.nn.Module) -> Figures:
        with torch.no_grad():
            error = float(_error(network, tuple(a.to(self._job.device) for a in self._held)))
        return {"score": -8.686 * error}

    def provenance(self) -> Mapping[str, Any]:
        assert self._job.folder is not None
        return {
            "licence": "of the recordings",
            "trained_on": f"recordings in a folder named {self._job.folder.resolve().name}",
        }


def _error(network: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Weighted mean error of the natural logarithms."""
    features, levels, weights = batch
    error: torch.Tensor = ((network(features) - levels).abs() * weights).sum() / weights.sum()
    return error
