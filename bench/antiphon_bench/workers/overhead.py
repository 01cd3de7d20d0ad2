"""`antiphon bench workers`: the overhead of a worker, its misses under load, and the output when it is killed."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from antiphon.kernel.workers import pool
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon_bench.report import finish, percentiles, table
from antiphon_bench.rig import ServerProcess, burner
from antiphon_bench.workers import cuda, rack

RATE, BLOCK = 48000, 256
TRIPS = 20000
VOICES = 16
LEVEL = 0.25
"""Level of the constant sound; the sign of the output is negative for wet and positive for dry."""


def main(seconds: float, seed: int = 1, kills: int = 200) -> None:
    trips = round_trips()
    columns = ["p50", "p99", "max"]
    table(f"round trip of {BLOCK} frames, µs, n {TRIPS}", columns, [[trips[p] for p in columns]])
    live = [keeping_up(seconds, busy=0, seed=seed), keeping_up(seconds, busy=1, seed=seed)]
    table(
        f"two GRU masks of 262,377 weights, pyo with {VOICES} voices, engine at {BLOCK}, headless, {seconds:g} s",
        ["other load", "blocks", "missed", "late", "hops", "hops missed", "synth hops missed", "load"],
        [
            [v["busy"], v["blocks"], v["missed"], v["late"], v["hops"], v["hops_missed"], v["synth_missed"], v["load"]]
            for v in live
        ],
    )
    killed = killing(kills, seed)
    table(
        f"{kills} workers killed (SIGKILL) under sound, ms from the kill; samples from the recording",
        ["", "p50", "p99", "max"],
        [
            [name, *(killed[key][p] for p in ("p50", "p99", "max"))]
            for name, key in (
                ("to the first sample that is not wet", "to_fade"),
                ("to dry", "to_dry"),
                ("to wet again", "to_back"),
                ("samples neither wet nor dry", "gap"),
                ("largest step", "step"),
            )
        ],
    )
    card = cuda.measure(seed=seed)
    if isinstance(card, str):
        print(card)
    else:
        table("streams of 10 ms hops on a GPU", cuda.HEAD, cuda.cells(card))
    print(f"missed blocks {killed['missed']}, silent samples {killed['silent']}")
    finish(
        "workers",
        {
            "seed": seed,
            "round_trip": trips,
            "live": live,
            "killed": killed,
            "cuda": card,
        },
    )


def round_trips() -> dict[str, float]:
    """Times from post to answer, through the arena and a woken worker."""
    lockstep = pool.Lockstep()
    try:
        spec = WorkerSpec(
            "echo",
            "antiphon_bench.workers.echo:Echo",
            "none",
            hop=BLOCK,
            inputs=(1, BLOCK),
            outputs=(1, BLOCK),
            slots=1,
        )
        stream = lockstep.open(spec)

        def trip(n: int) -> None:
            stream.start(n)
            stream.input(n)[:] = 0.1
            stream.post(n)
            stream.take(n)

        for n in range(1000):
            trip(n)
        spent = []
        for n in range(1000, 1000 + TRIPS):
            began = time.perf_counter_ns()
            trip(n)
            spent.append((time.perf_counter_ns() - began) / 1e3)
        return percentiles(spent)
    finally:
        lockstep.shut()


def keeping_up(seconds: float, busy: int, seed: int, patch_text: str = rack.PATCH) -> dict[str, Any]:
    """Runs a patch with models and a synth for some seconds. busy: processes that each use a core meanwhile."""
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name:
        home = Path(name)
        patch, sound = _prepare(home, patch_text, seed)
        with (
            ServerProcess("--audio", "headless", "--input", str(sound), "--patch", str(patch), home=home) as server,
            burner(busy) if busy else nullcontext(),
        ):
            server.send("/cc", 64, 1.0)
            before = server.status()
            until, note = time.monotonic() + seconds, 0
            while time.monotonic() < until:
                server.send("/note/on", 36 + note * 5 % 49, 60 + note % 60)
                note += 1
                time.sleep(1.0 / VOICES)
            after = server.status()
    missed = [w["misses"] - b["misses"] for w, b in zip(after["workers"], before["workers"], strict=True)]
    blocks = after["blocks"] - before["blocks"]
    return {
        "busy": f"{busy} burning a core" if busy else "none",
        "blocks": blocks,
        "missed": after["missed_blocks"] - before["missed_blocks"],
        "late": after["late_blocks"] - before["late_blocks"],
        "hops": sum(w["hops"] - b["hops"] for w, b in zip(after["workers"], before["workers"], strict=True)),
        "hops_missed": sum(missed),
        "synth_missed": after["synth"]["misses"] - before["synth"]["misses"],
        "restarts": sum(w["restarts"] for w in after["workers"]) + after["synth"]["restarts"],
        "load": after["engine"]["load_mean"],
    }


def killing(count: int, seed: int) -> dict[str, Any]:
    """Kills the worker of a node that negates a constant sound, and measures dropouts in the recording."""
    from antiphon.kernel.io.audiofile import read

    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name:
        home = Path(name)
        patch, _ = _prepare(home, rack.KILL_PATCH, seed)
        sound, session_folder = home / "constant.wav", home / "set"
        soundfile.write(sound, np.full((RATE, 2), LEVEL, np.float32), RATE, "FLOAT")
        options = (
            "--audio",
            "headless",
            "--input",
            str(sound),
            "--patch",
            str(patch),
            "--session",
            str(session_folder),
        )
        with ServerProcess(*options, home=home) as server:
            struck, pid = [], 0
            for n in range(count):
                pid = _running(server, pid)
                time.sleep(0.1)
                if n % 2 == 1:
                    server.send("/node/negate/reset")  # three in a minute would be quarantined
                time.sleep(float(rng.uniform(0.1, 0.2)))
                struck.append(float(server.ask("/ping")[1][0]) * RATE)
                os.kill(pid, signal.SIGKILL)
            _running(server, pid)
            time.sleep(0.3)
            missed = server.status()["missed_blocks"]
        lines = [json.loads(line) for line in (session_folder / "session.jsonl").read_text().splitlines()]
        first = next(line["sample"] for line in lines if "engine" in line)
        output = read(session_folder / "output.wav").samples[0]
    return {**_dropout_figures(output, [s - first for s in struck]), "kills": count, "missed": missed}


def _dropout_figures(output: Any, struck: list[float]) -> dict[str, Any]:
    """Times in ms and numbers of samples, from a sound that is -LEVEL when wet and LEVEL when dry."""
    wet, dry = np.abs(output + LEVEL) < 1e-4, np.abs(output - LEVEL) < 1e-4
    figures: dict[str, list[float]] = {"to_fade": [], "to_dry": [], "to_back": [], "gap": [], "step": []}
    ends, silent = [*struck[1:], len(output)], 0
    for began, ended in zip(struck, ends, strict=True):
        part = slice(int(began), int(ended))
        w, d = wet[part], dry[part]
        fade = int(np.argmin(w))
        to_dry = fade + int(np.argmax(d[fade:]))
        back = to_dry + int(np.argmax(w[to_dry:]))
        figures["to_fade"].append(fade / RATE * 1e3)
        figures["to_dry"].append(to_dry / RATE * 1e3)
        figures["to_back"].append(back / RATE * 1e3)
        figures["gap"].append(float(np.count_nonzero(~w[:back] & ~d[:back])))
        after_kill = output[part][: back + RATE // 100]
        figures["step"].append(float(np.abs(np.diff(after_kill)).max()))
        quiet = np.abs(after_kill) < 1e-6
        silent += int(np.count_nonzero(quiet[:-1] & quiet[1:]))
    return {**{name: percentiles(values) for name, values in figures.items()}, "silent": silent}


def _running(server: ServerProcess, before: int) -> int:
    """Waits for a worker other than `before` and returns its pid."""
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        worker = server.status()["workers"][0]
        if worker["state"] == "running" and worker["pid"] not in (0, before):
            return int(worker["pid"])
        time.sleep(0.01)
    raise RuntimeError(f"the worker did not come back: {server.status()['workers']}")


def _prepare(home: Path, text: str, seed: int) -> tuple[Path, Path]:
    """Writes a patch, a sound and the bench's plugin into a server's home."""
    rack.install(home / "data" / "plugins", home / "weights", seed)
    patch, sound = home / "bench.toml", home / "noise.wav"
    patch.write_text(text)
    noise = np.random.default_rng(seed).standard_normal((RATE, 2)) * 0.05
    soundfile.write(sound, noise.astype(np.float32), RATE, "FLOAT")
    return patch, sound
