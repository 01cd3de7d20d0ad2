"""Queries PortAudio's devices and JACK's ports in child processes: their libraries may print, hang and crash."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.errors import EngineError
from antiphon.kernel.runtime.processes.children import CHILD_FAULTS, spawn
from antiphon.kernel.runtime.processes.helper_channel import HelperChannel
from antiphon.kernel.runtime.settings import RATES

TIMEOUT_SECONDS = 60.0
START_JACK = "jackd -d alsa, if you want JACK (jackd -d dummy without a sound card)"
GET_PORTAUDIO = "sudo apt-get install libportaudio2"
GET_JACK = "sudo apt-get install jackd2"


@dataclass(frozen=True, slots=True)
class Device:
    """A PortAudio device."""

    index: int
    name: str
    api: str
    inputs: int
    outputs: int
    rates: tuple[int, ...]  # those of 44100, 48000 and 96000 Hz that it supports
    default_in: bool
    default_out: bool


@dataclass(frozen=True, slots=True)
class JackState:
    """A running JACK server."""

    rate: int  # Hz
    block: int  # frames
    realtime: bool
    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    kind: str = "JACK"  # or "JACK by PipeWire": whose library this is


@dataclass(frozen=True, slots=True)
class LibraryReport:
    """The answers of both libraries. A problem is one sentence, or "" for none."""

    devices: tuple[Device, ...]
    portaudio: str
    portaudio_problem: str
    jack: JackState | None
    jack_problem: str


def ask() -> LibraryReport:
    """Queries both libraries; a failure of a library is returned as its problem, never raised."""
    answers = {what: _query_library_in_child(what) for what in ("portaudio", "jack")}
    pa, jack = answers["portaudio"], answers["jack"]
    return LibraryReport(
        msgspec.convert(pa.get("devices", ()), tuple[Device, ...]),
        pa.get("version", ""),
        pa.get("problem", ""),
        msgspec.convert(jack.get("server"), JackState | None),
        jack.get("problem", ""),
    )


def _query_library_in_child(what: str) -> dict[str, Any]:
    with spawn(f"{__name__}:main", what) as child:
        try:
            return child.receive(silence=TIMEOUT_SECONDS)[0]
        except TimeoutError:
            return {"problem": f"its library does not answer within {TIMEOUT_SECONDS:g} s"}
        except CHILD_FAULTS:
            return {"problem": f"its library failed (exit {child.close()})"}


def checks() -> Iterator[Finding]:
    """Checks PortAudio, JACK, and the choice of `serve --audio auto`."""
    report = ask()
    if report.portaudio_problem:
        yield Finding("PortAudio", "missing", report.portaudio_problem, GET_PORTAUDIO)
    else:
        yield Finding("PortAudio", "works", report.portaudio)
    if report.jack is not None:
        real = "real-time" if report.jack.realtime else "not real-time"
        server = "a server" if report.jack.kind == "JACK" else "PipeWire, in a JACK server's place,"
        text = f"{server} runs at {report.jack.rate} Hz, {report.jack.block} frames, {real}"
        yield Finding("JACK", "works", text)
    else:
        fix = GET_JACK if "librar" in report.jack_problem else START_JACK
        yield Finding("JACK", "missing", report.jack_problem, fix)
    ins = [d for d in report.devices if d.inputs]
    outs = [d for d in report.devices if d.outputs]
    if report.jack is not None:
        yield Finding("sound", "works", "serve uses JACK")
    elif outs or ins:
        out, into = _default_device_name(outs, "default_out"), _default_device_name(ins, "default_in")
        text = f"serve uses PortAudio: {out} out, {into} in"
        yield Finding("sound", "works", text)
    else:
        text = "no sound card: serve runs on the software clock, with --input FILE and --record FILE"
        fix = GET_PORTAUDIO if report.portaudio_problem else "plug one in; antiphon devices lists what is seen"
        yield Finding("sound", "limited", text, fix)


def _default_device_name(devices: list[Device], flag: str) -> str:
    if not devices:
        return "nothing"
    return next((d.name for d in devices if getattr(d, flag)), devices[0].name)


# ---- in the child


def _portaudio() -> dict[str, Any]:
    from antiphon.kernel.engine.drivers.portaudio import load_library

    try:
        sd = load_library()
    except EngineError:
        return {"problem": "the library is missing: no sound card can be played but through JACK"}
    version = sd.get_portaudio_version()[1].split(",")[0]
    default_in, default_out = sd.default.device
    apis = sd.query_hostapis()
    devices = []
    for d in sd.query_devices():
        rates = [rate for rate in RATES if _takes(sd, d, rate)]
        devices.append(
            {
                "index": d["index"],
                "name": d["name"],
                "api": apis[d["hostapi"]]["name"],
                "inputs": d["max_input_channels"],
                "outputs": d["max_output_channels"],
                "rates": rates,
                "default_in": d["index"] == default_in,
                "default_out": d["index"] == default_out,
            }
        )
    return {"version": version, "devices": devices}


def _takes(sd: Any, device: Any, rate: int) -> bool:
    check = sd.check_output_settings if device["max_output_channels"] else sd.check_input_settings
    try:
        check(device=device["index"], samplerate=rate, dtype="float32")
    except Exception:
        # PortAudio refuses a rate by various exceptions
        return False
    return True


def _jack() -> dict[str, Any]:
    try:
        import jack
    except OSError:
        return {"problem": "the library is missing"}
    try:
        client = jack.Client("antiphon-devices", no_start_server=True)
    except jack.JackError:
        return {"problem": "no server runs"}
    with client:
        return {
            "server": {
                "kind": "JACK by PipeWire" if "pipewire" in jack.version_string().lower() else "JACK",
                "rate": client.samplerate,
                "block": client.blocksize,
                "realtime": bool(client.realtime),
                "sources": [p.name for p in client.get_ports(is_audio=True, is_output=True)],
                "sinks": [p.name for p in client.get_ports(is_audio=True, is_input=True)],
            }
        }


def main(channel: HelperChannel, what: str) -> None:
    """Sends a library's answer."""
    channel.send({"portaudio": _portaudio, "jack": _jack}[what]())
