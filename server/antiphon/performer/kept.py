"""Replaced versions of a script, performed on unheard, so that an undo returns to where they would be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from antiphon.performer.branch import Branch

MAX_KEPT = 4
"""Versions that are kept: each is performed as the one that plays."""
_VALUES = ("/node/", "/macro/", "/tempo", "/swing")
Values = dict[str, tuple[str, tuple[Any, ...]]]
"""Last address and arguments of what was set, by its address: a macro has several."""


def values_of(events: Iterable[tuple[str, tuple[Any, ...], str]]) -> Values:
    """Values that tracks and loops set, of events with address, arguments and source."""
    return {
        _key(address): (address, args)
        for address, args, source in events
        if source and address.startswith(_VALUES) and not address.endswith("/play")
    }


def _key(address: str) -> str:
    plain = address.replace("/node/macro/", "/macro/")
    return "/".join(plain.split("/")[:3]) if plain.startswith("/macro/") else plain


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A replaced version. `header`: as it was read; `values`: those that it set last."""

    branch: Branch
    version: int
    text: str
    header: Mapping[str, Any]
    values: Values

    def take(self, answer: Mapping[str, Any]) -> None:
        """Takes the values of events that are not played."""
        self.values.update(values_of((event[2], tuple(event[3]), event[6]) for event in answer["events"]))


class KeptVersions:
    """The kept versions, oldest first."""

    def __init__(self) -> None:
        self._versions: list[KeptVersion] = []

    def branches(self) -> list[Branch]:
        """Their processes."""
        return [one.branch for one in self._versions]

    def headers(self) -> list[Mapping[str, Any]]:
        """Their headers, as they were read."""
        return [one.header for one in self._versions]

    def keep(self, version: KeptVersion) -> None:
        """Adds a version; of too many the oldest ends."""
        version.branch.ask("quiet", on=True)
        self._versions.append(version)
        if len(self._versions) > MAX_KEPT:
            self._versions.pop(0).branch.end()

    def follow(self, do: str, values: Mapping[str, Any]) -> None:
        """Passes on what the version that plays was asked; its runs are not theirs."""
        for branch in self.branches() if do != "strike" else ():
            branch.ask(do, **values)

    def of(self, branch: Branch) -> KeptVersion | None:
        """Version of a process, if it is kept."""
        return next((one for one in self._versions if one.branch is branch), None)

    def drop(self, branch: Branch) -> bool:
        """Forgets the version of a process that has ended; false if it is none of these."""
        known = self.of(branch)
        if known is not None:
            self._versions.remove(known)
        return known is not None

    def back_to(self, version: int) -> KeptVersion | None:
        """Removes a version, and ends those that replaced it."""
        if all(one.version != version for one in self._versions):
            return None
        while (last := self._versions.pop()).version != version:
            last.branch.end()
        return last

    def clear(self) -> None:
        """Ends all."""
        while self._versions:
            self._versions.pop().branch.end()
