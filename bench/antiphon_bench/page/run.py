"""`bench page`: engine to pixel and to sound, what pages cost the engine and control, loading, and the size."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon_bench.chromium import BINARY, BrowserTab, Chromium
from antiphon_bench.osc import ping_server
from antiphon_bench.page import browser, clients
from antiphon_bench.report import finish, percentiles, table
from antiphon_bench.rig import ServerProcess, burner, free_port

PATCH = """format = 1
name = "Page"
[nodes.tone]
level = 0.25
[nodes.gain]
mute = true
[wires]
"tone" = "gain"
"gain" = "out"
"""
RISES = 40
LOUD, QUIET = 0.3, 0.8
"""Seconds of a tone, and of the silence in which the page's meter falls below what counts."""
CONDITIONS = ("without", "one Chromium and nine clients", "a core burning")
ROUNDS = 3
LOADS = 5
PLAYS = 3


def main(seconds: float, seed: int) -> None:
    """Runs the bench.

    Args:
        seconds: Length of each condition in each round.
        seed: Random seed of the lengths of silence between two tones.

    Raises:
        UsageError: There is no Chromium.
    """
    if not BINARY:
        raise UsageError("bench page drives Chromium, and there is none: apt-get install chromium")
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="antiphon-") as folder, Chromium() as chromium:
        patch = Path(folder) / "page.toml"
        patch.write_text(PATCH)
        with ServerProcess("--audio", "headless", "--patch", str(patch), wait=60.0) as server:
            rises, script = _rises(server, chromium, random.Random(seed))
            costs = _costs(server, chromium, seconds)
            loads = browser.load_times(chromium, server.http, LOADS)
        plays = [_play(chromium, Path(folder)) for _ in range(PLAYS)]
    sizes = _sizes()
    rows = _delays(rises)
    table(
        f"from the OSC message to the meter and the sound, {len(rises)} tones, ms",
        ("where", "n", "p50", "p95", "max"),
        [(r["where"], r["n"], r["p50"], r["p95"], r["max"]) for r in rows],
    )
    table(
        f"what pages cost, {ROUNDS} rounds of {seconds:g} s in turn",
        ("condition", "pings", "/ping p50", "p99", "max ms", "missed blocks", "of"),
        [(c["condition"], c["pings"], c["p50"], c["p99"], c["max"], c["missed"], c["blocks"]) for c in costs],
    )
    kinds = {"without kept files": [r for r in loads if not r["kept"]], "with": [r for r in loads if r["kept"]]}
    table(
        "the page's load, ms from the start of the navigation, medians",
        ("load", "n", "DOM interactive", "patch shown"),
        [(kind, len(of), _median(of, "interactive"), _median(of, "patch")) for kind, of in kinds.items()],
    )
    table(
        "`antiphon play`, s from its start",
        ("figure", "median", "max"),
        [(name, statistics.median(p[name] for p in plays), max(p[name] for p in plays)) for name in plays[0]],
    )
    print(f"\nthe page's files, gzipped: {sum(sizes.values()) / 1000:.1f} kB; a drawing's script p95 {script:.1f} ms")
    finish("page", {
        "delays": rows, "costs": costs, "loads": loads, "plays": plays, "sizes": sizes, "script_p95_ms": script,
        "n": len(rises), "seconds": seconds, "seed": seed, "load_before": load_before, "load_after": os.getloadavg()[0],
    })  # fmt: skip


def _rises(server: ServerProcess, chromium: Chromium, rng: random.Random) -> tuple[list[dict[str, float]], float]:
    """The times of each tone, by the page and by a client without a browser; and p95 of a drawing's script, ms."""
    tab = browser.open_page(chromium, server.http, "out")
    witness = clients.Witness(server.http, "out")
    found = []
    try:
        browser.listen(tab)
        tab.until("antiphon.report() !== null")
        for _ in range(RISES):
            time.sleep(QUIET + 0.2 * rng.random())
            tab.run("probe.arm()")
            witness.arm()
            at = time.time()
            server.send("/node/gain/mute", 0)
            seen = browser.rise(tab, 5.0)
            time.sleep(LOUD)
            server.send("/node/gain/mute", 1)
            found.append({"at": at, **seen, "client_sound": witness.sound, "client_meter": witness.meter})
        frames = sorted(tab.run("antiphonFrames.slice(-600)"))
    finally:
        witness.close()
        chromium.close_tabs()
    return found, float(frames[int(0.95 * (len(frames) - 1))])


def _delays(rises: Sequence[dict[str, float]]) -> list[dict[str, Any]]:
    """Rows of percentiles in ms; a tone that was not seen within its time is left out of a row, whose n says so."""
    named = {
        "meter: message at a client": "client_meter",
        "meter: pixel in Chromium": "pixel",
        "sound: message at a client": "client_sound",
        "sound: the browser's output": "sound",
    }
    rows = [_row(name, [1000.0 * (r[key] - r["at"]) for r in rises if r[key]]) for name, key in named.items()]
    rows.append(_row("sound: the page's buffer, as it says", [1000.0 * r["buffer"] for r in rises]))
    rows.append(_row("sound: to the loudspeaker, as the browser says", [1000.0 * r["output"] for r in rises]))
    return rows


def _row(name: str, values: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(values) or [float("nan")]
    at = {f"p{share}": ordered[int(share / 100 * (len(ordered) - 1))] for share in (50, 95)}
    return {"where": name, "n": len(values), **at, "max": ordered[-1]}


def _costs(server: ServerProcess, chromium: Chromium, seconds: float) -> list[dict[str, Any]]:
    """Pings and missed blocks in each condition."""
    pings: dict[str, list[float]] = {name: [] for name in CONDITIONS}
    missed, blocks = dict.fromkeys(CONDITIONS, 0), dict.fromkeys(CONDITIONS, 0)
    server.send("/node/gain/mute", 0)
    # in turn, so that other load of the machine affects all conditions equally
    for _ in range(ROUNDS):
        for name in CONDITIONS:
            with _condition(name, server, chromium):
                time.sleep(1.0)  # what the condition's beginning costs is not its load
                before = server.status()
                pings[name] += ping_server(server.osc, seconds)
                after = server.status()
            missed[name] += after["missed_blocks"] - before["missed_blocks"]
            blocks[name] += after["blocks"] - before["blocks"]
    return [
        {
            "condition": name,
            "pings": len(pings[name]),
            **percentiles(pings[name] or [float("nan")]),
            "missed": missed[name],
            "blocks": blocks[name],
        }
        for name in CONDITIONS
    ]


@contextlib.contextmanager
def _condition(name: str, server: ServerProcess, chromium: Chromium) -> Iterator[None]:
    if name == "a core burning":
        with burner():
            yield
    elif name == "without":
        yield
    else:
        tab = browser.open_page(chromium, server.http, "out")
        try:
            browser.listen(tab)
            with clients.load(server.http, "tone") as closed:
                yield
                if closed():
                    print(f"{closed()} connections of clients were closed as too slow, and opened again")
        finally:
            chromium.close_tabs()


def _play(chromium: Chromium, home: Path) -> dict[str, float]:
    """Seconds from the start of `antiphon play` until HTTP answers, and until the page's first sound."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "antiphon",
        "play",
        "--audio",
        "headless",
        "--osc-port",
        "0",
        "--http-port",
        str(port),
    ]
    env = {**os.environ, "ANTIPHON_HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    begun = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
                break
            if process.poll() is not None or time.time() - begun > 60.0:
                raise RuntimeError("antiphon play did not answer within a minute")
            time.sleep(0.02)
        answers = time.time() - begun
        tab = browser.open_page(chromium, port, "out")
        return {"HTTP answers": answers, "first sound in the page": _first(tab) - begun}
    finally:
        process.terminate()
        text, _ = process.communicate(timeout=30.0)
        chromium.close_tabs()
        for word in text.split():  # the recording that it makes without a sound card
            if word.endswith(".wav,"):
                Path(word.rstrip(",")).unlink(missing_ok=True)


def _first(tab: BrowserTab) -> float:
    browser.listen(tab)
    return float(tab.until("probe.first"))


def _sizes() -> dict[str, int]:
    """Bytes of each of the page's files, gzipped."""
    folder = resources.files("antiphon.web.page") / "assets"
    files = [file for file in folder.iterdir() if file.name != "sources.sha256"]
    return {file.name: len(gzip.compress(file.read_bytes(), 9)) for file in sorted(files, key=lambda one: one.name)}


def _median(rows: Sequence[dict[str, float]], key: str) -> float:
    return statistics.median(row[key] for row in rows)
