"""The `synth` node, played by a backend that marks each event's frame."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from antiphon.api import Event, Samples, StreamSpec
from antiphon.api.backends.synths import BackendChoice, SynthInfo, use_backend
from antiphon.api.backends.workers import current_pool
from antiphon.synths.processor import MAX_NEW_EVENTS
from antiphon.testing import render, use_pool
from antiphon_synth.processor import Synth

BLOCK = 64
LATE = 2 * BLOCK
"""Blocks below 2 ms leave the worker a second one."""
SPEC = StreamSpec(48000, BLOCK, 2)


@pytest.fixture(scope="module", autouse=True)
def backend() -> Iterator[None]:
    use_backend(BackendChoice(SynthInfo("impulse", "tests.synth.impulse:Impulse", "none")))
    yield
    use_backend(None)
    made = current_pool()
    assert made is not None
    made.shut()
    use_pool(None)


def played(notes: list[Event], frames: int, blocks: list[int] | None = None, **given: object) -> Samples:
    synth = Synth()
    silence = np.zeros((2, frames), np.float32)
    try:
        return render(synth, SPEC, silence, given, blocks=blocks, notes=notes).audio[0]  # type: ignore[arg-type]
    finally:
        synth.close()


@pytest.mark.parametrize("offset", [0, 1, 5, 31, 63, 64, 65, 127, 200])
def test_an_onset_comes_out_late_by_whole_blocks_to_the_sample(offset: int) -> None:
    sound = played([Event("on", offset, 60, 0.75)], 512)
    assert np.flatnonzero(sound[0]).tolist() == [offset + LATE]
    assert sound[0, offset + LATE] == np.float32(0.75)


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 700), min_size=1, max_size=12, unique=True),
    st.lists(st.integers(1, BLOCK), min_size=1, max_size=6),
)
def test_any_split_of_blocks_gives_the_same_sound(offsets: list[int], blocks: list[int]) -> None:
    notes = [Event("on", at, 60 + n, 0.5) for n, at in enumerate(sorted(offsets))]
    whole, split = played(notes, 1024), played(notes, 1024, blocks)
    np.testing.assert_array_equal(whole, split)
    assert np.flatnonzero(whole[0]).tolist() == [at + LATE for at in sorted(offsets)]


def test_the_declared_latency_is_one_block() -> None:
    synth = Synth()
    synth.prepare(SPEC)
    synth.close()
    assert synth.latency == LATE


def test_what_a_hop_cannot_hold_comes_in_the_next() -> None:
    notes = [Event("on", 3, 60, 0.001) for _ in range(MAX_NEW_EVENTS + 10)]
    sound = played(notes, 512)
    assert np.flatnonzero(sound[0]).tolist() == [3 + LATE, BLOCK + LATE]
    assert sound[0].sum() == pytest.approx(0.001 * len(notes), rel=1e-3)


def test_level_is_in_decibels() -> None:
    loud, soft = played([Event("on", 0, 60, 1.0)], 256), played([Event("on", 0, 60, 1.0)], 256, level=-20.0)
    assert soft[0].max() == pytest.approx(loud[0].max() * 0.1, rel=1e-4)


def test_a_synth_that_dies_in_a_file_says_so() -> None:
    with pytest.raises(Exception, match=r"synth/impulse .*must not be played"):
        played([Event("on", 0, 13, 1.0)], 4096)
