"""A node's new version in the sound: the crossfade, its values and ramps, and the state where it says how."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.errors import NodeError
from antiphon.kernel.graph.compiler import compile_plan
from antiphon.kernel.graph.graph import IN, OUT, End, Graph, NodeSpec, Wire
from antiphon.kernel.graph.plan import STATE_BYTES, is_new_version_of
from antiphon.kernel.plugins.checks import inspect_processor
from antiphon.kernel.runtime import paths
from antiphon.kernel.session.actions import NodeSet

SPEC = StreamSpec(48000, 256, 1)
FADE = 0.02


class Sum(Processor):
    """Adds up its input: the output depends on everything before."""

    params = (Param("step", default=1.0, low=0.0, high=100.0, smooth=0.1),)

    def prepare(self, spec: StreamSpec) -> None:
        self.total = np.zeros(1)

    def reset(self) -> None:
        self.total.fill(0.0)

    def process(self, io):
        np.cumsum(io.audio_in[0][0] * io.curve("step"), out=io.audio_out[0][0])
        io.audio_out[0][0] += self.total[0]
        self.total[0] = io.audio_out[0][0, -1]


class Keeping(Sum):
    given: Mapping[str, Any] | None = None

    def save_state(self) -> Mapping[str, Any]:
        return {"total": self.total} if self.given is None else self.given

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.total[:] = state["total"]


def catalog(kind: type[Processor], version: int) -> Catalog:
    info = inspect_processor("sum", kind, "", "mine", play=False)
    return Catalog({"sum": replace(info, version=version)})


def plan(kind: type[Processor], version: int, old: Any = None, **values: Value) -> Any:
    graph = Graph(
        (NodeSpec("s", "sum", values),), (Wire(End(IN, IN), End("s", "in")), Wire(End("s", "out"), End(OUT, OUT)))
    )
    return compile_plan(graph, catalog(kind, version), lambda _: kind(), SPEC, {"s": 1}, old)


def played(kinds: list[type[Processor]], versions: list[int]) -> np.ndarray:
    """Four blocks of each; in the third of all a ramp begins, which lasts longer than they."""
    player, sound, before = GraphPlayer(SPEC), [], None
    x = np.full((1, SPEC.block), 1e-5, np.float32)
    for kind, version in zip(kinds, versions, strict=True):
        before = plan(kind, version, before, step=2.0)
        player.load(before, 1, FADE if sound else 0.0)
        for block in range(4):
            if block == 2 and len(sound) == 2:
                player.take(NodeSet(1, 3, 50.0, 0.2))
            sound.append(player.run(x).copy())
    return np.concatenate(sound, axis=1)[0]


def test_a_version_that_keeps_its_state_and_does_the_same_makes_no_difference() -> None:
    np.testing.assert_allclose(played([Keeping, Keeping], [0, 1]), played([Keeping, Keeping], [0, 0]), atol=1e-7)


class Reading(Sum):
    params = (*Sum.params, Param("file", "file", ""))


def test_a_node_is_prepared_again_once_its_file_has_changed() -> None:
    file = paths.library() / "words.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    first = plan(Reading, 0, file=file.name)
    assert plan(Reading, 0, first, file=file.name).hosts[1] is first.hosts[1]
    os.utime(file, (1, 1))
    assert plan(Reading, 0, first, file=file.name).hosts[1] is not first.hosts[1]


def test_one_without_a_state_begins_anew_with_the_same_values_and_ramps() -> None:
    kept, anew = played([Keeping, Keeping], [0, 0]), played([Sum, Sum], [0, 1])
    change, fade = 4 * SPEC.block, round(FADE * SPEC.rate)
    np.testing.assert_allclose(anew[:change], kept[:change], atol=1e-7)
    np.testing.assert_allclose(anew[change + fade :], kept[change + fade :] - kept[change - 1], atol=1e-6)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, ""),
        ({"total": np.zeros(1), "name": "x", "n": 3, "on": True}, ""),
        ({"other": 1.0}, r"KeyError: 'total' \(test_succession.py, line \d+\)"),
        ({"total": np.zeros(STATE_BYTES // 8 + 1)}, "its arrays have 1,048,584 bytes; at most 1,048,576"),
        ({"total": object()}, "'total' is object; a number, a text or an array of numbers is allowed"),
        ({"total": np.array([object()])}, "'total' is ndarray"),
        ({1: 2.0}, "save_state gives no mapping of names to values"),
        ([1.0], "save_state gives no mapping of names to values"),
    ],
)
def test_a_state_is_tried_before_the_version_plays(given: Any, text: str) -> None:
    old = plan(type("Given", (Keeping,), {"given": given}), 0)
    if not text:
        plan(Keeping, 1, old)
        return
    with pytest.raises(NodeError, match=text) as refused:
        plan(Keeping, 1, old)
    assert refused.value.node == "s"


def test_a_node_that_has_failed_is_succeeded_by_one_that_runs() -> None:
    old = plan(type("Given", (Keeping,), {"given": {"other": 1.0}}), 0)
    old.hosts[1].mark_failed("it raised")
    player = GraphPlayer(SPEC)
    player.load(old, 1, 0.0)
    player.load(plan(Keeping, 1, old), 2, 0.0)
    player.run(np.ones((1, SPEC.block), np.float32))
    assert player.plan is not None
    assert player.plan.hosts[1].failed == ""


def test_a_node_made_anew_succeeds_another_version_alone() -> None:
    old, same, later = (plan(Keeping, version).hosts[1] for version in (0, 0, 1))
    assert [is_new_version_of(host, old) for host in (old, same, later)] == [False, False, True]
