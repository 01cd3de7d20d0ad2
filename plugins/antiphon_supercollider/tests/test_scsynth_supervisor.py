"""The thread that watches over scsynths. None runs here: what stands for one answers nothing."""

import os
import socket
import time
from collections.abc import Iterator

import pytest
from tests.waiting import until

from antiphon.api import EngineError
from antiphon.api.backends import transports as osc
from antiphon.api.backends.synths import Unanswered
from antiphon_supercollider.external_client import ExternalClient, NullBridge, join_scsynth
from antiphon_supercollider.scsynth import external_scsynth
from antiphon_supercollider.scsynth.scsynth_supervisor import ScsynthSupervisor
from antiphon_supercollider.tests.test_external_scsynth import Fake


class SilentScsynth:
    """A scsynth that lives and says nothing."""

    pid = 1

    def __init__(self) -> None:
        self.life, self._held = os.pipe()
        self.socket, self._other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.provided = self.has = 0
        self.why = ""
        self.sent: list[tuple[osc.Arg, ...]] = []
        self.packets: list[bytes] = []
        self.answers: list[osc.Message] = []

    def send(self, *message: osc.Arg) -> None:
        self.sent.append(message)

    def send_bytes(self, packet: bytes) -> bool:
        self.packets.append(packet)
        return True

    def replies(self) -> list[osc.Message]:
        answers, self.answers = self.answers, []
        return answers

    def ended(self) -> str:
        return self.why

    def kill(self) -> None: ...

    def close(self) -> None:
        self.socket.close()
        self._other.close()
        os.close(self.life)
        os.close(self._held)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScsynthSupervisor]:
    monkeypatch.setattr(ScsynthSupervisor, "_start_scsynth", lambda self: SilentScsynth())
    made = ScsynthSupervisor(NullBridge(48000), 1)
    yield made
    made.close()


def test_each_ring_is_one_look_at_once_and_then_it_rests(
    supervisor: ScsynthSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []
    report = supervisor._report
    monkeypatch.setattr("antiphon_supercollider.scsynth.scsynth_supervisor.LOOK_SECONDS", 600.0)
    monkeypatch.setattr(supervisor, "_report", lambda: (looks.append(None), report()))
    # what was under way when that was set ends with the first ring at the latest
    supervisor._ring()
    until(lambda: looks, 30.0, "it looks")
    for _ in range(5):
        before = len(looks)
        supervisor._ring()
        until(lambda before=before: len(looks) > before, 30.0, "it looks")
    assert len(looks) <= 1 + 1 + 5


def test_a_note_is_dropped_where_scsynth_answers_a_later_query_and_not_while_it_stalls(
    supervisor: ScsynthSupervisor,
) -> None:
    scsynth, counts = supervisor._active, supervisor.counts
    assert isinstance(scsynth, SilentScsynth)
    until(lambda: supervisor._spare is not None, 5.0, "another stands ready")
    supervisor.send([(5001, b"/one"), (5002, b"/another")])

    def asked() -> list[osc.Arg]:
        return [message[1] for message in scsynth.sent if message[0] == "/sync"]

    until(lambda: len(asked()) > 2, 5.0, "it is asked, and again")
    assert (len(set(asked())), counts.dropped) == (1, 0)
    scsynth.answers = [osc.Message(b"/n_go", b"", (5002,)), osc.Message(b"/synced", b"", (asked()[0],))]
    until(lambda: counts.dropped, 5.0, "it is counted")
    assert (counts.confirmed, counts.dropped) == (1, 1)
    until(lambda: ("/n_free", 5001) in scsynth.sent, 5.0, "it is freed, should it sound after all")


def test_what_is_meant_for_a_scsynth_that_has_ended_never_reaches_the_next(supervisor: ScsynthSupervisor) -> None:
    until(lambda: supervisor._spare is not None, 5.0, "another stands ready")
    first, second, was = supervisor._active, supervisor._spare, supervisor.generation
    assert isinstance(first, SilentScsynth)
    assert isinstance(second, SilentScsynth)
    first.why = "killed by SIGKILL"
    until(lambda: supervisor.generation > was, 5.0, "the other plays")
    supervisor.send([(5001, b"/old")], was)
    supervisor.send([(5002, b"/new")], was + 1)
    assert second.packets == [b"/new"]


def test_one_that_is_killed_while_it_boots_counts_as_a_death_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    booted: list[SilentScsynth] = []
    reasons = iter(["killed by SIGKILL", "killed by SIGKILL", ""])

    class Booting(SilentScsynth):
        def __init__(self, *_given: object) -> None:
            super().__init__()
            booted.append(self)

        def boot(self, meanwhile: object) -> None:
            self.why = next(reasons)
            if self.why:
                raise EngineError(f"scsynth ended at its start ({self.why})")

        def sync(self, meanwhile: object) -> None: ...

    module = "antiphon_supercollider.scsynth.scsynth_supervisor"
    monkeypatch.setattr(f"{module}.Scsynth", Booting)
    monkeypatch.setattr(f"{module}.SETTLE_SECONDS", 0.0)
    wires = NullBridge(48000)
    wires.join = lambda name: None  # type: ignore[method-assign]
    made = ScsynthSupervisor(wires, 1, spare=False)
    assert (len(booted), made.gave_up) == (3, "")
    made.close()
    reasons = iter(["status 1"])
    with pytest.raises(EngineError, match="status 1"):
        ScsynthSupervisor(NullBridge(48000), 1, spare=False)


def test_the_return_of_a_joined_one_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    theirs = Fake(notify=("/done", "/notify", 1, 8), g_queryTree=("/g_queryTree.reply", 0, 0, 0))
    each: list[SilentScsynth] = []
    said: list[str] = []
    monkeypatch.setattr(ExternalClient, "_start_scsynth", lambda self: each.append(SilentScsynth()) or each[-1])
    joining = ExternalClient(NullBridge(48000), 1, theirs.address, ())
    try:
        until(lambda: joining.generation == 1, 5.0, "it plays")
        for n in (2, 3):
            each[-1].why = "it ended"
            until(lambda n=n: joining.generation == n, 5.0, "it plays again")
        until(lambda: said.extend(capfd.readouterr().err.splitlines()) or len(said) == 4, 5.0, "all is said")
    finally:
        joining.close()
        theirs.close()
    name = f"the scsynth at {theirs.address[0]}:{theirs.address[1]}"
    gone = f"antiphon: {name} is gone (it ended); Antiphon reconnects when it is back"
    assert said + capfd.readouterr().err.splitlines() == 2 * [gone, f"antiphon: {name} is back"]


@pytest.mark.parametrize(
    ("dies", "said"),
    [("at once", "no scsynth answers there"), ("half way", "answers, but accepts no client; it may")],
)
def test_one_that_dies_in_the_first_start_is_not_waited_for_longer_than_one_that_never_answered(
    monkeypatch: pytest.MonkeyPatch, dies: str, said: str
) -> None:
    def no_jack(*_given: object) -> None:
        raise EngineError("there is no JACK server")

    monkeypatch.setattr("antiphon_supercollider.external_client.Joined", no_jack)
    monkeypatch.setattr("antiphon_supercollider.external_client.AWAY_SECONDS", 1.5)
    theirs = Fake(notify=("/done", "/notify", 1, 8), g_queryTree=("/g_queryTree.reply", 0, 0, 0))
    met: list[float] = []

    def meet(address: tuple[str, int], rate: int) -> external_scsynth.ServerInfo:
        met.append(time.monotonic())
        # it dies after it was met for the first time, or hangs in the middle
        if len(met) > 1 and dies == "at once":
            raise Unanswered("no scsynth answers there")
        return external_scsynth.ServerInfo(rate, "3.13")

    monkeypatch.setattr(external_scsynth, "meet", meet)
    began = time.monotonic()
    try:
        with pytest.raises(Unanswered, match=said):
            join_scsynth(48000, 64, 1, f"127.0.0.1:{theirs.address[1]}")
    finally:
        theirs.close()
    assert time.monotonic() - began > 1.4
