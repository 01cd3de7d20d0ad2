"""The loop changes its driver while it plays: one fade, and the graph goes on as if nothing had been."""

import json
import os
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec import convert
from tests.engine.fake_driver import PATIENT

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.engine.callback import CallbackState
from antiphon.kernel.engine.driver_change import DriverChange
from antiphon.kernel.engine.drivers.base import DriverOptions, PaceWord
from antiphon.kernel.engine.drivers.device import CallbackDriver
from antiphon.kernel.engine.drivers.headless import Headless
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.levels import FADE_IN_SECONDS, FADE_OUT_SECONDS, fit_channel_count
from antiphon.kernel.engine.link import DeviceUsed, LoaderReport
from antiphon.kernel.engine.loop import EngineLoop, NextPlan
from antiphon.kernel.engine.native.loop import LoopParts
from antiphon.kernel.engine.plans.loader import Loader
from antiphon.kernel.engine.shared import DRIVERS, HeaderWord, MappingShape, Shared
from antiphon.kernel.errors import EngineError
from antiphon.kernel.graph.compiler import compile_plan
from antiphon.kernel.graph.graph import End, Graph, NodeSpec, Wire
from antiphon.kernel.plugins import loader
from antiphon.kernel.runtime.processes.child_process import socket_pair
from antiphon.native.compiling import compile_all
from antiphon.testing import noise

RATE, BLOCK, BLOCKS = 48000, 64, 3000
OPTIONS = DriverOptions(RATE, BLOCK, 2)
INPUT = noise(BLOCK * BLOCKS, 2, -30.0)
INPUT[:, 450 * BLOCK :] = 0.0  # from here on the delay's state alone sounds
FADE = round((FADE_OUT_SECONDS + FADE_IN_SECONDS) * RATE) + 2 * BLOCK
WIRES = (Wire(End("in", "in"), End("echo", "in")), Wire(End("echo", "out"), End("out", "out")))
ECHO = Graph((NodeSpec("echo", "delay", {"time": 0.3, "feedback": 0.9}),), WIRES)


class Free(Headless):
    """A device that asks for the next block at once."""

    def __init__(self, name: str) -> None:
        super().__init__(OPTIONS)
        self.name, self.closed = name, False
        self.heard: dict[int, Samples] = {}

    def start(self, first: int, _origin: int) -> None:
        super().start(first, 0)
        self._pace[PaceWord.BUFFER] = PATIENT

    def time_of(self, block: int) -> int:
        return time.monotonic_ns()

    def stop(self) -> None:
        self.closed = True


class Between(Free):
    """The software clock between two devices of one library, not in real time."""

    def __init__(self, _options: DriverOptions) -> None:
        super().__init__("headless")


class Silent(CallbackDriver):
    """A device that never asks for a block."""

    name = "jack"

    def __init__(self) -> None:
        super().__init__(CallbackState(BLOCK, 2, 2, 2), RATE, BLOCK, 2, 2)


@pytest.fixture(autouse=True)
def no_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.kernel.engine.driver_change.Headless", Between)


@dataclass
class Loop:
    """An engine's loop on a free device. changes: by block, the driver that is then asked for."""

    first: Free | Silent
    devices: dict[str, Free] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    lost: bool = False  # the first device does not open again

    def __post_init__(self) -> None:
        compile_all()
        spec, loaded = StreamSpec(RATE, BLOCK, 2), loader.load(check=False)
        self.shared = Shared.create(MappingShape.of(RATE, BLOCK, 2))
        self.loop = EngineLoop(
            GraphPlayer(spec),
            self.first,
            self.shared,
            os.eventfd(0, os.EFD_NONBLOCK),
            LoopParts(fit_channel_count(INPUT, 2)),
        )
        plan = compile_plan(ECHO, loaded.catalog, loaded.make, spec, {"echo": 1})
        self.loop.next_plan = NextPlan(plan, 1, 0.0, 0.0, b"{}")
        self.change = DriverChange(self.loop, OPTIONS, self.make)
        self.first.start(0, 0)
        self.loop.begin(0, 0)

    def make(self, name: str, options: DriverOptions) -> Free:
        if options.output == "" and self.lost:
            raise OSError("no such card")
        if options.output == "missing":
            raise EngineError("there is no output device like 'missing'")
        return self.devices.setdefault(options.output, Free(name))

    def run(self, until: int, to: tuple[str, str] | None = None) -> None:
        """Plays blocks up to a number, and meanwhile changes to (driver, device)."""
        asking = None
        if to is not None:
            ask = partial(self.change.change_to, to[0], {"output": to[1]})
            asking = threading.Thread(target=lambda: self.answers.append(ask()))
            asking.start()
            while asking.is_alive():
                self.turn()
        while self.loop.player.sample < until * BLOCK:
            self.turn()

    def turn(self) -> None:
        """Changes the driver if asked to, and plays a block."""
        self.loop.turn()
        if self.loop.run_block():
            driver, player = self.loop.driver, self.loop.player
            assert isinstance(driver, Free)
            assert not driver.closed
            driver.heard[player.sample // BLOCK - 1] = player.out.copy()

    def heard(self) -> Samples:
        """What all devices have played, by the block."""
        heard = np.zeros((2, BLOCK * BLOCKS), np.float32)
        for one in (self.first, *self.devices.values()):
            assert isinstance(one, Free)
            for block, sound in one.heard.items():
                heard[:, block * BLOCK : (block + 1) * BLOCK] = sound
        return heard


@pytest.mark.parametrize("kinds", [("jack", "portaudio"), ("headless", "jack"), ("portaudio", "portaudio")])
def test_the_graph_plays_on_over_a_change_of_device(kinds: tuple[str, str]) -> None:
    whole = Loop(Free(kinds[0]))
    whole.run(1500)
    one = Loop(Free(kinds[0]))
    one.run(500)
    one.run(1500, (kinds[1], "other"))
    assert one.answers == [""]
    other = one.devices["other"]
    assert isinstance(one.first, Free)
    assert (one.first.closed, other.closed) == (True, False)
    assert one.loop.driver is other
    assert one.shared.words[HeaderWord.DRIVER] == DRIVERS.index(kinds[1])
    last, first = max(one.first.heard), min(other.heard)
    assert first > last
    assert first == last + 1 or "headless" not in kinds
    assert sorted(other.heard) == list(range(first, 1500))
    wanted, heard = whole.heard(), one.heard()
    began, ended = (last + 1) * BLOCK - FADE, first * BLOCK + FADE
    # the delay line and the sample clock as without a change
    np.testing.assert_array_equal(heard[:, :began], wanted[:, :began])
    np.testing.assert_array_equal(heard[:, ended:], wanted[:, ended:])
    assert np.abs(heard[:, (last + 1) * BLOCK - 1]).max() < 1e-3
    assert np.abs(heard[:, first * BLOCK]).max() < 1e-3
    assert (np.abs(heard) <= np.abs(wanted) + 1e-6).all()


@pytest.mark.parametrize("kinds", [("headless", "portaudio"), ("portaudio", "jack")])
def test_after_a_device_that_cannot_be_opened_the_one_before_plays_on(kinds: tuple[str, str]) -> None:
    one = Loop(Free(kinds[0]))
    one.run(200)
    one.run(600, (kinds[1], "missing"))
    assert one.answers == ["there is no output device like 'missing'"]
    assert one.loop.driver.name == kinds[0]
    assert np.abs(one.heard()[:, 590 * BLOCK : 600 * BLOCK]).max() > 1e-3


def test_a_device_that_never_asked_for_a_block_is_left_without_a_move_of_the_clock() -> None:
    one = Loop(Free("portaudio"))
    one.run(100)
    before = 0
    for driver in (Silent(), Free("portaudio")):
        before = one.loop.player.sample
        one.loop.change(driver)
        while one.loop.changing:
            one.turn()
    assert one.loop.player.sample == before + BLOCK
    again = Loop(Silent())
    again.shared.words[HeaderWord.HEARTBEAT] = 500  # of an engine that has ended
    again.loop.begin(600, 501)
    again.loop.change(Free("portaudio"))
    again.turn()
    assert again.loop.player.sample == 601 * BLOCK


def test_the_time_of_a_change_is_skipped_and_no_block_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    one, late = Loop(Free("portaudio")), list[int]()
    monkeypatch.setattr(EngineLoop, "_late", lambda loop, behind: late.append(behind))
    one.run(100)
    one.first.time_of = lambda block: time.monotonic_ns() - 20 * BLOCK * 10**9 // RATE  # type: ignore[method-assign]
    one.loop.change(other := Free("portaudio"))
    while one.loop.changing:
        one.turn()
    assert min(other.heard) >= 100 + 20
    assert late == []


def test_an_engine_that_ends_takes_no_other_device(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Loop(Free("jack"))
    one.run(100)
    monkeypatch.setattr(one.first, "wait", lambda: -1)
    monkeypatch.setattr(one.first, "time_of", lambda _block: 0)  # silent for long
    one.loop.change(Free("portaudio"))
    one.loop.end()
    assert one.loop.driver is one.first
    assert one.loop.changing


def test_whatever_the_old_device_raises_the_software_clock_sounds_in_its_place() -> None:
    one = Loop(Free("portaudio"), lost=True)
    one.run(200)
    one.run(600, ("jack", "missing"))
    assert one.answers == [
        "there is no output device like 'missing'; the old one does not open again either: OSError: no such card"
    ]
    assert one.loop.driver.name == "headless"
    assert not one.loop.player.has_faded_out


@pytest.mark.parametrize("own", [True, False])
def test_a_change_is_answered_whatever_it_raises_and_only_by_the_engine_that_was_asked(own: bool) -> None:
    def fails(_driver: str, _options: object) -> str:
        raise EngineError("the loop hangs")

    peer, engine = socket_pair()
    loader = Loader.__new__(Loader)
    loader._peer, loader._loop = engine, SimpleNamespace(driver=Free("jack"))  # type: ignore[assignment]
    loader._driver = SimpleNamespace(change_to=fails)  # type: ignore[assignment]
    asked = {"driver": "portaudio", "options": {}, "device": "card", "serial": 5, "engine": os.getpid() if own else 1}
    with peer, engine:
        peer.send(json.dumps({"do": "device", **asked}).encode())
        loader._receive()
        peer.setblocking(False)
        if not own:
            with pytest.raises(BlockingIOError):
                peer.recv(4096)
            return
        assert convert(json.loads(peer.recv(4096)), LoaderReport) == DeviceUsed("the loop hangs", "jack", "card", 5)
