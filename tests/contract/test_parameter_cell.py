"""Parameters over a block, sample by sample."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from antiphon.kernel.contract.parameter_cell import MAX_CHANGES, ParamCell
from antiphon.kernel.contract.params import Param

RATE, BLOCK = 48000, 256
SMOOTH = Param("level", default=0.0, low=0.0, high=10.0, smooth=0.001)
STEP = Param("raw", default=0.0, low=0.0, high=10.0)
NUMBER = Param("number", "int", 3, low=0, high=1 << 40)
CHOICE = Param("mode", "choice", "b", choices=("a", "b", "c"))
TRIGGER = Param("fire", "trigger", False)


def rendered(param, changes, total, blocks, value=None):
    """The value at each of `total` samples; changes: (sample, number, ramp seconds) in order."""
    cell, at, turn, waiting = ParamCell(param, RATE, BLOCK, value), 0, 0, list(changes)
    active, curve, numbers = False, [], []
    while at < total:
        size = min(blocks[turn % len(blocks)], total - at)
        while waiting and waiting[0][0] < at + size:
            sample, number, ramp = waiting.pop(0)
            assert cell.post(sample - at, number, ramp)
            active = True
        # as the host does: a cell at rest is not rendered
        if active:
            cell.render(at, size)
        curve.append(cell.full[:size].copy())
        numbers += [cell.number_at(n) for n in range(size)]
        if active:
            active = cell.settle(at + size)
        at, turn = at + size, turn + 1
    return np.concatenate(curve), np.array(numbers), cell


def line(changes, total, smooth):
    """What the values ought to be, written another way: each sample from the one change in force."""
    values, low, high, start, length = np.zeros(total), 0.0, 0.0, 0, 0

    def at(n):
        gone = n - start + 1
        return high if gone >= length else low + (high - low) * gone / length

    place = 0
    for n in range(total):
        while place < len(changes) and changes[place][0] == n:
            low, (start, high, ramp) = at(n - 1), changes[place]
            length = max(smooth, round(ramp * RATE))
            place += 1
        values[n] = at(n)
    return values


def test_a_change_is_a_straight_line_from_its_sample():
    curve, numbers, cell = rendered(SMOOTH, [(100, 1.0, 0.0)], 512, [BLOCK])
    assert not curve[:100].any()
    np.testing.assert_allclose(curve[100:148], np.arange(1, 49) / 48, rtol=1e-6)
    assert (curve[148:] == 1.0).all()
    np.testing.assert_array_equal(numbers.astype(np.float32), curve)
    assert cell.target == 1.0


def test_a_ramp_is_never_shorter_than_the_smoothing_and_ends_exactly():
    curve, _, _ = rendered(SMOOTH, [(0, 7.0, 0.01)], 600, [BLOCK])
    assert curve[478] < 7.0 == curve[479] == curve[599]
    curve, _, _ = rendered(SMOOTH, [(0, 7.0, 1e-5)], 600, [BLOCK])
    assert curve[46] < 7.0 == curve[47]


def test_a_new_change_starts_from_where_the_old_one_has_come():
    curve, _, _ = rendered(SMOOTH, [(0, 1.0, 0.01), (240, 0.0, 0.0)], 512, [BLOCK])
    assert curve[239] == pytest.approx(0.5)
    assert curve[240] == pytest.approx(0.5 * 47 / 48)
    assert np.abs(np.diff(curve)).max() < 0.02


def test_whole_numbers_and_choices_step_and_are_exact():
    _, numbers, _ = rendered(NUMBER, [(5, (1 << 40) - 1, 1.0), (9, 4, 0.0)], 64, [32])
    assert list(numbers[[4, 5, 8, 9, 63]]) == [3, (1 << 40) - 1, (1 << 40) - 1, 4, 4]
    _, numbers, cell = rendered(CHOICE, [(40, 2.0, 0.5)], 64, [32])
    assert list(numbers[[0, 39, 40]]) == [1, 1, 2]
    assert cell.param.decode(numbers[-1]) == "c"


def test_two_changes_at_one_sample_leave_the_last():
    _, numbers, _ = rendered(STEP, [(9, 1.0, 0.0), (9, 2.0, 0.0)], 32, [32])
    assert numbers[8] == 0
    assert numbers[9] == 2


def test_a_trigger_fires_in_its_block_only():
    cell = ParamCell(TRIGGER, RATE, BLOCK)
    cell.post(3, 1.0)
    cell.post(9, 0.0)
    cell.post(200, 1.0)
    cell.render(0, BLOCK)
    assert cell.fired == [3, 200]
    assert not cell.settle(BLOCK)
    assert cell.fired == []


def test_at_rest_every_frame_of_the_array_holds_the_value():
    # a short block after a ramp must not leave the ramp in what it did not render
    cell = ParamCell(SMOOTH, RATE, BLOCK)
    cell.post(100, 1.0)
    cell.render(0, BLOCK)
    assert cell.settle(BLOCK)
    cell.render(BLOCK, 32)
    assert not cell.settle(BLOCK + 32)
    assert (cell.full == 1.0).all()
    assert cell.steps == [(0, 1.0)]


def test_rest_at_leaves_no_ramp():
    cell = ParamCell(SMOOTH, RATE, BLOCK)
    cell.post(0, 5.0, 1.0)
    cell.render(0, BLOCK)
    cell.set_without_ramp(2.0)
    cell.render(BLOCK, BLOCK)
    assert (cell.full == 2.0).all()
    assert not cell.settle(2 * BLOCK)


def test_more_changes_than_a_block_holds_are_refused():
    cell = ParamCell(STEP, RATE, BLOCK)
    assert all(cell.post(0, 1.0) for _ in range(MAX_CHANGES))
    assert not cell.post(0, 2.0)
    cell.render(0, BLOCK)
    assert cell.post(0, 2.0)


def test_text_is_kept_as_text():
    cell = ParamCell(Param("name", "text", "x"), RATE, BLOCK, "loop.wav")
    assert cell.text == "loop.wav"


changes = st.lists(
    st.tuples(st.integers(0, 1999), st.integers(0, 10).map(float), st.sampled_from([0.0, 0.001, 0.02])), max_size=9
).map(lambda found: sorted(found, key=lambda c: c[0]))


@given(changes, st.lists(st.integers(1, BLOCK), min_size=1, max_size=9), st.sampled_from([SMOOTH, STEP]))
def test_any_split_gives_the_values_that_arithmetic_gives(asked, blocks, param):
    wanted = line(asked, 2000, round(param.smooth * RATE))
    curve, numbers, _ = rendered(param, asked, 2000, blocks)
    np.testing.assert_array_equal(curve, wanted.astype(np.float32))
    if param is SMOOTH:
        np.testing.assert_array_equal(numbers.astype(np.float32), curve)
