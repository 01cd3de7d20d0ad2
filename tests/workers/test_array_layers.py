"""Layers in numpy beside torch's, on the same random weights: equal to rounding."""

import numpy as np
import pytest

from antiphon.api.backends.models import BandedSums, Conv1d, Gru, Linear, SiluLinear, sigmoid
from antiphon.kernel.contract.block import Samples
from antiphon.networks.array_network import gelu

torch = pytest.importorskip("torch", reason="torch is not installed: there is nothing to compare with")


def random(*shape: int, seed: int = 1, scale: float = 0.3) -> Samples:
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize(("ours", "theirs"), [(gelu, torch.nn.functional.gelu), (sigmoid, torch.sigmoid)])
def test_curves_are_those_of_torch_from_the_tiniest_to_the_largest(ours, theirs) -> None:
    x = np.concatenate([np.linspace(-12, 12, 10001), [0.0, -0.0, 1e-30, -1e-30, 90.0, -90.0, 1e6, -1e6]])
    x = x.astype(np.float32)
    found = np.empty_like(x)
    ours(x, found)
    want = theirs(torch.from_numpy(x)).numpy()
    assert np.abs(found - want).max() < 2e-6
    ours(x, x)
    assert np.array_equal(x, found)


def test_a_linear_layer_and_one_with_silu() -> None:
    weight, bias, x = random(7, 5), random(7, seed=2), random(5, seed=3, scale=2.0)
    want = torch.nn.functional.linear(*(torch.from_numpy(a) for a in (x, weight, bias)))
    assert np.abs(Linear(weight, bias)(x) - want.numpy()).max() < 1e-6
    assert np.abs(SiluLinear(weight, bias)(x) - torch.nn.functional.silu(want).numpy()).max() < 1e-6
    assert np.abs(Linear(weight)(x) - (want.numpy() - bias)).max() < 1e-6


def test_a_gru_step_by_step_and_from_the_start_again() -> None:
    layer = torch.nn.GRU(9, 6, batch_first=True)
    ours = Gru(*(w.detach().numpy() for w in layer.all_weights[0]))
    x = random(50, 9, scale=2.0)
    with torch.inference_mode():
        want = layer(torch.from_numpy(x)[None])[0][0].numpy()
    for _ in range(2):
        ours.start()
        assert np.abs(np.stack([ours(row).copy() for row in x]) - want).max() < 1e-6


@pytest.mark.parametrize(("taps", "stride"), [(1, 1), (3, 1), (5, 1), (3, 2)])
def test_a_convolution_with_zeros_beyond_its_ends(taps: int, stride: int) -> None:
    layer = torch.nn.Conv1d(4, 3, taps, padding=taps // 2, stride=stride)
    ours = Conv1d(layer.weight.detach().numpy(), layer.bias.detach().numpy(), 32, stride)
    for seed in (1, 2):
        x = random(4, 32, seed=seed)
        ours.inputs[...] = x
        with torch.inference_mode():
            want = layer(torch.from_numpy(x)[None])[0].numpy()
        assert np.abs(ours() - want).max() < 1e-6


def test_bands_of_a_matrix_sum_as_all_of_it() -> None:
    matrix = random(40, 12)
    for column in range(12):
        matrix[: 3 * column, column] = 0.0
        matrix[3 * column + 4 :, column] = 0.0
    matrix[:, 5] = 0.0
    x, out = random(40, seed=2), np.zeros(12, np.float32)
    BandedSums(matrix)(x, out)
    assert np.abs(out - x @ matrix).max() < 1e-6
