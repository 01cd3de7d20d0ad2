"""The long run: sclang plays patterns ahead of time into Antiphon and into a bare scsynth beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import UsageError
from antiphon.api.files import built_in_folder
from antiphon_bench.rig import ServerProcess
from antiphon_bench.supercollider.onsets import CLICK, DEFINITION, QUIET, RATE, RING
from antiphon_supercollider.scsynth.jack_bridge import ECHO, Wires
from antiphon_supercollider.scsynth.scsynth_supervisor import VOICES_GROUP
from antiphon_supercollider.scsynth.server import Scsynth

AHEAD = 0.1
"""Seconds."""
DURATIONS = (0.2, 0.1, 0.12, 0.18, 0.28)
"""Seconds between notes, in turn."""
STARTING = 60.0
"""Seconds for sclang to compile its classes, and for what is left at the end."""
PLAYED = "ANTIPHON-PLAYED"


def _script(osc: int, bare: int, notes: int) -> str:
    """What sclang runs; osc, bare: ports."""
    return f"""
(
fork {{
    var a = Antiphon.local({osc}), bare = NetAddr("127.0.0.1", {bare}), node = 400000, durations, keys, players;
    durations = Pseq({list(DURATIONS)}, inf);
    keys = Pseq([{CLICK}], {notes});
    Event.addEventType(\\bare, {{
        node = node + 1;
        bare.sendBundle({AHEAD}, ["/s_new", "{DEFINITION}", node, 1, {VOICES_GROUP}, "decay", 0.02, "out", {ECHO}.0]);
    }});
    a.latency = {AHEAD};
    a.whenReady;
    a.subscribe;
    players = [
        Pbind(\\type, \\antiphon, \\antiphon, a, \\node, \\keys, \\midinote, keys, \\velocity, 100,
            \\dur, durations, \\sustain, 0.05),
        Pbind(\\type, \\bare, \\midinote, keys, \\dur, durations)
    ].collect {{ |pattern| pattern.play(TempoClock(1), quant: 0) }};
    while {{ players.any(_.isPlaying) }} {{ 0.1.wait }};
    1.0.wait;
    a.sync;
    "{PLAYED} % %".format(a.lates, a.failures).postln;
    0.exit;
}}
)
"""


def patterns(
    server: ServerProcess, bare: Scsynth, wires: Wires, home: Path, seconds: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plays for so long: what Antiphon counted meanwhile, and where the bare scsynth's notes were."""
    program = shutil.which("sclang")
    if program is None:
        raise UsageError("the patterns need sclang: sudo apt-get install supercollider-language")
    notes = int(seconds / (sum(DURATIONS) / len(DURATIONS)))
    script, config = home / "patterns.scd", home / "sclang.yaml"
    script.write_text(_script(server.osc, bare.address[1], notes))
    quark = built_in_folder("supercollider") / "Antiphon"
    config.write_text(f"includePaths:\n    - {quark}\nexcludePaths:\n    []\npostInlineWarnings: false\n")
    env = {
        **os.environ,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        # a Qt program with a browser in it, which as root asks for this, and without a screen for that
        "QTWEBENGINE_DISABLE_SANDBOX": "1",
        "QT_QPA_PLATFORM": "offscreen",
    }
    before, posted = server.status(), home / "posted.txt"
    with posted.open("w") as file:
        sclang = subprocess.Popen(
            [program, "-D", "-l", str(config), str(script)], env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        onsets = _listened(sclang, wires, seconds + STARTING)
    finally:
        if sclang.poll() is None:
            sclang.kill()
            sclang.wait()
    posts = [line.split() for line in posted.read_text(errors="replace").splitlines() if line.startswith(PLAYED)]
    if not posts:
        raise UsageError(f"sclang did not play: {posted.read_text(errors='replace')[-300:]}")
    after = server.status()
    counted = {
        "seconds": seconds,
        "notes": notes,
        "told_late": int(posts[0][1]),
        "failures": int(posts[0][2]),
        **{k: after[k] - before[k] for k in ("blocks", "missed_blocks", "late_blocks", "late")},
        "xruns": after["device_xruns"] - before["device_xruns"],
        **{k: after["synth"][k] - before["synth"][k] for k in ("misses", "unheard", "moved", "restarts")},
        **{f"notes_{k}": v - before["synth"]["notes"][k] for k, v in after["synth"]["notes"].items()},
    }
    return counted, {"asked": notes, **_along(onsets, notes)}


def _listened(sclang: subprocess.Popen[bytes], wires: Wires, most: float) -> list[int]:
    """Onsets in the bare scsynth's sound, by its frames, until sclang ends."""
    block, at, begins = wires.block, wires.came, []
    piece, last, until = np.zeros((2, wires.block), np.float32), wires.came - RING, time.monotonic() + most
    while sclang.poll() is None and time.monotonic() < until:
        while at + block <= wires.came:
            if wires.read(at, 0, piece):
                for place in np.flatnonzero(np.abs(piece).max(axis=0) > 1e-4).tolist():
                    if at + place - last > QUIET:
                        begins.append(at + place)
                    last = at + place
            at += block
        time.sleep(0.002)
    return begins


def _along(begins: list[int], notes: int) -> dict[str, Any]:
    """How far onsets are from where the pattern has them, by a clock of constant rate: the best line, in frames."""
    wanted = np.concatenate([[0.0], np.cumsum(np.resize(DURATIONS, max(0, notes - 1)))]) * RATE
    there = np.asarray(begins or [0], np.float64)
    offset, times = there[0], []
    for at in wanted:
        nearest = there[np.argmin(np.abs(there - at - offset))]
        if abs(nearest - at - offset) < RING / 2:
            # the two clocks drift apart
            offset = nearest - at
            times.append((at, offset))
    if len(times) < 3:
        return {"found": len(begins), "std": float("nan"), "largest": float("nan")}
    x = np.asarray(times)
    away = x[:, 1] - np.polyval(np.polyfit(x[:, 0], x[:, 1], 1), x[:, 0])
    return {"found": len(times), "std": float(away.std()), "largest": float(np.abs(away).max())}
