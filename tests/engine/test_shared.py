"""The rings in shared memory: in order, whole, and counted where full."""

from collections import deque

import pytest
from hypothesis import given, strategies as st

from antiphon.kernel.engine import shared
from antiphon.kernel.engine.shared import (
    COMMANDS,
    REPORTS,
    ByteRing,
    HeaderWord,
    Shared,
    command_ring,
    report_ring,
)
from antiphon.kernel.session.actions import ACTIONS, NodeSet
from antiphon.kernel.session.commands import Sample
from antiphon.kernel.session.records import SIZE, RecordCodec, RecordRing, RingWords

ACTION = NodeSet(1, 2, 0.5, 0.25, Sample(3))


@pytest.fixture(autouse=True)
def _fresh(memory):
    for word in HeaderWord:
        memory.words[word] = 0


def numbered(n):
    return NodeSet(n, abs(n), n / 2, 0.0, Sample(2**62 + n))


def report(n):
    return (n, -n, n / 2, 0.0, 2**62 + n, -1e300, n, -(2**63))


def test_the_parts_do_not_overlap_and_another_mapping_sees_them(memory):
    ends = sorted((memory.offsets[name], len(memory.part(name))) for name in memory.offsets)
    at = 0
    for start, length in ends:
        assert start == at
        assert start % 8 == 0
        at = start + length
    other = Shared(memory.fd, memory.shape)
    command_ring(memory).push(ACTION)
    assert list(command_ring(other).drain(10)) == [ACTION]
    other.floats[HeaderWord.TEMPO] = 99.5
    assert memory.floats[HeaderWord.TEMPO] == 99.5


@pytest.mark.parametrize(
    ("make", "one", "capacity", "word", "other"),
    [
        (command_ring, numbered, COMMANDS, HeaderWord.COMMANDS_DROPPED, HeaderWord.REPORTS_DROPPED),
        (report_ring, report, REPORTS, HeaderWord.REPORTS_DROPPED, HeaderWord.COMMANDS_DROPPED),
    ],
)
def test_a_full_ring_drops_and_counts_and_keeps_what_it_had(memory, make, one, capacity, word, other):
    ring = make(memory)
    for n in range(capacity):
        assert ring.push(one(n))
    for n in range(7):
        assert not ring.push(one(-n))
    assert memory.words[word] == 7
    assert memory.words[other] == 0
    assert list(ring.drain(capacity + 1)) == [one(n) for n in range(capacity)]
    assert ring.push(one(1))


def test_a_batch_is_read_as_a_whole_or_not_at_all(memory):
    ring = _Small(memory)
    assert ring.push(numbered(0))
    ring.begin_batch()
    assert all(ring.push(numbered(n)) for n in range(1, 5))
    assert ring.full
    assert not ring.push(numbered(-1))
    assert list(ring.drain(5)) == [numbered(0)]
    ring.end_batch()
    assert ring.push(numbered(5))
    assert list(ring.drain(5)) == [numbered(n) for n in range(1, 6)]


class _Small(RecordRing):
    """A ring of five records, so that it wraps within a few."""

    def __init__(self, memory):
        words = RingWords(HeaderWord.COMMANDS_WRITE, HeaderWord.COMMANDS_READ, HeaderWord.COMMANDS_DROPPED)
        codec = RecordCodec(ACTIONS.pack_into, ACTIONS.unpack_from, SIZE)
        super().__init__(memory.words, memory.part("commands"), 5, words, codec)


@given(st.lists(st.integers(-4, 4).filter(bool), max_size=60), st.integers(0, 1000))
def test_records_are_a_queue_wherever_they_wrap(memory, moves, start):
    words, model, lost, n = memory.words, deque(), 0, 0
    words[HeaderWord.COMMANDS_WRITE] = words[HeaderWord.COMMANDS_READ] = start
    words[HeaderWord.COMMANDS_DROPPED] = 0
    writer, reader = _Small(memory), _Small(memory)
    for move in moves:
        if move > 0:
            for _ in range(move):
                n += 1
                if writer.push(numbered(n)):
                    model.append(numbered(n))
                else:
                    lost += 1
                    assert len(model) == 5
        else:
            for record in reader.drain(-move):
                assert record == model.popleft()
    assert words[HeaderWord.COMMANDS_DROPPED] == lost
    assert list(reader.drain(99)) == list(model)


@given(
    st.lists(st.one_of(st.binary(max_size=30), st.none()), max_size=60),
    st.integers(0, 200),
)
def test_bytes_are_a_queue_wherever_they_wrap(memory, moves, start):
    words, model, lost = memory.words, deque(), 0
    words[HeaderWord.JOURNAL_WRITE] = words[HeaderWord.JOURNAL_READ] = start
    words[HeaderWord.JOURNAL_DROPPED] = 0
    writer, reader = ByteRing(memory), ByteRing(memory)
    writer._size = reader._size = 64
    for move in moves:
        if move is None:
            assert list(reader.read()) == list(model)
            reader.release(0)
            model.clear()
        elif sum(4 + len(kept) for kept in model) + 4 + len(move) > 64:
            assert not writer.push(move)
            lost += 1
        else:
            assert writer.push(move)
            model.append(move)
    assert words[HeaderWord.JOURNAL_DROPPED] == lost
    assert list(reader.read()) == list(model)
    assert list(reader.read()) == list(model), "they stay until they are released"


def test_a_payload_larger_than_the_ring_is_dropped_and_counted(memory):
    ring = ByteRing(memory)
    assert not ring.push(bytes(shared.JOURNAL_BYTES))
    assert memory.words[HeaderWord.JOURNAL_DROPPED] == 1
    assert ring.push(bytes(shared.JOURNAL_BYTES - 4))
    assert not ring.push(b"")
    ring.skip_all()
    assert list(ring.read()) == []
    assert ring.push(b"x")
    assert list(ring.read()) == [b"x"]


def test_a_follower_goes_on_behind_a_release_that_was_cut_short(memory):
    words = memory.words
    words[HeaderWord.JOURNAL_WRITE] = words[HeaderWord.JOURNAL_READ] = 0
    killed = ByteRing(memory)
    assert killed.push(b"in the log")
    assert list(killed.read()) == [b"in the log"]
    killed.release(11)
    words[HeaderWord.JOURNAL_READ] = 0  # killed between its two stores
    follower = ByteRing(memory)
    assert follower.follow_killed() == 11
    follower.release(11)
    assert killed.push(b"new")
    assert list(follower.read()) == [b"new"]
