"""Scsynths that are watched over and one that runs already: who answers, what is joined, deaths."""

import contextlib
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from tests.each import each
from tests.waiting import until

from antiphon.api import EngineError, Event, UsageError
from antiphon.api.backends import transports as osc
from antiphon.api.backends.synths import Unanswered
from antiphon.api.backends.transports import ServeSettings
from antiphon.cli.serve import select_synth_by_option
from antiphon.kernel.wire.osc import Double
from antiphon_supercollider import external_client
from antiphon_supercollider.external_client import (
    BUFFERS,
    BUFFERS_EACH,
    BUSES,
    CLIENTS,
    EACH,
    FIRST,
    PLACES,
    SHARES,
    ExternalClient,
    NullBridge,
    TimetagOnly,
    join_scsynth,
    layout_of,
    share_of,
)
from antiphon_supercollider.info import scsynth_address
from antiphon_supercollider.scsynth import external_scsynth
from antiphon_supercollider.scsynth.external_scsynth import ExternalScsynth, ask_scsynth
from antiphon_supercollider.scsynth.scsynth_supervisor import ScsynthSupervisor


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

    def end_reason(self) -> str:
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

    monkeypatch.setattr("antiphon_supercollider.external_client.HeardOverJack", no_jack)
    monkeypatch.setattr("antiphon_supercollider.external_client.AWAY_SECONDS", 1.5)
    theirs = Fake(notify=("/done", "/notify", 1, 8), g_queryTree=("/g_queryTree.reply", 0, 0, 0))
    met: list[float] = []

    def meet(address: tuple[str, int], rate: int) -> external_scsynth.ServerInfo:
        met.append(time.monotonic())
        # it dies after it was met for the first time, or hangs in the middle
        if len(met) > 1 and dies == "at once":
            raise Unanswered("no scsynth answers there")
        return external_scsynth.ServerInfo(rate, "3.13")

    monkeypatch.setattr(external_scsynth, "ask_scsynth", meet)
    began = time.monotonic()
    try:
        with pytest.raises(Unanswered, match=said):
            join_scsynth(48000, 64, 1, f"127.0.0.1:{theirs.address[1]}")
    finally:
        theirs.close()
    assert time.monotonic() - began > 1.4


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_notes_keep_their_time_where_the_machines_clock_is_set(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """A time tag is read by scsynth on that clock: it is set between the blocks and the sending of a note."""
    sent: list[bytes] = []
    client = object.__new__(ExternalClient)
    client._active = SimpleNamespace(send_bytes=sent.append)  # type: ignore[assignment]
    player = object.__new__(TimetagOnly)
    player._players, player._sounding, player._versions, player._known = (  # type: ignore[assignment]
        [mock.MagicMock(litter=[])], [mock.MagicMock()], [0], [0]
    )  # fmt: skip
    player.keeper = mock.MagicMock(generation=0, has=0, delay=0, send_at=client.send_at)
    player._zeros, player._rate, player._hop = deque(maxlen=256), 48000, 64
    player._messages = [(0, osc.encode("/s_new"))]
    player._free_ended_nodes = player._send = lambda: None  # type: ignore[method-assign]
    player.keeper.counts.pid, player.delay = 1, 0
    now = [1e9, 50.0]
    clocks = {"time": lambda: now[0], "monotonic": lambda: now[1], "monotonic_ns": lambda: int(1e9 * now[1])}
    monkeypatch.setattr(external_client, "time", SimpleNamespace(**clocks))
    player.play(0, 0, ())
    now[0] += step
    player.play(0, 0, [Event("on", 0, 60, 1.0)])
    bundle = osc.decode(sent[0])
    assert isinstance(bundle, osc.Bundle)
    assert bundle.timetag / 2**32 - external_client.NTP_1970 == pytest.approx(now[0], abs=0.5)


SLOTS = 8


class Fake:
    """Answers as its arguments say."""

    def __init__(self, **answers: tuple[osc.Arg, ...]) -> None:
        self.answers = {f"/{name}".encode(): args for name, args in answers.items()}
        self.heard: list[osc.Message] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                data, whence = self._socket.recvfrom(65536)
            except OSError:
                return
            message = osc.decode(data)
            if not isinstance(message, osc.Message):
                continue
            self.heard.append(message)
            answer = self.answers.get(message.address)
            with contextlib.suppress(OSError):
                if answer is not None:
                    self._socket.sendto(osc.encode(*answer), whence)  # type: ignore[arg-type]

    def close(self) -> None:
        self._socket.close()


STATUS: tuple[osc.Arg, ...] = ("/status.reply", 1, 0, 0, 1, 0, 0.5, 0.8, Double(48000.0), Double(48001.3))
VERSION: tuple[osc.Arg, ...] = ("/version.reply", "scsynth", 3, 13, ".0", "", "na")


@pytest.fixture
def fakes() -> Iterator[list[Fake]]:
    made: list[Fake] = []
    yield made
    for fake in made:
        fake.close()


def test_who_is_there_is_asked(fakes: list[Fake]) -> None:
    fakes.append(Fake(status=STATUS, version=VERSION))
    assert ask_scsynth(fakes[0].address, 48000).version == "3.13"
    with pytest.raises(EngineError, match="runs at 48000 Hz and the server at 44100; start with --rate 48000"):
        ask_scsynth(fakes[0].address, 44100)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (("/version.reply", "scsynth", 3, 9, ".0", "", ""), "scsynth 3 9; Antiphon joins scsynth 3.10"),
        (("/version.reply", "supernova", 3, 13, ".0", "", ""), "supernova 3 13; Antiphon joins scsynth"),
        (None, "a server without a version"),
    ],
)
def test_another_version_is_named(fakes: list[Fake], version: tuple[osc.Arg, ...] | None, said: str) -> None:
    fakes.append(Fake(status=STATUS, **({"version": version} if version else {})))
    with pytest.raises(EngineError, match=said):
        ask_scsynth(fakes[0].address, 48000)


def test_nobody_is_named() -> None:
    with pytest.raises(Unanswered, match=r"no scsynth answers at 127\.0\.0\.1:9; boot it"):
        ask_scsynth(("127.0.0.1", 9), 48000)


def test_a_full_one_says_how_to_make_room(fakes: list[Fake], tmp_path: Path) -> None:
    fakes.append(Fake(notify=("/fail", "/notify", "too many users\n")))
    guest = ExternalScsynth(fakes[0].address, tmp_path)
    try:
        with pytest.raises(EngineError, match=r"takes no more clients; boot it with s\.options\.maxLogins = 8"):
            guest.register_client()
    finally:
        guest.close()


def test_what_was_promised_is_said_once_it_ends(fakes: list[Fake], tmp_path: Path) -> None:
    fakes.append(Fake(notify=("/done", "/notify", 3, 8)))
    guest = ExternalScsynth(fakes[0].address, tmp_path)
    guest.register_client()
    assert guest.number == 3
    guest.send_after_end([osc.encode("/n_free", 77)])
    before = len(fakes[0].heard)
    guest.close()
    until(lambda: len(fakes[0].heard) == before + 2, 5.0, "both are heard")
    said = [(m.address, m.args) for m in fakes[0].heard[before:]]
    assert said == [(b"/n_free", (77,)), (b"/notify", (0,))]


@each("text", ["57110", "192.168.0.7:57110", "0.0.0.0:57110", "127.0.0.1:", "127.0.0.1:70000", "::1:5"])
def test_only_this_machine_is_joined(text: str) -> None:
    with pytest.raises(UsageError, match="a scsynth on this machine"):
        scsynth_address(text)


def test_joining_means_supercollider() -> None:
    assert select_synth_by_option(ServeSettings(options={"scsynth": "localhost:57110"})).synth == "supercollider"
    with pytest.raises(UsageError, match="plays by something else"):
        select_synth_by_option(ServeSettings(options={"scsynth": "127.0.0.1:57110"}, synth="pyo"))
    with pytest.raises(UsageError, match="a scsynth on this machine"):
        select_synth_by_option(ServeSettings(options={"scsynth": "57110"}))


def test_two_take_different_shares() -> None:
    assert share_of(1, [1, 1000, -1]) == 1
    # another lives since long, and clients' numbers have come round to its buses
    first = FIRST + EACH * 1
    assert share_of(4, [first + 1, first + 900]) % SHARES != 1 % SHARES
    full = [FIRST + EACH * n for n in range(CLIENTS)]
    assert share_of(5, full) == 5
    assert share_of(5, full[:7] + full[8:]) == 7


def test_shares_of_clients_stay_apart_and_within_a_float() -> None:
    layouts = [layout_of(number, 2, 22, SLOTS) for number in range(CLIENTS)]
    assert all(layout.nodes + EACH <= 1 << 24 for layout in layouts)
    assert len({layout.nodes for layout in layouts}) == CLIENTS
    assert all(layout.held >= 0 for layout in layouts)
    first, second = layouts[:2]
    each = 2 * PLACES * SLOTS
    assert first.private + each == BUSES
    assert second.private + each == first.private
    assert (first.buffers + BUFFERS_EACH, second.buffers + BUFFERS_EACH) == (BUFFERS, first.buffers)
