"""Random edits, loads, refusals and deaths: array, graph and engine agree, and a refusal takes back what is refused.

`ANTIPHON_SEQUENCES=10000` runs as many sequences as that.
"""

import math
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.control import rig
from tests.control.fake_engine import FakeEngine, FakeTime
from tests.control.rig import CATALOG, GRAPH, make_app

from antiphon.joining import set_lists
from antiphon.kernel.contract.params import Value
from antiphon.kernel.control.osc.handlers.scenes import recall_scene
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.graph.clips import PatchClip
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.graph.macros import Macro, MacroTarget
from antiphon.kernel.graph.patch import Patch
from antiphon.kernel.session import scenes
from antiphon.kernel.session.commands import NOW, Now, Sample, SetParam, SetSwing, SetTempo, When
from antiphon.kernel.session.node_state import MACROS_AT, is_sent_as_number

SEQUENCES = int(os.environ.get("ANTIPHON_SEQUENCES", "80"))
STEPS = 24
VALUES: dict[str, tuple[Value, ...]] = {
    "gain": (0.0, 0.5, 1.0, 1.5), "steps": (0, 3, 8), "mode": ("gate", "wavelet"), "label": ("", "x", "y"),
    "size": (128, 256, 512), "cutoff": (100.0, 440.0), "learn": (True,),
}  # fmt: skip
MACROS = (Macro("bright", (MacroTarget("a", "cutoff", 20.0, 2000.0), MacroTarget("b", "gain", 2.0, 0.0))),)
PATCHES = (
    Patch("two", 120.0, GRAPH, {1: {"a.gain": 1.5, "b.label": "y"}}),
    Patch("bright", 90.0, Graph((NodeSpec("a", "gain", {"label": "x"}), NodeSpec("b", "gain")), (), MACROS)),
    Patch("third", 75.0, Graph((NodeSpec("b", "gain", {"size": 512}), NodeSpec("c", "gain", {"gain": 0.5}))),
          clips={"loop": PatchClip(4.0)}),
)  # fmt: skip


@dataclass
class PatchEngine(FakeEngine):
    """A fake engine with nodes: one that a plan goes on with keeps its values, another takes those of the plan."""

    cells: dict[int, list[float]] = field(default_factory=dict)
    prepared: dict[int, dict[str, Value]] = field(default_factory=dict)
    swing: tuple[float, float] = (0.0, 0.5)
    playing_graph: Graph = field(default_factory=Graph)

    def run(self) -> None:
        # in the order of time, and what was sent before a plan is ready takes effect before it
        self._waiting.sort(key=lambda waiting: waiting[0].n if isinstance(waiting[0], Sample) else self.sample)
        held, self.hold_plans = self.hold_plans, True
        super().run()
        self.hold_plans = held
        loads = {load[0]: load for load in self.loads}
        asked = [loads[serial] for serial in self._plans if not self.hold_plans]
        for serial, graph, ids, tempo, _ in asked:
            if not self.refuse or serial in self.played_before:
                self._play(graph, ids, tempo)
        super().run()

    def _push(self, when: When, *command: Any) -> bool:
        # now is a time too, for what is late in being computed here
        return super()._push(Sample(math.floor(self.sample)) if isinstance(when, Now) else when, *command)

    def _play(self, graph: Graph, ids: dict[str, int], tempo: float) -> None:
        cells, prepared = {}, {}
        for spec in graph.nodes:
            info, number = CATALOG[spec.type], ids[spec.name]
            prepared[number] = info.values_for_prepare(spec.values)
            if prepared[number] == self.prepared.get(number):
                cells[number] = self.cells[number]
            else:
                texts = ("text", "file")
                cells[number] = [
                    0.0 if p.kind in texts else p.encode(spec.values.get(p.name, p.default)) for p in info.cells
                ]
        self.cells, self.prepared, self.playing_graph = cells, prepared, graph
        self._ids = set(ids.values())
        self.bpm = tempo or self.bpm

    def _apply(self, when: When, command: tuple[Any, ...]) -> None:
        super()._apply(when, command)
        match command:
            case ("set", node, cell, number, _) if node in self.cells:
                self.cells[node][cell] = number
            case ("swing", amount, step):
                self.swing = amount, step

    def start(self, pid: int | None = None) -> None:
        super().start(pid)
        self.cells, self.prepared, self.playing_graph = {}, {}, Graph()
        self.bpm, self.swing = 120.0, (0.0, 0.5)


class Run:
    """One sequence: control without sockets' loops, and an engine."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.folder, self.random = folder, random
        self.engine = PatchEngine(FakeTime())
        self.app = make_app(folder, self.engine, self.engine.time)
        self.before: Any = None
        self.scheduled = False  # a macro was: a load may then replace its target, and the macro moves alone
        self.changed = False  # a load or an edit of the graph is among what is not confirmed
        self.app.plans.load(PATCHES[0], 0.0, None, "", ())
        self.settle()

    def close(self) -> None:
        for sock in (self.app.udp, self.app.tcp):
            sock._sock.close()
        self.app.close()

    # ---- what is done

    def step(self) -> None:
        """Takes a random step; one that is refused at once must change nothing."""
        if not self.app.session.state.loading:
            self.before, self.changed = self.extras(), False
        edits = self.app.session.state.shown.edits
        words = {"set": 10, "edit": 3, "load": 2, "undo": 2, "redo": 1, "scene": 2, "clip": 1, "tempo": 1, "time": 1,
                 "run": 1, "refuse": 4, "hold": 1, "engine": 1, "control": 1}  # fmt: skip
        (word,) = self.random.choices(list(words), list(words.values()))
        with suppress(AntiphonError):
            getattr(self, f"_{word}")()
        self.changed |= self.app.session.state.shown.edits != edits
        if not self.changed:  # nor does the refusal of a value take back what was stored or recorded meanwhile
            self.before = self.extras()
        self.app.executor.catch_up()
        self.app.saver.mark_changed()
        self.app.saver.flush()
        self.check_places()

    def _set(self) -> None:
        choice, state = self.random.choice, self.app.session.state
        when: When = choice((NOW, NOW, Sample(round(self.engine.sample) + choice((2000, 9000)))))
        ramp = choice((0.0, 0.0, 0.1))
        if state.panel and choice((True, False)):
            self.scheduled |= when is not NOW
            self.app.executor.do(SetParam("macro", "bright", choice((0.0, 0.25, 1.0)), ramp, when), "me")
            return
        param = choice(list(VALUES))
        self.app.executor.do(SetParam(choice("abcx"), param, choice(VALUES[param]), ramp, when), "me")

    def _edit(self) -> None:
        choice, state = self.random.choice, self.app.session.state
        edit = choice((
            lambda: state.add("gain", choice("xyz")), lambda: state.remove(choice("abcxyz")),
            lambda: state.move(choice("abcxyz"), choice("abc")), lambda: state.connect(choice("abc"), choice("abcx")),
        ))  # fmt: skip
        self.app.plans.edit(edit, None, "/edit")

    def _load(self) -> None:
        self.app.plans.load(self.random.choice(PATCHES), 0.0, None, "/patch/load", ())

    def _undo(self) -> None:
        self.app.plans.undo(None, "/patch/undo")

    def _redo(self) -> None:
        self.app.plans.redo(None, "/patch/redo")

    def _scene(self) -> None:
        number = self.random.choice((1, 2))
        if self.random.choice((True, False)):
            state = self.app.session.state
            state.keep(scenes={**state.shown.scenes, number: scenes.capture(state)})
        else:
            recall_scene(self.app, number, self.random.choice((0.0, 1.0)))

    def _clip(self) -> None:
        recorded = {"take": PatchClip(self.random.choice((1.0, 2.0)))}
        self.app.plans.keep_clips({**self.app.session.state.shown.clips, **recorded}, "/clip/record")

    def _tempo(self) -> None:
        self.app.executor.do(self.random.choice((SetTempo(100.0), SetTempo(60.0), SetSwing(0.2, 0.5))), "me")

    def _time(self) -> None:
        self.engine.time.move(self.random.choice((0.02, 0.1, 0.3)))

    def _hold(self) -> None:
        self.engine.hold_plans = True

    def _run(self) -> None:
        self.engine.hold_plans = False
        self.turn()

    def _refuse(self) -> None:
        loading, again = self.app.session.state.loading, self.app.session.state.states.again
        playing = self.engine.playing_graph
        self.engine.refuse, self.engine.hold_plans = "too heavy", False
        for _ in range(4):
            self.turn()
        self.engine.refuse = ""
        if loading and not again and self.engine.playing_graph is playing:
            assert self.extras() == self.before

    def _engine(self) -> None:
        self.engine.start(self.random.randrange(1, 1 << 20))
        self.turn()

    def _control(self) -> None:
        """Control is killed, and another takes up what the folder holds: all but what is scheduled."""
        if len(self.app.session.schedule):
            return
        told = self.told()
        self.app.saver.flush()
        kept = Path(tempfile.mkdtemp(dir=self.folder.parent))
        shutil.copytree(self.folder, kept, dirs_exist_ok=True)
        self.close()
        self.app = make_app(kept, self.engine, self.engine.time)
        self.app.plans.restore()
        self.folder = kept
        assert self.told() == told
        self.turn()
        self.app.plans.look_after()

    def turn(self) -> None:
        """Has the engine compute up to now, and control read its reports, twice."""
        for _ in range(2):
            self.app.executor.catch_up()
            self.engine.run()
            self.app.reports.read()

    def settle(self) -> None:
        """Has every plan played, and every ramp and scheduled value ended."""
        self.engine.hold_plans, self.engine.refuse = False, ""
        for _ in range(8):
            self.engine.time.move(0.5)
            self.app.plans.look_after()
            self.turn()
        self.app.executor.catch_up()

    # ---- what has to be so

    def extras(self) -> Any:
        """What a refusal returns to besides the values, which may have been set since."""
        state, shown = self.app.session.state, self.app.session.state.shown
        return (
            shown.patch, {n: dict(s) for n, s in shown.scenes.items()}, shown.clips, shown.name, shown.graph.wires,
            {name: (node.id, node.base) for name, node in state.nodes.items()},
        )  # fmt: skip

    def told(self) -> Any:
        """What another control has to know."""
        state = self.app.session.state
        ids = {name: (node.id, node.base) for name, node in state.nodes.items()}
        return state.current(), ids, state.shown.name, state.tempo, dict(state.shown.scenes), dict(state.shown.clips)

    def check_places(self) -> None:
        """No two nodes share a cell, of those that are shown."""
        spans = sorted((n.base, n.base + len(n.cells)) for n in self.app.session.state.by_id.values())
        assert all(one[1] <= two[0] for one, two in pairwise(spans)), spans

    def check_agreement(self) -> None:
        """The engine plays the graph that is shown, with the numbers of the array."""
        state, engine = self.app.session.state, self.engine
        assert not state.loading
        assert (state.tempo, state.swing) == (engine.bpm, engine.swing)
        if not state.nodes and not engine.cells:
            return
        assert {node.id for node in state.nodes.values()} == set(engine.cells)
        assert state.graph.wires == engine.playing_graph.wires
        for place, macro in enumerate(() if self.scheduled or state.graph.macros != MACROS else MACROS):
            node, cell = state.param(macro.targets[0].node, macro.targets[0].param)
            value = macro.targets[0].value(node.cells[cell], state.numbers[MACROS_AT + place])
            assert value == pytest.approx(state.value_at(node, cell), rel=1e-5), macro.name
        for node in state.nodes.values():
            held = engine.cells[node.id]
            for cell, param in enumerate(node.cells):
                if is_sent_as_number(param):
                    assert state.numbers[node.base + cell] == held[cell], f"{node.name}.{param.name}"
            shown = {p.name: state.value_at(node, cell) for cell, p in enumerate(node.cells)}
            assert engine.prepared[node.id] == node.info.values_for_prepare(shown), node.name

    def check_undo(self) -> None:
        """Undo and redo return to what is shown."""
        for _ in range(3):
            shown = self.app.session.state.current()
            try:
                self._undo()
            except AntiphonError:
                return
            self.settle()
            self._redo()
            self.settle()
            assert self.app.session.state.current() == shown
            self._undo()
            self.settle()
            self.check_agreement()


@pytest.fixture
def folder(home: Path) -> Path:
    return home / "run"


def test_patch_random_commands_keep_the_laws(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig, "JOINING", (set_lists.join,))
    for seed in range(SEQUENCES):
        run = Run(folder / str(seed) / "state", Random(seed))
        try:
            for _ in range(run.random.randrange(2, STEPS)):
                run.step()
            run.settle()
            run.check_agreement()
            run.check_undo()
        except BaseException:
            print("seed", seed)
            raise
        finally:
            run.close()
            shutil.rmtree(folder / str(seed), ignore_errors=True)
