"""A JACK server of Antiphon's own, with the dummy driver: the clock that the engine and scsynth share headless."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

from antiphon.children import unsignalled
from antiphon.engine.drivers.probe import Found, probe
from antiphon.errors import AntiphonError, EngineError
from antiphon.settings import ServeSettings

NAME = "JACK_DEFAULT_SERVER"
"""The environment's word for the server that all clients, scsynth too, go to."""
DEFAULT = "antiphon"
ANSWER_SECONDS = 10.0
JACKD = "jackd"
"""What the supervisor calls it."""


def wanted(settings: ServeSettings) -> bool:
    return settings.audio == "headless" and settings.synth == "supercollider"


def hears(settings: ServeSettings, found: Found) -> bool:
    """Whether what comes in may be a microphone."""
    return found.driver != "headless" and not wanted(settings)


def find(settings: ServeSettings) -> tuple[Found, int]:
    """As `probe`; headless with scsynth it starts jackd first, where none of that name answers.

    Gives what will be played by, and jackd's pid, 0 where it is not ours. Raises `EngineError` and `UsageError`.
    """
    found = probe(settings)
    if not wanted(settings):
        return found, 0
    if os.environ.setdefault(NAME, DEFAULT) == "default":
        os.environ[NAME] = DEFAULT  # a name that may be the machine's own sound card's
    over_jack = settings.with_(audio="jack")
    try:
        return probe(over_jack), 0
    except AntiphonError:
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
    from antiphon.children import listening

    listening()
