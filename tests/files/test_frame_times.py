"""Decoded frames stand where their time stamps say: gaps are silent, overlaps left out, jitter is not followed."""

import numpy as np
import pytest

from antiphon.files.frame_times import FrameTimes

FRAME, RATE = 1024, 48000


def played(stamps: list[int | None], restarts: bool = False) -> tuple[list[int], list[str]]:
    """Where each decoded frame that is kept begins, and the notices."""
    times, at, begins = FrameTimes(RATE, restarts=restarts), 0, list[int]()
    for n in range(len(stamps) + 1):
        if n < len(stamps):
            times.put(stamps[n], FRAME)
        while (placed := times.place(last=n == len(stamps))) is not None:
            begins += [at + placed.silence] * bool(placed.kept)
            at += placed.silence + placed.kept
    return begins, [f"{one.what} {one.place}" for one in times.notices]


def steady(count: int, first: int = 0) -> list[int | None]:
    return [first + n * FRAME for n in range(count)]


def test_gap_of_one_lost_frame_or_more_is_silent() -> None:
    for lost in (1, 47):
        begins, said = played([*steady(20, 7000), *steady(20, 7000 + (20 + lost) * FRAME)])
        assert begins == [*range(0, 20 * FRAME, FRAME), *range((20 + lost) * FRAME, (40 + lost) * FRAME, FRAME)]
        assert said == [f"gap {lost * FRAME / RATE:.3f} s at {20 * FRAME / RATE:.3f} s"]


def test_jitter_of_time_stamps_changes_nothing() -> None:
    shaken = np.random.default_rng(5).integers(-1500, 1500, 200)
    assert played([n * FRAME + int(late) for n, late in enumerate(shaken)]) == (steady(200), [])


def test_overlap_is_left_out_and_a_restart_goes_on() -> None:
    begins, said = played([*steady(20), *steady(20, 18 * FRAME)])
    assert begins == steady(38)
    assert said == ["overlap 0.021 s at 0.427 s", "overlap 0.021 s at 0.427 s"]
    assert played([*steady(40), *steady(40)]) == (steady(80), [])


@pytest.mark.parametrize("restarts", [False, True])
def test_long_gap_in_a_broadcast_is_a_restart(restarts: bool) -> None:
    begins, said = played([*steady(20), *steady(20, 20 * FRAME + 11 * RATE)], restarts)
    assert begins[20] == 20 * FRAME + (0 if restarts else 11 * RATE)
    assert bool(said) != restarts


def test_frames_without_time_stamps_follow() -> None:
    assert played([None] * 20) == (steady(20), [])
    assert played([None, *steady(20, FRAME)]) == (steady(21), [])
