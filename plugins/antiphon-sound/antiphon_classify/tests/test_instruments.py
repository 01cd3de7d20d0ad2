"""Families of instruments: what is above its threshold first, spans where they sound, a short sound refused."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pytest

from antiphon.api import UsageError
from antiphon.api.backends.analysis import plain_result
from antiphon.api.backends.models import ModelError, read_weights
from antiphon_classify.instruments import (
    EXCERPT,
    MEL,
    WEIGHTS,
    ClassifierNetwork,
    Instruments,
    InstrumentsRun,
    join_logits,
    rank_labels,
)
from antiphon_classify.musicnn import PatchStream

LABELS = ["low", "high", "voice"]
PART = EXCERPT * MEL.hop
"""Samples from one excerpt to the next."""


class BandNetwork:
    """A network whose labels are sounds below 500 Hz, above 3 kHz, and between: no weights are needed."""

    def logits(self, mel: np.ndarray) -> np.ndarray:
        energy = 10.0 ** (mel / 10.0)
        sums = np.stack([energy[..., a:b].sum(axis=(1, 2)) for a, b in ((0, 12), (38, 64), (16, 34))], axis=1)
        share = np.log10(sums / sums.sum(axis=1, keepdims=True) + 1e-6)
        return np.where(share > -1.0, 4.0, -4.0).astype(np.float32)


class Bands(Instruments):
    @cached_property
    def network(self) -> Any:
        return BandNetwork()

    @cached_property
    def details(self) -> Mapping[str, Any]:
        return {"labels": LABELS, "thresholds": [0.5, 0.5, 0.5], "temperature": 2.0}


def sine(hertz: float, samples: int) -> np.ndarray:
    return (0.2 * np.sin(2 * np.pi * hertz * np.arange(samples) / MEL.rate)).astype(np.float32)


def run(sound: np.ndarray, analysis: Instruments, block: int = 3000) -> dict[str, Any]:
    going = InstrumentsRun(analysis)
    for start in range(0, len(sound), block):
        going.feed(sound[None, start : start + block])
    return plain_result("instruments", analysis, going.result())


def test_spans_are_where_the_families_sound() -> None:
    low, high = sine(220.0, 4 * PART), sine(5000.0, 4 * PART)
    found = run(np.concatenate([low, np.zeros(3 * PART, np.float32), high]), Bands())
    length = PART / MEL.rate
    assert [label for _, _, label in found["instrument_spans"]] == ["low", "high"]
    (_, low_end, _), (high_start, high_end, _) = found["instrument_spans"]
    assert abs(low_end - 4 * length) <= length + 0.01
    assert abs(high_start - 7 * length) <= length + 0.01
    assert high_end == pytest.approx(11 * length, abs=1e-3)
    assert {label for label, odds in found["instruments"] if odds > 0.5} == {"low", "high"}
    assert found["voice"] == 0.0


def test_the_share_with_a_voice_is_of_what_is_audible() -> None:
    sounds = [sine(220.0, 4 * PART), np.zeros(4 * PART, np.float32), sine(1400.0, 4 * PART)]
    assert run(np.concatenate(sounds), Bands())["voice"] == pytest.approx(0.5, abs=0.07)


def test_one_excerpt_of_another_kind_among_many_is_smoothed_out_of_the_spans() -> None:
    sounds = [sine(220.0, 5 * PART), sine(5000.0, PART), sine(220.0, 5 * PART)]
    found = run(np.concatenate(sounds), Bands())
    assert [label for _, _, label in found["instrument_spans"]] == ["low"]


@pytest.mark.parametrize(("rest", "share"), [(0.6, 0.5), (0.4, 0.0)])
def test_what_is_left_is_an_excerpt_from_half_a_one(rest: float, share: float) -> None:
    assert run(np.concatenate([sine(220.0, PART), sine(1400.0, round(rest * PART))]), Bands())["voice"] == share


def test_what_is_above_its_threshold_comes_first() -> None:
    labels = list("abcdefg")
    odds = np.array([0.5, 0.9, 0.4, 0.1, 0.2, 0.3, 0.05])
    least = np.array([0.6, 0.8, 0.35, 0.5, 0.5, 0.5, 0.5])
    assert [label for label, _ in rank_labels(labels, odds, least)] == ["b", "c", "a", "f", "e"]
    assert len(rank_labels(labels, odds, np.zeros(7))) == 7


def test_a_family_counts_by_the_excerpts_in_which_it_is_strongest() -> None:
    logits = np.full((12, 2), -3.0, np.float32)
    logits[:4, 0] = 3.0
    assert join_logits(logits).tolist() == [3.0, -3.0]
    assert join_logits(logits[3:5]).tolist() == [0.0, -3.0]


def test_five_seconds_are_enough_and_less_than_half_a_one_is_refused() -> None:
    found = run(sine(220.0, 5 * MEL.rate), Bands())
    assert found["instrument_spans"] == [[0.0, 5.0, "low"]]
    short = run(sine(220.0, round(0.7 * MEL.rate)), Bands())
    assert short["instrument_spans"] == [[0.0, 0.7, "low"]]
    with pytest.raises(UsageError, match=r"lasts 0\.4 s, and at least 0\.5 s are needed"):
        run(sine(220.0, round(0.4 * MEL.rate)), Bands())


def test_silence_has_no_instruments() -> None:
    empty = {"instruments": None, "instrument_spans": None, "voice": None}
    assert run(np.zeros(6 * MEL.rate, np.float32), Bands()) == empty


def test_a_family_that_musicnn_knows_is_the_mean_of_both() -> None:
    instruments = Instruments()
    labels = instruments.labels
    stream = PatchStream(MEL.rate)
    stream.push(sine(440.0, 4 * MEL.rate))
    mean = instruments.average_with_musicnn(np.full(len(labels), 3.0), stream.patches())
    changed = {label for label, value in zip(labels, mean, strict=True) if value != 3.0}
    assert changed == {"guitar", "piano", "strings", "flute", "drums", "voice"}
    # a tone of no instrument has no drums, whatever one network says
    assert mean[labels.index("drums")] < mean[labels.index("flute")]


def test_blocks_of_any_size_give_the_same() -> None:
    sound = np.random.default_rng(6).normal(0.0, 0.1, 13 * PART + 9000).astype(np.float32)
    one, another = run(sound, Instruments(), 1 << 20), run(sound, Instruments(), 7777)
    assert one["instrument_spans"] == another["instrument_spans"]
    assert one["instruments"] == [[label, pytest.approx(odds, abs=1e-3)] for label, odds in another["instruments"]]


def test_arrays_that_do_not_fit_are_refused() -> None:
    held = read_weights(WEIGHTS)
    with pytest.raises(ModelError, match="not those of a classifier"):
        ClassifierNetwork({**held, "hidden.weight": np.zeros((8, 5), np.float32)}, "a test's")
    # what is played softer is the same
    excerpts = np.random.default_rng(7).normal(-40.0, 9.0, (2, EXCERPT, MEL.bands)).astype(np.float32)
    network = ClassifierNetwork(held, WEIGHTS)
    np.testing.assert_allclose(network.logits(excerpts - 20.0), network.logits(excerpts), atol=1e-3)
