"""Operations that plugins add by the hook `antiphon_operations`: declared once, they are had at every door."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct, defstruct
from msgspec.structs import asdict, fields

from antiphon.kernel.contract.addresses import AddressList
from antiphon.kernel.errors import PluginError, UsageError
from antiphon.kernel.runtime.arguments import Argument, arguments, check
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.runtime.typed import Misfit, convert

MAX_ANSWER = 8000
"""Most bytes of an answer by OSC, in one datagram: values beyond it are left out."""
_NAME = re.compile(r"[a-z][a-z0-9_-]* [a-z][a-z0-9-]*")
SERVER: ContextVar[Callable[..., Sequence[Any]] | None] = ContextVar("SERVER", default=None)
"""Asks the server whose HTTP client asks for an operation: takes an OSC address and its arguments, and returns those of
its reply. None elsewhere."""
_TAGS = {int: "i", bool: "i", float: "f", str: "s"}


class Request(Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of what an operation is asked for: its fields are arguments, its docstring says what the operation does."""


@dataclass(frozen=True, slots=True)
class OscForm:
    """An operation by OSC.

    Attributes:
        arguments: Those of its address, in the notation of `docs/osc.md`.
        doc: What it does, with its reply.
        read: Makes arguments by name of those of a message; raises AntiphonError.
        reply: Makes the values of its reply of an answer, in rows that are sent whole.
        does: Takes the `OscRequest` and arguments by name, and returns the answer, where the operation needs more than
            a thread, such as what the server plays: an async function, or "module:function".
    """

    arguments: str
    doc: str
    read: Callable[[Sequence[Any]], Mapping[str, Any]]
    reply: Callable[[Any], Iterable[tuple[Any, ...]]]
    does: str | Callable[[Any, Mapping[str, Any]], Awaitable[Any]] = ""

    @staticmethod
    def within(rows: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Values of the first rows, as many as one datagram holds whole."""
        left = MAX_ANSWER
        for row in rows:
            left -= sum(len(item.encode()) + 8 if isinstance(item, str) else 8 for item in row)
            if left < 0:
                return
            yield from row


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
        here: Names of arguments that the command line and Python alone take, such as a file that is written.
        by_osc: How it is asked by OSC, where that is not by its arguments in order and with all values of its answer.
        example: Arguments of a request that works.
        examples: Command lines for its help.
    """

    name: str
    asked: type[Request]
    does: str | Callable[[Any], Any]
    answers: type[Struct]
    lines: str | Callable[[Any], Iterable[str]] = ""
    here: tuple[str, ...] = ()
    by_osc: OscForm | None = None
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
    def body(self) -> type[Struct]:
        """Its arguments for those who ask from elsewhere: without `here`."""
        if not self.here:
            return self.asked
        hints = get_type_hints(self.asked, include_extras=True)
        kept = [one for one in fields(self.asked) if one.name not in self.here]
        return defstruct(
            self.asked.__name__,
            [(one.name, hints[one.name], one.default) for one in kept],
            bases=(Request,),
            kw_only=True,
            namespace={"__doc__": self.asked.__doc__},
        )

    @property
    def osc(self) -> OscForm:
        """How it is asked by OSC: by its arguments in order, up to the first that may be repeated."""
        if self.by_osc is not None:
            return self.by_osc
        every = sorted(arguments(self.body), key=lambda one: one.default is not NODEFAULT)
        last = next((place for place, one in enumerate(every) if one.repeated), len(every))
        placed = every[: last + 1]
        answers = f"{self.doc} Answers `{self.path}.reply` with what it finds."
        return OscForm(" ".join(map(_notation, placed)), answers, partial(_read, placed), rows)

    def ask(self, given: Mapping[str, Any]) -> Any:
        """Its answer to arguments by name. Raises AntiphonError: they are not allowed, or it says so."""
        try:
            asked = convert(dict(given), self.asked, self.name)
        except Misfit as misfit:
            raise UsageError(str(misfit)) from None
        return self.answer(asked)

    def answer(self, asked: Any) -> Any:
        """Its answer to an `asked` or a `body`. Raises AntiphonError: a number is outside its range, or it says so."""
        check(asked)
        asked = asked if isinstance(asked, self.asked) else self.asked(**asdict(asked))
        return _function(self.does)(asked)

    def shown(self, answer: Any) -> Iterable[str]:
        """Lines of an answer for a terminal."""
        return _function(self.lines)(answer) if self.lines else (msgspec.json.encode(answer).decode(),)


def _notation(one: Argument) -> str:
    """An argument in the notation of `docs/osc.md`."""
    kinds = (one.kind, *getattr(one.kind, "__args__", ()))  # of int | None, tuple[str, ...] too
    word = f"{next((_TAGS[kind] for kind in kinds if kind in _TAGS), 's')}:{one.name}"
    return (word if one.default is NODEFAULT else f"[{word}]") + ("…" if one.repeated else "")


def _read(placed: Sequence[Argument], words: Sequence[Any]) -> Mapping[str, Any]:
    """Arguments of a message by name; the last takes all that are left, where it may be repeated."""
    given: dict[str, Any] = {}
    for one, word in zip(placed, words, strict=False):
        given[one.name] = bool(word) if one.kind is bool else word
    if placed and placed[-1].repeated:
        given[placed[-1].name] = tuple(words[len(placed) - 1 :])
    return given


def _function(place: str | Callable[..., Any]) -> Callable[..., Any]:
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


def rows(answer: Any) -> Iterator[tuple[Any, ...]]:
    """`scalars` of an answer, a row each."""
    return ((value,) for value in scalars(answer))


def offer(osc: AddressList, operation: PluginOperation) -> None:
    """Adds the address of an operation, which is done in a thread. Raises PluginError: as `AddressList.add`."""
    form, turns = operation.osc, dict[str, Any]()

    async def handler(request: Any) -> None:
        import asyncio  # where it is running; declarations need none

        given = form.read(request.args)
        async with turns.setdefault("one", asyncio.Lock()):
            if form.does:
                found = await _function(form.does)(request, given)
            else:
                found = await asyncio.to_thread(operation.ask, given)
        request.reply(f"{operation.path}.reply", *form.within(form.reply(found)))

    osc.add(operation.path, form.arguments, handler, form.doc)
