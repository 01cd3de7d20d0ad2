"""The table of operations: every argument has its sentence, and a number outside its range is refused by name."""

import re
from typing import Any

import pytest

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import Argument, arguments, check, option_words
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.operations.requests import FinishRequest, RehearseRequest, RenderRequest, ReplayRequest, RunRequest

GIVEN: dict[Any, tuple[Any, ...]] = {
    RunRequest: ("gain", ("in.wav", "out.wav")),
    RenderRequest: ("demo",),
    ReplayRequest: ("tonight", "out.wav"),
    RehearseRequest: ("set.py",),
    FinishRequest: (),
    ServeSettings: (),
}
EVERY = [(kind, one) for kind in GIVEN for one in arguments(kind)]
BOUNDED = [(kind, one) for kind, one in EVERY if one.meta.ge is not None]


def _name(value: Any) -> str:
    return value.option if isinstance(value, Argument) else value.__name__


@pytest.mark.parametrize(("kind", "one"), EVERY, ids=_name)
def test_an_argument_has_a_sentence(kind: Any, one: Argument) -> None:
    assert re.fullmatch(r"[A-Z].*[.]|(IN OUT|auto), .*[.]", one.meta.description or "")


@pytest.mark.parametrize(("kind", "one"), BOUNDED, ids=_name)
def test_a_number_outside_the_range_is_refused(kind: Any, one: Argument) -> None:
    low, high = one.meta.ge, one.meta.le
    assert low is not None
    assert high is not None
    for right in (low, high):
        check(kind(*GIVEN[kind], **{one.name: right}))
    beyond = [number for number in (low - 1, high + 1) if number != one.default]
    for wrong in (float("nan"), float("inf"), "many", *beyond):
        with pytest.raises(UsageError, match=f"^--{one.option} takes {low:g} to {high:g}.*, not "):
            check(kind(*GIVEN[kind], **{one.name: wrong}))


def test_a_default_outside_the_range_is_allowed() -> None:
    check(RenderRequest("demo", block=0, rate=0))
    check(RunRequest("gain", (), tail=None))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", []),
        (False, []),
        (None, []),
        (0, ["--out-dir", "0"]),
        (True, ["--out-dir"]),
        (("a", 1), ["--out-dir", "a", "--out-dir", "1"]),
    ],
)
def test_a_value_is_the_words_that_give_it(value: object, words: list[str]) -> None:
    assert option_words("out_dir", value) == words
