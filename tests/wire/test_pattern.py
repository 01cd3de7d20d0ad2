"""Pattern matching against a slow, obvious reference."""

from functools import cache

import pytest
from hypothesis import given, strategies as st

from antiphon.kernel.errors import WireError
from antiphon.kernel.wire.pattern import compile_part, is_pattern

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


@given(st.text(LETTERS, max_size=10))
def test_a_plain_name_matches_itself_alone(name: str) -> None:
    assert compile_part(name.encode()).matches(name.encode())
    assert not compile_part(name.encode()).matches(name.encode() + b"a")
    assert not is_pattern(name.encode())


@pytest.mark.parametrize("bad", ["[", "[]", "[!]", "a]", "{a", "a}", "{a,{b}}", "{a{b}", "{[a}]"])
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
