"""The native callbacks under a real JACK server and under PortAudio on it: every block, every sample, on time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from antiphon.block import Samples
from antiphon.engine.callback import Slot
from antiphon.engine.drivers.base import Driver, DriverOptions
from antiphon.engine.process import make_driver

pytestmark = pytest.mark.real

RATE, GAIN = 48000, 0.5
PERIODS = [64, 256]


@contextmanager
def playing(kind: str, period: int, make: Callable[[Samples, int], Samples], **options: object) -> Iterator[Driver]:
    """A driver whose blocks a thread answers, as the engine's loop would. make: (input, block) → output."""
    driver = make_driver(kind, DriverOptions(RATE, period, 2, name="antiphon-under-test", **options))  # type: ignore[arg-type]
    ending = threading.Event()
    driver.start(0, time.monotonic_ns())

    def answer() -> None:
        while not ending.is_set():
            block = driver.wait()
            if block >= 0:
                driver.deliver(block, make(driver.input(block), block))

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield driver
    finally:
        ending.set()
        thread.join(10.0)
        assert not thread.is_alive()
        driver.stop()


class Player:
    """A JACK client that plays a sound into Antiphon's inputs and records its outputs, frame by frame."""

    def __init__(self, sound: Samples, frames: int, prefix: str) -> None:
        import jack

        self.sound, self.heard = sound, np.zeros(frames, np.float32)
        self.client = jack.Client("antiphon-player", no_start_server=True)
        self.out = self.client.outports.register("out")
        self.into = self.client.inports.register("in")
        self.at, self.done, self.xruns = 0, threading.Event(), 0
        self.client.set_process_callback(self._process)
        self.client.set_xrun_callback(self._xrun)
        self.prefix = prefix

    def _process(self, frames: int) -> None:
        at, out = self.at, self.out.get_array()
        out[:] = 0.0
        if at + frames > self.heard.size:
            self.done.set()
            return
        piece = self.sound[at : at + frames]
        out[: piece.size] = piece
        self.heard[at : at + frames] = self.into.get_array()
        self.at = at + frames

    def _xrun(self, _delayed: float) -> None:
        self.xruns += 1

    def run(self) -> Samples:
        with self.client:
            theirs = self.client.get_ports(f"^{self.prefix}", is_audio=True)
            ins = [p for p in theirs if p.is_input]
            outs = [p for p in theirs if p.is_output]
            assert ins, f"no ports of {self.prefix!r}: {self.client.get_ports()}"
            assert outs
            for port in ins:
                for other in self.client.get_all_connections(port):
                    self.client.disconnect(other, port)
            # what listens first loses nothing of what is played
            self.client.connect(outs[0], self.into)
            self.client.connect(self.out, ins[0])
            self.at = 0
            assert self.done.wait(self.heard.size / RATE * 3 + 10), "JACK stopped calling"
        return self.heard


def clicks(frames: int) -> Samples:
    """Clicks at no multiple of any block, each of its own height."""
    sound = np.zeros(frames, np.float32)
    for n, at in enumerate(range(RATE // 2 + 13, frames - RATE // 2, 4801)):
        sound[at] = 0.25 + 0.01 * n
    return sound


@pytest.mark.parametrize("jackd", PERIODS, indirect=True)
@pytest.mark.parametrize("kind", ["jack", "portaudio"])
def test_every_callback_is_answered_and_has_the_asked_size(jackd, kind):
    quiet = np.zeros((2, jackd.period), np.float32)
    with playing(kind, jackd.period, lambda _x, _block: quiet) as driver:
        assert (driver.rate, driver.block) == (RATE, jackd.period)
        first = driver.state.calls
        began = time.monotonic()
        threading.Event().wait(2.0)
        calls, seconds = driver.state.calls - first, time.monotonic() - began
        missed, _, xruns = driver.counts()
    wanted = seconds * RATE / jackd.period
    # JACK itself leaves cycles out when the machine stalls
    assert 0.9 * wanted < calls < 1.05 * wanted + 4
    assert driver.state.view[Slot.WRONG_SIZE] == 0
    assert missed <= 2 + xruns + 0.01 * wanted


@pytest.mark.parametrize("jackd", PERIODS, indirect=True)
@pytest.mark.parametrize("kind", ["jack", "portaudio"])
def test_sound_passes_to_the_sample_at_the_declared_delay(jackd, kind):
    out = np.zeros((2, jackd.period), np.float32)

    def gain(x: Samples, _block: int) -> Samples:
        np.multiply(x, np.float32(GAIN), out=out)
        return out

    prefix = {"jack": "antiphon-under-test:", "portaudio": "(PortAudio|python)"}[kind]
    sound = clicks(3 * RATE)
    # a stalled machine makes JACK leave cycles out, and a late block is dropped: then once more
    for _ in range(5):
        with playing(kind, jackd.period, gain, ahead=4) as driver:
            player = Player(sound, sound.size, prefix)
            heard = player.run()
            missed, _, xruns = driver.counts()
            ring = driver.ring
        if missed == xruns == player.xruns == 0:
            break
    sent, came = np.flatnonzero(sound), np.flatnonzero(heard)
    assert came.size == sent.size, f"{came.size} of {sent.size} clicks; {missed} missed, {xruns} xruns"
    np.testing.assert_allclose(heard[came], GAIN * sound[sent], rtol=1e-6)
    delays = set((came - sent).tolist())
    assert len(delays) == 1, f"the delay wanders: {delays}"
    # the ring, and what JACK needs to hand a loop of two clients round: one period, two where PortAudio buffers
    (delay,) = delays
    assert ring < delay <= ring + 4 * jackd.period
    assert (delay - ring) % jackd.period == 0


def test_a_late_answer_is_dropped_and_the_delay_stays(jackd):
    """The engine sleeps through ten blocks: silence for them, counted, and what follows is where it was."""
    out = np.zeros((2, jackd.period), np.float32)
    stall = threading.Event()

    def slow(x: Samples, block: int) -> Samples:
        if block == RATE // jackd.period:
            stall.wait(10 * jackd.period / RATE)
        np.multiply(x, np.float32(GAIN), out=out)
        return out

    sound = clicks(3 * RATE)
    with playing("jack", jackd.period, slow) as driver:
        heard = Player(sound, sound.size, "antiphon-under-test:").run()
        missed, late, _ = driver.counts()
    assert missed >= 5
    assert late >= 1
    sent, came = np.flatnonzero(sound), np.flatnonzero(heard)
    assert 0 < came.size <= sent.size
    # each click has its own height: what came is compared with what it was
    which = np.array([int(np.argmin(np.abs(sound[sent] * GAIN - heard[n]))) for n in came])
    delays = came - sent[which]
    assert delays[0] == delays[-1], "after the stall the sound is delayed otherwise than before"


def test_jack_says_when_its_server_is_gone(jackd):
    driver = make_driver("jack", DriverOptions(RATE, jackd.period, 2, name="antiphon-under-test", output="system"))
    driver.start(0, time.monotonic_ns())
    try:
        assert driver.wait() >= 0
        assert driver.alive()
    finally:
        driver.stop()


def test_loopback_measures_what_jack_does(jackd):
    from antiphon.doctor.loopback import in_child, report
    from antiphon.settings import ServeSettings

    for _ in range(3):
        trip = in_child(ServeSettings(audio="jack", block=jackd.period))
        if trip.missed == 0 and trip.spread == 0:
            break
    assert trip.driver == "jack"
    # Antiphon's output into its own input: the ring and one period
    assert trip.frames == trip.ring + jackd.period, report(trip)
    assert trip.spread == 0


def test_devices_lists_the_ports_and_portaudios_view_of_them(jackd):
    from antiphon.cli.devices import listing
    from antiphon.doctor.sound import ask

    heard = ask()
    assert heard.jack is not None
    assert (heard.jack.rate, heard.jack.block) == (RATE, jackd.period)
    assert "system:capture_1" in heard.jack.sources
    assert "system:playback_2" in heard.jack.sinks
    assert any(d.api.startswith("JACK") and d.outputs >= 2 for d in heard.devices)
    text = "\n".join(listing(heard))
    assert "system:playback_1" in text
    assert f"{jackd.period} frames" in text
