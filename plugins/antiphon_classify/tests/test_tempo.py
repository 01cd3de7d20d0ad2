"""Words of tempo: windows follow each other whatever the blocks; a fast beat is fast by the weights that ship."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.api import F32
from antiphon.api.backends.models import ModelError, manifest_entry
from antiphon_classify.classifier import MEL
from antiphon_classify.rhythm import FRAMES
from antiphon_classify.tags import Tags
from antiphon_classify.tempo import BIAS, REPEATS, WEIGHT, TempoWindows, TempoWords, repeats, replace


def words() -> TempoWords:
    rng = np.random.default_rng(4)
    return TempoWords({WEIGHT: rng.normal(size=(2, REPEATS)), BIAS: np.array([1.0, -1.0])}, "a test's")


def noise(frames: int) -> F32:
    return np.random.default_rng(5).normal(-20.0, 8.0, (frames, 64)).astype(np.float32)


def given(mel: F32, block: int) -> F32:
    windows = TempoWindows(words())
    for first in range(0, len(mel), block):
        windows.push(mel[first : first + block])
    return windows.logits()


@pytest.mark.parametrize(
    ("frames", "starts"),
    [(FRAMES, [0]), (2 * FRAMES + 100, [0, FRAMES]), (2 * FRAMES + 200, [0, FRAMES, FRAMES + 200]), (150, [0])],
)
def test_windows_follow_each_other_and_the_last_one_ends_with_the_sound(frames: int, starts: list[int]) -> None:
    mel = noise(frames)
    each = [words().logits(mel[None, start : start + FRAMES])[0] for start in starts]
    for block in (1, 77, 5000):
        np.testing.assert_allclose(given(mel, block), np.mean(each, axis=0), rtol=1e-3, atol=1e-3)


def test_silence_around_a_sound_states_no_tempo() -> None:
    quiet = np.full((2 * FRAMES, 64), -100.0, np.float32)
    mel = noise(FRAMES)
    np.testing.assert_allclose(given(np.concatenate([quiet, mel]), 64), given(mel, 64), rtol=1e-3)
    assert given(quiet, 64).tolist() == [0.0, 0.0]


def test_only_the_columns_of_the_words_are_replaced() -> None:
    found = replace(np.zeros((2, 3), np.float32), np.array([1.0, 2.0], np.float32), ["slow", "piano", "fast"])
    assert found.tolist() == [[2.0, 0.0, 1.0], [2.0, 0.0, 1.0]]


@pytest.mark.parametrize("arrays", [{}, {WEIGHT: np.zeros((2, 3)), BIAS: np.zeros(2)}])
def test_weights_without_words_of_tempo_are_refused(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(ModelError, match="a test's have"):
        TempoWords(arrays, "a test's")


def clicks(tempo: float, seconds: float = 12.0) -> F32:
    """Low drums on beats, high ones between them."""
    rng = np.random.default_rng(6)
    sound = np.zeros(round(seconds * MEL.rate), np.float32)
    for n in range(int(seconds * tempo / 30.0)):
        length = MEL.rate // 10
        start = round(n * 30.0 / tempo * MEL.rate)
        fade = np.exp(-np.arange(length) / (0.02 * MEL.rate))
        tone = np.sin(2 * np.pi * 90.0 * np.arange(length) / MEL.rate) if n % 2 == 0 else 0.3 * rng.normal(size=length)
        part = sound[start : start + length]
        part += (0.5 * fade * tone)[: len(part)].astype(np.float32)
    return sound


def test_fast_and_slow_beats_by_the_weights_that_ship() -> None:
    try:
        manifest_entry(Tags.weights)
    except ModelError:
        pytest.skip("there are no weights of the tags")
    tags, found = Tags(), {}
    for tempo in (70.0, 160.0):
        run = tags.begin(MEL.rate, 1)
        run.feed(clicks(tempo)[None])
        found[tempo] = dict(run.result()["tags"])
    assert found[160.0]["fast"] > found[160.0].get("slow", 0.0)
    assert found[70.0]["slow"] > found[70.0].get("fast", 0.0)


def test_repetitions_are_those_of_the_beat() -> None:
    """At 120 beats a minute the rises repeat every 21.5 frames."""
    time = np.arange(FRAMES)
    mel = np.full((1, FRAMES, 64), -60.0, np.float32)
    mel[:, (time % 21.5 < 1.0)] = 0.0
    lags = repeats(mel)[0].reshape(-1, 8).mean(axis=1)
    assert int(lags[10:30].argmax()) + 11 in (21, 22)
