"""Answers to senders: collected in a turn and sent at its end, after their state is saved."""

import re
from collections.abc import Callable, Container, Iterable
from time import monotonic

from antiphon.kernel.control.faults import ControlFaults
from antiphon.kernel.control.subscribers.feedback import Feedback
from antiphon.kernel.io.osc_peer import Level, Peer
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.node_state import Scene
from antiphon.kernel.wire.osc import encode

FULL_SECONDS = 1.0
"""Seconds between two answers to one sender that the schedule is full."""


class Replies:
    """Answers of one turn.

    `packets`: those collected, each with its peer. `failed`: messages refused so far, answered or not.
    """

    def __init__(self, faults: ControlFaults, hide_files: Callable[[str], str], feedback: Feedback) -> None:
        """Starts without answers. `hide_files` removes file names from a sentence for all but the owner; `feedback`
        tells the owner of refusals.
        """
        self._faults, self._hide_files, self._feedback = faults, hide_files, feedback
        self.packets: list[tuple[Peer, bytes]] = []
        self.failed = 0

    def reply(self, peer: Peer, packet: bytes) -> None:
        """Adds an answer, to be sent at the end of the turn."""
        self.packets.append((peer, packet))

    def fail(self, peer: Peer, address: str, reason: str | Callable[[], str]) -> None:
        """Counts a refusal, and answers it within the sender's rate limit; `reason` is called only if it is sent."""
        self.failed += 1
        if peer.fails.allows():
            text = reason if isinstance(reason, str) else reason()
            self.reply(peer, encode("/fail", address, text if peer.level is Level.OWNER else self._hide_files(text)))
            if peer.fails.is_among_first:
                self._feedback.add_refusal(address, text, peer.key)

    def fail_schedule_full(self, peer: Peer, address: str, reason: str) -> None:
        """Does what `fail` does, with one answer per `FULL_SECONDS`, as a flood fills the schedule repeatedly."""
        now = monotonic()
        if now - peer.full_reported >= FULL_SECONDS:
            peer.full_reported = now
            self.fail(peer, address, reason)
        else:
            self.failed += 1

    def send(self) -> None:
        """Sends the collected answers; raises nothing."""
        if not self.packets:
            return
        packets, self.packets = self.packets, []
        for peer, packet in packets:
            try:
                peer.send(packet)
            except Exception as error:
                self._faults.add("an answer", error)


FILE = "(a file)"
_PART = r"""[^\s'",:;()/]+"""
_PATH = re.compile(rf"""(?P<quote>['"])(?P<quoted>/[^'"]*/[^'"]*)(?P=quote)|(?<![\w./])(?:/{_PART}){{2,}}/?""")


def replace_file_names(text: str, state: GraphState, scenes: Iterable[Scene], roots: Container[str]) -> str:
    """Replaces values of `file` parameters, and absolute paths unless below OSC `roots`, by `FILE`."""
    for name in sorted(_names(state, scenes), key=len, reverse=True):
        text = text.replace(repr(name), FILE).replace(name, FILE)

    def hidden(match: re.Match[str]) -> str:
        path = match["quoted"] or match[0]
        return match[0] if path.split("/")[1] in roots else FILE

    return _PATH.sub(hidden, text)


def _names(state: GraphState, scenes: Iterable[Scene]) -> set[str]:
    nodes = state.every.values()
    files = [(node, cell) for node in nodes for cell, param in enumerate(node.cells) if param.kind == "file"]
    present = [str(state.value_at(node, cell)) for node, cell in files]
    stored = [str(scene.get(f"{node.name}.{node.cells[cell].name}", "")) for scene in scenes for node, cell in files]
    return {name for name in (*present, *stored) if name}
