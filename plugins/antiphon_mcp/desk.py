"""State of the co-performer: proposals, landed changes, and the performer's permissions. Pure."""

from __future__ import annotations

import difflib
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODES = ("on", "off", "hold", "ask")
HALTED_MODES = ("off", "hold")
"""Modes in which nothing lands."""
CUE = "mcp."
"""Prefix of cues that carry the performer's actions."""
MODE_PREFIX = "is."
"""Prefix, after `CUE`, of a mode adopted by control, distinct from that of a pad's request."""
MAX_PROPOSALS = 32
"""Maximum remembered proposals, and pictures."""
MAX_UNDO = 64
"""Maximum changes that can be undone."""
MAX_DIFF = 20_000
OPEN_STATES = ("waiting", "landing")
"""States in which the performer's decision on a proposal is pending."""
BUSY_STATES = ("rehearsing", *OPEN_STATES)
"""States in which a proposal must be kept."""


class LandingRefused(Exception):
    """A change that does not land, with the reason."""


@dataclass(slots=True)
class Proposal:
    """A proposed change.

    Attributes:
        text: The whole script, with it; "" where it changes no script.
        lines: (address, arguments) of messages at the change.
        base: The script on which it stands.
        own: Whether it is the performer's own, which is judged alone.
        back: (address, arguments) of messages that take back those of `lines`.
        figures: Of the verdict.
        diff: The change as lines with + and -.
        state: rehearsing, ready, waiting, landing, landed, refused, dropped or undone.
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
    diff: str = ""
    state: str = "rehearsing"
    quantum: float = 0.0

    def plain(self) -> dict[str, Any]:
        """JSON data of the proposal."""
        return {
            "id": self.id,
            "state": self.state,
            "ok": self.ok,
            "why": self.why,
            "figures": self.figures,
            "bars": self.bars,
            "diff": self.diff,
        }


def diff_of(text: str, lines: tuple[tuple[str, tuple[Any, ...]], ...], base: str) -> str:
    """Change as lines with + and -, with the number of omitted ones if long."""
    shown = [f"+ {address} {' '.join(map(repr, args))}" for address, args in lines]  # repr: a value is one line
    if text:
        shown += list(difflib.unified_diff(base.splitlines(), text.splitlines(), lineterm="", n=1))[2:]
    whole = "\n".join(shown)
    left = len(whole) - MAX_DIFF
    return whole if left <= 0 else f"{whole[:MAX_DIFF]}\n… {left:,} more characters"


class Desk:
    """Proposals, landed changes, and the performer's mode and locks."""

    def __init__(self) -> None:
        self.mode, self.locked = MODES[0], frozenset[str]()
        self.proposals: dict[str, Proposal] = {}
        self.landed: deque[Proposal] = deque(maxlen=MAX_UNDO)

    @property
    def waiting(self) -> Proposal | None:
        """Proposal that waits for the performer."""
        return next((one for one in self.proposals.values() if one.state == "waiting"), None)

    def add(self, **given: Any) -> Proposal:
        """New proposal with an unguessable ID; beyond `MAX_PROPOSALS` the oldest that is not busy is dropped."""
        while len(self.proposals) >= MAX_PROPOSALS:
            idle = [one.id for one in self.proposals.values() if one.state not in BUSY_STATES]
            rehearsed = [one.id for one in self.proposals.values() if one.state == "rehearsing"]
            del self.proposals[(idle or rehearsed)[0]]
        made = Proposal(secrets.token_hex(6), **given)
        self.proposals[made.id] = made
        return made

    def judged(self, proposal: Proposal, verdict: Mapping[str, Any], picture: bytes) -> None:
        """Stores the verdict of the rehearsal."""
        figures = dict(verdict)
        proposal.ok, proposal.why = bool(figures.pop("ok")), list(figures.pop("why"))
        proposal.figures, proposal.picture = figures, picture
        proposal.state = "ready" if proposal.ok else "refused"

    def check(self, proposal: Proposal, playing: str, *, trusted: bool = False) -> None:
        """Raises `LandingRefused` if a proposal may not replace the playing script."""
        if self.mode in HALTED_MODES:
            raise LandingRefused(f"the performer has set the co-performer to {self.mode}; nothing lands")
        if proposal.own:
            raise LandingRefused("it is the performer's own, who runs it")
        if proposal.state == "landing":
            raise LandingRefused("it lands already")
        if proposal.state in ("landed", "dropped", "undone"):
            raise LandingRefused(f"it was {proposal.state} already; propose it again")
        if playing != proposal.base:
            raise LandingRefused("the set has changed since it was rehearsed; propose it again")
        if proposal.state == "rehearsing":
            raise LandingRefused("it is being rehearsed; wait for the verdict")
        if not proposal.ok and not (trusted and proposal.figures):
            raise LandingRefused(f"the rehearsal speaks against it: {'; '.join(proposal.why)}")

    def drop(self) -> None:
        """Drops waiting and not completely landed proposals."""
        for one in self.proposals.values():
            if one.state in OPEN_STATES:
                one.state = "dropped"
