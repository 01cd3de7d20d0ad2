"""The table of operations: every argument has its sentence, and a number outside its range is refused by name."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import click
import pytest
from msgspec import NODEFAULT, Struct
from tests import accepted

from antiphon.cli import completion, errors
from antiphon.cli.commands import application
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.arguments import Argument, argument, arguments, check
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.runtime.typed import Misfit, convert
from antiphon.operations.lists import ask, shared_operations
from antiphon.operations.requests import FinishRequest, RehearseRequest, RenderRequest, ReplayRequest, RunRequest
from antiphon.operations.wording import option_words

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


@pytest.mark.parametrize(("kind", "one"), [(kind, one) for kind, one in EVERY if one.extra("choices")], ids=_name)
def test_what_is_none_of_the_choices_is_refused_and_each_of_them_completed(kind: Any, one: Argument) -> None:
    choices, complete = one.extra("choices"), completion.completion_of("", one.extra("choices"))
    assert one.default in choices
    context = click.Context(click.Command(None))
    assert complete(context, "") == list(map(str, choices))
    assert complete(context, str(choices[-1])[:3]) == [str(choices[-1])]
    for right in choices:
        check(kind(*GIVEN[kind], **{one.name: right}))
    with pytest.raises(UsageError, match=f"^--{one.option} takes {', '.join(map(str, choices))}, not 'tpu'$"):
        check(kind(*GIVEN[kind], **{one.name: "tpu"}))


def test_a_default_outside_the_range_is_allowed() -> None:
    check(RenderRequest("demo", block=0, rate=0))
    check(RunRequest("gain", (), tail=None))


class _Several(Struct, frozen=True):
    kinds: Annotated[tuple[str, ...], argument("Some kinds.", choices=("loop", "hit"))] = ()


def test_each_value_of_an_argument_that_may_be_repeated_is_one_of_its_choices() -> None:
    for right in ((), ("hit",), ("loop", "hit")):
        check(_Several(right))
    with pytest.raises(UsageError, match=r"^--kinds takes loop, hit, not 'song'$"):
        check(_Several(("hit", "song")))


# ---- operations of plugins, one law for all of them


def bounded() -> Iterator[tuple[Any, Argument, float]]:
    """Operations, each with an argument and a number outside its range."""
    for operation in shared_operations().values():
        for one in arguments(operation.asked):
            if one.meta.ge is not None:
                yield operation, one, one.meta.ge - 1
            if one.meta.le is not None:
                yield operation, one, one.meta.le + 1


@pytest.mark.needs("library")
def test_every_door_takes_an_operations_example() -> None:
    for name, operation in shared_operations().items():
        assert operation.doc.endswith(".")
        if operation.local:
            continue
        assert convert(dict(operation.example), operation.asked, name) is not None
        assert convert(dict(operation.example), operation.body, name) is not None
        assert set(operation.body.__struct_fields__) == set(operation.asked.__struct_fields__) - set(operation.here)
        assert operation.osc.arguments.count("…") <= 1
        assert f"`{operation.path}.reply" in operation.osc.doc


@pytest.mark.needs("library")
def test_a_number_outside_its_range_is_refused_in_the_same_words_at_every_door(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = list(bounded())
    assert found
    for operation, one, wrong in found:
        needed = [other.name for other in arguments(operation.asked) if other.default is NODEFAULT]
        given = {**dict.fromkeys(needed, "x"), **operation.example, one.name: wrong}
        said = f"{one.name} takes {one.range}, not {wrong}"
        assert accepted.refusal(lambda: ask(operation.name, **given)) == f"UsageError: {said}"  # noqa: B023
        if one.name not in operation.here and not operation.local:
            with pytest.raises(Misfit, match=f"^{re.escape(said)}$"):  # by HTTP
                convert(given, operation.body, operation.name)
        flag = max(one.flags, key=len)
        words = [*operation.name.split(), *("x" for _ in needed), f"{flag}{'=' * flag.startswith('--')}{wrong:g}"]
        assert errors.run(application(words), words) == 2
        assert f"takes {one.range}, not {wrong:g}" in capsys.readouterr().err


@pytest.mark.needs("library")
def test_a_refusal_spells_an_argument_as_its_door_does(capsys: pytest.CaptureFixture[str]) -> None:
    search, said = shared_operations()["library search"], "key does not understand 'H9'"
    for call in (lambda: search.answer(search.body(key="H9")), lambda: ask("library search", key="H9")):
        assert accepted.refusal(call).startswith(f"UsageError: {said}")
    assert errors.run(application(words := ["library", "search", "--key", "H9"]), words) == 2
    assert f"antiphon: --{said}" in capsys.readouterr().err


def test_antiphons_own_lists_are_asked_by_name(tmp_path: Path) -> None:
    assert {"answer", "band"} <= {entry.name for entry in ask("patches")}
    assert ask("patches", name="answer").patch.tempo > 0
    assert [entry.name for entry in ask("sets")]
    assert ask("plugins", name="gain").one.type == "gain"
    assert ask("plugins", plugins_dir=tmp_path).loaded.catalog["gain"].doc
    assert "linger" in ask("words", text="linger").found[0].names
    assert accepted.refusal(lambda: ask("words", text="xyzzyq")).startswith("UsageError: there is no word 'xyzzyq'")


@pytest.mark.needs("library")
def test_what_an_operation_does_not_know_is_refused_with_what_it_knows() -> None:
    for name, operation in shared_operations().items():
        needed = {one.name: "x" for one in arguments(operation.asked) if one.default is NODEFAULT}
        given = {**needed, **operation.example, "nonsense": 1}
        said = accepted.refusal(lambda: ask(name, **given))  # noqa: B023
        assert said.startswith("UsageError: nonsense is not a key of"), said
        assert all(field in said for field in operation.asked.__struct_fields__), said


def test_a_value_is_the_words_that_give_it() -> None:
    assert option_words("out_dir", "") == option_words("out_dir", False) == option_words("out_dir", None) == []
    assert option_words("out_dir", 0) == ["--out-dir", "0"]
    assert option_words("out_dir", True) == ["--out-dir"]
    assert option_words("out_dir", ("a", 1)) == ["--out-dir", "a", "--out-dir", "1"]
