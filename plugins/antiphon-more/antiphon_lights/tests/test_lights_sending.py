"""Frames, beats and cues arrive at receivers on loopback, from a control process whose clock runs."""

import asyncio
import itertools
import json
import math
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.control.fake_engine import RATE, FakeEngine, FakeTime
from tests.control.rig import CATALOG, Client, Rig, rig
from tests.waiting import comes

import antiphon_lights
from antiphon.api import UsageError
from antiphon.api.backends.transports import AddressList, Bundle, Message, Play, decode
from antiphon.kernel.contract.catalog import Catalog, TransportInfo
from antiphon.kernel.contract.event import Event
from antiphon.kernel.control.hooks import ServerHooks
from antiphon.kernel.engine.loop_words import LoopWord, LoopWords
from antiphon.kernel.engine.native.waiting import DLL_HZ, follow_device
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.paths import make_folder
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.session.commands import Beat
from antiphon.kernel.wire.ntp import to_unix_ns
from antiphon.native.compiling import compile_all
from antiphon_lights.sending import Clock, FlashLimit, Lights, LightShow, _open, chord_name, last_fraction
from antiphon_lights.table import read
from antiphon_lights.targets import DmxTarget
from antiphon_lights.transport import LightsTransport, read_receiver_options

PATCH = """
format = 1
tempo = 240

[nodes.a]
type = "gain"

[macros]
bright = [["a.gain", 0, 1]]

[scenes.1]
"a.gain" = 0.25

[lights.fixtures.par]
universe = 2
channel = 3
channels = ["red", "green"]

[lights.looks.warm]
par = [1.0, 0.5]

[lights.looks.cold]
par.green = 1.0

[lights.effects.follow]
on = "macro.bright"
of = ["par.red"]

[lights.scenes]
1 = "cold"
"""


class RealTime(FakeTime):
    """The machine's own clocks."""

    def monotonic(self) -> int:
        return time.monotonic_ns()

    def realtime(self) -> int:
        return time.time_ns()


@dataclass
class RunningEngine(FakeEngine):
    """A fake engine whose beat runs; `begin` is the sample of beat 0, `speed` that of its device's clock."""

    speed: float = 1.0
    begin: float = field(default_factory=lambda: time.monotonic_ns() * RATE / 1e9)

    def sample_at(self, monotonic_ns: int) -> float:
        return monotonic_ns * RATE * self.speed / 1e9

    def beat_at(self, sample: float) -> float:
        return (sample - self.begin) / RATE * self.bpm / 60.0 if self.playing else self.beat

    def tempo_now(self) -> tuple[float, float, bool]:
        return self.beat_at(self.sample), self.bpm, self.playing


class Receiver:
    """A UDP socket that keeps what comes, with the time of its arrival."""

    def __init__(self, port: int = 0) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self.got: list[tuple[int, bytes]] = []

    def take(self) -> list[tuple[int, bytes]]:
        while True:
            try:
                self.got.append((time.time_ns(), self.sock.recv(2048)))
            except BlockingIOError:
                return self.got

    def values(self, offset: int) -> list[tuple[int, int]]:
        """Red and green of each frame that came."""
        return [(data[offset + 2], data[offset + 3]) for _, data in self.take()]


@dataclass
class Lamps:
    live: Rig
    engine: RunningEngine
    client: Client
    artnet: Receiver
    sacn: Receiver
    cues: Receiver
    lights: Lights
    catalog: Catalog

    def messages(self, address: str) -> list[tuple[int, int, tuple[Any, ...]]]:
        """Time of arrival, time tag in ns, and arguments of the cues with an address."""
        found = []
        for at, data in self.cues.take():
            bundle = decode(data)
            assert isinstance(bundle, Bundle)
            for one in bundle.items:
                assert isinstance(one, Message)
                if one.address == address.encode():
                    found.append((at, to_unix_ns(bundle.timetag), one.args))
        return found

    def shown(self) -> tuple[int, int]:
        return (self.artnet.values(18) or [(-1, -1)])[-1]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Lamps]:
    make_folder(paths.patches())
    (paths.patches() / "lit.toml").write_text(PATCH)
    osc = AddressList("antiphon_lights")
    antiphon_lights.antiphon_addresses(osc)
    options = LightsTransport.options
    catalog = replace(
        CATALOG,
        addresses=tuple(info for info, _ in osc.added),
        hooks={"antiphon_lights": ("antiphon_addresses", "antiphon_transports")},
        transports=(
            TransportInfo("lights", "", "antiphon_lights", tuple(one.name for one in options), LightsTransport.table),
        ),
    )
    artnet, sacn, cues = Receiver(), Receiver(), Receiver()
    asked = {
        "artnet": (f"127.0.0.1:{artnet.port}",),
        "sacn": (f"127.0.0.1:{sacn.port}",),
        "cues": (f"127.0.0.1:{cues.port}@1000",),
    }
    engine = RunningEngine(RealTime(), bpm=240.0)
    async with rig(tmp_path / "state", engine=engine, catalog=catalog) as made:
        await ServerHooks(catalog, ServeSettings(options=asked), fresh=True).start(made.app)
        tasks = [asyncio.create_task(work()) for _, work in made.app.services]
        client = made.client()
        assert ("/done", ("/patch/load", "lit")) in await client.ask("/patch/load", "lit")
        yield Lamps(made, engine, client, artnet, sacn, cues, _open[made.app.folder.folder], catalog)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for one in (artnet, sacn, cues):
        one.sock.close()


async def test_the_first_look_comes_by_both_protocols(stage: Lamps) -> None:
    await stage.client.ask("/macro/bright", 1.0)
    await comes(lambda: stage.shown() == (255, 128), "the look by Art-Net")
    await comes(lambda: (255, 128) in stage.sacn.values(126), "the look by sACN")
    packets = [data for _, data in stage.artnet.take()]
    assert {data[:18] for data in packets} == {
        b"Art-Net\0\x00\x50\x00\x0e" + bytes([number, 0, 1, 0, 2, 0]) for number in {data[12] for data in packets}
    }
    numbers = [data[12] for data in packets]
    assert 0 not in numbers
    assert all((b - a) % 255 == 1 for a, b in itertools.pairwise(numbers))


async def test_a_scene_carries_its_look_and_a_macro_moves_its_channel(stage: Lamps) -> None:
    await comes(lambda: stage.shown()[1] == 128, "the first look")
    await stage.client.ask("/macro/bright", 0.4)
    await comes(lambda: stage.shown() == (102, 128), "what the macro moves")
    await stage.client.ask("/scene/recall", 1)
    await comes(lambda: stage.shown() == (0, 255), "the scene's look")
    await comes(lambda: stage.messages("/section"), "the section's cue")
    assert stage.messages("/section")[0][2] == (1, "cold")


async def test_panic_is_dark_until_a_look(stage: Lamps) -> None:
    await comes(lambda: stage.shown()[1] == 128, "the first look")
    await stage.client.ask("/panic")
    stage.artnet.take()
    await comes(lambda: stage.shown() == (0, 0), "darkness")
    stage.artnet.got.clear()
    await comes(lambda: len(stage.artnet.take()) > 5, "further frames")
    assert set(stage.artnet.values(18)) == {(0, 0)}
    assert ("/lights/list.reply", ("warm", 1, "warm", "cold")) in await stage.client.ask("/lights/list")
    assert ("/done", ("/lights/look", "cold")) in await stage.client.ask("/lights/look", "cold")
    await comes(lambda: stage.shown() == (0, 255), "the look")
    await stage.client.ask("/lights/blackout", 1)
    await comes(lambda: stage.shown() == (0, 0), "darkness again")
    await stage.client.ask("/transport/play")
    await comes(lambda: stage.shown() == (0, 255), "the look again")


async def test_look_and_blackout_outlast_a_killed_control(stage: Lamps) -> None:
    def restarted() -> dict[str, Any]:
        none = dict.fromkeys(("artnet", "sacn", "os2l", "cues"), ())
        after = Lights(stage.live.app.transports.host("lights", ServeSettings(), fresh=False), none)
        after.install()
        figures = after.status()
        _open[stage.live.app.folder.folder] = stage.lights
        return figures

    await stage.client.ask("/lights/look", "cold")
    assert (restarted()["look"], restarted()["blackout"]) == ("cold", False)
    await stage.client.ask("/lights/blackout", 1)
    assert (restarted()["look"], restarted()["blackout"]) == ("cold", True)
    other = {**stage.lights.server.table("lights"), "fade": 3.0}
    stage.lights.server.table = lambda _: other  # type: ignore[method-assign]
    stage.lights._event({"kind": "patch"})
    assert restarted()["look"] == "warm", "the first of the patch that was loaded since"


@pytest.mark.parametrize("speed", [1.0, 1.0001, 0.9999])
async def test_cues_are_ahead_of_their_time_tags_after_an_hour_of_drift(stage: Lamps, speed: float) -> None:
    stage.engine.speed = speed
    stage.engine.begin = stage.engine.sample - 3600.0 * RATE
    await comes(lambda: len(stage.messages("/beat")) > 1, "the beats before")
    stage.cues.got.clear()
    await comes(lambda: len(stage.messages("/beat")) >= 5, "beats")
    beats = stage.messages("/beat")
    for _, tag, (beat, bpm) in beats:
        due = (stage.engine.begin + beat * RATE * 60.0 / 240.0) / RATE / speed * 1e9 + stage.lights._heard() * 1e9
        # the tag is that of the beat as it is heard, however late the packet left
        assert abs(tag - time.time_ns() + time.monotonic_ns() - due) < 5e6
        assert bpm == 240.0
    assert [args[0] for _, _, args in beats] == list(range(beats[0][2][0], beats[-1][2][0] + 1))
    assert all(at < tag for at, tag, _ in beats)
    bars = stage.messages("/bar")
    assert [args for _, _, args in bars] == [(beat // 4, 240.0) for _, _, (beat, _) in beats if beat % 4 == 0]


async def test_frames_are_due_when_their_beat_is_heard_after_an_hour_of_drift(
    stage: Lamps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of a device's blocks, whose callbacks come late by a millisecond on average, by the engine's filter."""
    compile_all()
    words, block, drift = LoopWords(), 1024, 1e-4
    omega = 2.0 * math.pi * DLL_HZ * block / RATE
    words.whole[LoopWord.BLOCK] = block
    words.real[LoopWord.DLL_B], words.real[LoopWord.DLL_C] = math.sqrt(2.0) * omega, omega * omega
    words.real[LoopWord.DLL_EXPECTED], words.real[LoopWord.DLL_PERIOD] = -1.0, block * 1e9 / RATE
    period = block * 1e9 / RATE * (1.0 + drift)
    late = np.random.default_rng(1).exponential(1e6, round(3600e9 / period))
    now, errors = 0.0, []

    def sample_at(ns: int) -> float:
        return at + (ns - words.real[LoopWord.DLL_TIME]) / (words.real[LoopWord.DLL_PERIOD] / block)

    monkeypatch.setattr(stage.engine, "begin", 0.0)
    monkeypatch.setattr(stage.lights.server, "sample_at", sample_at)
    monkeypatch.setattr(stage.lights.server, "now_ns", lambda: round(now))
    for n, behind in enumerate(late):
        at, now = n * block, n * period + behind
        follow_device.call(words.address, words.address, at, round(now))
        if n * period > 3000e9:
            frame = last_fraction(stage.lights.clock(0.1), 16)
            heard = frame.seconds * 1e9 * (1.0 + drift) + stage.lights._heard() * 1e9
            errors.append(stage.lights.frame_time(frame, 0.1) + 0.1e9 - heard)
    assert np.percentile(np.abs(errors) / 1e6, 99) < 5
    assert abs(np.mean(errors) - 1e6) < 1e6


async def test_a_note_to_come_is_an_onset_ahead(stage: Lamps) -> None:
    number = stage.live.app.session.state.nodes["a"].id
    begin = stage.engine.tempo_now()[0]
    with stage.lights.server.turn():
        stage.lights._effect(Play(number, Event("on", 0, 40, 0.5), Beat(begin + 6.0)))
    await comes(lambda: stage.messages("/onset"), "the onset")
    ((at, tag, args),) = stage.messages("/onset")
    assert args == (40, 0.5, "a")
    assert at < tag


async def test_a_frame_is_of_the_beat_that_is_heard_when_the_receiver_shows_it(
    stage: Lamps, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic_ns()
    monkeypatch.setattr(stage.lights.server, "now_ns", lambda: now)
    shown = stage.engine.sample_at(now) + (0.25 - 0.001) * RATE - 256
    assert stage.lights.clock(0.25).beat == pytest.approx(stage.engine.beat_at(shown), abs=1e-4)


async def test_fixtures_are_told(stage: Lamps) -> None:
    await stage.client.ask("/macro/bright", 1.0)
    await comes(lambda: stage.shown() == (255, 128), "the look")
    assert await stage.client.ask("/lights/shown") == [
        ("/lights/shown.reply", ("warm", 0, 1, "par", 2, 3, "red green", "255 128"))
    ]
    assert await stage.client.ask("/lights/shown", 1) == [("/lights/shown.reply", ("warm", 0, 1))]
    ((_, (_, said)),) = await stage.client.ask("/lights/look", "wrm")
    assert said == "there is no look 'wrm'; there are: warm, cold"


async def test_without_a_receiver_lights_are_told_and_nothing_is_sent(tmp_path: Path, stage: Lamps) -> None:
    async with rig(tmp_path / "other", engine=FakeEngine(RealTime()), catalog=stage.catalog) as other:
        await ServerHooks(stage.catalog, ServeSettings(), fresh=True).start(other.app)
        client = other.client()
        await client.ask("/patch/load", "lit")
        await client.ask("/scene/recall", 1)
        assert await client.ask("/lights/shown") == [
            ("/lights/shown.reply", ("cold", 0, 1, "par", 2, 3, "red green", "0 255"))
        ]
        assert _open[other.app.folder.folder].udp.sent == 0


EFFECTS = {"hit": {"on": "note c2", "of": ["par.green"]}, "follow": {"on": "macro.bright", "of": ["par.red"]}}
PLAYED = (
    (0.3, lambda lights: lights._event({"kind": "scene", "number": 1, "beats": 2.0, "beat": 1.0})),
    (2.1, lambda lights: lights.desk.strike(36, "a", 0.63, 0.8)),
    (3.3, lambda lights: lights.server.message("/macro/bright", 0.5, source="test")),
    (4.2, lambda lights: lights.show("warm", 0.0)),
)


async def test_a_replay_gives_the_same_packets_however_late_each_wakes(stage: Lamps) -> None:
    """What happens at a beat is in the packets of that beat: of two performances, one woken up to 9 ms late."""
    sent: list[list[bytes]] = []
    for late in (0.0, 0.009):
        lights = Lights(stage.lights.server, read_receiver_options(ServeSettings()))
        lights.desk = LightShow(read({**lights.server.table("lights"), "effects": EFFECTS}))
        target = DmxTarget(stage.lights.dmx[0].target, lights.udp, None)
        packets: list[bytes] = []
        lights.udp.send = lambda batch, _, kept=packets: kept.extend(one for one, _ in batch)  # type: ignore[method-assign]
        stage.lights.server.message("/macro/bright", 0.0, source="test")
        limit, happens, last, beat, count = FlashLimit(lights.desk.rig.slots, 10.0), list(PLAYED), -1.0, 0.0, 8
        shake = np.random.default_rng(1)
        while last < 6.0:
            now = beat + late * shake.random() * 4.0
            clock = last_fraction(Clock(now, now / 4.0, 240.0), count)
            while happens and happens[0][0] <= clock.beat:
                happens.pop(0)[1](lights)
            target.send(lights.desk.rig.universes, limit.limit(lights.frame(clock), clock.seconds).tobytes())
            last, beat = clock.beat, beat + 1.0 / count
        sent.append(packets)
    assert sent[0] == sent[1]
    assert len({data[18:] for data in sent[0]}) > 8


async def test_frames_go_on_while_the_beat_stands(stage: Lamps) -> None:
    stage.engine.playing = False
    await comes(lambda: stage.shown()[1] == 128, "the first look")
    await stage.client.ask("/lights/look", "cold", 64.0)
    await comes(lambda: stage.shown()[1] == 255, "the look at once")


async def test_a_receiver_that_is_gone_gets_frames_when_it_is_back(stage: Lamps) -> None:
    await comes(lambda: stage.shown()[1] == 128, "the first look")
    port = stage.artnet.port
    stage.artnet.sock.close()
    await comes(lambda: stage.lights.udp.sent > len(stage.artnet.got) + 40, "frames that nobody takes")
    stage.artnet = Receiver(port)
    await comes(lambda: stage.shown()[1] == 128, "the look again")


async def test_a_desk_of_os2l_is_told_beats_and_looks_again_after_it_was_gone(tmp_path: Path, stage: Lamps) -> None:
    from antiphon_lights.targets import LightTarget, Os2lDesk

    heard: list[dict[str, Any]] = []
    connections: list[asyncio.StreamWriter] = []

    async def desk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while line := await reader.readline():
            heard.append(json.loads(line))

    server = await asyncio.start_server(desk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = Os2lDesk(LightTarget("127.0.0.1", port), retry=0.01)
    stage.lights.desks.append(sender)
    tasks = [asyncio.create_task(sender.run()), asyncio.create_task(stage.lights.send_beats_to_desk(sender))]
    await comes(lambda: len(heard) > 2, "beats")
    assert heard[0]["evt"] == "beat"
    assert heard[1]["pos"] == heard[0]["pos"] + 1
    assert heard[0]["bpm"] == 240.0
    assert [one["strength"] for one in heard] == [100.0 if one["pos"] % 4 == 0 else 50.0 for one in heard]
    connections[0].close()
    heard.clear()
    await comes(lambda: len(connections) > 1 and heard, "beats of a new connection")
    await stage.client.ask("/lights/look", "cold")
    await comes(lambda: {"evt": "btn", "name": "cold", "state": "on"} in heard, "the look's button")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    server.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"artnet": ("127.0.0.1:0",)}, r"--artnet takes HOST\[:PORT\]\[@MS\] with a port of 1 to 65535"),
        ({"artnet": ("multicast",)}, "--artnet: there is no host 'multicast'"),
        ({"sacn": ("127.0.0.1@soon",)}, r"--sacn takes HOST\[:PORT\]\[@MS\] or multicast with"),
        ({"cues": ("127.0.0.1",)}, "--cues takes HOST:PORT"),
        ({"cues": ("127.0.0.1:9000@3000",)}, "a latency of -500 to 2000 ms, not 3000"),
        ({"os2l": ("127.0.0.1",) * 17}, "--os2l takes at most 16 receivers, not 17"),
        ({"artnet": ("127.0.0.1",), "strobe": 60}, "--strobe takes 1 to 44"),
    ],
)
def test_options_are_refused_before_anything_starts(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        LightsTransport().check(ServeSettings(options=options))


def test_receivers_have_usual_ports_and_latencies() -> None:
    read = read_receiver_options(ServeSettings(options={"sacn": ("multicast@20",), "os2l": ("127.0.0.1",)}))
    assert [(one.host, one.port, one.latency) for one in read["sacn"] + read["os2l"]] == [
        ("multicast", 5568, 0.02),
        ("127.0.0.1", 9996, 0.0),
    ]


def test_chords_have_names() -> None:
    assert [chord_name(number) for number in (0, 10, 12, 23, -1)] == ["C", "Bb", "Cm", "Bm", "N"]
