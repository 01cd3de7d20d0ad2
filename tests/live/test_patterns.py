"""Patterns: what each function does to cycles, and that a pattern depends on time and seed alone."""

import itertools
from fractions import Fraction as F
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests import accepted
from tests.each import each

from antiphon.live import fast, rev
from antiphon.live.patterns.controls import ControlPattern, mini, note, s, scale, silence
from antiphon.live.patterns.pattern import (  # the .txt files name some of them alone
    Pattern,
    cat,
    fastcat,
    polymeter,  # noqa: F401
    pure,
    randcat,
    stack,
    timecat,  # noqa: F401
)
from antiphon.live.patterns.signals import choose, irand, perlin, rand, saw, sine  # noqa: F401


def played(pattern: Pattern[Any], cycles: int = 1, seed: int = 0) -> list[tuple[F, F, Any]]:
    """(beginning, end, value) of the events that begin."""
    return [
        (event.whole.begin, event.whole.end, event.value)
        for event in pattern.query(0, cycles, seed)
        if event.whole is not None and event.begins
    ]


def starts(pattern: Pattern[Any], cycles: int = 1, seed: int = 0) -> list[tuple[F, Any]]:
    return [(begin, value) for begin, _, value in played(pattern, cycles, seed)]


A, B, C = (mini(x) for x in "abc")


@each("left, right", accepted.rows(Path(__file__).with_name("ways.txt")))
def test_one_way_is_the_other(left: str, right: str) -> None:
    assert sorted(played(eval(left), 6)) == sorted(played(eval(right), 6))


def test_notes_chords_and_scales() -> None:
    assert [v["note"] for _, v in starts(note("c e5 fs3 bf2 60 c'min7"))] == [60, 76, 54, 46, 60, 60, 63, 67, 70]
    assert [v["note"] for _, v in starts(note(scale("a3 minor", "0 2 4 7 -1")))] == [57, 60, 64, 69, 55]
    assert list(scale("c4 minPent")) == [60, 63, 65, 67, 70]
    assert [v["note"] for _, v in starts(note("c'maj'5 c'maj'i e'm7'o"))] == [
        60, 64, 67, 72, 76, 64, 67, 72, 52, 59, 67, 74,
    ]  # fmt: skip


# ---- chance

CHANCE: dict[str, Pattern[Any]] = {
    "degrade": mini("a*16").degrade_by(0.4),
    "sometimes": s("a*16").sometimes_by(0.3, lambda p: p.set(speed=2)),
    "mini": mini("a*16?0.4"),
    "choice": mini("[a|b|c]*8"),
    "rand": rand.segment(16),
    "irand": irand(5).segment(16),
    "perlin": perlin.segment(16),
    "choose": choose("a", "b", "c").segment(16),
    "randcat": randcat(A, B, C),
    "cycles": mini("a*4").some_cycles(fast(2)),
}


@each("name", CHANCE)
def test_a_seed_repeats_and_another_differs(name: str) -> None:
    pattern = CHANCE[name]
    assert starts(pattern, 8, 3) == starts(pattern, 8, 3)
    assert starts(pattern, 8, 3) != starts(pattern, 8, 4)
    assert starts(pattern, 8, 3)[: len(starts(pattern, 4, 3))] == starts(pattern, 4, 3), "cycles depend on their number"


def test_shares_are_kept_by_chance() -> None:
    count = len(starts(mini("a*16").degrade_by(0.25), 256))
    assert abs(count / 4096 - 0.75) < 0.03
    assert len(starts(mini("a*16?"), 256)) / 4096 == pytest.approx(0.5, abs=0.03)
    fasts = [v for _, v in starts(s("a*16").sometimes_by(0.25, lambda p: p.set(speed=2)), 256)]
    assert len(fasts) == 4096
    assert sum("speed" in v for v in fasts) / 4096 == pytest.approx(0.25, abs=0.03)
    chosen = [v for _, v in starts(choose(*range(4)).segment(16), 256)]
    assert all(chosen.count(k) / 4096 == pytest.approx(0.25, abs=0.03) for k in range(4))


# ---- a pattern is a function of time alone

WORDS = st.sampled_from(["a", "b", "c"])
LEAVES = WORDS.map(mini) | st.just(mini("a b c")) | st.just(mini("a*2 b/3")) | st.just(mini("<a b>(3,8)"))


def grown(inner: st.SearchStrategy[Pattern[Any]]) -> st.SearchStrategy[Pattern[Any]]:
    factor = st.sampled_from([F(1, 3), F(1, 2), F(2), F(3), F(5, 4)])
    return (
        st.builds(lambda p, k: p.fast(k), inner, factor)
        | st.builds(lambda p, k: p.late(k), inner, factor)
        | st.builds(lambda p: p.rev(), inner)
        | st.builds(lambda p: p.every(3, rev), inner)
        | st.builds(lambda p: p.degrade_by(0.3), inner)
        | st.builds(lambda p: p.ply(2), inner)
        | st.builds(lambda p: p.euclid(3, 5), inner)
        | st.builds(lambda p, q: fastcat(p, q), inner, inner)
        | st.builds(lambda p, q: cat(p, q), inner, inner)
        | st.builds(lambda p, q: stack(p, q), inner, inner)
    )


PATTERNS = st.recursive(LEAVES, grown, max_leaves=4)


@settings(max_examples=50)
@given(PATTERNS, st.lists(st.fractions(0, 4, max_denominator=12), max_size=4))
def test_a_query_cut_in_two_begins_the_same_events(pattern: Pattern[Any], cuts: list[F]) -> None:
    edges = [F(0), *sorted(set(cuts) - {F(0), F(4)}), F(4)]
    whole = sorted((e.whole.begin, e.whole.end, e.value) for e in pattern.query(0, 4) if e.begins)
    parts = [e for a, b in itertools.pairwise(edges) for e in pattern.query(a, b) if e.begins]
    assert sorted((e.whole.begin, e.whole.end, e.value) for e in parts if e.whole) == whole


@given(PATTERNS)
def test_parts_are_within_the_query_and_their_wholes(pattern: Pattern[Any]) -> None:
    for event in pattern.query(F(1, 3), F(9, 4)):
        assert F(1, 3) <= event.part.begin < event.part.end <= F(9, 4)
        assert event.whole is None or event.whole.begin <= event.part.begin < event.part.end <= event.whole.end


@settings(max_examples=25)
@given(PATTERNS)
def test_laws(pattern: Pattern[Any]) -> None:
    same = sorted(played(pattern, 4))
    assert sorted(played(pattern.rev().rev(), 4)) == same
    assert sorted(played(pattern.fast(3).slow(3), 4)) == same
    assert sorted(played(pattern.late(F(1, 3)).early(F(1, 3)), 4)) == same
    assert sorted(played(cat(pattern), 4)) == same
    assert sorted(played(stack(pattern, silence()), 4)) == same


# ---- refusals


def test_nonsense_is_refused_in_a_sentence() -> None:
    accepted.compare(__file__, lambda text: accepted.refusal(lambda: eval(text)))


def test_the_kind_of_a_pattern_stays() -> None:
    assert isinstance(s("a").fast(2).every(2, rev).degrade(), ControlPattern)
    assert isinstance(pure(1).late(1), Pattern)


def test_a_pattern_shows_its_first_cycle() -> None:
    assert repr(mini("1 [2 3]")) == "<pattern, cycle 0: 0 1, 1/2 2, 3/4 3>"
    assert repr(mini("1*9")).endswith(", 7/9 1, ...>")
    assert repr(mini("~")) == "<pattern, cycle 0: silence>"
