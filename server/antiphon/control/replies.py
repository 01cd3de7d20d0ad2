"""Answers to senders: collected in a turn, sent at its end, when all they say is saved."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from antiphon.control.faults import ControlFaults
from antiphon.io.osc_peer import Level, Peer
from antiphon.wire.osc import encode

FULL_SECONDS = 1.0
"""Between two answers to one sender that the schedule is full."""


class Replies:
    """failed: messages refused, answered or not.

    Args:
        faults: Where an answer that cannot be sent is counted.
        discreet: Takes names of files out of a sentence, for a sender that is not the owner.
    """

    def __init__(self, faults: ControlFaults, discreet: Callable[[str], str]) -> None:
        self._faults, self._discreet = faults, discreet
        self._packets: list[tuple[Peer, bytes]] = []
        self.failed = 0

    def reply(self, peer: Peer, packet: bytes) -> None:
        """Answers at the end of the turn."""
        self._packets.append((peer, packet))

    def fail(self, peer: Peer, address: str, reason: str | Callable[[], str]) -> None:
        """Counts a refusal and answers it, as often as the sender's limit allows.

        Args:
            peer: Who is answered.
            address: What was asked for.
            reason: The sentence, or what makes it: called only where it is sent.
        """
        self.failed += 1
        if peer.fails.allows():
            said = reason if isinstance(reason, str) else reason()
            self.reply(peer, encode("/fail", address, said if peer.level is Level.OWNER else self._discreet(said)))

    def schedule_full(self, peer: Peer, address: str, reason: str) -> None:
        """As `fail`, but answered once in `FULL_SECONDS`: a flood fills the schedule again and again."""
        now = monotonic()
        if now - peer.full_told >= FULL_SECONDS:
            peer.full_told = now
            self.fail(peer, address, reason)
        else:
            self.failed += 1

    def send(self) -> None:
        """Sends what was collected. Nothing is raised."""
        if not self._packets:
            return
        packets, self._packets = self._packets, []
        for peer, packet in packets:
            try:
                peer.send(packet)
            except Exception as error:
                self._faults.add("an answer", error)
