"""Every record is itself again when it has been packed, and when it has been in a set's log."""

import json
from dataclasses import fields
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given, strategies as st
from tests.each import each
from tests.session.records import logged, records

from antiphon.kernel.contract.event import EVENT_KINDS, Event
from antiphon.kernel.errors import WireError
from antiphon.kernel.session.actions import ACTIONS, Action, NodeSet
from antiphon.kernel.session.commands import NOW, Play, Sample, SetTempo, SetTransport
from antiphon.kernel.session.events import EVENTS
from antiphon.kernel.session.records import SIZE, RecordRow
from antiphon.kernel.session.router import Router


@given(records(), st.integers(0, SIZE))
def test_a_record_packs_and_unpacks_to_itself(action: Action, place: int) -> None:
    buffer = bytearray(b"\xff" * (place + SIZE + 1))
    ACTIONS.pack_into(buffer, place, action)
    again = ACTIONS.unpack_from(buffer, place)
    assert again == action
    for field in fields(again):
        assert type(getattr(again, field.name)) is type(getattr(action, field.name))
    assert buffer[:place] == b"\xff" * place, "nothing before it"
    assert buffer[-1] == 0xFF, "nothing behind it"
    line = ACTIONS.to_line(7, action)
    assert ACTIONS.from_line(line) == logged(action, NOW if "live" in line else Sample(7))


def at_end(row: RecordRow, end: int) -> Action:
    """Every field at its lowest, or its highest."""
    kinds: dict[str, Any] = {"?": bool, "d": float}
    found: Action = row.make(*(kinds.get(f.code, int)(f.bounds[end]) for f in row.fields), NOW)
    return found


@each("end", [0, 1])
@each("row", ACTIONS.rows)
def test_both_ends_of_every_field_are_packed_and_logged(row: RecordRow, end: int) -> None:
    action = at_end(row, end)
    buffer = bytearray(SIZE)
    ACTIONS.pack_into(buffer, 0, action)
    assert ACTIONS.unpack_from(buffer) == action
    line = json.loads(json.dumps(ACTIONS.to_line(7, action)))
    assert ACTIONS.from_line(line) == logged(action, NOW if row.live else Sample(7))


@each("row", ACTIONS.rows)
def test_a_field_outside_its_bounds_is_refused_by_its_name(row: RecordRow) -> None:
    line = ACTIONS.to_line(7, at_end(row, 0))
    for field in (field for field in row.fields if field.logged):
        for bad in (field.bounds[0] - 1, field.bounds[1] + 1, "x", [], float("nan")):
            with pytest.raises(ValueError, match=f"{field.name} takes "):
                ACTIONS.from_line({**line, field.name: bad})


def test_the_table_has_every_action_once_and_its_fields_in_order() -> None:
    assert {row.record for row in ACTIONS.rows} == {get_origin(kind) or kind for kind in get_args(Action)}
    assert [row.kind for row in EVENTS] == list(EVENT_KINDS)
    for names in ([row.code for row in ACTIONS.rows], [row.op for row in ACTIONS.rows]):
        assert len(set(names)) == len(names)
    for row in ACTIONS.rows:
        assert row.record is Play or (*row.names, "when") == tuple(f.name for f in fields(row.record))
        assert row.size <= SIZE
        assert 1 <= row.code <= 255


def test_what_is_at_its_default_is_not_in_the_log_and_what_is_not_set_is_not_zero() -> None:
    assert ACTIONS.to_line(5, NodeSet(1, 2, 0.0)) == {"sample": 5, "op": "set", "node": 1, "cell": 2, "number": 0.0}
    assert ACTIONS.to_line(5, SetTransport(False)) == {"sample": 5, "op": "transport", "playing": False}
    assert ACTIONS.to_line(5, SetTransport(None, 0.0)) == {"sample": 5, "op": "transport", "beat": 0.0}
    live = {"sample": 5, "op": "note_on", "node": 1, "note": 60, "velocity": 0.5, "live": True}
    assert ACTIONS.to_line(5, Play(1, Event("on", 0, 60, 0.5, serial=9))) == live
    assert "live" not in ACTIONS.to_line(5, Play(1, Event("on", 0, 60, 0.5), Sample(5)))
    with pytest.raises(KeyError, match="bpm"):
        ACTIONS.from_line({"sample": 5, "op": "tempo"})
    with pytest.raises(ValueError, match="there is no op 'explode'"):
        ACTIONS.from_line({"sample": 5, "op": "explode"})
    assert ACTIONS.from_line({"sample": 5, "op": "tempo", "bpm": 90}) == SetTempo(90.0, 0.0, Sample(5))


NAMES = st.text("ab", min_size=1, max_size=2)
ADDRESSES = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: b"/" + "/".join(parts).encode())


def router(*addresses: bytes) -> Router[bytes]:
    made: Router[bytes] = Router()
    for address in addresses:
        made.put(address, address)
    return made


@given(st.lists(st.tuples(st.booleans(), ADDRESSES), max_size=20))
def test_as_a_plain_dictionary_would(steps: list[tuple[bool, bytes]]) -> None:
    made, plain = router(), dict[bytes, bytes]()
    for put, address in steps:
        if put:
            made.put(address, address)
            plain[address] = address
        else:
            made.drop(address)
            plain = {a: a for a in plain if a != address and not a.startswith(address + b"/")}
    assert made.exact == plain
    for depth in (1, 2, 3):
        pattern = b"/" + b"/".join([b"*"] * depth)
        expected = {a for a in plain if a.count(b"/") == depth}
        if expected:
            assert set(made.match(pattern)) == expected
        else:
            with pytest.raises(WireError, match="no address"):
                made.match(pattern)


def test_patterns() -> None:
    made = router(b"/node/a/wet", b"/node/b/wet", b"/node/b/dry", b"/node/cc/wet", b"/tempo", b"/node/a/wet/norm")
    assert made.match(b"/node/*/wet") == [b"/node/a/wet", b"/node/b/wet", b"/node/cc/wet"]
    assert made.match(b"/node/?/{wet,dry}") == [b"/node/a/wet", b"/node/b/wet", b"/node/b/dry"]
    assert made.match(b"/node/[!a]/*") == [b"/node/b/wet", b"/node/b/dry"]
    assert made.match(b"/tempo") == [b"/tempo"]
    assert made.match(b"/nothing") == []
