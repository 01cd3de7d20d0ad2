"""`bench lights`: when packets of light and cues arrive beside the beat, what universes cost, and how soon a receiver
that was gone has frames again, on loopback."""

import math
import os
import socket
import struct
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api.backends.transports import Bundle, Message, decode
from antiphon_bench.rig import ServerProcess, finish, percentiles, table

BPM = 165.0
"""A tempo whose frames are 44 a second, 16 a beat."""
ASK_SECONDS = 0.1
AHEAD_MS = 50
GONE_SECONDS = 5.0
NODES = 512
_SO_TIMESTAMPNS = 35
_HZ = os.sysconf("SC_CLK_TCK")


class Receiver(threading.Thread):
    """Keeps the time of arrival, ns of CLOCK_MONOTONIC by the kernel's stamp, of each packet, and its first bytes."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.sock.bind(("127.0.0.1", port))
        self.port = self.sock.getsockname()[1]
        self.got: list[tuple[int, bytes]] = []
        self.start()

    def run(self) -> None:
        wall = time.time_ns() - time.monotonic_ns()
        while True:
            data, ((_, _, stamp),), _, _ = self.sock.recvmsg(2048, 64)
            if not data:
                return
            seconds, ns = struct.unpack("qq", stamp)
            self.got.append((10**9 * seconds + ns - wall, data[:128]))

    def end(self) -> None:
        self.sock.sendto(b"", ("127.0.0.1", self.port))
        self.join()
        self.sock.close()


class Sleeper(threading.Thread):
    """A thread that only sleeps from beat to beat: how late this machine wakes one meanwhile, ms."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.late: list[float] = []
        self.ended = threading.Event()
        self.start()

    def run(self) -> None:
        due = time.monotonic()
        while not self.ended.is_set():
            due += 60.0 / BPM
            time.sleep(max(0.0, due - time.monotonic()))
            self.late.append(1e3 * (time.monotonic() - due))


def main(seconds: float, universes: int) -> None:
    rows = [run(seconds, 1, 1), run(seconds, universes, 1), run(seconds, universes, NODES)]
    table(
        f"Lights at {BPM:g} bpm for {seconds:g} s: ms after the beat is heard (cues: after {AHEAD_MS} ms ahead of it)",
        ("universes", "nodes", "beats", "p50", "p99", "max", "cue p50", "p99", "tag p99", "sleeper p99",
         "missed", "lost", "% core", "back"),
        [
            (r["universes"], r["nodes"], r["beats"], *r["frame"].values(), r["cue"]["p50"], r["cue"]["p99"],
             r["tag"]["p99"], r["sleeper"]["p99"], r["missed"], r["lost"], r["share"], r["back_ms"])
            for r in rows
        ],
    )  # fmt: skip
    finish("lights", {"runs": rows, "seconds": seconds, "bpm": BPM})


def run(seconds: float, universes: int, nodes: int) -> dict[str, Any]:
    """One run of a server with that many universes, and `nodes` gains in chains."""
    light, cues = Receiver(), Receiver()
    with tempfile.TemporaryDirectory() as folder:
        patch = Path(folder) / "lit.toml"
        patch.write_text(_patch(universes, nodes))
        asked = ("--artnet", f"127.0.0.1:{light.port}", "--cues", f"127.0.0.1:{cues.port}@{AHEAD_MS}")
        with ServerProcess("--audio", "headless", "--patch", str(patch), *asked) as server:
            time.sleep(3.0)
            light.got.clear()
            cues.got.clear()
            before, used = server.status()["lights"], _used(server.pids()["control"])
            sleeper = Sleeper()
            line = BeatLine()
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                line.ask(server)
                time.sleep(ASK_SECONDS)
            sleeper.ended.set()
            status, share = server.status(), (_used(server.pids()["control"]) - used) / seconds
            after = status["lights"]
            light.end()
            time.sleep(GONE_SECONDS)
            back, again = time.monotonic_ns(), Receiver(light.port)
            while not again.got:
                time.sleep(ASK_SECONDS)
            again.end()
    cues.end()
    heard = heard_ns(status["engine"])
    # the frame of a beat is full, and no other is
    frames = [at for at, data in light.got if data[14] == 0 and data[18] == 255]
    beats = [(at, decode(data)) for at, data in cues.got]
    wall = time.time_ns() - time.monotonic_ns()
    dated = [(at, line.due(float(str(one.items[0].args[0]))) + heard, one.timetag) for at, one in beats
             if isinstance(one, Bundle) and isinstance(one.items[0], Message)]  # fmt: skip
    return {
        "universes": universes,
        "nodes": nodes,
        "beats": len(frames),
        "frame": percentiles([(at - heard - line.nearest(at - heard)) / 1e6 for at in frames]),
        "cue": percentiles([(at - due) / 1e6 + AHEAD_MS for at, due, _ in dated]),
        "tag": percentiles([abs(_unix(tag) - wall - due) / 1e6 for _, due, tag in dated]),
        "sleeper": percentiles(sleeper.late),
        "missed": after["missed"] - before["missed"],
        "lost": _lost(light.got),
        "share": 100.0 * share,
        "back_ms": (again.got[0][0] - back) / 1e6,
        "late_blocks": status["engine"].get("late", 0),
    }


class BeatLine:
    """The server's beat as a line over CLOCK_MONOTONIC, by the faster half of its answers to `/beat`."""

    def __init__(self) -> None:
        self._asked: list[tuple[int, float, float]] = []
        self._lines: dict[tuple[float, float], tuple[float, float, float]] = {}

    def ask(self, server: ServerProcess) -> None:
        """Asks once."""
        begun = time.monotonic_ns()
        beat = server.ask("/beat")[1][0]
        self._asked.append((time.monotonic_ns() - begun, (time.monotonic_ns() + begun) / 2, beat))

    def due(self, beat: float, near: float = math.inf) -> float:
        """Ns of CLOCK_MONOTONIC of a beat, by the answers that are no more than `near` beats away."""
        at, slope, there = self._line(beat, near)
        return at + (beat - there) / slope

    def nearest(self, at: float) -> float:
        """Ns of the beat that is nearest to a time."""
        begin, slope, there = self._line(0.0, math.inf)
        return self.due(round(there + (at - begin) * slope))

    def _line(self, beat: float, near: float) -> tuple[float, float, float]:
        key = (near, 0.0 if near == math.inf else beat)
        if key not in self._lines:
            close = sorted(one for one in self._asked if abs(one[2] - beat) <= near)
            best = np.array(close[: max(2, len(close) // 2)])
            at = best[0, 1]
            slope, there = np.polyfit(best[:, 1] - at, best[:, 2], 1)
            self._lines[key] = at, float(slope), float(there)
        return self._lines[key]


def heard_ns(engine: dict[str, Any]) -> float:
    """Ns from a sample's time on the engine's clock until it is heard, by what `/api/status` says of the engine."""
    return float(1e9 * (engine["block"] / engine["rate"] + 0.001))


def _patch(universes: int, nodes: int) -> str:
    text = [f"format = 1\ntempo = {BPM:g}\n"]
    text += [f'[nodes.g{n}]\ntype = "gain"\n' for n in range(nodes)]
    text += ["[wires]", 'in = "g0"', *(f'g{n - 1} = "g{n}"' for n in range(1, nodes)), f'g{nodes - 1} = "out"']
    for number in range(1, universes + 1):
        channels = ", ".join(f'"c{n}"' for n in range(512))
        text.append(f"[lights.fixtures.f{number}]\nuniverse = {number}\nchannel = 1\nchannels = [{channels}]")
    text += ["[lights.looks.all]", *(f"f{number} = 1.0" for number in range(1, universes + 1))]
    text.append(
        '[lights.effects.pulse]\non = "beat"\nof = [' + ", ".join(f'"f{n}"' for n in range(1, universes + 1)) + "]"
    )
    return "\n".join(text) + "\n"


def _lost(got: list[tuple[int, bytes]]) -> int:
    """Packets whose numbers are missing, of all universes."""
    last: dict[bytes, int] = {}
    lost = 0
    for _, data in got:
        which, number = data[14:16], data[12]
        if which in last:
            lost += (number - last[which] - 1) % 255
        last[which] = number
    return lost


def _unix(timetag: int) -> float:
    return ((timetag >> 32) - 2_208_988_800) * 1e9 + (timetag & 0xFFFFFFFF) * 1e9 / (1 << 32)


def _used(pid: int) -> float:
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _HZ
