"""Routes OSC addresses to handlers: a dictionary for plain addresses, a tree for patterns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from antiphon.kernel.errors import WireError
from antiphon.kernel.wire import pattern
from antiphon.kernel.wire.osc import address_text

T = TypeVar("T")


@dataclass(slots=True)
class _Branch(Generic[T]):
    routes: list[T] = field(default_factory=list)
    parts: dict[bytes, _Branch[T]] = field(default_factory=dict)


class Router(Generic[T]):
    """Routes by OSC address: exact ones by `exact`, in constant time; patterns by `match`, which walks a tree."""

    def __init__(self) -> None:
        self.exact: dict[bytes, T] = {}
        self._reached: dict[bytes, T] = {}  # those that patterns match
        self._tree: _Branch[T] | None = None  # of these, for the first pattern after a change

    def __len__(self) -> int:
        return len(self.exact)

    def put(self, address: bytes, route: T, *, patterns: bool = True) -> None:
        """Adds a route, or replaces the one at `address`; with `patterns` OSC patterns match it too."""
        self.exact[address] = route
        if patterns:
            self._reached[address], self._tree = route, None

    def drop(self, *addresses: bytes) -> None:
        """Removes the routes at `addresses` and all below them; an unknown address is ignored."""
        below = tuple(address + b"/" for address in addresses)
        for known in [a for a in self.exact if a in addresses or a.startswith(below)]:
            del self.exact[known]
            self._reached.pop(known, None)
        self._tree = None

    def _branches(self) -> _Branch[T]:
        tree = _Branch[T]()
        for address, route in self._reached.items():
            branch = tree
            for part in address[1:].split(b"/"):
                branch = branch.parts.setdefault(part, _Branch())
            branch.routes.append(route)
        return tree

    def match(self, address: bytes) -> list[T]:
        """Routes of an address or pattern, in order, or none; `WireError` for a malformed or unmatched pattern."""
        if not pattern.is_pattern(address):
            route = self.exact.get(address)
            return [] if route is None else [route]
        if len(address) > pattern.MAX_PATTERN:
            raise WireError(f"a pattern is at most {pattern.MAX_PATTERN} bytes long", address_text(address))
        if self._tree is None:
            self._tree = self._branches()
        branches = [self._tree]
        for part in address[1:].split(b"/"):
            branches = _below(branches, part, address)
        routes = [route for branch in branches for route in branch.routes]
        if not routes:
            raise WireError("no address of a parameter, macro or question matches this pattern", address_text(address))
        return routes


def _below(branches: list[_Branch[T]], part: bytes, address: bytes) -> list[_Branch[T]]:
    if not pattern.is_pattern(part):
        return [b.parts[part] for b in branches if part in b.parts]
    try:
        compiled = pattern.compile_part(part)
    except WireError as error:
        raise WireError(str(error), address_text(address)) from None
    # many nodes share their parameters' names: match each distinct name once
    known: dict[bytes, bool] = {}
    result = []
    for branch in branches:
        for name, child in branch.parts.items():
            if name not in known:
                known[name] = compiled.matches(name)
            if known[name]:
                result.append(child)
    return result
