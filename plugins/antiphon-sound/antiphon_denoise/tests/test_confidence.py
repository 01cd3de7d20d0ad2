"""The confidence network of mode `learned`: its kernels, its shares, and what becomes of gains."""

import numpy as np
import pytest

from antiphon_denoise.bands import BINS, COUNT
from antiphon_denoise.learned.confidence import CHOICES, INPUTS, LAYOUT, Confidence, ConfidenceFeatures
from antiphon_denoise.learned.file_confidence import shares_of

HOPS = 60


def weights(seed: int = 1, **biases: float) -> dict[str, np.ndarray]:
    """Small weights by chance; `biases`: added to the logits of a choice."""
    rng = np.random.default_rng(seed)
    made = {name: (0.2 * rng.standard_normal(shape)).astype(np.float32) for name, shape in LAYOUT}
    rows = made["bo"].reshape(CHOICES, COUNT)
    for name, bias in biases.items():
        rows[["whole", "same", "cube", "nothing"].index(name)] += bias
    return made


def hops(seed: int = 2):
    rng = np.random.default_rng(seed)
    for _ in range(HOPS):
        power = np.exp(rng.normal(-6.0, 2.0, BINS)).astype(np.float32)
        yield power, rng.random(BINS, np.float32), rng.random(BINS, np.float32)


def test_kernels_and_torch_give_the_same_shares() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: there is nothing to compare with")
    from antiphon_models.denoise.training.confidence import ConfidenceNetwork

    named = weights()
    network = ConfidenceNetwork().eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in named.items()})
    confidence, features = Confidence(named, BINS), ConfidenceFeatures()
    rows, shares = [], []
    for power, mask, gate in hops():
        features.update(power, mask, gate, False)
        rows.append(features.values.copy())
        confidence.apply(power, gate, False, mask.copy())
        shares.append(confidence.shares.T.copy())
    with torch.inference_mode():
        wanted = network(torch.from_numpy(np.stack(rows))[None])[0].numpy()
    assert np.abs(np.stack(shares) - wanted).max() < 1e-5
    np.testing.assert_allclose(wanted.sum(-1), 1.0, atol=1e-5)


def test_numpy_and_torch_give_the_same_shares_of_a_file() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: there is nothing to compare with")
    from antiphon_models.denoise.training.confidence import FileConfidenceNetwork

    network = FileConfidenceNetwork().eval()
    rows = np.random.default_rng(3).standard_normal((HOPS, INPUTS)).astype(np.float32)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(rows)[None])[0].numpy()
    shares = shares_of({name: value.numpy() for name, value in network.state_dict().items()}, rows)
    assert np.abs(shares.transpose(0, 2, 1) - wanted).max() < 1e-5


@pytest.mark.parametrize(("choice", "power"), [("whole", 0), ("same", 1), ("cube", 3)])
def test_a_choice_that_is_certain_is_that_power_of_the_gain(choice, power) -> None:
    confidence = Confidence(weights(**{choice: 40.0}), BINS)
    for level, mask, gate in hops():
        gain = mask.copy()
        confidence.apply(level, gate, False, gain)
        np.testing.assert_allclose(gain, mask**power, atol=1e-5)


def test_gains_stay_between_0_and_1_and_features_are_finite_in_silence_and_at_full_scale() -> None:
    confidence, features = Confidence(weights(), BINS), ConfidenceFeatures()
    for level in (1e-10, 1e-10, 1e4, 1e-10, 1.0):
        power = np.full(BINS, level, np.float32)
        for ends in (0.0, 1.0):
            gain = np.full(BINS, ends, np.float32)
            features.update(power, gain, gain, True)
            assert np.isfinite(features.values).all()
            assert np.abs(features.values).max() < 10.0
            confidence.apply(power, gain.copy(), True, gain)
            assert gain.min() >= 0.0
            assert gain.max() <= 1.0 + 1e-6


def test_at_twice_the_rate_the_bins_above_have_the_last_bands_share() -> None:
    confidence = Confidence(weights(), 2 * BINS - 1)
    rng = np.random.default_rng(3)
    power, gate = rng.random(2 * BINS - 1, np.float32) + 0.1, rng.random(2 * BINS - 1, np.float32)
    gain = np.full(2 * BINS - 1, 0.5, np.float32)
    confidence.apply(power, gate, False, gain)
    whole, same, cube, _ = confidence.shares[:, -1]
    np.testing.assert_allclose(gain[BINS:], whole + 0.5 * same + 0.125 * cube, atol=1e-6)
    assert len(ConfidenceFeatures().values) == INPUTS
