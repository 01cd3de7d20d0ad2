"""Addresses to routes: exact, by pattern, added and dropped."""

import pytest
from hypothesis import given, strategies as st

from antiphon.kernel.errors import WireError
from antiphon.kernel.session.router import Router

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
