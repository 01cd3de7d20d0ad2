"""Sequenced notes: where their onsets are in the sound that came back, beside where they were asked for."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from antiphon.api import Samples, osc
from antiphon_bench.rig import ServerProcess, bundle, message, ntp
from antiphon_supercollider.scsynth.jack_bridge import ECHO, Wires
from antiphon_supercollider.scsynth.scsynth_supervisor import VOICES_GROUP
from antiphon_supercollider.scsynth.server import Scsynth

RATE = 48000
APART = 4800
"""Frames between sequenced notes, about."""
CLICK, DEFINITION = 32, "antiphon_rim"
"""A key of the kit that is silent again long before the next, and its definition."""
RING = 3600
"""Frames after which it is, and some."""
QUIET = 300
"""Frames of silence before an onset."""


def _offsets(seed: int, count: int) -> list[int]:
    rng = np.random.default_rng(seed)
    return (np.arange(count) * APART + rng.integers(0, APART // 8, count)).tolist()  # type: ignore[no-any-return]


def play_sequence(server: ServerProcess, seed: int, notes: int) -> dict[str, int]:
    """Timetagged 200 ms ahead and more; what the server then counts."""
    began, offsets = time.time() + 0.5, _offsets(seed, notes)
    for offset in offsets:
        while began + offset / RATE - time.time() > 1.0:
            time.sleep(0.01)
        server.send_raw(bundle(ntp(began, offset, RATE), message("/note/on", CLICK, 100)))
    time.sleep(max(0.0, began + offsets[-1] / RATE + 0.5 - time.time()))
    deadline = time.monotonic() + 30.0
    # a clock that was held up has some of them before it still
    while server.status()["synth"]["notes"]["sent"] < notes and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    status = server.status()
    synth = status["synth"]
    return {
        "missed_blocks": status["missed_blocks"],
        "late": synth["notes"]["late"],
        "unheard": synth["unheard"],
        "misses": synth["misses"],
        "moved": synth["moved"],
        "xruns": status["device_xruns"],
    }


def onsets_of(folder: Path, count: int) -> dict[str, Any]:
    """Samples of the set's first `count` notes in its recording, beside those at which the engine applied them."""
    lines = [json.loads(line) for line in (folder / "session.jsonl").read_text().splitlines()]
    first = next(line["sample"] for line in lines if "engine" in line)
    asked = [line["sample"] - first for line in lines if line.get("op") == "note_on"][:count]
    sound = np.abs(soundfile.read(folder / "output.wav", dtype="float32", always_2d=True)[0]).max(axis=1)
    return away_from(sound, asked)


def onsets_of_bare(server: Scsynth, wires: Wires, seed: int, count: int) -> dict[str, Any]:
    """Bundles for scsynth's own clock, 200 ms ahead; its sound by the numbers it came back with."""
    asked = _offsets(seed, count)
    block = wires.block
    first = wires.came
    pieces: list[Samples] = []
    piece = np.zeros((2, block), np.float32)
    began, at, sent = time.time() + 0.5, first, 0
    until = began + asked[-1] / RATE + 0.5
    while time.time() < until:
        while sent < count and began + asked[sent] / RATE - time.time() < 0.2:
            new = osc.encode("/s_new", DEFINITION, 300_000 + sent, 1, VOICES_GROUP, "decay", 0.02, "out", float(ECHO))
            server.send_bytes(osc.encode_bundle(ntp(began, asked[sent], RATE), [new]))
            sent += 1
        while at + block <= wires.came:
            pieces.append(piece.copy() if wires.read(at, 0, piece) else np.zeros_like(piece))
            at += block
        time.sleep(0.002)
    return away_from(np.abs(np.concatenate(pieces, axis=1)).max(axis=0), asked)


def away_from(sound: Samples, asked: list[int]) -> dict[str, Any]:
    """Onsets, the first frame after silence, against what was asked, up to the constant most of them share.

    Where JACK's dummy clock was held up, notes that were timed by the wall's clock fall close together in frames, and
    one would be taken for the other: close counts those, which are not measured.
    """
    loud = np.flatnonzero(sound > 1e-4)
    begins = loud[np.diff(loud, prepend=-RING) > QUIET]
    at = np.asarray(asked)
    gaps = np.diff(at, prepend=at[0] - RING, append=at[-1] + RING)
    apart = at[(gaps[:-1] >= RING) & (gaps[1:] >= RING)]
    close = len(at) - len(apart)
    if not len(begins) or not len(apart):
        return {
            "notes": len(apart),
            "close": close,
            "found": 0,
            "exact": 0,
            "std": float("nan"),
            "largest": -1,
            "constant": 0,
        }
    behind = begins[np.minimum(np.searchsorted(begins, apart), len(begins) - 1)] - apart
    values, counts = np.unique(behind, return_counts=True)
    constant = int(values[np.argmax(counts)])
    after = np.searchsorted(begins, apart + constant - RING // 2)
    away = begins[np.minimum(after, len(begins) - 1)] - apart - constant
    away = away[np.abs(away) <= RING // 2]
    return {
        "notes": len(apart),
        "close": close,
        "found": len(away),
        "exact": int(np.count_nonzero(away == 0)),
        "std": float(away.std()) if len(away) else float("nan"),
        "largest": int(np.abs(away).max(initial=0)),
        "constant": constant,
    }
