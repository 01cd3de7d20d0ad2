"""Answers that depend on a plan: sent once the engine plays it, or refuses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from antiphon.kernel.control.subscribers.replies import Replies
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.wire.osc import Arg, encode

MAX_ANSWERS = 1024
"""Maximum answers that wait for the engine."""


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """An answer that depends on a plan.

    `refused`: called with the reason when the engine refuses the plan; then nothing else is said of it.
    """

    goal: int
    peer: Peer | None  # who is answered; None for no answer
    address: str
    done: tuple[Arg, ...] | None  # arguments of `/done` when the plan plays; None sends none
    then: Callable[[], None] | None = None
    refused: Callable[[str], None] | None = None


class PlanAnswers:
    """Answers waiting for the engine, at most `MAX_ANSWERS`. `replies`: sends them."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._waiting: list[PlanAnswer] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, answer: PlanAnswer) -> None:
        """Queues an answer for its plan; beyond `MAX_ANSWERS` it is dropped."""
        if len(self._waiting) < MAX_ANSWERS:
            self._waiting.append(answer)

    def give(self, answer: PlanAnswer) -> None:
        """Sends an answer whose plan plays."""
        if answer.done is not None and answer.peer is not None:
            self._replies.reply(answer.peer, encode("/done", answer.address, *answer.done))
        if answer.then is not None:
            answer.then()

    def loaded(self, serial: int) -> None:
        """Sends the answers of plan number `serial`, which plays, or of earlier ones."""
        for answer in self._settled(serial):
            self.give(answer)

    def refused(self, serial: int, reason: str) -> bool:
        """Sends the answers of the refused plan number `serial`; True if there was any."""
        asking = [answer for answer in self._settled(serial) if answer.peer is not None or answer.refused]
        for answer in asking:
            if answer.refused is not None:
                answer.refused(reason)
            if answer.peer is not None:
                self._replies.fail(answer.peer, answer.address, reason)
        return bool(asking)

    def retarget(self, goal: int) -> None:
        """Makes all pending answers depend on load number `goal`."""
        self._waiting = [replace(answer, goal=goal) for answer in self._waiting]

    def _settled(self, serial: int) -> list[PlanAnswer]:
        done = [answer for answer in self._waiting if answer.goal <= serial]
        self._waiting = [answer for answer in self._waiting if answer.goal > serial]
        return done
