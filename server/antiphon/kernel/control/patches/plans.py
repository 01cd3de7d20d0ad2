"""Plan requests to the engine: rollback of refused ones, and requests to a new engine."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from time import monotonic
from typing import Any

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.control.commands.executor import CommandExecutor
from antiphon.kernel.control.commands.syncs import Syncs
from antiphon.kernel.control.patches.history import (
    MAX_ANSWERS,
    RECALL,
    PlanAnswer,
    PlanAnswers,
    add_edit,
    add_move,
    undo_step,
)
from antiphon.kernel.control.patches.patch_writer import save
from antiphon.kernel.control.state import StateFolder
from antiphon.kernel.errors import AntiphonError, EngineBusy, PatchError, RequestError
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.graph.clips import PatchClip, check_clips
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.names import SUFFIX
from antiphon.kernel.graph.patch import Patch
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.platform import start_time
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.session.actions import Effect
from antiphon.kernel.session.commands import NOW, AwaitPlayer, When
from antiphon.kernel.session.node_state import PatchState, Scene, UndoStep
from antiphon.kernel.session.scenes import add_macro_positions, capture, drop_missing_nodes
from antiphon.kernel.wire.osc import Arg

log = logging.getLogger("antiphon.control")

PUT = "/clip/put"
TIMEOUT_SECONDS = 90.0
"""Seconds until an unanswered plan request is repeated."""


class Plans:
    """Edits of the graph, patches, scenes, undo, and their requests to the engine."""

    def __init__(
        self,
        catalog: Catalog,
        executor: CommandExecutor,
        syncs: Syncs,
        folder: StateFolder,
        structure_changed: Callable[[], None],
    ) -> None:
        """Begins without requests. `structure_changed` is called after nodes were added or removed."""
        parts = executor.parts
        self._session, self._link, self._engine_clock = parts.session, parts.link, parts.clock
        self._state = parts.session.state
        self._outbox, self._feedback, self._events = parts.outbox, parts.feedback, parts.events
        self._catalog, self._executor, self._syncs = catalog, executor, syncs
        self._folder, self._structure_changed = folder, structure_changed
        self._answers = PlanAnswers(parts.replies)
        self.loudspeakers = False  # a microphone picks them up: a canceller is put in front of the input
        self.guards = False  # and a guard, where its sound is played
        self.delay: Callable[[], float] = lambda: 0.0  # of the loudspeakers, ms, where it is known
        self.moved: Callable[[], None] = lambda: None  # called after an undo or a refusal changed the state's `place`
        self._engine = 0  # pid of the one that was asked for a plan last; -1 where another control asked and died
        self._clock = (0, 0.0)
        self.latency = 0  # frames, of the plan that plays
        self.awaited = 0  # number of its node for which the clock may wait, 0 for none
        self.weight = 0.0  # share of a block that the last plan took in the weigher, 1.0 for all of it
        self.warning = ""  # why that plan may be too slow, or ""
        executor.replaced = partial(add_move, self._state)
        self.problem = ""  # why what was loaded last is not what plays, or ""
        self._saved: dict[Path, str] = {}

    # ---- asking

    def edit(self, make: Callable[[], list[Effect]], peer: Peer | None, address: str) -> None:
        """Edits nodes or wires by `make`; `peer` gets `/fail` if the engine refuses. AntiphonError: nothing changed."""
        edits = self._state.shown.edits
        self._change(make, PlanAnswer(peer, address))
        if self._state.shown.edits != edits:
            add_edit(self._state, undo_step(self._state.before, address))

    def beside(self, loudspeakers: bool, peer: Peer | None, address: str) -> None:
        """Sets whether a microphone picks up loudspeakers, for this and later patches; `/fail` as for an edit."""
        self.edit(lambda: self._state.beside_loudspeakers(loudspeakers, self._beside), peer, address)
        self.loudspeakers = loudspeakers

    def _beside(self, graph: Graph) -> Graph:
        graph = graph.beside_loudspeakers(self._catalog, self.delay())
        return graph.guard_input(self._catalog) if self.guards else graph

    def load(
        self,
        patch: Patch,
        fade: float,
        peer: Peer | None,
        address: str,
        done: tuple[Arg, ...],
        then: Callable[[], None] | None = None,
    ) -> None:
        """Loads a patch in place of the present one, in a crossfade of `fade` seconds.

        `peer` gets `/done ADDRESS done…` when the plan plays, or `/fail` if the engine refuses it. `then` is called
        once the plan plays, by default `wait_if_stopped`. Raises AntiphonError: the patch is not valid, or too many
        changes are pending; nothing has changed.
        """
        before = self._state.shown
        path = "" if patch.path is None else str(patch.path)
        graph = patch.graph
        if self.loudspeakers:
            graph = self._beside(graph)
        answer = PlanAnswer(peer, address, done, then or self.wait_if_stopped)
        scenes = {number: dict(values) for number, values in patch.scenes.items()}
        kept = {"patch": patch, "clips": patch.clips, "scenes": scenes}
        self._change(lambda: self._session.load(graph, patch.name, path, patch.tempo, fade, **kept), answer)
        if before.graph.nodes or before.graph.wires:
            add_edit(self._state, undo_step(self._state.before, address, whole=True))
        if patch.path is not None and path != before.path and patches.hides(patch.path):
            warning = f"{patch.path.stem} is a patch of yours and hides the shipped one of that name"
            log.warning("%s", warning)
            self._feedback.event("/patch/warning", warning)

    def wait(self, beat: float = 0.0, when: When = NOW, source: object = None) -> None:
        """Stops the clock at a beat until the player leads it. RequestError: the patch has no node for that.

        The node forgets its findings, so that the next player's first notes count anew.
        """
        node = self._state.by_id.get(self.awaited)
        if node is None:
            raise RequestError(
                f"the clock of {self._state.shown.name or 'these nodes'} waits for no player: load a patch "
                "with a node that begins it, as bandstand, or start it with /transport/play"
            )
        self._executor.do(AwaitPlayer(node.id, beat, when), source)

    def wait_if_possible(self) -> None:
        """Does what `wait` does, if the patch has a node for it and no patch without that node is being prepared."""
        if self.awaited in self._state.by_id:
            self.wait()

    def wait_if_stopped(self) -> None:
        """Makes a stopped clock that waits for no node wait for the player, where the patch has a node for that."""
        if not self._link.leader and not self._link.tempo_now()[2]:
            self.wait_if_possible()

    def keep_clips(self, clips: Mapping[str, PatchClip], what: str) -> None:
        """Replaces the clips, an edit named `what`; `RequestError` where that is not possible.

        A clip that was written by hand has to be playable with the present nodes; a recorded one always is.
        """
        check_clips(clips)
        if what == PUT:
            for name, clip in clips.items():
                if self._state.shown.clips.get(name) != clip:
                    for event, (_, address, args) in zip(clip.events, clip.messages(), strict=True):
                        try:
                            self._session.check_message(address, args, self._state.shown.scenes)
                        except RequestError as error:
                            raise RequestError(f"the event {short_repr(event)} cannot be played: {error}") from None
        add_edit(self._state, undo_step(self._state.present(), what))
        self._state.keep(clips=clips)

    def renew(self, catalog: Catalog, quantum: float, then: Callable[[], None], refused: Callable[[str], None]) -> None:
        """Switches a plugin's version, from the next multiple of `quantum` beats; 0 from the next block.

        `then` is called once it plays; `refused` if the engine refuses it, and the previous version plays on. Raises
        PatchError: the present nodes and wires are not valid with it; nothing has changed.
        """
        self._change(lambda: self._state.renew(catalog, quantum), PlanAnswer(None, "", None, then, refused))

    def save(self, name: str, *, replacing: bool) -> None:
        """Saves the state as a performer's patch; `AntiphonError` on failure or for another file unless `replacing`."""
        playing = Path(self._state.shown.path) == paths.patches() / f"{name.removesuffix(SUFFIX)}{SUFFIX}"
        present_patch, known = self.present(name), self._catalog
        path, text = save(present_patch, name, known, self._saved, replacing=replacing or playing)
        self._saved[path] = text

    def recall(self, scene: Scene, beats: float, when: When, source: object) -> None:
        """Recalls a scene as one edit; arguments and errors are those of `CommandExecutor.recall`."""
        self._executor.settle()
        scene = add_macro_positions(scene, self._state)
        if replaced := self._executor.recall(scene, beats, when, source):
            add_edit(self._state, UndoStep(RECALL, replaced, last=monotonic()))

    def undo(self, peer: Peer | None, address: str) -> None:
        """Undoes the last edit of values, nodes or wires, or the last load of a patch; `RequestError` without one."""
        self._back(peer, address, undo=True)

    def redo(self, peer: Peer | None, address: str) -> None:
        """Repeats the last undone edit; `RequestError` if there is none."""
        self._back(peer, address, undo=False)

    def _back(self, peer: Peer | None, address: str, *, undo: bool) -> None:
        self._executor.settle()
        shown, at = self._state.shown, self._state.shown.done - undo
        if not 0 <= at < len(shown.steps):
            raise RequestError(f"there is nothing to {'undo' if undo else 'redo'}")
        edit, before = shown.steps[at], shown.steps[at].before

        def keep(*now: UndoStep, **changes: Any) -> None:
            steps = (*shown.steps[:at], *now, *shown.steps[at + 1 :])
            self._state.keep(steps=steps, done=at if undo else at + len(now), **changes)

        if isinstance(before, dict):
            replaced = self._executor.recall(before)
            if not replaced:  # they hold already: a plan was refused, or their nodes are others now
                keep()
                self._back(peer, address, undo=undo)
                return
            keep(UndoStep(edit.what, replaced))
            steps = self._state.shown.steps

            def put_back(_reason: str) -> None:
                if self._state.shown.steps is steps and replaced.items() <= capture(self._state).items():
                    self._state.keep(steps=shown.steps, done=shown.done)

            self.expect(PlanAnswer(peer, address, (edit.what,), refused=put_back))
            return
        left, present = undo_step(self._state.present(), edit.what, whole=edit.whole), self._state.current()
        graph = before.graph if edit.whole else before.graph.with_nodes_of(present)
        make: Callable[[], list[Effect]] = list
        if edit.whole or graph != present:  # else an edit of clips: no plan changes
            make = partial(self._session.load, graph, before.name, before.path, before.tempo if edit.whole else None)
        # "" for a file that was saved and loaded again: then the patch's name is shown
        self._change(make, PlanAnswer(peer, address, (edit.what or shown.name,)))
        keep(left, clips=before.clips)
        if edit.whole:
            self._state.keep(patch=before.patch, scenes=before.scenes, place=before.place)
            self._report_move(shown)

    def _report_move(self, before: PatchState) -> None:
        if self._state.shown.place != before.place:
            self.moved()

    def _change(self, make: Callable[[], list[Effect]], answer: PlanAnswer) -> None:
        if len(self._answers) >= MAX_ANSWERS:
            raise EngineBusy(f"{MAX_ANSWERS} changes wait for the engine already; try again")
        self._executor.perform(make())
        self._structure_changed()
        self.expect(answer)

    def read_again(self) -> Patch:
        """Reads the present patch's file; `PatchError` if it has none, or the file is invalid."""
        if not (path := Path(self._state.shown.path)).name:
            raise PatchError("the present patch has no file; save it first with /patch/save name")
        if path.parent in (paths.patches(), resources.patches()):
            return patches.load(path.stem, self._catalog)
        # a path elsewhere can only come from the command line, which may name any file
        return patches.load(path, self._catalog, trusted=True)

    def present(self, name: str) -> Patch:
        """The present nodes, wires, values and scenes as a patch of that name."""
        graph = self._state.current()
        shown = self._state.shown
        loaded, scenes = shown.patch or Patch(name, self._state.tempo, graph), drop_missing_nodes(shown.scenes, graph)
        return replace(loaded, name=name, tempo=self._state.tempo, graph=graph, scenes=scenes, clips=shown.clips)

    def expect(self, answer: PlanAnswer) -> None:
        """Sends an answer once the engine has confirmed or refused the plan with all edits so far."""
        if self._state.loading:
            self._answers.add(replace(answer, goal=self._state.states.goal))
        else:
            self._answers.give(answer)

    # ---- reports of the engine

    def confirm(self, serial: int, latency: int, awaited: int) -> None:
        """Handles a loaded plan, number `serial`: sends its answers. `latency`, `awaited`: those of `PlanLoaded`."""
        if serial != self._state.states.serial:
            return  # another control asked for it, and this one asks again
        before, effects = self._state.states, self._state.confirm(serial, self._engine_clock.moment().sample)
        self.latency, self.awaited = latency, awaited
        self.problem = ""
        # a clock that waits again depends on the patch's values, and resets its node before notes come to it
        self._executor.perform(effects)
        self._answers.confirm(serial)
        self._send_waiting()
        self._executor.perform(self._session.replay_after_prepare(before))
        self._engine = self._link.status().pid
        self._structure_changed()
        self._feedback.event("/patch/loaded", self._state.shown.name)
        self._events.publish("patch", name=self._state.shown.name, latency=latency)

    def _send_waiting(self) -> None:
        self._outbox.send_waiting(lambda: (item for item, _ in self._session.schedule.pending()))

    def weighed(self, load: float, warning: str) -> None:
        """Handles the measured load of the pending plan: its share of a block, and a warning or ""."""
        self.weight, self.warning = load, warning
        if warning:
            log.warning("%s: %s", self._state.shown.name or "the patch", warning)
            self._feedback.event("/patch/warning", warning)

    def refuse(self, serial: int, reason: str) -> None:
        """Handles a refused plan, number `serial`: restores the state before it and answers its senders."""
        if serial != self._state.states.serial:
            return
        self.problem, before = reason, self._state.shown
        effects = self._state.refuse(serial)
        if not self._state.loading:
            self._report_move(before)
            if self._state.states.silent:
                effects += self._state.restart()
        if not self._answers.refuse(serial, reason):
            log.warning("the patch cannot be played: %s", reason)
        self._executor.perform(effects)
        self._structure_changed()
        self._send_waiting()
        self._feedback.event("/patch/failed", reason)
        self._events.publish("patch", name=self._state.shown.name, reason=reason)

    def engine_started(self, pid: int) -> None:
        """Sends a new engine the present plan with the present values, and the scheduled commands."""
        if pid == self._engine and self._state.loading:
            return  # `look_after` was first: what is scheduled would be sent twice
        self._engine = pid
        self._feedback.event("/engine/state", "starting", pid)
        self._events.publish("engine", pid=pid)
        if self._executor.load_time and self._state.loading and self._link.status().restarts == 0:
            # the first engine still finds the request in the socket: nothing was lost
            return
        shift = self._clock_shift()
        if shift:
            self._session.shift_schedule(shift)
        scheduled = self._session.resend()
        for node in self._state.nodes.values():
            node.state, node.reason = "running", ""
        self._outbox.clear_for_new_engine(scheduled + self._syncs.syncs_to_repeat(scheduled))
        self._ask_again()

    def look_after(self) -> None:
        """Repeats a plan request unanswered for `TIMEOUT_SECONDS` seconds; stores a reading of the engine's clock.

        A running engine without a plan request gets one: a killed control may have received its start report.
        """
        status = self._link.status()
        unasked = not self._state.loading and (self._state.nodes or self._engine < 0)
        if self._state.loading and monotonic() - self._executor.load_time > TIMEOUT_SECONDS:
            self._ask_again()
        elif unasked and status.state == "running" and status.pid != self._engine:
            self.engine_started(status.pid)
        now = self._engine_clock.now_ns()
        self._clock = (now, self._link.sample_at(now))

    def _ask_again(self) -> None:
        self._executor.perform(self._state.restart())
        self._answers.retarget(self._state.states.serial)

    def _clock_shift(self) -> int:
        """Frames by which a new engine's clock is ahead of the old one's, extrapolated to now; 0 below 0.1 s."""
        then, sample = self._clock
        if not then:
            return 0
        now = self._engine_clock.now_ns()
        shift = self._link.sample_at(now) - (sample + (now - then) * self._session.rate / 1e9)
        return round(shift) if abs(shift) > self._session.rate / 10 else 0

    # ---- state that outlives the process

    def to_json(self) -> dict[str, Any]:
        """The state for `restore`."""
        state, beside = self._state.to_json(), {"loudspeakers": self.loudspeakers, "server": _server(os.getppid())}
        return {"session": state, "engine": self._engine, "latency": self.latency, "awaited": self.awaited, **beside}

    def restore(self) -> bool:
        """Restores the state of an earlier process; True if there are nodes to play."""
        data = self._folder.load()
        if data is None:
            return False
        try:
            if data.get("server") == _server(os.getppid()):  # a server that is started anew has its own options
                self.loudspeakers = bool(data["loudspeakers"])
            self._engine = data["engine"] if self._state.restore(data["session"]) else -1
            self.latency, self.awaited = data["latency"], data["awaited"]
            if self._state.shown.path:
                self._state.keep(patch=self.read_again())
        except (KeyError, TypeError, ValueError, AntiphonError):
            # a patch's file or a plugin is missing: use what the session could restore
            return bool(self._state.nodes)
        return True


@lru_cache(1)
def _server(parent: int) -> list[int]:
    """The process that started this one: its number, which comes again in a container, and its time of start."""
    return [parent, start_time(parent)]
