"""The mask of files: torch's gains in numpy, long files in stretches, and what is played where it is missing."""

import numpy as np
import pytest

from antiphon_denoise.learned import DETAILS, FEATURES, NO_NOISE, UNITS, file_mask
from antiphon_denoise.learned.file_mask import FileMask, compute_file_gains, file_mask_features
from antiphon_denoise.learned.mask_network import HopFeatures
from antiphon_denoise.tests.sounds import spectra

HOPS = 250
"""More than the floor's four blocks, and an odd part of one."""


@pytest.fixture(scope="module")
def weights():
    made = file_mask.load()
    assert made is not None
    return made


@pytest.mark.parametrize("known", [False, True], ids=["noise unknown", "noise known"])
def test_gains_are_those_of_torch(weights, known) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: there is nothing to compare with")
    from antiphon.api.backends.networks import fill_network
    from antiphon_models.denoise.network.mask import FileMaskNetwork

    network = FileMaskNetwork().eval()
    fill_network(network, "FileMaskNetwork", file_mask.MODEL)
    x = spectra(HOPS, 1)
    noise = x[40:].mean(0) if known else None
    given = np.full_like(x, NO_NOISE) if noise is None else np.broadcast_to(noise, x.shape).copy()
    with torch.inference_mode():
        want = network(torch.from_numpy(x)[None], torch.from_numpy(given)[None])[0].numpy()
    got = compute_file_gains(weights, x, noise)
    assert np.ptp(want) > 0.2
    assert np.abs(got - want).max() < 1e-4


@pytest.mark.parametrize("known", [False, True], ids=["noise unknown", "noise known"])
def test_features_are_those_of_hops_forwards_and_backwards(known) -> None:
    x = spectra(HOPS, 1)
    noise = x[40:].mean(0) if known else None
    bands, details = file_mask_features(x, noise)
    units = details(slice(0, HOPS))
    for levels, of_bands, rows, of_units in (
        (x, bands[..., :FEATURES], slice(0, DETAILS), units),
        (x[::-1], bands[::-1, :, FEATURES : 2 * FEATURES], slice(5, 8), units[::-1, DETAILS - 5 :]),
    ):
        one = HopFeatures()
        for hop, level in enumerate(levels):
            one.step(np.stack([level, np.full(UNITS, NO_NOISE, np.float32) if noise is None else noise]))
            assert np.abs(one.bands.reshape(FEATURES, -1).T - of_bands[hop]).max() < 1e-4, hop
            assert np.abs(one.details[rows] - of_units[hop, rows]).max() < 1e-4, hop


def test_gains_follow_from_what_comes(weights) -> None:
    x = spectra(HOPS, 2)
    other = x.copy()
    other[150:] = spectra(HOPS, 3)[150:] - 3.0
    assert np.abs(compute_file_gains(weights, x, None) - compute_file_gains(weights, other, None))[100:150].max() > 0.01


@pytest.mark.filterwarnings("error")
def test_gains_are_gains_whatever_comes(weights) -> None:
    x = np.array([-23.0, 30.0, -23.0, 0.0], np.float32)[np.arange(120) % 4][:, None].repeat(UNITS, 1)
    gains = compute_file_gains(weights, x, x[1] - 20.0)
    assert 0.0 <= gains.min() <= gains.max() <= 1.0


def test_a_long_file_has_the_same_gains_in_stretches(weights, monkeypatch) -> None:
    x = spectra(900, 4)
    whole = FileMask(weights, len(x))
    monkeypatch.setattr(file_mask, "STRETCH", 192)
    monkeypatch.setattr(file_mask, "BESIDE", 480)
    parts = FileMask(weights, len(x))
    for hop, log in enumerate(x):
        whole.note(hop, log)
        parts.note(hop, log)
    assert not whole.known
    parts.compute(None)
    monkeypatch.setattr(file_mask, "STRETCH", 1000)
    whole.compute(None)
    assert whole.known
    gains, others = (np.stack([mask.gain(hop).copy() for hop in range(len(x))]) for mask in (whole, parts))
    apart = np.abs(gains - others).mean(1)
    # the layers remember more than the hops beside a stretch, but little of it
    assert apart[:190].mean() < 0.01
    assert apart.mean() < 0.05
    assert 0.0 <= gains.min() < gains.max() <= 1.0
    # the last hop holds where the file goes on by the latency
    np.testing.assert_array_equal(whole.gain(len(x) + 5), gains[-1])


@pytest.mark.parametrize(("above", "edge"), [(-7.0, None), (-30.0, 300)])
def test_a_top_is_empty_only_where_nothing_is(above: float, edge: int | None) -> None:
    """A hum far louder than the noise over it is no edge, nor is noise that falls off softly."""
    x = np.full((HOPS, UNITS), -7.0, np.float32)
    x[:, 3] = 0.0
    x[:, 301:] = above
    top = file_mask.find_empty_top(x)
    assert (top and top.edge) == edge
