"""Popularity: the same whatever the blocks and the level; bounded, with an interval; rhythm is in the statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from antiphon.api import UsageError
from antiphon.api.models import ModelError
from antiphon_classify.classifier import MEL
from antiphon_classify.popularity import PopularityAnalysis, PopularityNetwork
from antiphon_classify.statistics import LAGS, REGIONS, SIZE, statistics

ATTRIBUTES = 3


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    columns = 2 * ATTRIBUTES
    found = {
        "mean": np.zeros(SIZE),
        "deviation": np.full(SIZE, 5.0),
        "hidden.weight": rng.normal(0, 0.1, (7, SIZE)),
        "hidden.bias": rng.normal(size=7),
        "attributes.weight": rng.normal(size=(ATTRIBUTES, 7)),
        "attributes.bias": rng.normal(size=ATTRIBUTES),
        "direct.weight": rng.normal(0, 0.1, (ATTRIBUTES, SIZE)),
        "centre": np.zeros(columns),
        "scale": np.full(columns, 90.0),
        "taste": np.concatenate([[0.5], rng.normal(0, 0.1, columns)]),
        "width": np.array([0.3]),
    }
    return {name: array.astype(np.float32) for name, array in found.items()}


class TrialPopularity(PopularityAnalysis):
    network = PopularityNetwork(arrays())  # type: ignore[assignment]


def run(mono: np.ndarray, block: int = 1 << 20) -> Mapping[str, Any]:
    going = TrialPopularity().begin(MEL.rate, 1)
    for start in range(0, len(mono), block):
        going.feed(mono[None, start : start + block])
    return going.result()


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(6).normal(0.0, 0.1, round(seconds * MEL.rate)).astype(np.float32)


def test_blocks_and_level_make_no_difference_and_the_interval_is_within_0_and_1() -> None:
    sound = noise(14.0)
    found, soft = run(sound), run(0.05 * sound, 999)
    assert found == pytest.approx(soft, abs=1e-4)
    assert 0.0 <= found["popularity_low"] < found["popularity"] < found["popularity_high"] <= 1.0
    assert found["popularity"] != run(noise(14.0) + np.sin(np.arange(14 * MEL.rate) / 9).astype(np.float32))


def test_a_short_sound_is_refused_and_a_silent_one_has_none() -> None:
    with pytest.raises(UsageError, match=r"lasts 5.9 s, and at least 6 s are needed"):
        run(noise(5.9))
    assert set(run(np.zeros(8 * MEL.rate, np.float32)).values()) == {None}
    assert run(noise(6.0))["popularity"] is not None


def test_statistics_hold_the_rhythm() -> None:
    """Bursts every 20 frames correlate at 20 and 40, in their region alone."""
    mel = np.full((1, 256, 64), -60.0, np.float32)
    mel[0, ::20, 45:60] = -10.0
    rows = statistics(mel)[0]
    each = LAGS[1] - LAGS[0]
    regions = rows[2 * 64 + 16 : -18].reshape(len(REGIONS) + 1, -1)[:, :each]
    assert regions[2, 20 - LAGS[0]] > 0.8
    assert abs(regions[2, 30 - LAGS[0]]) < 0.2
    assert np.all(regions[0] == 0.0)
    np.testing.assert_allclose(statistics(mel + 20.0)[0], rows, atol=1e-4)


def test_weights_of_another_shape_are_refused() -> None:
    for name in ("taste", "hidden.weight", "mean"):
        broken = arrays()
        del broken[name]
        with pytest.raises(ModelError, match="not those of popularity"):
            PopularityNetwork(broken)
