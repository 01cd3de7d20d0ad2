"""`doctor --loopback`: measures the round trip from output to input, beside the driver's declared latency.

A burst of noise, 10 ms long, is played five times; the input is correlated with it. Runs in a separate process.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.control.commands.sound_device import delays
from antiphon.kernel.engine.drivers.base import Driver, DriverOptions
from antiphon.kernel.engine.drivers.device import CallbackDriver
from antiphon.kernel.engine.drivers.headless import Headless
from antiphon.kernel.engine.drivers.probe import probe
from antiphon.kernel.engine.process import make_driver
from antiphon.kernel.errors import AntiphonError, EngineError
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.runtime.processes.children import CHILD_FAULTS, MESSAGES, spawn
from antiphon.kernel.runtime.processes.helper_channel import HelperChannel
from antiphon.kernel.runtime.settings import ServeSettings, device_name
from antiphon.native.compiling import compile_all
from antiphon.offline.player import patch_player

CLIENT = "antiphon-doctor"
BURST = 512
LEVEL = 0.25
BURSTS = 5
SPACING = 0.3
SETTLE = 0.3
MIN_PEAK_RATIO = 6.0
"""Minimum ratio of correlation peak to RMS for a burst to be accepted."""

OUTSIDE = "from the output to the input"
"""Path of a round trip through loudspeakers or a cable, and the microphone."""

Mono = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A measured round trip."""

    driver: str
    path: str
    rate: int  # Hz
    block: int  # frames
    frames: int  # the median round trip; -1 if most bursts were not found
    spread: int  # difference of longest and shortest round trip, in frames
    ring: int  # declared latency of the ring, in frames
    device: int  # declared latency of the device, in frames
    input_rms: float  # RMS of the input, full scale 1
    missed: int  # blocks missed during the measurement

    @property
    def latency(self) -> int:
        return self.ring + self.device


def measure(settings: ServeSettings) -> RoundTrip:
    """Measures the round trip of the driver that `serve` would use. Raises `EngineError` if the device fails."""
    device = probe(settings)
    options = DriverOptions(
        device.rate, device.block, settings.channels, settings.ahead, settings.input, settings.output, CLIENT
    )
    compile_all()
    if device.driver == "headless":
        return _measure_engine_round_trip(options)
    trip = _measure_device_round_trip(device.driver, options, OUTSIDE)
    if trip.frames < 0 and device.driver == "jack":
        # without a cable, JACK itself can be measured from port to port
        return _measure_device_round_trip(
            "jack", options, "inside JACK, from Antiphon's outputs to its own inputs", own_ports=True
        )
    return trip


def in_child(settings: ServeSettings) -> RoundTrip:
    """Runs `measure` in a child process, since device libraries may hang or crash."""
    with (
        tempfile.TemporaryFile() as said,
        spawn(f"{__name__}:main", settings.to_json(), lane=replace(MESSAGES, errors=said.fileno())) as child,
    ):
        try:
            answer, _ = child.receive(silence=30.0)
        except TimeoutError:
            raise EngineError("the audio device did not answer within 30 s; unplug it and plug it in again") from None
        except CHILD_FAULTS:
            code = child.close()
            said.seek(0)
            last = said.read().decode(errors="replace").strip().rpartition("\n")[2][:200] or "no word"
            raise EngineError(f"the measurement crashed (exit {code}, {last}); try another --audio") from None
    if "error" in answer:
        raise EngineError(answer["error"])
    return RoundTrip(**answer["trip"])


def report(trip: RoundTrip) -> list[str]:
    """Lines of text about the measurement."""
    ms = 1000.0 / trip.rate
    head = f"{trip.driver}, {trip.rate} Hz, {trip.block} frames, {trip.path}:"
    declared = f"declared {trip.latency} frames, {trip.latency * ms:.1f} ms (ring {trip.ring}, device {trip.device})"
    missed = (
        [f"{trip.missed} blocks were missed during the measurement; the figures may be wrong"] if trip.missed else []
    )
    if trip.frames >= 0:
        apart = "the same every time" if trip.spread == 0 else f"within {trip.spread} frames"
        return [head, f"measured {trip.frames} frames, {trip.frames * ms:.1f} ms, {apart}", declared, *missed]
    level = f"{20 * np.log10(trip.input_rms):.0f} dBFS" if trip.input_rms else ""
    if not level:
        why = "the input is digital silence: nothing is connected to it, or the system's mixer mutes it"
    elif trip.input_rms < 1e-3:
        why = f"the input is almost silent ({level}): connect the output to the input by a cable"
    else:
        why = f"the input has sound ({level}), but not the test signal: turn the output up, or check the cable"
    return [head, f"the test signal was not found in the input: {why}", declared, *missed]


def keep(trip: RoundTrip, settings: ServeSettings) -> str:
    """Stores the measured delay of a device if output and input are its own; returns its name, "" if nothing is stored.

    Raises FileError: it cannot be written.
    """
    if trip.frames < 0 or trip.path != OUTSIDE:
        return ""
    name = device_name(settings, trip.driver)
    # the reference of the canceller is a block late
    delays().choose(name, round(1e3 * (trip.frames - trip.ring - trip.block) / trip.rate, 1))
    return name


def burst() -> Mono:
    """The test signal: `BURST` frames of noise, float32, the same every time."""
    sign = np.random.default_rng(7).integers(0, 2, BURST) * 2 - 1
    return (LEVEL * sign).astype(np.float32)


def find(recorded: Mono, sent: Mono) -> int:
    """The frame of float32 `[frames]` at which a shorter signal begins, by cross-correlation; -1 if it is not found."""
    if recorded.size < sent.size:
        return -1
    size = 1 << (recorded.size + sent.size).bit_length()
    match = np.fft.irfft(np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(sent, size)), size)[
        : recorded.size - sent.size + 1
    ]
    height = np.abs(match)
    best = int(np.argmax(height))
    rest = np.sqrt(np.mean(np.square(match)))
    return best if height[best] > MIN_PEAK_RATIO * rest and height[best] > 1e-4 else -1


def generate_noise_bursts(rate: int, block: int) -> tuple[list[int], Mono]:
    """Returns (frames at which bursts begin, the sound). Irregular spacing keeps bursts from being confused."""
    at = [round((SETTLE + n * SPACING) * rate) + 37 * n for n in range(BURSTS)]
    sound = np.zeros(at[-1] + rate + block, np.float32)
    for n in at:
        sound[n : n + BURST] = burst()
    return at, sound


def median_round_trip(driver: Driver, path: str, recorded: Mono, at: list[int], missed: int) -> RoundTrip:
    """The result of a run: the median over the bursts found, if these are more than half.

    `recorded` is float32 `[frames]`, `at` the frames at which bursts began, `missed` the blocks missed meanwhile.
    """
    reach = round(SPACING * driver.rate * 0.95)
    sent = burst()
    trips = [find(recorded[n : n + reach + BURST], sent) for n in at]
    back = sorted(t for t in trips if t >= 0)
    good = len(back) > BURSTS // 2
    loudest = float(np.sqrt(np.mean(np.square(recorded)))) if recorded.size else 0.0
    return RoundTrip(
        driver.name,
        path,
        driver.rate,
        driver.block,
        back[len(back) // 2] if good else -1,
        back[-1] - back[0] if good else 0,
        driver.ring,
        driver.latency,
        loudest,
        missed,
    )


def _measure_device_round_trip(kind: str, options: DriverOptions, path: str, *, own_ports: bool = False) -> RoundTrip:
    driver = make_driver(kind, options)
    assert isinstance(driver, CallbackDriver)
    try:
        if own_ports:
            import jack

            with jack.Client(f"{CLIENT}-wires", no_start_server=True) as wires:
                for n in range(1, options.channels + 1):
                    into = f"{CLIENT}:in_{n}"
                    for port in wires.get_all_connections(into):
                        wires.disconnect(port, into)
                    wires.connect(f"{CLIENT}:out_{n}", into)
        return _exchange(driver, path)
    finally:
        driver.stop()


def _exchange(driver: CallbackDriver, path: str) -> RoundTrip:
    at, sound = generate_noise_bursts(driver.rate, driver.block)
    recorded = np.zeros_like(sound)
    out: Samples = np.zeros((driver.channels, driver.block), np.float32)
    driver.start(0, time.monotonic_ns())
    before = driver.counts()[0]
    while True:
        block = driver.wait()
        if block < 0:
            raise EngineError("the device stopped asking for sound; is it still plugged in?")
        begin = block * driver.block
        if begin + driver.block > sound.size:
            break
        recorded[begin : begin + driver.block] = driver.input(block)[0]
        out[:] = sound[begin : begin + driver.block]
        driver.deliver(block, out)
    return median_round_trip(driver, path, recorded, at, driver.counts()[0] - before)


def _measure_engine_round_trip(options: DriverOptions) -> RoundTrip:
    """Measures the round trip without a device: from the engine's input, through the patch `through`, to its output."""
    player = patch_player("through", load(check=False), StreamSpec(options.rate, options.block, options.channels))
    at, sound = generate_noise_bursts(options.rate, options.block)
    recorded = np.zeros_like(sound)
    compile_all()  # those of the plugins too
    driver = Headless(options)
    driver.start(0, time.monotonic_ns() + 20_000_000)
    for begin in range(0, sound.size - driver.block, driver.block):
        x = np.tile(sound[begin : begin + driver.block], (options.channels, 1))
        block = driver.wait()
        y = player.run(x)
        driver.deliver(block, y)
        recorded[begin : begin + driver.block] = y[0]
    path = "inside the engine, through the patch `through` (there is no device to measure)"
    return median_round_trip(driver, path, recorded, at, driver.counts()[0])


def main(channel: HelperChannel, argument: str) -> None:
    """Sends the measurement, or the reason for its failure."""
    try:
        channel.send({"trip": asdict(measure(ServeSettings.from_json(argument)))})
    except AntiphonError as error:
        channel.send({"error": str(error)})
