"""MIDI clock mode of `--midi-clock`: follow, lead, or off."""

from __future__ import annotations

from typing import Any

from antiphon.api.backends.transports import TransportServer
from antiphon_midi import messages as midi
from antiphon_midi.clock.follow import ClockFollower
from antiphon_midi.clock.lead import ClockLeader
from antiphon_midi.devices.ports import Ports
from antiphon_midi.options import MIDI_CLOCK


class MidiClock:
    """The clock of one server.

    `follower`: follows a clock, where the settings say so; else None. `leader`: gives the clock to the outputs, where
    the settings say so; else None.
    """

    def __init__(self, server: TransportServer, ports: Ports) -> None:
        asked = server.settings.value(MIDI_CLOCK)
        self.follower = ClockFollower(server) if asked == "follow" else None
        self.leader = ClockLeader(server, ports) if asked == "lead" else None
        self._server = server

    def install(self) -> None:
        """Starts the clock with the server, if one is led."""
        if self.leader is not None:
            self._server.service(self.leader.run)

    def status(self) -> dict[str, Any] | None:
        """The clock's part of `midi` in `GET /api/status`; None unless a clock is followed or led."""
        part = self.follower or self.leader
        return None if part is None else part.status()

    def message(self, message: midi.Short, port: str, ns: int) -> None:
        """Handles a message of a clock that came at `ns`, within a turn of the server; ignores any other."""
        if self.follower is not None and message.kind in midi.CLOCK:
            self.follower.message(message, port, ns)

    def gone(self, port: str) -> None:
        """Handles a port that was closed."""
        if self.follower is not None:
            self.follower.gone(port)

    def look(self) -> None:
        """Detects a stopped clock."""
        if self.follower is not None:
            self.follower.look()

    def close(self) -> None:
        """Sends a stop to the following devices."""
        if self.leader is not None:
            self.leader.close()
