"""The learned modes' networks in numpy give what those in torch give, hop by hop and over many at once."""

import numpy as np
import pytest

from antiphon.api.backends.models import load_arrays
from antiphon_denoise.learned import AUTOENCODER, MASK, NO_NOISE, UNITS

pytest.importorskip("antiphon_models")  # which has the networks as modules of torch
HOPS = 300
"""Longer than the floor remembers: what was silent at first is forgotten at the end."""


def spectra(known: bool, seed: int) -> np.ndarray:
    """Log powers `[HOPS, 2, UNITS]`: noise that falls with frequency, tones that come and go, a silence."""
    rng = np.random.default_rng(seed)
    floor = -4.0 - np.linspace(0.0, 8.0, UNITS)
    x = np.zeros((HOPS, 2, UNITS), np.float32)
    x[:, 0] = floor + 1.5 * rng.standard_normal((HOPS, UNITS))
    x[:, 0, 40:400:25] += 6.0 * (np.sin(np.arange(HOPS) / 9.0) > 0.0)[:, None]
    x[20:35, 0] = np.log(1e-10)
    x[:, 1] = NO_NOISE
    if known:
        x[50:, 1] = floor
    return x


def made(model):
    return load_arrays(model.array_network, model.weights, "", (2, UNITS), (1, UNITS))


@pytest.mark.parametrize(("model", "known"), [(MASK, False), (MASK, True), (AUTOENCODER, True)])
def test_gains_are_those_of_torch_hop_by_hop_and_at_once(model, known) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: there is nothing to compare with")
    from antiphon.networks.torch_network import load as load_network

    theirs, ours = load_network(model.torch_worker("cpu"), torch.device("cpu")), made(model)
    x, state, y = spectra(known, 1), theirs.start(1), np.zeros((1, UNITS), np.float32)
    gains = []
    with torch.inference_mode():
        for hop in x:
            want, state = theirs.step(torch.from_numpy(hop)[None], state)
            ours.step(hop, y)
            assert np.abs(y - want[0].numpy()).max() < 1e-5
            gains.append(y[0].copy())
        whole = theirs(*(torch.from_numpy(x[None, :, n]) for n in (0, 1)))[0].numpy()
    assert np.ptp(gains) > 0.2
    # over many hops at once the features are summed in another order, as torch's own two are
    assert np.abs(np.stack(gains) - whole).max() < 1e-4
