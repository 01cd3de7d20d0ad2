"""`bench classify`: sounds that are classified by HTTP all at once, beside a set that plays."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon_bench.osc import ping_for
from antiphon_bench.report import finish, table
from antiphon_bench.rig import ServerProcess

ROUNDS = 3
REQUESTS = 50
"""At once, in each round."""
SOUND = 30.0
"""Seconds of the sound, which is sent as mp3."""
LONGEST = 300.0
"""Seconds of a request."""


def main(seconds: float, name: str = "") -> None:
    """Runs the bench.

    Args:
        seconds: Of each round without requests; one with them lasts until all are answered.
        name: Of the classifier; "" for the first that can be used.

    Raises:
        UsageError: There is none.
    """
    sound = _sound()
    rows: list[dict[str, Any]] = []
    answered: list[float] = []
    statuses: list[int] = []
    with ServerProcess("--audio", "headless", "--patch", "bench8") as server:
        server.status()  # the token is there once HTTP answers
        token = next(server.home.rglob("token")).read_text().strip()
        name = name or _first(server.http)
        # in turn, so that other load of the machine affects both equally
        for _ in range(ROUNDS):
            for requests in (0, REQUESTS):
                before = server.status()
                pings: list[float] = []
                ending = threading.Event()
                pinging = threading.Thread(target=ping_for, args=(server.osc, pings, ending))
                pinging.start()
                begun = time.monotonic()
                found = _all(server.http, token, name, sound, requests)
                if not requests:
                    time.sleep(seconds)
                ending.set()
                pinging.join()
                after = server.status()
                answered += [took for status, took in found if status == 200]
                statuses += [status for status, _ in found]
                rows.append(
                    {
                        "requests": requests,
                        "seconds": time.monotonic() - begun,
                        "missed": after["missed_blocks"] - before["missed_blocks"],
                        "blocks": after["blocks"] - before["blocks"],
                        "p99": sorted(pings)[int(len(pings) * 0.99)] if pings else 0.0,
                        "load": os.getloadavg()[0],
                    }
                )
    table(
        f"{REQUESTS} requests at once to /api/classify/{name}, {SOUND:g} s of mp3 each, beside bench8",
        ("requests", "s", "blocks missed", "of", "/ping p99 ms", "load"),
        [tuple(row[key] for key in ("requests", "seconds", "missed", "blocks", "p99", "load")) for row in rows],
    )
    ordered = sorted(answered) or [0.0]
    p50, p95 = statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    table(
        "the requests",
        ("figure", "value"),
        [
            ("answered", f"{len(answered)} of {len(statuses)}"),
            ("p50 s", p50),
            ("p95 s", p95),
        ],
    )
    finish("classify", {"name": name, "rows": rows, "answered": len(answered), "requests": len(statuses), "p50": p50,
                        "p95": p95, "sound": SOUND})  # fmt: skip


def _sound() -> bytes:
    import numpy as np
    import soundfile

    rate = 44100
    rng = np.random.default_rng(0)
    at = np.arange(int(SOUND * rate)) / rate
    beats = np.exp(-8.0 * (at % 0.5)) * rng.standard_normal(len(at))
    tones = sum(np.sin(2.0 * np.pi * hertz * at) for hertz in (110.0, 220.0, 277.2, 329.6))
    file = io.BytesIO()
    soundfile.write(file, np.stack([0.1 * tones + 0.2 * beats] * 2, axis=1), rate, format="MP3")
    return file.getvalue()


def _first(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST)
    with contextlib.closing(connection):
        connection.request("GET", "/api/classify")
        usable = [entry["name"] for entry in json.loads(connection.getresponse().read()) if not entry["problem"]]
    if not usable:
        raise UsageError("there is no classifier with weights; `antiphon train genre` makes one")
    return str(usable[0])


def _all(port: int, token: str, name: str, sound: bytes, count: int) -> list[tuple[int, float]]:
    """Status and seconds of each of `count` requests, which begin together."""
    together = threading.Barrier(max(1, count))

    def ask(_: int) -> tuple[int, float]:
        together.wait()
        begun = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST)
        status = 0
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("POST", f"/api/classify/{name}", sound, {"Authorization": f"Bearer {token}"})
            reply = connection.getresponse()
            reply.read()
            status = reply.status
        return status, time.monotonic() - begun

    with ThreadPoolExecutor(max(1, count)) as pool:
        return list(pool.map(ask, range(count)))
