"""The learned modes' networks in numpy give what those in torch give, hop by hop and over many at once."""

import numpy as np
import pytest

from antiphon.api.backends.models import load_arrays
from antiphon_denoise.learned import AUTOENCODER, MASK, NO_NOISE, UNITS
from antiphon_denoise.tests.sounds import spectra

pytest.importorskip("antiphon_models")  # which has the networks as modules of torch
HOPS = 300
"""Longer than the floor remembers: what was silent at first is forgotten at the end."""


@pytest.mark.parametrize(("model", "known"), [(MASK, False), (MASK, True), (AUTOENCODER, True)])
def test_gains_are_those_of_torch_hop_by_hop_and_at_once(model, known) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: there is nothing to compare with")
    from antiphon.networks.torch_network import load as load_network

    theirs = load_network(model.torch_worker("cpu"), torch.device("cpu"))
    ours = load_arrays(model.array_network, model.weights, "", (2, UNITS), (1, UNITS))
    x, state, y = np.full((HOPS, 2, UNITS), NO_NOISE, np.float32), theirs.start(1), np.zeros((1, UNITS), np.float32)
    x[:, 0] = spectra(HOPS, 1)
    if known:
        x[50:, 1] = -4.0 - np.linspace(0.0, 8.0, UNITS)
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
