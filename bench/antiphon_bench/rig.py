"""A real server in its own process, on its own ports, started and stopped by pid. For benches and tests."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import multiprocessing
import os
import platform
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from antiphon.api.backends.cli import http_request

# ---- The output of a bench: a table, and one JSON object as the last line


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p99, max of at least one value."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return {"p50": ordered[last // 2], "p99": ordered[min(last, int(last * 0.99))], "max": ordered[last]}


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows under heads, columns aligned."""
    cells = [[_shown(c) for c in row] for row in rows]
    widths = [max(len(h), *(len(row[i]) for row in cells)) if cells else len(h) for i, h in enumerate(head)]
    print(f"\n{title}")
    print("  ".join(h.ljust(w) for h, w in zip(head, widths, strict=True)).rstrip())
    for row in cells:
        print("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))))


def finish(bench: str, result: dict[str, Any]) -> None:
    """Prints the JSON object of the last line."""
    print(json.dumps({"bench": bench, "machine": machine(), **result}), flush=True)


def machine() -> dict[str, Any]:
    model = ""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        model = platform.processor()
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


TIMEOUT_SECONDS = 60.0
"""Timeout in seconds for any answer of the server, also on a busy machine."""
# Linux gives sockets that ask for any port one of 32768 to 60999, other systems higher ones.
_PORTS = range(12_000, 32_000)
_next = itertools.count(random.Random().randrange(len(_PORTS)))


class ServerProcess:
    """Runs `antiphon serve` with free ports and a separate home, as a context manager."""

    launch: Callable[..., subprocess.Popen[str]] = subprocess.Popen

    def __init__(
        self,
        *options: str,
        home: Path | None = None,
        env: dict[str, str] | None = None,
        wait: float = TIMEOUT_SECONDS,
        errors: IO[str] | None = None,
    ) -> None:
        """Sets the options of the server. errors: a file for its standard error, which `said` then leaves out."""
        self._held = None if home else tempfile.TemporaryDirectory(prefix="antiphon-")
        self.home = home or Path(self._held.name if self._held else "")
        self.options = list(options)
        self._env = {**os.environ, "ANTIPHON_HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home), **(env or {})}
        self._wait, self._errors = wait, errors
        self.osc = self.http = 0
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> ServerProcess:
        """Starts the server and waits for its line `ready`. RuntimeError, with its output, if there is none."""
        options = list(self.options)
        if not any(o.startswith("--osc-port") for o in options):
            options += ["--osc-port", str(free_port())]
        if not any(o.startswith("--http-port") for o in options):
            options += ["--http-port", str(free_port())]
        self.errors = self._errors or tempfile.TemporaryFile("w+")  # noqa: SIM115 - read after the process ended
        self.process = self.launch(
            [sys.executable, "-m", "antiphon", "serve", *options],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            stdin=subprocess.DEVNULL,
            text=True,
            env=self._env,
        )
        self.options = options
        assert self.process.stdout is not None
        watchdog = time.monotonic() + self._wait
        while self.lines or time.monotonic() < watchdog:  # what comes before `ready` comes with it
            line = self.process.stdout.readline()
            if not line:
                break
            self.lines.append(line.rstrip("\n"))
            if line.startswith("ready"):
                self.osc, self.http = ports_of(line)
                return self
        self.stop()
        raise RuntimeError(f"the server did not become ready: {self.lines} {self.standard_error()}")

    def standard_error(self) -> str:
        """Returns the server's standard error so far."""
        # no seek: the server shares the file offset, and may write meanwhile
        file = self.errors.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """Sends an HTTP request as the owner; returns its status and JSON object or {}. `body` is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=TIMEOUT_SECONDS)
        token = self.home / "config" / "token"
        owner = token.read_text().strip() if token.exists() else ""
        status, answer = http_request(connection, method, path, body, owner)
        return status, dict(json.loads(answer or b"{}"))

    def status(self) -> dict[str, Any]:
        """Returns GET /api/status; retries while a restarted control process does not answer yet."""
        until = time.monotonic() + TIMEOUT_SECONDS
        while (found := self.request("GET", "/api/status"))[0] == 503 and time.monotonic() < until:
            time.sleep(0.1)
        return found[1]

    def send(self, address: str, *args: object) -> None:
        """Sends one OSC message by UDP."""
        self.send_raw(message(address, *args))

    def send_raw(self, packet: bytes) -> None:
        """Sends a datagram unchanged."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(packet, ("127.0.0.1", self.osc))

    def ask(self, address: str, *args: object, timeout: float = TIMEOUT_SECONDS) -> tuple[str, list[Any]]:
        """Sends one OSC message and returns the first answer; TimeoutError without one."""
        from pythonosc.osc_message import OscMessage

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.sendto(message(address, *args), ("127.0.0.1", self.osc))
            answer = OscMessage(sock.recv(65536))
        return answer.address, list(answer.params)

    def sync(self, token: int = 1, timeout: float = TIMEOUT_SECONDS) -> None:
        """Waits until all messages sent before have taken effect."""
        answer = self.ask("/sync", token, timeout=timeout)
        if answer != ("/synced", [token]):
            raise RuntimeError(f"/sync was answered {answer}")

    def pids(self) -> dict[str, int]:
        """The pids of supervisor, control and engine."""
        status = self.status()
        assert self.process is not None
        return {"supervisor": self.process.pid, "control": status["control"]["pid"], "engine": status["engine"]["pid"]}

    def stop(self, number: int = signal.SIGTERM, timeout: float = 60.0) -> int:
        """Ends the server; returns its exit status. One that does not end in time is killed with its processes."""
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            left = [int(pid) for pid in task.read_text().split()] if task.exists() else []
            self.process.kill()
            status = self.process.wait()
            for pid in left:  # a jackd that is left keeps its name from the next server
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def __enter__(self) -> ServerProcess:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        if self._held is not None:
            self._held.cleanup()


def message(address: str, *args: object) -> bytes:
    """Encodes an OSC message by python-osc."""
    from pythonosc.osc_message_builder import OscMessageBuilder

    builder = OscMessageBuilder(address)
    for arg in args:
        builder.add_arg(arg)  # type: ignore[arg-type]
    return bytes(builder.build().dgram)


def bundle(timetag: int, *messages: bytes) -> bytes:
    """Encodes a bundle with a raw 64-bit NTP time tag."""
    parts = b"".join(len(m).to_bytes(4, "big") + m for m in messages)
    return b"#bundle\0" + timetag.to_bytes(8, "big") + parts


def ntp(seconds: float, frames: int = 0, rate: int = 1) -> int:
    """The NTP time tag of a moment of the wall clock, plus an exact number of frames."""
    whole = round(seconds * 1e9)
    return ((2_208_988_800 * 1_000_000_000 + whole) << 32) // 1_000_000_000 + (frames << 32) // rate


def ports_of(line: str) -> tuple[int, int]:
    """(OSC, HTTP) of a `ready` line."""
    ports = re.findall(r":(\d+)", line)
    return int(ports[0]), int(ports[-1])


def free_port() -> int:
    """Returns a port that is free for UDP and TCP, and is none of the last 20,000 returned here.

    It is outside the range that the system assigns to sockets. Concurrent processes start at different ports. Raises
    RuntimeError if all of them are taken.
    """
    for number in itertools.islice(_next, len(_PORTS)):
        port = _PORTS[number % len(_PORTS)]
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no port from {_PORTS[0]} to {_PORTS[-1]} is free")


@contextlib.contextmanager
def run_busy_cores(count: int = 1) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """Runs processes that each use a whole core."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


# ---- A sender of OSC at a constant rate, in a process of its own

PLAIN = ("/node/gain/gain", "/node/pan/place")
_LOOK = 0.001


class Sender:
    """Sends `rate` messages a second to a port of this machine until the context ends. `sent` counts them then.

    `packets`: a function of a module and its arguments, which gives the packets one after another. `behind`: overdue
    messages sent at once after a stall of the machine, at most; the others are skipped.
    """

    def __init__(
        self, port: int, rate: int, packets: Callable[..., Iterator[bytes]], *given: object, behind: int = 1 << 30
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.sent = 0
        self._here, there = context.Pipe()
        self._process = context.Process(target=_send, args=(port, rate, behind, packets, given, there), daemon=True)
        self._process.start()
        there.close()

    def __enter__(self) -> Sender:
        self._here.recv()  # it sends from here on
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._here.send(None)
            if self._here.poll(10.0):
                self.sent = self._here.recv()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def parameters(addresses: tuple[str, ...] = PLAIN) -> Iterator[bytes]:
    """Values from 0 to .9 of each address in turn."""
    return itertools.cycle([message(address, (n % 10) / 10) for n in range(10) for address in addresses])


def _send(
    port: int, rate: int, behind: int, packets: Callable[..., Iterator[bytes]], given: tuple[object, ...],
    end: Connection,
) -> None:  # fmt: skip
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the bench ends this process, by the pipe
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    made = packets(*given)
    begun, due_before, sent, ended = time.monotonic(), 0, 0, False
    with contextlib.suppress(EOFError, OSError):
        end.send(None)
        while not ended:
            ended = end.poll(_LOOK)
            due = int((time.monotonic() - begun) * rate)
            for packet in itertools.islice(made, min(due - due_before, behind)):
                with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                    sock.send(packet)
                    sent += 1
            due_before = due
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                while True:
                    sock.recv(65536)
        end.send(sent)


# ---- A dummy jackd for benches: with one server name, ended by SIGTERM (a killed one leaves its slot occupied)

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
