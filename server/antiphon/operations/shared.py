"""Operations, declared once and offered by every interface: Antiphon's own, and plugins' by `antiphon_operations`."""

import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct, defstruct
from msgspec.structs import asdict, fields

from antiphon.kernel.contract.addresses import AddressList
from antiphon.kernel.contract.catalog import Failure
from antiphon.kernel.errors import PluginError, UsageError
from antiphon.kernel.plugins.dispatcher import HookDispatcher
from antiphon.kernel.runtime.arguments import Argument, arguments, check
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.runtime.terms import NAMES, use_terms
from antiphon.kernel.runtime.typed import Misfit, convert

MAX_ANSWER = 8000
"""Most bytes of an answer by OSC, in one datagram: values beyond it are left out."""
_NAME = re.compile(r"[a-z][a-z0-9_-]* [a-z][a-z0-9-]*")
_TAGS = {int: "i", bool: "i", float: "f", str: "s"}
Shown = Callable[[int, int, str], None]
"""Shows progress. Its arguments: the number done, the total, and the name of the present item."""


@dataclass(slots=True)
class OperationCaller:
    """The caller of an operation.

    Attributes:
        server: Sends a request to the server whose HTTP client this is: takes an OSC address and its arguments, and
            returns the arguments of its reply. None elsewhere.
        progress: Takes a verb, and returns a context in which progress is shown.
        options: Whether error messages spell arguments as options.
        complaints: Sentences shown in addition to the answer.
        failed: Whether a part of the request was not done.
    """

    server: Callable[..., Sequence[Any]] | None = None
    progress: Callable[[str], AbstractContextManager[Shown]] = lambda verb: nullcontext(lambda done, total, name: None)
    options: bool = False
    complaints: list[str] = field(default_factory=list)
    failed: bool = False

    def fail(self, sentences: Iterable[str]) -> None:
        """Adds a sentence for each part of the request that was not done."""
        before = len(self.complaints)
        self.complaints += sentences
        self.failed |= len(self.complaints) > before


ASKER: ContextVar[OperationCaller] = ContextVar("ASKER")
"""The caller of the operation that is running."""


class Request(Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of an operation's arguments: its fields are the arguments, its docstring says what the operation does."""


@dataclass(frozen=True, slots=True)
class OscForm:
    """The OSC form of an operation.

    Attributes:
        arguments: The arguments of its address, in the notation of `docs/osc.md`.
        doc: What it does, with its reply.
        read: Converts the arguments of a message to arguments by name; raises AntiphonError.
        reply: Converts an answer to the values of its reply, in rows that are sent whole.
        does: An async function, or "module:function", for an operation that needs more than a thread, such as the state
            of the server. It takes the `OscRequest` and arguments by name, and returns the answer.
    """

    arguments: str
    doc: str
    read: Callable[[Sequence[Any]], Mapping[str, Any]]
    reply: Callable[[Any], Iterable[tuple[Any, ...]]]
    does: str | Callable[[Any, Mapping[str, Any]], Awaitable[Any]] = ""

    @staticmethod
    def within(rows: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yields the values of the first rows, as many rows as fit whole into one datagram."""
        left = MAX_ANSWER
        for row in rows:
            left -= sum(len(item.encode()) + 8 if isinstance(item, str) else 8 for item in row)
            if left < 0:
                return
            yield from row


@dataclass(frozen=True, slots=True)
class SharedOperation:
    """An operation that several interfaces offer.

    Attributes:
        name: For a plugin's operation, the plugin and a word. "shelf put" is `antiphon shelf put`, `POST
            /api/shelf/put`, `/shelf/put` by OSC, the tool `shelf_put` of an assistant, and `antiphon.ask("shelf put")`.
        asked: The type of its arguments.
        does: Takes an `asked` and returns an `answers`: a function, or "module:function", which is imported at the
            first call. It runs in a thread of a server, and raises AntiphonError. A generator yields answers one by
            one.
        answers: The type of its answer, a msgspec Struct; Any of a `local` one, whose answers have `plain` or are data.
        lines: Returns the lines of an answer for a terminal: a function or "module:function". Without it an answer is
            JSON.
        local: Whether only the command line and Python offer it, since it works on named files or takes minutes.
        group: Help text of its plugin's group of operations; the first operation that has one decides.
        kept: Message on the command line when it is interrupted, such as "what was added is kept".
        here: Names of arguments that only the command line and Python take, such as an output file.
        by_osc: Its OSC form, where that is not its arguments in order and all values of its answer.
        example: Arguments of a request that works.
        examples: Command lines for its help.
    """

    name: str
    asked: type[Request]
    does: str | Callable[[Any], Any]
    answers: Any
    lines: str | Callable[[Any], Iterable[str]] = ""
    local: bool = False
    group: str = ""
    kept: str = ""
    here: tuple[str, ...] = ()
    by_osc: OscForm | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """OSC address, and path of HTTP below /api."""
        return f"/{self.name.replace(' ', '/')}"

    @property
    def doc(self) -> str:
        """What the operation does: the docstring of `asked`."""
        return " ".join((self.asked.__doc__ or "").split())

    @property
    def body(self) -> type[Struct]:
        """Type of its arguments for callers elsewhere: without those in `here`."""
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
        """Its OSC form; by default its arguments in order, up to the first that may be repeated."""
        if self.by_osc is not None:
            return self.by_osc
        every = sorted(arguments(self.body), key=lambda one: one.default is not NODEFAULT)
        last = next((place for place, one in enumerate(every) if one.repeated), len(every))
        placed = every[: last + 1]
        answers = f"{self.doc} Answers `{self.path}.reply`."
        return OscForm(" ".join(map(_notation, placed)), answers, partial(_read, placed), rows)

    def ask(self, given: Mapping[str, Any]) -> Any:
        """Calls it with arguments by name. Raises AntiphonError: an argument is not allowed, or the operation fails."""
        given = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in given.items()}
        try:
            asked = convert(given, self.asked, self.name)
        except Misfit as misfit:
            raise UsageError(str(misfit)) from None
        return self.answer(asked)

    def answer(self, asked: Any, asker: OperationCaller | None = None) -> Any:
        """Calls it with an `asked` or a `body`. Raises AntiphonError: a value is not allowed, or it fails."""
        asker = asker or OperationCaller()
        ASKER.set(asker)
        with nullcontext() if asker.options else use_terms(NAMES):
            check(asked)
            asked = asked if isinstance(asked, self.asked) else self.asked(**asdict(asked))
            return _function(self.does)(asked)

    def answer_lines(self, answer: Any) -> Iterable[str]:
        """Lines of an answer for a terminal."""
        return _function(self.lines)(answer) if self.lines else (msgspec.json.encode(answer).decode(),)


def plain(answer: Any) -> Any:
    """An answer as data for JSON."""
    if isinstance(answer, list):
        return [plain(one) for one in answer]
    return answer.plain() if hasattr(answer, "plain") else msgspec.to_builtins(answer, enc_hook=str)


def _notation(one: Argument) -> str:
    """An argument in the notation of `docs/osc.md`."""
    kinds = (one.kind, *getattr(one.kind, "__args__", ()))  # of int | None, tuple[str, ...] too
    word = f"{next((_TAGS[kind] for kind in kinds if kind in _TAGS), 's')}:{one.name}"
    return (word if one.default is NODEFAULT else f"[{word}]") + ("…" if one.repeated else "")


def _read(placed: Sequence[Argument], words: Sequence[Any]) -> Mapping[str, Any]:
    """Returns arguments of a message by name; the last takes all the remaining words, where it may be repeated."""
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
        self.added: list[SharedOperation] = []

    def add(self, name: str, asked: type[Request], does: str | Callable[[Any], Any], answers: Any, **more: Any) -> None:
        """Adds an operation; the arguments are the attributes of `SharedOperation`.

        Raises PluginError: its name is malformed, or exists already.
        """
        one = SharedOperation(name, asked, does, answers, **more)
        if not _NAME.fullmatch(name):
            raise PluginError(f"an operation is named by its plugin and a word, as shelf put, not {name!r}")
        if any(other.name == name for other in self.added):
            raise PluginError(f"there is the operation {name!r} already")
        if not one.doc:
            raise PluginError(f"{name} needs a docstring of {asked.__name__} on what it does")
        self.added.append(one)


def scalars(answer: Any) -> Iterator[Any]:
    """Yields the numbers and texts of an answer in order, as OSC values; None becomes an empty text."""
    plain = msgspec.to_builtins(answer)
    items = plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list | tuple) else None
    if items is None:
        yield "" if plain is None else plain
    else:
        for item in items:
            yield from scalars(item)


def rows(answer: Any) -> Iterator[tuple[Any, ...]]:
    """Yields each of the `scalars` of an answer as a row."""
    return ((value,) for value in scalars(answer))


def offer(osc: AddressList, operation: SharedOperation) -> None:
    """Adds the address of an operation, which runs in a thread. Raises PluginError as `AddressList.add` does."""
    if operation.local:
        return
    form, turns = operation.osc, dict[str, Any]()

    async def handler(request: Any) -> None:
        import asyncio  # where it is running; declarations need none

        given = form.read(request.args)
        async with turns.setdefault("one", asyncio.Lock()):
            if form.does:
                with use_terms(NAMES):
                    found = await _function(form.does)(request, given)
            else:
                found = await asyncio.to_thread(operation.ask, given)
        request.reply(f"{operation.path}.reply", *form.within(form.reply(found)))

    osc.add(operation.path, form.arguments, handler, form.doc)


def added_operations(hooks: HookDispatcher, plugin: str) -> tuple[list[SharedOperation], tuple[Failure, ...]]:
    """The operations that a plugin adds, and failures of its hook."""
    added = OperationList()
    failures = hooks.call("antiphon_operations", only=plugin, operations=added)
    return added.added, failures


def add_operation_addresses(hooks: HookDispatcher, osc: AddressList) -> tuple[Failure, ...]:
    """Adds the addresses of a plugin's operations; returns failures of its hook, and of addresses it cannot have."""
    operations, failures = added_operations(hooks, osc.plugin)
    for operation in operations:
        try:
            offer(osc, operation)
        except PluginError as error:
            failures += (Failure(osc.plugin, str(error)),)
    return failures
