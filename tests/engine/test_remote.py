"""Control's end of the engine's socket: a plan that can never be sent is refused, one that waits is not."""

import os
import socket
from collections.abc import Iterator

import pytest

from antiphon.kernel.engine.link import PlanRefused
from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.engine.shared import HeaderWord, MappingShape, Shared
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.runtime.processes.child_process import pair
from antiphon.kernel.session.effects import EngineLoad


class Ends:
    def __init__(self) -> None:
        self.shared, self.bell = Shared.create(MappingShape(48000, 64, 2, 16)), os.eventfd(0, os.EFD_NONBLOCK)
        self.ours, self.theirs = pair()
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.link = RemoteEngine(self.shared, self.bell, self.ours)

    def load(self, serial: int, size: int) -> None:
        graph = Graph((NodeSpec("a", "gain", {"label": "x" * size}),))
        self.link.load(EngineLoad(serial, graph, {"a": 1}, 120.0, 0.0))

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()
        os.close(self.bell)
        os.close(self.shared.fd)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


def test_a_plan_larger_than_the_socket_takes_is_refused_with_its_size(ends: Ends) -> None:
    ends.load(7, 400_000)
    ((serial, reason),) = [(r.serial, r.reason) for r in ends.link.reports() if isinstance(r, PlanRefused)]
    assert serial == 7
    assert "390 KiB" in reason
    assert "net.core.wmem_max" in reason
    assert ends.link.reports() == []


def test_a_plan_for_an_engine_that_is_away_is_asked_for_later(ends: Ends) -> None:
    for serial in range(100):
        ends.load(serial, 20_000)
    assert ends.shared.words[HeaderWord.COMMANDS_DROPPED] > 0
    assert ends.link.reports() == []
    ends.theirs.close()
    ends.load(100, 10)
    assert ends.link.reports() == []
