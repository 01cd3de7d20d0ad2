"""What waits in the engine: in order, bounded, moved by the tempo."""

from hypothesis import given, strategies as st

from antiphon.kernel.engine.action_schedule import CAPACITY, ActionSchedule
from antiphon.kernel.graph.clock import TempoMap
from antiphon.kernel.session.actions import NodeSet
from antiphon.kernel.session.commands import SetTempo

RATE = 48000


def tempo(bpm=120.0):
    return TempoMap(RATE, bpm, end_bpm=bpm)


def action(number):
    return NodeSet(1, 3, float(number))


def told(item):
    """By which number an action was made."""
    return int(item.number if isinstance(item, NodeSet) else item.bpm if isinstance(item, SetTempo) else item.beat)


def due(schedule, end, clock):
    return [(sample, told(item)) for sample, item in schedule.take_due(end, clock)]


def test_a_tempo_change_that_is_due_moves_what_follows_it_in_the_same_block():
    schedule, clock = ActionSchedule(), tempo(60.0)
    schedule.at_sample(100, SetTempo(1.0))
    schedule.at_beat(200 / 48000, action(2))
    taken = []
    for sample, item in schedule.take_due(256, clock):
        taken.append((sample, told(item)))
        if isinstance(item, SetTempo):
            clock.set_tempo(sample, 120.0)
    assert taken == [(100, 1), (150, 2)]


def test_at_one_sample_what_is_dated_by_sample_comes_before_what_is_by_beat():
    schedule, clock = ActionSchedule(), tempo()
    schedule.at_beat(1.0, action(2))
    schedule.at_sample(24000, action(1))
    assert due(schedule, 24001, clock) == [(24000, 1), (24000, 2)]


def test_stopped_nothing_falls_due_by_beat():
    schedule, clock = ActionSchedule(), tempo()
    clock.set_transport(0, False, None)
    schedule.at_beat(1.0, action(1))
    assert due(schedule, 10**9, clock) == []
    clock.set_transport(10**9, True, None)
    assert due(schedule, 10**9 + 24001, clock) == [(10**9 + 24000, 1)]


def test_it_is_bounded_over_both_kinds():
    schedule = ActionSchedule()
    assert all(schedule.at_sample(n, action(n)) for n in range(CAPACITY - 1))
    assert schedule.at_beat(1e9, action(0))
    assert not schedule.at_sample(5, action(1))
    assert not schedule.at_beat(5.0, action(1))
    assert len(schedule) == CAPACITY == 65536
    assert len(due(schedule, 1, tempo())) == 1
    assert schedule.at_sample(5, action(1))


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
    by_sample = [(sample, n) for sample, n in got if n < len(samples)]
    assert by_sample == sorted(by_sample), "of one sample in the order given"
