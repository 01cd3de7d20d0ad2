"""The engine's one code path: timed actions to the sample, swaps, panic, the limiter, counters."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.clock import ThreadTime
from tests.local import RATE, TYPES, Hear, cell, graph, plan, play, put, said, staged

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.engine.action_schedule import CAPACITY
from antiphon.kernel.engine.graph_player import MAX_REPORTS
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.session.actions import NodeReset, NodeSet
from antiphon.kernel.session.commands import (
    AwaitPlayer,
    Beat,
    ClearSchedule,
    NudgeBeat,
    Panic,
    Sample,
    SetTempo,
    SetTransport,
    Sync,
)
from antiphon.native.dsp import KNEE
from antiphon.testing import sound as audio

SPEC = StreamSpec(RATE, 256, 2)
GAIN = graph({"g": "gain"}, ["in > g", "g > out"])
THROUGH = graph({}, ["in > out"])


def ones(frames, level=0.5):
    return np.full((2, frames), level, np.float32)


def step(x):
    return float(np.abs(np.diff(x, axis=1)).max())


@pytest.fixture
def player():
    return staged(GAIN)


@pytest.mark.parametrize("sample", [0, 1, 255, 256, 257, 1000, 1023])
@pytest.mark.parametrize("blocks", [[256], [1], [64], [250, 6, 3]])
def test_a_step_is_heard_from_exactly_its_sample(sample, blocks, player):
    player.at_sample(sample, put(GAIN, "g", "step", 0.5))
    y = play(player, ones(1500 if blocks != [1] else 1030), blocks)
    assert (y[:, :sample] == 0.5).all()
    assert (y[:, sample:] == 0.25).all()
    assert player.counters.late == 0


def test_a_smoothed_change_and_a_ramp_begin_at_their_sample(player):
    player.at_sample(333, put(GAIN, "g", "gain", 0.0))
    player.at_sample(1000, put(GAIN, "g", "gain", 1.0, 0.01))
    y = play(player, ones(2000))[0] / 0.5
    np.testing.assert_allclose(y[333:525], 1 - np.arange(1, 193) / 192, atol=1e-6)
    np.testing.assert_allclose(y[1000:1480], np.arange(1, 481) / 480, atol=1e-6)
    assert (y[1480:] == 1).all()


def test_now_is_the_start_of_the_next_block_in_the_order_given(player):
    play(player, ones(256))
    player.take(put(GAIN, "g", "step", 0.25))
    player.take(put(GAIN, "g", "step", 0.5))
    y = play(player, ones(256))
    assert (y == 0.25).all()


def test_a_beat_is_heard_where_the_tempo_puts_it_wherever_the_tempo_goes():
    player = staged(GAIN, tempo=120.0)
    player.take(put(GAIN, "g", "step", 0.5, when=Beat(2.0)))
    # from beat 1 (sample 24000) on twice as fast: beat 2 is 12000 frames later
    player.take(SetTempo(240.0, when=Beat(1.0)))
    y = play(player, ones(40000))[0]
    assert np.flatnonzero(y == 0.25)[0] == 36000


def test_a_quantum_takes_the_next_multiple_that_is_not_past():
    player = staged(GAIN, tempo=120.0)
    play(player, ones(12100))
    player.take(put(GAIN, "g", "step", 0.5, when=Beat(0.0, 4.0)))
    y = play(player, ones(90000))[0]
    assert np.flatnonzero(y == 0.25)[0] + 12100 == 96000
    player.take(put(GAIN, "g", "step", 1.0, when=Beat(8.0, 4.0)))
    y = play(player, ones(100000))[0]
    assert np.flatnonzero(y == 0.5)[0] + 102100 == 192000
    assert player.counters.late == 0


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 256), min_size=1, max_size=8),
    st.lists(
        st.one_of(
            st.tuples(st.integers(0, 3999), st.sampled_from(["gain", "step", "wet", "mute", "bypass"]),
                      st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.01])),
            st.tuples(st.integers(0, 3999), st.just("tempo"), st.floats(30, 300), st.sampled_from([0.0, 0.1])),
            st.tuples(st.integers(0, 3999), st.sampled_from(["stop", "play"]), st.just(0.0), st.just(0.0)),
            st.tuples(st.floats(0, 0.2), st.sampled_from(["beat"]), st.sampled_from([0.0, 1.0]), st.just(0.0)),
        ),
        max_size=10,
    ),
)  # fmt: skip
def test_any_split_of_blocks_gives_the_same_samples(blocks, asked):
    x = audio.noise(4000, 2)
    heard = []
    for sizes in ([256], blocks):
        player = staged(GAIN)
        for when, what, number, ramp in asked:
            match what:
                case "tempo":
                    player.at_sample(when, SetTempo(number, ramp))
                case "stop" | "play":
                    player.at_sample(when, SetTransport(what == "play"))
                case "beat":
                    player.take(put(GAIN, "g", "step", number, when=Beat(when)))
                case _:
                    player.at_sample(when, put(GAIN, "g", what, number, ramp))
        heard.append(play(player, x, sizes))
    np.testing.assert_array_equal(heard[0], heard[1])


def test_a_late_command_is_applied_at_once_counted_and_reported(player):
    play(player, ones(4800))
    player.reports.clear()
    player.at_sample(2400, put(GAIN, "g", "step", 0.5))
    player.take(put(GAIN, "g", "step", 0.25, when=Beat(0.0)))
    y = play(player, ones(10))
    assert (y == 0.125).all()
    assert player.counters.late == 2
    late = said(player, "late")
    assert [(r.node, r.cell) for r in late] == [(1, cell("gain", "step"))] * 2
    assert late[0].number == pytest.approx(0.05)
    assert late[1].number == pytest.approx(0.1, abs=1e-4)


def test_what_fell_due_in_missed_blocks_is_late_too(player):
    play(player, ones(256))
    player.at_sample(300, put(GAIN, "g", "step", 0.5))
    player.skip(4800)
    y = play(player, ones(1024))
    assert (y[:, 512:] == 0.25).all()
    assert player.counters.late == 1
    assert said(player, "late")[0].number == pytest.approx((256 + 4800 - 300) / RATE)


@pytest.mark.parametrize("jump", [SetTransport(None, 8.0), NudgeBeat(8.0)])
def test_what_a_jump_of_the_transport_passes_is_applied_at_the_jump(jump, player):
    player.at_sample(50, put(GAIN, "g", "step", 0.5))
    player.take(put(GAIN, "g", "step", 2.0, when=Beat(4.0)))
    player.at_sample(100, jump)
    y = play(player, ones(256, 0.25))[0]
    assert (y[:50] == 0.25).all()
    assert (y[50:100] == 0.125).all()
    assert (y[100:] == 0.5).all()


def test_a_full_schedule_refuses_counts_and_still_answers_a_sync(player):
    for n in range(CAPACITY):
        player.at_sample(10**9 + n, put(GAIN, "g", "step", 0.5))
    assert player.counters.schedule_dropped == 0
    player.at_sample(10, put(GAIN, "g", "step", 0.5))
    player.take(Sync(7, when=Beat(1e6)))
    assert player.counters.schedule_dropped == 2
    assert [r.token for r in said(player, "synced")] == [7]
    assert (play(player, ones(256)) == 0.5).all()


def test_a_sync_is_answered_after_the_block_of_its_time(player):
    player.at_sample(300, Sync(3))
    player.take(Sync(2))
    play(player, ones(256))
    assert [r.token for r in said(player, "synced")] == [2]
    play(player, ones(256))
    assert [r.token for r in said(player, "synced")] == [2, 3]


def test_clear_drops_what_waits_and_answers_its_syncs(player):
    player.at_sample(300, put(GAIN, "g", "step", 0.5))
    player.take(Sync(4, when=Beat(1.0)))
    player.take(ClearSchedule())
    assert (play(player, ones(1000)) == 0.5).all()
    assert [r.token for r in said(player, "synced")] == [4]
    assert len(player.schedule) == 0


def test_a_set_before_its_plan_is_applied_with_it(player):
    second = graph({"g": "gain", "h": "gain"}, ["in > g", "g > h", "h > out"])
    player.take(put(second, "h", "step", 0.5))
    assert (play(player, ones(256)) == 0.5).all()
    player.load(plan(second, SPEC, player.plan), 2, 0.0)
    assert (play(player, ones(256)) == 0.25).all()
    assert [(r.token, r.number) for r in said(player, "loaded")] == [(1, 0.0), (2, 0.0)]


def test_the_clock_waits_for_a_node_of_a_new_patch_and_not_for_one_that_an_edit_adds(monkeypatch):
    monkeypatch.setattr(TYPES["lag"], "awaits", lambda self, values: True)
    player, waiting = staged(GAIN), graph({"l": "lag"}, ["in > l", "l > out"])
    play(player, ones(256))
    edited = graph({"g": "gain", "l": "lag"}, ["in > g", "g > l", "l > out"])
    for number, made, playing in ((2, edited, True), (3, GAIN, True), (4, waiting, False), (5, GAIN, True)):
        player.load(plan(made, SPEC, player.plan, {"g": 1, "l": 2}), number, 0.0)
        play(player, ones(256))
        assert player.tempo.playing == playing


def test_a_set_of_a_cell_that_is_not_there_changes_nothing(player):
    player.take(NodeSet(1, 99, 0.0))
    player.take(NodeSet(1, -1, 0.0))
    player.take(NodeSet(77, 3, 0.0))
    player.take(NodeReset(77))
    assert (play(player, ones(256)) == 0.5).all()


def test_panic_is_silence_within_a_block_and_empties_the_schedule():
    nodes = {"l": ("lag", {"frames": 3000}), "e": "echo"}
    made = graph(nodes, ["in > l", "l > out", "in > e", "e > e", "e > out"])
    player = staged(made)
    x = np.zeros((2, 256 * 40), np.float32)
    x[:, : 256 * 20] = audio.noise(256 * 20, 2)
    play(player, x[:, : 256 * 20])
    player.at_sample(player.sample + 500, put(made, "l", "wet", 0.0))
    player.take(Sync(5, when=Beat(100.0)))
    player.take(Panic())
    y = play(player, x[:, 256 * 20 :])
    assert y[:, :200].any()
    assert np.abs(y[:, 255]).max() < 1e-6
    assert not y[:, 256:].any()
    assert len(player.schedule) == 0
    assert [r.token for r in said(player, "synced")] == [5]


def test_panic_amid_a_swap_cuts_the_old_plan_too():
    made = graph({"l": ("lag", {"frames": 3000})}, ["in > l", "l > out"])
    player = staged(made)
    play(player, audio.noise(2560, 2))
    player.load(plan(THROUGH, SPEC, player.plan), 2, 1.0)
    play(player, np.zeros((2, 256), np.float32))
    player.take(Panic())
    y = play(player, np.zeros((2, 8000), np.float32))
    assert not y[:, 256:].any()


def test_a_swap_fades_without_a_step_and_ends_in_the_new_plan():
    player = staged(THROUGH)
    made = graph({"g": ("gain", {"gain": 0.25})}, ["in > g", "g > out"])
    x = audio.sine(200, 0.2, channels=2, level=-6)
    play(player, x[:, :1024])
    player.load(plan(made, SPEC, player.plan), 2, 0.02)
    assert player.fading
    y = play(player, x[:, 1024:])
    frames = round(0.02 * RATE)
    share = np.clip(np.arange(1, y.shape[1] + 1) / frames, 0, 1)
    np.testing.assert_allclose(y, x[:, 1024:] * (1 - 0.75 * share), atol=1e-6)
    assert step(y) < step(x) + 1 / frames
    assert not player.fading


def test_a_node_made_anew_under_its_old_number_fades_from_what_it_was():
    player = staged(graph({"c": ("lag", {"frames": 0})}, ["in > c", "c > out"]))
    x = audio.sine(200, 0.2, channels=2, level=-6)
    play(player, x[:, :1024])
    other = graph({"c": "echo"}, ["in > c", "c > out"])
    player.load(plan(other, SPEC, player.plan), 2, 0.02)
    y = play(player, x[:, 1024:])
    share = np.clip(np.arange(1, y.shape[1] + 1) / 960, 0, 1)
    np.testing.assert_allclose(y, x[:, 1024:] * (1 - 0.5 * share), atol=1e-6)


def test_a_note_sounds_once_in_a_plan_that_fades_out():
    first = graph({"k": "clicker", "n": "notes"}, ["in > k", "k.notes > n", "n > out"])
    player = staged(first)
    player.at_sample(2000, put(first, "k", "fire", 1.0))
    play(player, np.zeros((2, 2048), np.float32))
    second = graph({"k": "clicker"}, ["in > k"])
    player.load(plan(second, SPEC, player.plan), 2, 0.1)
    assert not play(player, np.zeros((2, 4800), np.float32)).any()


@pytest.mark.parametrize("fade", [0.0, 0.02])
def test_what_delays_a_branch_goes_on_over_a_swap(fade):
    first = graph({"l": ("lag", {"frames": 2000})}, ["in > l", "l > out", "in > out"])
    second = graph({"l": ("lag", {"frames": 2000}), "x": "gain"}, ["in > l", "l > out", "in > out", "in > x"])
    player = staged(first)
    x = audio.sine(200, 0.3, channels=2, level=-12)
    before = play(player, x[:, :4096])
    player.load(plan(second, SPEC, player.plan), 2, fade)
    y = np.concatenate([before, play(player, x[:, 4096:])], axis=1)
    np.testing.assert_allclose(y[:, 2000:], 2 * x[:, :-2000], atol=1e-6)


@pytest.mark.parametrize("fade", [0.0, 0.02])
def test_what_goes_round_a_cycle_goes_on_over_a_swap(fade):
    first = graph({"e": "echo"}, ["in > e", "e > e", "e > out"])
    second = graph({"e": "echo", "x": "gain"}, ["in > e", "e > e", "e > out", "in > x"])
    x = audio.noise(6000, 2)
    whole = play(staged(first), x)
    player = staged(first)
    before = play(player, x[:, :2048])
    player.load(plan(second, SPEC, player.plan), 2, fade)
    y = np.concatenate([before, play(player, x[:, 2048:])], axis=1)
    np.testing.assert_allclose(y, whole, atol=1e-6)


def test_a_failure_is_reported_and_reset_tells_that_it_runs():
    made = graph({"w": "wrong"}, ["in > w", "w > out"])
    player = staged(made)
    player.at_sample(256, put(made, "w", "go", 1.0))
    player.at_sample(1000, put(made, "w", "go", 0.0))
    play(player, ones(2048))
    failed = said(player, "failed")
    assert [r.node for r in failed] == [1]
    assert failed[0].text.startswith("raised ValueError: as I was told (local.py, line ")
    player.take(NodeReset(1))
    y = play(player, ones(2048))
    assert [r.node for r in said(player, "running")] == [1]
    assert (y[:, 1000:] == 0.25).all()


def test_a_processor_is_told_the_time_of_its_block():
    kept = []
    made = graph({"h": "hear"}, ["in > h", "h > out"])
    player = staged(made, tempo=120.0)
    hear = player.plan.hosts[1].processor
    assert isinstance(hear, Hear)
    play(player, ones(512))
    player.take(SetTransport(False, 16.0))
    play(player, ones(256))
    player.take(SetTransport(True, None))
    player.take(SetTempo(60.0))
    play(player, ones(512))
    kept = hear.times
    assert [t[0] for t in kept] == [0, 256, 512, 768, 1024]
    assert [t[1] for t in kept] == pytest.approx([0, 256 / 24000, 16.0, 16.0, 16.0 + 256 / 48000])
    assert [t[2:] for t in kept] == [(120.0, True)] * 2 + [(120.0, False)] + [(60.0, True)] * 2


def test_beats_are_reported_as_they_begin():
    player = staged(THROUGH, tempo=120.0)
    play(player, ones(73000))
    assert [r.token for r in said(player, "beat")] == [1, 2, 3]


def test_the_tempo_stays_within_its_range():
    player = staged(THROUGH)
    player.take(SetTempo(1e9))
    play(player, ones(10))
    assert player.tempo.tempo_at(player.sample) == MAX_TEMPO
    player.take(SetTempo(-5.0))
    play(player, ones(10))
    assert player.tempo.tempo_at(player.sample) == MIN_TEMPO


def test_below_minus_1_dbfs_the_output_is_the_very_sound():
    x = np.clip(audio.noise(9000, 2, level=-3), -0.999 * KNEE, 0.999 * KNEE).astype(np.float32)
    player = staged(THROUGH)
    np.testing.assert_array_equal(play(player, x, [256, 11]), x)
    assert player.counters.limited_blocks == 0


def test_above_it_nothing_leaves_full_scale_and_the_block_is_counted():
    player = staged(graph({"g": ("gain", {"gain": 4.0})}, ["in > g", "g > out"]))
    y = play(player, audio.sine(300, 0.1, channels=2, level=-1))
    assert 0.8 < np.abs(y).max() <= 1.0
    assert player.counters.limited_blocks > 0


def test_a_nudge_moves_the_beat_from_where_it_is_at_its_sample():
    player = staged(THROUGH, tempo=60.0)
    player.take(NudgeBeat(0.25, Sample(24000)))
    player.take(NudgeBeat(-0.5, Sample(36000)))
    play(player, ones(48000))
    assert player.tempo.beat_at(48000) == pytest.approx(1.0 + 0.25 - 0.5)
    assert player.tempo.playing
    player.take(SetTransport(False))
    player.take(NudgeBeat(-1.75))
    play(player, ones(256))
    assert player.tempo.beat_at(player.sample) == pytest.approx(-1.0), "stopped, it stands there"


def test_nan_from_outside_is_silence_and_is_counted():
    player = staged(THROUGH)
    x = ones(768)
    x[1, 300] = np.nan
    y = play(player, x)
    assert (y[:, :256] == 0.5).all()
    assert not y[:, 256:512].any()
    assert (y[:, 512:] == 0.5).all()
    assert player.counters.nan_blocks == 1


def test_reports_are_bounded_and_what_is_lost_is_counted():
    player = staged(THROUGH)
    player.reports.clear()
    for n in range(1, MAX_REPORTS + 6):
        player.take(Sync(n))
    play(player, ones(1))
    assert len(player.reports) == MAX_REPORTS
    assert player.counters.reports_dropped == 5


@pytest.mark.parametrize("action", [
    SetTransport(None, 1.7),
    SetTransport(True, 8.0),
    SetTransport(False, None),
    SetTempo(77.0),
    NudgeBeat(0.3),
    NudgeBeat(-2.5),
])  # fmt: skip
def test_what_is_asked_for_now_is_the_same_as_at_the_blocks_first_sample(action):
    """A session log holds samples: a jump of the beat has to be heard alike when it is played again."""
    times = []
    for replayed in (False, True):
        player = staged(graph({"h": "hear"}, ["in > h", "h > out"]))
        play(player, ones(1024))
        if replayed:
            player.at_sample(player.sample, action)
        else:
            player.take(action)
        play(player, ones(512))
        times.append(player.plan.hosts[1].processor.times)
    assert times[0] == times[1]


def test_a_node_that_overran_returns_by_itself_and_is_left_out_longer_when_it_fails_again(monkeypatch):
    thread, slow = ThreadTime(monkeypatch), [True]

    def clock():
        spent = 20_000_000 if slow[0] else 0
        thread.passes(spent, spent)

    monkeypatch.setattr(TYPES["wrong"], "clock", staticmethod(clock))
    made = graph({"w": ("wrong", {"how": "slow", "go": True})}, ["in > w", "w > out"])
    stage = staged(made)
    stage.plan.watched = True
    stage.applied = deque()

    def seconds_until(kind):
        """Until the player reports it; the seconds of sound."""
        began = stage.sample
        stage.reports.clear()
        while not (found := said(stage, kind)):
            play(stage, ones(256))
            assert stage.sample - began < 20 * RATE
        return (stage.sample - began) / RATE, found[0].text

    assert "again in 2 s" in seconds_until("failed")[1]
    assert seconds_until("running")[0] == pytest.approx(2.0, abs=0.02)
    assert [type(a.action) for a in stage.applied] == [NodeReset], "a session's log has it, for a replay"
    took, why = seconds_until("failed")
    assert took < 0.1, "one that is being tried gets less time"
    assert "again in 4 s" in why
    slow[0] = False
    assert seconds_until("running")[0] == pytest.approx(4.0, abs=0.02)
    assert (play(stage, ones(9600))[:, -256:] == 0.25).all(), "it is heard again"
    play(stage, ones(RATE * 31))
    slow[0] = True
    assert "again in 2 s" in seconds_until("failed")[1], "one that ran well is trusted again"
    stage.at_sample(stage.sample, NodeReset(1))
    assert seconds_until("running")[0] < 0.1
    slow[0] = False
    stage.reports.clear()
    play(stage, ones(RATE * 3))
    assert not said(stage, "running"), "who was reset by hand is not reset again"


def test_a_node_that_gave_nan_is_reset_at_once_and_after_pauses_where_it_gives_it_again():
    made = graph({"w": ("wrong", {"how": "nan"})}, ["in > w", "w > out"])
    stage = staged(made)
    play(stage, ones(256))
    stage.take(put(made, "w", "go", 1.0))
    stage.at_sample(512, put(made, "w", "go", 0.0))
    y = play(stage, ones(RATE))
    assert [r.text for r in said(stage, "failed")] == ["gave NaN or infinity"]
    assert (y[:, RATE // 20 :] == 0.25).all(), "one block of it costs a twentieth of a second"
    stage.take(put(made, "w", "go", 1.0))
    play(stage, ones(RATE * 8))
    pauses = [r.text.partition("again; it is tried ")[2] for r in said(stage, "failed")[1:]]
    assert pauses == ["again in 2 s", "again in 4 s", "again in 8 s"]


LED = graph({"l": "leader"}, ["in > l", "l > out"])


def led(on=True):
    """A stage whose clock was begun by hand."""
    stage = staged(graph({"l": ("leader", {"on": on})}, ["in > l", "l > out"]))
    stage.take(SetTransport(True))
    play(stage, ones(256))
    return stage


@pytest.mark.parametrize("node", [1, 0], ids=["by its number", "by the plan"])
def test_a_clock_waits_from_a_beat_on_at_another(node):
    stage = led()
    stage.take(AwaitPlayer(node, 8.0, Beat(1.0)))
    play(stage, ones(24000 - 512))
    assert stage.tempo.playing
    play(stage, ones(1024))
    assert (stage.tempo.playing, stage.tempo.waits, stage.tempo.beat) == (False, 1, 8.0)
    assert stage.tempo.sample == 24000
    stage.take(SetTransport(True))
    play(stage, ones(48000))
    assert stage.tempo.playing, "it does not wait later"


def test_a_clock_waits_for_no_node_that_is_off():
    stage = led()
    stage.take(put(LED, "l", "on", 0.0))
    stage.take(AwaitPlayer(1, 0.0))
    play(stage, ones(512))
    assert (stage.tempo.playing, stage.tempo.waits) == (True, 0)
    stage.take(AwaitPlayer(1, 0.0))
    stage.take(put(LED, "l", "on", 1.0))
    play(stage, ones(256))
    assert stage.tempo.playing
    stage.take(put(LED, "l", "on", 0.0))
    stage.take(put(LED, "l", "on", 1.0))
    stage.take(AwaitPlayer(1, 0.0))
    play(stage, ones(256))
    assert (stage.tempo.playing, stage.tempo.waits) == (False, 1)


@pytest.mark.parametrize("on", [True, False])
def test_a_plan_names_whom_the_clock_waits_for_by_the_graph_s_values(on):
    stage = led(on)
    stage.take(put(LED, "l", "on", float(not on)))
    play(stage, ones(512))
    again = graph({"l": ("leader", {"on": on})}, ["in > l", "l > out"])
    made = plan(again, stage.spec, stage.plan)
    assert made.hosts[1] is stage.plan.hosts[1]
    assert made.awaited == int(on)
