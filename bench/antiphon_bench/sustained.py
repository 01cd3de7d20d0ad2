"""`bench live`'s rates: the events a second that one script sends in time, by Antiphon and by Renardo's clock.

Both play at 120 bpm in real time, at rates that double until events come too late: an event is, where it is sent after
its own time. Renardo sends bundles with time tags 250 ms ahead, Antiphon messages with beats 100 ms ahead.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from antiphon.performer.branch import BranchProcesses
from antiphon.performer.player import Player

BPM = 120.0
RATES = tuple(64 << power for power in range(10))
"""Events a second that are tried, from 64 to 32,768, until one fails."""
SETTLE_SECONDS, SECONDS = 2.0, 4.0
"""Before an event counts, and while they do."""
TURN_SECONDS = 0.005
"""Between two steps of a performance."""
WHOLE = 0.99
"""Share of the events that must be there, and in time."""
TRACKS = 4
"""Patterns, or players, that the events are shared among at least."""
MOST_STEPS = 256
"""Of one pattern in a bar; above that there are more patterns."""
PEER = "renardo_lib"
PATIENCE = 20.0
"""Seconds that either has until its first event."""
POLL_SECONDS = 0.2
"""Between two looks whether the peer has ended."""
_NTP = 2_208_988_800  # seconds from 1900, where time tags begin, to 1970


def rates() -> list[dict[str, Any]]:
    """A row for each server: name, the highest rate (notes a second) that it sustained, and the first it did not."""
    rows = [_row("Antiphon, one script", antiphon_events)]
    if importlib.util.find_spec(PEER) is None:
        print(f"the peer is left out: {PEER} is not installed (pip install renardo-lib)")
    else:
        rows.append(_row("Renardo, one clock", renardo_events))
    return rows


def _row(by: str, play: Any) -> dict[str, Any]:
    held, failed = 0, {"rate": 0, "events": 0, "late": 0}
    for rate in RATES:
        events, late = play(rate)
        if events - late < WHOLE * rate * SECONDS:
            failed = {"rate": rate, "events": events, "late": late}
            break
        held = rate
    return {"by": by, "held": held, "failed": failed}


def antiphon_events(rate: int) -> tuple[int, int]:
    """Performs a script in real time through the processes of a performance.

    Args:
        rate: Events a second.

    Returns:
        Events of `SECONDS`, and those that came too late.
    """
    each_bar = rate * 4 * 60 / BPM
    steps = min(MOST_STEPS, round(each_bar / TRACKS))
    tracks = round(each_bar / steps)
    script = (
        "from antiphon.live import"
        + f' *\nfor n in range({tracks}):\n    track(f"t{{n}}", s("bd*{steps}"), on="drums")\n'
    )
    processes = BranchProcesses()
    player = Player("dense.py", processes, _silent)
    player.save(script)
    events = late = 0
    deadline = time.monotonic() + PATIENCE
    while not player.playing and time.monotonic() < deadline:
        player.tick(0.0, BPM)
        time.sleep(TURN_SECONDS)
    begun = time.monotonic()
    while (spent := time.monotonic() - begun) < SETTLE_SECONDS + SECONDS:
        sent = player.tick(spent * BPM / 60, BPM)
        now = (time.monotonic() - begun) * BPM / 60
        if spent >= SETTLE_SECONDS:
            events += len(sent)
            late += sum(event.beat < now for event in sent)
        time.sleep(TURN_SECONDS)
    player.close()
    processes.close()
    return events, late


def renardo_events(rate: int) -> tuple[int, int]:
    """Has Renardo's players play, and takes its bundles in place of a synthesiser.

    Args:
        rate: Events a second.

    Returns:
        As of `antiphon_events`.
    """
    arrivals: list[tuple[float, float]] = []
    ended = threading.Event()
    with tempfile.TemporaryDirectory() as home, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        # it looks for its samples here, and ends where there is no such folder
        (Path(home) / ".config/renardo/samples/0_foxdot_default/_loop_").mkdir(parents=True)
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(POLL_SECONDS)
        environment = {**os.environ, "HOME": home, "XDG_CONFIG_HOME": f"{home}/.config"}
        command = [sys.executable, "-c", _RENARDO, str(sink.getsockname()[1]), str(rate)]
        peer = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        reading = threading.Thread(target=read_bundles, args=(sink, arrivals, ended), daemon=True)
        reading.start()
        try:
            deadline = time.monotonic() + PATIENCE
            while not arrivals and time.monotonic() < deadline:
                time.sleep(TURN_SECONDS)
            time.sleep(SETTLE_SECONDS)
            begin = len(arrivals)
            time.sleep(SECONDS)
            window = arrivals[begin:]
        finally:
            peer.kill()
            peer.wait()
            ended.set()
            reading.join()
    return len(window), sum(at > tag for at, tag in window)


_RENARDO = f"""
import sys, time
import renardo_lib.runtime as renardo
address = "127.0.0.1", int(sys.argv[1])
renardo.Server.client.connect(address)
renardo.Server.sclang.connect(address)
duration = {BPM / 60:g} * {TRACKS} / float(sys.argv[2])
players = [renardo.Player(f"t{{n}}") for n in range({TRACKS})]
for player in players:
    player >> renardo.pluck([0, 2, 4], dur=duration)
time.sleep(600)
"""


def read_bundles(sink: socket.socket, arrivals: list[tuple[float, float]], ended: threading.Event) -> None:
    """Notes when each bundle arrives, and when it is due, in seconds since 1970."""
    while not ended.is_set():
        try:
            packet = sink.recv(65536)
        except TimeoutError:
            continue
        if packet.startswith(b"#bundle\0"):
            seconds, fraction = struct.unpack_from(">II", packet, 8)
            arrivals.append((time.time(), seconds - _NTP + fraction / 2**32))


def _silent(sentence: str, picture: str = "", *, fault: bool = False) -> None:
    pass
