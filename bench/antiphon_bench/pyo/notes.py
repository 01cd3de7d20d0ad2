"""`antiphon bench synth`: where notes begin, how many voices there are, and whether the piano is one."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from antiphon.api import Event, StreamSpec
from antiphon.api.synths import SynthSettings, SynthStepper, pack_events
from antiphon_bench.pyo import piano
from antiphon_bench.report import finish, percentiles, table
from antiphon_bench.rig import ServerProcess, bundle, message, ntp
from antiphon_pyo.info import PYO

RATE, BLOCK = 48000, 256
NOTES = 1000
APART = 4800
"""Frames from one note to the next, about."""
HAT = 42
QUIET = 1e-4
SHAPE, SEARCH = 512, 240
HOPS = 1500


def main(seconds: float, seed: int = 1) -> None:
    exact = [offline(seed), live(seed, max(20.0, seconds))]
    table(
        "onsets against the sample asked for (closed hats, after a constant)",
        ["", "notes", "found", "off by 0", "largest, samples"],
        [[e["where"], e["notes"], e["found"], e["exact"], e["largest"]] for e in exact],
    )
    costs = [voices(hop, nodes, seed) for hop in (64, 256) for nodes in (1, 2, 4, 8)]
    table(
        "a hop on one core, in shares of it",
        ["frames", "nodes", "voices", "p50", "p99", "max", "in time"],
        [[c["hop"], c["nodes"], c["voices"], c["p50"], c["p99"], c["max"], c["in_time"]] for c in costs],
    )
    rows = piano.rows()
    print(piano.text(rows))
    finish("synth", {"seed": seed, "onsets": exact, "cost": costs, "piano": rows})


def _moments(seed: int, count: int = NOTES) -> list[int]:
    rng = np.random.default_rng(seed)
    return (RATE + np.arange(count) * APART + rng.integers(0, APART // 4, count)).tolist()  # type: ignore[no-any-return]


def offline(seed: int) -> dict[str, Any]:
    """By `antiphon render`, the notes from a file of events."""
    from antiphon.api.commands import NoteOn, Sample
    from antiphon.api.rendering import load_plugins
    from antiphon.kernel.graph import patch
    from antiphon.offline.rendering import PlayerRunner
    from antiphon.offline.runner import process_stream

    loaded = load_plugins(check=False)
    asked = _moments(seed, NOTES)
    commands = [NoteOn(HAT, 0.8, 1, "drums", Sample(at)) for at in asked]
    graph = patch.parse(_patch(), loaded.catalog).graph
    runner = PlayerRunner(graph, loaded.catalog, loaded.make, StreamSpec(RATE, BLOCK, 2), 120.0, commands)
    blocks = process_stream((), runner, asked[-1] + RATE)
    sound = np.concatenate([block[0].copy() for block in blocks])
    return {"where": "offline", **_compare(sound, asked)}


def live(seed: int, seconds: float) -> dict[str, Any]:
    """Onsets on a server, by bundles with time tags sent ahead, measured in the recording of the set."""
    with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name:
        home = Path(name)
        (home / "drums.toml").write_text(_patch())
        set_folder = home / "set"
        options = ("--audio", "headless", "--patch", str(home / "drums.toml"), "--session", str(set_folder))
        count = min(NOTES, int(seconds * RATE / APART) - 10)
        with ServerProcess(*options, home=home) as server:
            offsets = [at - RATE for at in _moments(seed, count)]
            began = time.time() + 0.5
            for offset in offsets:
                tag = ntp(began, offset, RATE)
                server.send_raw(bundle(tag, message("/note/on", HAT, 100)))
                time.sleep(0.0005)
            time.sleep(max(0.0, began + offsets[-1] / RATE + 0.5 - time.time()))
        lines = [json.loads(line) for line in (set_folder / "session.jsonl").read_text().splitlines()]
        first = next(line["sample"] for line in lines if "engine" in line)
        asked = [line["sample"] - first for line in lines if line.get("op") == "note_on"]
        sound = soundfile.read(set_folder / "output.wav", dtype="float32", always_2d=True)[0][:, 0]
    # the bundle's tags name samples at whole distances: what the engine took is held against them too
    drift = np.diff(asked) - np.diff(offsets)
    return {"where": "live", "moved": int(np.abs(drift).max()), **_compare(sound, asked)}


def _patch() -> str:
    return 'format = 1\n[nodes.drums]\ntype = "synth"\ninstrument = "drums"\n[wires]\n"drums" = "out"\n'


def _compare(sound: Any, asked: Sequence[int]) -> dict[str, Any]:
    """Where each note lies, by correlation with the first, against what was asked, up to one constant."""
    loud = np.flatnonzero(np.abs(sound) > QUIET)
    begins = int(loud[0]) if len(loud) else 0
    shape = sound[begins : begins + SHAPE]
    constant, away = begins - asked[0], []
    for at in asked:
        start = at + constant - SEARCH
        part = sound[start : start + SHAPE + 2 * SEARCH]
        if start >= 0 and len(part) == SHAPE + 2 * SEARCH:
            away.append(int(np.argmax(np.correlate(part, shape))) - SEARCH)
    off = np.abs(away)
    return {
        "notes": len(asked),
        "found": len(away),
        "exact": int(np.count_nonzero(off == 0)),
        "largest": int(off.max(initial=0)),
        "latency": constant,
    }


def voices(hop: int, nodes: int, seed: int) -> dict[str, Any]:
    """What a hop costs with 32 voices sounding in each of some nodes, piano and strings in turn."""
    spec = PYO.worker(RATE, hop)
    stepper = SynthStepper(spec)
    stepper.warm()
    rng = np.random.default_rng(seed)
    for node in range(nodes):
        settings = SynthSettings("piano" if node % 2 == 0 else "strings")
        stepper.open(node, json.dumps(settings.to_json()))
    x = np.zeros((spec.slots, *spec.inputs), np.float32)
    y = np.zeros((spec.slots, *spec.outputs), np.float32)
    hops = np.full(spec.slots, -1, np.int64)
    spent = []
    for n in range(HOPS):
        for node in range(nodes):
            hops[node] = n
            chord = [Event("on", int(rng.integers(hop)), int(rng.integers(36, 96)), 0.7)] if n % 8 == node % 8 else []
            pack_events(n * hop, chord, x[node])
        began = time.perf_counter_ns()
        stepper.step(hops, x, y)
        if n >= HOPS // 3:
            spent.append((time.perf_counter_ns() - began) * RATE / (hop * 1e9))
    for node in range(nodes):
        stepper.close(node)
    in_time = sum(share < 1.0 for share in spent) / len(spent)
    return {"hop": hop, "nodes": nodes, "voices": nodes * 32, **percentiles(spent), "in_time": in_time}
