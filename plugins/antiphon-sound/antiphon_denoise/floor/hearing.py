"""File analysis of `denoise` before it is prepared: presence of noise, its amount, and the kind of sound.

The mask of files is tried on stretches of it, and a network tells how much of what it takes there is noise: so much of
any mode's reduction is applied. A file in which next to nothing would be is passed as it is: a mask, a gate and
wavelets all take a dense mix for noise.
"""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import F32, FileHearing, Value
from antiphon.api.backends.analysis import AnalysisFeed, analyse_file, analyses
from antiphon.api.backends.files import stream_sound
from antiphon.api.backends.models import usable
from antiphon.api.backends.signal import grid, windows
from antiphon_denoise.bands import BINS, COUNT, HOP, BandMeans
from antiphon_denoise.deepfilter import DEEPFILTER
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
from antiphon_denoise.floor.speech import SpeechListener
from antiphon_denoise.floor.stretches import StretchListener
from antiphon_denoise.learned import file_mask
from antiphon_denoise.learned.delayed import denoise_units
from antiphon_denoise.learned.tables import UNITS, first_bins

log = logging.getLogger("antiphon.denoise")
MOST = 8
"""Analysed stretches."""
MIN_NOISE_DB = -34.0
"""Minimum noise in dB relative to the whole."""
CERTAIN_DB = 8.0
"""Decibels above `MIN_NOISE_DB` from which noise is certain: then bands are trusted in which it alone would not be."""
MIN_SPEECH_NOISE_DB = -50.0
"""Minimum noise in dB for speech, of which a mask removes little: clean voices have -53 and less."""
RATE, LOW_RATE, CALL_RATE = 48000, 32000, 20000
"""Training rate in Hz; rate below which a file is resampled to it, since its bands would differ; and rate below which
it is taken as speech or a call and not judged."""
MIN_SPEECHINESS, SURE_SPEECHINESS = 0.3, 0.8
"""Minimum `speechiness` of speech in which `genre` finds neither music nor a singer, and of any."""
SURE_MUSIC, SURE_VOICE, SURE_VOICE_WITHOUT_NOISE, SYLLABLES = 0.6, 0.8, (0.6, 0.75), 0.1
"""Certainty of music, and certainty of a voice from which it sings, in a file and in what DeepFilterNet leaves of it:
there with a `speechiness` below `SYLLABLES`, and from there on.
"""
LOUD_NOISE_DB, MOST_SYLLABLES = -24.0, 0.65
"""Noise in dB relative to the whole, of which `genre` may find a kind of music (rain is rock), and `speechiness` from
which what DeepFilterNet leaves of it is spoken though it is no speech for `genre`.
"""
NONE_FOUND = "no steady noise was found; -p floor=off denoises anyway"


class FloorListener(StretchListener):
    """Analyses stretches of a sound for the trust in the mask per band, and the removable noise."""

    def __init__(self, weights: dict[str, F32], mask: dict[str, F32], rate: int, frames: int | None) -> None:
        super().__init__(rate, frames, MOST)
        sizes = grid(rate, HOP)
        self._weights, self._mask = weights, mask
        self._size, self._hop = sizes.size, sizes.hop
        self._window = windows(sizes)[0]
        self._scale = 1.0 / float(np.square(self._window).sum())
        self._area = BandMeans().area
        self._taken, self._trusted, self._whole = np.zeros(COUNT), np.zeros((2, COUNT)), 0.0

    def take(self, sound: F32) -> bool:
        """Estimates the noise floor of a stretch."""
        count = (len(sound) - self._size) // self._hop + 1
        if count < ROWS_A_SECOND * HOPS:
            return False
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
        return True

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
    if values.get("mode") == "deepfilter":
        return FileHearing(told=None if usable(DEEPFILTER) else _listened(path).noise)
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
    steady = low or listener.found >= MIN_SPEECH_NOISE_DB
    loud = low or listener.found >= LOUD_NOISE_DB
    spoken = _is_speech(path, values, steady, loud)
    playable = "mode" not in values and not usable(DEEPFILTER)
    if spoken and steady and not playable:
        return FileHearing(rate=rate)
    if spoken is not False and playable:
        voice = _listened(path)
        certain = values.get("for") == "speech" or (voice.found and (spoken or _is_spoken(voice.sound, loud)))
        if certain and (steady or voice.noisy):
            said = "as speech, by DeepFilterNet"
            return FileHearing({"mode": "deepfilter"}, said=said, rate=rate, told=voice.noise)
    if low or listener.found >= MIN_NOISE_DB:
        return FileHearing(rate=rate, told=None if low else listener.trust)
    return FileHearing(as_it_is=True, said=NONE_FOUND)


def _listened(path: Path) -> SpeechListener:
    with stream_sound(path, rate=RATE) as (sound, blocks):
        listener = SpeechListener(None if sound.frames is None else sound.frames * RATE // sound.rate)
        for block in blocks:
            listener.feed(np.asarray(block, np.float32))
    listener.end()
    return listener


def _is_speech(path: Path, values: Mapping[str, Value], steady: bool = True, loud: bool = False) -> bool | None:
    """Whether a file is speech: by the parameter `for`, else by the analyses `character` and `genre`, if installed.

    None where that can be told without its noise only. `steady`: it has steady noise, which hides syllables; `loud`:
    so much that `genre` may be of it.
    """
    asked = values.get("for", "auto")
    if asked != "auto" or "character" not in analyses():
        return asked == "speech"
    speechiness = _found(path, "character").get("speechiness") or 0.0
    if "genre" not in analyses() or not (steady or speechiness >= MIN_SPEECHINESS):
        return bool(speechiness >= MIN_SPEECHINESS)
    heard = _found(path, "genre")
    sung = heard.get("content") == "voice" and heard["content_sure"] >= SURE_VOICE
    if heard.get("content") == "speech" or (speechiness >= SURE_SPEECHINESS and not sung):
        return True
    if heard.get("genre") not in (None, "unknown"):
        return False if heard["content_sure"] >= SURE_MUSIC and not loud else None
    return (speechiness >= MIN_SPEECHINESS and not sung and heard.get("content") != "music") or None


def _is_spoken(sound: F32, loud: bool = False) -> bool:
    """Whether a sound at `RATE` without its noise, `[n]`, is spoken and not sung; `loud`: it was in loud noise."""
    heard: dict[str, Any] = {}
    for analysis in ("character", "genre"):
        feed = AnalysisFeed(analysis, analyses()[analysis], RATE, 1)
        feed.take(sound[None])
        heard |= feed.end()[1] or {}
    speechiness = heard.get("speechiness") or 0.0
    most = SURE_VOICE_WITHOUT_NOISE[speechiness >= SYLLABLES]
    if loud and heard.get("content") == "music":
        return bool(speechiness >= MOST_SYLLABLES and heard["content_sure"] < SURE_MUSIC)
    return heard.get("content") == "speech" or (heard.get("content") == "voice" and heard["content_sure"] < most)


def _found(path: Path, analysis: str) -> Mapping[str, Any]:
    """Quantities of a file, none where the analysis finds nothing."""
    return analyse_file(bytes(path), [analysis])[analysis][1] or {}
