"""musicnn by layers written out one after the other, patches at equal distances, and what blocks cannot change."""

import numpy as np
import pytest

from antiphon.api.backends.models import ModelError, manifest_entry
from antiphon_classify.musicnn import (
    FRAMES,
    MEL,
    NETWORKS,
    UNITS,
    Musicnn,
    PatchStream,
    answers,
    network,
    read_weights,
    tags_of,
)

SECOND = MEL.rate


def noise(seconds: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.1, round(seconds * SECOND)).astype(np.float32)


def patches_of(mono: np.ndarray, block: int = 4096, rate: int = SECOND) -> np.ndarray:
    stream = PatchStream(rate)
    for start in range(0, len(mono), block):
        stream.push(mono[start : start + block])
    return stream.patches()


def by_layers(held: dict[str, np.ndarray], patch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and embedding of a patch in dB, each layer as the paper draws it."""

    def norm(x: np.ndarray, number: int) -> np.ndarray:
        name = "batch_normalization" + (f"_{number}" if number else "")
        mean, variance = held[f"{name}/moving_mean"], held[f"{name}/moving_variance"]
        return (x - mean) / np.sqrt(variance + 1e-3) * held[f"{name}/gamma"] + held[f"{name}/beta"]

    def convolve(x: np.ndarray, number: int) -> np.ndarray:
        """`[frames, places, channels]` of `[frames, bands]`; zeros before and behind, none above and below."""
        name = "conv2d" + (f"_{number}" if number else "")
        kernel = held[f"{name}/kernel"].astype(np.float64)[:, :, 0]
        span, bands = kernel.shape[:2]
        before = (span - 1) // 2
        x = np.pad(x, ((before, span - 1 - before), (0, 0)))
        rows = [
            [
                np.tensordot(x[t : t + span, p : p + bands], kernel, ((0, 1), (0, 1)))
                for p in range(x.shape[1] - bands + 1)
            ]
            for t in range(len(patch))
        ]
        return norm(np.maximum(np.array(rows) + held[f"{name}/bias"], 0.0), number + 1)

    x = norm(np.log10(1.0 + 1e4 * 10.0 ** (patch.astype(np.float64) / 10.0))[..., None], 0)[..., 0]
    front = np.concatenate([convolve(x, n).max(axis=1) for n in range(5)], axis=1)
    layers = [front, convolve(front, 5)[:, 0]]
    for number in (6, 7):
        layers.append(convolve(layers[-1], number)[:, 0] + layers[-1])
    whole = np.concatenate(layers, axis=1)
    pooled = norm(np.stack([whole.max(axis=0), whole.mean(axis=0)], axis=1).ravel(), 9)
    embedding = norm(np.maximum(pooled @ held["dense/kernel"] + held["dense/bias"], 0.0), 10)
    return embedding @ held["dense_1/kernel"] + held["dense_1/bias"], embedding


@pytest.mark.parametrize("name", NETWORKS)
def test_the_quick_form_gives_what_the_layers_give(name: str) -> None:
    held = {key: value.astype(np.float64) for key, value in read_weights(name).items()}
    patch = patches_of(noise(3.2))[0]
    patch[:, 40:] -= 20.0
    logits, embedding = by_layers(held, patch)
    found = network(name).answers(patch[None])
    np.testing.assert_allclose(found.logits[0], logits, atol=1e-4)
    np.testing.assert_allclose(found.embedding[0], embedding, atol=1e-4)
    assert len(tags_of(name)) == 50
    assert found.embedding.shape == (1, UNITS)


def test_patches_are_the_same_in_blocks_of_any_size_and_at_another_rate() -> None:
    sound = noise(10.0)
    one = patches_of(sound, 1 << 20)
    assert one.shape == (3, FRAMES, MEL.bands)
    np.testing.assert_allclose(patches_of(sound, 777), one, atol=1e-3)
    import soxr

    twice = patches_of(soxr.resample(sound, SECOND, 2 * SECOND), rate=2 * SECOND)
    # but for the last bands, which the resampling softens
    assert np.median(np.abs(twice[..., :80] - one[..., :80])) < 0.1


@pytest.mark.parametrize(("seconds", "count"), [(0.6, 1), (3.0, 1), (5.0, 2), (30.0, 8), (200.0, 8)])
def test_a_sound_of_any_length_has_at_most_eight(seconds: float, count: int) -> None:
    assert len(patches_of(noise(seconds), 1 << 16)) == count


def test_silence_is_left_out() -> None:
    assert not len(patches_of(np.zeros(9 * SECOND, np.float32)))
    sound = np.concatenate([noise(5.9), np.zeros(15 * SECOND, np.float32)])
    assert len(patches_of(sound)) == 2


def test_the_answers_to_one_sound_are_computed_once() -> None:
    given = patches_of(noise(3.0, 5))
    assert answers(given)[0] is answers(given.copy())[0]


def test_other_arrays_are_refused_and_the_terms_are_stated() -> None:
    with pytest.raises(ModelError, match="are not those of musicnn"):
        Musicnn({"dense/kernel": np.zeros(3, np.float32)}, "a test's")
    for name in NETWORKS:
        details = manifest_entry(name)
        assert details["licence"] == "ISC"
        assert "not stated" in details["notice"]
