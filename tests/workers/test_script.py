"""What happened to hops is told in words, and the words make it happen again."""

from hypothesis import given, settings, strategies as st

from antiphon.kernel.contract.processor import IO, BlockTime
from antiphon.kernel.workers.dropout_fader import DropoutLog


class Stream:
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
    script, streams = DropoutLog(), [Stream(), Stream()]
    script.recall("fresh", 12)
    script.recall("fresh", 14)
    for hop in (11, 12, 12, 13, 14, 15):
        script.before(hop, streams)
    assert [s.resets for s in streams] == [2, 2]
