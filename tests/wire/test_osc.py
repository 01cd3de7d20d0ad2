"""The OSC codec against any bytes, against itself, and against python-osc."""

import math
import struct
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pythonosc.osc_message_builder import OscMessageBuilder
from tests import accepted
from tests.each import each

from antiphon.kernel.errors import WireError
from antiphon.kernel.wire import osc
from antiphon.kernel.wire.osc import (
    IMPULSE,
    Bundle,
    Double,
    Long,
    Message,
    decode,
    encode,
    encode_bundle,
    encode_tagged,
)
from antiphon.kernel.wire.pattern import compile_part, is_pattern

ADDRESSES = st.text("abcdefghijklmnop/_-0123", min_size=1, max_size=30).map(lambda t: "/" + t)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
FLOATS = st.floats(width=32, allow_nan=False)
SCALARS = st.one_of(
    st.integers(-(2**31), 2**31 - 1),
    FLOATS,
    TEXTS,
    st.binary(max_size=20),
    st.booleans(),
    st.none(),
    st.just(IMPULSE),
    st.integers(-(2**63), 2**63 - 1).map(Long),
    st.floats(allow_nan=False).map(Double),
)
ARGS = st.lists(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=6), max_size=8)


def message(data: bytes) -> Message:
    found = decode(data)
    assert isinstance(found, Message), found
    return found


def error(data: bytes) -> WireError:
    found = decode(data)
    assert isinstance(found, WireError), found
    return found


@given(st.binary(max_size=300))
def test_any_bytes_give_a_value(data: bytes) -> None:
    assert isinstance(decode(data), Message | Bundle | WireError)


@given(st.data(), ADDRESSES, ARGS)
def test_a_mutated_packet_gives_a_value(data: st.DataObject, address: str, args: list[Any]) -> None:
    packet = bytearray(encode_bundle(1, [encode(address, *args), encode_bundle(5, [encode("/x")])]))
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(decode(bytes(packet)), Message | Bundle | WireError)


@given(ADDRESSES, ARGS)
def test_what_is_encoded_comes_back(address: str, args: list[Any]) -> None:
    found = message(encode(address, *args))
    assert found.address == address.encode()
    assert found.args == tuple(args)
    assert encode_tagged(found.address, found.tags, found.args) == encode(address, *args)


@given(
    ADDRESSES,
    st.lists(
        st.one_of(st.integers(-(2**31), 2**31 - 1), FLOATS, TEXTS, st.binary(min_size=1, max_size=20), st.booleans())
    ),
)
def test_python_osc_packets_decode_the_same(address: str, args: list[Any]) -> None:
    builder = OscMessageBuilder(address)
    for value in args:
        builder.add_arg(value)
    assert message(builder.build().dgram).args == tuple(args)


@given(ADDRESSES, ARGS, st.integers(1, 400))
def test_a_packet_cut_short_is_refused_or_means_less(address: str, args: list[Any], cut: int) -> None:
    whole = encode(address, *args)
    found = decode(whole[: max(0, len(whole) - cut)])
    # Only a cut behind the address can leave a message: one without arguments.
    assert isinstance(found, WireError) or found == Message(address.encode(), b",", ())


@each(
    "data, address, args",
    [
        ("/ping\0\0\0", b"/ping", ()),
        ("/x\0\0,\0\0\0", b"/x", ()),
        ("/x\0\0,a\0\0", b"/x", ("a",)),
        ("/x\0\0,TFNI\0\0\0", b"/x", (True, False, None, IMPULSE)),
        ("/x\0\0,[ii]\0\0\0\0\0\0\1\0\0\0\2", b"/x", ((1, 2),)),
        ("/x\0\0,S\0\0sym\0", b"/x", ("sym",)),
        ("/x\0\0,c\0\0\0\0\0A", b"/x", ("A",)),
        ("/x\0\0,b\0\0\0\0\0\3abc\0", b"/x", (b"abc",)),
    ],
)
def test_forms(data: str, address: bytes, args: tuple[Any, ...]) -> None:
    found = message(data.encode("latin-1"))
    assert (found.address, found.args) == (address, args)


def test_each_bad_packet_is_refused_in_a_sentence_with_its_address() -> None:
    def answer(data: str) -> str:
        found = error(eval(data))
        return f"{found.address!r}: {found}"

    accepted.compare(__file__, answer)


def test_a_bad_message_in_a_bundle_leaves_the_others() -> None:
    found = decode(encode_bundle(1, [encode("/a", 1), b"/x\0\0,q\0\0", encode("/b", 2)]))
    assert isinstance(found, Bundle)
    first, bad, last = found.items
    assert first == message(encode("/a", 1))
    assert isinstance(bad, WireError)
    assert bad.address == "/x"
    assert last == message(encode("/b", 2))


def test_empty_bundles_are_legal() -> None:
    assert decode(encode_bundle(1, [])) == Bundle(1, ())


def nested(depth: int) -> bytes:
    packet = encode("/deep")
    for _ in range(depth):
        packet = encode_bundle(1, [packet])
    return packet


def inmost(packet: osc.Packet) -> osc.Packet:
    while isinstance(packet, Bundle):
        (packet,) = packet.items
    return packet


def test_nesting_is_bounded() -> None:
    assert isinstance(inmost(decode(nested(16))), Message)
    assert "16 deep" in str(inmost(decode(nested(17))))
    assert isinstance(inmost(decode(nested(3000))), WireError)


def test_arrays_nest_sixteen_deep() -> None:
    assert isinstance(decode(b"/x\0\0" + osc._padded(b"," + b"[" * 16 + b"]" * 16)), Message)
    assert "16 deep" in str(error(b"/x\0\0" + osc._padded(b"," + b"[" * 17 + b"]" * 17)))
    assert isinstance(decode(b"/x\0\0" + osc._padded(b"," + b"[" * 60000)), WireError)


def test_a_packet_holds_so_many_messages() -> None:
    assert isinstance(decode(encode_bundle(1, [encode("/a")] * osc.MAX_ELEMENTS)), Bundle)
    assert "at most" in str(error(encode_bundle(1, [encode("/a")] * (osc.MAX_ELEMENTS + 1))))
    split = [encode_bundle(1, [encode("/a")] * (osc.MAX_ELEMENTS // 2))] * 3
    found = decode(encode_bundle(1, split))
    assert isinstance(found, Bundle)
    assert any(isinstance(item, WireError) for item in found.items)


def test_a_float_beyond_its_range_becomes_infinite_as_in_sclang() -> None:
    assert message(encode("/x", 1e300)).args == (math.inf,)


def test_nan_is_a_value_here() -> None:
    (value,) = message(encode("/x", struct.unpack(">f", bytes.fromhex("7fc00000"))[0])).args
    assert isinstance(value, float)
    assert math.isnan(value)


@given(st.binary(max_size=64))
@settings(max_examples=50)
def test_addresses_are_shown_printable(address: bytes) -> None:
    assert osc.address_text(address).isprintable()


@given(text=st.text(st.characters(), max_size=40), number=st.integers())
def test_encode_takes_any_text_and_any_number(text: str, number: int) -> None:
    """Lone surrogates too: Python has them in names of files that are not UTF-8."""
    packet = decode(encode("/x" + text.replace("\0", ""), text, number, Long(number)))
    assert isinstance(packet, Message)
    shown = text.replace("\0", "").encode("utf-8", "backslashreplace").decode()
    assert packet.address.decode() == "/x" + shown
    within = max(-(2**63), min(2**63 - 1, number))
    assert packet.args == (shown, within, within)


LETTERS = "abc-"
CLASSES = st.tuples(st.booleans(), st.lists(st.sampled_from(["a", "b", "c", "a-b", "b-c"]), min_size=1, max_size=3))
SIMPLE = st.one_of(
    st.sampled_from(LETTERS),
    st.just("?"),
    st.just("*"),
    CLASSES.map(lambda c: f"[{'!' if c[0] else ''}{''.join(c[1])}]"),
)
WAYS = st.lists(st.lists(SIMPLE, max_size=3).map(tuple), min_size=1, max_size=3)
ELEMENTS = st.lists(st.one_of(SIMPLE, WAYS), max_size=7)


def written(elements: list[str | list[tuple[str, ...]]]) -> str:
    return "".join(e if isinstance(e, str) else "{" + ",".join("".join(w) for w in e) + "}" for e in elements)


def takes(element: str, letter: str) -> bool:
    if element == "?":
        return True
    if element[0] != "[":
        return element == letter
    inside = element[1:-1].lstrip("!")
    members = set(inside.replace("-", ""))
    for first, last in ("ab", "bc"):
        if f"{first}-{last}" in inside:
            members |= {first, last}
    return (letter in members) != (element[1] == "!")


def reference(elements: list[str | list[tuple[str, ...]]], name: str) -> bool:
    """Tries everything."""

    @cache
    def rest(items: tuple[object, ...], at: int) -> bool:
        if not items:
            return at == len(name)
        first, *after = items
        if isinstance(first, tuple):
            return any(rest((*way, *after), at) for way in first)
        if first == "*":
            return any(rest(tuple(after), n) for n in range(at, len(name) + 1))
        return at < len(name) and takes(str(first), name[at]) and rest(tuple(after), at + 1)

    return rest(tuple(tuple(e) if isinstance(e, list) else e for e in elements), 0)


@given(ELEMENTS, st.text(LETTERS, max_size=8))
def test_matches_as_the_reference_does(elements: list[str | list[tuple[str, ...]]], name: str) -> None:
    assert compile_part(written(elements).encode()).matches(name.encode()) == reference(elements, name)


@given(st.binary(max_size=40), st.binary(max_size=20))
def test_any_pattern_matches_or_is_refused(pattern: bytes, name: bytes) -> None:
    try:
        compile_part(pattern).matches(name)
    except WireError:
        assert is_pattern(pattern)


@each("bad", ["[", "[]", "[!]", "a]", "{a", "a}", "{a,{b}}", "{a{b}", "{[a}]"])
def test_malformed_patterns_are_refused(bad: str) -> None:
    with pytest.raises(WireError, match="pattern"):
        compile_part(bad.encode())


def test_work_is_bounded_by_the_lengths() -> None:
    # What holds a backtracking matcher for minutes; counted in steps, not in seconds.
    part = compile_part(b"*a" * 100 + b"*{x,y,*}" * 20 + b"!")
    seen: list[int] = []

    class Watched(bytes):
        def __iter__(self):  # type: ignore[no-untyped-def]
            for code in bytes.__iter__(self):
                seen.append(code)
                yield code

    assert not part.matches(Watched(b"a" * 200))
    assert len(seen) == 200
