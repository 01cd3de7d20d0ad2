"""A real server for a module's tests, and the real command line."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.bench.rig import Server, message

QUICK = 0.1
"""Seconds within which the next good message is answered, whatever came before."""
PROMPT = 2.0
"""Seconds within which the command line refuses."""
MEMORY = 512 << 20


@dataclass
class Ended:
    code: int
    out: str
    err: str
    seconds: float

    @property
    def sentence(self) -> str:
        """Its one line of standard error, having checked that it is one, and that it came in time."""
        assert self.code == 2, (self.code, self.err)
        assert self.err.startswith("antiphon: "), self.err
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        assert self.seconds < PROMPT, self.seconds
        return self.err.removeprefix("antiphon: ").strip()


Antiphon = Callable[..., Ended]


def run(*arguments: str, cwd: Path, env: dict[str, str] | None = None, limit: int = MEMORY) -> Ended:
    """`antiphon ARGUMENTS…` within the memory it may take."""
    # address space is far more than memory: the bound is looked at in what was resident
    held = "import resource, sys, subprocess; code = subprocess.call(sys.argv[1:]); " + (
        f"most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10; sys.exit(99 if most > {limit} else code)"
    )
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-S", "-c", held, sys.executable, "-m", "antiphon", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        timeout=20,
    )
    return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - begun)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good sound file, `ok.wav`, and a good patch, `ok.toml`."""
    folder = tmp_path_factory.mktemp("hostile")
    noise = (np.random.default_rng(1).standard_normal((12000, 2)) * 0.1).astype(np.float32)
    soundfile.write(folder / "ok.wav", noise, 48000)
    (folder / "ok.toml").write_text('format = 1\n[nodes.gain]\n[wires]\n"in" = "gain"\n"gain" = "out"\n')
    return folder


@pytest.fixture(scope="module")
def antiphon(folder: Path) -> Antiphon:
    """Runs `antiphon` in `folder`, with a home there."""

    def command(*arguments: str, env: dict[str, str] | None = None) -> Ended:
        tries = []
        # a machine that was busy with something else is given two more tries
        while not tries or (len(tries) < 3 and tries[-1].code == 2 and tries[-1].seconds >= PROMPT):
            tries.append(run(*arguments, cwd=folder, env={"ANTIPHON_HOME": str(folder / "home"), **(env or {})}))
        return tries[-1]

    return command


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server("--audio", "headless", "--patch", "bench8", home=tmp_path_factory.mktemp("served")) as running:
        running.sync()
        yield running


@pytest.fixture
def calm(server: Server) -> Iterator[Server]:
    """The server before and after a test: the same processes and nodes, and nothing on its standard error."""
    pids, nodes = server.pids(), server.status()["nodes"]
    yield server
    answered(server)
    assert server.pids() == pids
    assert server.status()["nodes"] == nodes
    assert server.said() == ""


def answered(server: Server, within: float = QUICK) -> None:
    """The next good message is answered in time. A machine that was busy elsewhere is given two more tries."""
    took = [ask_ping(server)]
    while took[-1] >= within and len(took) < 3:
        took.append(ask_ping(server))
    assert min(took) < within, took


def ask_ping(server: Server) -> float:
    """Seconds until `/ping` was answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5.0)
        begun = time.monotonic()
        sock.sendto(message("/ping", 7), ("127.0.0.1", server.osc))
        assert sock.recv(65536).startswith(b"/pong\0\0\0,id\0\0\0\0\7")
        return time.monotonic() - begun


def resident(pid: int) -> int:
    """Bytes of memory a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def children(pid: int) -> Sequence[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def listed(server: Server, name: str) -> int:
    """The pid of one of the server's processes, by the list it keeps."""
    (path,) = server.home.rglob("processes.json")
    return int(json.loads(path.read_text())["processes"][name][0])
