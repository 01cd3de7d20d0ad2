"""A JACK server of Antiphon's own, with the dummy driver: the clock that the engine and scsynth share headless."""

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

NAME = "JACK_DEFAULT_SERVER"
"""The environment's word for the server that all clients, scsynth too, go to."""
DEFAULT = "antiphon-jackd"
"""No client's name: JACK gives both a socket of the same path, and the client takes the server's away."""
ANSWER_SECONDS = 10.0
TWO_CLOCKS = (
    "scsynth plays through a JACK server of Antiphon's own, the sound card by PortAudio: two clocks, laid on each "
    "other anew when they have drifted apart; --audio jack has one"
)
JACKD = "jackd"
"""What the supervisor calls it."""


def wanted(settings: ServeSettings, found: Found) -> bool:
    """Whether there is no device, and scsynth needs a JACK server all the same."""
    return found.driver == "headless" and settings.synth == "supercollider" and not settings.scsynth


def hears(settings: ServeSettings, found: Found) -> bool:
    """Whether what comes in may be a microphone."""
    return found.driver != "headless" and settings.audio != "headless" and not found.own


def notes(settings: ServeSettings, found: Found) -> list[str]:
    """What a person should know before it plays."""
    said = [found.note] if found.note else []
    if hears(settings, found) and settings.input_file is None and not settings.mute_input:
        said.append("the microphone is heard: put headphones on, or start with --muted, so that it does not howl")
    return said


def beside(settings: ServeSettings, found: Found) -> bool:
    """Whether the engine is PortAudio's, and scsynth needs a JACK server all the same."""
    return found.driver == "portaudio" and settings.synth == "supercollider" and not settings.scsynth


def find(settings: ServeSettings) -> tuple[Found, int]:
    """As `probe`; without a device and with scsynth it starts jackd first, where none of that name answers.

    With PortAudio it does so where no JACK server answers at all; scsynth's sound crosses from one clock to the other.
    Gives what will be played by, and jackd's pid, 0 where it is not ours. Raises `EngineError` and `UsageError`.
    """
    found = probe(settings)
    if settings.scsynth and settings.audio == "headless":
        # it may be a client of JACK, and then its sound comes back
        with contextlib.suppress(AntiphonError):
            return probe(settings.with_(audio="jack")), 0
    if beside(settings, found):
        return _beside(settings, found)
    if not wanted(settings, found):
        return found, 0
    _name(settings)
    over_jack, pid = settings.with_(audio="jack"), 0
    try:
        ours = probe(over_jack)
    except AntiphonError:
        ours, pid = _started(settings, over_jack)
    return replace(ours, own=True, note=f"{found.note}\n{ours.note}".strip()), pid


def _name(settings: ServeSettings) -> None:
    """Ours, where none is given, or one that may be the machine's own sound card's, or is our client's."""
    if os.environ.get(NAME, "default") in ("default", settings.extra.get("jack_name", "antiphon")):
        os.environ[NAME] = DEFAULT


def _beside(settings: ServeSettings, found: Found) -> tuple[Found, int]:
    over_jack = settings.with_(audio="jack", input="", output="", rate=found.rate, block=found.block)
    with contextlib.suppress(AntiphonError):
        probe(over_jack)
        return found, 0
    _name(settings)
    try:
        # one that an Antiphon before this left running is as good
        with contextlib.suppress(AntiphonError):
            probe(over_jack)
            return replace(found, note=f"{found.note}\n{TWO_CLOCKS}".strip()), 0
        _, pid = _started(over_jack, over_jack)
    except EngineError as error:
        # without scsynth something else plays, which says so itself
        return replace(found, note=f"{found.note}\n{error}".strip()), 0
    return replace(found, note=f"{found.note}\n{TWO_CLOCKS}".strip()), pid


def _started(settings: ServeSettings, over_jack: ServeSettings) -> tuple[Found, int]:
    pid = start(settings)
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return probe(over_jack), pid
        except AntiphonError as error:
            ended = os.waitpid(pid, os.WNOHANG)[0]
            if ended or time.monotonic() > deadline:
                why = "it ended at once" if ended else f"it does not answer after {ANSWER_SECONDS:g} s"
                raise EngineError(f"jackd, which scsynth plays through, does not start: {why}") from error
        time.sleep(0.05)


def again(settings: ServeSettings) -> int:
    """In place of one that has gone: a new one's pid, 0 where one answers. Of two that start one, one ends at once.

    0 as well where none can be started: scsynth is given up then, which is said, and the rest plays on.
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
        raise EngineError("--synth supercollider plays through JACK; install it with: sudo apt-get install jackd2")
    # -S: a client that is late holds the cycle up; without it JACK drops the cycle, and scsynth's sound with it.
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
