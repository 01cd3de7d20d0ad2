"""The sound device is changed while a server plays: JACK to JACK at another rate and period, and to the clock."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jack
import numpy as np
import pytest
import soundfile
from tests.real.conftest import NAME, PIPEWIRE, Jackd
from tests.waiting import until

from antiphon_bench.rig import ServerProcess

pytestmark = [pytest.mark.real, pytest.mark.executed]
HZ, RATE, OTHER = 750, 48000, f"{NAME}-other"


@contextmanager
def other_jackd() -> Iterator[str]:
    """A second server, at another rate and period; its name as `/audio/device` takes it. PipeWire has one alone."""
    if PIPEWIRE or shutil.which("jackd") is None:
        yield "jack"
        return
    words = ["jackd", "-r", "-n", OTHER, "-d", "dummy", "-r", "44100", "-p", "1024"]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            jack.Client("antiphon-wait", no_start_server=True, servername=OTHER).close()
        except jack.JackError:
            return False
        return True

    try:
        until(answers, 15.0, "the second jackd")
        yield f"jack:{OTHER}"
    finally:
        process.terminate()
        process.wait(15.0)


@pytest.mark.skipif(os.name != "posix", reason="jackd")
def test_the_sound_goes_on_behind_one_fade_and_the_sample_clock_with_it(jackd: Jackd, tmp_path: Path) -> None:
    sine = 0.25 * np.sin(2 * np.pi * HZ / RATE * np.arange(4 * RATE))
    soundfile.write(tmp_path / "sine.wav", sine, RATE, subtype="FLOAT")
    options = ("--audio", "jack", "--patch", "through", "--input", str(tmp_path / "sine.wav"))
    env = {"JACK_DEFAULT_SERVER": NAME, "PIPEWIRE_RUNTIME_DIR": PIPEWIRE}
    with other_jackd() as other, ServerProcess(*options, env=env, home=tmp_path) as server:
        pid = server.status()["engine"]["pid"]
        recording = server.ask("/record/start", "over.wav")[1][1]
        for device, figures in (
            ("headless", ["headless", RATE, jackd.period]),
            (other, [other, *((44100, 1024) if other != "jack" else (RATE, jackd.period))]),
            ("jack", ["jack", RATE, jackd.period]),
        ):
            said = server.ask("/audio/device", device)
            assert said == ("/done", ["/audio/device", *figures])
            blocks = server.status()["blocks"]
            until(lambda blocks=blocks: server.status()["blocks"] > blocks + 200, 10.0, f"blocks by {device}")
        refused = server.ask("/audio/device", "no such device")
        assert refused[0] == "/fail"
        assert "no such device" in refused[1][1]
        status = server.status()
        assert (status["engine"]["device"], status["engine"]["pid"], status["engine"]["restarts"]) == ("jack", pid, 0)
        server.ask("/record/stop")
    heard, _ = soundfile.read(recording)
    # the phase of each piece of 10 ms against the sine's own: the clock of samples has not moved
    pieces = heard[: len(heard) // 480 * 480, 0].reshape(-1, 480)
    turned = np.exp(-2j * np.pi * HZ / RATE * np.arange(pieces.size)).reshape(pieces.shape)
    found = (pieces * turned).mean(axis=1) * 2
    whole = np.abs(np.abs(found) - 0.25) < 1e-3
    assert np.std(np.angle(found[whole] / found[whole][0])) < 1e-3
    # JACK's library plays on one server at a time: between two, the sound is away while it connects
    steepest = 0.25 * 2 * np.sin(np.pi * HZ / RATE)
    assert np.abs(np.diff(heard[:, 0])).max() < 1.01 * steepest or status["missed_blocks"]
