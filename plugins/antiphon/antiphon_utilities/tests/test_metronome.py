"""Where clicks fall, and which they are."""

import math

import numpy as np
import pytest

from antiphon.kernel.graph.clock import TempoMap
from antiphon.testing import render, run_processor
from antiphon_utilities.metronome import LENGTH, Metronome
from antiphon_utilities.tests.conftest import RATE, SPEC

LOUD = {"level": 1.0}


def quiet(frames):
    return np.zeros((2, frames), np.float32)


def onsets(y):
    """First frames of clicks: sound after none, or a leap no click makes by itself."""
    loud = np.abs(y[0])
    began = np.flatnonzero((loud > 0.3) & (np.concatenate([[0.0], loud[:-1]]) == 0.0))
    return began.tolist()


def expected(tempo, frames, division=1):
    at = [math.ceil(tempo.sample_at(k / division) - 1e-3) for k in range(2000)]
    return [n for n in at if n < frames]


@pytest.mark.parametrize(
    ("bpm", "division"), [(60.0, 1), (60.0, 4), (97.3, 1), (97.3, 3), (120.0, 2), (233.0, 1), (233.0, 4), (999.0, 1)]
)
def test_every_click_is_on_its_frame(on_clock, bpm, division):
    frames = 3 * RATE
    y = run_processor(on_clock(Metronome(), bpm), SPEC, quiet(frames), {**LOUD, "division": division})
    assert onsets(y) == expected(TempoMap(RATE, bpm, end_bpm=bpm), frames, division)


def test_it_adds_to_its_input_and_off_passes_it(on_clock):
    x = np.random.default_rng(1).normal(0, 0.1, (2, RATE)).astype(np.float32)
    alone = run_processor(on_clock(Metronome()), SPEC, quiet(RATE))
    np.testing.assert_allclose(run_processor(on_clock(Metronome()), SPEC, x), x + alone, atol=1e-6)
    np.testing.assert_array_equal(run_processor(on_clock(Metronome()), SPEC, x, {"on": False}), x)
    assert Metronome().latency == 0


def test_a_bar_begins_on_its_first_beat(on_clock):
    y = run_processor(on_clock(Metronome()), SPEC, quiet(4 * RATE), {**LOUD, "bar": 3, "first": 4})
    np.testing.assert_allclose(y[0, onsets(y)], [1.0 if k in (1, 4, 7) else 0.7 for k in range(8)])


def test_accents_and_divisions_are_told_apart(on_clock):
    frames = 4 * RATE
    y = run_processor(on_clock(Metronome()), SPEC, quiet(frames), {**LOUD, "bar": 3, "division": 2, "accent": 3000.0})
    at = onsets(y)
    np.testing.assert_allclose(y[0, at], [(1.0 if k % 6 == 0 else 0.7 if k % 2 == 0 else 0.4) for k in range(len(at))])

    def pitch(n):
        heard = y[0, n : n + round(LENGTH * RATE)]
        return np.abs(np.fft.rfft(heard, RATE)).argmax()

    assert pitch(at[0]) == pytest.approx(3000, abs=30)
    assert pitch(at[6]) == pytest.approx(3000, abs=30)
    assert pitch(at[1]) == pytest.approx(1000, abs=30)
    assert pitch(at[2]) == pytest.approx(1000, abs=30)


def test_no_accent_where_bar_is_0(on_clock):
    y = run_processor(on_clock(Metronome()), SPEC, quiet(2 * RATE), {**LOUD, "bar": 0})
    np.testing.assert_allclose(y[0, onsets(y)], 0.7)


def test_another_division_is_clicked_from_where_it_comes(on_clock):
    y = run_processor(on_clock(Metronome(), 120.0), SPEC, quiet(RATE), LOUD, [(15360, "division", 4)])
    assert onsets(y) == [0, 18000, 24000, 30000, 36000, 42000]


@pytest.mark.parametrize("at", range(23900, 24101, 7))
def test_a_change_of_tempo_moves_what_follows_and_loses_no_beat(on_clock, at):
    """About the second beat, wherever in its block."""
    change = (at, lambda tempo: tempo.set_tempo(at, 180.0))
    y = run_processor(on_clock(Metronome(), 120.0, [change]), SPEC, quiet(RATE), LOUD)
    tempo = TempoMap(RATE, 120.0, end_bpm=120.0)
    tempo.set_tempo(at, 180.0)
    # a beat in the very block whose end brings another tempo is where the block's beginning put it
    second = 24000 if at >= 24000 else math.ceil(tempo.sample_at(1))
    found = onsets(y)
    assert found[0] == 0
    assert abs(found[1] - second) < 256
    assert found[2:] == expected(tempo, RATE)[2:]


def test_a_tempo_that_glides_is_followed_to_the_frame(on_clock):
    change = (0, lambda tempo: tempo.set_tempo(0, 200.0, 16.0))
    y = run_processor(on_clock(Metronome(), 80.0, [change]), SPEC, quiet(8 * RATE), LOUD)
    tempo = TempoMap(RATE, 80.0, end_bpm=80.0)
    tempo.set_tempo(0, 200.0, 16.0)
    found, wanted = onsets(y), expected(tempo, 8 * RATE)
    assert len(found) == len(wanted)
    assert np.abs(np.subtract(found, wanted)).max() <= 1


def test_a_stopped_clock_is_silent_and_begins_where_it_is_told(on_clock):
    changes = [
        (2 * 256, lambda tempo: tempo.set_transport(2 * 256, False, None)),
        (100 * 256, lambda tempo: tempo.set_transport(100 * 256, True, 3.0)),
        (200 * 256, lambda tempo: tempo.set_transport(200 * 256, None, 7.5)),
    ]
    done = render(on_clock(Metronome(), 120.0, changes), SPEC, quiet(2 * RATE), LOUD)
    y = done.audio[0]
    at = onsets(y)
    # 3, then 4 which is an accent, then from 7.5 on: 8, an accent
    assert at[:3] == [0, 25600, 25600 + 24000]
    assert at[3] == 200 * 256 + 12000
    np.testing.assert_allclose(y[0, at[:4]], [1.0, 0.7, 1.0, 1.0])
    # the click that sounded when it stopped dies away, and no other begins
    assert not y[0, 256 * 6 : 25600].any()
    assert done.reports["beat"] == 2.0


@pytest.mark.parametrize("at", range(9984, 10240, 17))
def test_the_beat_jumped_to_is_heard_within_a_block(on_clock, at):
    change = (at, lambda tempo: tempo.set_transport(at, None, 8.0))
    y = run_processor(on_clock(Metronome(), 120.0, [change]), SPEC, quiet(RATE), LOUD)
    found = onsets(y)
    assert 0 <= found[1] - at < 256
    assert found[2] == at + 24000
    np.testing.assert_allclose(y[0, found[1:3]], [1.0, 0.7])


def test_what_is_told_while_it_is_silent(on_clock):
    assert render(on_clock(Metronome()), SPEC, quiet(999), {"on": False}).reports == {"beat": 0.0}
