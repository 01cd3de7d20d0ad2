"""A jackd with the dummy driver, started by Antiphon: one clock for a synth over JACK and the headless engine."""

import contextlib
import math
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

from antiphon.kernel.engine.drivers.probe import Found, probe
from antiphon.kernel.errors import AntiphonError, EngineError
from antiphon.kernel.runtime.platform import short_slices
from antiphon.kernel.runtime.processes.child_process import block_signals, unblock_signals
from antiphon.kernel.runtime.processes.children import SILENT, spawn
from antiphon.kernel.runtime.processes.scheduling import StallTimer
from antiphon.kernel.runtime.settings import ServeSettings

NAME = "JACK_DEFAULT_SERVER"
"""Environment variable with the name of the server that JACK clients connect to, a synth's program included."""
DEFAULT = "antiphon-jackd"
"""Name of our server. It must differ from every client's name: JACK derives a socket path from both, and a client of
the same name removes the server's socket."""
ANSWER_SECONDS = 10.0
"""Timeout in seconds within which a started jackd must accept a client."""
WAIT_PERIODS = 20
"""Periods that our jackd waits for a late client."""
TWO_CLOCKS = (
    "plays through a JACK server of Antiphon's own, the sound card by PortAudio: two clocks, laid on each other anew "
    "when they have drifted apart; --audio jack has one"
)
JACKD = "jackd"
"""Name of the child in the supervisor's process list."""
MEMORY = Path("/dev/shm")


def may_be_microphone(settings: ServeSettings, device: Found) -> bool:
    """Whether the input may be a microphone: it comes from a sound card, not from the software clock or our jackd."""
    return device.driver != "headless" and settings.audio != "headless" and not device.own


def picks_up_loudspeakers(settings: ServeSettings, device: Found) -> bool:
    """Whether the input may be a microphone that picks up loudspeakers."""
    return may_be_microphone(settings, device) and settings.input_file is None and not settings.headphones


def guards(device: Found) -> bool:
    """Whether a played input gets a guard: not over JACK, where a program's pure tone would be taken for a howl."""
    return device.driver != "jack"


def notes(settings: ServeSettings, device: Found) -> list[str]:
    """Lines to print before the engine plays: the probe's note, and a warning of acoustic feedback."""
    lines = [device.note] if device.note else []
    if picks_up_loudspeakers(settings, device) and not settings.mute_input:
        lowered = ", and lowered where it howls" if guards(device) else ": begin softly"
        lines.append(f"the microphone is on{lowered}; with headphones on, start with --headphones")
    return lines


def find(settings: ServeSettings, program: str = "", joined: bool = False) -> tuple[Found, int]:
    """Probes the driver, and starts jackd where the synth needs a JACK server and there is none; its pid or 0.

    Without a sound card jackd is started where no server of our name answers, and drives the engine too. With PortAudio
    it is started where no JACK server answers at all; the synth's sound then crosses between two clocks.

    `program`: what plays notes through JACK, "" for none. `joined`: it runs already, and needs no server of ours.
    """
    device = probe(settings)
    if program and joined and settings.audio == "headless":
        # it may be a client of JACK, and then its sound comes back
        with contextlib.suppress(AntiphonError):
            return probe(settings.with_(audio="jack")), 0
    if not program or joined:
        return device, 0
    if device.driver == "portaudio":
        return _find_with_portaudio(settings, device, program)
    if device.driver != "headless":
        return device, 0
    _set_name(settings)
    over_jack, pid = settings.with_(audio="jack"), 0
    try:
        ours = probe(over_jack)
    except AntiphonError:
        ours, pid = _start_and_probe(settings, over_jack, program)
    return replace(ours, own=True, note=f"{device.note}\n{ours.note}".strip()), pid


def _set_name(settings: ServeSettings) -> None:
    if os.environ.get(NAME, "default") in ("default", settings.extra.get("jack_name", "antiphon")):
        os.environ[NAME] = DEFAULT


def _find_with_portaudio(settings: ServeSettings, device: Found, program: str) -> tuple[Found, int]:
    two_clocks = f"{device.note}\n{program} {TWO_CLOCKS}".strip()
    over_jack = settings.with_(audio="jack", input="", output="", rate=device.rate, block=device.block)
    with contextlib.suppress(AntiphonError):
        probe(over_jack)
        return device, 0
    _set_name(settings)
    try:
        # a previous run may have left its jackd running
        with contextlib.suppress(AntiphonError):
            probe(over_jack)
            return replace(device, note=two_clocks), 0
        _, pid = _start_and_probe(over_jack, over_jack, program)
    except EngineError as error:
        # not fatal: another backend plays the notes, and reports that it does
        return replace(device, note=f"{device.note}\n{error}".strip()), 0
    return replace(device, note=two_clocks), pid


def _start_and_probe(settings: ServeSettings, over_jack: ServeSettings, program: str) -> tuple[Found, int]:
    pid = start(settings)
    still = StallTimer(ANSWER_SECONDS)
    while True:
        try:
            return probe(over_jack), pid
        except AntiphonError as error:
            ended = os.waitpid(pid, os.WNOHANG)[0]
            if ended or still.look(pid, 1) > ANSWER_SECONDS * 1e9:
                why = "it ended at once" if ended else f"it does not answer after {ANSWER_SECONDS:g} s"
                if not ended:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                raise EngineError(f"jackd, which {program} plays through, does not start: {why}") from error
        time.sleep(0.05)


def restart(settings: ServeSettings) -> int:
    """Starts jackd again after the previous one ended, unless a server answers: its pid or 0.

    Where two servers share a name and both start one, jackd itself ends the second. If none can be started, the synth
    is given up later, with a message, and the engine continues without it.
    """
    try:
        probe(settings.with_(audio="jack", input="", output=""))
    except AntiphonError:
        with contextlib.suppress(EngineError):
            return start(settings)
    return 0


def start(settings: ServeSettings) -> int:
    """Starts jackd at the settings' rate and block; its pid. Raises `EngineError` where it is not installed."""
    path = shutil.which("jackd")
    if path is None:
        raise EngineError(f"--synth {settings.synth} plays through JACK; install it with: sudo apt-get install jackd2")
    remove_stale_database()
    # -t: client timeout in ms. A late client delays the cycle by `WAIT_PERIODS` at most; by less JACK drops it, and the
    # synth's sound with it. Not -S: that waits as long for a client that was killed, twice, before it admits another.
    wait = math.ceil(WAIT_PERIODS * settings.block * 1000 / settings.rate)
    words = [
        path, "-r", "-t", str(wait), "-n", os.environ[NAME],
        "-d", "dummy", "-r", str(settings.rate), "-p", str(settings.block),
    ]  # fmt: skip
    with block_signals():
        # silent: jackd blocks for good once an unread pipe is full of its xrun messages
        return spawn(words, lane=SILENT, before=_listening).pid


def remove_stale_database() -> None:
    """Removes JACK's database of properties where no server runs.

    A server that was killed while using it has left it locked, and every later one would wait for that lock forever.
    """
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text().strip() in ("jackd", "jackdbus"):
                return
    shutil.rmtree(properties(), ignore_errors=True)


def properties() -> Path:
    """This user's database of the properties of JACK's clients."""
    return MEMORY / f"jack_db-{os.getuid()}"


def _listening() -> None:
    short_slices()
    unblock_signals()
