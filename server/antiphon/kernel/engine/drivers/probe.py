"""Finds the driver, its rate and block size, in a forked child: device libraries leave threads behind."""

import os
import re
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from antiphon.kernel.engine.drivers.base import OF_OUTPUT
from antiphon.kernel.errors import AntiphonError, EngineError, UsageError
from antiphon.kernel.runtime.processes.forked import run_forked
from antiphon.kernel.runtime.settings import ServeSettings

MAX_ANSWER = 1 << 16
"""Maximum bytes of an answer."""
PROBE_SECONDS = 10.0
"""Timeout in seconds of a search for devices, during which the supervisor does nothing else."""


@dataclass(frozen=True, slots=True)
class Found:
    """The driver to use, with the rate and block size of its device."""

    driver: str  # "jack", "portaudio" or "headless"
    rate: int  # Hz
    block: int  # frames of a block
    note: str = ""  # a sentence for the user about the choice, or ""
    own: bool = False


def probe(settings: ServeSettings) -> Found:
    """Finds the driver for `settings`. Raises UsageError (a device named for headless) or EngineError (not usable)."""
    if settings.audio == "headless":
        for option, name in _named_devices(settings):
            raise UsageError(
                f"{option} {name}: headless has no devices; name a sound file with --input, or use another --audio"
            )
        return Found("headless", settings.rate, settings.block)

    # without output: ALSA and JACK print messages about missing devices
    end = run_forked(partial(_answer, settings), PROBE_SECONDS, MAX_ANSWER)
    if end.late:
        raise EngineError(f"the audio library has not answered for {end.late:g} s; restart jackd or the card")
    if end.answer is None:
        raise EngineError("the audio library crashed while it looked for devices; take headless, the software clock")
    if "error" in end.answer:
        raise EngineError(end.answer["error"])
    return Found(**end.answer["found"])


def _answer(settings: ServeSettings) -> dict[str, Any]:
    try:
        return {"found": asdict(_look(settings))}
    except AntiphonError as error:
        return {"error": str(error)}
    except BaseException as error:  # the parent needs an answer whatever a device library raises
        return {"error": f"the audio library failed: {type(error).__name__}: {error}"}


def device_settings(
    settings: ServeSettings, device: str, rate: int, block: int, playing: str
) -> tuple[ServeSettings, Found]:
    """Returns settings for a device of `/audio/device`, at its own rate and block, and what the probe found of it.

    `device`: "headless", "jack", "jack:SERVER", "portaudio", or the number or a part of the name of a device of
    PortAudio's, which is the input too where it has one; rate, block: 0 for the server's; playing: the driver in use.
    Raises EngineError.
    """
    kind, _, name = device.partition(":")
    given = settings.input if settings.input_file else ""
    if device == "headless":
        if (rate or settings.rate, block or settings.block) != (settings.rate, settings.block):
            raise EngineError(f"the software clock has the server's {settings.rate} Hz and {settings.block} frames")
        chosen = settings.with_(audio="headless", input=given, output="")
        return chosen, probe(chosen)
    if kind == "jack":
        if not re.fullmatch(r"[\w.-]*", name, re.ASCII):
            raise EngineError(f"a JACK server is named by letters, digits, . _ and -, not {name!r}")
        extra = {**settings.extra, "jack_server": name}
        chosen = settings.with_(audio="jack", input=given, output="", extra=extra)
        found = probe(chosen)
        if (rate or found.rate, block or found.block) != (found.rate, found.block):
            raise EngineError(f"JACK runs at {found.rate} Hz with {found.block} frames, which its server alone changes")
        return chosen, found
    name = "" if device == "portaudio" else device
    given = given or (OF_OUTPUT if name else "")
    chosen = settings.with_(
        audio="portaudio", output=name, input=given, rate=rate or settings.rate, block=block or settings.block
    )
    # a card that is played through is busy: the engine looks for the device once it has let go of it
    found = Found("portaudio", chosen.rate, chosen.block) if playing == "portaudio" else probe(chosen)
    return chosen, found


def _named_devices(settings: ServeSettings) -> list[tuple[str, str]]:
    """(option, device) of each device given by name."""
    given = (("--input", "" if settings.input_file else settings.input), ("--output", settings.output))
    return [(option, name) for option, name in given if name not in ("", "none")]


def _look(settings: ServeSettings) -> Found:
    if settings.audio == "jack":
        return _jack(settings)
    if settings.audio == "portaudio":
        return _portaudio(settings)
    reasons = []
    for look in (_jack, _portaudio):
        try:
            return look(settings)
        except AntiphonError as error:
            reasons.append(str(error))
    if _named_devices(settings):
        raise EngineError(reasons[-1])
    note = "no sound card was found: running on the software clock"
    if "library is missing" in reasons[-1]:  # PortAudio's: there may be one
        note = f"{reasons[-1]}; the software clock runs until then"
    return Found("headless", settings.rate, settings.block, note)


def _jack(settings: ServeSettings) -> Found:
    try:
        import jack
    except OSError as error:
        raise EngineError("the JACK library is missing; install it with: sudo apt-get install jackd2") from error
    own, server = str(settings.extra.get("jack_name", "antiphon")), str(settings.extra.get("jack_server", ""))
    if (server or os.environ.get("JACK_DEFAULT_SERVER")) == own:
        # both would use a socket of the same path, and the client would remove the server's
        raise EngineError(
            f"the JACK server is called {own!r}, which is the name of Antiphon's own client; start jackd with another "
            "name (-n), and put that into JACK_DEFAULT_SERVER"
        )
    try:
        client = jack.Client(f"{own}-probe", no_start_server=True, servername=server or None)
    except jack.JackError as error:
        named = f"no JACK server called {server!r} answers" if server else "no JACK server answers"
        raise EngineError(f"{named}; start one (jackd -d alsa), or take portaudio or headless") from error
    rate, block = client.samplerate, client.blocksize
    missing = [
        f"JACK has no port like {name!r} for {option}; `antiphon devices` lists them"
        for option, name in _named_devices(settings)
        if not client.get_ports(name, is_audio=True, is_output=option == "--input", is_input=option == "--output")
    ]
    client.close()
    if missing:
        raise EngineError(missing[0])
    note = ""
    if (rate, block) != (settings.rate, settings.block):
        note = f"JACK runs at {rate} Hz with {block} frames, which replace --rate and --block"
    return Found("jack", rate, block, note)


def _portaudio(settings: ServeSettings) -> Found:
    from antiphon.kernel.engine.drivers.portaudio import device_indices, load_library

    sd = load_library()
    i, o = device_indices(sd, "" if settings.input_file else settings.input, settings.output, settings.rate)
    checks = ((i, "input", sd.check_input_settings), (o, "output", sd.check_output_settings))
    for device, side, check in checks:
        if device is None:
            continue
        try:
            check(device=device, samplerate=settings.rate, dtype="float32")
        except Exception as error:
            raise EngineError(
                f"the {side} device does not take {settings.rate} Hz ({error}); try --rate 44100 or another device"
            ) from error
    return Found("portaudio", settings.rate, settings.block)
