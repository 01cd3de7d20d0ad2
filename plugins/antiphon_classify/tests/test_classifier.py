"""A classifier's run: excerpts one after the other, whatever the blocks; a short or silent sound has no result."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pytest

from antiphon.api import F32, UsageError
from antiphon.api.backends.analysis import Quantity
from antiphon.api.backends.models import ModelError
from antiphon_classify.classifier import EXCERPT, MEL, Classifier
from antiphon_classify.network import ClassifierNetwork

SECOND = MEL.rate


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)

    def some(*shape: int) -> np.ndarray:
        return rng.normal(0.0, 0.3, shape).astype(np.float32)

    return {
        "mean": np.zeros(64, np.float32),
        "deviation": np.full(64, 10.0, np.float32),
        "conv0.weight": some(4, 1, 3, 3),
        "conv0.bias": some(4),
        "conv1.weight": some(6, 4, 3, 3),
        "conv1.bias": some(6),
        "hidden.weight": some(8, 2 * 6 * 16),
        "hidden.bias": some(8),
        "labels.weight": some(3, 8),
        "labels.bias": some(3),
    }


class TrialClassifier(Classifier):
    quantities = (Quantity("excerpts", "number"), Quantity("sum", "vector"))

    @cached_property
    def network(self) -> ClassifierNetwork:
        return ClassifierNetwork(arrays(), "a test's")

    def values(self, logits: F32, embedding: F32) -> Mapping[str, Any]:
        return {"excerpts": len(logits), "sum": logits.sum(axis=0)}


def run(mono: np.ndarray, block: int) -> Mapping[str, Any]:
    going = TrialClassifier().begin(SECOND, 1)
    for start in range(0, len(mono), block):
        going.feed(mono[None, start : start + block])
    return going.result()


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(6).normal(0.0, 0.1, round(seconds * SECOND)).astype(np.float32)


def test_blocks_of_any_size_give_the_same() -> None:
    sound = noise(40.0)
    one, another = run(sound, 1 << 20), run(sound, 777)
    assert one["excerpts"] == another["excerpts"] == round(40.0 * SECOND / MEL.hop) // EXCERPT
    assert np.abs(one["sum"] - another["sum"]).max() < 1e-3


def test_the_last_excerpt_ends_with_the_sound() -> None:
    sound = noise(2.0 * EXCERPT * MEL.hop / SECOND + 2.0)
    assert run(sound, 4096)["excerpts"] == 3


def test_a_short_sound_is_refused_and_a_silent_one_has_no_values() -> None:
    with pytest.raises(UsageError, match=r"lasts 0\.4 s, and at least 0\.5 s are needed"):
        run(noise(0.4), 4096)
    assert run(noise(0.6), 4096)["excerpts"] == 1
    assert run(np.zeros(5 * SECOND, np.float32), 4096) == {"excerpts": None, "sum": None}
    assert run(noise(3.0), 4096)["excerpts"] == 1


def test_arrays_that_do_not_fit_are_refused() -> None:
    wrong = {**arrays(), "hidden.weight": np.zeros((8, 5), np.float32)}
    with pytest.raises(ModelError, match="not those of a classifier"):
        ClassifierNetwork(wrong, "a test's")
