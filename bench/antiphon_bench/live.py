"""`bench live`: eight loops of a script, saved a thousand times while a core is busy: onsets from the recording."""

import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_bench.events import onsets
from antiphon_bench.rig import ServerProcess, finish, percentiles, run_busy_cores, table

RATE, BPM, LOOPS = 48000, 180.0, 8
BEAT, STEP = 16000, 1000
"""Frames of a beat at `BPM`, and between the clicks of two loops."""
IMPORT = "from antiphon.live import" + " *\n"
SCRIPT = f"""\
{IMPORT}
patch("click")
tempo({BPM:g})


def voice(place):
    @loop(name=f"voice {{place}}")
    def body():
        yield (2 * place + 1) / 32
        node("click").fire = 1
        yield 1 - (2 * place + 1) / 32


for place in range({LOOPS}):
    voice(place)
"""
"""One click of each loop a beat, `STEP` frames apart."""
QUANTUM = 1.0
"""Beats at whose multiples a saved version begins."""
PAUSES = 0.05, 0.45
"""Range of the random pause between a version's start and the next save, in seconds."""
TIMEOUT_SECONDS = 60.0


def main(swaps: int, seed: int, seconds: float) -> None:
    """Runs the bench. swaps: versions saved. seed: of their random times. seconds: length of the run without any."""
    runs = [run_script(f"{seconds:g} s, idle", 0, 0, seconds, seed), run_script(f"{seconds:g} s", 0, 1, seconds, seed)]
    runs.append(run_script(f"{swaps} versions", swaps, 1, 0.0, seed))
    table(
        f"{LOOPS} loops at {BPM:g} bpm, headless at 256: clicks in the recording",
        ("run", "busy processes", "clicks", "missing", "others", "largest error", "late", "missed blocks", "load"),
        [(r["run"], r["busy"], r["clicks"], r["missing"], r["others"], r["worst"], r["late"], r["missed_blocks"],
          r["load"]) for r in runs],
    )  # fmt: skip
    saved = runs[-1]
    if saved["swaps"]:
        table(
            f"{saved['swaps']} saves at random moments, every {QUANTUM:g} beat: until the version begins, ms",
            ("", "p50", "p99", "max"),
            [("from the save", *saved["wait_ms"].values()), ("from the bar line after it", *saved["over_ms"].values())],
        )
    finish("live", {"seed": seed, "runs": runs})


def run_script(run: str, swaps: int, busy: int, seconds: float, seed: int) -> dict[str, Any]:
    """Performs the script on a server for at least `seconds`, and finds the clicks in the recording."""
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name, run_busy_cores(busy):
        out = Path(name) / "out.wav"
        with ServerProcess("--live", "--audio", "headless", "--patch", "click", "--record", str(out)) as server:
            before = server.status()
            waits, overs = _run(server, swaps, seconds, random)
            server.request("POST", "/api/live/stop", {})
            time.sleep(0.5)
            after = server.status()
        at = onsets(out)
    return {
        "run": run,
        "busy": busy,
        "swaps": len(waits),
        "load": os.getloadavg()[0],
        **_count_clicks(at),
        "late": after["late"] - before["late"],
        "missed_blocks": after["missed_blocks"] - before["missed_blocks"],
        "wait_ms": percentiles(waits) if waits else {},
        "over_ms": percentiles(overs) if overs else {},
    }


def _run(
    server: ServerProcess, swaps: int, seconds: float, random: np.random.Generator
) -> tuple[list[float], list[float]]:
    """Runs versions of the script; returns the milliseconds until each begins, and those after the next bar line."""
    begin(server, 0)
    end = time.monotonic() + seconds + 2.0
    time.sleep(2.0)
    waits: list[float] = []
    overs: list[float] = []
    for version in range(1, swaps + 1):
        asked = beat(server)
        begins = begin(server, version)
        waits.append((begins - asked) * 60e3 / BPM)
        overs.append((begins - math.ceil(asked / QUANTUM) * QUANTUM) * 60e3 / BPM)
        time.sleep(max(0.0, (begins - beat(server)) * 60.0 / BPM) + float(random.uniform(*PAUSES)))
    time.sleep(max(0.0, end - time.monotonic()))
    return waits, overs


def beat(server: ServerProcess) -> float:
    """The server's beat."""
    return float(server.ask("/beat")[1][0])


def begin(server: ServerProcess, version: int) -> float:
    """Runs a version of the script; returns the beat at which it begins."""
    body = {"text": f"{SCRIPT}# {version}\n", "version": version + 1, "quantum": QUANTUM}
    server.request("POST", "/api/live/eval", body)
    until = time.monotonic() + TIMEOUT_SECONDS
    while (state := server.request("GET", "/api/live")[1])["version"] != version + 1:
        if state["fault"] or time.monotonic() > until:
            raise RuntimeError(f"version {version} does not begin: {state}")
        time.sleep(0.02)
    return float(state["begins"])


def _count_clicks(at: NDArray[np.int64]) -> dict[str, int]:
    """Numbers of found, missing and surplus clicks against the expected ones."""
    if not len(at):
        return {"clicks": 0, "missing": 0, "others": 0, "worst": -1}
    places = at - at[0]
    beats, rest = np.divmod(places + STEP // 2, BEAT)
    loops, error = np.divmod(rest, STEP)
    error -= STEP // 2
    right = loops < LOOPS
    whole = int(beats[-1])  # the last beat may be cut off
    want = {(beat, loop) for beat in range(whole) for loop in range(LOOPS)}
    found = set(zip(beats[right].tolist(), loops[right].tolist(), strict=True))
    return {
        "clicks": len(at),
        "missing": len(want - found),
        "others": int(len(at) - len(found)),
        "worst": int(np.abs(error[right]).max(initial=0)),
    }
