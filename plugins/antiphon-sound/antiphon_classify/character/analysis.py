"""Energy, danceability, arousal, valence and other measures of a sound, each by an explicit formula.

They order sounds by what can be computed of them. What a listener feels is another matter: it depends on words, memory
and the listener.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from antiphon.api import Samples
from antiphon.api.backends.analysis import K_STATE, Analysis, AnalysisRun, Quantity, gated_loudness, k_sections, k_weigh
from antiphon.api.backends.models import ModelError
from antiphon_classify.character import pulse, tones
from antiphon_classify.character.pulse import FluxStream, PulseMeasures
from antiphon_classify.character.tones import PresenceMeasures, PresenceStream, ToneMeasures, ToneStream
from antiphon_classify.instruments import Instruments, InstrumentsRun

RATE = tones.RATE
MIN_SECONDS = 3.0
"""Minimum seconds of a sound with rhythm."""
_HOP = 0.1
_MOMENTARY = 4
"""Hops per block of integrated loudness, .4 s (ITU-R BS.1770-4)."""
_BLOCK = round(pulse.BLOCK * RATE)
LOUDNESS_RANGE = (-40.0, -6.0)
"""Loudness in LUFS mapped to 0 and 1."""
RATE_FULL, FLUX_FULL = 8.0, 0.035
"""Onsets per second, 16ths at 120 bpm, and mean flux of a loud drum loop, mapped to 1."""
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
        self._voice = _voice_run()
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
        exponent = pulse.exponent(np.concatenate(self._levels))
        voice = None if self._voice is None else self._voice.result()["voice"]
        sure = None if self._voice is None else self._voice.voice_probability()
        return {
            **combine_measures(gated_loudness(blocks), pulse.measures(self._flux.flux()), found, exponent),
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


def _voice_run() -> InstrumentsRun | None:
    """Voice detector; None without the weights."""
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
