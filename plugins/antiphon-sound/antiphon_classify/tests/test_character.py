"""Measures of character follow what is made: drums or none, a beat or none, level, major or minor, roughness."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from antiphon_classify.character import (
    RATE,
    Character,
    FluxStream,
    PresenceStream,
    combine_presence,
    fluctuation_exponent,
    pulse_measures,
)

SECONDS = 8.0
QUANTITIES = {quantity.name for quantity in Character.quantities}


def character(mono: np.ndarray, block: int = 65536) -> Mapping[str, Any]:
    run = Character().begin(RATE, 1)
    for start in range(0, len(mono), block):
        run.feed(mono[None, start : start + block].astype(np.float32))
    return run.result()


def by_levels(mono: np.ndarray) -> float:
    """Speechiness of what is certainly a voice."""
    flux, presence = FluxStream(), PresenceStream()
    presence.feed(mono.astype(np.float32), flux.feed(mono.astype(np.float32)))
    return combine_presence(presence.measures(), 1.0)["speechiness"]


def clicks(times: np.ndarray) -> np.ndarray:
    """Noise that decays within 50 ms, at each of the times."""
    rng, out = np.random.default_rng(3), np.zeros(round(SECONDS * RATE) + RATE)
    for time in times:
        burst = rng.normal(size=RATE // 8) * np.exp(-np.arange(RATE // 8) / (0.02 * RATE))
        start = round(float(time) * RATE)
        out[start : start + len(burst)] += 0.2 * burst
    return out[: round(SECONDS * RATE)]


def chord(*semitones: float) -> np.ndarray:
    """Notes above C4 of six harmonics each, held."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    hertz = [261.63 * 2 ** (note / 12) * n for note in semitones for n in range(1, 7)]
    return sum(0.03 / (k % 6 + 1) * np.sin(2 * np.pi * f * time + k) for k, f in enumerate(hertz))


def beats(bpm: float) -> np.ndarray:
    return np.arange(0.2, SECONDS - 0.2, 60.0 / bpm)


def test_a_regular_beat_is_more_danceable_than_the_same_onsets_at_random() -> None:
    rng = np.random.default_rng(4)
    regular, random = character(clicks(beats(120))), character(clicks(np.sort(rng.uniform(0.2, SECONDS - 0.3, 15))))
    assert regular["danceability"] > random["danceability"] + 0.3
    assert regular["fluctuation"] < random["fluctuation"]


def test_a_held_chord_is_hardly_danceable() -> None:
    assert character(chord(0, 4, 7))["danceability"] < 0.3


@pytest.mark.parametrize("bpm", [92, 105, 121, 138])
def test_the_pulse_is_clear_in_its_range(bpm: float) -> None:
    stream = FluxStream()
    stream.feed(clicks(beats(bpm)).astype(np.float32))
    found = pulse_measures(stream.flux())
    assert found.clarity > 0.7
    assert found.rate == pytest.approx(bpm / 60, rel=0.12)


def test_louder_and_denser_is_more_energy_and_arousal() -> None:
    soft, loud = character(0.1 * clicks(beats(120))), character(clicks(beats(120)))
    dense = character(0.5 * clicks(beats(480)))
    assert soft["energy"] + 0.15 < loud["energy"]
    assert soft["arousal"] + 0.15 < loud["arousal"]
    assert dense["energy"] > character(0.5 * clicks(beats(60)))["energy"] + 0.15


def test_level_alone_does_not_change_valence() -> None:
    sound = chord(0, 4, 7)
    assert character(0.2 * sound)["valence"] == pytest.approx(character(sound)["valence"], abs=0.05)


@pytest.mark.parametrize("up", [0.0, 3.3])
def test_major_is_above_minor_in_every_key_and_tuning(up: float) -> None:
    major = np.concatenate([chord(up, 4 + up, 7 + up), chord(up + 5, up + 9, up + 12), chord(up + 7, up + 11, up + 14)])
    minor = np.concatenate([chord(up, 3 + up, 7 + up), chord(up + 5, up + 8, up + 12), chord(up + 7, up + 10, up + 14)])
    assert character(major)["valence"] > character(minor)["valence"] + 0.4


def test_semitones_are_rougher_than_octaves_and_rougher_is_more_arousal() -> None:
    rough, smooth = character(chord(0, 1, 2)), character(chord(0, 12))
    assert rough["arousal"] > smooth["arousal"] + 0.05


def test_blocks_of_any_size_give_the_same() -> None:
    sound = clicks(beats(100)) + chord(0, 4, 7)
    one, another = character(sound, 1 << 22), character(sound, 777)
    assert {name: pytest.approx(value, abs=1e-4) for name, value in one.items()} == another


def test_silence_and_what_is_too_short_have_no_character() -> None:
    assert character(np.zeros(5 * RATE)) == dict.fromkeys(QUANTITIES)
    assert character(clicks(beats(120))[: 2 * RATE]) == dict.fromkeys(QUANTITIES)
    assert set(character(clicks(beats(120))[: 3 * RATE])) == QUANTITIES


def test_the_exponent_is_that_of_known_processes() -> None:
    rng = np.random.default_rng(5)
    independent = rng.normal(size=6000)
    assert fluctuation_exponent(independent) == pytest.approx(0.5, abs=0.1)
    assert fluctuation_exponent(np.cumsum(independent)) == pytest.approx(1.5, abs=0.15)
    assert fluctuation_exponent(np.sin(2 * np.pi * np.arange(6000) / 50)) < 0.35
    assert fluctuation_exponent(np.zeros(6000)) is None
    assert fluctuation_exponent(np.ones(20)) is None


def test_room_treatment_and_syllables_are_measured() -> None:
    rng = np.random.default_rng(1)
    plain = clicks(beats(120)) + chord(0, 4, 7)
    found = character(plain)
    noisy = character(plain + 0.02 * rng.normal(size=len(plain)))
    assert noisy["liveness"] > found["liveness"] + 0.2
    assert character(np.tanh(20.0 * plain) / 5.0)["acousticness"] < found["acousticness"] - 0.2
    syllables = clicks(beats(300))
    assert by_levels(syllables) > by_levels(chord(0)) + 0.4
    assert character(syllables)["speechiness"] < 0.1, "drums, which change as syllables do"
    assert 0.0 <= found["instrumentalness"] <= 1.0
