"""Operations that plugins add by the hook `antiphon_operations`: declared once, they are had at every door."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct

from antiphon.kernel.contract.addresses import AddressList
from antiphon.kernel.errors import PluginError, UsageError
from antiphon.kernel.runtime.arguments import arguments, check
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.runtime.typed import Misfit, convert

MAX_ANSWER = 8000
"""Most bytes of an answer by OSC, in one datagram: values beyond it are left out."""
_NAME = re.compile(r"[a-z][a-z0-9_-]* [a-z][a-z0-9-]*")
_TAGS = {int: "i", bool: "i", float: "f", str: "s"}


class Request(Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of what an operation is asked for: its fields are arguments, its docstring says what the operation does."""


@dataclass(frozen=True, slots=True)
class PluginOperation:
    """An operation of a plugin.

    Attributes:
        name: That of its plugin, and a word. "shelf put" is `antiphon shelf put`, `POST /api/shelf/put`, `/shelf/put`
            by OSC, the tool `shelf_put` of an assistant, and `antiphon.ask("shelf put")`.
        asked: Its arguments.
        does: Takes them, and returns an `answers`: a function, or "module:function", which is imported when it is
            asked. It runs in a thread of a server, and raises AntiphonError.
        answers: The type of its answer, a msgspec Struct.
        lines: Lines of an answer for a terminal; as `does`. An answer is JSON without it.
        example: Arguments of a request that works.
        examples: Command lines for its help.
    """

    name: str
    asked: type[Request]
    does: str | Callable[[Any], Any]
    answers: type[Struct]
    lines: str | Callable[[Any], Iterable[str]] = ""
    example: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Its OSC address, and below /api its path of HTTP."""
        return f"/{self.name.replace(' ', '/')}"

    @property
    def doc(self) -> str:
        """What it does."""
        return " ".join((self.asked.__doc__ or "").split())

    @property
    def osc(self) -> str:
        """Its arguments in the notation of `docs/osc.md`, up to the first that may be repeated."""
        words: list[str] = []
        for one in sorted(arguments(self.asked), key=lambda one: one.default is not NODEFAULT):
            repeated = getattr(one.kind, "__origin__", None) is tuple
            kinds = (one.kind, *getattr(one.kind, "__args__", ()))  # of int | None, tuple[str, ...] too
            word = f"{next((_TAGS[kind] for kind in kinds if kind in _TAGS), 's')}:{one.name}"
            words.append((word if one.default is NODEFAULT else f"[{word}]") + ("…" if repeated else ""))
            if repeated:
                break
        return " ".join(words)

    def of_words(self, words: Iterable[Any]) -> Any:
        """Its answer to the arguments of an OSC message. Raises AntiphonError: as `ask`."""
        given: dict[str, Any] = {}
        rest = list(words)
        kinds = {one.name: one.kind for one in arguments(self.asked)}
        for word in self.osc.split():
            name = word.strip("[]…")[2:]
            if word.endswith("…"):
                given[name], rest = tuple(rest), []
            elif rest:
                value = rest.pop(0)
                given[name] = bool(value) if kinds[name] is bool else value
        return self.ask(given)

    def ask(self, given: Mapping[str, Any]) -> Any:
        """Its answer to arguments by name. Raises AntiphonError: they are not allowed, or it says so."""
        try:
            asked = convert(dict(given), self.asked, self.name)
        except Misfit as misfit:
            raise UsageError(str(misfit)) from None
        return self.answer(asked)

    def answer(self, asked: Any) -> Any:
        """Its answer. Raises AntiphonError: a number is outside its range, or it says so."""
        check(asked)
        return _function(self.does)(asked)

    def shown(self, answer: Any) -> Iterable[str]:
        """Lines of an answer for a terminal."""
        return _function(self.lines)(answer) if self.lines else (msgspec.json.encode(answer).decode(),)


def _function(place: str | Callable[[Any], Any]) -> Callable[[Any], Any]:
    return import_object(place) if isinstance(place, str) else place


class OperationList:
    """Collector of a plugin's operations, passed to `antiphon_operations`."""

    def __init__(self) -> None:
        self.added: list[PluginOperation] = []

    def add(
        self,
        name: str,
        asked: type[Request],
        does: str | Callable[[Any], Any],
        answers: type[Struct],
        **more: Any,
    ) -> None:
        """Adds an operation; the arguments are the attributes of `PluginOperation`.

        Raises PluginError: its name cannot be written so, or there is one already.
        """
        one = PluginOperation(name, asked, does, answers, **more)
        if not _NAME.fullmatch(name):
            raise PluginError(f"an operation is named by its plugin and a word, as shelf put, not {name!r}")
        if any(other.name == name for other in self.added):
            raise PluginError(f"there is the operation {name!r} already")
        if not one.doc:
            raise PluginError(f"{name} needs a docstring of {asked.__name__} on what it does")
        self.added.append(one)


def scalars(answer: Any) -> Iterator[Any]:
    """Numbers and texts of an answer in order, as OSC has them; what is not known is an empty text."""
    plain = msgspec.to_builtins(answer)
    items = plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list | tuple) else None
    if items is None:
        yield "" if plain is None else plain
    else:
        for item in items:
            yield from scalars(item)


def offer(osc: AddressList, operation: PluginOperation) -> None:
    """Adds the address of an operation, which is done in a thread. Raises PluginError: as `AddressList.add`."""
    answer = f"{operation.path}.reply"

    async def handler(request: Any) -> None:
        import asyncio  # where it is running; declarations need none

        values = scalars(await asyncio.to_thread(operation.of_words, request.args))
        request.reply(answer, *_within(MAX_ANSWER, values))

    osc.add(operation.path, operation.osc, handler, f"{operation.doc} Answers `{answer}` with what it finds.")


def _within(most: int, values: Iterable[Any]) -> Iterator[Any]:
    """The first values, as many as take at most so many bytes of a datagram."""
    for value in values:
        most -= len(value.encode()) + 8 if isinstance(value, str) else 8
        if most < 0:
            return
        yield value
