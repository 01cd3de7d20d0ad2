"""Loaded set list, and the index of the last requested patch."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from antiphon.kernel.control.state import StateSaver
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.errors import AntiphonError, RequestError
from antiphon.kernel.graph.patch import SUFFIX
from antiphon.kernel.session import set_list
from antiphon.kernel.session.set_list import SetList


class SetPosition:
    """The position in a set list.

    `list`: the set list, None without one; `place`: index of the last requested patch, from 0.
    """

    def __init__(self, feedback: Feedback, saver: StateSaver) -> None:
        """Begins without a set list; `feedback` sends changes to subscribers, `saver` saves them."""
        self._feedback, self._saver = feedback, saver
        self.list: SetList | None = None
        self.place = 0

    @property
    def at(self) -> tuple[SetList | None, int]:
        """The set list and the index in it."""
        return self.list, self.place

    def go(self, sets: SetList, place: int) -> None:
        """Moves to an index of a set list, and reports that to subscribers."""
        self.list, self.place = sets, place
        self._report()

    def put(self, at: tuple[SetList | None, int]) -> None:
        """Restores an earlier `at`, after an undo or a refused load."""
        if at != self.at:
            self.list, self.place = at
            self._report()

    def _report(self) -> None:
        if self.list is not None:
            here = self.list.patches[self.place]
            self._feedback.event("/set/at", self.list.name, self.place + 1, len(self.list.patches), here)
        self._saver.soon()

    def present(self) -> SetList:
        """The set list; `RequestError` if there is none."""
        if self.list is None:
            known = ", ".join(set_list.names()[:40]) or "none"
            raise RequestError(f"no set is loaded; /set/load takes one of: {known}")
        return self.list

    def pedals(self) -> dict[str, str]:
        """The OSC addresses of the set's MIDI controllers, for example "cc 66" → "/set/next"."""
        return {} if self.list is None else {control: f"/set/{step}" for control, step in self.list.midi.items()}

    def status(self, playing: str, midi: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any] | None:
        """The entry of `GET /api/status`, `place` from 1; `outside`: another patch runs. None without a set list.

        `pedals`: what the set's controllers do, and in place of what in `midi`, the patch's own; "" for nothing.
        """
        if self.list is None:
            return None
        return {
            "file": self.list.file,
            "name": self.list.name,
            "place": self.place + 1,
            "patches": list(self.list.patches),
            "outside": Path(playing).stem != self.list.patches[self.place].removesuffix(SUFFIX),
            "pedals": {control: [does, midi.get(control, "")] for control, does in self.list.midi.items()},
        }

    def to_json(self) -> dict[str, Any]:
        """The position, for `restore`."""
        return {"set": None if self.list is None else [self.list.file, self.place]}

    def restore(self, data: dict[str, Any]) -> None:
        """Restores the saved position of an earlier process; no set list if its file is gone or invalid."""
        try:
            name, place = data["set"]
            self.list = set_list.load(name)
            self.place = min(int(place), len(self.list.patches) - 1)
        except (KeyError, TypeError, ValueError, AntiphonError):
            self.list = None
