"""A player with real processes in virtual time."""

from collections.abc import Callable

from tests.waiting import until

from antiphon.performer.branch import BranchProcesses
from antiphon.performer.outgoing import SentEvent
from antiphon.performer.player import Player
from antiphon.performer.scripts import Begin

IMPORTS = "from antiphon.live import *\n"
STEP = 1 / 32
"""Beats of a tick."""
BEAT = "track('beat', 'bd*4')\n"


class PlayerRig:
    """A player, what it showed and sent, and a clock that waits for its processes."""

    def __init__(self, processes: BranchProcesses) -> None:
        self.said: list[str] = []
        self.sent: list[SentEvent] = []
        self.player = Player("/sets/set.py", processes, self._show)
        self.now, self.bpm = 0.0, 120.0

    def _show(self, sentence: str, picture: str = "", *, fault: bool = False) -> None:
        self.said.append(sentence)

    def save(self, text: str) -> None:
        self.player.save(IMPORTS + text)

    def tick(self) -> None:
        self.sent += self.player.tick(self.now, self.bpm)
        if self.player.wanted:
            self.player.confirm_patch()

    def until_true(self, true: Callable[[], object], what: str) -> None:
        """Ticks without time passing."""

        def done() -> bool:
            self.tick()
            return bool(true())

        until(done, 10.0, f"{what}; said {self.said}")

    def play(self, beats: float) -> None:
        """Lets so many beats pass, each step once the processes have given what belongs to it."""
        end = self.now + beats
        while self.now < end:
            self.now += STEP
            self.until_true(lambda: self.player.known_until >= self.now + 0.3, f"events to {self.now}")
            self.tick()

    def first(self, text: str, version: int = 0) -> float:
        """Saves the first version; the server's beat that it begins on."""
        self.swap(text, version)
        assert self.sent[0].address == "/beat"
        return self.sent[0].beat

    def swap(self, text: str, version: int = 0, begin: Begin | None = None) -> None:
        """Saves a version, and ticks until it plays."""
        swaps = self.player.swaps + 1
        self.player.save(IMPORTS + text, version, begin)
        self.until_true(lambda: self.player.swaps == swaps, f"version {swaps} plays")

    def on(self, address: str, since: float) -> list[tuple[float, object]]:
        return [
            (e.beat - since, e.args[1] if address.endswith("/play") else e.args[0])
            for e in self.sent
            if e.address == address
        ]
