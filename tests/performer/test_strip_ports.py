"""Each strip has its JACK ports, however late it comes, until none is left, which is said once."""

import logging
from collections.abc import Collection
from typing import Any, cast

import pytest

from antiphon.kernel.errors import EngineError
from antiphon.performer import strip_ports
from antiphon.performer.strip_ports import MAX_CLIENTS, MOST_PORTS, StripClients, _StripClient


class _Ports(_StripClient):
    """A client without JACK: it keeps the names of its ports."""

    def __init__(self) -> None:
        self.names, self.rows = [], {}

    def add_port(self, name: str) -> None:
        pass

    def rename_port(self, row: int, name: str) -> None:
        pass

    def look_up(self, ports: dict[str, tuple[int, int]]) -> None:
        self.rows = {ports[name]: row for row, name in enumerate(self.names) if name in ports}


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> StripClients:
    monkeypatch.setattr(strip_ports, "CaptureReader", lambda memory: memory)
    return StripClients(lambda number: _Ports(), cast(Any, None))


def ports(names: Collection[str]) -> dict[str, tuple[int, int]]:
    return {name: (number, 0) for number, name in enumerate(names)}


def names(clients: StripClients) -> list[str]:
    return [name for client, _ in clients.all for name in client.names]


def test_strips_added_one_by_one_share_a_client(clients: StripClients) -> None:
    for count in range(1, MOST_PORTS + 2):
        clients.follow(ports([f"s{n}" for n in range(count)]))
    assert [len(client.names) for client, _ in clients.all] == [MOST_PORTS, 1]
    assert names(clients) == [f"s{n}" for n in range(MOST_PORTS + 1)]


def test_a_strip_that_comes_back_has_its_port_again(clients: StripClients) -> None:
    clients.follow(ports(["a", "b"]))
    clients.follow(ports(["b"]))
    clients.follow(ports(["c", "b", "a"]))
    assert names(clients) == ["a", "b", "c"]


def test_ports_of_strips_that_left_are_taken_at_last(clients: StripClients, caplog: pytest.LogCaptureFixture) -> None:
    room = MAX_CLIENTS * MOST_PORTS
    clients.follow(ports([f"s{n}" for n in range(room)]))
    assert len(clients.all) == MAX_CLIENTS
    here = [f"s{n}" for n in range(1, room)]
    clients.follow(ports([*here, "new"]))
    assert set(names(clients)) == {*here, "new"}
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            clients.follow(ports([*here, "new", "more"]))
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["more has no JACK port"]


def test_strips_without_jack_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strip_ports, "CaptureReader", lambda memory: memory)
    away = [True]

    def opened(number: int) -> _StripClient:
        if away:
            raise EngineError("no JACK server answers")
        return _Ports()

    clients = StripClients(opened, cast(Any, None))
    with pytest.raises(EngineError):
        clients.follow(ports(["a"]))
    away.clear()
    clients.follow(ports(["a"]))
    assert names(clients) == ["a"]


def test_a_refused_port_blocks_no_other(
    clients: StripClients, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def add_port(self: _Ports, name: str) -> None:
        if name == "b":
            raise EngineError("JACK refused the port b")

    monkeypatch.setattr(_Ports, "add_port", add_port)
    for _ in range(2):
        clients.follow(ports(["a", "b", "c"]))
    assert names(clients) == ["a", "c"]
    assert [record.getMessage() for record in caplog.records] == ["b has no JACK port: JACK refused the port b"]
