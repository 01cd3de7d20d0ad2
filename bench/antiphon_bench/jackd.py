"""A dummy jackd for benches: with one server name, ended by SIGTERM (a killed one leaves its slot occupied)."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

NAME = "antiphon-bench"


def is_installed() -> bool:
    return shutil.which("jackd") is not None


@contextmanager
def dummy(rate: int, block: int, *, needed: bool = True) -> Iterator[dict[str, str]]:
    """Runs jackd with its dummy driver; yields the environment by which clients find it."""
    if not needed:
        yield {}
        return
    process = subprocess.Popen(
        ["jackd", "-r", "-n", NAME, "-d", "dummy", "-r", str(rate), "-p", str(block)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    env = {"JACK_DEFAULT_SERVER": NAME, "JACK_NO_AUDIO_RESERVATION": "1"}
    try:
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            check = (
                subprocess.run(["jack_wait", "-s", NAME, "-c"], capture_output=True, text=True, check=False)
                if shutil.which("jack_wait")
                else None
            )
            if check is None or check.stdout.strip() == "running":
                break
            time.sleep(0.1)
        if check is None:
            time.sleep(1.5)
        yield env
    finally:
        process.terminate()
        process.wait()
