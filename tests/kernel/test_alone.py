"""The kernel plays alone: its rooms, two plugins and the API they are written against, with what it declares."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.kernel.wire.osc import Message, decode, encode, messages_of

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "server" / "antiphon"
PATCH = """
format = 1
name = "alone"
[nodes.tone]
frequency = 440
[nodes.echo]
type = "delay"
[nodes.drive]
[wires]
"tone" = "echo"
"echo" = "drive"
"drive" = "out"
"""
READY = 60.0
"""Seconds in which a busy machine compiles the kernels anew."""


def declared() -> Iterator[str]:
    """The distributions that the kernel declares, and what they require."""
    waiting = (SERVER / "kernel" / "requirements.txt").read_text().splitlines()
    seen: set[str] = set()
    while waiting:
        line = waiting.pop()
        name = re.match(r"[\w.-]+", line)
        if name is None or "extra ==" in line or name[0] in seen:
            continue
        seen.add(name[0])
        try:
            waiting += distribution(name[0]).requires or []
        except PackageNotFoundError:
            continue  # required on another system
        yield name[0]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is the whole of the path: the kernel, the rooms beside it, two plugins, and what is declared."""
    place = tmp_path_factory.mktemp("alone")
    for part in ("native", "kernel", "recording", "backends", "api"):
        shutil.copytree(SERVER / part, place / "antiphon" / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SERVER / "__init__.py", place / "antiphon")
    for plugin in ("antiphon_effects", "antiphon_utilities"):
        shutil.copytree(
            ROOT / "plugins" / "antiphon" / plugin,
            place / plugin,
            ignore=shutil.ignore_patterns("__pycache__", "tests"),
        )
    for name in declared():
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or () if not file.parts[0].startswith(("..", "__pycache__"))}:
            (place / top).symlink_to(found.locate_file(top))
    (place / "alone.toml").write_text(PATCH)
    return place


def test_what_the_kernel_declares_is_what_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {*project["dependencies"], *project["optional-dependencies"]["kernels"]}
    lines = (SERVER / "kernel" / "requirements.txt").read_text().splitlines()
    assert {line for line in lines if not line.startswith("#")} <= declared


def started(alone: Path, folder: Path, *more: str) -> subprocess.Popen[str]:
    """The kernel as a process with user folders in `folder`, and its standard error in `folder / "said"`."""
    # -S: nothing of this environment's packages is on the path
    words = [sys.executable, "-S", "-m", "antiphon.kernel", "--patch", "alone.toml", "--osc-port", "0", *more]
    home = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("DATA", "CONFIG", "CACHE", "STATE")}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(alone), "HOME": str(folder), **home}
    environment["XDG_RUNTIME_DIR"] = str(folder)
    # machine code, by the hash of what it is compiled from: to compile it again takes 12 s of processor
    (folder / "CACHE" / "antiphon").mkdir(parents=True)
    (folder / "CACHE" / "antiphon" / "kernels").symlink_to(Path(sys.prefix) / "var" / "antiphon" / "kernels")
    with (folder / "said").open("w") as said:
        return subprocess.Popen(words, cwd=alone, env=environment, stdout=subprocess.PIPE, stderr=said, text=True)


@contextmanager
def playing(alone: Path, folder: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], socket.socket]]:
    """A kernel that plays, and a client; it is ended, with status 0."""
    with (
        started(alone, folder, *more) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        try:
            assert server.stdout is not None
            ready = next(line for line in server.stdout if line.startswith("ready"))
            assert "http" not in ready, "nothing answers there"
            found = re.search(r":(\d+)", ready)
            assert found is not None
            client.settimeout(READY)
            client.connect(("127.0.0.1", int(found[1])))
            yield server, client
        finally:
            server.terminate()
        assert server.wait(READY) == 0


def test_what_it_cannot_begin_with_is_the_only_line_that_is_said(alone: Path, tmp_path: Path) -> None:
    """That no synth is installed is said once it plays."""
    with started(alone, tmp_path, "--patch", "nosuch") as server:
        server.wait(READY)
    said = (tmp_path / "said").read_text()
    assert said.count("\n") == 1, said
    assert "nosuch" in said


def ends_on(recording: Path, frequency: float) -> bool:
    """Whether the last quarter of a second of a recording is that tone."""
    sound, rate = soundfile.read(recording)
    last = sound[-rate // 4 :, 0]
    spectrum = np.abs(np.fft.rfft(last * np.hanning(len(last))))
    return abs(np.argmax(spectrum) * rate / len(last) - frequency) < 5.0


def test_the_kernel_plays_a_patch_and_obeys_osc(alone: Path, tmp_path: Path) -> None:
    recording = tmp_path / "out.wav"
    with playing(alone, tmp_path, "--record", str(recording)) as (_, client):
        assert (tmp_path / "said").read_text().count("no synth is installed") == 1
        client.send(encode("/node/tone/frequency", 880.0))
        client.send(encode("/sync", 1))
        assert answer(client) == (b"/synced", (1,))
        client.send(encode("/node/tone/frequency"))
        assert answer(client) == (b"/node/tone/frequency", (880.0,))
        wait_until_played(client, 3)
    assert ends_on(recording, 880.0)


@pytest.mark.real
@pytest.mark.timeout(0)
def test_it_plays_on_with_the_last_value_whichever_process_is_killed(alone: Path, tmp_path: Path) -> None:
    """For `KILLING_SECONDS`, half a minute where none are given."""
    recording, chance = tmp_path / "out.wav", random.Random(1)
    until = time.monotonic() + float(os.environ.get("KILLING_SECONDS", "30"))
    frequency, kills = 440.0, Counter[str]()
    with playing(alone, tmp_path, "--record", str(recording)) as (server, client):
        while time.monotonic() < until:
            assert server.poll() is None
            victim = chance.choice(("engine", "engine", "engine", "control", "recorder", "weigher"))
            pid = running(tmp_path).get(victim)
            if pid is not None and alive(pid):
                os.kill(pid, signal.SIGKILL)
                kills[victim] += 1
            frequency = float(chance.randrange(200, 2000))
            asked(client, frequency)
            wait_until_played(client, chance.randrange(1, 6))
            assert asked(client) == frequency
    assert kills["engine"] > 3
    print(dict(kills))
    # each recorder begins a file of its own
    assert ends_on(max(tmp_path.glob("out*.wav"), key=lambda path: path.stat().st_mtime), frequency)


def running(folder: Path) -> dict[str, int]:
    """Process number of each process of the kernel."""
    (listed,) = folder.glob("**/processes.json")
    return {name: pid for name, (pid, _) in json.loads(listed.read_bytes())["processes"].items()}


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def asked(client: socket.socket, *value: float) -> float:
    """The tone's frequency, which is set first where one is given; asked again while no process answers."""
    until = time.monotonic() + READY
    client.settimeout(1.0)
    while time.monotonic() < until:
        if value:
            client.send(encode("/node/tone/frequency", *value))
        client.send(encode("/node/tone/frequency"))
        try:
            said = [one.args for one in messages_of(decode(client.recv(4096))) if one.address.endswith(b"frequency")]
        except (TimeoutError, ConnectionRefusedError):
            continue
        if said and value in ((), said[-1]):
            client.settimeout(READY)
            return float(str(said[-1][0]))
    raise AssertionError("no answer")


def answer(client: socket.socket) -> tuple[bytes, tuple[object, ...]]:
    """Address and arguments of the next datagram."""
    packet = decode(client.recv(4096))
    assert isinstance(packet, Message)
    return packet.address, packet.args


def wait_until_played(client: socket.socket, beats: int) -> None:
    """Returns when the engine has played so many beats more, at 120 bpm."""
    client.send(encode("/notify", 1))
    while beats > 0:
        beats -= sum(message.address == b"/beat" for message in messages_of(decode(client.recv(4096))))
