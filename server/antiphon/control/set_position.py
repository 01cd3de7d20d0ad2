"""Which set list is taken up, and which of its patches was asked for last."""

from __future__ import annotations

from typing import Any

from antiphon.control.osc.feedback import Feedback
from antiphon.control.saver import StateSaver
from antiphon.errors import AntiphonError, WireError
from antiphon.session import set_list
from antiphon.session.set_list import SetList


class SetPosition:
    """list: the set, None while there is none.  place: of the patch that was asked for last, from 0."""

    def __init__(self, feedback: Feedback, saver: StateSaver) -> None:
        self._feedback, self._saver = feedback, saver
        self.list: SetList | None = None
        self.place = 0

    @property
    def at(self) -> tuple[SetList | None, int]:
        """Which set, and where in it."""
        return self.list, self.place

    def go(self, found: SetList, place: int) -> None:
        """Takes up a place of a set, and says so to subscribers."""
        self.list, self.place = found, place
        self._tell()

    def put(self, at: tuple[SetList | None, int]) -> None:
        """Back to where it was, with a patch that is taken back or was refused."""
        if at != self.at:
            self.list, self.place = at
            self._tell()

    def _tell(self) -> None:
        if self.list is not None:
            here = self.list.patches[self.place]
            self._feedback.event("/set/at", self.list.name, self.place + 1, len(self.list.patches), here)
        self._saver.soon()

    def present(self) -> SetList:
        """The set; `WireError` where there is none."""
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
        """What an earlier process saved; a set that has gone is none."""
        try:
            name, place = data["set"]
            self.list = set_list.load(name)
            self.place = min(int(place), len(self.list.patches) - 1)
        except (KeyError, TypeError, ValueError, AntiphonError):
            self.list = None
