"""Routes and arguments of OSC addresses."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from antiphon.kernel.errors import MissingArgument, RequestError
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.session.commands import When
from antiphon.kernel.wire.osc import Arg

Args = tuple[Arg, ...]


def check_count(args: Args, count: int, takes: str) -> None:
    """Rejects more than `count` arguments; `takes` names the allowed ones in the message."""
    if len(args) > count:
        raise RequestError(f"takes {takes or 'no arguments'}; {len(args)} arguments were sent")


def number(args: Args, at: int, name: str, low: float, high: float, default: float | None = None) -> float:
    """Argument `at` as a float from `low` to `high`; `default` None makes it required."""
    if at >= len(args):
        if default is None:
            raise MissingArgument(f"{name} is missing: {low:g} to {high:g}")
        return default
    value = args[at]
    if not isinstance(value, int | float):
        raise RequestError(f"{name} takes {low:g} to {high:g}, not {short_repr(value)}")
    parsed = float(value)
    if not (math.isfinite(parsed) and low <= parsed <= high):
        raise RequestError(f"{name} takes {low:g} to {high:g}, not {parsed:g}")
    return parsed


def whole(args: Args, at: int, name: str, low: int, high: int, default: int | None = None) -> int:
    """Argument `at` as an integer, as `number`; 5.0 is allowed, 5.5 is not."""
    if at < len(args) and type(args[at]) is int and low <= int(args[at]) <= high:  # type: ignore[arg-type]
        return int(args[at])  # type: ignore[arg-type]
    parsed = number(args, at, name, low, high, None if default is None else float(default))
    if parsed != int(parsed):
        raise RequestError(f"{name} takes a whole number, not {parsed:g}")
    return int(parsed)


def text(args: Args, at: int, name: str, default: str | None = None, longest: int = 256) -> str:
    """Argument `at` as a string of 1 to `longest` characters; `default` if it is missing."""
    if at >= len(args):
        if default is None:
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


Handler = Callable[[Peer, tuple[Arg, ...], When], None]
"""(sender, arguments, time); raises `AntiphonError`, whose text is sent to the sender."""


@dataclass(slots=True, eq=False)
class AddressRoute:
    """The route of one address.

    `low`, `high`: a single number in this range only sets `param` of `node`, so that `Intake` may gather it; low above
    high for none.
    """

    address: str
    handler: Handler
    level: Level = Level.OWNER
    timed: bool = False  # whether the handler applies `when` itself; other handlers are called when the message is due
    low: float = 1.0
    high: float = 0.0
    node: str = ""
    param: str = ""
    asks: bool = False  # whether a message without arguments asks for the value
    at_once: bool = False  # whether it only asks for the present state; it is then refused with a time in the future
    usage: str = ""
