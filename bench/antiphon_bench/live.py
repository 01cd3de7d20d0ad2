"""`bench live`: eight loops of a script, saved a thousand times while a core is busy: onsets from the recording."""

from __future__ import annotations

import math
import os
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.live.performance import Performance
from antiphon.live.reading import read
from antiphon.performer.branch import BranchProcesses
from antiphon.performer.performing import Performing
from antiphon.performer.player import Player
from antiphon.performer.scripts import Begin
from antiphon_bench.events import onsets
from antiphon_bench.report import finish, percentiles, table
from antiphon_bench.rig import ServerProcess, burner

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
DENSE_SCRIPT = f'{IMPORT}for n in range(16):\n    track(f"t{{n}}", s("bd*256"), on="drums")\n'
"""16 patterns of 64 events a beat."""
DENSE_BEATS = 16


def main(swaps: int, seed: int, seconds: float) -> None:
    """Runs the bench. swaps: versions saved. seed: of their moments. seconds: of the run without any."""
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
    rates = [run_alone(), play_performance()]
    table(
        "events a second of one script",
        ("", "events", "seconds", "events/s"),
        [(r["by"], r["events"], r["seconds"], r["events"] / r["seconds"]) for r in rates],
    )
    finish("live", {"seed": seed, "runs": runs, "rates": rates})


def run_script(run: str, swaps: int, busy: int, seconds: float, seed: int) -> dict[str, Any]:
    """Performs the script at a server, and finds the clicks in its recording.

    Args:
        seconds: Length at least.
    """
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name, burner(busy):
        path, out = Path(name) / "set.py", Path(name) / "out.wav"
        path.write_text(SCRIPT)
        with ServerProcess("--audio", "headless", "--patch", "click", "--record", str(out)) as server:
            performing = Performing(str(path), _silent, osc_port=server.osc, begin=Begin(QUANTUM))
            before = server.status()
            waits, overs = _saved(performing, path, swaps, seconds, random)
            performing.end()
            time.sleep(0.5)
            after = server.status()
        at = onsets(out)
    return {
        "run": run,
        "busy": busy,
        "swaps": len(waits),
        "load": _load(),
        **_compared(at),
        "late": after["late"] - before["late"],
        "missed_blocks": after["missed_blocks"] - before["missed_blocks"],
        "left_out": performing.player.out.late,
        "wait_ms": percentiles(waits) if waits else {},
        "over_ms": percentiles(overs) if overs else {},
    }


def _saved(
    performing: Performing, path: Path, swaps: int, seconds: float, random: np.random.Generator
) -> tuple[list[float], list[float]]:
    """Steps the performance and saves versions; the milliseconds from each save, and from the bar line after it."""
    player = performing.player
    waits: list[float] = []
    overs: list[float] = []
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not player.playing:
        performing.turn()
        if time.monotonic() > deadline:
            raise RuntimeError(f"the script does not play within {TIMEOUT_SECONDS:g} s")
    end, due = time.monotonic() + seconds + 2.0, time.monotonic() + 2.0
    taken, saved_at = player.swaps, 0.0
    while len(waits) < swaps or time.monotonic() < end:
        performing.turn()
        now = time.monotonic()
        if saved_at and player.swaps > taken:
            bar = math.ceil(saved_at / QUANTUM) * QUANTUM
            waits.append((player.begins - saved_at) * 60e3 / BPM)
            overs.append((player.begins - bar) * 60e3 / BPM)
            wait = (player.begins - performing.beat()) * 60.0 / BPM
            taken, saved_at, due = player.swaps, 0.0, now + max(0.0, wait) + float(random.uniform(*PAUSES))
        elif not saved_at and len(waits) < swaps and now >= due:
            saved_at = performing.beat()
            path.write_text(f"{SCRIPT}# {len(waits)}\n")
    return waits, overs


def _compared(at: NDArray[np.int64]) -> dict[str, int]:
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


def run_alone() -> dict[str, Any]:
    """Events of a dense script in virtual time, in this process."""
    performance = Performance(read("dense.py", DENSE_SCRIPT))
    begun = time.monotonic()
    events = sum(len(performance.until(Fraction(beat))) for beat in range(1, DENSE_BEATS + 1))
    return {"by": "in virtual time", "events": events, "seconds": time.monotonic() - begun}


def play_performance() -> dict[str, Any]:
    """Events of the dense script through the processes of a performance, up to sending, at full speed."""
    processes = BranchProcesses()
    player = Player("dense.py", processes, _silent)
    player.save(DENSE_SCRIPT)
    events, now = 0, 0.0
    begun = time.monotonic()
    while now < DENSE_BEATS + 4:
        if not player.playing:
            begun = time.monotonic()
        elif player.covered > now + 0.3:
            now += 1 / 32
        events += len(player.tick(now, 120.0))
        time.sleep(0.0005)
    spent = time.monotonic() - begun
    player.close()
    processes.close()
    return {"by": "performed, to what is sent", "events": events, "seconds": spent}


def _silent(sentence: str, picture: str = "", *, fault: bool = False) -> None:
    pass


def _load() -> float:
    return os.getloadavg()[0]
