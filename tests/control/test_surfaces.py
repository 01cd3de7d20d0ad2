"""Other machines: what an approved one may do and read, and how an approval ends. 127.0.0.2 and 127.0.0.3 play them."""

import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.control.rig import WITH_FILES, Rig, rig

from antiphon.cli.running import osc
from antiphon.kernel.control.subscribers import clients
from antiphon.kernel.control.subscribers.clients import APPROVAL_SECONDS
from antiphon.kernel.control.subscribers.replies import FILE
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.io.log_lines import Line
from antiphon.kernel.io.osc_peer import Level
from antiphon.kernel.runtime import paths
from antiphon.kernel.wire.osc import Message, decode, encode
from antiphon.web import control_status

OWN, NEAR, FAR = "127.0.0.1", "127.0.0.2", "127.0.0.3"
SECRET = "private-take-with-anna.wav"


@pytest.fixture(autouse=True)
def strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only 127.0.0.1 is this machine."""
    monkeypatch.setattr(clients, "is_loopback", lambda host: host == OWN)


@pytest.fixture
async def live(tmp_path: Path, home: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "state", catalog=WITH_FILES) as made:
        paths.make_folder(paths.library())
        for name in (SECRET, "tune.wav"):
            (paths.library() / name).write_bytes(b"")
        made.app.executor.perform(
            made.app.session.state.load(Graph((NodeSpec("a", "gain"), NodeSpec("cast", "cast"))), "x")
        )
        made.app.structure_changed()
        await made.settle()
        yield made


def far_tcp(live: Rig, host: str) -> socket.socket:
    sock = socket.create_connection((OWN, live.app.osc_port), source_address=(host, 0))
    sock.setblocking(False)
    return sock


def ended(sock: socket.socket) -> bool:
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    return True


# files


async def test_a_surface_neither_sets_nor_reads_names_of_files(live: Rig) -> None:
    owner, surface = live.client(), live.client(host=NEAR)
    live.app.access.approve(NEAR)
    await surface.ask("/notify", 1)
    assert await owner.ask("/node/cast/reference", SECRET) == []
    assert await owner.ask("/node/cast/reference") == [("/node/cast/reference", (SECRET,))]
    await live.settle()
    assert ".wav" not in str(surface.heard())
    for args in ((), ("tune.wav",), ("x.wav",), (SECRET,)):
        assert ".wav" not in await surface.refused("/node/cast/reference", *args)
    assert live.app.executor.value("cast", "reference") == SECRET
    heard = await surface.ask("/node/cast/*")
    assert ("/node/cast/depth", (0.0,)) in heard
    assert ".wav" not in str(heard)


async def test_the_owner_reads_what_the_library_holds(live: Rig) -> None:
    ((_, (_, reason)),) = await live.client().ask("/node/cast/reference", "x.wav")
    assert SECRET in reason


async def test_reasons_reach_a_surface_without_files(live: Rig, tmp_path: Path) -> None:
    owner, surface = live.client(), live.client(host=NEAR)
    live.app.access.approve(NEAR)
    for client in (owner, surface):
        await client.ask("/notify", 1)
    await owner.ask("/node/cast/reference", SECRET)
    for client in (owner, surface):
        client.heard()
    path = str(paths.library() / SECRET)
    live.engine.refuse = f"cast: cannot read {path!r} ({SECRET}); see {tmp_path}/x y or /node/cast/reference"
    answers = await surface.ask("/node/a/size", 512)
    (refused,) = [args for address, args in answers if address == "/fail"]
    assert refused[0] == "/node/a/size"
    assert SECRET not in refused[1]
    assert str(tmp_path) not in refused[1]
    assert refused[1].endswith("or /node/cast/reference")
    assert FILE in refused[1]
    await live.settle()
    ((_, (told,)),) = [m for m in owner.heard() if m[0] == "/patch/failed"]
    assert path in told
    answers += surface.heard()
    ((_, (discreet,)),) = [m for m in answers if m[0] == "/patch/failed"]
    assert SECRET not in discreet
    assert "/node/cast/reference" in discreet


# the end of an approval


async def test_forgetting_ends_all_at_once(live: Rig) -> None:
    owner, surface, other = live.client(), live.client(host=NEAR), live.client(host=FAR)
    live.app.access.approve(NEAR)
    live.app.access.approve(FAR)
    tcp, tcp_other = far_tcp(live, NEAR), far_tcp(live, FAR)
    await surface.ask("/notify", 1)
    await other.ask("/notify", 1)
    live.app.access.forget(NEAR)
    await live.settle()
    assert [s.peer.host for s in live.app.surfaces] == [FAR]
    assert ended(tcp)
    assert not ended(tcp_other)
    before = live.app.executor.value("a", "gain")
    ((address, _),) = await surface.ask("/node/a/gain", 1.75)
    assert address == "/fail"
    assert live.app.executor.value("a", "gain") == before
    await owner.ask("/node/a/gain", 0.25)
    assert surface.heard() == []
    assert ("/node/a/gain", (0.25,)) in other.heard()
    assert live.app.access.held_addresses() == [NEAR]
    for sock in (tcp, tcp_other):
        sock.close()


async def test_an_approval_ends_while_the_server_runs(live: Rig) -> None:
    clock = FakeClock()
    live.app.access._clock = clock
    owner, surface = live.client(), live.client(host=NEAR)
    live.app.access.approve(NEAR)
    tcp = far_tcp(live, NEAR)
    await surface.ask("/notify", 1)
    clock.now += APPROVAL_SECONDS - 1
    await live.settle(30)
    assert [s.peer.host for s in live.app.surfaces] == [NEAR]
    clock.now += 2
    await live.settle(30)
    assert len(live.app.surfaces) == 0
    assert ended(tcp)
    surface.heard()
    await owner.ask("/node/a/gain", 0.25)
    assert surface.heard() == []
    assert live.app.access.level(NEAR) is Level.HELD
    tcp.close()


async def test_what_is_held_renews_no_lease(live: Rig) -> None:
    surface = live.client(host=NEAR)
    await surface.ask("/ping")
    (peer,) = [p for p in live.app.udp._peers.values() if p.host == NEAR]
    assert peer.last_received == 0.0
    live.app.access.approve(NEAR)
    await surface.ask("/ping")
    assert peer.last_received > 0.0


@pytest.mark.parametrize("approved", [True, False])
async def test_a_surface_of_before_is_subscribed_again_only_while_it_is_approved(
    tmp_path: Path, home: Path, approved: bool
) -> None:
    async with rig(tmp_path / "state") as first:
        first.app.access.approve(NEAR)
        surface = first.client(host=NEAR)
        await surface.ask("/notify", 1)
        engine, port = first.engine, surface.port
    async with rig(tmp_path / "state", engine=engine) as again:
        surface = again.client(port, host=NEAR)
        again.app.access.restore({NEAR: 3600.0} if approved else {})
        surface.heard()
        again.app.feedback.event("/beat", 7)
        await again.settle()
        assert (("/beat", (7,)) in surface.heard()) is approved
        assert len(again.app.surfaces) == approved


async def test_forgotten_stays_forgotten_when_control_is_started_again(tmp_path: Path, home: Path) -> None:
    given = {"allow": [NEAR, FAR], "surfaces": [(NEAR, 9999), (FAR, 9999)]}
    async with rig(tmp_path / "state", **given) as first:
        first.app.access.forget(NEAR)
        await first.settle()
        assert [s.peer.host for s in first.app.surfaces] == [FAR]
        engine = first.engine
    async with rig(tmp_path / "state", engine=engine, **given) as again:
        assert [s.peer.host for s in again.app.surfaces] == [FAR]
        assert again.app.access.approved_addresses() == [FAR]
        again.app.access.restore({NEAR: 3600.0})
        assert again.app.access.approved_addresses() == [FAR]
        again.app.access.approve(NEAR)
        assert again.app.access.level(NEAR) is Level.SURFACE


def test_an_approval_that_is_read_before_what_was_forgotten_stays_revoked() -> None:
    access = clients.Access()
    access.restore({NEAR: 3600.0, FAR: 3600.0})
    access.restore({}, [NEAR])
    assert access.approved_addresses() == [FAR]


async def test_a_surface_that_the_command_line_names_is_told_without_approval(tmp_path: Path, home: Path) -> None:
    async with rig(tmp_path / "state", surfaces=[(NEAR, 19999)]) as live:
        await live.settle(30)
        assert [s.may_receive_values for s in live.app.surfaces] == [True]


# strangers in the monitor


async def test_the_monitor_marks_what_is_held_and_shows_no_control_sequences(live: Rig) -> None:
    watcher, stranger = live.client(), live.client(host=FAR)
    await watcher.ask("/monitor", 1)
    stranger.raw(encode("/\x1b[2J\x1b]0;owned\x07\n12:00:00 127.0.0.1:1 /x", 1))
    await live.settle()
    ((address, (sender, packet)),) = watcher.heard()
    assert (address, sender) == ("/packet/held", f"{FAR}:{stranger.port}")
    message = decode(encode(address, sender, packet))
    assert isinstance(message, Message)
    (line,) = osc.lines(message)
    assert line.isprintable()
    assert f"{FAR}:{stranger.port} held /\\x1b[2J" in line


async def test_a_strangers_flood_leaves_the_others_in_view(live: Rig) -> None:
    watcher, stranger = live.client(), live.client(host=FAR)
    await watcher.ask("/monitor", 1)
    live.app.joined["monitor"]._clock = lambda: 5.0
    for _ in range(600):
        stranger.send("/x")
    await live.settle()
    assert len(watcher.heard()) == 50
    ((address, _), *_rest) = await watcher.ask("/node/a/gain", 0.5)
    assert address == "/packet"


def test_a_line_of_the_log_is_one_line() -> None:
    record = logging.LogRecord("antiphon", logging.WARNING, "", 0, "the MIDI port %s", ("x\x1b[2J\nantiphon: y",), None)
    assert Line("antiphon: %(message)s").format(record) == r"antiphon: the MIDI port x\x1b[2J\nantiphon: y"


async def test_machines_are_listed_with_their_times_and_every_change_is_counted(live: Rig) -> None:
    access, clock = live.app.access, FakeClock()
    access._clock = clock
    changes = control_status.status(live.app)["surface_changes"]
    stranger = live.client(host=NEAR)
    for _ in range(3):
        await stranger.ask("/node/a/gain", 0.5)
    assert control_status.status(live.app)["surface_changes"] == changes + 1, "one that is held already changes nothing"
    clock.now += 5.0
    await live.client(host=FAR).ask("/ping")
    assert [(one.ip, one.state, one.seconds, one.messages) for one in access.machines()] == [
        (FAR, "held", 0.0, 1),
        (NEAR, "held", 5.0, 3),
    ]
    access.approve(NEAR)
    clock.now += 60.0
    assert [(one.ip, one.state, one.seconds) for one in access.machines()] == [
        (FAR, "held", 60.0),
        (NEAR, "approved", APPROVAL_SECONDS - 60.0),
    ]
    access.forget(FAR)
    assert control_status.status(live.app)["surface_changes"] == changes + 4


async def test_an_address_that_waits_is_printed_once_with_the_command_that_approves_it(
    live: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "antiphon.said")
    live.app.access.approving = "antiphon approve --http-port 4546"
    for _ in range(2):
        live.app.access.hold(NEAR)
    assert [record.getMessage() for record in caplog.records] == [
        f"{NEAR} waits: antiphon approve --http-port 4546 {NEAR}"
    ]
