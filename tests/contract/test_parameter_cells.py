"""Cells of a processor that a caller runs itself: those at rest are left out, and their values are the same."""

import numpy as np
from hypothesis import given, strategies as st

from antiphon.kernel.contract.parameter_cell import ParamCell, ParamCells
from antiphon.kernel.contract.params import Param

RATE, BLOCK = 48000, 64
PARAMS = (
    Param("gain", "float", 0.5, 0.0, 1.0, smooth=0.003),
    Param("count", "int", 3, 0, 9),
    Param("fire", "trigger", False),
    Param("name", "text", "a"),
)
VALUES = {"gain": 0.9, "count": 7, "fire": True}


def cells() -> ParamCells:
    made = ParamCells()
    for param in PARAMS:
        made[param.name] = ParamCell(param, RATE, BLOCK)
    return made


@given(
    st.lists(st.integers(1, BLOCK), min_size=4, max_size=24),
    st.lists(st.tuples(st.integers(0, 23), st.sampled_from(sorted(VALUES))), max_size=4),
)
def test_they_have_the_values_of_cells_that_are_computed_in_every_block(sizes, changes):
    ours, each = cells(), cells()
    at = 0
    for block, size in enumerate(sizes):
        for when, name in changes:
            if when == block:
                ours.change(name, VALUES[name], size - 1)
                each.change(name, VALUES[name], size - 1)
        ours.render(at, size)
        for cell in each.values():
            cell.render(at, size)
        for name in ours:
            assert np.array_equal(ours[name].full[:size], each[name].full[:size]), (block, name)
            assert (ours[name].steps, ours[name].fired) == (each[name].steps, each[name].fired), (block, name)
        at += size
        ours.settle(at)
        for cell in each.values():
            cell.settle(at)


def test_one_at_rest_is_not_computed():
    ours = cells()
    for block in range(2):
        ours.render(block * BLOCK, BLOCK)
        ours.settle((block + 1) * BLOCK)
    ours["count"].full[:] = 5.0
    ours.render(2 * BLOCK, BLOCK)
    assert ours["count"].full[0] == 5.0
    ours.change("count", 6)
    ours.render(3 * BLOCK, BLOCK)
    assert ours["count"].full[0] == 6.0
