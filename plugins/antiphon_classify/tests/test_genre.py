"""The analysis `genre`: its features, its answers, and that what is no song has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from antiphon.api import UsageError
from antiphon.api.backends.analysis import LogMel, plain_result
from antiphon.api.backends.models import ModelError
from antiphon_classify.classifier import MEL
from antiphon_classify.genre import Genre
from antiphon_classify.labels import of_count, probabilities
from antiphon_classify.rhythm import FRAMES, LAGS, RhythmNetwork, features

RATE = MEL.rate


def run(mono: np.ndarray, block: int = 8192) -> Mapping[str, Any]:
    genre = Genre()
    going = genre.begin(RATE, 1)
    for start in range(0, len(mono), block):
        going.feed(mono[None, start : start + block].astype(np.float32))
    return plain_result("genre", genre, going.result())


def clicks(beat: float, seconds: float = 6.1) -> np.ndarray:
    sound = 0.02 * np.random.default_rng(1).standard_normal(round(seconds * RATE))
    for at in np.arange(0.0, seconds - 0.1, beat):
        first = round(at * RATE)
        sound[first : first + 500] += np.random.default_rng(2).standard_normal(500) * np.exp(-np.arange(500) / 100)
    return (0.2 * sound).astype(np.float32)


def test_a_short_sound_is_refused() -> None:
    with pytest.raises(UsageError, match=r"lasts 0\.4 s, and at least 0\.5 s are needed"):
        run(np.ones(round(0.4 * RATE), np.float32))
    assert len(run(clicks(0.5, 1.2))["genres"]) == 3


def test_noise_and_what_resembles_speech_are_unknown() -> None:
    rng = np.random.default_rng(3)
    time = np.arange(7 * RATE) / RATE
    # syllables of a gliding tone with formants, four a second, with pauses
    phase = 2 * np.pi * np.cumsum(120 + 25 * np.sin(2 * np.pi * 0.4 * time)) / RATE
    voice = sum(np.sin(n * phase) / (1 + ((n * 120 - 600) / 300) ** 2) for n in range(1, 24))
    speech = voice * np.clip(np.sin(2 * np.pi * (3.7 * time + 0.8 * np.sin(1.3 * time))), 0, 1) * (time % 2.3 < 1.7)
    for sound in (0.1 * rng.standard_normal(7 * RATE), 0.05 * speech + 0.001 * rng.standard_normal(7 * RATE)):
        found = run(sound)
        assert found["genre"] == "unknown"
        assert len(found["genres"]) == 3
    assert run(np.zeros(4 * RATE)) == {"genre": None, "genres": None}


def test_answers_are_in_order_and_no_more_than_certain() -> None:
    found = run(clicks(0.5, 3.2))
    shares = [share for _, share in found["genres"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1.0
    assert "other" not in [label for label, _ in found["genres"]]


def test_the_level_does_not_matter_and_blocks_neither() -> None:
    sound = clicks(0.47, 9.0)
    one, softer = run(sound), run(0.1 * sound, 777)
    assert [label for label, _ in one["genres"]] == [label for label, _ in softer["genres"]]
    np.testing.assert_allclose([p for _, p in one["genres"]], [p for _, p in softer["genres"]], atol=0.02)


def test_autocorrelations_have_the_beat() -> None:
    mel = LogMel(MEL).compute(clicks(22 * MEL.hop / RATE))[:FRAMES]
    found = features(mel[None])
    lags = found[0, : 8 * (LAGS - 1)].reshape(LAGS - 1, 8).mean(axis=1)
    assert 11 + int(np.argmax(lags[10:35])) == 22
    assert features(mel[None, :130]).shape == found.shape


def test_a_temperature_lowers_confidence_and_keeps_the_order() -> None:
    logits = np.array([[1.0, 3.0, 0.0], [2.0, 2.0, 0.0]], np.float32)
    cold, warm = probabilities(logits, 0.5), probabilities(logits, 2.0)
    assert cold.sum() == pytest.approx(1.0)
    assert cold.argmax() == warm.argmax() == 1
    assert cold.max() > warm.max()


def test_the_confidence_is_by_how_many_excerpts_are_joined() -> None:
    genre = Genre()
    details = dict(genre.details)
    labels = len(genre.labels)
    genre.__dict__["details"] = {**details, "temperatures": [2.0, 1.0, 0.5], "thresholds": [0.15, 0.9, 0.1]}
    one = np.zeros((1, labels), np.float32)
    one[0, 4] = 2.0
    answers = [genre.values(np.repeat(one, count, axis=0), one) for count in (1, 2, 3, 40)]
    by_hand = [1.0 / (1.0 + (labels - 1) * np.exp(-2.0 / each)) for each in (2.0, 1.0, 0.5, 0.5)]
    assert [answer["genres"][0][1] for answer in answers] == pytest.approx(by_hand)
    assert [answer["genre"] for answer in answers] == [
        "unknown" if share < least else genre.labels[4]
        for share, least in zip(by_hand, (0.15, 0.9, 0.1, 0.1), strict=True)
    ]
    assert answers[1]["genre"] == "unknown"
    assert answers[0]["genre"] == answers[2]["genre"] == "metal"


def test_what_ships_is_for_one_excerpt_and_more() -> None:
    details = Genre().details
    temperatures, thresholds = details["temperatures"], details["thresholds"]
    assert len(temperatures) == len(thresholds) == 5
    assert temperatures == sorted(temperatures, reverse=True)
    assert thresholds == sorted(thresholds)
    assert of_count(thresholds, 1) == thresholds[0]
    assert of_count(thresholds, 9) == thresholds[4]


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelError, match="not those of a classifier"):
        RhythmNetwork({"mean": np.zeros(5), "deviation": np.ones(5)}, "a test's")
