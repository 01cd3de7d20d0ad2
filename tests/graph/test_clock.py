"""Beats and samples there and back."""

import math

import pytest
from hypothesis import example, given, strategies as st

from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO, TempoMap

RATE = 48000
bpm = st.floats(MIN_TEMPO, MAX_TEMPO)
moves = st.one_of(
    st.tuples(st.just("tempo"), bpm, st.sampled_from([0.0, 0.5, 4.0, 64.0])),
    st.tuples(st.just("play"), st.none(), st.none()),
    st.tuples(st.just("stop"), st.none(), st.none()),
    st.tuples(st.just("locate"), st.floats(-100, 1000), st.none()),
)


def moved(tempo, sample, move):
    kind, a, b = move
    if kind == "tempo":
        tempo.set_tempo(sample, a, b)
    elif kind == "locate":
        tempo.set_transport(sample, None, a)
    else:
        tempo.set_transport(sample, kind == "play", None)


@given(bpm, st.lists(st.tuples(st.integers(0, 2_000_000), moves), max_size=8), st.integers(0, 20_000_000))
def test_the_two_ways_are_inverse(start, steps, later):
    tempo, sample = TempoMap(RATE, start, end_bpm=start), 0
    for gap, move in steps:
        sample += gap
        moved(tempo, sample, move)
    at = sample + later
    beat = tempo.beat_at(at)
    if tempo.playing:
        assert tempo.sample_at(beat) == pytest.approx(at, abs=0.01)
    else:
        assert beat == tempo.beat
        assert tempo.sample_at(beat + 1.0) == math.inf


@given(bpm, bpm, st.floats(0.1, 100.0), st.integers(0, 10**7), st.floats(0, 200))
@example(10.0, 10.000000000000002, 1.0, 0, 1.0)
def test_beats_to_samples_and_back_through_a_ramp(start, end, beats, sample, ahead):
    tempo = TempoMap(RATE, start, end_bpm=start)
    tempo.set_tempo(sample, end, beats)
    there = tempo.sample_at(tempo.beat + ahead)
    low, high = math.floor(there), math.floor(there) + 1
    assert tempo.beat_at(low) <= tempo.beat + ahead + 1e-6
    assert tempo.beat_at(high) >= tempo.beat + ahead - 1e-6


@given(bpm, st.lists(st.tuples(st.integers(1, 500_000), moves), min_size=1, max_size=8))
def test_a_change_never_makes_the_beat_jump_and_time_never_runs_back(start, steps):
    tempo, sample = TempoMap(RATE, start, end_bpm=start), 0
    for gap, move in steps:
        sample += gap
        before, pace = tempo.beat_at(sample), tempo.tempo_at(sample)
        assert MIN_TEMPO - 1e-6 <= pace <= MAX_TEMPO + 1e-6
        moved(tempo, sample, move)
        after = tempo.beat_at(sample)
        if move[0] == "locate":
            assert after == move[1]
        else:
            assert after == pytest.approx(before, abs=1e-9)
        if move[0] == "tempo" and move[2] == 0.0:
            assert tempo.tempo_at(sample) == move[1]
        else:
            assert tempo.tempo_at(sample) == pytest.approx(pace)
        assert tempo.beat_at(sample + 1000) >= after


def test_a_ramp_takes_its_beats_and_stays():
    tempo = TempoMap(RATE, 60.0, end_bpm=60.0)
    tempo.set_tempo(0, 120.0, 8.0)
    end = tempo.sample_at(8.0)
    # a line in beats: the time is 8 / (120 - 60) * ln(120 / 60) minutes
    assert end == pytest.approx(8.0 / 60.0 * math.log(2.0) * 60.0 * RATE)
    assert tempo.tempo_at(round(tempo.sample_at(4.0))) == pytest.approx(90.0, abs=1e-3)
    assert tempo.tempo_at(round(end) + 1) == 120.0
    assert tempo.sample_at(9.0) - end == pytest.approx(RATE / 2)


def test_a_ramp_cut_in_two_by_the_transport_is_the_same_ramp():
    whole, cut = (TempoMap(RATE, 60.0, end_bpm=60.0) for _ in range(2))
    whole.set_tempo(0, 180.0, 8.0)
    cut.set_tempo(0, 180.0, 8.0)
    cut.set_transport(70_000, False, None)
    assert cut.beat_at(500_000) == whole.beat_at(70_000)
    cut.set_transport(170_000, True, None)
    for n in range(70_000, 900_000, 50_000):
        assert cut.beat_at(n + 100_000) == pytest.approx(whole.beat_at(n))
