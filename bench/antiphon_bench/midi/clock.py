"""How exactly a MIDI clock is followed, and how evenly one is led, through a JACK server with the dummy driver.

Engine and gear have one clock, JACK's, so that frames can be compared. Followed: the gear sends ticks at 132 bpm, to
the frame or early and late by an even distribution; a metronome's clicks are recorded. A click's error is its frame
less that of its beat's undisturbed tick, less the median of all, which is the constant latency. Beside it, from the
same ticks: the error of the tempo by the mean of the last 24 intervals. Led: the frames of the ticks that come, less
the line through them. Where JACK slips, because the machine is busy, it counts as an error: `missed` says so.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from antiphon_bench import jackd
from antiphon_bench.midi.gear import Gear
from antiphon_bench.report import finish, percentiles, table
from antiphon_bench.rig import ServerProcess
from antiphon_midi import messages as midi
from antiphon_midi.clock.ticks import PPQN, TickLoop

RATE, BLOCK, BPM = 48000, 256, 132.0
PATCH = """format = 1
[nodes.click]
type = "metronome"
level = 1.0
[wires]
"in" = "click"
"click" = "out"
"""
SETTLED = 4
"""Beats after the start that are not judged."""
PATIENCE = 20.0


def main(seconds: float, seed: int) -> None:
    """Runs the bench.

    Args:
        seconds: Seconds of each run.
        seed: Random seed of the jitter.
    """
    runs = [follow_clock(seconds, jitter, seed) for jitter in (0.0, 0.001, 0.002)]
    table(
        f"followed at {BPM:g} bpm, {seconds:g} s each: ms from beat to click, and the tempo's error in %, after "
        f"{SETTLED} beats",
        ("jitter ms", "beats", "p50", "p99", "max", "tempo p50", "tempo max", "by 24 intervals p50", "max", "missed"),
        [(r["jitter"] * 1000, r["beats"], *r["click"].values(), r["tempo"]["p50"], r["tempo"]["max"],
          r["intervals"]["p50"], r["intervals"]["max"], r["missed"]) for r in runs],
    )  # fmt: skip
    lead = lead_clock(seconds)
    table(
        f"led at {BPM:g} bpm, {seconds:g} s: frames from the line",
        ("ticks", "p50", "p99", "max", "bpm", "late", "missed"),
        [(lead["ticks"], *lead["off"].values(), lead["bpm"], lead["late"], lead["missed"])],
    )
    load = os.getloadavg()[0]
    print(f"load {load:.1f}")
    finish("clock", {"seconds": seconds, "seed": seed, "load": load, "followed": runs, "led": lead})


def follow_clock(seconds: float, jitter: float, seed: int) -> dict[str, Any]:
    """Follows a clock whose ticks are up to `jitter` seconds off either way."""
    draw, period = random.Random(seed), RATE * 60.0 / (BPM * PPQN)
    exact = [n * period for n in range(round(seconds * RATE / period))]
    off = [draw.uniform(-jitter, jitter) * RATE for _ in exact]
    with tempfile.TemporaryDirectory() as folder, jackd.dummy(RATE, BLOCK) as env, found_by(env):
        options = ("--midi-in", "bench-gear", "--midi-clock", "follow", "--record", f"{folder}/out.wav")
        with Gear("bench-gear") as gear, serve_metronome(folder, env, *options) as server:
            wait_for(server, "ports")
            begin = gear.now + RATE // 2
            gear.send([(begin - 10, bytes((midi.START,)))])
            gear.send([(begin + round(at + late), bytes((midi.TICK,))) for at, late in zip(exact, off, strict=True)])
            # by JACK's frames: where the machine is busy they take longer than the clock on the wall
            while gear.now < begin + exact[-1] + RATE:
                time.sleep(0.1)
            status = server.status()
            slipped = gear.slipped
        sound = soundfile.read(f"{folder}/out.wav", dtype="float32", always_2d=True)[0][:, 0]
    beats, clicks = np.array(exact[::PPQN]), onsets(sound)
    errors = best_match(clicks, beats[SETTLED:])
    tempo, intervals = tempo_errors([at + late for at, late in zip(exact, off, strict=True)])
    return {
        "jitter": jitter,
        "beats": len(errors),
        "click": percentiles(np.abs(errors) * 1000.0 / RATE),
        "tempo": tempo,
        "intervals": intervals,
        "missed": status["missed_blocks"],
        "slipped": slipped,
        "clock": status["midi"]["clock"],
    }


def lead_clock(seconds: float) -> dict[str, Any]:
    """Records the clock that the server sends."""
    with tempfile.TemporaryDirectory() as folder, jackd.dummy(RATE, BLOCK) as env, found_by(env):
        options = ("--midi-out", "bench-gear", "--midi-clock", "lead")
        with Gear("bench-gear") as gear, serve_metronome(folder, env, *options) as server:
            wait_for(server, "outputs")
            server.send("/tempo", BPM)
            time.sleep(2.0)
            del gear.heard[:]
            time.sleep(seconds)
            found = [at for at, data in gear.heard if data == bytes((midi.TICK,))]
            status = server.status()
    at = np.array(found, float)
    number = np.arange(len(at))
    slope, first = np.polyfit(number, at, 1)
    clock = status["midi"]["clock"]
    return {
        "ticks": len(at),
        "off": percentiles(np.abs(at - first - slope * number)),
        "late": clock["late"],
        "bpm": 60.0 * RATE / (PPQN * float(slope)),
        "missed": status["missed_blocks"],
    }


@contextmanager
def found_by(env: dict[str, str]) -> Iterator[None]:
    """This process's JACK clients find the server of `env`."""
    before = dict(os.environ)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def serve_metronome(folder: str, env: dict[str, str], *options: str) -> ServerProcess:
    """A server on JACK with a metronome and nothing else."""
    patch = Path(folder) / "click.toml"
    patch.write_text(PATCH, encoding="utf-8")
    return ServerProcess("--audio", "jack", "--muted", "--patch", str(patch), *options, env=env)


def wait_for(server: ServerProcess, side: str) -> None:
    """Until the server has opened the gear's port."""
    deadline = time.monotonic() + PATIENCE
    while not server.status()["midi"][side]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the server opened no port in {PATIENCE:g} s: {server.status()['midi']}")
        time.sleep(0.1)


def onsets(sound: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, Any]:
    """First frames of the clicks, which begin at their largest sample after silence."""
    loud = np.flatnonzero(np.abs(sound) > 0.3)
    return loud[np.diff(loud, prepend=-RATE) > RATE // 10]


def best_match(clicks: np.ndarray[Any, Any], beats: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Frames by which clicks are off their beats, for the first click at which they agree best."""
    best: tuple[float, Any] = (np.inf, None)
    for first in range(len(clicks) - len(beats) + 1):
        errors = clicks[first : first + len(beats)] - beats
        errors = errors - np.median(errors)
        best = min(best, (float(np.median(np.abs(errors))), first))
    if best[1] is None:
        raise RuntimeError(f"{len(clicks)} clicks were recorded of {len(beats)} beats")
    errors = clicks[best[1] : best[1] + len(beats)] - beats
    return np.asarray(errors - np.median(errors))


def tempo_errors(frames: Sequence[float]) -> tuple[dict[str, float], dict[str, float]]:
    """Errors of the tempo in %, at each beat after `SETTLED`: of the loop, and of the mean of 24 intervals."""
    loop = TickLoop()
    by_loop, by_intervals = [], []
    for n, at in enumerate(frames):
        loop.tick(round(at * 1e9 / RATE))
        if n > SETTLED * PPQN and n % PPQN == 0:
            by_loop.append(abs(loop.bpm / BPM - 1.0) * 100.0)
            bpm = 60.0 * RATE / (at - frames[n - PPQN])
            by_intervals.append(abs(bpm / BPM - 1.0) * 100.0)
    return percentiles(by_loop), percentiles(by_intervals)
