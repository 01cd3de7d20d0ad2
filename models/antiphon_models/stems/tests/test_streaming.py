"""The network in torch, for many streams at once, gives what the one in numpy gives."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from antiphon.api.backends.models import read_weights
from antiphon_models.stems.streaming import StreamStems
from antiphon_stems.grids import LIVE, LIVE_MODEL
from antiphon_stems.network import MASKS, LiveNetwork

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
