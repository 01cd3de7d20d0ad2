"""The mini-notation: cycles that Tidal 1.9 documents, texts built beside functions, and texts that cannot be read."""

import time
from fractions import Fraction as F
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests import accepted, waiting
from tests.each import each

from antiphon.live.patterns import queries
from antiphon.live.patterns.mini.parser import MiniError
from antiphon.live.patterns.mini.reading import MAX_EVENTS, read
from antiphon.live.patterns.queries import Query
from antiphon.live.patterns.spans import Span


def words(text: str) -> Query[str]:
    return read(text, lambda word: (word,))


def played(query: Query[Any], cycles: int = 1, seed: int = 0) -> list[tuple[F, F, Any]]:
    found = query(Span(F(0), F(cycles)), seed)
    return sorted((e.whole.begin, e.whole.end, e.value) for e in found if e.whole is not None and e.begins)


def grid(line: str) -> list[tuple[F, F, Any]]:
    """Steps of equal length to events: `bd . sd _` is bd for a step, nothing, sd for two."""
    steps = line.split()
    events: list[tuple[F, F, Any]] = []
    for at, step in enumerate(steps):
        if step == "_":
            begin, _, value = events.pop()
            events.append((begin, F(at + 1, len(steps)), value))
        elif step != ".":
            events.append((F(at, len(steps)), F(at + 1, len(steps)), step))
    return events


HERE = Path(__file__).parent
SPANS_CYCLES = {"a/2": [(F(0), F(2), "a")], "bd cp/2": [(F(0), F(1, 2), "bd"), (F(1, 2), F(3, 2), "cp")]}
"""First cycles whose events reach beyond them."""


@each("text, cycles", accepted.rows(HERE / "documented.txt"))
def test_what_tidal_documents(text: str, cycles: str) -> None:
    """What its cycles are from the first, with a stroke between; what a comma divides sounds together."""
    if text in SPANS_CYCLES:
        assert [event for event in played(words(text)) if event[0] < 1] == SPANS_CYCLES[text]
        return
    expected = [
        (begin + cycle, end + cycle, value)
        for cycle, lines in enumerate(cycles.split(" / "))
        for line in lines.split(", ")
        for begin, end, value in grid(line)
    ]
    assert played(words(text), cycles.count(" / ") + 1) == sorted(expected)


def test_a_number_may_begin_with_its_point() -> None:
    # as Strudel's own pages write gains: gain("[.25 1]*4")
    value = read("[.25 1 -.5] . <.5 2>*.5", lambda word: (float(word),))
    assert [event[2] for event in played(value)] == [0.25, 1.0, -0.5, 0.5]
    assert played(words("a?.5")) == played(words("a?0.5"))


@each("left, right", accepted.rows(HERE / "alike.txt"))
def test_two_texts_say_the_same(left: str, right: str) -> None:
    cycles = 1 if "%" in left or "?" in left else 4
    assert played(words(left), cycles) == played(words(right), cycles)


def test_a_choice_is_made_each_cycle() -> None:
    chosen = [value for _, _, value in played(words("[a|b|c]"), 300)]
    assert len(chosen) == 300
    assert all(80 < chosen.count(word) < 120 for word in "abc")
    pairs = played(words("[a|b] [a|b]"), 100)
    assert any(pairs[2 * k][2] != pairs[2 * k + 1][2] for k in range(100)), "each choice is one of its own"


@pytest.mark.parametrize("text", ["a!16?", "a? ! ! ! ! ! ! !", "[a*2?]!8", "[a|~]!16"])
def test_copies_are_decided_one_by_one(text: str) -> None:
    query = words(text)
    differ = 0
    for cycle in range(16):
        found = played(queries.shift(query, F(-cycle)))
        differ += 0 < len(found) < len(played(words(text.replace("?", "").replace("|~", ""))))
    assert differ > 8


# ---- texts and patterns built side by side

Built = tuple[str, Query[str]]


def groups(inner: st.SearchStrategy[Built]) -> st.SearchStrategy[Built]:
    several = st.lists(inner, min_size=1, max_size=3)
    weighted = st.lists(st.tuples(inner, st.integers(1, 3)), min_size=1, max_size=3)
    factor = st.sampled_from([F(2), F(3), F(3, 2)])
    return st.one_of(
        several.map(lambda xs: ("[" + " ".join(t for t, _ in xs) + "]", queries.fastcat([q for _, q in xs]))),
        several.map(lambda xs: ("[" + ", ".join(t for t, _ in xs) + "]", queries.stack([q for _, q in xs]))),
        several.map(lambda xs: ("<" + " ".join(t for t, _ in xs) + ">", queries.cat([q for _, q in xs]))),
        weighted.map(
            lambda xs: (
                "[" + " ".join(f"{t}@{w}" for (t, _), w in xs) + "]",
                queries.timecat([(F(w), q) for (_, q), w in xs]),
            )
        ),
        st.tuples(inner, factor).map(lambda x: (f"[{x[0][0]}*{float(x[1])}]", queries.fast(x[0][1], x[1]))),
        st.tuples(inner, factor).map(lambda x: (f"[{x[0][0]}/{float(x[1])}]", queries.fast(x[0][1], 1 / x[1]))),
        st.tuples(inner, st.integers(1, 3)).map(
            lambda x: ("[" + f"{x[0][0]}!{x[1]}" + "]", queries.fastcat([x[0][1]] * x[1]))
        ),
    )


LEAVES = st.sampled_from(["bd", "sn:2", "c4", "hh"]).map(lambda w: (w, queries.pure(w)))
REST: st.SearchStrategy[Built] = st.just(("~", queries.silence))


@settings(max_examples=60)
@given(st.recursive(LEAVES | REST, groups, max_leaves=6))
def test_a_text_is_what_its_functions_are(built: Built) -> None:
    text, query = built
    assert played(words(text), 3) == played(query, 3)


@settings(max_examples=150)
@given(st.text("ab01 ~.,!@_?:/*%|{}[]<>()-'", max_size=24) | st.text(max_size=24))
def test_any_text_is_read_or_refused_at_a_column(text: str) -> None:
    try:
        found = words(text)(Span(F(0), F(1)), 0)
    except MiniError as error:
        refused = error
    else:
        assert len(found) <= 2 * MAX_EVENTS
        return
    assert "column" in str(refused)
    line, caret = refused.picture.split("\n")
    assert caret.strip() == "^"
    assert len(caret) <= len(line) + 1


# ---- refusals


def test_each_fault_is_said_with_its_column() -> None:
    def answer(text: str) -> str:
        with pytest.raises(MiniError) as caught:
            words(text)
        said = str(caught.value)
        column = int(said.partition("(column ")[2].partition(" of ")[0])
        assert caught.value.picture == f"{text}\n{' ' * (column - 1)}^"
        return said

    accepted.compare(__file__, answer)


BOMBS = {
    "deep": "[" * 10_000,
    "deep and closed": "[" * 10_000 + "a" + "]" * 10_000,
    "deep of each": "[<{" * 3_000,
    "fast": "bd*1e9",
    "huge exponent": "bd*1e999999999",
    "digits": "bd*" + "9" * 4000,
    "powers": "[[[bd*999]*999]*999]*999",
    "chain": "bd" + "*1.01" * 3000,
    "slow of nothing": "bd/0.0000001",
    "copies": "bd!99999999",
    "copies of copies": "[[[a!999]!999]!999]!999",
    "copies of rests": "[[[[~!999]!999]!999]!999]!999",
    "copies beside chance": "[[[[~!999]!999]!999] a?]!9",
    "a long rest": "{~" + ("!" + "9" * 39) * 9 + ", a b}",
    "copies of nothing": "[[[[[]!999]!999]!999]!999]!999",
    "copies of alternatives": "<<<<<a!999>!999>!999>!999>!999>",
    "steps": "{bd}%1e9",
    "euclid": "bd(3,1e9)",
    "euclids": "bd(9,99)(9,99)(9,99)",
    "copies of chance": "[[[a?!999]!999]!999]!999",
    "range": "0 .. 1000000000",
    "nested euclid": "bd" + "(3,8)" * 2000,
    "long": "bd " * 100_000,
    "factors": "bd*" + "<" * 200,
}


@each("name", BOMBS)
def test_a_bomb_is_refused_at_once(name: str) -> None:
    with waiting.costs_at_most(1.0), pytest.raises(MiniError) as caught:
        words(BOMBS[name])
    assert len(str(caught.value)) < 300
    assert str(caught.value).count("\n") == 0


def test_the_deepest_text_that_is_read_can_be_played() -> None:
    text = "a"
    for _ in range(31):
        text = f"[{text} b]"
    begun = time.process_time()
    assert len(played(words(text), 2)) == 64
    assert time.process_time() - begun < 5, "it would stall a set"


@each("text", ["über", "u\u0308ber", "über:2", "Überfall", "ключ", "鼓"])
def test_a_name_begins_with_any_letter(text: str) -> None:
    assert [word for _, _, word in played(words(f"bd {text}*2"))][1:] == [text.replace("u\u0308", "ü")] * 2
