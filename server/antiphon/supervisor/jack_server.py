"""A JACK server of Antiphon's own, with the dummy driver: one clock for a synth over JACK and the headless engine."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from dataclasses import replace

from antiphon.engine.drivers.probe import Found, probe
from antiphon.errors import AntiphonError, EngineError
from antiphon.runtime import scheduling
from antiphon.runtime.child_process import unsignalled
from antiphon.runtime.settings import ServeSettings
from antiphon.synth.info import SynthInfo

NAME = "JACK_DEFAULT_SERVER"
"""The environment's word for the server that all clients go to, a synth's program too."""
DEFAULT = "antiphon-jackd"
"""No client's name: JACK gives both a socket of the same path, and the client takes the server's away."""
ANSWER_SECONDS = 10.0
TWO_CLOCKS = (
    "plays through a JACK server of Antiphon's own, the sound card by PortAudio: two clocks, laid on each other anew "
    "when they have drifted apart; --audio jack has one"
)
JACKD = "jackd"
"""What the supervisor calls it."""


def needs(settings: ServeSettings, synth: SynthInfo | None) -> bool:
    """Whether a JACK server has to be there for the synth, which is not joined where it runs already."""
    return synth is not None and synth.jack and not settings.synth_options


def hears(settings: ServeSettings, found: Found) -> bool:
    """Whether what comes in may be a microphone."""
    return found.driver != "headless" and settings.audio != "headless" and not found.own


def notes(settings: ServeSettings, found: Found) -> list[str]:
    """What a person should know before it plays."""
    said = [found.note] if found.note else []
    if hears(settings, found) and settings.input_file is None and not settings.mute_input:
        said.append("the microphone is heard: put headphones on, or start with --muted, so that it does not howl")
    return said


def find(settings: ServeSettings, synth: SynthInfo | None) -> tuple[Found, int]:
    """As `probe`; without a device and with a synth over JACK it starts jackd first, where none of that name answers.

    With PortAudio it does so where no JACK server answers at all; the synth's sound crosses from clock to clock.

    Args:
        settings: With what `serve` was asked for.
        synth: The backend that they name, None where they name none.

    Returns:
        What will be played by, and jackd's pid, 0 where it is not ours.

    Raises:
        EngineError, UsageError: There is no such device, or jackd does not start.
    """
    found = probe(settings)
    if synth is not None and synth.jack and settings.synth_options and settings.audio == "headless":
        # it may be a client of JACK, and then its sound comes back
        with contextlib.suppress(AntiphonError):
            return probe(settings.with_(audio="jack")), 0
    if synth is None or not needs(settings, synth):
        return found, 0
    if found.driver == "portaudio":
        return _beside(settings, found, synth)
    if found.driver != "headless":
        return found, 0
    _name(settings)
    over_jack, pid = settings.with_(audio="jack"), 0
    try:
        ours = probe(over_jack)
    except AntiphonError:
        ours, pid = _started(settings, over_jack, synth)
    return replace(ours, own=True, note=f"{found.note}\n{ours.note}".strip()), pid


def _name(settings: ServeSettings) -> None:
    """Ours, where none is given, or one that may be the machine's own sound card's, or is our client's."""
    if os.environ.get(NAME, "default") in ("default", settings.extra.get("jack_name", "antiphon")):
        os.environ[NAME] = DEFAULT


def _program(synth: SynthInfo) -> str:
    return synth.program or synth.name


def _beside(settings: ServeSettings, found: Found, synth: SynthInfo) -> tuple[Found, int]:
    two_clocks = f"{found.note}\n{_program(synth)} {TWO_CLOCKS}".strip()
    over_jack = settings.with_(audio="jack", input="", output="", rate=found.rate, block=found.block)
    with contextlib.suppress(AntiphonError):
        probe(over_jack)
        return found, 0
    _name(settings)
    try:
        # one that an Antiphon before this left running is as good
        with contextlib.suppress(AntiphonError):
            probe(over_jack)
            return replace(found, note=two_clocks), 0
        _, pid = _started(over_jack, over_jack, synth)
    except EngineError as error:
        # without the synth something else plays, which says so itself
        return replace(found, note=f"{found.note}\n{error}".strip()), 0
    return replace(found, note=two_clocks), pid


def _started(settings: ServeSettings, over_jack: ServeSettings, synth: SynthInfo) -> tuple[Found, int]:
    pid = start(settings)
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return probe(over_jack), pid
        except AntiphonError as error:
            ended = os.waitpid(pid, os.WNOHANG)[0]
            if ended or time.monotonic() > deadline:
                why = "it ended at once" if ended else f"it does not answer after {ANSWER_SECONDS:g} s"
                raise EngineError(f"jackd, which {_program(synth)} plays through, does not start: {why}") from error
        time.sleep(0.05)


def again(settings: ServeSettings) -> int:
    """In place of one that has gone: a new one's pid, 0 where one answers. Of two that start one, one ends at once.

    0 as well where none can be started: the synth is given up then, which is said, and the rest plays on.
    settings: with the rate and the block that are played.
    """
    try:
        probe(settings.with_(audio="jack", input="", output=""))
    except AntiphonError:
        with contextlib.suppress(EngineError):
            return start(settings)
    return 0


def start(settings: ServeSettings) -> int:
    """Starts jackd at the settings' rate and block; its pid. `EngineError` where it is not installed."""
    path = shutil.which("jackd")
    if path is None:
        raise EngineError(f"--synth {settings.synth} plays through JACK; install it with: sudo apt-get install jackd2")
    # -S: a client that is late holds the cycle up; without it JACK drops the cycle, and the synth's sound with it.
    # -t: how long one that has died may, ten periods or so; 5 s as it stands
    words = [
        path, "-r", "-S", "-t", "1", "-n", os.environ[NAME],
        "-d", "dummy", "-r", str(settings.rate), "-p", str(settings.block),
    ]  # fmt: skip
    with unsignalled():
        # not a pipe: jackd stops for good when nobody reads what it says of xruns
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=_listening, start_new_session=True,
        )  # fmt: skip
    child.returncode = 0  # waited for by pid
    return child.pid


def _listening() -> None:
    from antiphon.runtime.child_process import listening

    scheduling.short_slices()
    listening()
