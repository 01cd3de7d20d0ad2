"""Mixes and loss of the stems' trainings, and the network in torch, whole or for many streams, beside numpy's."""

import pytest

torch = pytest.importorskip("torch")

import numpy as np

from antiphon.api.backends.models import read_weights
from antiphon_models.stems import recipe
from antiphon_models.stems.recipe import Measured, RandomMixer, join_clips
from antiphon_models.stems.streaming import StreamStems
from antiphon_stems.grids import FILE, LIVE, LIVE_MODEL, STEMS, UnitGrid
from antiphon_stems.network import MASKS, LiveNetwork

SLOTS, HOPS = 64, 6
CPU = torch.device("cpu")


def drawn(grid: UnitGrid, monkeypatch: pytest.MonkeyPatch, loud: float, *, fixed: bool) -> Measured:
    monkeypatch.setattr(recipe, "FRAMES", 32 * grid.hop)
    rng = np.random.default_rng(1)
    sounds = [(0, (loud * rng.standard_normal(40000)).astype(np.int16))]
    return RandomMixer({kind: join_clips(sounds, 44100, CPU) for kind in recipe.KINDS}, CPU, grid, fixed=fixed).draw(
        np.random.default_rng(3), 8, mono=True
    )


@pytest.mark.parametrize("grid", [LIVE, FILE])
def test_stems_of_a_mix_add_up_and_the_true_share_has_the_least_loss(
    grid: UnitGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    mix = drawn(grid, monkeypatch, 9000.0, fixed=True)
    torch.testing.assert_close(mix.shared.sum(2), mix.total, rtol=1e-3, atol=1e-3 * float(mix.total.max()))
    assert not mix.side.any()
    true = mix.shared / mix.total.clamp(min=1e-9)[:, :, None]
    best = float(recipe.loss(true, mix, 8))
    assert all(best < float(recipe.loss(shares, mix, 8)) for shares in (torch.full_like(true, 0.25), 1.0 - true))


def test_a_mix_of_nothing_has_a_finite_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    mix = drawn(LIVE, monkeypatch, 0.0, fixed=False)
    network = StreamStems()
    value = recipe.loss(network.whole(mix.power, mix.side), mix, 8)
    value.backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in network.parameters())


def test_64_streams_in_torch_and_whole_sounds_are_those_of_numpy_one_by_one() -> None:
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
        whole = network.whole(*torch.from_numpy(x).permute(2, 1, 0, 3)).numpy()
    for slot in (0, 1, SLOTS - 1):
        alone, wanted = LiveNetwork(weights), np.zeros((MASKS, LIVE.units), np.float32)
        for hop in range(HOPS):
            alone.step(x[hop, slot], wanted)
            np.testing.assert_allclose(made[hop][slot], wanted, atol=2e-4)
            np.testing.assert_allclose(whole[slot, hop, : len(STEMS) - 1], wanted, atol=2e-4)
