"""A change of the sound device as control tells it: each is answered once, and a report of another one is not its."""

import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.control.rig import CATALOG, rig

from antiphon.doctor.loopback import OUTSIDE, RoundTrip, keep
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, Port
from antiphon.kernel.control.commands.sound_device import MAX_REMEMBERED, delays, headphones
from antiphon.kernel.control.process import _catalog_path, open_patch
from antiphon.kernel.engine.link import DeviceUsed, Reported
from antiphon.kernel.graph.names import CANCELLER, GUARD, IN
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.processes.child_process import socket_pair
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.commands import SetParam
from antiphon.web import control_status

PATH, FIGURES = "/audio/device", (0, 0)


async def test_reports_are_of_the_change_that_has_their_serial(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor, own = socket_pair()
    async with rig(tmp_path / "state") as live:
        engine, device = live.engine, live.app.device
        device.attach(own, "jack")
        client, clock = live.client(), FakeClock()

        async def ask(name: str) -> int:
            assert await client.ask(PATH, name) == []
            asked = json.loads(supervisor.recv(4096))
            assert (asked["device"], asked["engine"]) == (name, engine.pid)
            return int(asked["serial"])

        async def heard(*reports: DeviceUsed) -> list[tuple[str, tuple[object, ...]]]:
            for report in reports:
                engine.say(report)
            await live.settle()
            return client.heard()

        # one that takes too long is given up; its late report is no answer to the next one, but what plays
        clock.put(monkeypatch)
        first = await ask("A")
        clock.sleep(19.0)
        device.expire()
        ((_, refused),) = await client.ask(PATH, "B")
        assert "being changed already" in str(refused[1])
        client.send("/sync", 7)
        await live.settle()
        assert client.heard() == []
        clock.sleep(2.0)
        device.expire()
        said = await heard()
        assert [address for address, _ in said] == ["/fail", "/synced"]
        assert "no answer for 20 s" in str(said[0][1][1])
        second = await ask("B")
        assert await heard(DeviceUsed("", "portaudio", "A", first)) == []
        assert device.name == "A"
        assert await heard(DeviceUsed("", "portaudio", "B", second)) == [("/done", (PATH, "B", *FIGURES))]
        told = [json.loads(supervisor.recv(4096)) for _ in range(2)]
        assert [(one["do"], one["serial"]) for one in told] == [("device used", first), ("device used", second)]
        # an engine that was there when it was asked is not its end; one started since is
        await ask("C")
        engine.start()
        await live.settle()
        assert client.heard() == []
        engine.start(99)
        await live.settle()
        ((address, (_, reason)),) = client.heard()
        assert (address, device.name) == ("/fail", "B")
        assert "the engine ended" in str(reason)
        # the supervisor's own answer, and its end
        serial = await ask("D")
        for number in (serial - 1, serial):
            supervisor.send(json.dumps({"device": f"none {number - serial}", "serial": number}).encode())
            device.read()
        assert await heard() == [("/fail", (PATH, "none 0"))]
        asyncio.get_running_loop().add_reader(own, device.read)
        supervisor.close()
        await live.settle()
        assert not asyncio.get_running_loop().remove_reader(own)
    own.close()


async def test_an_answer_to_a_control_that_died_is_not_the_catalog() -> None:
    supervisor, own = socket_pair()
    own.setblocking(False)
    with supervisor, own:
        for message in ({"device": "none", "serial": 1}, {"catalog": "here.json"}):
            supervisor.send(json.dumps(message).encode())
        assert await _catalog_path(asyncio.get_running_loop(), own) == "here.json"


KINDS = {
    **CATALOG.types,
    CANCELLER: replace(
        CATALOG.types["gain"], inputs=(AUDIO_IN, Port("reference")), params=(Param("delay", high=1500.0),)
    ),
    GUARD: replace(
        CATALOG.types["gain"],
        type=GUARD,
        inputs=(AUDIO_IN, Port("reference")),
        params=(Param("lowered", high=120.0, readonly=True, notice="lowered the input by {} dB"),),
    ),
}


async def test_loudspeakers_put_a_canceller_in_front_and_headphones_take_it_out(tmp_path: Path, home: Path) -> None:
    """Of a patch that listens to the input and does not play it; the choice is kept for a device that is one."""
    async with rig(tmp_path / "state", catalog=replace(CATALOG, types=KINDS)) as live:
        live.app.device.attach(socket_pair()[1], "jack")
        client, state = live.client(), live.app.session.state
        await client.ask("/node/disconnect", "b", "out")
        assert await client.ask("/headphones", 0) == [("/done", ("/headphones", 0))]
        assert [wire.dest.node for wire in state.graph.wires if wire.source.node == "in"] == [CANCELLER]
        assert await client.ask("/headphones") == [("/headphones", (0, live.app.device.name))]
        await client.ask("/headphones", 1)
        assert not state.graph.has(CANCELLER)
        ((_, (_, said)),) = await client.ask("/headphones", 2)
        assert "0 to 1" in str(said)
        for device, loudspeakers in (("USB", False), ("B", True), ("C", True), ("USB", False)):
            if device != "C":  # of which nothing is known
                live.app.headphones.choose(device, not loudspeakers)
            live.engine.say(DeviceUsed("", "jack", device, 0))
            await live.settle()
            assert (state.graph.has(CANCELLER), live.app.plans.loudspeakers) == (loudspeakers, loudspeakers), device


async def test_loudspeakers_of_a_killed_control_are_known_to_the_next(tmp_path: Path, home: Path) -> None:
    async with rig(tmp_path / "state", catalog=replace(CATALOG, types=KINDS)) as live:
        await live.client().ask("/headphones", 0)
    async with rig(tmp_path / "state", catalog=replace(CATALOG, types=KINDS)) as live:
        assert live.app.plans.loudspeakers


async def test_a_guard_stands_before_an_input_that_is_played_and_what_it_does_is_said(
    tmp_path: Path, home: Path
) -> None:
    async with rig(tmp_path / "state", catalog=replace(CATALOG, types=KINDS)) as live:
        live.app.device.attach(socket_pair()[1], "USB")
        client, state = live.client(), live.app.session.state
        await client.ask("/notify", 1)
        await client.ask("/headphones", 0)
        assert not state.graph.has(GUARD), "another program's tones are no howl"
        live.app.plans.guards = True
        await client.ask("/headphones", 0)
        assert [wire.dest.node for wire in state.graph.wires if wire.source.node == "in"] == [GUARD]
        await client.ask("/node/connect", "in", "out")
        assert [wire.dest.node for wire in state.graph.wires if wire.source.node == "in"] == [GUARD]
        node = state.nodes[GUARD]
        live.engine.say(Reported(node.id, node.index["lowered"], 9.0))
        await live.settle(2)
        assert ("/node/state", (GUARD, node.state, "lowered the input by 9 dB")) in client.heard()
        (said,) = [n["reason"] for n in control_status.status(live.app)["nodes"] if n["name"] == GUARD]
        assert said == "lowered the input by 9 dB"
        await client.ask("/headphones", 1)
        assert not state.graph.has(GUARD)


@pytest.mark.parametrize(
    ("opens", "guards", "wire", "open_"),
    [(True, True, "", True), (True, True, '"a" = "out"', False), (True, False, "", False), (False, True, "", False)],
)
async def test_an_input_that_is_listened_to_behind_a_canceller_is_opened_and_one_that_is_played_is_not(
    tmp_path: Path, home: Path, opens: bool, guards: bool, wire: str, open_: bool
) -> None:
    patch = tmp_path / "p.toml"
    patch.write_text(f'format = 1\n[nodes.a]\ntype = "gain"\n[wires]\n"in" = "a"\n{wire}\n')
    async with rig(tmp_path / "state", catalog=replace(CATALOG, types=KINDS), patch=False) as live:
        live.app.plans.loudspeakers, live.app.plans.guards = True, guards
        live.app.command(SetParam(IN, "mute", True), "")
        open_patch(live.app, ServeSettings(patch=str(patch), extra={"opens": opens}))
        assert await live.client().ask("/node/in/mute") == [("/node/in/mute", (int(not open_),))]


async def test_a_report_that_is_a_word_is_passed_on_and_is_no_fault(tmp_path: Path, home: Path) -> None:
    gain = CATALOG["gain"]
    word = Param("state", "choice", "waiting", choices=("waiting", "following"), readonly=True)
    catalog = replace(CATALOG, types={"gain": replace(gain, params=(*gain.params, word))})
    async with rig(tmp_path / "state", catalog=catalog) as live:
        node = live.app.session.state.nodes["a"]
        client = live.client()
        await client.ask("/notify", 1)
        live.engine.say(Reported(node.id, node.index["state"], 1.0))
        await live.settle(2)
        assert ("/node/a/state", ("following",)) in client.heard()
        assert live.app.faults.last == ""


@pytest.mark.parametrize(("kept", "taken"), [(80.0, True), (1e6, False), (math.nan, False), (-1e6, False)])
async def test_the_canceller_begins_with_the_delay_that_was_measured_for_the_device(
    tmp_path: Path, home: Path, kept: float, taken: bool
) -> None:
    async with rig(tmp_path / "state", catalog=replace(CATALOG, types=KINDS)) as live:
        live.app.device.attach(socket_pair()[1], "jack")
        client, engine = live.client(), live.app.link.status()
        await client.ask("/node/disconnect", "b", "out")
        live.app.delays.choose(live.app.device.name, kept)
        await client.ask("/headphones", 0)
        given = kept + 1e3 * engine.latency_ring / engine.rate if taken else 0.0
        ((_, (told,)),) = await client.ask("/node/echo_cancel/delay")
        assert told == pytest.approx(given)


def test_a_delay_of_a_cable_is_kept_without_the_ring_and_one_inside_jack_is_not(home: Path) -> None:
    trip = RoundTrip("jack", OUTSIDE, 48000, 256, 256 + 1024 + 960, 0, 1024, 512, 0.1, 0)
    assert keep(trip, ServeSettings()) == "jack"
    assert delays().value_for("jack") == 20.0
    for other in (replace(trip, path="inside JACK", frames=9600), replace(trip, frames=-1)):
        assert keep(other, ServeSettings()) == ""
    assert delays().value_for("jack") == 20.0


def test_a_choice_is_kept_by_the_device_s_name(home: Path) -> None:
    file = paths.config() / "headphones.json"
    headphones().choose("USB", True)
    kept = headphones()
    assert (kept.value_for("USB"), kept.value_for("jack")) == (True, None)
    for number in range(MAX_REMEMBERED):
        kept.choose(f"card {number}", False)
    assert headphones().value_for("USB") is None
    file.write_text("[")
    assert headphones().value_for("card 1") is None


async def test_a_device_that_is_lost_is_named_in_the_status_while_the_software_clock_plays(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig(tmp_path / "state") as live:
        figures = live.engine.status()
        live.app.device.attach(socket_pair()[1], "USB")
        for driver, said in (("portaudio", False), ("headless", True), ("portaudio", False)):
            monkeypatch.setattr(live.engine, "status", lambda driver=driver: replace(figures, driver=driver))
            lost = "the sound device USB is gone: the software clock plays in its place until it is back"
            assert control_status.status(live.app)["trouble"] == (lost if said else "")
        live.app.device.attach(socket_pair()[1], "headless")
        monkeypatch.setattr(live.engine, "status", lambda: replace(figures, driver="headless"))
        assert control_status.status(live.app)["trouble"] == ""
