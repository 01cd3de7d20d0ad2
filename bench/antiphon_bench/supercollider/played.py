"""Played notes, one by one and all at once: when scsynth says that it plays them, by Antiphon and by itself."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import osc
from antiphon_bench.report import percentiles
from antiphon_bench.rig import ServerProcess, bundle, message
from antiphon_bench.supercollider.onsets import CLICK, DEFINITION, RATE
from antiphon_supercollider.scsynth.jack_bridge import ECHO
from antiphon_supercollider.scsynth.scsynth_supervisor import VOICES_GROUP
from antiphon_supercollider.scsynth.server import Scsynth

PLAYED, AT_ONCE = 400, 5000


def answer_times(server: ServerProcess, bare: Scsynth, seed: int) -> dict[str, dict[str, Any]]:
    """A note to Antiphon and one to the bare scsynth in turn: from sending it until `/n_go`, ms.

    The bench listens to Antiphon's scsynth as well.
    """
    words = Path(f"/proc/{server.status()['synth']['pid']}/cmdline").read_bytes().split(b"\0")
    port = int(words[words.index(b"-u") + 1])
    packet = message("/note/on", CLICK, 100)
    rng, nodes = np.random.default_rng(seed), count(100_000)
    took: dict[str, list[float]] = {"antiphon": [], "bare": []}
    lost = dict.fromkeys(took, 0)

    def play_bare() -> None:
        bare.send("/s_new", DEFINITION, next(nodes), 1, VOICES_GROUP, "decay", 0.02, "out", float(ECHO))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.setblocking(False)
        ear.sendto(osc.encode("/notify", 1), ("127.0.0.1", port))
        time.sleep(0.2)
        for _ in range(PLAYED):
            for who, mouth, play in (
                ("antiphon", ear, lambda: ear.sendto(packet, ("127.0.0.1", server.osc))),
                ("bare", bare.socket, play_bare),
            ):
                time.sleep(0.02 + 0.02 * rng.random())
                milliseconds = _until_heard(mouth, play)
                if milliseconds is None:
                    lost[who] += 1
                else:
                    took[who].append(milliseconds)
        ear.sendto(osc.encode("/notify", 0), ("127.0.0.1", port))
    return {who: {"notes": len(t), "lost": lost[who], **percentiles(t or [float("nan")])} for who, t in took.items()}


def _until_heard(ear: socket.socket, play: Callable[[], object]) -> float | None:
    """ms from playing it to /n_go; None where that does not come within half a second."""
    _note_ends(ear)
    began, until = time.perf_counter_ns(), time.monotonic() + 0.5
    play()
    while time.monotonic() < until:
        select.select((ear,), (), (), 0.1)
        if _note_ends(ear):
            return (time.perf_counter_ns() - began) / 1e6
    return None


def _note_ends(ear: socket.socket) -> int:
    """How many /n_go wait there."""
    count = 0
    while True:
        try:
            packet = ear.recv(65536)
        except BlockingIOError:
            return count
        count += packet.startswith(b"/n_go\0")


def burst(server: ServerProcess) -> dict[str, int]:
    before = server.status()["synth"]["notes"]
    note = message("/note/on", CLICK, 100)
    for _ in range(AT_ONCE // 100):
        server.send_raw(bundle(1, *[note] * 100))
    deadline = time.monotonic() + 10.0
    while True:
        after = server.status()["synth"]["notes"]
        counts = {k: after[k] - before[k] for k in ("sent", "confirmed", "dropped")}
        if counts["confirmed"] + counts["dropped"] >= AT_ONCE or time.monotonic() > deadline:
            return counts
        time.sleep(0.1)


def burst_bare(server: Scsynth, block: int) -> dict[str, int]:
    """As fast as Antiphon hands them on: what comes faster overruns scsynth's socket."""
    server.replies()
    confirmed, together = 0, max(1, block // 4)
    for n in range(AT_ONCE):
        server.send("/s_new", DEFINITION, 200_000 + n, 1, VOICES_GROUP, "decay", 0.02, "out", float(ECHO))
        if n % together == 0:
            time.sleep(block / RATE)
            confirmed += _note_ends(server.socket)
    until = time.monotonic() + 3.0
    while time.monotonic() < until and confirmed < AT_ONCE:
        select.select((server.socket,), (), (), 0.1)
        confirmed += _note_ends(server.socket)
    return {"sent": AT_ONCE, "confirmed": confirmed, "dropped": AT_ONCE - confirmed}
