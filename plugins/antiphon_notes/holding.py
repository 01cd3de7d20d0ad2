"""Note hold and latch."""

from __future__ import annotations

from antiphon.api import IO, Event, Param
from antiphon_notes.node import Key, NoteNode

MODES = ("sustain", "latch", "toggle")


class Hold(NoteNode):
    """Holds notes while `hold` is on. Switching it off ends notes whose keys are up.

    sustain: they add up.  latch: the first key after all keys were up ends the held ones.  toggle: a key's second time
    ends its note.
    """

    split = True
    params = (
        Param("hold", "switch", True, doc="Holds the notes; off ends them."),
        Param("mode", "choice", "latch", choices=MODES, doc="sustain adds, latch begins anew, toggle by key."),
    )

    def forget(self) -> None:
        self._held: dict[Key, bool] = {}
        """Held notes by key; True while the key is down."""

    def process(self, io: IO) -> None:
        if not io.value("hold"):
            self._release(io, 0)
        super().process(io)

    def take(self, io: IO, event: Event, switched: tuple[bool, bool]) -> None:
        key = event.channel, event.number
        if switched[0] or switched[1] or not io.at("hold", event.offset) or event.kind not in ("on", "off"):
            super().take(io, event, switched)
            return
        if event.kind == "off" or event.value <= 0.0:
            if key in self._held:
                self._held[key] = False
            else:
                super().take(io, event, switched)
            return
        mode = str(io.at("mode", event.offset))
        if mode == "latch" and not any(self._held.values()):
            self._release(io, event.offset)
        if mode == "toggle" and self._held.pop(key, None) is not None:
            self.up(io, event, key)
            return
        self._held[key] = True
        super().take(io, event, switched)

    def _release(self, io: IO, frame: int) -> None:
        """Ends the held notes whose keys are up; the others end with their keys."""
        for key, down in self._held.items():
            if not down:
                self.up(io, Event("off", frame, key[1], 0.0, key[0]), key)
        self._held.clear()
