"""What a transport sees of the server, and what one that nobody asks for costs."""

import subprocess
import sys

import pytest
from tests.control.rig import CATALOG, Rig

from antiphon.kernel.contract.catalog import Catalog, TransportInfo
from antiphon.kernel.control.hooks import ServerHooks
from antiphon.kernel.control.transports import TransportHost
from antiphon.kernel.engine.link import EVERY_NODE, PlayedNote
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.actions import NodeSet
from antiphon.kernel.session.commands import SetParam
from antiphon.kernel.session.effects import EngineEffect
from antiphon.kernel.session.transport import Transport
from antiphon.kernel.session.transport_server import TransportServer

UNASKED = """
import asyncio, sys
from types import SimpleNamespace
import antiphon.kernel.control.process
from antiphon.kernel.contract.catalog import Catalog, TransportInfo
from antiphon.kernel.control.hooks import ServerHooks
from antiphon.kernel.runtime.settings import ServeSettings

hooks = {"antiphon_midi": ("antiphon_transports",), "antiphon_mqtt": ("antiphon_transports",)}
found = (TransportInfo("midi", "", "antiphon_midi", ("midi", "midi-in", "midi-out")),
         TransportInfo("mqtt", "", "antiphon_mqtt", ("mqtt-url",)))
asked = ServeSettings(**eval(sys.argv[1]))
started = []
def host(name, settings, *, fresh):
    if name.startswith("antiphon_"):
        return None  # of a plugin's OSC addresses
    started.append(name)
    raise SystemExit(0) if name in sys.argv[2:] else AssertionError(name)
app = SimpleNamespace(transports=SimpleNamespace(host=host), events=SimpleNamespace(listeners=[]),
                      plugin_addresses=SimpleNamespace(add=lambda *_: None))
try:
    asyncio.run(ServerHooks(Catalog({}, (), hooks, found), asked, fresh=True).start(app))
except SystemExit:
    pass
assert started == sys.argv[2:], started
names = ("mido", "rtmidi", "jack", "aiomqtt", "paho", "pluggy", "antiphon_midi", "antiphon_mqtt")
print(*(name for name in names if name in sys.modules))
"""


@pytest.fixture
def host(live: Rig) -> TransportHost:
    return live.app.transports.host("wire", ServeSettings(), fresh=True)


@pytest.mark.parametrize(
    ("settings", "started", "imported"),
    [
        ("{}", [], []),
        ("{'options': {'midi-in': ('keys',)}}", ["midi"], ["pluggy", "antiphon_midi"]),
        ("{'secrets': {'mqtt-url': 'mqtt://here'}}", ["mqtt"], ["pluggy", "antiphon_mqtt"]),
    ],
)
def test_control_imports_nothing_of_a_transport_that_nobody_asks_for(
    settings: str, started: list[str], imported: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNASKED, settings, *started], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == imported


async def test_a_message_is_answered_as_a_surfaces_is(live: Rig, host: TransportHost) -> None:
    heard: list[tuple[str, tuple[object, ...]]] = []

    def reply(address: str, args: tuple[object, ...]) -> None:
        heard.append((address, args))

    host.message("/node/a/gain", source="wire", reply=reply)
    host.message("/node/a/gain", 1.5, source="wire")
    host.message("/ping", "x", 3, source="wire", reply=reply)
    await live.settle()
    assert heard[0] == ("/node/a/gain", (0.5,))
    assert (heard[1][0], heard[1][1][:2]) == ("/pong", ("x", 3))
    assert live.app.executor.value("a", "gain") == 1.5


async def test_what_cannot_be_done_is_raised(host: TransportHost) -> None:
    for address, args, said in (
        ("/nothing", (), "there is no address /nothing"),
        ("/node/a/gain", (9.0,), "gain"),
        ("/scene/recall", (7,), "7"),
    ):
        with pytest.raises(AntiphonError, match=said):
            host.message(address, *args, source="wire")


async def test_what_is_done_in_a_turn_is_sent_at_its_end(live: Rig, host: TransportHost) -> None:
    seen: list[EngineEffect] = []
    values: list[tuple[str, object]] = []
    host.on_effect(seen.append)
    host.on_value(lambda address, value: values.append((address, value)))
    with host.turn():
        host.do(SetParam("a", "gain", 0.25), "wire")
        assert values == []
    await live.settle()
    assert [effect for effect in seen if isinstance(effect, NodeSet)][-1].number == 0.25
    assert values == [("/node/a/gain", 0.25)]


async def test_notes_go_to_those_who_want_them(live: Rig, host: TransportHost) -> None:
    heard: list[object] = []
    transports = live.app.transports
    assert transports.wanted_node() == 0
    host.on_note(heard.append, lambda: 2)
    assert transports.wanted_node() == 2
    other = 0
    live.app.transports.host("other", ServeSettings(), fresh=True).on_note(lambda _event: None, lambda: other)
    assert transports.wanted_node() == 2
    other = 3
    assert transports.wanted_node() == EVERY_NODE
    live.engine.say(PlayedNote(2, "on", 60, 1.0, 1, 0))
    await live.settle()
    assert heard == [PlayedNote(2, "on", 60, 1.0, 1, 0)]


async def test_the_status_has_each_by_its_name_and_nothing_of_the_servers_is_covered(live: Rig) -> None:
    live.app.catalog = Catalog(
        CATALOG.types, transports=(TransportInfo("wire", "", "p"), TransportInfo("idle", "", "p"))
    )
    for name in ("wire", "engine"):
        live.app.transports.host(name, ServeSettings(), fresh=True).status(lambda: {"here": 1})
    status = live.app.status()
    assert (status["wire"], status["idle"]) == ({"here": 1}, None)
    assert "here" not in status["engine"]


async def test_a_file_of_a_transport_goes_with_the_state(live: Rig, host: TransportHost) -> None:
    from antiphon.kernel.control import state

    host.file("notes.bin").write_bytes(b"1")
    assert host.file("notes.bin").name in state.files(host.folder)


async def test_the_settings_choose_and_a_start_that_fails_is_logged(
    live: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun: list[str] = []

    class Wire(Transport):
        def start(self, server: TransportServer) -> None:
            begun.append(server.settings.patch)
            raise OSError("no wire")

    hooks = ServerHooks(Catalog(transports=(TransportInfo("wire", "", "p"),)), ServeSettings(patch="x"), fresh=True)
    monkeypatch.setattr("antiphon.kernel.plugins.importing.sources", list)
    hooks._register("wire", Wire)
    hooks._register("another", Wire)
    await hooks.start(live.app)
    assert begun == ["x"]
    assert "transport wire: OSError: no wire" in caplog.text
