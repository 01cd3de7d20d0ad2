"""`bench events`: the error of timetagged onsets in recorded sound, and the latency of immediate messages."""

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_bench.rig import ServerProcess, bundle, finish, message, ntp, percentiles, run_busy_cores, table

ONSETS = 10_000
GAP = 293
"""Frames between onsets: coprime to the block, so that every offset in a block occurs."""
IMMEDIATE = 1000
RATE, BLOCK = 48000, 256
LEAD = 1.0


def main(seed: int) -> None:
    runs = [offline(), live(0), live(2)]
    table(
        f"{ONSETS} timetagged onsets, {GAP} frames apart: error in samples, from the recording",
        ("run", "sent", "found", "off by 0", "largest error", "late"),
        [(r["run"], r["sent"], r["found"], r["exact"], r["worst"], r["late"]) for r in runs],
    )
    instant = immediate(seed)
    table(
        f"immediate messages, headless at {BLOCK}: from send to the sample it enters at, ms",
        ("n", "min", "p50", "p99", "max", "p99 - min", "one block + 2 ms"),
        [(instant["n"], *(instant[k] for k in ("min", "p50", "p99", "max", "spread", "allowed")))],
    )
    finish(
        "events",
        {"onsets": runs, "immediate": instant, "frames": BLOCK, "rate": RATE, "seed": seed, "class": "ordinary"},
    )


def offline() -> dict[str, Any]:
    """Renders the same onsets from a file of events."""
    import soundfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        want = 1000 + np.arange(ONSETS) * GAP
        lines = (json.dumps({"sample": int(n), "address": "/node/click/fire", "args": []}) for n in want)
        (folder / "events.jsonl").write_text("\n".join(lines))
        soundfile.write(folder / "in.wav", np.zeros(int(want[-1]) + RATE, np.float32), RATE)
        subprocess.run(
            [sys.executable, "-m", "antiphon", "render", "click", "--in", str(folder / "in.wav"),
             "--events", str(folder / "events.jsonl"), "--out", str(folder / "out.wav")],
            check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        onset_samples = onsets(folder / "out.wav")
    return _compare("offline", onset_samples, want, 0)


def live(busy: int) -> dict[str, Any]:
    """Sends bundles a second ahead to a headless server, beside `busy` processes that each use a core."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "out.wav"
        with (
            run_busy_cores(busy),
            ServerProcess("--audio", "headless", "--patch", "click", "--record", str(path)) as server,
        ):
            start = time.time() + LEAD
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect(("127.0.0.1", server.osc))
                packet = message("/node/click/fire")
                for n in range(ONSETS):
                    while n * GAP / RATE > time.time() - start + LEAD:
                        time.sleep(0.005)
                    sock.send(bundle(ntp(start, n * GAP, RATE), packet))
            while time.time() < start + ONSETS * GAP / RATE + 0.5:
                time.sleep(0.1)
            late = server.status()["late"]
            server.stop()
        onset_samples = onsets(path)
    want = onset_samples[0] + np.arange(ONSETS) * GAP if len(onset_samples) else np.zeros(0, np.int64)
    return _compare(f"live headless, {busy} busy processes", onset_samples, want, late)


def immediate(seed: int) -> dict[str, Any]:
    """Sends messages without a time at random moments; times are of CLOCK_MONOTONIC, relative to the recording."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "out.wav"
        with ServerProcess(
            "--audio", "headless", "--patch", "click", "--record", str(path), "--block", str(BLOCK)
        ) as server:
            sent = []
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect(("127.0.0.1", server.osc))
                packet = message("/node/click/fire")
                for _ in range(IMMEDIATE):
                    time.sleep(0.012 + rng.random() * 0.01)
                    sent.append(time.monotonic())
                    sock.send(packet)
            time.sleep(0.5)
            server.stop()
        onset_samples = onsets(path)
    if len(onset_samples) != len(sent):
        unknown = dict.fromkeys(("min", "p50", "p99", "max", "spread", "allowed"), 0.0)
        return {"n": len(onset_samples), "sent": len(sent), **unknown}
    # the recording's origin on the clock is not known: only differences count, the least is set to 0
    delays = onset_samples / RATE * 1e3 - np.asarray(sent) * 1e3
    delays -= delays.min()
    figures = percentiles(list(map(float, delays)))
    spread = figures["p99"]
    return {"n": len(onset_samples), "min": 0.0, **figures, "spread": spread, "allowed": BLOCK / RATE * 1e3 + 2.0}


def onsets(path: Path) -> NDArray[np.int64]:
    """Samples at which a click begins."""
    import soundfile

    sound, _ = soundfile.read(path, dtype="float32", always_2d=True)
    loud = np.abs(sound[:, 0]) > 0.05
    return np.flatnonzero(loud & ~np.concatenate([[False], loud[:-1]])).astype(np.int64)


def _compare(run: str, onset_samples: NDArray[np.int64], want: NDArray[np.int64], late: int) -> dict[str, Any]:
    if len(onset_samples) == len(want):
        error = onset_samples - want
        exact, worst = int(np.count_nonzero(error == 0)), int(np.abs(error).max(initial=0))
    else:
        exact, worst = int(np.isin(onset_samples, want).sum()), -1
    return {"run": run, "sent": ONSETS, "found": len(onset_samples), "exact": exact, "worst": worst, "late": late}
