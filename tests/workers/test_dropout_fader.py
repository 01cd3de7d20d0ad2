"""What is heard when hops are missing: no step, no loss of power, and exactly the sound itself when all is well."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from antiphon.kernel.contract.processor import IO, BlockTime
from antiphon.networks.rebuffer import DropoutFader, DropoutLog
from antiphon.testing import level, noise, sine

RATE = 48000
FADE = 480


def played(there: list[bool], wet: np.ndarray, dry: np.ndarray | None, hop: int, rate: int = RATE) -> np.ndarray:
    """Hop n of wet where `there[n]`, the dry sound where not."""
    fader = DropoutFader(wet.shape[0], hop, rate)
    out = np.full((wet.shape[0], len(there) * hop), np.nan, np.float32)
    for n, here in enumerate(there):
        part = slice(n * hop, (n + 1) * hop)
        fader.play(wet[:, part] if here else None, None if dry is None else dry[:, part], out[:, part])
        assert fader.there == here
    return out


def rest(there: list[bool], hop: int) -> np.ndarray:
    """Frames that no fade touches: those more than a fade after the last change."""
    frames = np.repeat(np.array(there), hop)
    changes = np.flatnonzero(np.diff(np.concatenate([[True], frames])))
    still = np.ones(len(frames), bool)
    for at in changes:
        still[at : at + FADE] = False
    return still


@settings(max_examples=50)
@given(st.lists(st.booleans(), min_size=1, max_size=60), st.sampled_from([32, 64, 256, 441, 480, 512, 1024]))
def test_no_pattern_of_missing_hops_makes_a_step(there: list[bool], hop: int) -> None:
    seconds = len(there) * hop / RATE
    wet, dry = sine(330.0, seconds, level=-6.0)[:, : len(there) * hop], sine(97.0, seconds, level=-9.0)
    out = played(there, wet, dry, hop)
    steps = [np.abs(np.diff(x)).max(initial=0.0) for x in (wet, wet, dry)]
    # the answer, what went on of an older one, and the dry sound, each with its own step and its gain's
    most = sum(steps) + (0.5 + math.sqrt(0.5) + 0.36) * math.pi / 2 / FADE
    assert np.abs(np.diff(out)).max(initial=0.0) <= most
    assert np.abs(out).max() <= 0.5 + math.sqrt(0.5) + 0.36
    still, here = rest(there, hop), np.repeat(np.array(there), hop)
    np.testing.assert_array_equal(out[:, still & here], wet[:, : out.shape[1]][:, still & here])
    np.testing.assert_array_equal(out[:, still & ~here], dry[:, : out.shape[1]][:, still & ~here])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=60), st.sampled_from([32, 64, 256, 441, 480, 512, 1024]))
def test_an_answer_that_is_the_dry_sound_leaves_and_comes_back_unheard(there: list[bool], hop: int) -> None:
    there = [True, *there]
    x = np.concatenate([sine(330.0, len(there) * hop / RATE, level=0.0), sine(71.0, len(there) * hop / RATE)])
    x = x[:, : len(there) * hop]
    np.testing.assert_allclose(played(there, x, x, hop), x, atol=1e-6)


@pytest.mark.parametrize("gain", [0.5, 0.9])
def test_an_answer_that_is_the_dry_sound_at_another_level_slides_to_it_without_a_bend(gain: float) -> None:
    hop, hops = 128, 40
    x = sine(330.0, hop * hops / RATE, level=0.0)
    out = played([n < 10 or n >= 25 for n in range(hops)], np.float32(gain) * x, x, hop)
    # a gain that moves between the two, and nothing else
    loud = np.abs(x) > 0.1
    assert (out[loud] / x[loud]).min() >= gain - 1e-4
    assert (out[loud] / x[loud]).max() <= 1.0 + 1e-4
    turn = math.pi / 2 / FADE
    assert (
        np.abs(np.diff(out, 2)).max() < np.abs(np.diff(x, 2)).max() + (1 - gain) * 3 * turn * 2 * math.pi * 330 / RATE
    )


@pytest.mark.parametrize("hop", [64, 480, 512])
def test_unrelated_sounds_keep_their_power_through_the_fade(hop: int) -> None:
    hops = 4 * FADE // hop + 4
    gone = [n < hops // 2 for n in range(hops)]
    for there in (gone, [not here for here in gone]):
        frames = hops * hop
        middle = []
        for seed in range(60):
            wet, dry = noise(frames, seed=2 * seed), noise(frames, seed=2 * seed + 1)
            out = played(there, wet, dry, hop)
            middle.append(out[:, hops // 2 * hop : hops // 2 * hop + FADE])
        assert level(np.concatenate(middle, axis=1)) == pytest.approx(-20.0, abs=0.35)


def test_it_leaves_and_returns_within_ten_milliseconds_at_any_rate() -> None:
    for rate, fade in ((44100, 441), (48000, 480), (96000, 960)):
        hop = 256
        frames = 32 * hop
        wet, dry = np.full((2, frames), 0.5, np.float32), np.zeros((2, frames), np.float32)
        out = played([n < 8 or n >= 24 for n in range(32)], wet, dry, hop, rate)[1]
        assert np.flatnonzero(out != 0.5)[0] == 8 * hop
        assert np.flatnonzero(out == 0.0)[0] == 8 * hop + fade - 1
        assert np.flatnonzero(out == 0.0)[-1] == 24 * hop - 1
        assert np.flatnonzero(out != 0.5)[-1] == 24 * hop + fade - 2
        quarter = np.sin(np.arange(1, fade + 1) / fade * math.pi / 2) * 0.5
        np.testing.assert_allclose(out[24 * hop : 24 * hop + fade], quarter, atol=1e-6)
        np.testing.assert_allclose(out[8 * hop : 8 * hop + fade], [*quarter[-2::-1], 0.0], atol=1e-6)


def test_what_was_sounding_goes_on_as_its_mirror_image_where_nothing_stands_in() -> None:
    hop = 480
    wet = np.linspace(0.1, 0.5, 3 * hop, dtype=np.float32)[None]
    out = played([True, True, False], wet, None, hop)[0]
    falling = np.cos(np.arange(1, FADE + 1) / FADE * math.pi / 2)
    np.testing.assert_allclose(out[2 * hop :], out[hop : 2 * hop][::-1] * falling, atol=1e-6)


def test_clear_forgets_what_sounded() -> None:
    hop = 64
    fader, out = DropoutFader(1, hop, RATE), np.zeros((1, hop), np.float32)
    ones, quiet = np.ones((1, hop), np.float32), np.zeros((1, hop), np.float32)
    fader.play(ones, quiet, out)
    fader.clear()
    fader.play(None, quiet, out)
    assert not out.any(), "nothing of what sounded before"
    fader.clear()
    assert fader.there
    fader.play(ones, quiet, out)
    assert (out == 1.0).all(), "and no fade back"


def test_the_block_path_makes_no_buffers() -> None:
    hop = 4096
    fader, out = DropoutFader(2, hop, RATE), np.zeros((2, hop), np.float32)
    wet, dry = np.ones((2, hop), np.float32), np.zeros((2, hop), np.float32)
    tracemalloc.start()
    try:
        for there in (True, False, True, False, False, False, True, True, True):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            fader.play(wet if there else None, dry, out)
            assert tracemalloc.get_traced_memory()[1] - before < 4096
    finally:
        tracemalloc.stop()


class ResetCount:
    def __init__(self) -> None:
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1


def io() -> IO:
    return IO((), (), {}, BlockTime())


@settings(max_examples=100)
@given(st.lists(st.booleans(), max_size=60), st.integers(1, 9), st.integers(0, 10**7))
def test_what_it_tells_makes_the_same_hops_absent(there: list[bool], a_block: int, first: int) -> None:
    """a_block: hops within one block, whose words all come before it."""
    live, again = DropoutLog(), DropoutLog()
    for at in range(0, len(there), a_block):
        said = io()
        hops = range(at, min(at + a_block, len(there)))
        for n in hops:
            assert not live.absent(first + n), "it only tells while nothing is recalled"
            live.took(first + n, there[n], said)
        for kind, number in said.marks:
            again.recall(kind, number)
        assert [not again.absent(first + n) for n in hops] == [there[n] for n in hops]


def test_only_changes_are_told() -> None:
    script, said = DropoutLog(), io()
    for hop, there in enumerate([True, True, False, False, True, False]):
        script.took(hop, there, said)
    assert said.marks == [("absent", 2), ("back", 4), ("absent", 5)]


def test_a_worker_that_begins_anew_is_told_but_for_the_first_hop() -> None:
    script, said = DropoutLog(), io()
    script.began(40, 40, said)
    script.began(43, 40, said)
    assert said.marks == [("fresh", 43)]


def test_streams_begin_anew_where_they_did_and_once() -> None:
    script, streams = DropoutLog(), [ResetCount(), ResetCount()]
    script.recall("fresh", 12)
    script.recall("fresh", 14)
    for hop in (11, 12, 12, 13, 14, 15):
        script.before(hop, streams)
    assert [s.resets for s in streams] == [2, 2]
