"""An evening beside gear: start, play, stop, kills, end; what sounds and what gear is sent is counted."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.noteclick_home import noteclick_home
from tests.real.conftest import Jackd
from tests.waiting import play_for, until

from antiphon_bench.rig import ServerProcess

pytestmark = pytest.mark.real
PATCH = """format = 1
[nodes.k]
type = "noteclick"
[wires]
"k" = "out"
"""
SCRIPT = """from antiphon.live import *
tempo(120)
track("long", note("c4", length=60), on="k", beats=64)
midi_out("listener", note("e4", length=60), beats=64)
"""
START, CONTINUE, STOP, POSITION, TICK = 0xFA, 0xFB, 0xFC, 0xF2, 0xF8
ON, OFF = (0x90, 64, 100), (0x80, 64, 64)


class Gear:
    """What a drum machine and an organ at the port `listener` are sent, ticks included."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self.got: list[tuple[int, ...]] = []

    def take(self) -> list[tuple[int, ...]]:
        """What came since the last call."""
        while (found := self._port.get_message()) is not None:
            self.got.append(tuple(found[0]))
        taken, self.got = self.got, []
        return taken

    def wait(self, *messages: tuple[int, ...]) -> list[tuple[int, ...]]:
        """What came until all of these did, in this order."""
        heard: list[tuple[int, ...]] = []

        def came() -> bool:
            heard.extend(self.take())
            left = iter(heard)
            return all(message in left for message in messages)

        until(came, 10.0, f"{messages} at the gear")
        return heard


@pytest.fixture
def gear(jackd: Jackd) -> Iterator[Gear]:
    import rtmidi

    port = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, "listener")
    port.ignore_types(timing=False)
    port.open_virtual_port("in")
    yield Gear(port)
    port.close_port()
    port.delete()


@pytest.fixture
def live(jackd: Jackd, tmp_path: Path, gear: Gear) -> Iterator[ServerProcess]:
    home = noteclick_home(tmp_path, PATCH)
    ports = ("--midi-out", "listener", "--midi-clock", "lead")
    options = ("--audio", "headless", "--patch", str(home / "keys.toml"), *ports, "--record", str(home / "out.wav"))
    with ServerProcess(*options, home=home, env={"JACK_DEFAULT_SERVER": jackd.name}) as server:
        until(lambda: server.status()["midi"]["outputs"] == ["listener:in"], 5.0, "the gear")
        yield server


def perform(server: ServerProcess) -> subprocess.Popen[bytes]:
    """`antiphon live` of the script, beside the server."""
    (server.home / "set.py").write_text(SCRIPT)
    words = (sys.executable, "-m", "antiphon", "live", str(server.home / "set.py"), "--osc-port", str(server.osc))
    return subprocess.Popen(words, env=server._env, stdout=subprocess.DEVNULL)


def press(server: ServerProcess, gear: Gear, channel: int) -> None:
    """Presses the pedal of a channel; a process that has just begun may drop a message."""

    def pressed() -> bool:
        server.send("/cc", 64, 1.0, channel)
        play_for(server, 0.1)
        return (0xAF + channel, 64, 127) in gear.take()

    until(pressed, 10.0, "the pedal at the gear")


def cut(channel: int) -> list[tuple[int, ...]]:
    """What cuts all sound of a channel: the pedal up, sound off, notes off."""
    return [(0xAF + channel, number, 0) for number in (64, 120, 123)]


def test_an_evening_leaves_no_note_and_no_pedal(live: ServerProcess, gear: Gear) -> None:
    until(lambda: live.status()["midi"]["clock"]["state"] == "running", 10.0, "the clock")
    live.send("/transport/stop")
    gear.wait((STOP,))
    live.send("/beat", 8.0)
    gear.wait((POSITION, 32, 0))
    live.send("/transport/play")
    begun = [message for message in gear.wait((CONTINUE,), (TICK,)) if message != (TICK,)]
    assert begun == [(CONTINUE,)], "the position was sent while the clock stood"
    script = perform(live)
    gear.wait(ON)
    live.send("/transport/stop")
    assert gear.wait(OFF).count(OFF) == 1
    script.kill()
    script.wait()
    live.send("/transport/play")
    script = perform(live)
    gear.wait(ON)
    script.kill()
    script.wait()
    gear.wait(OFF)
    play_for(live, 0.3)
    press(live, gear, 1)
    os.kill(live.pids()["engine"], signal.SIGKILL)
    gear.wait(*cut(1))
    press(live, gear, 1)
    os.kill(live.pids()["control"], signal.SIGKILL)
    gear.wait(*(message for channel in range(1, 17) for message in cut(channel)))
    press(live, gear, 1)
    live.send("/panic")
    gear.wait(*cut(1))
    press(live, gear, 2)
    live.stop()
    gear.wait(*cut(2))
    held = np.round(soundfile.read(live.home / "out.wav", dtype="float32", always_2d=True)[0][:, 1] / 0.01)
    begins, ends = np.count_nonzero(np.diff(held) > 0), np.count_nonzero(np.diff(held) < 0)
    assert (begins, ends, held.max(), held[-1]) == (2, 2, 1.0, 0.0)
