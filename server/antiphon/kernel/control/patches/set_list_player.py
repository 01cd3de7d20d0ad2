"""Loads the patches of a set list: the first, the next, or one by its index."""

import logging
from dataclasses import replace

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.control.patches.plans import Plans
from antiphon.kernel.control.patches.set_position import SetPosition
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.errors import PatchError, RequestError
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session import set_list
from antiphon.kernel.session.set_list import SetList

log = logging.getLogger("antiphon.control")
printed_log = logging.getLogger("antiphon.said")


class Sets:
    """The commands of a set list."""

    def __init__(self, catalog: Catalog, plans: Plans, position: SetPosition, feedback: Feedback) -> None:
        """Creates the commands without a set."""
        self._catalog, self._plans, self._position, self._feedback = catalog, plans, position, feedback

    def load(self, name: str, peer: Peer | None, address: str) -> str:
        """Load of a set list and its first patch; `PatchError`, and no change, if one is not valid.

        Returns a remark on the pedals that it takes from its patches, "" where it takes none; subscribers get it too.
        """
        loaded = set_list.load(name)
        midi = {one: patches.load(one, self._catalog).midi for one in loaded.patches}
        self._play(loaded, 0, peer, address)
        taken = [
            f"{control} is {step} and not {midi[one][control]} of {one}"
            for control, step in loaded.midi.items()
            for one in midi
            if control in midi[one]
        ]
        if not taken:
            return ""
        remark = f"while the set {loaded.name} is loaded, {'; '.join(taken)}"
        printed_log.info("%s", remark)
        self._feedback.event("/remark", address, remark, source=peer.key if peer is not None else None)
        return remark

    def go(self, place: int, peer: Peer | None, address: str) -> None:
        """Loads the patch at index `place`, from 0; `RequestError` without a set, or beyond its end."""
        sets = self._position.present()
        if not 0 <= place < len(sets.patches):
            raise RequestError(f"{sets.name} has patches 1 to {len(sets.patches)}, not {place + 1}")
        self._play(sets, place, peer, address)

    def save(self, name: str, listed: tuple[str, ...]) -> SetList:
        """Saves patches, in order, as a set list of the performer's, and makes it the loaded one.

        Fade and pedals are copied from the previously loaded set; the sound does not change. Raises AntiphonError: it
        is not valid, or cannot be written; nothing has changed.
        """
        before, here = self._position.at
        stem = name.removesuffix(patches.SUFFIX)
        based = before if before is not None else SetList(stem, stem, listed)
        shown = based.name if based.file == stem else stem
        made = replace(based, file=stem, name=shown, patches=listed)
        set_list.save(made)
        playing = before.patches[here] if before is not None else ""
        self._position.go(made, listed.index(playing) if playing in listed else min(here, len(listed) - 1))
        return made

    def _play(self, sets: SetList, place: int, peer: Peer | None, address: str) -> None:
        name = sets.patches[place]
        # change the position after the load: a refusal or an undo returns to the position before it
        self._plans.load(patches.load(name, self._catalog), sets.fade, peer, address, (name,))
        self._position.go(sets, place)

    def step(self, by: int, peer: Peer | None, address: str) -> None:
        """Loads the next patch (`by` 1) or the previous one (-1); an invalid one is reported and skipped."""
        sets, place, bad = self._position.present(), self._position.place + by, ""
        while 0 <= place < len(sets.patches):
            try:
                self.go(place, peer, address)
            except PatchError as error:
                bad, place = str(error), place + by
                log.warning("%s", error)
                self._feedback.event("/patch/failed", str(error))
                continue
            return
        end = "last" if by > 0 else "first"
        raise RequestError(bad or f"this is the {end} patch of {sets.name}")
