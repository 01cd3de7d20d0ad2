"""What the co-performer has proposed and landed, and what the performer lets it do. Pure."""

from __future__ import annotations

import difflib
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODES = ("on", "off", "hold", "ask")
CUE = "mcp."
"""Prefix of the cues by which acts of the performer are told."""
KEPT = 32
"""Proposals that are remembered; of their pictures too."""
UNDONE = 64
"""Changes that can be undone."""
LONGEST_DIFF = 20_000


class NotLanded(Exception):
    """A change that does not land, with the reason."""


@dataclass(slots=True)
class Proposal:
    """A change that was proposed.

    Attributes:
        text: The whole script, with it; "" where it changes no script.
        lines: (address, arguments) of messages at the change.
        base: The script on which it stands.
        own: Whether it is the performer's own, which is judged alone.
        back: (address, arguments) of messages that take back those of `lines`.
        figures: Of the verdict.
        state: rehearsing, ready, waiting, landed, refused, dropped or undone.
    """

    id: str
    text: str
    lines: tuple[tuple[str, tuple[Any, ...]], ...]
    base: str
    back: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    bars: int = 4
    own: bool = False
    ok: bool = False
    why: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    picture: bytes = b""
    state: str = "rehearsing"
    quantum: float = 0.0

    @property
    def diff(self) -> str:
        """The change as lines with + and -."""
        shown = [f"+ {address} {' '.join(map(str, args))}" for address, args in self.lines]
        if self.text:
            lines = difflib.unified_diff(self.base.splitlines(), self.text.splitlines(), lineterm="", n=1)
            shown += list(lines)[2:]
        return "\n".join(shown)[:LONGEST_DIFF]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id,
            "state": self.state,
            "ok": self.ok,
            "why": self.why,
            "figures": self.figures,
            "bars": self.bars,
            "diff": self.diff,
        }


class Desk:
    """Proposals, what landed, and the performer's mode and locks."""

    def __init__(self) -> None:
        self.mode, self.locked = MODES[0], frozenset[str]()
        self.proposals: dict[str, Proposal] = {}
        self.landed: deque[Proposal] = deque(maxlen=UNDONE)

    @property
    def waiting(self) -> Proposal | None:
        """What waits for the performer."""
        return next((one for one in self.proposals.values() if one.state == "waiting"), None)

    def add(self, **given: Any) -> Proposal:
        """A new proposal, under an ID that cannot be guessed; the oldest is forgotten beyond `KEPT`."""
        made = Proposal(secrets.token_hex(6), **given)
        self.proposals[made.id] = made
        while len(self.proposals) > KEPT:
            del self.proposals[next(iter(self.proposals))]
        return made

    def judged(self, proposal: Proposal, verdict: Mapping[str, Any], picture: bytes) -> None:
        """Takes the verdict of the rehearsal."""
        figures = dict(verdict)
        proposal.ok, proposal.why = bool(figures.pop("ok")), list(figures.pop("why"))
        proposal.figures, proposal.picture = figures, picture
        proposal.state = "ready" if proposal.ok else "refused"

    def check(self, proposal: Proposal, playing: str, *, trusted: bool = False) -> None:
        """Raises `NotLanded` where a proposal may not land over the script that plays."""
        if self.mode in ("off", "hold"):
            raise NotLanded(f"the performer has set the co-performer to {self.mode}; nothing lands")
        if proposal.own:
            raise NotLanded("it is the performer's own, who runs it")
        if proposal.state in ("landed", "dropped", "undone"):
            raise NotLanded(f"it was {proposal.state} already; propose it again")
        if playing != proposal.base:
            raise NotLanded("the set has changed since it was rehearsed; propose it again")
        if proposal.state == "rehearsing":
            raise NotLanded("it is being rehearsed; wait for the verdict")
        if not proposal.ok and not (trusted and proposal.figures):
            raise NotLanded(f"the rehearsal speaks against it: {'; '.join(proposal.why)}")

    def drop(self) -> Proposal | None:
        """Drops what waits, and returns it."""
        waiting = self.waiting
        if waiting is not None:
            waiting.state = "dropped"
        return waiting
