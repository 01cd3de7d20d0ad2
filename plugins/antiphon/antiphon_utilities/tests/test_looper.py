"""What a loop pedal has to do, to the frame and without a click."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from antiphon.api import StreamSpec
from antiphon.kernel.graph.clock import TempoMap
from antiphon.testing import render, run_processor
from antiphon_utilities.looper import EMPTY, FADE, OVERDUBBING, PLAYING, RECORDING, STOPPED, Looper
from antiphon_utilities.tests.conftest import RATE, SPEC, noise, sine, steepest

FRAMES = round(FADE * RATE)
ALONE = {"through": 0.0}
ORDERS = ("pedal", "record", "overdub", "play", "stop", "clear", "undo")


def clicks(frames, *at):
    x = np.zeros((2, frames), np.float32)
    x[:, list(at)] = 0.5
    return x


def orders(*given):
    return [(at, name, True) for at, name in given]


def at_frames(y):
    return np.flatnonzero(np.abs(y[0]) > 1e-3).tolist()


class TestRecording:
    def test_it_repeats_from_the_frame_it_is_told_to(self):
        x = clicks(120000, 800, 5000, 29000, 40000)
        y = run_processor(Looper(), SPEC, x, ALONE, orders((1000, "pedal"), (30001, "pedal")))
        wanted = [n for n in (5000, 29000) for n in range(n + 29001, 120000, 29001)]
        assert at_frames(y) == sorted(wanted)
        np.testing.assert_array_equal(y[0, wanted], np.float32(0.5))

    def test_what_is_repeated_is_bit_for_bit_but_for_the_seam(self):
        x = noise(100000)
        y = run_processor(Looper(), SPEC, x, ALONE, orders((1000, "record"), (31000, "play")))
        np.testing.assert_array_equal(y[:, 61000 : 91000 - FRAMES], x[:, 1000 : 31000 - FRAMES])

    def test_the_input_passes_at_through(self):
        x = noise(50000)
        y = run_processor(Looper(), SPEC, x, {}, orders((1000, "pedal")))
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(run_processor(Looper(), SPEC, x, {"through": 0.5}), 0.5 * x)

    def test_a_maximum_ends_it_and_it_plays(self):
        x = clicks(3 * RATE, 10100)
        done = render(Looper(), SPEC, x, {**ALONE, "maximum": 1.0}, orders((10000, "pedal")))
        assert at_frames(done.audio[0]) == [10100 + RATE, 10100 + 2 * RATE]
        assert done.reports["state"] == PLAYING
        assert done.reports["length"] == 1.0

    def test_two_taps_at_once_make_a_loop_of_8_ms(self):
        done = render(Looper(), SPEC, noise(9000), {}, orders((100, "pedal"), (100, "pedal"), (200, "pedal")))
        assert done.reports["length"] == 2 * FRAMES / RATE
        assert done.reports["state"] == PLAYING

    def test_a_new_recording_takes_the_place_of_the_old(self):
        x = clicks(150000, 2000, 52000)
        given = orders((1000, "record"), (11000, "record"), (50000, "record"), (80000, "play"))
        y = run_processor(Looper(), SPEC, x, ALONE, given)
        assert at_frames(y) == [12000, 22000, 32000, 42000, 82000, 112000, 142000]

    @pytest.mark.parametrize("hertz", [57.3, 201.7, 1333.3])
    def test_the_seam_does_not_click(self, hertz):
        x = sine(hertz, 200000, 0.3)
        for length in (20011, 20077, 20123):
            given = orders((1000, "pedal"), (1000 + length, "pedal"))
            y = run_processor(Looper(), SPEC, x, ALONE, given)
            # a sine that slides over 4 ms into itself at another phase adds at most this
            assert steepest(y) < steepest(x) + 2 * 0.3 / FRAMES * 1.05

    def test_states_are_told(self):
        looper, told = Looper(), []
        inner = looper.process

        def process(io):
            inner(io)
            told.append(io.reports["state"])

        looper.process = process
        given = [(n * 2560, "pedal") for n in range(1, 5)]
        given += [(5 * 2560, "stop"), (6 * 2560, "play"), (7 * 2560, "clear")]
        done = render(looper, SPEC, noise(9 * 2560), {}, orders(*given))
        wanted = [EMPTY, RECORDING, PLAYING, OVERDUBBING, PLAYING, STOPPED, PLAYING, EMPTY, EMPTY]
        assert told[5::10] == wanted
        assert done.reports == {"state": 0.0, "waiting": 0.0, "length": 0.0, "position": 0.0}


class TestLayers:
    LOOP = ((1000, "pedal"), (21000, "pedal"))

    def test_an_overdub_adds_and_undo_takes_it_back_and_puts_it_on(self):
        x = clicks(260000, 3000, 44000)
        given = (*self.LOOP, (40000, "pedal"), (50000, "pedal"), (101000, "undo"), (161000, "undo"))
        y = run_processor(Looper(), SPEC, x, ALONE, orders(*given))
        first = list(range(23000, 260000, 20000))
        second = [n for n in range(64000, 260000, 20000) if not 101000 <= n < 161000]
        assert at_frames(y) == sorted(first + second)

    def test_undo_takes_one_layer_back_not_two(self):
        x = clicks(200000, 3000, 44000, 64500)
        given = (*self.LOOP, (40000, "overdub"), (50000, "overdub"), (60000, "overdub"), (70000, "overdub"))
        y = run_processor(Looper(), SPEC, x, ALONE, orders(*given, (120000, "undo")))
        after = [n - 120000 for n in at_frames(y) if n >= 120000]
        assert after == sorted([*range(3000, 80000, 20000), *range(4000, 80000, 20000)])

    def test_an_overdub_on_what_was_taken_back_stays_without_it(self):
        x = clicks(260000, 3000, 44000, 128000)
        given = (*self.LOOP, (40000, "overdub"), (50000, "overdub"), (101000, "undo"), (125500, "overdub"))
        y = run_processor(
            Looper(), SPEC, x, ALONE, orders(*given, (130000, "play"), (181000, "undo"), (221000, "undo"))
        )
        later = [n for n in at_frames(y) if n >= 141000]
        old = list(range(143000, 260000, 20000))
        new = [n for n in range(148000, 260000, 20000) if not 181000 <= n < 221000]
        assert later == sorted(old + new)

    def test_an_overdub_longer_than_the_loop_is_one_layer(self):
        x = clicks(200000, 3000, 44000, 66000)
        given = (*self.LOOP, (40000, "overdub"), (100000, "overdub"), (121000, "undo"))
        y = run_processor(Looper(), SPEC, x, ALONE, orders(*given))
        assert [n for n in at_frames(y) if 101000 <= n < 121000] == [103000, 104000, 106000]
        assert [n for n in at_frames(y) if n >= 121000] == [123000, 143000, 163000, 183000]

    def test_undo_while_overdubbing_ends_it(self):
        x = clicks(100000, 3000, 44000)
        done = render(Looper(), SPEC, x, ALONE, orders(*self.LOOP, (40000, "pedal"), (50000, "undo")))
        assert done.reports["state"] == PLAYING
        assert at_frames(done.audio[0]) == [23000, 43000, 63000, 83000]

    def test_undo_while_recording_gives_it_up(self):
        done = render(Looper(), SPEC, noise(50000), ALONE, orders((1000, "pedal"), (21000, "undo")))
        assert done.reports["state"] == EMPTY
        assert not done.audio[0].any()

    @pytest.mark.parametrize("feedback", [0.0, 0.6])
    def test_feedback_is_what_an_overdub_leaves(self, feedback):
        x = clicks(160000, 3000, 44000)
        given = (*self.LOOP, (41000, "overdub"), (81000, "overdub"))
        y = run_processor(Looper(), SPEC, x, {**ALONE, "feedback": feedback}, orders(*given))
        np.testing.assert_allclose(
            y[0, [43000, 63000, 83000, 103000]], [0.5 * feedback**n for n in (0, 1, 2, 2)], atol=1e-6
        )
        np.testing.assert_allclose(y[0, [64000, 84000, 104000]], [0.5 * feedback**n for n in (0, 1, 1)], atol=1e-6)

    @pytest.mark.parametrize("last", ["play", "stop", "undo", "clear", "record"])
    @pytest.mark.parametrize("feedback", [0.0, 0.5, 1.0])
    def test_nothing_it_is_told_clicks(self, last, feedback):
        x = sine(150.3, 200000, 0.3)
        given = (*self.LOOP, (43210, "overdub"), (87653, last), (140001, "play"))
        y = run_processor(Looper(), SPEC, x, {**ALONE, "feedback": feedback}, orders(*given))
        # up to four layers of the sine, each sliding at most once in these 4 ms
        assert steepest(y) < 4 * steepest(x) + 4 * 2 * 0.3 / FRAMES
        assert steepest(y) < 0.1 * np.abs(y).max()

    def test_a_stopped_loop_is_silent_and_plays_from_its_beginning(self):
        x = clicks(120000, 3000)
        given = (*self.LOOP, (30000, "stop"), (60000, "play"))
        assert at_frames(run_processor(Looper(), SPEC, x, ALONE, orders(*given))) == [23000, 62000, 82000, 102000]

    def test_overdub_from_a_recording_goes_on_with_the_next_layer(self):
        x = clicks(100000, 3000, 25000)
        given = orders((1000, "record"), (21000, "overdub"), (41000, "stop"), (60000, "play"))
        assert at_frames(run_processor(Looper(), SPEC, x, ALONE, given)) == [23000, 62000, 64000, 82000, 84000]


class TestClock:
    def test_start_and_end_wait_for_the_quantum(self, on_clock):
        x = clicks(9 * RATE, 96000, 100000)
        given = orders((50000, "pedal"), (180000, "pedal"))
        done = render(on_clock(Looper()), SPEC, x, {**ALONE, "sync": True}, given)
        assert done.reports["length"] == 2.0
        y = done.audio[0]
        assert [n for n in at_frames(y) if n % 96000 > 1000] == [196000, 292000, 388000]
        assert done.reports["waiting"] == 0.0

    def test_an_order_on_the_beat_itself_does_not_wait(self, on_clock):
        x = clicks(4 * RATE, 30000)
        given = orders((24000, "record"), (48000, "play"))
        y = run_processor(on_clock(Looper()), SPEC, x, {**ALONE, "sync": True, "beats": 1}, given)
        assert at_frames(y) == list(range(54000, 4 * RATE, 24000))

    def test_a_loop_stays_with_a_clock_whose_beats_are_no_whole_frames(self, on_clock):
        bpm, quantum = 133.7, 1
        tempo = TempoMap(RATE, bpm, end_bpm=bpm)

        def beat(k):
            return math.ceil(tempo.sample_at(k) - 1e-3)

        frames = beat(90)
        assert 88 * ((beat(3) - beat(2)) - 60 * RATE / bpm) > 5
        x = clicks(frames, beat(2) + 5000)
        given = orders((beat(1) + 9, "record"), (beat(2) + 11, "play"))
        y = run_processor(on_clock(Looper(), bpm), SPEC, x, {**ALONE, "sync": True, "beats": quantum}, given)
        assert at_frames(y) == [beat(k) + 5000 for k in range(3, 90)]

    def test_with_the_clock_stopped_it_waits_for_it(self, on_clock):
        changes = [
            (0, lambda tempo: tempo.set_transport(0, False, None)),
            (25600, lambda tempo: tempo.set_transport(25600, True, 0.0)),
            (102400, lambda tempo: tempo.set_transport(102400, False, None)),
        ]
        x = clicks(4 * RATE, 26000, 97000)
        given = orders((5000, "record"), (110000, "play"))
        done = render(on_clock(Looper(), 120.0, changes), SPEC, x, {**ALONE, "sync": True}, given)
        # and where it stops while it records, the end is at once
        assert done.reports["length"] == (110000 - 25600) / RATE
        assert at_frames(done.audio[0]) == [110400, 181400]
        waiting = render(on_clock(Looper(), 120.0, changes[:1]), SPEC, x, {"sync": True}, given[:1])
        assert (waiting.reports["waiting"], waiting.reports["state"]) == (1.0, EMPTY)

    def test_a_recording_over_a_change_of_tempo_is_as_long_as_it_came_out(self, on_clock):
        changes = [(24000, lambda tempo: tempo.set_tempo(24000, 240.0))]
        given = orders((0, "record"), (30000, "play"))
        done = render(on_clock(Looper(), 120.0, changes), SPEC, noise(RATE * 3), {"sync": True}, given)
        assert done.reports["length"] == pytest.approx((24000 + 3 * 12000) / RATE, abs=0.01)


@given(
    blocks=st.lists(st.integers(1, 256), min_size=1, max_size=6),
    said=st.lists(st.tuples(st.integers(0, 9999), st.sampled_from(ORDERS)), max_size=14),
    sync=st.booleans(),
    bpm=st.floats(200, 999),
    feedback=st.sampled_from([0.0, 0.7, 1.0]),
)
@settings(max_examples=20)
def test_whatever_it_is_told_any_split_gives_the_same_samples(on_clock, blocks, said, sync, bpm, feedback):
    slow = StreamSpec(8000, 256, 2)  # so that a second, the maximum here, is soon over
    x = noise(10000)
    first = {"sync": sync, "beats": 1, "feedback": feedback, "maximum": 1.0}
    changes = [(0, "pedal", True), *sorted((at, name, True) for at, name in said), (5000, "level", 0.5)]
    whole = render(on_clock(Looper(), bpm, rate=8000), slow, x, first, changes)
    split = render(on_clock(Looper(), bpm, rate=8000), slow, x, first, changes, blocks=blocks)
    np.testing.assert_array_equal(split.audio[0], whole.audio[0])
    assert split.reports == whole.reports


def memory_by_block() -> list[int]:
    """The most memory that each block has taken, in bytes; of all threads of this process."""
    looper, sizes = Looper(), []
    inner = looper.process

    def process(io):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        inner(io)
        sizes.append(tracemalloc.get_traced_memory()[1] - before)

    looper.process = process
    given = orders((256, "record"), (25000, "overdub"), (60000, "undo"), (70000, "pedal"), (90000, "clear"))
    tracemalloc.start()
    try:
        render(looper, SPEC, noise(100000), {"maximum": 2.0}, given)
    finally:
        tracemalloc.stop()
    return sizes[2:]


def test_playing_takes_no_memory():
    # a thread that another test has left may take some in one of two runs, the looper does so in both
    assert max(map(min, memory_by_block(), memory_by_block())) < 4096
