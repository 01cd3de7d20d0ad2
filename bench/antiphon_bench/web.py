"""`bench web`: the effect of a flood of HTTP on OSC, and the web process's memory and restart time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import selectors
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from antiphon_bench.osc import ping_server
from antiphon_bench.report import finish, percentiles, table
from antiphon_bench.rig import ServerProcess

ROUNDS = 5
SLOW = 200
"""Connections that send one byte a second of an endless request; the server closes each after 5 s."""
RATE = 2000
"""Requests a second."""
CONNECTIONS = 200
"""Connections that share the requests; the server closes each after 100 requests, and it is opened again."""
KILLS = 5
PATHS = ("/api/status", "/node", "/?HOST_INFO", "/nothing")
"""Targets of the requests, in turn."""
CONDITIONS = ("without", "HTTP flood", "a core burning")


def main(seconds: float) -> None:
    """Runs the bench. seconds: length of each condition in each round."""
    pings: dict[str, list[list[float]]] = {name: [] for name in CONDITIONS}
    used: dict[str, list[float]] = {name: [] for name in CONDITIONS}
    answered: list[float] = []
    with ServerProcess("--audio", "headless", "--patch", "bench8") as server:
        server.status()
        before = server.status()
        # in turn, so that other load of the machine affects all conditions equally
        for _ in range(ROUNDS):
            for name in CONDITIONS:
                with _condition(name, server, answered, seconds):
                    at = _processor_seconds(before["control"]["pid"])
                    pings[name].append(ping_server(server.osc, seconds))
                    used[name].append((_processor_seconds(before["control"]["pid"]) - at) / seconds)
        after = server.status()
        memory = {name: _memory(after[name]["pid"]) for name in ("web", "control", "engine")}
        back = [_kill(server) for _ in range(KILLS)]
        missed = after["missed_blocks"] - before["missed_blocks"]
        ready = server.ready_after
    rows = [{"load": name, **_row(rounds, used[name])} for name, rounds in pings.items()]
    table(
        f"/ping while {SLOW} slow connections and {RATE} requests a second of HTTP arrive, {ROUNDS} rounds in turn",
        ("load", "pings", "p50", "p99", "max ms", "median round's p99", "control, % of a core"),
        [(r["load"], r["pings"], r["p50"], r["p99"], r["max"], r["median"], 100 * r["control"]) for r in rows],
    )
    table(
        "the web process",
        ("figure", "value"),
        [
            ("requests answered a second in a flood", statistics.median(answered)),
            ("missed blocks meanwhile", missed),
            *((f"{name}: RSS, PSS MB", f"{rss:.1f}, {pss:.1f}") for name, (rss, pss) in memory.items()),
            ("server ready after s", ready),
            ("HTTP answers after a kill, s: median, max", f"{statistics.median(back):.2f}, {max(back):.2f}"),
        ],
    )
    finish("web", {"runs": rows, "answered": answered, "missed": missed, "memory": memory, "back": back,
                   "ready": ready, "seconds": seconds, "frames": 256, "class": "ordinary"})  # fmt: skip


def _row(rounds: list[list[float]], used: list[float]) -> dict[str, Any]:
    """The row of a condition. used: control's processor time in each round, as a share of a core."""
    pooled = [ping for round_ in rounds for ping in round_]
    each = [percentiles(round_)["p99"] for round_ in rounds]
    return {
        "pings": len(pooled),
        **percentiles(pooled),
        "median": statistics.median(each),
        "rounds": each,
        "control": statistics.median(used),
    }


@contextlib.contextmanager
def _condition(name: str, server: ServerProcess, answered: list[float], seconds: float) -> Iterator[None]:
    if name == "without":
        yield
        return
    context = multiprocessing.get_context("spawn")
    counts = context.Queue()
    work = _flood if name == "HTTP flood" else _burn
    process = context.Process(target=work, args=(server.http, seconds + 2.0, counts))
    process.start()
    try:
        counts.get(timeout=30)  # the load has started
        yield
        rate = counts.get(timeout=60)
        if name == "HTTP flood":
            answered.append(rate)
    finally:
        process.terminate()
        process.join()


def _burn(_port: int, seconds: float, counts: multiprocessing.Queue[float]) -> None:
    counts.put(0.0)
    ending = time.monotonic() + seconds
    while time.monotonic() < ending:
        pass
    counts.put(0.0)


class _Client:
    """One connection that sends requests and reads answers, and reconnects when the server closes it."""

    def __init__(self, port: int, waiting: selectors.BaseSelector) -> None:
        self._port, self._waiting = port, waiting
        self.answers = 0
        self._open()

    def send(self, data: bytes) -> None:
        try:
            self._sock.send(data)
        except BlockingIOError:
            return
        except OSError:
            self._again()

    def read(self) -> None:
        try:
            data = self._sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._again()
        self.answers += data.count(b"HTTP/1.1 ")

    def _open(self) -> None:
        self._sock = socket.create_connection(("127.0.0.1", self._port))
        self._sock.setblocking(False)
        self._waiting.register(self._sock, selectors.EVENT_READ, self)

    def _again(self) -> None:
        self._waiting.unregister(self._sock)
        self._sock.close()
        self._open()


def _flood(port: int, seconds: float, counts: multiprocessing.Queue[float]) -> None:
    """Sends requests without waiting for answers; puts the number of answers a second."""
    with selectors.DefaultSelector() as waiting:
        quick = [_Client(port, waiting) for _ in range(CONNECTIONS)]
        slow = [_Client(port, waiting) for _ in range(SLOW)]
        requests = [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() for path in PATHS]
        counts.put(0.0)
        begun, sent, dripped = time.monotonic(), 0, 0.0
        while (now := time.monotonic() - begun) < seconds:
            while sent < now * RATE:
                quick[sent % len(quick)].send(requests[sent // len(quick) % len(requests)])
                sent += 1
            if now - dripped >= 1.0:
                dripped = now
                for client in slow:
                    client.send(b"G")
            for key, _ in waiting.select(0.001):
                key.data.read()
        counts.put(sum(client.answers for client in quick) / seconds)


def _processor_seconds(pid: int) -> float:
    """The processor time in seconds that a process's threads have used."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def _memory(pid: int) -> tuple[float, float]:
    """RSS and PSS, MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines[1:]}
    return sizes["Rss"], sizes["Pss"]


def _kill(server: ServerProcess) -> float:
    """Seconds until HTTP answers again."""
    pid = server.status()["web"]["pid"]
    begun = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    while True:
        # connections of the killed process are reset; new ones wait in the socket
        with contextlib.suppress(OSError):
            if server.status()["web"]["pid"] != pid:
                return time.monotonic() - begun
