"""`bench render`: the time to render the demo patch, to start the server, and the server's memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from antiphon_bench.report import finish, percentiles, table
from antiphon_bench.rig import ServerProcess

SECONDS = 120
RATE = 48000
STARTS = 7


def main() -> None:
    speed = rendering()
    starts = [starting() for _ in range(STARTS)]
    ready = percentiles([s["ready"] for s in starts])
    memory = {k: max(s[k] for s in starts) for k in ("control_mb", "engine_mb", "supervisor_mb", "recorder_mb")}
    table(
        f"rendering demo over {SECONDS} s of stereo, start-up included, and without it",
        ("seconds", "times real time", "times real time (inside)"),
        [(speed["seconds"], speed["speed"], speed["inside"])],
    )
    table(f"serve, {STARTS} starts: seconds until ready", ("p50", "max"), [(ready["p50"], ready["max"])])
    table("memory (resident, largest of the starts), MB", tuple(memory), [tuple(memory.values())])
    finish("render", {"render": speed, "ready": ready, "memory": memory})


def rendering() -> dict[str, Any]:
    import soundfile

    from antiphon.kernel.contract.block import StreamSpec
    from antiphon.kernel.graph import patch
    from antiphon.kernel.plugins import loader
    from antiphon.offline.rendering import PlayerRunner

    rng = np.random.default_rng(1)
    x = (rng.standard_normal((SECONDS * RATE, 2)) * 0.05).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "in.wav", Path(name) / "out.wav"
        soundfile.write(source, x, RATE)
        begun = time.monotonic()
        subprocess.run(
            [
                sys.executable,
                "-m",
                "antiphon",
                "render",
                "demo",
                "--in",
                str(source),
                "--out",
                str(target),
                "--tail",
                "0",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        spent = time.monotonic() - begun
    loaded = loader.load(check=False)
    demo = patch.load("demo", loaded.catalog)
    runner = PlayerRunner(demo.graph, loaded.catalog, loaded.make, StreamSpec(RATE, 1024, 2), demo.tempo)
    rows = np.ascontiguousarray(x.T)
    begun = time.monotonic()
    for at in range(0, rows.shape[1] - 1023, 1024):
        runner.run(rows[:, at : at + 1024])
    inside = time.monotonic() - begun
    return {"seconds": SECONDS, "spent": spent, "speed": SECONDS / spent, "inside": SECONDS / inside}


def starting() -> dict[str, Any]:
    with ServerProcess("--audio", "headless", "--patch", "demo") as server:
        time.sleep(1.0)
        pids = server.pids()
        result = {f"{name}_mb": resident(pid) for name, pid in pids.items()}
        children = Path(f"/proc/{pids['supervisor']}/task/{pids['supervisor']}/children").read_text().split()
        rest = [int(c) for c in children if int(c) not in pids.values()]
        result["recorder_mb"] = max((resident(pid) for pid in rest), default=0.0)
        return {"ready": server.ready_after, **result}


def resident(pid: int) -> float:
    """Resident memory of a process, MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0
