"""`antiphon bench supercollider`: scsynth through Antiphon beside a bare scsynth on the same jackd, in the same run."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from antiphon import ownjack, resources
from antiphon.bench.report import finish, percentiles, table
from antiphon.bench.rig import Server, bundle, message, ntp
from antiphon.block import Samples
from antiphon.errors import UsageError
from antiphon.processor import Event
from antiphon.settings import ServeSettings
from antiphon.synth.backend import SynthSettings
from antiphon.synth.sc.keeper import CLOCK_GROUP, ECHO_NODE, VOICES_GROUP
from antiphon.synth.sc.server import Server as Scsynth
from antiphon.synth.sc.timing import delay
from antiphon.synth.sc.wires import ECHO, Wires
from antiphon.wire import osc

RATE = 48000
PLAYED, AT_ONCE, SEQUENCED, KILLS = 400, 5000, 1000, 20
APART = 4800
"""Frames between sequenced notes, about."""
CLICK, DEFINITION = 32, "antiphon_rim"
"""A key of the kit that is silent again long before the next, and its definition."""
RING = 2400
"""Frames after which it is."""
BLOCKS = (64, 256)


def main(seconds: float, seed: int = 1, limit: int = 0) -> None:
    """seconds: of sequenced notes; 0 for all. limit: kills."""
    notes = min(SEQUENCED, int(seconds * RATE / APART)) if seconds else SEQUENCED
    found = [_in_a_process(block, seed, notes, limit or KILLS) for block in BLOCKS]
    table(
        "played note to /n_go, ms", ["", "frames", "notes", "p50", "p99", "max"],
        [[who, p["block"], p["played"][who]["notes"], *(p["played"][who][k] for k in ("p50", "p99", "max"))]
         for p in found for who in ("antiphon", "bare")],
    )  # fmt: skip
    table(
        "5,000 notes at once", ["", "frames", "sent", "confirmed", "dropped"],
        [[who, p["block"], *(p["at_once"][who][k] for k in ("sent", "confirmed", "dropped"))]
         for p in found for who in ("antiphon", "bare")],
    )  # fmt: skip
    table(
        "sequenced onsets in the returned audio, samples away from a constant",
        ["", "frames", "notes", "found", "off by 0", "std", "largest"],
        [[who, p["block"], *(p["onsets"][who][k] for k in ("notes", "found", "exact", "std", "largest"))]
         for p in found for who in ("antiphon", "bare, timetags")],
    )  # fmt: skip
    for p in found:
        counted = ", ".join(f"{k} {v}" for k, v in p["onsets"]["antiphon"]["counted"].items())
        print(f"{p['block']} frames, counted meanwhile: {counted}")
    table(
        "kill -9 of scsynth while a note sounds", ["frames", "kills", "back, ms p50", "max", "gap, samples p50", "max"],
        [[p["block"], p["kills"]["kills"], p["kills"]["back"]["p50"], p["kills"]["back"]["max"],
          p["kills"]["gap"]["p50"], p["kills"]["gap"]["max"]] for p in found],
    )  # fmt: skip
    finish("supercollider", {"seed": seed, "blocks": found})


def _in_a_process(block: int, seed: int, notes: int, kills: int) -> dict[str, Any]:
    """JACK's library does not forget a server that has gone: a jackd, a process."""
    done = subprocess.run(
        [sys.executable, "-m", "antiphon.bench.supercollider", str(block), str(seed), str(notes), str(kills)],
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise UsageError("the bench needs scsynth and jackd: sudo apt-get install supercollider-server jackd2")
    return dict(json.loads(lines[-1]))


def run(block: int, seed: int, notes: int, kills: int) -> dict[str, Any]:
    os.environ.setdefault(ownjack.NAME, ownjack.DEFAULT)
    settings = ServeSettings(audio="headless", synth="supercollider", block=block)
    _found, jackd = ownjack.find(settings)
    try:
        with _bare(block) as (bare, wires), tempfile.TemporaryDirectory(prefix="antiphon-bench-") as name:
            home = Path(name)
            patch = 'format = 1\n[nodes.keys]\ntype = "synth"\ninstrument = "drums"\n[wires]\n"keys" = "out"\n'
            (home / "keys.toml").write_text(patch)
            options = ("--audio", "headless", "--synth", "supercollider", "--block", str(block), "--patch")
            with Server(
                *options, str(home / "keys.toml"), "--session", str(home / "set"), home=home, wait=60
            ) as server:
                _running(server)
                counted = sequenced(server, seed, notes)
                played = {"antiphon": answered(server, seed), "bare": answered_bare(bare, seed)}
                at_once = {"antiphon": burst(server)}
            onsets = {"antiphon": {**onsets_of(home / "set", notes), "counted": counted}}
            onsets["bare, timetags"] = onsets_of_bare(bare, wires, seed, notes)
            at_once["bare"] = burst_bare(bare, block)
        return {
            "block": block, "played": played, "at_once": at_once, "onsets": onsets,
            "kills": killed(block, kills),
        }  # fmt: skip
    finally:
        if jackd:
            os.kill(jackd, signal.SIGTERM)
            os.waitpid(jackd, 0)


@contextmanager
def _bare(block: int) -> Iterator[tuple[Scsynth, Wires]]:
    """A scsynth with our SynthDefs that nobody but the bench speaks to, wired so that its sound comes back numbered."""
    wires = Wires("antiphon-bench-wires", 1, 5.0)
    server = Scsynth("antiphon-bench-scsynth", block, ECHO, ECHO + 2, resources.supercollider())
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


def _running(server: Server) -> None:
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        synth = server.status()["synth"]
        if synth and synth["state"] == "running" and synth["pid"]:
            time.sleep(1.0)
            return
        time.sleep(0.05)
    raise RuntimeError(f"scsynth does not run: {server.status()['synth']}")


# ---- played notes


def answered(server: Server, seed: int) -> dict[str, Any]:
    """From `/note/on` sent to Antiphon until scsynth says `/n_go` to the bench, which listens too; ms."""
    words = Path(f"/proc/{server.status()['synth']['pid']}/cmdline").read_bytes().split(b"\0")
    port = int(words[words.index(b"-u") + 1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.sendto(osc.encode("/notify", 1), ("127.0.0.1", port))
        time.sleep(0.2)
        packet = message("/note/on", CLICK, 100)
        found = _times(ear, lambda _node: server.send_raw(packet), seed)
        ear.sendto(osc.encode("/notify", 0), ("127.0.0.1", port))
    return found


def answered_bare(server: Scsynth, seed: int) -> dict[str, Any]:
    def play(node: int) -> None:
        server.send("/s_new", DEFINITION, node, 1, VOICES_GROUP, "decay", 0.02, "out", float(ECHO))

    return _times(server.socket, play, seed)


def _times(ear: socket.socket, play: Any, seed: int) -> dict[str, Any]:
    rng, took, lost = np.random.default_rng(seed), [], 0
    ear.setblocking(False)
    for n in range(PLAYED):
        time.sleep(0.02 + 0.02 * rng.random())
        _heard(ear)
        began = time.perf_counter_ns()
        play(100_000 + n)
        until = time.monotonic() + 0.5
        gone = False
        while not gone and time.monotonic() < until:
            select.select((ear,), (), (), 0.1)
            gone = _heard(ear) > 0
        if gone:
            took.append((time.perf_counter_ns() - began) / 1e6)
        lost += not gone
    return {"notes": len(took), "lost": lost, **percentiles(took or [float("nan")])}


def _heard(ear: socket.socket) -> int:
    """How many /n_go wait there."""
    count = 0
    while True:
        try:
            packet = ear.recv(65536)
        except BlockingIOError:
            return count
        count += packet.startswith(b"/n_go\0")


def burst(server: Server) -> dict[str, int]:
    before = server.status()["synth"]["notes"]
    note = message("/note/on", CLICK, 100)
    for _ in range(AT_ONCE // 100):
        server.send_raw(bundle(1, *[note] * 100))
    deadline = time.monotonic() + 10.0
    while True:
        after = server.status()["synth"]["notes"]
        told = {k: after[k] - before[k] for k in ("sent", "confirmed", "dropped")}
        if told["confirmed"] + told["dropped"] >= AT_ONCE or time.monotonic() > deadline:
            return told
        time.sleep(0.1)


def burst_bare(server: Scsynth, block: int) -> dict[str, int]:
    """As fast as Antiphon hands them on: what comes faster overruns scsynth's socket."""
    server.replies()
    confirmed, together = 0, max(1, block // 4)
    for n in range(AT_ONCE):
        server.send("/s_new", DEFINITION, 200_000 + n, 1, VOICES_GROUP, "decay", 0.02, "out", float(ECHO))
        if n % together == 0:
            time.sleep(block / RATE)
            confirmed += _heard(server.socket)
    until = time.monotonic() + 3.0
    while time.monotonic() < until and confirmed < AT_ONCE:
        select.select((server.socket,), (), (), 0.1)
        confirmed += _heard(server.socket)
    return {"sent": AT_ONCE, "confirmed": confirmed, "dropped": AT_ONCE - confirmed}


# ---- sequenced notes


def _offsets(seed: int, count: int) -> list[int]:
    rng = np.random.default_rng(seed)
    return (np.arange(count) * APART + rng.integers(0, APART // 8, count)).tolist()  # type: ignore[no-any-return]


def sequenced(server: Server, seed: int, count: int) -> dict[str, int]:
    """Timetagged 200 ms ahead and more; what the server then counts."""
    began, offsets = time.time() + 0.5, _offsets(seed, count)
    for offset in offsets:
        while began + offset / RATE - time.time() > 1.0:
            time.sleep(0.01)
        server.send_raw(bundle(ntp(began, offset, RATE), message("/note/on", CLICK, 100)))
    time.sleep(max(0.0, began + offsets[-1] / RATE + 0.5 - time.time()))
    status = server.status()
    synth = status["synth"]
    return {
        "missed_blocks": status["missed_blocks"], "late": synth["notes"]["late"], "unheard": synth["unheard"],
        "misses": synth["misses"], "moved": synth["moved"], "xruns": status["device_xruns"],
    }  # fmt: skip


def onsets_of(folder: Path, count: int) -> dict[str, Any]:
    """Where each of the first `count` notes is heard in the recording, beside where the engine took it."""
    lines = [json.loads(line) for line in (folder / "session.jsonl").read_text().splitlines()]
    first = next(line["sample"] for line in lines if "engine" in line)
    asked = [line["sample"] - first for line in lines if line.get("op") == "note_on"][:count]
    heard = np.abs(soundfile.read(folder / "output.wav", dtype="float32", always_2d=True)[0]).max(axis=1)
    return _away(heard, asked)


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
    return _away(np.abs(np.concatenate(pieces, axis=1)).max(axis=0), asked)


def _away(heard: Samples, asked: list[int]) -> dict[str, Any]:
    """Onsets, the first frame after silence, against what was asked, up to the constant most of them share."""
    loud = np.flatnonzero(heard > 1e-4)
    begins = loud[np.diff(loud, prepend=-RING) > RING // 2]
    if not len(begins):
        return {"notes": len(asked), "found": 0, "exact": 0, "std": float("nan"), "largest": -1, "constant": 0}
    constant = int(begins[0]) - asked[0]
    near = begins[np.minimum(np.searchsorted(begins, np.asarray(asked) + constant - APART // 2), len(begins) - 1)]
    away = near - np.asarray(asked)
    values, counts = np.unique(away, return_counts=True)
    constant = int(values[np.argmax(counts)])
    away = away - constant
    away = away[np.abs(away) < APART // 2]
    return {
        "notes": len(asked), "found": len(away), "exact": int(np.count_nonzero(away == 0)),
        "std": float(away.std()), "largest": int(np.abs(away).max()), "constant": constant,
    }  # fmt: skip


# ---- deaths


def killed(block: int, kills: int) -> dict[str, Any]:
    """Strings held by a backend that is clocked as the engine would; back: until another is put to work, ms."""
    from antiphon.synth.sc.backend import SuperCollider

    backend = SuperCollider(RATE, block, 1, restarts=10_000)
    out = np.zeros((1, 2, block), np.float32)
    active = np.ones(1, np.bool_)
    back, gaps = [], []
    try:
        backend.open(0, SynthSettings("strings"))
        hop = 0
        due = backend._wires.counter

        def play(seconds: float, events: list[Event]) -> Samples:
            nonlocal hop, due
            heard = []
            for _ in range(round(seconds * RATE / block)):
                due += block
                while backend._wires.counter < due:
                    time.sleep(0.0003)
                backend.play(0, hop * block, events)
                backend.render(out, active)
                heard.append(np.abs(out[0]).max(axis=0))
                events, hop = [], hop + 1
            return np.concatenate(heard)

        play(1.5, [Event("on", 0, 60, 0.8)])
        for _ in range(kills):
            level = float(np.median(play(0.5, [])))
            pid, moment = backend.counts.pid, time.monotonic_ns()
            os.kill(pid, signal.SIGKILL)
            heard = play(2.5, [])
            back.append((backend.counts.switched_ns - moment) / 1e6)
            loud = np.flatnonzero(heard > 0.3 * level)
            gaps.append(int(np.diff(loud, prepend=0).max(initial=0)))
    finally:
        backend.shut()
    return {"kills": kills, "back": percentiles(back), "gap": percentiles(gaps), "delay": delay(RATE, block)}


if __name__ == "__main__":
    print(json.dumps(run(*(int(word) for word in sys.argv[1:5]))), flush=True)
