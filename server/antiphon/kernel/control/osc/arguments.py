"""OSC addresses, each declared by its handler, whose parameters are its arguments with their ranges.

    @osc("/patch/load", OWNER)
    def patch_load(ask: OscCall, name: Word, fade: Fade = FADE) -> None:

Its docstring is the sentence in `docs/osc.md`. Dispatch, checks, OSCQuery and the REPL's completion come from it.
"""

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_type_hints

from msgspec import Meta

from antiphon.kernel.contract.addresses import AddressInfo
from antiphon.kernel.control.osc.intake import Handler
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.errors import MissingArgument, RequestError
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.session.commands import Command, When
from antiphon.kernel.session.messages import check_count, number
from antiphon.kernel.wire.osc import Arg, encode

T = TypeVar("T")
Args = tuple[Arg, ...]
OWNER, SURFACE = Level.OWNER, Level.SURFACE
MAX_WORD = 256
"""Maximum characters of a word."""
Word = Annotated[str, Meta(max_length=MAX_WORD)]
QUICK_BYTES = 24 << 10
"""Most bytes of patches that are read within a turn: these take about 10 ms of processor time."""
OnOff = Annotated[int, Meta(ge=0, le=1)]


class OscCall(NamedTuple):
    """A message to an address: the argument of a handler before those of the message."""

    server: OscServer
    peer: Peer
    when: When

    def reply(self, address: str, *args: Arg) -> None:
        """Answers the sender."""
        self.server.replies.reply(self.peer, encode(address, *args))

    def do(self, command: Command) -> None:
        """Carries out a command of the sender."""
        self.server.executor.do(command, self.peer.key)

    def read(self, address: str, size: int, work: Callable[[], T], then: Callable[[T], object]) -> None:
        """Calls `then` with what `work` reads of files of `size` bytes together: of many in a thread."""
        if size <= QUICK_BYTES:
            then(work())
        else:
            self.server.intake.begin_slow(self.peer, address, work, then)

    def check(self, command: Command) -> None:
        """Raises RequestError: `do` would refuse the command."""
        self.server.session.check(command, self.server.clock.moment())


whole = partial(number, whole=True)


def text(args: Args, at: int, name: str, longest: int = MAX_WORD, default: Any = ...) -> Any:
    """Argument `at` as a string of 1 to `longest` characters; without a `default` it is required."""
    if at >= len(args):
        if default is ...:
            raise MissingArgument(f"{name} is missing")
        return default
    value = args[at]
    if not isinstance(value, str) or not value or len(value) > longest or "\0" in value:
        raise RequestError(f"{name} takes a word of 1 to {longest} characters, not {short_repr(value)}")
    return value


def is_press(args: Args) -> bool:
    """True if a message to a button address triggers: unless its argument is 0, a button's release."""
    if not args:
        return True
    value = args[0]
    if isinstance(value, int | float):
        return value != 0
    return value is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Address(AddressInfo):
    """A fixed OSC address.

    `readers`: one for each argument, in order; None where the handler takes them unread. `check`: takes the arguments
    of the handler, and raises AntiphonError where it would refuse them; None where only readers do.
    """

    handler: Callable[..., None]
    readers: tuple[Callable[[Args, int], Any], ...] | None
    at_once: bool  # whether it only asks for the present state; it is then refused with a time in the future
    check: Callable[..., object] | None

    @property
    def asks(self) -> bool:
        """Whether it is a question: it asks for the present state, and names nothing that a sender would set."""
        return self.at_once and self.args in ("", "x…")

    def bind(self, server: OscServer, *, checks: bool = False) -> Handler:
        """Returns the handler on a server, or with `checks` what only checks. It rejects more arguments than there are.

        An address without arguments, unless it is a query, is a button: it may have a value, and 0 is the release.
        """
        button, readers = not self.args and not self.at_once, self.readers
        handler = (self.check or _accept) if checks else self.handler
        count = 1 if button else len(self.args.split())
        most = math.inf if "…" in self.args else count

        def handle(peer: Peer, args: Args, when: When) -> None:
            if len(args) > most:
                check_count(args, count, self.args)
            if button and not is_press(args):
                return
            given = (args,) if readers is None else [read(args, at) for at, read in enumerate(readers)]
            handler(OscCall(server, peer, when), *given)

        return handle


def _accept(*given: object) -> None:
    """Refuses nothing: arguments that only have to be read."""


def osc(
    path: str,
    level: Level = SURFACE,
    args: str | None = None,
    doc: str = "",
    timed: bool = False,
    once: bool = False,
    check: Callable[..., object] | None = None,
) -> Callable[[Callable[..., None]], Address]:
    """Declares the handler of an address, as `Address`; `doc` is its docstring by default.

    `args`: for a handler that reads the arguments itself, with `check` where these have to be right before a bundle
    begins.
    """

    def declare(handler: Callable[..., None]) -> Address:
        read = list(_arguments(handler)) if args is None else []
        shown = args or " ".join(shown for shown, _ in read)
        readers = tuple(reader for _, reader in read) if args is None else None
        said, surfaces = doc or " ".join((handler.__doc__ or "").split()), level is SURFACE
        return Address(
            path, shown, said, "antiphon", surfaces, timed, handler=handler, readers=readers, at_once=once, check=check
        )

    return declare


def _arguments(handler: Callable[..., None]) -> Iterator[tuple[str, Callable[[Args, int], Any]]]:
    """Arguments of a handler in the reference's notation, each with its reader."""
    hints = get_type_hints(handler, include_extras=True)
    for one in list(inspect.signature(handler).parameters.values())[1:]:
        hint = hints[one.name]
        kind, meta = get_args(hint if hasattr(hint, "__metadata__") else get_args(hint)[0])  # of one that may be None
        given: dict[str, Any] = {} if one.default is one.empty else {"default": one.default}
        named = f"{_TAGS[kind]}:{meta.title or one.name}"
        bounds = {"longest": meta.max_length} if kind is str else {"low": meta.ge, "high": meta.le}
        yield f"[{named}]" if given else named, partial(_READERS[kind], name=named[2:], **bounds, **given)


_TAGS = {int: "i", float: "f", str: "s"}
_READERS: dict[type, Callable[..., Any]] = {int: whole, float: number, str: text}
