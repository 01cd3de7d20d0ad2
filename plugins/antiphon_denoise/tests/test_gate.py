"""The gate that is trained is the gate that plays: gains of whole sounds, in torch, are the engine's hop by hop."""

import numpy as np
import pytest

from antiphon_denoise.bands import BINS
from antiphon_denoise.gate.estimate import Estimator
from antiphon_denoise.gate.network import load_weights
from antiphon_denoise.learned.tables import NO_NOISE

torch = pytest.importorskip("torch")
HOPS, LEARNED = 160, 60


@pytest.fixture(scope="module")
def gate():
    from antiphon_models.denoise.training.gate import GateNetwork

    weights = load_weights()
    assert weights is not None
    made = GateNetwork().eval()
    made.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return made


@pytest.mark.parametrize("learned", [False, True], ids=["unasked", "learned"])
def test_whole_sounds_get_the_gains_that_the_engine_gives_hop_by_hop(gate, learned):
    rng = np.random.default_rng(4)
    loud = 3.0 * np.sin(np.arange(HOPS) / 9.0)[:, None] + np.linspace(-4.0, -14.0, BINS)
    power = (np.exp(loud) * rng.chisquare(2, (HOPS, BINS)) + 1e-10).astype(np.float32)
    noise = power[:20].mean(0)
    estimator, played = Estimator(BINS), []
    for hop, now in enumerate(power):
        if learned and hop == LEARNED:
            estimator.learn(noise)
        estimator.power[:] = now
        estimator.update(1e9)
        played.append(estimator.gain.copy())
    known = np.full((HOPS, BINS), NO_NOISE, np.float32)
    if learned:
        known[LEARNED:] = np.log(noise + 1e-10)
    with torch.inference_mode():
        trained = gate(torch.from_numpy(np.log(power))[None], torch.from_numpy(known)[None])[0].numpy()
    assert np.abs(trained - np.stack(played)).max() < 1e-3
    assert trained.std() > 0.05
