"""Energy, danceability, arousal, valence and other measures of a sound, each by an explicit formula without a network.

They order sounds by computable properties. A listener's feelings also depend on words, memory and the listener.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, Samples, note_number
from antiphon.api.backends.analysis import K_STATE, Analysis, AnalysisRun, MelSettings, Quantity, k_sections, k_weigh
from antiphon.api.backends.models import ModelError
from antiphon.api.backends.signal import KEY_PROFILES, hann
from antiphon.signal.loudness import gated_loudness
from antiphon.signal.mel import LogMelStream
from antiphon_classify.instruments import Instruments, InstrumentsRun

BLOCK = 0.01
"""Length in seconds of blocks for the standard deviation."""
SHORTEST, LONGEST, FACTOR = 0.31, 8.8, 1.1
"""Shortest and longest span in seconds, and the ratio of successive spans."""


def fluctuation_exponent(levels: NDArray[np.floating]) -> float | None:
    """Returns the mean scaling exponent over spans that the sound contains at least twice.

    It is about .5 for independent levels (the standard deviation of each `BLOCK`), 1.5 for levels that drift, less than
    .5 for a repeating beat. None for a sound that is too short or does not fluctuate.
    """
    walk = np.cumsum(np.asarray(levels, np.float64) - np.mean(levels)) if len(levels) else np.zeros(0)
    spans, fluctuations = [], []
    span = SHORTEST / BLOCK
    while span <= LONGEST / BLOCK and 2 * int(span) <= len(walk):
        spans.append(int(span))
        fluctuations.append(_fluctuation(walk, int(span)))
        span *= FACTOR
    if len(spans) < 2 or min(fluctuations) <= 1e-12:
        return None
    size = np.array(spans) + 3.0
    slopes = np.diff(np.log(fluctuations)) / np.diff(np.log(size))
    return float(slopes.mean())


def _fluctuation(walk: F64, span: int) -> float:
    """RMS deviation from the linear trend, over spans."""
    rows = walk[: len(walk) // span * span].reshape(-1, span)
    time = np.arange(span) - (span - 1) / 2.0
    even = rows - rows.mean(axis=1, keepdims=True)
    slope = even @ time / (time @ time)
    return float(np.sqrt(((even - slope[:, None] * time) ** 2).sum(axis=1).mean() / (span - 1)))


SETTINGS = MelSettings(hop=256, bands=40)
FRAMES_PER_SECOND = SETTINGS.rate / SETTINGS.hop
TEMPI = (90.0, 140.0)
"""Range of pulse tempos in bpm, typical of dance music (van Noorden and Moelants 1999, about 120)."""
_LAG = 2
"""Frame distance of the flux, 23 ms: an attack spreads over two."""
_COMPRESSION = 100.0
_MEAN_FRAMES = 86
"""Window in frames, 1 s, of the subtracted mean flux."""
_MIN_ONSET_DISTANCE = 3
"""Minimum half-distance in frames, 35 ms, between onsets."""
_RISE_WINDOW, _STEP = 1034, 517
"""Window and hop in frames of the autocorrelation, 12 s: a tempo may drift."""
_MULTIPLES = (1.0, 2.0, 4.0)
"""Multiples of the pulse period included in the autocorrelation."""


@dataclass(frozen=True, slots=True)
class PulseMeasures:
    """Measures of a sound's onsets."""

    flux: float
    rate: float  # onsets a second
    clarity: float  # autocorrelation at the best pulse of `TEMPI` and its multiples, the mean over windows, 0 to 1
    contrast: float  # mean of the strongest tenth of the flux over its mean, 1 for a steady one to 10


class FluxStream:
    """Streaming spectral flux, four bytes a frame: 1.2 MB an hour."""

    def __init__(self) -> None:
        self._mel = LogMelStream(SETTINGS)
        self._last = np.zeros((0, SETTINGS.bands), np.float32)
        self._rows: list[F32] = []

    def feed(self, mono: F32) -> F32:
        """Processes the next samples at `SETTINGS.rate`; returns the completed frames, `[n, bands]` in dB."""
        mel = self._mel.push(mono)
        if not len(mel):
            return mel
        level = np.log1p(
            np.float32(4.0 * _COMPRESSION / SETTINGS.window) * np.exp(mel * np.float32(np.log(10.0) / 20.0))
        )
        level = np.concatenate([self._last, level])
        if len(level) > _LAG:
            before = level[:-_LAG]
            # the maximum of neighbouring bands: vibrato moves energy between them and is no onset
            wide = before.copy()
            np.maximum(wide[:, 1:], before[:, :-1], out=wide[:, 1:])
            np.maximum(wide[:, :-1], before[:, 1:], out=wide[:, :-1])
            self._rows.append(np.maximum(0.0, level[_LAG:] - wide).mean(axis=1))
        self._last = level[-_LAG:]
        return mel

    def flux(self) -> F64:
        """Spectral flux of all samples fed so far, `[n]`."""
        return np.concatenate(self._rows).astype(np.float64) if self._rows else np.zeros(0)


def pulse_measures(flux: F64) -> PulseMeasures:
    """Measures of onsets from a spectral flux `[n]` of at least two frames."""
    mean = float(flux.mean())
    above = np.maximum(0.0, flux - _moving_mean(flux, _MEAN_FRAMES))
    top = np.sort(flux)[-max(1, len(flux) // 10) :]
    parts = [above[first : first + _RISE_WINDOW] for first in range(0, max(1, len(above) - _STEP), _STEP)]
    clear = [_clarity(part) for part in parts]
    return PulseMeasures(
        mean,
        _onsets(flux) / (len(flux) / FRAMES_PER_SECOND),
        float(np.mean(clear)),
        float(top.mean()) / mean if mean > 1e-9 else 1.0,
    )


def _onsets(flux: F64) -> int:
    padded = np.pad(flux, _MIN_ONSET_DISTANCE)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * _MIN_ONSET_DISTANCE + 1).max(axis=1)
    least = 1.5 * _moving_mean(flux, _MEAN_FRAMES) + 0.01
    # of equal ones the first
    first = np.diff(flux, prepend=-1.0) > 0.0
    return int(((flux >= highest) & (flux > least) & first).sum())


def _clarity(part: F64) -> float:
    window = np.hanning(7)[1:-1]
    even = np.convolve(part, window / window.sum(), "same")
    even = even - even.mean()
    count = len(even)
    size = 1 << (2 * count - 1).bit_length()
    power = np.abs(np.fft.rfft(even, size)) ** 2
    correlation = np.fft.irfft(power, size)[:count]
    if correlation[0] <= 1e-9:
        return 0.0
    places = np.arange(count)
    correlation = correlation / correlation[0] * count / np.maximum(1, count - places)
    periods = 60.0 * FRAMES_PER_SECOND / np.linspace(TEMPI[1], TEMPI[0], 101)
    # half of the window is the longest lag: beyond, too little is compared
    rows = [np.interp(times * periods, places, correlation) for times in _MULTIPLES if times * periods[-1] <= count / 2]
    if not rows:
        return 0.0
    return float(np.clip(np.mean(rows, axis=0).max(), 0.0, 1.0))


def _moving_mean(row: F64, width: int) -> F64:
    total = np.concatenate([[0.0], np.cumsum(row)])
    places = np.arange(len(row))
    first, last = np.maximum(0, places - width // 2), np.minimum(len(row), places + width // 2 + 1)
    return np.asarray((total[last] - total[first]) / (last - first))


_WINDOW = 172
"""Window in frames, 2 s, for pauses and syllables."""
_SPEECH, _NOISY, _TOP = slice(6, 28), slice(8, 36), 34
"""Bands of speech, bands for the flatness, and the first band above 5 kHz."""
_PAUSE, _DEEPEST = 0.25, 35.0
"""Threshold of a pause relative to the mean power; range in dB below the loudest frame."""
_SYLLABLES, _CHANGES = (3.0, 8.0), (0.4, 25.0)
"""Modulation band in Hz of syllables, and the reference band (Scheirer and Slaney 1997: about 4 Hz)."""
_ROOM_FRAMES = 10
"""Number of frames whose quietest one estimates the room noise."""


@dataclass(frozen=True, slots=True)
class PresenceMeasures:
    """Measures of a sound's levels."""

    pauses: float  # share of frames below a quarter of the mean power of their 2 s
    syllables: float  # share of the changes of level that are at 3 to 8 Hz
    floor: float  # dB of the level that a tenth of the frames stay below, beside the mean
    floor_flatness: float  # spectral flatness of that tenth, 0 for a tone to 1 for noise
    crest: float  # dB, of the highest sample beside the mean
    top: float  # dB of what is above 5 kHz, beside all


class PresenceStream:
    """Streaming `PresenceMeasures`, eight bytes a frame: 2.4 MB an hour."""

    def __init__(self) -> None:
        self._held: F64 = np.zeros((0, 0))
        self._windows: list[tuple[float, float]] = []
        self._powers: list[F32] = []
        self._flatness: list[F32] = []
        self._top = self._square = self._peak = 0.0
        self._samples = 0

    def feed(self, mono: F32, mel: F32) -> None:
        """Processes the next samples, and the next frames, `[n, bands]` in dB."""
        self._samples += len(mono)
        self._square += float(np.square(mono, dtype=np.float64).sum())
        self._peak = max(self._peak, float(np.abs(mono).max(initial=0.0)))
        if not len(mel):
            return
        power = 10.0 ** (mel.astype(np.float64) / 10.0)
        noisy = power[:, _NOISY] + 1e-12
        self._powers.append(power.sum(axis=1).astype(np.float32))
        self._flatness.append((np.exp(np.log(noisy).mean(axis=1)) / noisy.mean(axis=1)).astype(np.float32))
        self._top += float(power[:, _TOP:].sum())
        speech = np.concatenate([self._held.ravel(), power[:, _SPEECH].sum(axis=1)])
        while len(speech) >= _WINDOW:
            self._windows.append(_window(speech[:_WINDOW]))
            speech = speech[_WINDOW:]
        self._held = speech

    def measures(self) -> PresenceMeasures | None:
        """Measures of the fed sound; None for less than 2 s, and for silence."""
        if not self._windows or self._peak <= 0.0:
            return None
        power, flatness = np.concatenate(self._powers).astype(np.float64), np.concatenate(self._flatness)
        quiet = np.argsort(power, kind="stable")[: max(1, len(power) // _ROOM_FRAMES)]
        pauses, syllables = np.mean(self._windows, axis=0)
        mean = power.mean() + 1e-12
        return PresenceMeasures(
            float(pauses),
            float(syllables),
            _decibels(float(np.quantile(power, 1.0 / _ROOM_FRAMES)) / mean),
            float(flatness[quiet].mean()),
            _decibels(self._peak**2 * self._samples / (self._square + 1e-12)),
            _decibels(self._top / (mean * len(power))),
        )


def _window(power: F64) -> tuple[float, float]:
    level = 10.0 * np.log10(power + 1e-10)
    level = np.maximum(level, level.max() - _DEEPEST)
    changes = np.abs(np.fft.rfft((level - level.mean()) * np.hanning(len(level)))) ** 2
    hertz = np.fft.rfftfreq(len(level), 1.0 / FRAMES_PER_SECOND)
    within = [float(changes[(hertz >= low) & (hertz < high)].sum()) for low, high in (_SYLLABLES, _CHANGES)]
    return float((power < _PAUSE * power.mean()).mean()), within[0] / (within[1] + 1e-9)


def _decibels(ratio: float) -> float:
    return float(10.0 * np.log10(ratio + 1e-9))


RATE, SIZE, HOP = 22050, 8192, 4096
_BATCH_SIZE = 64
"""Spectra per batch, which bounds the memory."""
_PEAKS = 12
"""Number of strongest peaks per spectrum."""
_BINS_PER_SEMITONE = 10
"""Bins per semitone of the tuning estimate."""
_HIGHEST = 1000.0
"""Maximum frequency in Hz of peaks for the mode: above are mostly harmonics, of which the fifth is a major third."""
_LOWEST = 60.0
_SILENT = 1e-4
"""Minimum RMS of a window, -80 dB."""


@dataclass(frozen=True, slots=True)
class ToneMeasures:
    """Measures of a sound's spectra.

    `mode`: correlation of the best major key minus that of the best minor key; 0 if nothing has a pitch.
    """

    brightness: float  # Hz, the mean of the logarithm of the spectral centroid
    roughness: float  # pairs of neighbouring partials that beat, weighted by amplitude; 0 for none
    mode: float


class ToneStream:
    """Streaming `ToneMeasures`, in constant memory."""

    def __init__(self) -> None:
        self._window = hann(SIZE)
        self._hertz = np.fft.rfftfreq(SIZE, 1.0 / RATE)
        self._held = np.zeros(0, np.float32)
        self._bright = self._rough = 0.0
        self._count = 0
        self._places = np.zeros(12 * _BINS_PER_SEMITONE)

    def feed(self, mono: F32) -> None:
        """Processes the next samples at `RATE`."""
        held = np.concatenate([self._held, mono])
        count = max(0, (len(held) - SIZE) // HOP + 1)
        if count:
            frames = np.lib.stride_tricks.sliding_window_view(held, SIZE)[::HOP][:count]
            for first in range(0, count, _BATCH_SIZE):
                self._take(frames[first : first + _BATCH_SIZE])
        self._held = held[count * HOP :].copy()

    def measures(self) -> ToneMeasures | None:
        """Measures of the fed sound; None for silence."""
        if not self._count:
            return None
        bright, rough = self._bright / self._count, self._rough / self._count
        return ToneMeasures(float(np.exp(bright)), rough, _mode(self._places))

    def _take(self, frames: F32) -> None:
        frames = frames[np.sqrt((frames**2).mean(axis=1)) > _SILENT]
        if not len(frames):
            return
        spectra = np.abs(np.fft.rfft(frames * self._window, axis=1)).astype(np.float64) / (SIZE / 4)
        self._count += len(spectra)
        centroid = spectra @ self._hertz / (spectra.sum(axis=1) + 1e-12)
        self._bright += float(np.log(np.maximum(centroid, 1.0)).sum())
        hertz, level = _peaks(spectra)
        self._rough += float(_roughness(hertz, level).sum())
        low = (hertz > _LOWEST) & (hertz < _HIGHEST) & (level > 0.0)
        if low.any():
            share = np.sqrt(level[low] / level.max())
            pitch = note_number(hertz[low])
            place = np.round(pitch * _BINS_PER_SEMITONE).astype(int) % len(self._places)
            self._places += np.bincount(place, share, len(self._places))


def _peaks(spectra: F64) -> tuple[F64, F64]:
    """Frequencies and amplitudes of the strongest peaks, `[n, _PEAKS]`, padded with amplitude 0."""
    middle = spectra[:, 1:-1]
    top = (middle > spectra[:, :-2]) & (middle >= spectra[:, 2:])
    level = np.where(top & (middle > 0.02 * spectra.max(axis=1, keepdims=True)), middle, 0.0)
    at = np.argpartition(level, -_PEAKS, axis=1)[:, -_PEAKS:]
    rows = np.arange(len(spectra))[:, None]
    before, here, after = (np.log(spectra[rows, at + n] + 1e-12) for n in range(3))
    beside = 0.5 * (before - after) / np.minimum(before - 2.0 * here + after, -1e-9)
    return (at + 1 + np.clip(beside, -0.5, 0.5)) * RATE / SIZE, level[rows, at]


def _roughness(hertz: F64, level: F64) -> F64:
    """Plomp and Levelt's curve of dissonance in Sethares's form (1993), over all pairs, by the partials' energy."""
    low = np.minimum(hertz[:, :, None], hertz[:, None])
    apart = np.abs(hertz[:, :, None] - hertz[:, None]) * 0.24 / (0.0207 * low + 18.96)
    curve = np.exp(-3.51 * apart) - np.exp(-5.75 * apart)
    pairs = level[:, :, None] * level[:, None] * curve
    return np.asarray(pairs.sum(axis=(1, 2)) / 2.0 / ((level**2).sum(axis=1) + 1e-12))


def _mode(places: F64) -> float:
    if not places.any():
        return 0.0
    # how far the peaks lie from the tempered scale at 440 Hz, -0.5 to 0.5 semitones
    turn = np.angle((places * np.exp(2j * np.pi * np.arange(len(places)) / _BINS_PER_SEMITONE)).sum()) / (2.0 * np.pi)
    pitch = (np.arange(len(places)) / _BINS_PER_SEMITONE - turn).round().astype(int) % 12
    classes = np.bincount(pitch, places, 12)
    if classes.std() < 1e-9:
        return 0.0
    fits = [float(np.corrcoef(profile, classes)[0, 1]) for profile in KEY_PROFILES]
    return max(fits[:12]) - max(fits[12:])


MIN_SECONDS = 3.0
"""Minimum seconds of a sound with rhythm."""
_HOP = 0.1
_MOMENTARY = 4
"""Hops per block of integrated loudness, .4 s (ITU-R BS.1770-4)."""
_BLOCK = round(BLOCK * RATE)
LOUDNESS_RANGE = (-40.0, -6.0)
"""Loudness in LUFS mapped to 0 and 1."""
RATE_FULL, FLUX_FULL = 8.0, 0.035
"""Values mapped to 1: onsets per second (16ths at 120 bpm), and mean flux (a loud drum loop)."""
BRIGHTNESS_RANGE = (300.0, 4000.0)
"""Frequencies in Hz mapped to 0 and 1, on a logarithmic scale."""
ROUGH_FULL = 0.25
MODE_FULL = 0.15
"""Roughness, and difference of the correlations with a major and a minor key, mapped to 1."""
CLARITY_RANGE, CONTRAST_RANGE, EXPONENT_RANGE = (0.05, 0.65), (3.0, 7.0), (1.0, 0.2)
"""Values of pulse clarity, flux contrast and fluctuation exponent mapped to 0 and 1."""
PAUSE_RANGE, SYLLABLE_RANGE = (0.2, 0.6), (0.2, 0.5)
FLOOR_RANGE, FLATNESS_RANGE = (-25.0, -8.0), (0.3, 0.7)
CREST_RANGE, TOP_RANGE = (10.0, 20.0), (-20.0, -40.0)
"""Values of `PresenceMeasures` mapped to 0 and 1."""


class Character(Analysis):
    """Character analysis by level, onsets, and spectral peaks; two quantities also by the network of `instruments`."""

    version = 3
    quantities = (
        Quantity(
            "energy", "number", "",
            "0 to 1, a measure of signal: half K-weighted loudness, a quarter each spectral flux and onsets a second.",
        ),
        Quantity(
            "danceability", "number", "",
            "0 to 1, a measure of beat: how regularly onsets repeat at 90 to 140 bpm, how far they stand out, and how "
            "little the level wanders besides; whether anyone dances is not measured.",
        ),
        Quantity(
            "fluctuation", "number", "",
            "Scaling exponent of the level, 0.31 to 8.8 s (Streich and Herrera 2005): less where a beat repeats.",
        ),
        Quantity(
            "arousal", "number", "",
            "-1 to 1, a measure of loudness, onsets a second, brightness and roughness; not what a listener feels.",
        ),
        Quantity(
            "valence", "number", "",
            "-1 to 1, a measure of mode (major over minor), onsets a second and smoothness; not what a listener feels.",
        ),
        Quantity(
            "liveness", "number", "",
            "0 to 1, a measure of room: how loud and how noise-like the quietest tenth is, as applause and a hall's "
            "noise are; whether anyone was there is not measured.",
        ),
        Quantity(
            "acousticness", "number", "",
            "0 to 1, a measure of treatment: half crest factor, half how little there is above 5 kHz; not what was "
            "played.",
        ),
        Quantity(
            "speechiness", "number", "",
            "0 to 1, a measure of level: how much of it pauses, and how far it changes 3 to 8 times a second, as "
            "syllables do; times the probability of a voice by the network of `instruments`.",
        ),
        Quantity(
            "instrumentalness", "number", "",
            "0 to 1: the share of 3 s excerpts in which the network of `instruments` finds no voice, sung or spoken.",
        ),
    )  # fmt: skip
    rate = RATE
    channels = 1

    def begin(self, rate: int, channels: int) -> CharacterRun:
        return CharacterRun()


class CharacterRun(AnalysisRun):
    """Stores flux, block levels and energies: 3 MB an hour."""

    def __init__(self) -> None:
        self._flux, self._tones, self._presence = FluxStream(), ToneStream(), PresenceStream()
        self._voice = _start_voice_run()
        self._sections, self._state = k_sections(RATE), np.zeros(K_STATE)
        self._rest, self._power = np.zeros(0, np.float32), np.zeros(0)
        self._levels: list[Samples] = []
        self._energies: list[Samples] = []
        self._samples = 0

    def feed(self, block: Samples) -> None:
        mono = np.ascontiguousarray(block[0], np.float32)
        self._samples += len(mono)
        self._presence.feed(mono, self._flux.feed(mono))
        self._tones.feed(mono)
        if self._voice is not None:
            self._voice.feed(mono[None])
        held = np.concatenate([self._rest, mono])
        whole = len(held) // _BLOCK * _BLOCK
        self._levels.append(held[:whole].reshape(-1, _BLOCK).std(axis=1))
        self._rest = held[whole:].copy()
        power = np.zeros(len(mono))
        k_weigh(mono, power, len(mono), self._sections, self._state, 1.0)
        power = np.concatenate([self._power, power])
        hop = round(_HOP * RATE)
        whole = len(power) // hop * hop
        self._energies.append(power[:whole].reshape(-1, hop).mean(axis=1).astype(np.float32))
        self._power = power[whole:].copy()

    def result(self) -> Mapping[str, Any]:
        found = self._tones.measures()
        if found is None or self._samples < MIN_SECONDS * RATE:
            return {quantity.name: None for quantity in Character.quantities}
        energies = np.concatenate(self._energies).astype(np.float64)
        blocks = np.convolve(energies, np.full(_MOMENTARY, 1.0 / _MOMENTARY), "valid")
        exponent = fluctuation_exponent(np.concatenate(self._levels))
        voice = None if self._voice is None else self._voice.result()["voice"]
        sure = None if self._voice is None else self._voice.voice_probability()
        return {
            **combine_measures(gated_loudness(blocks), pulse_measures(self._flux.flux()), found, exponent),
            **combine_presence(self._presence.measures(), 1.0 if sure is None else sure),
            "instrumentalness": None if voice is None else 1.0 - voice,
        }


def combine_measures(
    loudness: float, onsets: PulseMeasures, sound: ToneMeasures, exponent: float | None
) -> dict[str, Any]:
    """Quantities of a sound by its measures: LUFS, its flux and spectra; `exponent` None omits that."""
    loud = _share(loudness, *LOUDNESS_RANGE)
    rate, flux = _share(onsets.rate, 0.0, RATE_FULL), _share(onsets.flux, 0.0, FLUX_FULL)
    bright = _share(np.log(sound.brightness), *np.log(BRIGHTNESS_RANGE))
    rough = _share(sound.roughness, 0.0, ROUGH_FULL)
    mode = float(np.clip(sound.mode / MODE_FULL, -1.0, 1.0))
    beat = [_share(onsets.clarity, *CLARITY_RANGE), _share(onsets.contrast, *CONTRAST_RANGE)]
    wander = _share(exponent, *EXPONENT_RANGE) if exponent is not None else float(np.mean(beat))
    arousal = 0.4 * loud + 0.25 * rate + 0.2 * bright + 0.15 * rough
    return {
        "energy": 0.5 * loud + 0.25 * flux + 0.25 * rate,
        # a beat is one that is both regular and strong
        "danceability": 0.7 * float(np.sqrt(beat[0] * beat[1])) + 0.3 * wander,
        "fluctuation": exponent,
        "arousal": 2.0 * arousal - 1.0,
        "valence": 0.6 * mode + 0.25 * (2.0 * rate - 1.0) + 0.15 * (1.0 - 2.0 * rough),
    }


def _start_voice_run() -> InstrumentsRun | None:
    """Returns a run of the voice detector; None without its weights."""
    classifier = Instruments()
    try:
        return InstrumentsRun(classifier) if classifier.network is not None else None
    except ModelError:
        return None


def combine_presence(found: PresenceMeasures | None, voice: float) -> dict[str, Any]:
    """Quantities of a sound by its levels and voice probability; None of each without levels."""
    if found is None:
        return dict.fromkeys(("liveness", "acousticness", "speechiness"))
    speech = _share(found.pauses, *PAUSE_RANGE) * _share(found.syllables, *SYLLABLE_RANGE)
    return {
        "liveness": float(np.sqrt(_share(found.floor, *FLOOR_RANGE) * _share(found.floor_flatness, *FLATNESS_RANGE))),
        "acousticness": 0.5 * _share(found.crest, *CREST_RANGE) + 0.5 * _share(found.top, *TOP_RANGE),
        "speechiness": voice * float(np.sqrt(speech)),
    }


def _share(value: float, zero: float, one: float) -> float:
    return float(np.clip((value - zero) / (one - zero), 0.0, 1.0))
