"""The loss of the stems' training, and the network in torch for many streams at once."""

import pytest

torch = pytest.importorskip("torch")

import numpy as np

from antiphon.api.backends.models import read_weights
from antiphon_models.stems.recipe import errors
from antiphon_models.stems.streaming import StreamStems
from antiphon_stems.grids import FILE, LIVE, LIVE_MODEL
from antiphon_stems.network import DETAILS, MASKS, REACHES, ROWS, LiveNetwork


def test_a_mix_of_nothing_has_a_finite_loss() -> None:
    from antiphon_models.stems.network import file_network

    around = len(REACHES) + 2
    bands = torch.zeros(1, 2, (ROWS + around) * FILE.bands)
    details = torch.zeros(1, 2, DETAILS + around, FILE.units)
    nothing = torch.zeros(1, 2, FILE.units), torch.zeros(1, 2, 4, FILE.units), torch.zeros(1, 2, 4), torch.zeros(1, 4)
    there, absent, _ = errors(file_network(), (bands, details, *nothing))
    assert len(there) == 0
    assert bool(torch.isfinite(absent).all())


SLOTS, HOPS = 64, 6


def test_64_streams_in_torch_are_those_of_numpy_one_by_one() -> None:
    weights = read_weights(LIVE_MODEL.weights)
    network = StreamStems()
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    rng = np.random.default_rng(2)
    x = (rng.standard_normal((HOPS, SLOTS, 2, LIVE.units)) ** 2 * 10 ** rng.uniform(-6, 0, (1, SLOTS, 1, 1))).astype(
        "f"
    )
    x[:, :, 1] *= 0.3
    state, made = network.start(SLOTS), []
    with torch.inference_mode():
        for hop in x:
            shares, state = network.step(torch.from_numpy(hop), state)
            made.append(shares.numpy())
    for slot in (0, 1, SLOTS - 1):
        alone, wanted = LiveNetwork(weights), np.zeros((MASKS, LIVE.units), np.float32)
        for hop in range(HOPS):
            alone.step(x[hop, slot], wanted)
            np.testing.assert_allclose(made[hop][slot], wanted, atol=2e-4)
