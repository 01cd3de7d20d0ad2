"""Patches swapped at random moments: what `antiphon bench swap` counts a thousand of."""

from __future__ import annotations

import pytest

from antiphon.bench import swap


@pytest.mark.real  # a click may also be a block that a busy machine missed
def test_swaps_leave_no_click_in_the_recording() -> None:
    found = swap.loading(30, seed=3)
    assert found["found"] == swap.PLANTED, "the detector hears what is planted"
    assert found["clicks"] == 0, found
