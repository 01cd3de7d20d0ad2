"""Patches swapped at random moments: what `antiphon bench swap` counts a thousand of."""

from __future__ import annotations

import pytest

from antiphon.bench import swap


@pytest.mark.real
def test_swaps_leave_no_click_in_the_recording() -> None:
    found = swap.loading(30, seed=3)
    assert found["found"] == swap.PLANTED, "the detector hears what is planted"
    # a block that a busy machine missed is silent, and heard as one click; without one there is none
    assert found["clicks"] <= found["missed"], found
