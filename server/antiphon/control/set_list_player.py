"""Loads the patches of a set list: the first, the next, one by its place."""

from __future__ import annotations

import logging

from antiphon.contract.catalog import Catalog
from antiphon.control.osc.feedback import Feedback
from antiphon.control.plans import Plans
from antiphon.control.set_position import SetPosition
from antiphon.errors import PatchError, WireError
from antiphon.graph import patch as patches
from antiphon.io.osc_peer import Peer
from antiphon.session import set_list
from antiphon.session.set_list import SetList

log = logging.getLogger("antiphon.control")


class Sets:
    """The commands of a set list.

    Args:
        catalog: The processor types that patches may use.
        plans: Loads them.
        position: Where in the set it is.
        feedback: Where a patch that has gone bad is reported.
    """

    def __init__(self, catalog: Catalog, plans: Plans, position: SetPosition, feedback: Feedback) -> None:
        self._catalog, self._plans, self._position, self._feedback = catalog, plans, position, feedback

    def load(self, name: str, peer: Peer | None, address: str) -> None:
        """Takes up a set and loads its first patch. Every patch of it is read first: a bad one is refused here."""
        found = set_list.load(name)
        for one in found.patches:
            patches.load(one, self._catalog)
        self._play(found, 0, peer, address)

    def go(self, place: int, peer: Peer | None, address: str) -> None:
        """The patch at a place, from 0. `WireError` without a set, or beyond its ends."""
        found = self._position.present()
        if not 0 <= place < len(found.patches):
            raise WireError(f"{found.name} has patches 1 to {len(found.patches)}, not {place + 1}")
        self._play(found, place, peer, address)

    def _play(self, found: SetList, place: int, peer: Peer | None, address: str) -> None:
        name = found.patches[place]
        # the set changes behind the load: what a refusal or an undo goes back to is the one before
        self._plans.load(patches.load(name, self._catalog), found.fade, peer, address, (name,))
        self._position.go(found, place)

    def step(self, by: int, peer: Peer | None, address: str) -> None:
        """The next patch, or the one before. One that has gone bad meanwhile is reported, and passed over."""
        found, place, bad = self._position.present(), self._position.place + by, ""
        while 0 <= place < len(found.patches):
            try:
                self.go(place, peer, address)
            except PatchError as error:
                bad, place = str(error), place + by
                log.warning("%s", error)
                self._feedback.event("/patch/failed", str(error))
                continue
            return
        end = "last" if by > 0 else "first"
        raise WireError(bad or f"this is the {end} patch of {found.name}")
