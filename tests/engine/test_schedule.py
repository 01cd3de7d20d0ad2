"""What waits in the engine: in order, bounded, moved by the tempo."""

from hypothesis import given, strategies as st

from antiphon.kernel.engine.action_schedule import CAPACITY, ActionSchedule
from antiphon.kernel.graph.clock import TempoMap
from antiphon.kernel.session.actions import NodeSet
from antiphon.kernel.session.commands import SetTempo, SetTransport, Sync

RATE = 48000


def tempo(bpm=120.0):
    return TempoMap(RATE, bpm, end_bpm=bpm)


def action(number):
    return NodeSet(1, 3, float(number))


def told(item):
    """By which number an action was made."""
    return int(item.number if isinstance(item, NodeSet) else item.bpm if isinstance(item, SetTempo) else item.beat)


def due(schedule, end, clock):
    return [(sample, told(item)) for sample, item in schedule.due(end, clock)]


def test_what_is_due_comes_in_order_and_the_rest_waits():
    schedule = ActionSchedule()
    for n, sample in enumerate([900, 10, 255, 256, 10]):
        assert schedule.at_sample(sample, action(n))
    assert due(schedule, 256, tempo()) == [(10, 1), (10, 4), (255, 2)]
    assert len(schedule) == 2
    assert due(schedule, 257, tempo()) == [(256, 3)]
    assert due(schedule, 10**9, tempo()) == [(900, 0)]


def test_a_beat_falls_where_the_tempo_puts_it():
    schedule = ActionSchedule()
    schedule.at_beat(1.0, action(1))
    schedule.at_beat(0.5, action(2))
    schedule.at_sample(13000, action(3))
    # 120 bpm: a beat is 24000 frames
    assert due(schedule, 24001, tempo()) == [(12000, 2), (13000, 3), (24000, 1)]


def test_a_tempo_change_moves_what_waits_by_beat_and_not_what_waits_by_sample():
    schedule, clock = ActionSchedule(), tempo(60.0)
    schedule.at_beat(2.0, action(1))
    schedule.at_sample(90000, action(2))
    assert due(schedule, 48000, clock) == []
    clock.set_tempo(48000, 120.0)
    assert due(schedule, 72000, clock) == []
    assert due(schedule, 72256, clock) == [(72000, 1)]
    assert due(schedule, 96000, clock) == [(90000, 2)]


def test_a_tempo_change_that_is_due_moves_what_follows_it_in_the_same_block():
    schedule, clock = ActionSchedule(), tempo(60.0)
    schedule.at_sample(100, SetTempo(1.0))
    schedule.at_beat(200 / 48000, action(2))
    taken = []
    for sample, item in schedule.due(256, clock):
        taken.append((sample, told(item)))
        if isinstance(item, SetTempo):
            clock.set_tempo(sample, 120.0)
    assert taken == [(100, 1), (150, 2)]


def test_stopped_nothing_falls_due_by_beat():
    schedule, clock = ActionSchedule(), tempo()
    clock.set_transport(0, False, None)
    schedule.at_beat(1.0, action(1))
    assert due(schedule, 10**9, clock) == []
    clock.set_transport(10**9, True, None)
    assert due(schedule, 10**9 + 24001, clock) == [(10**9 + 24000, 1)]


def test_time_does_not_run_back_when_the_transport_jumps_ahead():
    schedule, clock = ActionSchedule(), tempo(60.0)
    schedule.at_sample(100, SetTransport(None, 1.0))
    schedule.at_beat(4.0, action(2))
    schedule.at_sample(200, action(3))
    taken = []
    for sample, item in schedule.due(256, clock):
        taken.append((sample, told(item)))
        if isinstance(item, SetTransport):
            clock.set_transport(sample, None, 8.0)
    assert [token for _, token in taken] == [1, 2, 3]
    assert taken[1][0] < 100  # passed over: the stage applies it at once


def test_it_is_bounded_over_both_kinds():
    schedule = ActionSchedule()
    assert all(schedule.at_sample(n, action(n)) for n in range(CAPACITY - 1))
    assert schedule.at_beat(1e9, action(0))
    assert not schedule.at_sample(5, action(1))
    assert not schedule.at_beat(5.0, action(1))
    assert len(schedule) == CAPACITY == 65536
    assert len(due(schedule, 1, tempo())) == 1
    assert schedule.at_sample(5, action(1))


def test_clear_drops_all_and_gives_back_the_syncs():
    schedule = ActionSchedule()
    schedule.at_sample(5, action(1))
    schedule.at_sample(6, Sync(2))
    schedule.at_beat(9.0, Sync(3))
    assert {item.token for item in schedule.clear()} == {2, 3}
    assert len(schedule) == 0
    assert due(schedule, 10**9, tempo()) == []


@given(
    st.lists(st.integers(0, 100_000), max_size=40),
    st.lists(st.floats(0, 4, allow_nan=False), max_size=40),
    st.lists(st.integers(1, 20_000), min_size=1, max_size=10),
)
def test_whatever_the_blocks_everything_comes_once_and_at_its_time(samples, beats, blocks):
    schedule, clock, wanted = ActionSchedule(), tempo(), []
    for n, sample in enumerate(samples):
        schedule.at_sample(sample, action(n))
        wanted.append((sample, n))
    for n, beat in enumerate(beats, len(samples)):
        schedule.at_beat(beat, action(n))
        wanted.append((round(beat * 24000), n))
    got, end, turn = [], 0, 0
    while end <= 100_001:
        start, end = end, end + blocks[turn % len(blocks)]
        turn += 1
        found = due(schedule, end, clock)
        assert all(start <= sample < end for sample, _ in found)
        got += found
    assert sorted(got) == sorted(wanted)
    assert [sample for sample, _ in got] == sorted(sample for sample, _ in got)
