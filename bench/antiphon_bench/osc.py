"""`bench osc`: loss in a flood of messages and ping times during it, compared with python-osc."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
import threading
import time
from typing import Any

from antiphon_bench.rig import Sender, ServerProcess, finish, free_port, message, parameters, percentiles, table

RATES = (5000, 20000, 40000)
BURSTS = (10_000, 100_000)
PATCH = "bench8"
HANDLERS = 50
COUNTED = ("load", "sent", "lost", "kernel", "dropped", "wrong")
"""Keys of a run's result that its table shows, before the pings."""


def main(seconds: float) -> None:
    rows: list[dict[str, Any]] = []
    with ServerProcess("--audio", "headless", "--patch", PATCH) as server:
        rows += [send_paced(server, rate, seconds) for rate in RATES]
        rows += [burst(server, count) for count in BURSTS]
    peer = measure_python_osc()
    table(
        "OSC by UDP (lost: sent - received; kernel: its own drop count; values: last value of every address read back)",
        ("load", "sent", "lost", "kernel drops", "ours dropped", "values wrong", "ping p50", "p99", "max ms"),
        [(*(r[name] for name in COUNTED), *(r["ping"].values() or ("-", "-", "-"))) for r in rows],
    )
    table(
        "beside it: 100,000 flat out",
        ("peer", "sent", "lost", "seconds"),
        [(peer["peer"], peer["sent"], peer["lost"], peer["seconds"])],
    )
    finish("osc", {"runs": rows, "peer": peer, "seconds": seconds, "frames": 256, "ahead": 0, "class": "ordinary"})


def addresses(server: ServerProcess) -> dict[str, tuple[float, float]]:
    """The address of every float parameter of the patch, with its range."""
    result = {}
    for node, branch in server.request("GET", "/node")[1]["CONTENTS"].items():
        for name, leaf in branch.get("CONTENTS", {}).items():
            if leaf.get("TYPE") == "f" and "RANGE" in leaf and leaf.get("ACCESS", 0) == 3:
                bounds = leaf["RANGE"][0]
                result[f"/node/{node}/{name}"] = (float(bounds["MIN"]), float(bounds["MAX"]))
    return result


def send_paced(server: ServerProcess, rate: int, seconds: float) -> dict[str, Any]:
    """Sends a flood at a constant rate, and pings from another socket."""
    before = server.status()
    pings: list[float] = []
    ending = threading.Event()
    thread = threading.Thread(target=ping_for, args=(server.osc, pings, ending))
    whole = tuple(a for a, (low, high) in addresses(server).items() if low <= 0.0 and high >= 1.0)
    thread.start()
    with Sender(server.osc, rate, parameters, whole) as sender:
        time.sleep(seconds)
    ending.set()
    thread.join()
    return _row(f"{rate}/s for {seconds:g} s", server, before, sender.sent + len(pings), pings)


def burst(server: ServerProcess, count: int) -> dict[str, Any]:
    """Sends as fast as the socket accepts; then sends a last value to every address and reads it back."""
    before = server.status()
    process = multiprocessing.get_context("spawn").Process(target=_send_message_burst, args=(server.osc, count))
    process.start()
    process.join()
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        now = server.status()
        if now["osc_received"] + now["osc_dropped"] - before["osc_received"] - before["osc_dropped"] >= count:
            break
        time.sleep(0.05)
    return _row(f"{count} flat out", server, before, count, [])


def _row(load: str, server: ServerProcess, before: dict[str, Any], sent: int, pings: list[float]) -> dict[str, Any]:
    server.sync(99, timeout=30.0)
    after = server.status()
    received = after["osc_received"] - before["osc_received"] - 1
    wrong = count_wrong_values(server)
    kernel = after.get("osc_kernel_drops", after["osc_dropped"]) - before.get("osc_kernel_drops", before["osc_dropped"])
    return {
        "load": load,
        "sent": sent,
        "lost": sent - received,
        "kernel": kernel,
        "dropped": after["osc_dropped"] - before["osc_dropped"],
        "wrong": wrong,
        "ping": percentiles(pings) if pings else {},
    }


def count_wrong_values(server: ServerProcess) -> int:
    """Sends a distinct value to every address, and counts those that do not answer with it."""
    wrong = 0
    for place, (address, (low, high)) in enumerate(addresses(server).items()):
        value = low + (high - low) * ((place * 37 % 100) / 100)
        server.send(address, value)
        server.sync(7)
        answer = server.ask(address)
        if answer[0] != address or abs(answer[1][0] - value) > 1e-5 * max(1.0, abs(value)):
            wrong += 1
    return wrong


def ping_for(port: int, pings: list[float], ending: threading.Event) -> None:
    """Pings every 5 ms until `ending` is set; appends each round trip in ms."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2.0)
        sock.connect(("127.0.0.1", port))
        packet = message("/ping", 1)
        while not ending.wait(0.005):
            begun = time.perf_counter()
            sock.send(packet)
            with contextlib.suppress(TimeoutError):
                sock.recv(4096)
                pings.append((time.perf_counter() - begun) * 1e3)


def _send_message_burst(port: int, count: int) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    packets = [message("/node/gain/gain", n / 100) for n in range(100)]
    for n in range(count):
        sock.send(packets[n % 100])


def measure_python_osc() -> dict[str, Any]:
    """python-osc's AsyncIO server with 50 handlers, in a process of its own."""
    port = free_port()
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    server = context.Process(target=_python_osc_server, args=(port, queue))
    server.start()
    queue.get(timeout=20)
    begun = time.monotonic()
    sender = context.Process(target=_send_message_burst, args=(port, BURSTS[-1]))
    sender.start()
    sender.join()
    handled = queue.get(timeout=120)
    server.join()
    return {
        "peer": f"python-osc AsyncIO, {HANDLERS} handlers",
        "sent": BURSTS[-1],
        "lost": BURSTS[-1] - handled,
        "seconds": time.monotonic() - begun,
    }


def _python_osc_server(port: int, queue: multiprocessing.Queue[int]) -> None:
    from pythonosc.dispatcher import Dispatcher
    from pythonosc.osc_server import AsyncIOOSCUDPServer

    count = 0
    last = time.monotonic()

    def handle(_address: str, *_args: object) -> None:
        nonlocal count, last
        count += 1
        last = time.monotonic()

    async def serve() -> None:
        nonlocal last
        dispatcher = Dispatcher()
        for n in range(HANDLERS - 1):
            dispatcher.map(f"/node/n{n}/gain", handle)
        dispatcher.map("/node/gain/gain", handle)
        server = AsyncIOOSCUDPServer(("127.0.0.1", port), dispatcher, asyncio.get_running_loop())  # type: ignore[arg-type]
        transport, _ = await server.create_serve_endpoint()
        queue.put(0)
        while count == 0 or time.monotonic() - last < 3.0:  # noqa: ASYNC110 - it ends after 3 s without a message
            await asyncio.sleep(0.2)
        transport.close()

    asyncio.run(serve())
    queue.put(count)
