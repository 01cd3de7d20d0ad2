"""Both networks: many hops at once are what hop by hop gives, and slots do not hear each other."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon_denoise.bands import BINS
from antiphon_denoise.learned.tables import AUTOENCODER, MASK, NO_NOISE, UNITS, first_bins, unit_of_bin

torch = pytest.importorskip("torch")
HOPS = 220
"""More than the floor's four blocks."""


@pytest.fixture(scope="module", params=[MASK, AUTOENCODER], ids=lambda info: info.name)
def model(request):
    from antiphon.networks.torch_network import load as load_network

    return load_network(request.param.torch_worker("cpu"), torch.device("cpu"))


@pytest.fixture(scope="module")
def heard():
    """Log powers of noise that comes and goes; learned noise never, from the start, from hop 100 on."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(3, HOPS, 2, UNITS, generator=generator) - 7.0
    # one of them far louder than full scale: its floors begin from above too
    x[1] += 20.0
    x[:, :, 0] += 4.0 * torch.sin(torch.arange(HOPS) / 17.0)[None, :, None]
    x[0, :, 1] = NO_NOISE
    x[2, :100, 1] = NO_NOISE
    return x


def by_hop(model, x):
    state, said = model.start(len(x)), []
    with torch.inference_mode():
        for hop in x.unbind(1):
            gain, state = model.step(hop, state)
            said.append(gain[:, 0])
    return torch.stack(said, 1)


def test_all_at_once_is_hop_by_hop(model, heard):
    with torch.inference_mode():
        whole = model(heard[:, :, 0], heard[:, :, 1])
    assert float((whole - by_hop(model, heard)).abs().max()) < 1e-5
    assert float(whole.std()) > 0.01


def test_a_slot_alone_is_the_same(model, heard):
    together = by_hop(model, heard[:, :60])
    for row in range(3):
        assert float((by_hop(model, heard[row : row + 1, :60])[0] - together[row]).abs().max()) < 1e-5


def test_gains_are_gains_whatever_comes(model):
    extremes = torch.tensor([-23.0, 30.0, -23.0, 0.0])
    x = extremes[torch.arange(40) % 4][None, :, None, None].expand(1, 40, 2, UNITS)
    gains = by_hop(model, x)
    assert bool(torch.isfinite(gains).all())
    assert 0.0 <= float(gains.min()) <= float(gains.max()) <= 1.0


def test_every_bin_has_its_unit_and_every_unit_its_bins():
    units, first = unit_of_bin(), first_bins()
    assert len(units) == BINS
    assert (np.diff(units) >= 0).all()
    assert set(units) == set(range(UNITS))
    assert (units[first] == np.arange(UNITS)).all()


def test_the_mask_of_files_begins_as_the_mask_and_looks_at_what_comes(heard):
    from antiphon.networks.torch_network import load as load_network
    from antiphon_models.denoise.network.file_mask import FileMaskNetwork

    mask, file = load_network(MASK.torch_worker("cpu"), torch.device("cpu")), FileMaskNetwork().eval()
    x = heard[:2].clone()
    with torch.inference_mode():
        file.begin(mask, 0.0)
        assert float((file(x[..., 0, :], x[..., 1, :]) - mask(x[..., 0, :], x[..., 1, :])).abs().max()) < 1e-5
        file.begin(mask)
        before = file(x[..., 0, :], x[..., 1, :])
        # as far from the mask backwards as forwards
        turned = file(x[..., 0, :].flip(1), x[..., 1, :].flip(1)).flip(1)
        assert float((before - turned).abs().max()) < 1e-4
        x[:, 150:, 0] += 4.0
        assert float((file(x[..., 0, :], x[..., 1, :]) - before)[:, 100:150].abs().max()) > 0.01
