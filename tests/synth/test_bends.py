"""Bends in semitones by the range that a channel states, and what restores it."""

import pytest
from hypothesis import given, strategies as st

from antiphon.kernel.contract.processor import Event
from antiphon.kernel.synth.shapes import ChannelBends

SELECT = ((101, 0), (100, 0))
OWN = 2.0


def controls(*pairs: tuple[int, int], channel: int = 1) -> list[Event]:
    return [Event("control", 0, number, value / 127.0, channel) for number, value in pairs]


@pytest.mark.parametrize(
    ("pairs", "semitones"),
    [
        ((), 2.0),
        ((*SELECT, (6, 2)), 2.0),
        ((*SELECT, (6, 12), (38, 0), (101, 127), (100, 127)), 12.0),
        (((100, 0), (101, 0), (6, 0)), 0.0),
        ((*SELECT, (6, 3), (38, 50)), 3.5),
        ((*SELECT, (38, 25)), 2.25),
        ((*SELECT, (6, 127)), 96.0),
        ((*SELECT, (101, 127), (100, 127), (6, 12)), 2.0),
        ((*SELECT, (99, 1), (98, 5), (6, 12)), 2.0),
        (((101, 0), (100, 1), (6, 12)), 2.0),
        (((6, 12),), 2.0),
        ((*SELECT, (6, 7), (121, 0)), 7.0),
        ((*SELECT, (121, 0), (6, 7)), 2.0),
    ],
)
def test_a_full_bend_is_the_range_that_the_channel_states(pairs: tuple[tuple[int, int], ...], semitones: float) -> None:
    bends = ChannelBends()
    for event in controls(*pairs, channel=3):
        assert not bends.follow(event, OWN)
    for value, expected in ((1.0, semitones), (-0.5, -semitones / 2), (0.0, 0.0)):
        bends.follow(Event("bend", 0, 0, value, 3), OWN)
        assert bends.semitones[3] == pytest.approx(expected)
    assert bends.follow(Event("bend", 0, 0, 1.0, 4), OWN)
    assert bends.semitones[4] == OWN


def test_a_range_that_changes_moves_what_is_bent() -> None:
    bends = ChannelBends()
    bends.follow(Event("bend", 0, 0, 0.5), OWN)
    assert [bends.follow(event, OWN) for event in controls(*SELECT, (6, 12))] == [False, False, True]
    assert bends.semitones[1] == 6.0
    assert bends.follow(controls((121, 0))[0], OWN)
    assert bends.semitones[1] == 0.0


NUMBERS = st.sampled_from([101, 100, 99, 98, 6, 38, 7, 64])


@given(st.lists(st.tuples(NUMBERS, st.sampled_from([0, 1, 5, 12, 127])), max_size=40))
def test_what_is_kept_restores_the_range(pairs: list[tuple[int, int]]) -> None:
    played, restored, state = ChannelBends(), ChannelBends(), dict[tuple[object, ...], Event]()
    for event in controls(*pairs):
        played.follow(event, OWN)
        ChannelBends.keep(state, event)
    for event in state.values():
        restored.follow(event, OWN)
    for bends in (played, restored):
        bends.follow(Event("bend", 0, 0, 1.0), OWN)
    assert restored.semitones == played.semitones
    assert len(state) <= 40
