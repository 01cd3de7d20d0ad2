"""MIDI's bytes: whatever comes, messages or nothing, and never more held than the bound."""

import itertools

import mido
from hypothesis import given, strategies as st
from tests import accepted

from antiphon.api import Event
from antiphon_midi.messages import Parser, Short, SysEx, bend_of, encode

MESSAGES = st.one_of(
    st.builds(Short, st.integers(0x80, 0xBF), st.integers(0, 127), st.integers(0, 127)),
    st.builds(Short, st.integers(0xC0, 0xDF), st.integers(0, 127), st.just(0)),
    st.builds(Short, st.integers(0xE0, 0xEF), st.integers(0, 127), st.integers(0, 127)),
    st.builds(Short, st.sampled_from([0xF1, 0xF3]), st.integers(0, 127), st.just(0)),
    st.builds(Short, st.just(0xF2), st.integers(0, 127), st.integers(0, 127)),
    st.sampled_from([Short(status) for status in (0xF6, 0xF8, 0xFA, 0xFB, 0xFC, 0xFE, 0xFF)]),
    st.builds(SysEx, st.binary(max_size=20).map(lambda b: bytes(x & 0x7F for x in b))),
)


def to_bytes(message: Short | SysEx) -> bytes:
    if isinstance(message, SysEx):
        return b"\xf0" + message.data + b"\xf7"
    count = {0xC0: 1, 0xD0: 1, 0xF1: 1, 0xF3: 1, 0xF2: 2}.get(message.kind, 2 if message.status < 0xF0 else 0)
    return bytes((message.status, message.a, message.b)[: 1 + count])


@given(st.lists(MESSAGES, max_size=20))
def test_what_was_written_is_read_and_mido_reads_the_same(messages: list[Short | SysEx]) -> None:
    stream = b"".join(map(to_bytes, messages))
    parser = Parser()
    assert parser.feed(stream) == messages
    assert (parser.buffered_bytes, parser.malformed, parser.bounded) == (0, 0, 0)
    theirs = mido.Parser()
    theirs.feed(stream)
    assert [m.bin() for m in theirs] == [to_bytes(m) for m in messages]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=10), st.integers(0, 30))
def test_any_bytes_in_any_pieces_give_the_same_and_hold_no_more_than_the_bound(
    stream: bytes, places: list[int], limit: int
) -> None:
    whole, cut = Parser(limit), Parser(limit)
    wanted = whole.feed(stream)
    ends = sorted({p % (len(stream) + 1) for p in places} | {0, len(stream)})
    found = []
    for a, b in itertools.pairwise(ends):
        found += cut.feed(stream[a:b])
        assert cut.buffered_bytes <= limit
    assert found == wanted
    assert (cut.malformed, cut.bounded) == (whole.malformed, whole.bounded)
    for message in found:
        if isinstance(message, Short):
            assert message.status >= 0x80
            assert max(message.a, message.b) < 0x80


def test_running_status_and_real_time_bytes_within_other_messages() -> None:
    assert Parser().feed(bytes([0x90, 60, 0xF8, 100, 61, 0xFE, 0, 0xF0, 1, 0xFA, 2, 0xF7, 62])) == [
        Short(0xF8),
        Short(0x90, 60, 100),
        Short(0xFE),
        Short(0x90, 61, 0),
        Short(0xFA),
        SysEx(b"\x01\x02"),
    ]


def test_a_note_behind_a_sysex_without_an_end_is_heard() -> None:
    parser = Parser()
    assert parser.feed(bytes([0xF0, 1, 2, 3])) == []
    assert parser.feed(bytes([0x90, 60, 100, 61, 100])) == [Short(0x90, 60, 100), Short(0x90, 61, 100)]
    assert parser.malformed == 1


def test_an_event_as_bytes() -> None:
    accepted.compare_calls(__file__, encoded=lambda kind, *values: encode(Event(kind, 0, *values, 3)).hex(" "))


@given(st.integers(0, 16383))
def test_a_bend_goes_and_comes(place: int) -> None:
    value = bend_of(place & 127, place >> 7)
    assert -1.0 <= value <= 1.0
    assert encode(Event("bend", 0, 0, value))[1:] == bytes((place & 127, place >> 7))


def test_a_sysex_beyond_the_bound_is_counted_once_and_what_follows_it_is_heard() -> None:
    parser = Parser(10)
    for piece in (bytes([0xF0]) + bytes(100), bytes(100)):
        parser.feed(piece)
        assert parser.buffered_bytes <= 10
    assert parser.bounded == 1
    assert parser.feed(bytes([0xF7, 0x90, 60, 1])) == [Short(0x90, 60, 1)]
