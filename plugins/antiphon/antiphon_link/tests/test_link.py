"""The server in a Link session of a fake library, in virtual time."""

import importlib.util

import pytest

from antiphon.api import UsageError
from antiphon.api.backends.transports import Command, NudgeBeat, ServeSettings, SetTempo
from antiphon.kernel.graph.clock import TempoMap
from antiphon_link.transport import OUTPUT_LATENCY, QUANTUM, STEP, LinkSession, LinkTransport

RATE, BLOCK = 48000, 256
LAG = BLOCK / RATE + OUTPUT_LATENCY


class FakeLinkSession:
    """A Link session: a line of beats over time, which others may change."""

    def __init__(self, bpm: float = 120.0, beat: float = 0.0, others: int = 0) -> None:
        self.bpm, self.beat, self.at, self.others = bpm, beat, 0, others
        self.closed = False

    def peers(self) -> int:
        return self.others

    def beat_at(self, ns: int) -> float:
        return self.beat + (ns - self.at) / 6e10 * self.bpm

    def read(self, ns: int, quantum: float) -> tuple[float, float]:
        return self.bpm, self.beat_at(ns)

    def set_tempo(self, bpm: float, ns: int) -> None:
        self.beat, self.at, self.bpm = self.beat_at(ns), ns, bpm

    def set_beat(self, bpm: float, beat: float, ns: int, quantum: float) -> None:
        self.bpm, self.beat, self.at = bpm, beat, ns

    def close(self) -> None:
        self.closed = True


class LinkedServer:
    """What the session uses of a server; commands take effect with the next block."""

    rate, block = RATE, BLOCK

    def __init__(self, bpm: float = 120.0) -> None:
        self.map = TempoMap(RATE, bpm, end_bpm=bpm)
        self.ns = 0
        self.done: list[Command] = []
        self.led = ""

    def now_ns(self) -> int:
        return self.ns

    def sample_at(self, ns: int) -> float:
        return ns * RATE / 1e9

    def leader(self) -> str:
        return self.led

    def tempo(self) -> tuple[float, float, bool]:
        at = int(self.sample_at(self.ns))
        return self.map.beat_at(at), self.map.tempo_at(at), self.map.playing

    def beat_at(self, sample: float) -> float:
        return self.map.beat_at(round(sample))

    def command(self, command: Command, source: str) -> None:
        self.done.append(command)
        at = int(self.sample_at(self.ns)) // BLOCK * BLOCK + BLOCK
        if isinstance(command, SetTempo):
            self.map.set_tempo(at, command.bpm)
        elif isinstance(command, NudgeBeat):
            self.map.set_transport(at, None, self.map.beat_at(at) + command.beats)


def run(server: LinkedServer, link: LinkSession, seconds: float) -> None:
    for _ in range(round(seconds / STEP)):
        server.ns += round(STEP * 1e9)
        link.step()
    server.ns += round(STEP * 1e9)


def off(server: LinkedServer, session: FakeLinkSession) -> float:
    """Seconds by which the session's phase is ahead of the server's."""
    away = session.beat_at(server.ns + round(LAG * 1e9)) - server.beat_at(server.sample_at(server.ns))
    return (away - round(away / QUANTUM) * QUANTUM) * 60.0 / session.bpm


def test_joining_takes_the_sessions_tempo_and_phase_with_one_leap() -> None:
    server, session = LinkedServer(90.0), FakeLinkSession(132.0, 41.7, others=1)
    link = LinkSession(server, session)  # type: ignore[arg-type]
    run(server, link, 8.0)
    assert server.tempo()[1] == pytest.approx(132.0, rel=1e-3)
    assert abs(off(server, session)) < 2e-3
    assert link.leaps == 1
    assert max(abs(command.beats) for command in server.done if isinstance(command, NudgeBeat)) <= QUANTUM / 2
    assert link.status()["peers"] == 1
    count = len(server.done)
    run(server, link, 10.0)
    assert len(server.done) <= count + 2, "a clock that agrees is left alone"


def test_a_change_of_the_session_is_followed_without_a_leap() -> None:
    server, session = LinkedServer(120.0), FakeLinkSession(120.0, others=2)
    link = LinkSession(server, session)  # type: ignore[arg-type]
    run(server, link, 4.0)
    leaps = link.leaps
    session.set_tempo(140.0, server.ns)
    run(server, link, 8.0)
    assert server.tempo()[1] == pytest.approx(140.0, rel=1e-3)
    assert abs(off(server, session)) < 2e-3
    assert link.leaps == leaps


def test_a_performers_tempo_becomes_the_sessions_and_ones_own_does_not() -> None:
    server, session = LinkedServer(120.0), FakeLinkSession(120.0, others=1)
    link = LinkSession(server, session)  # type: ignore[arg-type]
    run(server, link, 2.0)
    own = [command.bpm for command in server.done if isinstance(command, SetTempo)]
    if own:
        link._forward_tempo("/tempo", own[-1])
    link._forward_tempo("/node/a/gain", 0.5)
    run(server, link, 1.0)
    assert session.bpm == 120.0
    server.map.set_tempo(int(server.sample_at(server.ns)), 100.0)
    link._forward_tempo("/tempo", 100.0)
    run(server, link, 6.0)
    assert session.bpm == 100.0
    assert server.tempo()[1] == pytest.approx(100.0, rel=1e-3)
    assert abs(off(server, session)) < 2e-3


def test_a_session_is_pulled_to_the_beat_that_a_node_leads() -> None:
    server, session = LinkedServer(104.0), FakeLinkSession(120.0, 3.3, others=1)
    link = LinkSession(server, session)  # type: ignore[arg-type]
    server.led = "follow"
    run(server, link, 12.0)
    assert server.done == []
    assert session.bpm == pytest.approx(104.0, rel=1e-3)
    assert abs(off(server, session)) < 2e-3


def test_alone_the_session_has_the_servers_tempo_and_beat() -> None:
    server, session = LinkedServer(97.0), FakeLinkSession(120.0, 3.3)
    link = LinkSession(server, session)  # type: ignore[arg-type]
    run(server, link, 1.0)
    assert session.bpm == 97.0
    assert abs(off(server, session)) < 1e-3
    assert server.done == []
    server.map.set_transport(int(server.sample_at(server.ns)), False, None)
    run(server, link, 1.0)
    assert server.done == []


def test_a_server_that_stands_takes_the_tempo_and_is_not_moved() -> None:
    server, session = LinkedServer(97.0), FakeLinkSession(140.0, 3.3, others=1)
    server.map.playing = False
    link = LinkSession(server, session)  # type: ignore[arg-type]
    run(server, link, 1.0)
    assert server.done == [SetTempo(140.0)]


def test_without_the_library_the_option_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"pip install 'antiphon\[link\]'"):
        LinkTransport().check(ServeSettings(options={"link": True}))
    with pytest.raises(UsageError, match="--link and --midi-clock follow exclude each other"):
        LinkTransport().check(ServeSettings(options={"link": True, "midi-clock": "follow"}))


def test_a_tempo_below_links_lowest_is_said_and_the_lowest(capfd: pytest.CaptureFixture[str]) -> None:
    server, session = LinkedServer(120.0), FakeLinkSession(120.0, others=1)
    link = LinkSession(server, session)  # type: ignore[arg-type]
    server.map.set_tempo(int(server.sample_at(server.ns)), 15.0)
    link._forward_tempo("/tempo", 15.0)
    run(server, link, 6.0)
    assert session.bpm == 20.0
    assert server.tempo()[1] == pytest.approx(20.0, rel=2e-2)
    assert "no tempo below 20" in "".join(capfd.readouterr())
