"""The benches of hops: the network that is measured, and the table of a card."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.workers.networks import as_it_was

from antiphon_bench.workers import cuda
from antiphon_bench.workers.grumask import BANDS, BINS, GruMask, bands


@pytest.fixture(autouse=True)
def _torch_as_it_was():
    with as_it_was():
        yield


def test_the_measured_network_has_the_size_it_is_named_for() -> None:
    assert sum(p.numel() for p in GruMask().parameters()) == 262_377
    found = bands()
    assert found.shape == (BINS, BANDS)
    np.testing.assert_array_equal((found > 0).sum(axis=1), 1)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, rtol=1e-6)


def test_with_all_gains_one_it_gives_its_input_a_hop_late() -> None:
    network = GruMask().eval()
    with torch.inference_mode():
        network.mask.gains.weight.zero_()
        network.mask.gains.bias.fill_(50.0)
        x = torch.randn(2, 1, 20 * 480)
        state, said = network.start(2), []
        for hop in x.split(480, dim=2):
            y, state = network.step(hop, state)
            said.append(y)
    got = torch.cat(said, dim=2)
    torch.testing.assert_close(got[:, :, network.latency :], x[:, :, : -network.latency], atol=1e-5, rtol=0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_without_a_card_the_bench_says_so_in_a_line() -> None:
    said = cuda.measure()
    assert isinstance(said, str)
    assert said.startswith("cuda: not run on a GPU")
    assert "\n" not in said


def test_the_bench_of_the_card_counts_what_came_late() -> None:
    made = cuda.stepper("eager", 2, 1, "cpu")
    row = cuda.time_hops("eager", made, 2, 20, 1)
    row["paced"] = cuda.run_paced(made, 2, 0.1, 1)
    assert row["paced"]["hops"] == 10
    assert 0.0 < row["p50"] <= row["max"]
    assert len(cuda.cells([row])[0]) == len(cuda.HEAD)

    class Slow:
        """Takes eleven milliseconds for what should take ten."""

        def open(self, slot, config):
            pass

        def step(self, numbers, x, y):
            until = cuda.time.perf_counter() + 0.011
            while cuda.time.perf_counter() < until:
                pass

    assert cuda.run_paced(Slow(), 2, 0.05, 1)["missed"] == 5
