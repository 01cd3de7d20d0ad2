"""A real server for a module's tests, and the real command line."""

import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, TimeoutExpired

import numpy as np
import pytest
import soundfile
from tests.forked import COMMAND, Forked, executed
from tests.waiting import complaints, until

from antiphon_bench.rig import ServerProcess, message

QUICK = 0.1
"""Seconds of processor time within which control answers the next good message, whatever came before."""
PROMPT = 4.0
"""Seconds of processor time within which the command line refuses."""
LIMIT = 60.0
"""Seconds after which what has not ended hangs, however busy the machine is."""
MEMORY = 512 << 20
"""Bytes that a command may have at most."""


PATCH = """format = 1
name = "Seven"
[nodes]
gain = {gain = 0.9}
filter = {mode = "highpass", cutoff = 60}
delay = {time = 0.25, feedback = 0.3}
pan = {place = 0.2}
mix = {b = 0.3}
meter = {}
limiter = {}
[wires]
"in" = "gain"
"gain" = "filter"
"filter" = ["pan", "delay"]
"pan" = "mix.a"
"delay" = "mix.b"
"mix" = "meter"
"meter" = "limiter"
"limiter" = "out"
"""
"""What the server plays: nodes of seven kinds, which `antiphon` alone has."""


@dataclass
class Ended:
    """How a command ended. seconds: of processor time, so that it says nothing of what else the machine does."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def sentence(self) -> str:
        """Its one line of standard error, having checked that it is one, and that it cost little."""
        assert self.code == 2, (self.code, self.err)
        assert self.err.startswith("antiphon: "), self.err
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        assert self.seconds < PROMPT, self.seconds
        return self.err.removeprefix("antiphon: ").strip()


Antiphon = Callable[..., Ended]


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
    """Runs `antiphon` in `folder`, with a home there, within the memory and the time that it may take."""

    def command(*arguments: str, env: dict[str, str] | None = None) -> Ended:
        variables = {**os.environ, "ANTIPHON_HOME": str(folder / "home"), **(env or {})}
        pipes = {"stdin": DEVNULL, "stdout": PIPE, "stderr": PIPE}
        with Forked([*COMMAND, *arguments], cwd=folder, env=variables, text=True, **pipes) as process:
            try:
                out, err = process.communicate(timeout=LIMIT)
            except TimeoutExpired:
                process.kill()
                raise
        assert process.resident < MEMORY, process.resident
        return Ended(process.returncode, out, err, process.seconds)

    return command


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    home = tmp_path_factory.mktemp("served")
    (home / "seven.toml").write_text(PATCH)
    options = ("--audio", "headless", "--patch", str(home / "seven.toml"))
    with ExitStack() as stack:
        with executed():  # its memory and descriptors are counted
            running = stack.enter_context(ServerProcess(*options, home=home))
        running.sync()
        yield running


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes a figure of a test in the file that `make hostile` shows at its end."""

    def note(text: str) -> None:
        path = Path(os.environ.get("HOSTILE_FIGURES", os.devnull))
        with path.open("a") as file:
            file.write(f"{request.node.name}: {text}\n")

    return note


@pytest.fixture
def calm(server: ServerProcess) -> Iterator[ServerProcess]:
    """The server before and after a test: the same processes and nodes, and nothing on its standard error."""
    before = seen(server)
    yield server
    answered(server)
    assert seen(server) == before
    assert complaints(server) == ""


def seen(server: ServerProcess) -> tuple[int, int, list[dict[str, object]]]:
    """The pids of control and engine, and what the server says of its nodes but how long they take."""
    # one request: web's share of control makes each wait, once forty were asked
    status = server.status()
    nodes = [{name: value for name, value in node.items() if name != "load"} for node in status["nodes"]]
    return status["control"]["pid"], status["engine"]["pid"], nodes


def answered(server: ServerProcess, within: float = QUICK) -> None:
    """The next good message is answered, and answering it took control no more than `within` of processor time."""
    # the first is behind what came before
    took = [ask_ping(server) for _ in range(2)]
    assert min(took) < within, took


def ask_ping(server: ServerProcess) -> float:
    """Seconds of processor time that control took until it answered `/ping`."""
    control = listed(server, "control")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(LIMIT)
        begun = used(control)
        sock.sendto(message("/ping", 7), ("127.0.0.1", server.osc))
        assert sock.recv(65536).startswith(b"/pong\0\0\0,id\0\0\0\0\7")
        return used(control) - begun


def used(pid: int) -> float:
    """Seconds of processor time that the thread of a process's loop has had; none of one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:
        return 0.0


def resident(pid: int) -> int:
    """Bytes of memory a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def children(pid: int) -> Sequence[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def listed(server: ServerProcess, name: str) -> int:
    """The pid of one of the server's processes, by the list it keeps; some start once the server is ready."""
    path = server.home / "run" / f"osc-{server.osc}" / "processes.json"
    assert path.exists(), server.standard_error()
    until(lambda: name in json.loads(path.read_text())["processes"], 60.0, f"{name} is listed")
    return int(json.loads(path.read_text())["processes"][name][0])
