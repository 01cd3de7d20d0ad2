"""`bench follow`: the cost and latency of the `follow` node, and missed blocks on a stage with and without it.

Latency is the time from an early beat until the node's clock reacts to it. The node plays two performances of one
player; in the second the last beat is early. Its outputs are equal until the sounds differ; where the outputs differ,
the clock has reacted. Latency and cost (processor time) are rendered, so a busy machine changes neither. On the stage a
server at a dummy JACK, in class FIFO if permitted, follows a player whose tempo wanders, beside processes that load
both cores; patches with and without the node take turns.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from antiphon.api import F64, AntiphonError, Event, Samples, StreamSpec
from antiphon.api.backends.rendering import load_plugins
from antiphon.testing import render
from antiphon_bench import rig
from antiphon_bench.engine import can_use_fifo
from antiphon_bench.rig import ServerProcess, bundle, finish, message, ntp, percentiles, run_busy_cores, table

RATE, BLOCK = 48000, 256
BPM, RANGE, BEATS, EARLY = 100.0, "70-180", 24, 0.05
"""Tempo, search range without its half and double, beats before the early one, and seconds by which that is early."""
CHORD = (48, 64, 67)
HOGS, TURN, SETTLE, AHEAD = 2, 30.0, 10.0, 0.3
"""Processes that each load a core; seconds of a turn; seconds at its start in which a new patch settles; seconds by
which notes are sent ahead."""
PATCH = """format = 1
tempo = 100
[nodes.click]
type = "metronome"
on = true
[nodes.keys]
type = "sampler"
s = "piano"
pads = "pitch"
base = 60
[wires]
"click" = "out"
"keys" = "out"
"""
LED = '[nodes.follow]\ndrive = "beat"\n'
PATCHES = {
    "without": PATCH,
    "notes": PATCH.replace("[wires]", f"{LED}[wires]"),
    "sound": PATCH.replace("[wires]", f"{LED}[wires]").replace('"keys" = "out"', '"keys" = ["out", "follow"]'),
}
"""Patches that take turns; the last follows the player's sound alone."""

Play = Callable[[F64], tuple[Samples, list[Event]]]
"""Makes sound and notes from the times of beats in seconds."""


def main(count: int, seed: int, seconds: float) -> None:
    """Runs the bench with `count` performances of each kind, and `seconds` of each patch on the stage."""
    rng = np.random.default_rng(seed)
    rows = {name: [latency(play, float(rng.uniform(0.2, 0.8))) for _ in range(count)] for name, play in KINDS.items()}
    found = {name: percentiles(values) for name, values in rows.items()}
    table(
        f"{count} performances at {BPM:g} bpm, blocks of {BLOCK}: from the beat until the clock differs, ms",
        ("player", "p50", "max"),
        [(name, one["p50"], one["max"]) for name, one in found.items()],
    )
    costs = {name: cost(play) for name, play in KINDS.items()}
    table("Processor time of the node, % of a core", ("player", "%"), list(costs.items()))
    turns = stage(seconds, rng) if rig.is_installed() else {}
    table(
        f"{seconds:g} s of a wandering player for each, JACK's dummy at {BLOCK} frames, {HOGS} busy processes",
        ("follow", "blocks", "missed", "late", "JACK skipped", "followed %", "machine's load"),
        [(name, *row.values()) for name, row in turns.items()],
    )
    finish("follow", {"seed": seed, "latency": found, "cost": costs, "stage": turns})


def cost(play: Play) -> float:
    """Percent of a core that rendering the node takes, including its worker."""
    sound, notes = play(np.asarray(0.5 + 60.0 / BPM * np.arange(BEATS + 1), np.float64))
    spent = []
    for _ in range(2):  # the first compiles
        begun = time.process_time()
        _ramp(sound, notes, {})
        spent.append(time.process_time() - begun)
    return float(100.0 * spent[-1] * RATE / sound.shape[1])


def stage(seconds: float, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """Counters of a server by patch, taken in turns, while a player's tempo wanders by up to a fifth."""
    counts = {name: dict.fromkeys(("blocks", "missed_blocks", "late_blocks", "device_xruns"), 0.0) for name in PATCHES}
    shares: dict[str, list[float]] = {name: [] for name in PATCHES}
    loads: dict[str, list[float]] = {name: [] for name in PATCHES}
    with tempfile.TemporaryDirectory(prefix="antiphon-") as held, rig.dummy(RATE, BLOCK) as env:
        folder = Path(held) / "data" / "patches"
        folder.mkdir(parents=True)
        for name, text in PATCHES.items():
            (folder / f"stage-{name}.toml").write_text(text)
        options: tuple[str, ...] = ("--audio", "jack", "--rate", str(RATE), "--block", str(BLOCK))
        options += ("--patch", "stage-without")
        options += ("--fifo",) if can_use_fifo() else ()
        with ServerProcess(*options, env=env, home=Path(held), wait=300.0) as server, run_busy_cores(HOGS):
            length = min(TURN, seconds)
            for turn in range(max(1, round(seconds / length)) * len(PATCHES)):
                name = list(PATCHES)[turn % len(PATCHES)]
                if (answer := server.ask("/patch/load", f"stage-{name}"))[0] != "/done":
                    raise AntiphonError(f"stage-{name} was not loaded: {answer}")
                wander(server, name, SETTLE, rng)
                before = server.status()
                shares[name] += wander(server, name, length, rng)
                after = server.status()
                loads[name].append(os.getloadavg()[0])
                for key in counts[name]:
                    counts[name][key] += after.get(key, 0) - before.get(key, 0)
    return {
        name: {
            **counts[name],
            "followed": 100.0 * float(np.mean(shares[name] or [0.0])),
            "load": float(np.mean(loads[name])),
        }
        for name in PATCHES
    }


def wander(server: ServerProcess, name: str, seconds: float, rng: np.random.Generator) -> list[float]:
    """Plays chords at a wandering tempo; returns for each beat whether the node led the clock at that time."""
    at, bpm, led = time.time() + AHEAD, BPM, list[float]()
    end = at + seconds
    while at < end:
        time.sleep(max(0.0, at - AHEAD - time.time()))
        for key in CHORD:
            node = ("keys",) if name == "sound" else ()
            server.send_raw(bundle(ntp(at), message("/note/on", key, 100, 1, *node)))
            server.send_raw(bundle(ntp(at + 0.25), message("/note/off", key, 0, 1, *node)))
        bpm = float(np.clip(bpm * np.exp(rng.normal(0.0, 0.02)), 0.8 * BPM, 1.2 * BPM))
        at += 60.0 / bpm
        if name != "without":
            led.append(float(server.ask("/node/follow/state")[1][0] == "following"))
    return led


def latency(play: Play, begin: float) -> float:
    """Milliseconds from the early beat of a player who begins at `begin` s to the end of the block that reacts to it.

    NaN if the outputs do not differ.
    """
    beats: F64 = np.asarray(begin + 60.0 / BPM * np.arange(BEATS + 1), np.float64)
    early = beats.copy()
    early[-1] -= EARLY
    one, other = (_ramp(*play(at), {"range": RANGE}) for at in (beats, early))
    parted = np.flatnonzero(np.abs(one - other) > 1e-6)
    known = (parted[0] // BLOCK + 1) * BLOCK / RATE if len(parted) else float("nan")
    return 1000.0 * float(known - early[-1])


def _ramp(sound: Samples, notes: list[Event], settings: dict[str, str]) -> Samples:
    node = load_plugins(check=False).make("follow")
    ramp: Samples = render(node, StreamSpec(RATE, BLOCK, 1), sound, settings, notes=notes).audio[0][0]
    return ramp


def _silence(beats: F64) -> Samples:
    return np.zeros((1, round((beats[0] + 60.0 / BPM * (BEATS + 1)) * RATE)), np.float32)


def keys(beats: F64) -> tuple[Samples, list[Event]]:
    """Returns keyboard chords at these beats, as sound and notes."""
    notes = [Event("on", round(float(at) * RATE), key, 0.7) for at in beats for key in CHORD]
    return _silence(beats), notes


def drums(beats: F64) -> tuple[Samples, list[Event]]:
    """Returns a bass drum and a snare in turn at these beats, as sound."""
    sound, size = _silence(beats), RATE // 5
    time = np.arange(size) / RATE
    noise = np.random.default_rng(1).standard_normal(size)
    for place, at in enumerate(beats):
        stroke = np.sin(2.0 * np.pi * 60.0 * time) if place % 2 == 0 else noise
        part = sound[0, round(float(at) * RATE) :][:size]
        part += (0.4 * np.exp(-30.0 * time) * stroke)[: len(part)].astype(np.float32)
    return sound, []


KINDS: dict[str, Play] = {"keys, MIDI": keys, "drums, sound": drums}
