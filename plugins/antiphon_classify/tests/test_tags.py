"""Tags are what is above its threshold, the most likely first; the vector is standardised, of length 1."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pytest

from antiphon.api import F32
from antiphon.api.backends.analysis import plain_result
from antiphon.api.backends.models import ModelError, manifest_entry
from antiphon_classify.classifier import MEL
from antiphon_classify.network import ClassifierNetwork
from antiphon_classify.tags import Tags, probabilities, vector
from antiphon_classify.tempo import BIAS, REPEATS, WEIGHT, TempoWords
from antiphon_classify.tests.test_classifier import arrays


class TrialTags(Tags):
    @cached_property
    def network(self) -> ClassifierNetwork:
        return ClassifierNetwork(arrays(), "a test's")

    @cached_property
    def details(self) -> Mapping[str, Any]:
        return {
            "labels": ["fast", "slow", "three"],
            "slope": 2.0,
            "offsets": [0.0, 1.0, 0.0],
            "thresholds": [0.5, 0.5, 0.9],
        }

    @cached_property
    def tempo(self) -> TempoWords:
        return TempoWords({WEIGHT: np.zeros((2, REPEATS)), BIAS: np.array([-5.0, 2.0])}, "a test's")

    @cached_property
    def spread(self) -> tuple[F32, F32]:
        return np.ones(8, np.float32), np.full(8, 2.0, np.float32)


def test_labels_above_their_thresholds_the_most_likely_first() -> None:
    logits = np.array([[0.2, 0.0, 0.8], [0.0, 0.2, 1.0]], np.float32)
    found = TrialTags().values(logits, np.ones((2, 8), np.float32) * 3.0)
    # by sigmoid(2 · mean + offset); .858 of the third is below its .9
    assert [label for label, _ in found["tags"]] == ["slow", "fast"]
    assert [share for _, share in found["tags"]] == pytest.approx([0.7685, 0.5498], abs=1e-3)
    assert probabilities(logits.mean(axis=0), 2.0, np.zeros(3))[2] == pytest.approx(0.858, abs=1e-3)


def test_the_vector_is_standardised_and_of_length_one() -> None:
    rows = np.array([[3.0, 1.0], [5.0, 1.0]], np.float32)
    assert vector(rows, np.array([1.0, 1.0]), np.array([1.0, 2.0])).tolist() == pytest.approx([1.0, 0.0])
    assert np.isfinite(vector(rows, rows.mean(axis=0), np.ones(2))).all()


def test_a_run_gives_what_the_catalogue_takes() -> None:
    going = TrialTags().begin(MEL.rate, 1)
    going.feed(np.random.default_rng(1).normal(0.0, 0.1, (1, 8 * MEL.rate)).astype(np.float32))
    values = plain_result("tags", TrialTags(), going.result())
    assert len(values["tag_embedding"]) == 8
    # the network has no part in the words of tempo: sigmoid(2 · 2 + 1), and of fast sigmoid(2 · -5)
    tags = dict(values["tags"])
    assert tags["slow"] == pytest.approx(0.9933, abs=1e-3)
    assert "fast" not in tags
    silent = TrialTags().begin(MEL.rate, 1)
    silent.feed(np.zeros((1, 8 * MEL.rate), np.float32))
    assert plain_result("tags", TrialTags(), silent.result()) == {"tags": None, "tag_embedding": None}


def test_the_weights_that_ship_are_complete() -> None:
    try:
        details = manifest_entry(Tags.weights)
    except ModelError:
        pytest.skip("there are no weights of the tags")
    shipped = Tags()
    count = len(details["labels"])
    assert shipped.network.labels == len(details["offsets"]) == len(details["thresholds"]) == count
    assert all(0.0 < least < 1.0 for least in details["thresholds"])
    mean, deviation = shipped.spread
    rng = np.random.default_rng(2)
    going = shipped.begin(MEL.rate, 1)
    going.feed(rng.normal(0.0, 0.1, (1, 6 * MEL.rate)).astype(np.float32))
    values = going.result()
    assert len(values["tag_embedding"]) == len(mean) == len(deviation)
    assert dict(values["tags"]).get("noise", 0.0) > 0.5
