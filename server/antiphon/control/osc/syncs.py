"""Who waits for `/synced`."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic_ns

from antiphon.control.engine_clock import EngineClock
from antiphon.control.replies import Replies
from antiphon.io.osc_peer import Peer
from antiphon.session.actions import Action
from antiphon.session.commands import Sample, Sync, When
from antiphon.session.schedule import ScheduleFull
from antiphon.wire.osc import encode

MAX_WAITING = 65536


@dataclass(frozen=True, slots=True)
class _Waiting:
    peer: Peer
    number: int
    when: When


class Syncs:
    """Tokens out, clients' numbers back."""

    def __init__(self, replies: Replies, clock: EngineClock) -> None:
        self._replies, self._clock = replies, clock
        self._waiting: dict[int, _Waiting] = {}
        # Never a number an earlier process used: its answers may still come.
        self._last = monotonic_ns()

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, peer: Peer, number: int, when: When) -> int:
        """The token to send for a client's `/sync number`."""
        if len(self._waiting) >= MAX_WAITING:
            raise ScheduleFull(f"{MAX_WAITING} syncs wait already")
        self._last += 1
        self._waiting[self._last] = _Waiting(peer, number, when)
        return self._last

    def came(self, token: int) -> None:
        found = self._waiting.pop(token, None)
        if found is not None:
            self._replies.reply(found.peer, encode("/synced", found.number))

    def dropped(self, address: str) -> None:
        """The schedule is being emptied: those in it will not come."""
        now = self._clock.moment()
        for token, found in list(self._waiting.items()):
            if isinstance(found.when, Sample) and found.when.n > now.sample:
                del self._waiting[token]
                self._replies.fail(found.peer, "/sync", f"{found.number} was dropped by {address} before its time")

    def again(self, scheduled: list[Action]) -> list[Action]:
        """Those a lost engine owes: all but the scheduled ones, which are told again with the schedule."""
        known = {e.token for e in scheduled if isinstance(e, Sync)}
        return [Sync(token) for token in self._waiting if token not in known]
