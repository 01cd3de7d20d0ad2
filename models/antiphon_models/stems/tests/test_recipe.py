"""The loss of the stems' training."""

import pytest

torch = pytest.importorskip("torch")

from antiphon_models.stems.recipe import errors
from antiphon_stems.grids import FILE
from antiphon_stems.network import DETAILS, REACHES, ROWS


def test_a_mix_of_nothing_has_a_finite_loss() -> None:
    from antiphon_models.stems.network import file_network

    around = len(REACHES) + 2
    bands = torch.zeros(1, 2, (ROWS + around) * FILE.bands)
    details = torch.zeros(1, 2, DETAILS + around, FILE.units)
    nothing = torch.zeros(1, 2, FILE.units), torch.zeros(1, 2, 4, FILE.units), torch.zeros(1, 2, 4), torch.zeros(1, 4)
    there, absent, _ = errors(file_network(), (bands, details, *nothing))
    assert len(there) == 0
    assert bool(torch.isfinite(absent).all())
