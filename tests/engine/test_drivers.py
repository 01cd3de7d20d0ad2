"""Devices as they are opened: how far ahead, what a failure leaves open, and how long a look for one may take."""

import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from tests.engine.fake_driver import give_block

from antiphon.kernel.engine.callback import DEPTH, CallbackWord, portaudio_process
from antiphon.kernel.engine.drivers import portaudio, probe
from antiphon.kernel.engine.drivers.base import OF_OUTPUT, DriverOptions
from antiphon.kernel.engine.drivers.device import device_state
from antiphon.kernel.engine.drivers.jack import JackDriver
from antiphon.kernel.errors import EngineError
from antiphon.kernel.runtime.platform import PORTABLE
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.native.compiling import compile_all

RATE, BLOCK = 48000, 256


def missed(state, *sizes):
    """Blocks that a device misses whose calls have `sizes` frames, while the engine answers after each call."""
    compile_all()
    state.view[CallbackWord.PRIMED] = state.calls + 1
    x, y, answered = np.zeros((2048, 2), np.float32), np.zeros((2048, 2), np.float32), state.calls
    for n in range(400):
        portaudio_process(x.ctypes.data, y.ctypes.data, sizes[n % len(sizes)], 0, 0, state.words)
        for block in range(answered, state.calls):
            give_block(state, block, state.inputs[block % DEPTH])
        answered = state.calls
    return state.view[CallbackWord.MISSED]


@pytest.mark.parametrize("ahead", [1, 2])
@pytest.mark.parametrize("rate", [44100, RATE, 96000])
@pytest.mark.parametrize("frames", [64, 100, 256, 257, 512, 1000])
def test_one_block_ahead_is_enough_for_any_device(ahead, rate, frames):
    state = device_state(DriverOptions(RATE, BLOCK, 2, ahead), 2, 2, rate, frames)
    assert missed(state, frames) == 0
    state.close()


@pytest.mark.parametrize(("ahead", "before", "frames", "gone"), [
    (1, 256, 512, True), (1, 512, 512, False), (1, 512, 256, False), (1, 256, 100, True), (2, 256, 512, False),
    (2, 256, 768, True), (2, 256, 500, True), (2, 256, 200, False),
])  # fmt: skip
def test_a_period_that_the_slots_do_not_carry_ends_the_client(ahead, before, frames, gone):
    options = DriverOptions(RATE, BLOCK, 2, ahead)
    state = device_state(options, 2, 2, RATE, before)
    driver = JackDriver.__new__(JackDriver)
    super(JackDriver, driver).__init__(state, RATE, BLOCK, 2, state.view[CallbackWord.AHEAD])
    driver._options = options
    driver._on_period(frames)
    assert (missed(state, frames) > 0) == driver._gone == gone
    driver._on_period(before)
    assert driver._gone == gone
    state.close()


class Library:
    """A PortAudio of a test's own: `fails` names what raises. Device 0 has no input, device 1 takes one rate as one."""

    def __init__(self, fails=""):
        self.fails, self.said, self.bells = fails, [], []
        self.default = SimpleNamespace(device=(1, 1))
        self._ffi = SimpleNamespace(cast=lambda _kind, value: value)

    def query_devices(self, device=None):
        both = {"max_output_channels": 2, "name": "speakers", "index": 0, "max_input_channels": 0}
        devices = [both, {**both, "name": "card", "index": 1, "max_input_channels": 2}]
        return devices if device is None else devices[device]

    def check_input_settings(self, device, samplerate, dtype):
        if samplerate != RATE:
            raise ValueError("Invalid sample rate")

    def _terminate(self):
        self.said.append("terminated")

    def _StreamBase(self, userdata, kind, **_given):
        if self.fails == "open":
            raise OSError("busy")
        self.said.append(kind)
        return SimpleNamespace(start=self.start, close=lambda: self.said.append("closed"), latency=0.01, active=True)

    def start(self):
        if self.fails == "start":
            raise OSError("busy")


@pytest.fixture
def bells(monkeypatch):
    made = []
    make = portaudio.device_state

    def state(*given):
        made.append(make(*given))
        return made[-1]

    monkeypatch.setattr(portaudio, "device_state", state)
    return made


@pytest.mark.parametrize("fails", ["open", "start", "", "find"])
def test_a_device_leaves_nothing_open(fails, monkeypatch, bells):
    library = Library(fails)
    monkeypatch.setattr(portaudio, "load_library", lambda: library)
    options = DriverOptions(RATE, BLOCK, 2, output="nothing" if fails == "find" else "")
    if fails:
        with pytest.raises(EngineError, match="no output device like" if fails == "find" else "would not start.*busy"):
            portaudio.PortAudio(options)
    else:
        driver = portaudio.PortAudio(options)
        assert library.said == ["duplex"]
        driver.drain = lambda: None
        driver.stop()
    stream = {"": ["duplex", "closed"], "start": ["duplex", "closed"]}
    assert library.said == [*stream.get(fails, ()), "terminated"]
    for state in bells:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(state.bell)


@pytest.mark.parametrize(("output", "rate", "found"), [
    ("card", RATE, (1, 1)), ("card", 44100, (None, 1)), ("speakers", RATE, (None, 0)), ("1", RATE, (1, 1)),
])  # fmt: skip
def test_the_input_of_the_output_is_taken_where_there_is_one(output, rate, found):
    assert portaudio.device_indices(Library(), OF_OUTPUT, output, rate) == found


@pytest.mark.skipif(PORTABLE, reason="it is looked for in a fresh interpreter, which has not this test's library")
def test_a_library_that_hangs_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(probe, "PROBE_SECONDS", 0.05)
    monkeypatch.setattr(probe, "_look", lambda _settings: signal.pause())
    with pytest.raises(EngineError, match=r"has not answered for 0\.05 s"):
        probe.probe(ServeSettings(audio="jack"))


def test_without_portaudio_it_is_not_said_that_there_is_no_card(monkeypatch):
    def missing():
        raise EngineError("the PortAudio library is missing; install it")

    monkeypatch.setenv("JACK_DEFAULT_SERVER", "antiphon-no-such-server")
    monkeypatch.setattr(portaudio, "load_library", missing)
    found = probe._look(ServeSettings())
    assert (found.driver, found.note.partition(";")[0]) == ("headless", "the PortAudio library is missing")
