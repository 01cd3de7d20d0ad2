"""Plans asked of the engine: who waits for one, what is kept of it, and what to do when an engine is new."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from antiphon.control.history import MAX_EDITS, Before, EditHistory, Kept, before, graph_again
from antiphon.errors import AntiphonError, PatchError, WireError
from antiphon.graph import patch as patches
from antiphon.graph.patch import SUFFIX, Patch
from antiphon.graph.patch_writer import save
from antiphon.io.osc_peer import Peer
from antiphon.runtime import paths, resources
from antiphon.session.effects import Effect
from antiphon.session.scenes import Scene, kept
from antiphon.wire.osc import Arg, encode

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp

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


class Plans:
    def __init__(self, app: ControlApp) -> None:
        self._app = app
        self._waiting: list[_Waiting] = []
        self._asked_at = 0.0
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
        session = self._app.session
        was, graph = self._before(address, whole=False), session.graph
        self._change(make, peer, address, done)
        if session.graph is not graph:
            self.history.edited(was)

    def load(
        self, patch: Patch, fade: float, peer: Peer | None, address: str, done: tuple[Arg, ...],
        then: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """Changes everything for a patch. then: called when it plays, and never where it is refused."""
        session = self._app.session
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
            self._app.feedback.event("/patch/warning", warning)

    def save(self, name: str, *, replacing: bool) -> None:
        """Keeps the present as a patch of the performer's. Over the one that plays it needs no `replacing`."""
        playing = Path(self._app.session.path) == paths.patches() / f"{name.removesuffix(SUFFIX)}{SUFFIX}"
        made, known = self.present(name), self._app.catalog
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
        was, session = edits[-1], self._app.session
        now = self._before(was.what, whole=was.whole)
        graph, tempo = graph_again(was, session), was.tempo if was.whole else None
        # a file that was saved while it plays is no address: then it is the patch's name
        what = was.what or session.name
        self._change(lambda: session.load(graph, was.name, was.path, tempo), peer, address, (what,))
        edits.pop()
        others.append(now)
        if was.whole:
            self.patch, self.scenes = was.patch, dict(was.scenes)
            self._app.sets.put(was.place)

    def _before(self, what: str, *, whole: bool) -> Before:
        return before(what, self, self._app.session, self._app.sets.at, whole=whole)

    def _change(
        self, make: Callable[[], list[Effect]], peer: Peer | None, address: str, done: tuple[Arg, ...] | None,
        then: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        if max(len(self._waiting), len(self._kept)) >= MAX_WAITING:
            raise PatchError(f"{MAX_WAITING} changes wait for the engine already; try again")
        session, history = self._app.session, self.history
        effects = make()
        if session.loading:
            self._kept.append(
                Kept(
                    session.goal, self.patch, dict(self.scenes), self._app.sets.at, (*history.done,), (*history.undone,)
                )
            )
        self._app.perform(effects)
        self._app.structure_changed()
        self.expect(peer, address, done, then)

    def read_again(self) -> Patch:
        """The present patch from its file."""
        session = self._app.session
        if not session.path:
            raise PatchError("the present patch has no file; save it first with /patch/save name")
        path = Path(session.path)
        if path.parent in (paths.patches(), resources.patches()):
            return patches.load(path.stem, self._app.catalog)
        # Only the command line can have named it: there any path is the performer's own.
        return patches.load(path, self._app.catalog, trusted=True)

    def present(self, name: str) -> Patch:
        """The nodes, wires and values of now as a patch."""
        session = self._app.session
        graph = session.current()
        scenes = kept(self.scenes, graph)
        if self.patch is None:
            return Patch(name, session.tempo, graph, scenes)
        return replace(self.patch, name=name, tempo=session.tempo, graph=graph, scenes=scenes)

    def expect(
        self, peer: Peer | None, address: str, done: tuple[Arg, ...] | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """Answers `peer` how the plan with all asked for until now turns out, and calls `then` if it plays."""
        session = self._app.session
        if session.loading:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append(_Waiting(session.goal, peer, address, done, then))
            return
        if done is not None and peer is not None:
            self._app.reply(peer, encode("/done", address, *done))
        if then is not None:
            then()

    def asked(self) -> None:
        self._asked_at = monotonic()

    # ---- what the engine says

    def loaded(self, serial: int, latency: int) -> None:
        app = self._app
        effects = app.session.loaded(serial, app.moment().sample)
        self._kept = [kept for kept in self._kept if kept.goal > serial]
        self.latency = latency
        for found in self._settled(serial):
            if found.done is not None and found.peer is not None:
                app.reply(found.peer, encode("/done", found.address, *found.done))
            if found.then is not None:
                found.then()
        self.failed = False
        app.perform(effects)
        app.outbox.plan_plays()
        self._engine = app.link.status().pid
        app.structure_changed()
        app.feedback.event("/patch/loaded", app.session.name)
        app.happened("patch", name=app.session.name, latency=latency)

    def weighed(self, load: float, warning: str) -> None:
        """The coming plan was measured. load: its share of a block.  warning: why it may not keep up, or ""."""
        self.weight, self.warning = load, warning
        if warning:
            log.warning("%s: %s", self._app.session.name or "the patch", warning)
            self._app.feedback.event("/patch/warning", warning)

    def refused(self, serial: int, reason: str) -> None:
        app, self.failed = self._app, True
        effects = app.session.refused(serial)
        if not app.session.loading:
            self._go_back()
            if app.session.silent:
                effects = effects + app.session.restarted()
        asking = [found for found in self._settled(serial) if found.peer is not None]
        for found in asking:
            assert found.peer is not None
            app.fail(found.peer, found.address, reason)
        if not asking:
            log.warning("the patch cannot be played: %s", reason)
        app.perform(effects)
        app.structure_changed()
        app.outbox.plan_plays()
        app.feedback.event("/patch/failed", reason)
        app.happened("patch", name=app.session.name, reason=reason)

    def _go_back(self) -> None:
        """The nodes are as they were before all that does not play yet; so is everything that belongs to them."""
        if not self._kept:
            return
        was = self._kept[0]
        self._kept.clear()
        self.patch, self.scenes = was.patch, was.scenes
        self.history.done = deque(was.done, MAX_EDITS)
        self.history.undone = deque(was.undone, MAX_EDITS)
        self._app.sets.put(was.place)

    def engine_started(self, pid: int) -> None:
        """A new engine: gets the present plan with the present values, and what was scheduled."""
        app = self._app
        app.feedback.event("/engine/state", "starting", pid)
        app.happened("engine", pid=pid)
        if self._asked_at and app.session.loading and app.link.status().restarts == 0:
            # The first engine reads the plan that has waited for it in the socket: nothing was lost.
            return
        shift = self._clock_shift()
        if shift:
            app.session.shifted(shift)
        scheduled = app.session.resend()
        for node in app.session.nodes.values():
            node.state, node.reason = "running", ""
        app.outbox.engine_lost(scheduled + app.syncs.again(scheduled))
        app.perform(app.session.restarted())
        self._again()

    def look_after(self) -> None:
        """Remembers how the engine's clock stands; asks again for a plan that got lost."""
        app = self._app
        now = app.now_ns()
        self._clock = (now, app.link.sample_at(now))
        if app.session.loading and monotonic() - self._asked_at > PATIENCE:
            app.perform(app.session.restarted())
            self._again()

    def _again(self) -> None:
        """All that is asked for is asked for anew, in one."""
        goal = self._app.session.serial
        self._waiting = [replace(w, goal=goal) for w in self._waiting]
        self._kept = [replace(k, goal=goal) for k in self._kept]

    def _clock_shift(self) -> int:
        """Frames by which a new engine's clock differs from where the old one's would be now."""
        then, sample = self._clock
        if not then:
            return 0
        now = self._app.now_ns()
        shift = self._app.link.sample_at(now) - (sample + (now - then) * self._app.session.rate / 1e9)
        return round(shift) if abs(shift) > self._app.session.rate / 10 else 0

    def _settled(self, serial: int) -> list[_Waiting]:
        done = [w for w in self._waiting if w.goal <= serial]
        self._waiting = [w for w in self._waiting if w.goal > serial]
        return done

    # ---- outliving the process

    def to_json(self) -> dict[str, Any]:
        scenes = {str(number): dict(scene) for number, scene in self.scenes.items()}
        told = {"session": self._app.session.to_json(), "engine": self._engine, "latency": self.latency}
        return {**told, "scenes": scenes}

    def restore(self) -> bool:
        """Takes up what an earlier process kept; False when there is nothing, or it cannot be used any more."""
        data = self._app.folder.load()
        if data is None:
            return False
        try:
            playing = self._app.session.restore(data["session"])
            self._engine = data["engine"] if playing else 0
            self.latency = data["latency"]
            self.scenes = {int(number): dict(scene) for number, scene in data.get("scenes", {}).items()}
            self._app.sets.restore(data)
            if self._app.session.path:
                self.patch = self.read_again()
        except (KeyError, TypeError, ValueError, AntiphonError):
            # A patch whose file has gone, or a plugin that has: what the session has is taken all the same.
            return bool(self._app.session.nodes)
        return True

    def attach(self, restored: bool) -> None:
        """An engine that runs already goes on playing; one that does not play our plan is asked to."""
        app = self._app
        status = app.link.status()
        if not restored or status.state != "running" or app.session.loading:
            return
        if status.pid != self._engine:
            app.perform(app.session.restarted())
