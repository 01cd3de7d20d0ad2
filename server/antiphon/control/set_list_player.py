"""The set list that plays: where in it we are, and the way to its next patch."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from antiphon.errors import AntiphonError, PatchError, WireError
from antiphon.graph import patch as patches
from antiphon.io.osc_peer import Peer
from antiphon.session import set_list
from antiphon.session.set_list import SetList

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp

log = logging.getLogger("antiphon.control")


class Sets:
    """place: of the patch that was asked for last, from 0."""

    def __init__(self, app: ControlApp) -> None:
        self._app = app
        self.list: SetList | None = None
        self.place = 0

    def load(self, name: str, peer: Peer | None, address: str) -> None:
        """Takes up a set and loads its first patch. Every patch of it is read first: a bad one is refused here."""
        found = set_list.load(name)
        for one in found.patches:
            patches.load(one, self._app.catalog)
        self._play(found, 0, peer, address)

    def go(self, place: int, peer: Peer | None, address: str) -> None:
        """The patch at a place, from 0. `WireError` without a set, or beyond its ends."""
        found = self.present()
        if not 0 <= place < len(found.patches):
            raise WireError(f"{found.name} has patches 1 to {len(found.patches)}, not {place + 1}")
        self._play(found, place, peer, address)

    def _play(self, found: SetList, place: int, peer: Peer | None, address: str) -> None:
        name, app = found.patches[place], self._app
        # the set changes behind the load: what a refusal or an undo goes back to is the one before
        app.plans.load(patches.load(name, app.catalog), found.fade, peer, address, (name,))
        self.list, self.place = found, place
        self._tell()

    @property
    def at(self) -> tuple[SetList | None, int]:
        """Which set, and where in it."""
        return self.list, self.place

    def put(self, at: tuple[SetList | None, int]) -> None:
        """Back to where it was, with a patch that is taken back or was refused."""
        if at != self.at:
            self.list, self.place = at
            self._tell()

    def _tell(self) -> None:
        if self.list is not None:
            here = self.list.patches[self.place]
            self._app.feedback.event("/set/at", self.list.name, self.place + 1, len(self.list.patches), here)
        self._app.keep_soon()

    def step(self, by: int, peer: Peer | None, address: str) -> None:
        """The next patch, or the one before. One that has gone bad meanwhile is said, and passed over."""
        found, place, bad = self.present(), self.place + by, ""
        while 0 <= place < len(found.patches):
            try:
                self.go(place, peer, address)
            except PatchError as error:
                bad, place = str(error), place + by
                log.warning("%s", error)
                self._app.feedback.event("/patch/failed", str(error))
                continue
            return
        end = "last" if by > 0 else "first"
        raise WireError(bad or f"this is the {end} patch of {found.name}")

    def present(self) -> SetList:
        if self.list is None:
            known = ", ".join(set_list.names()[:40]) or "none"
            raise WireError(f"no set is loaded; /set/load takes one of: {known}")
        return self.list

    def pedals(self) -> dict[str, str]:
        """What the set's [midi] presses: "cc 66" → "/set/next"."""
        return {} if self.list is None else {control: f"/set/{step}" for control, step in self.list.midi.items()}

    def status(self) -> dict[str, Any] | None:
        """Of `GET /api/status`. place: from 1."""
        if self.list is None:
            return None
        return {"name": self.list.name, "place": self.place + 1, "patches": list(self.list.patches)}

    def to_json(self) -> dict[str, Any]:
        return {"set": None if self.list is None else [self.list.file, self.place]}

    def restore(self, data: dict[str, Any]) -> None:
        """What an earlier process kept; a set that has gone is none."""
        try:
            name, place = data["set"]
            self.list = set_list.load(name)
            self.place = min(int(place), len(self.list.patches) - 1)
        except (KeyError, TypeError, ValueError, AntiphonError):
            self.list = None
