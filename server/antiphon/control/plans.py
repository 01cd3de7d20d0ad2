"""Plans asked of the engine: who waits for one, what is kept of it, and what to do when an engine is new."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from antiphon.contract.catalog import Catalog
from antiphon.control.engine_clock import EngineClock
from antiphon.control.executor import CommandExecutor
from antiphon.control.history import MAX_EDITS, Before, EditHistory, Kept, before, graph_again
from antiphon.control.osc.feedback import Feedback
from antiphon.control.osc.outbox import Outbox
from antiphon.control.osc.syncs import Syncs
from antiphon.control.replies import Replies
from antiphon.control.server_events import ServerEvents
from antiphon.control.set_position import SetPosition
from antiphon.control.state import StateFolder
from antiphon.engine.link import EngineLink
from antiphon.errors import AntiphonError, PatchError, WireError
from antiphon.graph import patch as patches
from antiphon.graph.patch import SUFFIX, Patch
from antiphon.graph.patch_writer import save
from antiphon.io.osc_peer import Peer
from antiphon.runtime import paths, resources
from antiphon.session.effects import Effect
from antiphon.session.scenes import Scene, restricted_to
from antiphon.session.session import Session
from antiphon.wire.osc import Arg, encode

log = logging.getLogger("antiphon.control")

MAX_WAITING = 1024
PATIENCE = 20.0
"""Seconds until a plan that was neither made nor refused is asked for again."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """peer: None when nobody has to be told.  done: the answer when it plays; None keeps silent.  then: called then."""

    goal: int
    peer: Peer | None
    address: str
    done: tuple[Arg, ...] | None
    then: Callable[[], None] | None = None


class PlanServer(Protocol):
    """What plans are made of, and whom they concern."""

    session: Session
    catalog: Catalog
    link: EngineLink
    clock: EngineClock
    executor: CommandExecutor
    outbox: Outbox
    replies: Replies
    feedback: Feedback
    events: ServerEvents
    syncs: Syncs
    position: SetPosition
    folder: StateFolder

    def structure_changed(self) -> None:
        """The nodes are others."""


class Plans:
    def __init__(self, server: PlanServer) -> None:
        self._server = server
        self._waiting: list[_Waiting] = []
        self._engine = 0
        self._clock = (0, 0.0)
        self.latency = 0
        self.weight = 0.0
        self.warning = ""
        self.patch: Patch | None = None
        self.scenes: dict[int, Scene] = {}
        self.history = EditHistory()
        self.failed = False
        """Whether the last file or plan was refused, and the one before plays on."""
        self._kept: list[Kept] = []
        self._saved: dict[Path, str] = {}

    # ---- asking

    def edit(
        self, make: Callable[[], list[Effect]], peer: Peer | None, address: str, done: tuple[Arg, ...] | None = None
    ) -> None:
        """Changes nodes or wires. `/fail` comes now or when the engine refuses; `/done`, if wanted, when it plays."""
        session = self._server.session
        was, graph = self._before(address, whole=False), session.graph
        self._change(make, peer, address, done)
        if session.graph is not graph:
            self.history.edited(was)

    def load(
        self, patch: Patch, fade: float, peer: Peer | None, address: str, done: tuple[Arg, ...],
        then: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """Changes everything for a patch. then: called when it plays, and never where it is refused."""
        session = self._server.session
        was = self._before(address, whole=True)
        path = "" if patch.path is None else str(patch.path)
        self._change(lambda: session.load(patch.graph, patch.name, path, patch.tempo, fade), peer, address, done, then)
        if was.graph.nodes or was.graph.wires:
            self.history.edited(was)
        self.patch = patch
        self.scenes = {number: dict(values) for number, values in patch.scenes.items()}
        if patch.path is not None and path != was.path and patches.hides(patch.path):
            warning = f"{patch.path.stem} is a patch of yours and hides the shipped one of that name"
            log.warning("%s", warning)
            self._server.feedback.event("/patch/warning", warning)

    def save(self, name: str, *, replacing: bool) -> None:
        """Keeps the present as a patch of the performer's. Over the one that plays it needs no `replacing`."""
        playing = Path(self._server.session.path) == paths.patches() / f"{name.removesuffix(SUFFIX)}{SUFFIX}"
        made, known = self.present(name), self._server.catalog
        path, text = save(made, name, known, self._saved, replacing=replacing or playing)
        self._saved[path] = text

    def undo(self, peer: Peer | None, address: str) -> None:
        """Takes the last edit of nodes or wires, or the last patch, back. `WireError` when there is none."""
        self._back(self.history.done, self.history.undone, peer, address, "undo")

    def redo(self, peer: Peer | None, address: str) -> None:
        """Does again what was taken back last."""
        self._back(self.history.undone, self.history.done, peer, address, "redo")

    def _back(self, edits: deque[Before], others: deque[Before], peer: Peer | None, address: str, word: str) -> None:
        if not edits:
            raise WireError(f"there is nothing to {word}")
        was, session = edits[-1], self._server.session
        now = self._before(was.what, whole=was.whole)
        graph, tempo = graph_again(was, session), was.tempo if was.whole else None
        # a file that was saved while it plays is no address: then it is the patch's name
        what = was.what or session.name
        self._change(lambda: session.load(graph, was.name, was.path, tempo), peer, address, (what,))
        edits.pop()
        others.append(now)
        if was.whole:
            self.patch, self.scenes = was.patch, dict(was.scenes)
            self._server.position.put(was.place)

    def _before(self, what: str, *, whole: bool) -> Before:
        return before(what, self.patch, self.scenes, self._server.session, self._server.position.at, whole=whole)

    def _change(
        self, make: Callable[[], list[Effect]], peer: Peer | None, address: str, done: tuple[Arg, ...] | None,
        then: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        if max(len(self._waiting), len(self._kept)) >= MAX_WAITING:
            raise PatchError(f"{MAX_WAITING} changes wait for the engine already; try again")
        session, history = self._server.session, self.history
        effects = make()
        if session.loading:
            place = self._server.position.at
            self._kept.append(
                Kept(session.goal, self.patch, dict(self.scenes), place, (*history.done,), (*history.undone,))
            )
        self._server.executor.perform(effects)
        self._server.structure_changed()
        self.expect(peer, address, done, then)

    def read_again(self) -> Patch:
        """The present patch from its file."""
        session = self._server.session
        if not session.path:
            raise PatchError("the present patch has no file; save it first with /patch/save name")
        path = Path(session.path)
        if path.parent in (paths.patches(), resources.patches()):
            return patches.load(path.stem, self._server.catalog)
        # Only the command line can have named it: there any path is the performer's own.
        return patches.load(path, self._server.catalog, trusted=True)

    def present(self, name: str) -> Patch:
        """The nodes, wires and values of now as a patch."""
        session = self._server.session
        graph = session.current()
        scenes = restricted_to(self.scenes, graph)
        if self.patch is None:
            return Patch(name, session.tempo, graph, scenes)
        return replace(self.patch, name=name, tempo=session.tempo, graph=graph, scenes=scenes)

    def expect(
        self, peer: Peer | None, address: str, done: tuple[Arg, ...] | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """Answers `peer` how the plan with all asked for until now turns out, and calls `then` if it plays."""
        session = self._server.session
        if session.loading:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append(_Waiting(session.goal, peer, address, done, then))
            return
        if done is not None and peer is not None:
            self._server.replies.reply(peer, encode("/done", address, *done))
        if then is not None:
            then()

    # ---- what the engine says

    def loaded(self, serial: int, latency: int) -> None:
        server = self._server
        effects = server.session.loaded(serial, server.clock.moment().sample)
        self._kept = [kept for kept in self._kept if kept.goal > serial]
        self.latency = latency
        for found in self._settled(serial):
            if found.done is not None and found.peer is not None:
                server.replies.reply(found.peer, encode("/done", found.address, *found.done))
            if found.then is not None:
                found.then()
        self.failed = False
        server.executor.perform(effects)
        server.outbox.plan_plays()
        self._engine = server.link.status().pid
        server.structure_changed()
        server.feedback.event("/patch/loaded", server.session.name)
        server.events.publish("patch", name=server.session.name, latency=latency)

    def weighed(self, load: float, warning: str) -> None:
        """The coming plan was measured. load: its share of a block.  warning: why it may not keep up, or ""."""
        self.weight, self.warning = load, warning
        if warning:
            log.warning("%s: %s", self._server.session.name or "the patch", warning)
            self._server.feedback.event("/patch/warning", warning)

    def refused(self, serial: int, reason: str) -> None:
        server, self.failed = self._server, True
        effects = server.session.refused(serial)
        if not server.session.loading:
            self._go_back()
            if server.session.silent:
                effects = effects + server.session.restarted()
        asking = [found for found in self._settled(serial) if found.peer is not None]
        for found in asking:
            assert found.peer is not None
            server.replies.fail(found.peer, found.address, reason)
        if not asking:
            log.warning("the patch cannot be played: %s", reason)
        server.executor.perform(effects)
        server.structure_changed()
        server.outbox.plan_plays()
        server.feedback.event("/patch/failed", reason)
        server.events.publish("patch", name=server.session.name, reason=reason)

    def _go_back(self) -> None:
        """The nodes are as they were before all that does not play yet; so is everything that belongs to them."""
        if not self._kept:
            return
        was = self._kept[0]
        self._kept.clear()
        self.patch, self.scenes = was.patch, was.scenes
        self.history.done = deque(was.done, MAX_EDITS)
        self.history.undone = deque(was.undone, MAX_EDITS)
        self._server.position.put(was.place)

    def engine_started(self, pid: int) -> None:
        """A new engine: gets the present plan with the present values, and what was scheduled."""
        server = self._server
        server.feedback.event("/engine/state", "starting", pid)
        server.events.publish("engine", pid=pid)
        if server.executor.load_time and server.session.loading and server.link.status().restarts == 0:
            # The first engine reads the plan that has waited for it in the socket: nothing was lost.
            return
        shift = self._clock_shift()
        if shift:
            server.session.shift_schedule(shift)
        scheduled = server.session.resend()
        for node in server.session.nodes.values():
            node.state, node.reason = "running", ""
        server.outbox.engine_lost(scheduled + server.syncs.again(scheduled))
        server.executor.perform(server.session.restarted())
        self._again()

    def look_after(self) -> None:
        """Remembers how the engine's clock stands; asks again for a plan that got lost."""
        server = self._server
        now = server.clock.now_ns()
        self._clock = (now, server.link.sample_at(now))
        if server.session.loading and monotonic() - server.executor.load_time > PATIENCE:
            server.executor.perform(server.session.restarted())
            self._again()

    def _again(self) -> None:
        """All that is asked for is asked for anew, in one."""
        goal = self._server.session.serial
        self._waiting = [replace(w, goal=goal) for w in self._waiting]
        self._kept = [replace(k, goal=goal) for k in self._kept]

    def _clock_shift(self) -> int:
        """Frames by which a new engine's clock differs from where the old one's would be now."""
        then, sample = self._clock
        if not then:
            return 0
        now = self._server.clock.now_ns()
        shift = self._server.link.sample_at(now) - (sample + (now - then) * self._server.session.rate / 1e9)
        return round(shift) if abs(shift) > self._server.session.rate / 10 else 0

    def _settled(self, serial: int) -> list[_Waiting]:
        done = [w for w in self._waiting if w.goal <= serial]
        self._waiting = [w for w in self._waiting if w.goal > serial]
        return done

    # ---- outliving the process

    def to_json(self) -> dict[str, Any]:
        scenes = {str(number): dict(scene) for number, scene in self.scenes.items()}
        told = {"session": self._server.session.to_json(), "engine": self._engine, "latency": self.latency}
        return {**told, "scenes": scenes}

    def restore(self) -> bool:
        """Takes up what an earlier process kept; False when there is nothing, or it cannot be used any more."""
        data = self._server.folder.load()
        if data is None:
            return False
        try:
            playing = self._server.session.restore(data["session"])
            self._engine = data["engine"] if playing else 0
            self.latency = data["latency"]
            self.scenes = {int(number): dict(scene) for number, scene in data.get("scenes", {}).items()}
            self._server.position.restore(data)
            if self._server.session.path:
                self.patch = self.read_again()
        except (KeyError, TypeError, ValueError, AntiphonError):
            # A patch whose file has gone, or a plugin that has: what the session has is taken all the same.
            return bool(self._server.session.nodes)
        return True

    def attach(self, restored: bool) -> None:
        """An engine that runs already goes on playing; one that does not play our plan is asked to."""
        server = self._server
        status = server.link.status()
        if not restored or status.state != "running" or server.session.loading:
            return
        if status.pid != self._engine:
            server.executor.perform(server.session.restarted())
