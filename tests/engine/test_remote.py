"""Control's end of the engine's socket: a plan that can never be sent is refused, one that waits is not."""

import pytest
from tests.engine.conftest import Ends
from tests.engine.fake_driver import FakeDriver
from tests.local import graph, plan, staged

from antiphon.kernel.contract.event import Event
from antiphon.kernel.engine.link import EVERY_NODE, PlanRefused
from antiphon.kernel.engine.loop import EngineLoop
from antiphon.kernel.engine.shared import HeaderWord
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.session.actions import EngineLoad
from antiphon.kernel.session.commands import Play, Sample


def load(ends: Ends, serial: int, size: int) -> None:
    graph = Graph((NodeSpec("a", "gain", {"label": "x" * size}),))
    ends.link.load(EngineLoad(serial, graph, {"a": 1}, 120.0, 0.0))


def test_a_plan_larger_than_the_socket_takes_is_refused_with_its_size(ends: Ends) -> None:
    load(ends, 7, 400_000)
    ((serial, reason),) = [(r.serial, r.reason) for r in ends.link.reports() if isinstance(r, PlanRefused)]
    assert serial == 7
    assert "390 KiB" in reason
    assert "net.core.wmem_max" in reason
    assert ends.link.reports() == []


def test_a_plan_for_an_engine_that_is_away_is_asked_for_later(ends: Ends) -> None:
    for serial in range(100):
        load(ends, serial, 20_000)
    assert ends.shared.words[HeaderWord.COMMANDS_DROPPED] > 0
    assert ends.link.reports() == []
    ends.theirs.close()
    load(ends, 100, 10)
    assert ends.link.reports() == []


def test_the_events_of_the_node_that_was_named_and_of_no_other(ends: Ends) -> None:
    stage = staged(graph({"k": "noteclick", "m": "noteclick"}, ["k > out", "m > out"]))
    loop = EngineLoop(stage, FakeDriver(), ends.shared, ends.bell)
    engine = ends.link

    def told() -> list[Play]:
        assert loop.run_block()
        return [report for report in engine.reports() if isinstance(report, Play)]

    for node in (1, 2):
        engine.send(Play(node, Event("on", 0, 127, 0.75, 16), Sample(300)))
        engine.send(Play(node, Event("bend", 0, 0, -0.5, 2), Sample(299)))
    assert told() == []
    engine.echo(2)
    assert told() == [
        Play(2, Event("bend", 0, 0, -0.5, 2), Sample(299)),
        Play(2, Event("on", 0, 127, 0.75, 16), Sample(300)),
    ]
    assert told() == []
    engine.echo(0)
    engine.send(Play(2, Event("off", 0, 127, 0.0, 16)))
    assert told() == []
    engine.echo(9)
    assert told() == []
    engine.echo(EVERY_NODE)
    for node in (1, 2):
        engine.send(Play(node, Event("on", 0, 60 + node, 0.5)))
    assert [(found.node, found.event.number) for found in told()] == [(1, 61), (2, 62)]
    assert told() == []


def test_a_note_whose_node_leaves_with_its_patch_or_fails_is_ended_for_who_listens(ends: Ends) -> None:
    made = graph({"k": "noteclick", "m": "noteclick", "n": "noteclick"}, ["k > out", "m > out", "n > out"])
    stage = staged(made)
    loop = EngineLoop(stage, FakeDriver(), ends.shared, ends.bell)

    def told() -> list[tuple[int, str, int, int]]:
        assert loop.run_block()
        reports = [report for report in ends.link.reports() if isinstance(report, Play)]
        return [(found.node, found.event.kind, found.event.number, found.event.channel) for found in reports]

    ends.link.echo(EVERY_NODE)
    for node in (1, 2, 3):
        ends.link.send(Play(node, Event("on", 0, 60 + node, 0.5, node)))
    assert told() == [(1, "on", 61, 1), (2, "on", 62, 2), (3, "on", 63, 3)]
    ends.link.send(Play(1, Event("off", 0, 61)))
    assert told() == [(1, "off", 61, 1)]
    assert stage.plan is not None
    left = plan(graph({"n": "noteclick"}, ["n > out"]), stage.spec, stage.plan, {"n": 3})
    stage.load(left, 2, 0.0)
    assert told() == [(2, "off", 62, 2)], "the one that stays plays on"
    left.hosts[3].mark_failed("it gave NaN")
    assert told() == [(3, "off", 63, 3)]
    assert told() == []


@pytest.mark.parametrize(("kind", "number"), [("aftertouch", 1), ("on", 128), ("on", -1)])
def test_what_no_midi_says_is_not_told(ends: Ends, kind: str, number: int) -> None:
    stage = staged(graph({"k": "noteclick"}, ["k > out"]))
    loop = EngineLoop(stage, FakeDriver(), ends.shared, ends.bell)
    ends.link.echo(1)
    assert stage.plan is not None
    stage.plan.hosts[1].processor.process = lambda io: io.emit(Event(kind, 0, number))  # type: ignore[method-assign]
    assert loop.run_block()
    assert [report for report in ends.link.reports() if isinstance(report, Play)] == []


def test_a_note_of_a_node_that_is_no_longer_listened_to_is_not_ended(ends: Ends) -> None:
    made = graph({"k": "noteclick", "m": "noteclick"}, ["k > out", "m > out"])
    stage = staged(made)
    loop = EngineLoop(stage, FakeDriver(), ends.shared, ends.bell)

    def told() -> list[tuple[int, str]]:
        assert loop.run_block()
        return [(found.node, found.event.kind) for found in ends.link.reports() if isinstance(found, Play)]

    ends.link.echo(1)
    ends.link.send(Play(1, Event("on", 0, 61, 0.5)))
    assert told() == [(1, "on")]
    ends.link.echo(2)
    assert told() == []
    assert stage.plan is not None
    stage.plan.hosts[1].mark_failed("it gave NaN")
    assert told() == []
