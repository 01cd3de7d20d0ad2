"""State of the co-performer: proposals, landed changes, and the performer's permissions.

The desk is pure. State for a restarted process of the server is kept in a private JSON file for each server.
"""

import contextlib
import difflib
import json
import os
import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from antiphon.api import AntiphonError
from antiphon.kernel.runtime.paths import runtime as runtime_folder
from antiphon.kernel.runtime.platform import start_time

PRIVATE = 0o600


class DeskMemory:
    """Stored state of a server process, filed by its parent process, which restarts it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._written = b""

    def read(self) -> dict[str, Any]:
        """State written last; empty at first. Files of servers that have ended are removed."""
        try:
            path = self._path()
            for other in path.parent.glob("mcp-*-*-*.json"):
                _, pid, begun, _ = other.stem.split("-")
                if not pid.isdigit() or str(start_time(int(pid))) != begun:
                    other.unlink(missing_ok=True)
            found: dict[str, Any] = json.loads(path.read_bytes())
        except (AntiphonError, OSError, ValueError):
            return {}
        return found

    def write(self, **state: Any) -> None:
        """Writes the state where it has changed."""
        from antiphon.api.backends.files import write_atomic  # with numpy, 10 MB which a web process does without

        content = json.dumps(state).encode()
        if content != self._written:
            with contextlib.suppress(AntiphonError, OSError):  # what plays does not depend on it
                write_atomic(self._path(), content, PRIVATE)
                self._written = content

    def _path(self) -> Path:
        parent = os.getppid()
        return runtime_folder() / f"mcp-{parent}-{start_time(parent)}-{self._name}.json"


MODES = ("on", "off", "hold", "ask")
HALTED_MODES = ("off", "hold")
"""Modes in which nothing lands."""
CUE = "mcp."
"""Prefix of the cues that report the performer's actions."""
MODE_PREFIX = "is."
"""Prefix, after `CUE`, of a mode that is now in force; it differs from the name by which a pad requests the mode."""
MAX_PROPOSALS = 32
"""Maximum number of remembered proposals and of their pictures."""
MAX_UNDO = 64
"""Maximum number of changes that can be undone."""
MAX_KEPT = 8
"""Maximum number of changes that can be undone after a restart of the web process."""
MAX_DIFF = 20_000
DID = "did."
"""Prefix, after `CUE`, of the co-performer's actions, which have no handler."""
SETTABLE = (bool, int, float, str)
SCENE = "/scene/recall"
Message: TypeAlias = tuple[str, tuple[Any, ...]]
"""(address, arguments)"""
OPEN_STATES = ("waiting", "landing")
"""States in which the performer's decision on a proposal is pending."""
BUSY_STATES = ("rehearsing", *OPEN_STATES)
"""States in which a proposal must be kept."""


class LandingRefused(Exception):
    """A change that was refused landing, with the reason."""


@dataclass(slots=True)
class Proposal:
    """A proposed change. `replaced`: the script that it replaced, with its version, name and sender."""

    id: str
    text: str  # the whole script, with it; "" where it changes no script
    lines: tuple[Message, ...]  # messages at the change
    base: str  # the script on which it stands
    back: tuple[Message, ...] = ()  # messages that take back those of `lines`, and what the script sets
    bars: int = 4
    own: bool = False  # whether it is the performer's own, which is judged alone
    replaced: dict[str, Any] = field(default_factory=dict)
    ok: bool = False
    why: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)  # of the verdict
    picture: bytes = b""
    diff: str = ""  # the change as lines with + and -
    state: str = "rehearsing"  # rehearsing, ready, waiting, landing, landed, refused, dropped or undone
    quantum: float = 0.0
    at: float = 0.0  # beat from which its lines hold

    @property
    def mark(self) -> str:
        """Beginning of the ID, for cues and lines that all clients receive; it is not enough to land the proposal."""
        return self.id[:4]

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


def change_as_diff(text: str, lines: tuple[Message, ...], base: str) -> str:
    """A change as a unified diff, cut after `MAX_DIFF` characters, with the number of omitted characters."""
    shown = [f"+ {address} {' '.join(map(repr, args))}" for address, args in lines]  # repr: a value is one line
    if text:
        shown += list(difflib.unified_diff(base.splitlines(), text.splitlines(), lineterm="", n=1))[2:]
    whole = "\n".join(shown)
    left = len(whole) - MAX_DIFF
    return whole if left <= 0 else f"{whole[:MAX_DIFF]}\n… {left:,} more characters"


def values_by_address(nodes: Iterable[tuple[str, Mapping[str, Any]]], tempo: float) -> dict[str, Any]:
    """Current values by address: parameters of nodes, macros and the tempo."""
    found: dict[str, Any] = {"/tempo": tempo}
    for node, values in nodes:
        begin = "/macro" if node == "macro" else f"/node/{node}"
        found |= {f"{begin}/{name}": value for name, value in values.items() if isinstance(value, SETTABLE)}
    return found


def restoring_messages(
    touched: Iterable[str], values: Mapping[str, Any], macros: Mapping[str, Any]
) -> tuple[Message, ...]:
    """Messages that restore the current values at these addresses, a macro before the parameters it controls.

    `values`: current values by address. `macros`: in the format of a patch file. A scene sets all values but the tempo.
    """
    paths = {_plain(path) for path in touched}
    rows = [row for name, body in macros.items() if f"/macro/{name}" in paths for row in _rows(body)]
    moved = {_address(str(row[0])) for row in rows}
    wanted = (values.keys() - {"/tempo"}) | paths if SCENE in paths else paths | moved
    known = sorted((path for path in wanted if path in values), key=lambda path: not path.startswith("/macro/"))
    return tuple((path, (values[path],)) for path in known)


def _plain(path: str) -> str:
    """The address whose value a message sets."""
    path = path.replace("/node/macro/", "/macro/")
    parts = 2 if path.startswith("/macro/") else 3
    return "/".join(path.split("/")[: parts + 1]) if path.startswith(("/macro/", "/node/")) else path


def _rows(body: list[Any]) -> list[list[Any]]:
    return [body] if isinstance(body[0], str) else body


def _address(target: str) -> str:
    return f"/node/{target.replace('.', '/')}"


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
        """Adds a proposal with an unguessable ID; beyond `MAX_PROPOSALS` drops the oldest that is not busy."""
        while len(self.proposals) >= MAX_PROPOSALS:
            idle = [one.id for one in self.proposals.values() if one.state not in BUSY_STATES]
            rehearsed = [one.id for one in self.proposals.values() if one.state == "rehearsing"]
            del self.proposals[(idle or rehearsed)[0]]
        made = Proposal(secrets.token_hex(6), **given)
        self.proposals[made.id] = made
        return made

    def plain(self) -> dict[str, Any]:
        """JSON data for the page."""
        return {
            "mode": self.mode,
            "locked": sorted(self.locked),
            "waiting": None if self.waiting is None else self.waiting.plain(),
            "landed": len(self.landed),
        }

    def to_json(self) -> list[dict[str, Any]]:
        """JSON data of the waiting proposals and the last landed changes, oldest first."""
        chosen = [*self.landed][-MAX_KEPT:] + [one for one in (self.waiting,) if one is not None]
        return [{**asdict(one), "picture": one.picture.hex()} for one in chosen]

    def restore(self, kept: Iterable[Mapping[str, Any]]) -> None:
        """Restores the state that `kept` returned."""
        for one in kept:
            lines, back = (tuple((path, tuple(args)) for path, args in one[name]) for name in ("lines", "back"))
            given = {**one, "lines": lines, "back": back, "picture": bytes.fromhex(one["picture"])}
            made = self.proposals[one["id"]] = Proposal(**given)
            if made.state == "landed":
                self.landed.append(made)

    def store_verdict(self, proposal: Proposal, verdict: Mapping[str, Any], picture: bytes) -> None:
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
