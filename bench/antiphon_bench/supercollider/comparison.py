"""`antiphon bench supercollider`: scsynth through Antiphon beside a bare scsynth on the same jackd, in the same run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from antiphon.api import EngineError, UsageError
from antiphon.api.files import built_in_folder
from antiphon.api.transports import ServeSettings
from antiphon.kernel.supervisor import jack_server
from antiphon_bench.report import finish, table
from antiphon_bench.rig import ServerProcess
from antiphon_bench.supercollider.clock import ENDS, kill_scsynth, kill_times
from antiphon_bench.supercollider.onsets import onsets_of, onsets_of_bare, play_sequence
from antiphon_bench.supercollider.pattern import patterns
from antiphon_bench.supercollider.played import answer_times, burst, burst_bare
from antiphon_supercollider.info import SUPERCOLLIDER
from antiphon_supercollider.scsynth.jack_bridge import ECHO, Wires
from antiphon_supercollider.scsynth.scsynth_supervisor import CLOCK_GROUP, ECHO_NODE, VOICES_GROUP
from antiphon_supercollider.scsynth.server import Scsynth

SEQUENCED, KILLS = 1000, 20
BLOCKS = (64, 256)
LONG = 256
"""Frames of a block in the long run."""
PATCH = 'format = 1\n[nodes.keys]\ntype = "synth"\ninstrument = "drums"\n[wires]\n"keys" = "out"\n'


def main(seconds: float, seed: int = 1, limit: int = 0) -> None:
    """seconds: of patterns from sclang, 0 for none; 600 are published.  limit: kills, and 50 notes each; 0 for all."""
    notes, kills, ends = SEQUENCED, KILLS, ENDS
    if limit:
        notes, kills, ends = min(notes, 50 * limit), min(kills, limit), min(ends, 10 * limit)
    results = [_in_a_process(block, seed, notes, kills, ends, 0.0) for block in BLOCKS]
    long = _in_a_process(LONG, seed, 0, 0, 0, seconds) if seconds else None
    _show(results)
    if long is not None:
        _show_long(long)
    finish("supercollider", {"seed": seed, "blocks": results, "patterns": long})


def _show(results: list[dict[str, Any]]) -> None:
    table(
        "played note to /n_go, ms",
        ["", "frames", "notes", "p50", "p99", "max"],
        [
            [who, p["block"], p["played"][who]["notes"], *(p["played"][who][k] for k in ("p50", "p99", "max"))]
            for p in results
            for who in ("antiphon", "bare")
        ],
    )
    table(
        "5,000 notes at once",
        ["", "frames", "sent", "confirmed", "dropped"],
        [
            [who, p["block"], *(p["at_once"][who][k] for k in ("sent", "confirmed", "dropped"))]
            for p in results
            for who in ("antiphon", "bare")
        ],
    )
    table(
        "sequenced onsets in the returned audio, samples away from a constant",
        ["", "frames", "notes", "too close", "found", "off by 0", "std", "largest"],
        [
            [who, p["block"], *(p["onsets"][who][k] for k in ("notes", "close", "found", "exact", "std", "largest"))]
            for p in results
            for who in ("antiphon", "bare, timetags")
        ],
    )
    for p in results:
        print(f"{p['block']} frames, counted meanwhile: {_counts(p['onsets']['antiphon']['counted'])}")
    table(
        "ends of notes in the returned audio",
        ["frames", "notes", "off by 0", "largest", "unheard", "late"],
        [[p["block"], *(p["ends"][k] for k in ("notes", "exact", "largest", "unheard", "late"))] for p in results],
    )
    table(
        "scsynth killed, or stopped, while a note sounds",
        ["", "frames", "n", "back, ms p50", "max", "gap, samples p50", "max", "clock held, ms p50", "max"],
        [
            [
                how,
                p["block"],
                p[how]["kills"],
                *(p[how][what][k] for what in ("back", "gap", "held") for k in ("p50", "max")),
            ]
            for how in ("kill -9", "stopped")
            for p in results
        ],
    )


def _show_long(long: dict[str, Any]) -> None:
    onsets, bare = long["onsets"], long["bare"]
    table(
        f"patterns from sclang at 100 ms of lookahead, {long['counted']['seconds']:g} s, {long['block']} frames",
        ["", "notes", "found", "off by 0", "too close", "std", "largest"],
        [
            ["antiphon", *(onsets[key] for key in ("notes", "found", "exact", "close", "std", "largest"))],
            ["bare, from a straight line", bare["asked"], bare["found"], "", "", bare["std"], bare["largest"]],
        ],
    )
    print(f"counted meanwhile: {_counts(long['counted'])}")


def _counts(counted: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in counted.items())


def _in_a_process(block: int, seed: int, notes: int, kills: int, ends: int, seconds: float) -> dict[str, Any]:
    """Each jackd needs a process of its own, because JACK's library keeps the state of a server that has ended."""
    asked = json.dumps([block, seed, notes, kills, ends, seconds])
    done = subprocess.run(
        [sys.executable, "-m", "antiphon_bench.supercollider.comparison", asked],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        if not (shutil.which("scsynth") and shutil.which("jackd")):
            raise UsageError("the bench needs scsynth and jackd: sudo apt-get install supercollider-server jackd2")
        raise EngineError("the bench has not come to its end; what is above says why")
    return dict(json.loads(lines[-1]))


def run(block: int, seed: int, notes: int, kills: int, ends: int, seconds: float) -> dict[str, Any]:
    """One jackd's worth: the short trials, or `seconds` of patterns."""
    os.environ.setdefault(jack_server.NAME, jack_server.DEFAULT)
    settings = ServeSettings(audio="headless", synth="supercollider", block=block)
    _found, jackd = jack_server.find(settings, SUPERCOLLIDER)
    try:
        with tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name:
            if seconds:
                return {"block": block, **_long(block, Path(name), seconds)}
            return {
                "block": block,
                **_short(block, Path(name), seed, notes),
                "ends": kill_times(block, seed, ends),
                "kill -9": kill_scsynth(block, kills),
                "stopped": kill_scsynth(block, kills, signal.SIGSTOP),
            }
    finally:
        if jackd:
            os.kill(jackd, signal.SIGTERM)
            os.waitpid(jackd, 0)


def _short(block: int, home: Path, seed: int, notes: int) -> dict[str, Any]:
    with _bare(block) as (bare, wires):
        with _antiphon(block, home) as server:
            counted = play_sequence(server, seed, notes)
            played = answer_times(server, bare, seed)
            at_once = {"antiphon": burst(server)}
        onsets = {"antiphon": {**onsets_of(home / "set", notes), "counted": counted}}
        onsets["bare, timetags"] = onsets_of_bare(bare, wires, seed, notes)
        at_once["bare"] = burst_bare(bare, block)
    return {"played": played, "at_once": at_once, "onsets": onsets}


def _long(block: int, home: Path, seconds: float) -> dict[str, Any]:
    with _bare(block) as (bare, wires):
        with _antiphon(block, home) as server:
            counted, beside = patterns(server, bare, wires, home, seconds)
        return {"counted": counted, "bare": beside, "onsets": onsets_of(home / "set", counted["notes"])}


@contextmanager
def _antiphon(block: int, home: Path) -> Iterator[ServerProcess]:
    """A server whose scsynth plays, its set kept in `set`."""
    (home / "keys.toml").write_text(PATCH)
    options = ("--audio", "headless", "--synth", "supercollider", "--block", str(block))
    with ServerProcess(
        *options, "--patch", str(home / "keys.toml"), "--session", str(home / "set"), home=home, wait=60
    ) as server:
        deadline = time.monotonic() + 30.0
        while time.monotonic() < deadline:
            synth = server.status()["synth"]
            if synth and synth["state"] == "running" and synth["pid"]:
                time.sleep(1.0)
                yield server
                return
            time.sleep(0.05)
        raise RuntimeError(f"scsynth does not run: {server.status()['synth']}")


@contextmanager
def _bare(block: int) -> Iterator[tuple[Scsynth, Wires]]:
    """A scsynth with our SynthDefs and no other client, connected so that its sound returns with frame numbers."""
    wires = Wires("antiphon-bench-wires", 1, 5.0)
    server = Scsynth("antiphon-bench-scsynth", block, ECHO, ECHO + 2, built_in_folder("supercollider"))
    try:
        server.boot()
        server.send("/g_new", CLOCK_GROUP, 0, 0, VOICES_GROUP, 3, CLOCK_GROUP)
        server.send("/s_new", "antiphon_send", ECHO_NODE, 0, CLOCK_GROUP, "in", float(ECHO + 2), "out", 0.0)
        server.sync()
        wires.join("antiphon-bench-scsynth")
        yield server, wires
    finally:
        server.close()
        wires.close()


if __name__ == "__main__":
    print(json.dumps(run(*json.loads(sys.argv[1]))), flush=True)
