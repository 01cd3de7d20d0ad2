"""File analysis before `denoise` is prepared: presence and amount of noise, kind of sound, and trust in masks.

In a sound with little noise, DeepFilterNet mistakes speech for noise. Sound removed in pauses is noise. If far more is
removed during speech, and the kept sound is louder, the network errs, and the excess is added back.

A network maps 100 values of a band (its features, and means over three bands below and above it, and over all) to 24,
12, and the trust in that band: the share of noise in the sound that the mask removes there. Four such networks are
used, each trained without a quarter of the music sources.

The mask for files is tried on stretches of the file, and a network estimates the share of noise in the removed sound.
It scales the reduction of any mode. A file in which almost nothing would be removed is passed unchanged, since masks,
gates and wavelets all mistake a dense mix for noise.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import F32, F64, FileHearing, Samples, Value
from antiphon.api.backends.analysis import AnalysisFeed, analyse_file, analyses, listening_mono
from antiphon.api.backends.files import stream_sound
from antiphon.api.backends.models import load_arrays, sigmoid, usable
from antiphon.api.backends.signal import grid, windows
from antiphon.api.jobs import spell_parameter
from antiphon_denoise import learned
from antiphon_denoise.bands import BINS, COUNT, HOP, BandMeans
from antiphon_denoise.deepfilter import BANDS, DEEPFILTER, HOP as NETWORK_HOP, MIN_SNR, DeepFilterNetwork, band_widths
from antiphon_denoise.gate.network import WeightLayout, installed_weights
from antiphon_denoise.learned import UNITS, file_mask, first_bins
from antiphon_denoise.learned.delayed import denoise_unit_powers
from antiphon_denoise.learned.file_mask import EmptyTop, FileNoise

STRETCH = 8.0
"""Length in seconds of an analysed stretch."""


class StretchListener(ABC):
    """Cuts up to `most` stretches out of a sound that arrives in blocks."""

    def __init__(self, rate: int, frames: int | None, most: int) -> None:
        self._length, self._most = round(STRETCH * rate), most
        self._every = max(self._length, (frames or 0) // most)
        self._parts: list[F32] = []
        self._at = self._heard = 0

    @abstractmethod
    def take(self, sound: F32) -> bool:
        """Analyses a stretch, `[n]`; returns False if it is too short."""

    def feed(self, block: F32) -> None:
        """Processes the next frames, `[channels, n]`."""
        while block.shape[1] and self._heard < self._most:
            place = self._at % self._every
            count = min(block.shape[1], (self._length if place < self._length else self._every) - place)
            if place < self._length:
                self._parts.append(block[:, :count].copy())
            self._at += count
            if place + count == self._length:
                self.end()
            block = block[:, count:]

    def end(self) -> None:
        """Analyses the last, incomplete stretch."""
        # as trained: in the power of two channels a wide mix is as even as noise
        sound = listening_mono(np.concatenate(self._parts, 1)) if self._parts else np.zeros(0, np.float32)
        self._parts.clear()
        self._heard += self.take(sound)


MOST_SPEECH = 3
"""Maximum number of analysed stretches."""
PAUSES = 0.1
"""Share of the frames that count as pauses: those with the lowest local signal-to-noise ratio."""
MARGIN = 8.0
"""Ratio of noise power to its mean in pauses up to which it is removed."""
OF_BAND_DB, OF_ALL_DB = (-2.0, 8.0), (9.0, 13.0)
"""Bounds in dB of kept over removed power, of a band and of all: below, removed sound is noise; above, no excess is."""
MIN_RATIO_DB, MIN_KEPT_DB = 2.0, -8.0
"""Minimum local ratio in dB of a tenth of the frames of speech, and minimum power of the voice relative to the whole.
Of music a tenth of the frames has mostly 2 dB or less.
"""
MIN_REMOVED_DB = -11.5
"""Minimum removed power relative to the whole for noise, if none is steady: clean voices have -12 to -31 dB, voices in
noise at 10 dB -11 to -7.
"""
SILENT = 1e-14


class SpeechListener(StretchListener):
    """Analyses stretches of a sound at 48 kHz; the results are available after `end`."""

    def __init__(self, frames: int | None) -> None:
        """Loads the network. `frames`: of the sound, if known. Raises ModelError: it is not installed."""
        super().__init__(DEEPFILTER.rate, frames, MOST_SPEECH)
        model, shape = DEEPFILTER, (DEEPFILTER.inputs, NETWORK_HOP)
        network = load_arrays(model.array_network, model.weights, model.folder, shape, (1, NETWORK_HOP))
        assert isinstance(network, DeepFilterNetwork)
        self._network = network
        self._network.least_kept = 0.0
        self._frames: list[tuple[float, F32, F32]] = []
        self._voices: list[F32] = []

    def take(self, sound: F32) -> bool:
        """Runs the network over a stretch."""
        network, voice = self._network, np.zeros_like(sound)
        network.start()
        x: Samples = np.zeros((2, NETWORK_HOP), np.float32)
        for at in range(0, len(sound) - NETWORK_HOP + 1, NETWORK_HOP):
            x[0] = sound[at : at + NETWORK_HOP]
            network.step(x, voice[None, at : at + NETWORK_HOP])
            # digital silence is neither voice nor a pause with noise
            if network.kept.any() or network.removed.any():
                self._frames.append((network.snr, network.kept, network.removed))
        self._voices.append(voice)
        return True

    @property
    def sound(self) -> F32:
        """Returns the denoised stretches, `[n]`."""
        return np.concatenate(self._voices)

    @property
    def found(self) -> bool:
        """Whether there is a voice, spoken or sung."""
        ratios, kept, removed = self._found
        share = 10.0 * np.log10((kept.sum() + SILENT) / (kept.sum() + removed.sum() + SILENT))
        return bool(np.quantile(ratios, 0.9) >= MIN_RATIO_DB and share >= MIN_KEPT_DB)

    @property
    def noisy(self) -> bool:
        """Whether more sound is removed than of a clean voice."""
        _, kept, removed = self._found
        share = 10.0 * np.log10((removed.sum() + SILENT) / (kept.sum() + removed.sum() + SILENT))
        return bool(share >= MIN_REMOVED_DB)

    @property
    def noise(self) -> F32:
        """Result of `noise_of` for the means of bands."""
        ratios, kept, removed = self._found
        return noise_of(ratios, kept, removed)

    @cached_property
    def _found(self) -> tuple[F64, F64, F64]:
        """Local ratios of the frames, and powers kept and removed in their bands; one silent frame if there is none."""
        frames = self._frames or [(MIN_SNR, np.zeros(BANDS, np.float32), np.zeros(BANDS, np.float32))]
        ratios, kept, removed = (np.array(part) for part in zip(*frames, strict=True))
        return ratios, kept * band_widths(), removed * band_widths()


def noise_of(ratios: F64, kept: F64, removed: F64) -> F32:
    """Mean power of a bin up to which each band is noise, and the certainty of it, 0 to 1: `[2, BANDS]`.

    Args:
        ratios: Local signal-to-noise ratios of frames in dB, `[frames]`.
        kept: Powers that the network keeps of each band, `[frames, BANDS]`.
        removed: Powers that it removes.
    """
    pauses = ratios <= np.quantile(ratios, PAUSES)
    voice, rest = kept.mean(0), removed.mean(0)
    certain = np.maximum(
        _relative_position(voice, rest, OF_BAND_DB), _relative_position(voice.sum(), rest.sum(), OF_ALL_DB)
    )
    return np.stack([MARGIN * removed[pauses].mean(0) / band_widths(), certain]).astype(np.float32)


def _relative_position(voice: F64 | float, rest: F64 | float, bounds: tuple[float, float]) -> F64:
    """Returns the position of a power ratio between two bounds in dB, 0 to 1."""
    ratio = 10.0 * np.log10((np.asarray(voice) + SILENT) / (np.asarray(rest) + SILENT))
    return np.asarray(np.clip((ratio - bounds[0]) / (bounds[1] - bounds[0]), 0.0, 1.0))


HOPS = 5
"""Number of hops per row."""
ROWS_A_SECOND = 25
"""Rows per second, the minimum for an estimate."""
FLOOR_ROW = 2
"""Place among a second's rows, from the quietest, of its floor."""
FEATURES = 25
REMOVED_GAIN = 0.3
"""Gain below which a unit counts as removed."""
QUIET = 1e-10
MIN_SHARE = 1e-4
NEPER = 10.0 / np.log(10.0)
"""Decibels per neper of power."""


def rows_of(log: F32, gain: F32) -> F32:
    """Converts log powers and mask gains of hops, `[T, UNITS]`, to rows `[T // HOPS, 6, COUNT]`."""
    power = np.exp(log)
    parts = (
        power,
        np.square(1.0 - gain) * power,
        np.square(gain) * power,
        log,
        gain,
        (gain < REMOVED_GAIN).astype(np.float32),
    )
    count = len(log) // HOPS
    means = [(part @ learned.mean())[: count * HOPS].reshape(count, HOPS, COUNT).mean(1) for part in parts]
    return np.stack(means, 1)


def describe(rows: F32) -> F32:
    """The features of each band, `[COUNT, FEATURES]`, of `ROWS_A_SECOND` rows or more."""
    powers = rows[:, :3].astype(np.float64)
    levels = 10.0 * np.log10(powers + QUIET)
    level, took, left = levels.swapaxes(0, 1)
    means = powers.mean(0)
    mean = 10.0 * np.log10(means + QUIET)
    whole = (10.0 * np.log10(powers.mean(2) + QUIET))[..., None].swapaxes(0, 1)
    flat = NEPER * rows[:, 3] - level
    low = level <= _quantile(level, 0.2)
    seconds = level[: len(level) // ROWS_A_SECOND * ROWS_A_SECOND].reshape(-1, ROWS_A_SECOND, COUNT)
    of_all = np.log10(powers[:, 1].sum() / (powers[:, 0].sum() + QUIET) + MIN_SHARE)
    made = [
        np.log10(means[1] / (means[0] + QUIET) + MIN_SHARE),
        np.log10(means[2] / (means[0] + QUIET) + MIN_SHARE),
        *(_beside(_quantile(level, share), mean[0]) for share in (0.05, 0.2, 0.5, 0.8)),
        *(_beside(_quantile(took, share), mean[1]) for share in (0.1, 0.3, 0.5, 0.8, 0.95)),
        flat.mean(0) / 3.0 + 1.0,
        (flat * low).sum(0) / low.sum(0) / 3.0 + 1.0,
        *(_together(took, other) for other in (left, whole[2], whole[1])),
        _together(level, level.mean(1, keepdims=True)),
        *(np.abs(np.diff(part, axis=0)).mean(0) / 4.0 for part in (took, level)),
        rows[:, 4].mean(0) - 0.5,
        rows[:, 4].std(0),
        rows[:, 5].mean(0) - 0.5,
        np.clip(seconds.min(1).std(0) / 4.0, 0.0, 4.0),
        np.clip((mean[0] - 10.0 * np.log10(means[0].mean() + QUIET)) / 20.0, -4.0, 2.0),
        np.full(COUNT, of_all),
    ]
    return np.stack(made, 1).astype(np.float32)


def _quantile(levels: F64, share: float) -> F64:
    return np.asarray(np.sort(levels, 0)[int(share * (len(levels) - 1))])


def _beside(level: F64, mean: F64) -> F64:
    return np.asarray(np.clip((level - mean) / 8.0, -5.0, 3.0))


def _together(one: F64, other: F64) -> F64:
    """Correlation of levels over time."""
    a, b = one - one.mean(0), other - other.mean(0)
    return np.asarray((a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0) + 1e-3))


MODEL = "denoise-floor"
EXPERTS = 4
VIEWS, BESIDE = 4, 3
HIDDEN, SECOND = 24, 12
LAYOUT: WeightLayout = (
    ("w0", (EXPERTS, VIEWS * FEATURES, HIDDEN)), ("b0", (EXPERTS, 1, HIDDEN)),
    ("w1", (EXPERTS, HIDDEN, SECOND)), ("b1", (EXPERTS, 1, SECOND)),
    ("w2", (EXPERTS, SECOND, 1)), ("b2", (EXPERTS, 1, 1)),
)  # fmt: skip


def context_features(features: F32) -> F32:
    """Network inputs `[…, COUNT, VIEWS * FEATURES]` of features `[…, COUNT, FEATURES]`."""
    seen = np.einsum("vcb,...bf->...cvf", _views(), features)
    return np.ascontiguousarray(seen.reshape(*features.shape[:-1], -1), np.float32)


@cache
def _views() -> F32:
    made = np.zeros((VIEWS, COUNT, COUNT), np.float32)
    for band in range(COUNT):
        below = range(max(0, band - BESIDE), band) or [0]
        above = range(band + 1, min(COUNT, band + 1 + BESIDE)) or [band]
        for view, some in enumerate(([band], below, above)):
            made[view, band, list(some)] = 1.0 / len(some)
    made[3] = 1.0 / COUNT
    return made


CONFIDENT = 1.0
"""Added to the logit of the trust if noise is certain."""
UNSTEADY, STEADY, DOUBT = 0.03, 0.1, 2.0
"""Ratio of the quietest fifth of the removed sound to its mean, up to which it is no noise floor, and from which it is:
barks, cries, a cock and a clock's ticks have 0 to .02, rain, engines and saws .1 to .5; and the deduction from a logit.
"""


def expert_logits(weights: dict[str, F32], features: F32) -> F32:
    """Returns the logits of each network, `[EXPERTS, COUNT]`, from features `[COUNT, FEATURES]`."""
    x = context_features(features)
    for layer in "01":
        x = np.tanh(x @ weights[f"w{layer}"] + weights[f"b{layer}"])
    return np.asarray((x @ weights["w2"] + weights["b2"])[..., 0], np.float32)


def estimate_trust(logits: F32, taken: F32) -> F32:
    """Returns the cautious and the confident trust of a stretch, `[2, COUNT]`.

    Cautious: the sum of the networks' mean and minimum logit, since they err differently on music that is new to all;
    and its minimum over the parts, since a phrase mistaken for noise seldom recurs. Confident: the means. If the
    removed sound is intermittent, such as barks or strokes, it is no noise floor: both are then equal, and lower.

    Args:
        logits: Logits of the parts of the stretch, `[parts, EXPERTS, COUNT]`.
        taken: Power that the mask removes from each band over time, `[rows, COUNT]`.
    """
    cautious = (logits.mean(1) + logits.min(1)).min(0)
    confident = 2.0 * logits.mean((0, 1)) + CONFIDENT
    noise = np.sort(taken @ sigmoid(confident))
    steady = (float(noise[len(noise) // 5]) / (float(noise.mean()) + QUIET) - UNSTEADY) / (STEADY - UNSTEADY)
    steady = min(1.0, max(0.0, steady))
    low = cautious - DOUBT * (1.0 - steady)
    return sigmoid(np.stack([low, low + steady * (confident - cautious)]))


@cache
def load_floor() -> dict[str, F32] | None:
    """Returns the weights of the noise-floor network, as `installed` does."""
    return installed_weights(MODEL, LAYOUT, "does not look for a noise floor, and may take dense music for noise")


log = logging.getLogger("antiphon.denoise")
MOST = 8
"""Maximum number of analysed stretches."""
MIN_NOISE_DB = -34.0
"""Minimum noise in dB relative to the whole."""
CERTAIN_DB = 8.0
"""Decibels above `MIN_NOISE_DB` from which noise is certain; bands are then trusted that would not be on their own."""
MAX_SWING_DB = 8.5
"""Maximum difference in dB between the quietest and the loudest fifth of the seconds' floors of a noise: rain, engines,
hiss and a fire have .3 to 6, what is taken for noise in finished records 11 to 21.
"""
MIN_ROW, AROUND = 1e-5, 2
"""Minimum power of a second's rows relative to the file's loudest, below which it is silence before or after the sound;
and seconds before and after one, by the loudest of which a fade is told.
"""
MIN_SPEECH_NOISE_DB = -50.0
"""Minimum noise in dB for speech, of which a mask removes little: clean voices have -53 and less."""
RATE, LOW_RATE, CALL_RATE = 48000, 32000, 20000
"""Training rate in Hz; rate below which a file is resampled to it, since its bands would differ; and rate below which
it counts as speech or a call and is not analysed."""
MIN_SPEECHINESS, SURE_SPEECHINESS = 0.3, 0.8
"""Minimum `speechiness` of speech: if `genre` finds neither music nor a singer, and in any case."""
LIKELY_MUSIC, SURE_MUSIC, SURE_VOICE, SURE_VOICE_WITHOUT_NOISE, SYLLABLES = 0.5, 0.6, 0.8, (0.6, 0.75), 0.1
"""Minimum certainty of music, without steady noise and with it, and minimum certainty of a singing voice: in a file,
and in the output of DeepFilterNet with a `speechiness` below `SYLLABLES` or above.
"""
LOUD_NOISE_DB, MOST_SYLLABLES = -24.0, 0.65
"""Noise in dB relative to the whole that `genre` may mistake for music (rain for rock), and `speechiness` from which
DeepFilterNet's output counts as speech even if `genre` finds none.
"""
NONE_FOUND = "no steady noise was found"


class FloorListener(StretchListener):
    """Analyses stretches of a sound for the trust in the mask per band, and the removable noise."""

    def __init__(self, weights: dict[str, F32], mask: dict[str, F32], rate: int, frames: int | None) -> None:
        super().__init__(rate, frames, MOST)
        sizes = grid(rate, HOP)
        self._weights, self._mask = weights, mask
        self._sizes, self._size, self._hop = sizes, sizes.size, sizes.hop
        self.top: EmptyTop | None = None
        self._window = windows(sizes)[0]
        self._scale = 1.0 / float(np.square(self._window).sum())
        self._area = BandMeans().area
        self._taken, self._trusted, self._whole = np.zeros(COUNT), np.zeros((2, COUNT)), 0.0
        self._seconds: list[F64] = []

    def take(self, sound: F32) -> bool:
        """Estimates the noise floor of a stretch."""
        count = (len(sound) - self._size) // self._hop + 1
        if count < ROWS_A_SECOND * HOPS:
            return False
        logs, first = np.empty((count, UNITS), np.float32), first_bins()
        for hop, out in enumerate(logs):
            spectrum = np.fft.rfft(sound[hop * self._hop :][: self._size] * self._window)[:BINS]
            power = ((spectrum.real**2 + spectrum.imag**2) * self._scale).astype(np.float32)
            denoise_unit_powers(power, first, UNITS, BINS, out)
        np.log(logs + QUIET, out=logs)
        top = file_mask.find_empty_top(logs)
        if top is not None:
            self.top = top if self.top is None or top.level < self.top.level else self.top
            noise = np.add.reduceat(top.noise(self._sizes)[:, :BINS], first, axis=1) / np.diff(np.append(first, BINS))
            logs = np.log(np.exp(logs) + np.resize(noise, logs.shape)).astype(np.float32)
        rows = rows_of(logs, file_mask.compute_file_gains(self._mask, logs, None))
        halves = np.array_split(rows, 2) if len(rows) >= 2 * ROWS_A_SECOND else [rows]
        powers = rows[:, :2] * self._area
        trusts = estimate_trust(
            np.stack([expert_logits(self._weights, describe(half)) for half in halves]), powers[:, 1]
        )
        seconds = powers[: len(rows) // ROWS_A_SECOND * ROWS_A_SECOND].reshape(-1, ROWS_A_SECOND, 2, COUNT)
        whole, noise = np.sort(seconds[:, :, 0].sum(2), 1), np.sort(seconds[:, :, 1] @ np.square(trusts[1]), 1)
        self._seconds += list(np.stack([whole[:, 0], whole[:, -1], whole.mean(1), noise[:, FLOOR_ROW]], 1))
        power, taken = powers.sum(0)
        self._taken += taken
        self._trusted += trusts * taken
        self._whole += float(power.sum())
        return True

    @property
    def trust(self) -> F32:
        """Trust in each band, 0 to 1: cautious where noise may be music, confident where it is certain."""
        cautious, confident = self._band_trusts
        certain = np.clip((self.removable_noise - MIN_NOISE_DB) / CERTAIN_DB, 0.0, 1.0)
        return np.asarray(cautious + certain * (confident - cautious), np.float32)

    @property
    def _band_trusts(self) -> F32:
        return np.asarray(self._trusted / (self._taken + QUIET), np.float32)

    @property
    def steady(self) -> bool:
        """Whether the removable noise goes on, at much the same level in most seconds, or fades with the whole."""
        lowest, highest, level, noise = np.array(self._seconds or [np.zeros(4)]).T
        heard = lowest > max(QUIET, MIN_ROW * float(highest.max()))  # silence has no floor
        if not heard.any():
            return True
        floors, levels = (10.0 * np.log10(power[heard] + QUIET) for power in (noise, level))
        around = np.lib.stride_tricks.sliding_window_view(np.pad(levels, AROUND, "edge"), 2 * AROUND + 1).max(1)
        low, high = np.quantile([floors, floors - around], (0.2, 0.8), axis=1)
        return bool((high - low).min() <= MAX_SWING_DB)

    @property
    def removable_noise(self) -> float:
        """Removable noise in dB relative to the whole; -120 for a silent or too short sound."""
        if not self._whole:
            return -120.0
        return float(10.0 * np.log10((self._band_trusts[0] ** 2 @ self._taken + QUIET) / (self._whole + QUIET)))


def hear(path: Path, values: Mapping[str, Value], fired: Collection[str]) -> FileHearing:
    """Analyses the noise of a file before playback, as `FileUse.hears` of `denoise`."""
    if values.get("causal"):
        return FileHearing()
    if values.get("mode") == "deepfilter":
        return FileHearing(told=None if usable(DEEPFILTER) else _listened(path).noise)
    with stream_sound(path) as (sound, _):
        rate, low = RATE if sound.rate < LOW_RATE else 0, sound.rate < CALL_RATE
    weights, mask = load_floor(), file_mask.load()
    if weights is None or mask is None:
        return FileHearing(rate=rate)
    with stream_sound(path, rate=rate or None) as (sound, blocks):
        length = None if sound.frames is None else sound.frames * (rate or sound.rate) // sound.rate
        listener = FloorListener(weights, mask, rate or sound.rate, length)
        for block in blocks:
            listener.feed(np.asarray(block, np.float32))
    listener.end()
    noise = FileNoise(None if low else listener.trust, listener.top)
    if not values.get("floor", True) or "learn" in fired:
        return FileHearing(rate=rate, told=replace(noise, trust=None))
    goes_on = values.get("for") == "speech" or listener.steady  # what is said is not asked
    steady = low or (goes_on and listener.removable_noise >= MIN_SPEECH_NOISE_DB)
    loud = low or listener.removable_noise >= LOUD_NOISE_DB
    spoken = _is_speech(path, values, steady, loud)
    playable = "mode" not in values and not usable(DEEPFILTER)
    if spoken and steady and not playable:
        return FileHearing(rate=rate, told=replace(noise, trust=None))
    if spoken is not False and playable:
        voice = _listened(path)
        certain = values.get("for") == "speech" or (voice.found and (spoken or _is_spoken(voice.sound, loud)))
        if certain and (steady or voice.noisy):
            said = "as speech, by DeepFilterNet"
            return FileHearing({"mode": "deepfilter"}, said=said, rate=rate, told=voice.noise)
    if low or (listener.steady and listener.removable_noise >= MIN_NOISE_DB):
        return FileHearing(rate=rate, told=noise)
    return FileHearing(as_it_is=True, said=f"{NONE_FOUND}; {spell_parameter('floor', 'off')} denoises anyway")


def _listened(path: Path) -> SpeechListener:
    with stream_sound(path, rate=RATE) as (sound, blocks):
        listener = SpeechListener(None if sound.frames is None else sound.frames * RATE // sound.rate)
        for block in blocks:
            listener.feed(np.asarray(block, np.float32))
    listener.end()
    return listener


def _is_speech(path: Path, values: Mapping[str, Value], steady: bool = True, loud: bool = False) -> bool | None:
    """Whether a file is speech: by the parameter `for`, else by the analyses `character` and `genre`, if installed.

    None if that can only be decided after denoising. `steady`: the file has steady noise, which hides syllables;
    `loud`: so much that `genre` may come from the noise.
    """
    asked = values.get("for", "auto")
    if asked != "auto" or "character" not in analyses():
        return asked == "speech"
    speechiness = _found(path, "character").get("speechiness") or 0.0
    if not (steady or speechiness >= MIN_SPEECHINESS) or "genre" not in analyses():
        return bool(speechiness >= MIN_SPEECHINESS)
    heard = _found(path, "genre")
    sung = heard.get("content") == "voice" and heard["content_sure"] >= SURE_VOICE
    if not steady and heard.get("content") == "music" and heard["content_sure"] >= LIKELY_MUSIC:
        return False  # what sounds with the syllables is their beat
    if heard.get("content") == "speech" or (speechiness >= SURE_SPEECHINESS and not sung):
        return True
    if heard.get("genre") not in (None, "unknown"):
        return False if heard["content_sure"] >= SURE_MUSIC and not loud else None
    return (speechiness >= MIN_SPEECHINESS and not sung and heard.get("content") != "music") or None


def _is_spoken(sound: F32, loud: bool = False) -> bool:
    """Whether a denoised sound at `RATE`, `[n]`, is spoken and not sung; `loud`: the noise was loud."""
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
    """Returns the quantities of a file; none if the analysis fails."""
    return analyse_file(bytes(path), [analysis])[analysis][1] or {}
