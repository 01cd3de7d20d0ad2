"""The native callbacks under a real JACK server and under PortAudio on it: every block, every sample, on time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
    given = {"name": "antiphon-under-test", **options}
    driver = make_driver(kind, DriverOptions(RATE, period, 2, **given))  # type: ignore[arg-type]
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


@dataclass
class Take:
    """What came back of a sound. delay: that of the player's own slots, in frames, which is not the driver's."""

    heard: Samples
    delay: int
    whole: bool


def take(sound: Samples, prefix: str, period: int, driver: Driver) -> Take:
    """Plays a sound into the driver under test and records what it gives, by a second client with slots to spare."""
    heard, done = np.zeros_like(sound), threading.Event()
    out = np.zeros((2, period), np.float32)
    first: list[int] = []

    def make(x: Samples, block: int) -> Samples:
        first[:] = first or [block]
        at = (block - first[0]) * period
        out.fill(0.0)
        if at + period > sound.size:
            done.set()
        else:
            heard[at : at + period] = x[0]
            out[:] = sound[at : at + period]
        return out

    # each is wired to the other by name, as `--input NAME --output NAME` would
    with playing("jack", period, make, name="antiphon-player", ahead=24, input=prefix, output=prefix) as player:
        assert done.wait(sound.size / RATE * 3 + 10), "JACK stopped calling"
        whole = sum(sum((d.counts()[0], d.counts()[2])) for d in (player, driver)) == 0
        return Take(heard, player.ring, whole)


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

    prefix = {"jack": "antiphon-under-test", "portaudio": "PortAudio"}[kind]
    sound = clicks(3 * RATE)
    # a stalled machine makes JACK leave cycles out, and a late block is dropped: then once more
    for _ in range(5):
        with playing(kind, jackd.period, gain, ahead=4) as driver:
            got = take(sound, prefix, jackd.period, driver)
        if got.whole:
            break
    sent, came = np.flatnonzero(sound), np.flatnonzero(got.heard)
    assert came.size == sent.size, f"{came.size} of {sent.size} clicks came back"
    np.testing.assert_allclose(got.heard[came], GAIN * sound[sent], rtol=1e-6)
    delays = set((came - sent).tolist())
    assert len(delays) == 1, f"the delay wanders: {delays}"
    # the rings, and what JACK needs to hand a loop of two clients round: a period, one more where PortAudio buffers
    (delay,) = delays
    assert delay - got.delay - driver.ring in (jackd.period, 2 * jackd.period)


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
        heard = take(sound, "antiphon-under-test", jackd.period, driver).heard
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
