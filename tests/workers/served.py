"""Real servers with faulty workers, and what is asked of their recordings."""

import functools
import json
import os
import shutil
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests import forked
from tests.waiting import until
from tests.workers import faulty

from antiphon_bench.rig import ServerProcess, message

RATE, HOP, FADE = faulty.RATE, faulty.HOP, 480
BLOCK, LATENCY = 1024, 3 * HOP
"""Long enough for a busy machine to miss none: eight of them are in the driver's buffer. A node's latency with it."""
RESIDUAL = 0.003
"""Of full scale: what a fade between a sound and itself may leave beside it."""
BACK = 2.0
"""Seconds within which a worker is back."""


def sound(seconds: float, codes: Mapping[float, str] | None = None) -> np.ndarray:
    """Float32 `[frames, 2]`, whole hops: tones that are 0 where hops begin, so that a code makes no step there.

    codes: at about which second, which word of `faulty.CODES`; in the first channel.
    """
    frames = round(seconds * RATE / HOP) * HOP
    at = np.arange(frames) / RATE
    x = 0.2 * np.sin(2 * np.pi * 200 * at) + 0.05 * np.sin(2 * np.pi * 50 * at) * np.sin(2 * np.pi * 0.37 * at)
    made = np.stack([x, 0.7 * x], axis=1).astype(np.float32)
    made[::HOP] = 0.0
    for second, word in (codes or {}).items():
        made[round(second * RATE / HOP) * HOP, 0] = faulty.CODES[word]
    return made


def home(folder: Path, x: np.ndarray, *chain: str) -> Path:
    """A server's home with the plugin, the input, and a patch of these node types in a row."""
    plugin = folder / "data" / "plugins" / "faulty"
    plugin.mkdir(parents=True)
    shutil.copy(Path(faulty.__file__), plugin / "__init__.py")
    soundfile.write(folder / "in.wav", x, RATE, "FLOAT")
    ends = ["in", *chain, "out"]
    text = ["format = 1", *(f"[nodes.{name}]" for name in chain), "[wires]"]
    text += [f'"{a}" = "{b}"' for a, b in pairwise(ends)]
    (folder / "faulty.toml").write_text("\n".join(text) + "\n")
    return folder


@contextmanager
def served(place: Path, *options: str) -> Iterator[ServerProcess]:
    """The server of that home, its nodes at work; what it keeps is in `set`."""
    given = ("--audio", "headless", "--block", str(BLOCK), "--patch", str(place / "faulty.toml"))
    with ServerProcess(*given, "--input", str(place / "in.wav"), *options, home=place) as server:
        until(lambda: all(w["state"] == "running" for w in server.status()["workers"]), 10.0, "all workers run")
        yield server


class StalledError(Exception):
    """Others were held up too: blocks, or hops of a node that nothing happened to."""


def undisturbed(test: Callable[..., None]) -> Callable[..., None]:
    """Runs a test again, three times at most, when the machine had no time for it: others' misses say nothing then."""

    @functools.wraps(test)
    def tried(*self: object, tmp_path: Path, **given: object) -> None:
        said = []
        for turn in range(3):
            try:
                return test(*self, tmp_path=tmp_path / str(turn), **given)
            except StalledError as error:
                said.append(str(error))
        pytest.fail(f"others were held up in each of three runs: {said}")

    return tried


def untouched(server: ServerProcess, *nodes: str) -> None:
    """Nobody but who was harmed has missed anything."""
    status = server.status()
    assert all(w["restarts"] == 0 for w in status["workers"] if w["node"] in nodes)
    misses = {w["node"]: w["misses"] for w in status["workers"] if w["node"] in nodes and w["misses"]}
    if misses or status["missed_blocks"]:
        raise StalledError(f"{status['missed_blocks']} blocks and these hops were missed: {misses}")


def seconds(server: ServerProcess) -> float:
    """What it has played."""
    return float(server.status()["blocks"] * BLOCK / RATE)


def play_on(server: ServerProcess, more: float = 0.3) -> None:
    """Returns once it has played so many seconds more."""
    given = seconds(server)
    until(lambda: seconds(server) > given + more, 10.0 + more, "it plays on")


def worker(server: ServerProcess, node: str) -> dict[str, Any]:
    """What the status says of a node's worker; state "" while it knows none."""
    return next((w for w in server.status()["workers"] if w["node"] == node), {"state": ""})


def state(server: ServerProcess, node: str) -> tuple[str, str]:
    """What the status says of a node, and why; "" while it knows none."""
    found = (n for n in server.status()["nodes"] if n["name"] == node)
    return next(((n["state"], n["reason"]) for n in found), ("", ""))


def back(server: ServerProcess, node: str, restarts: int, within: float = BACK) -> None:
    """Waits until the node's worker is back, `restarts` times started again."""

    def well() -> bool:
        found = worker(server, node)
        return (found["state"], found["restarts"]) == ("running", restarts) and state(server, node)[0] == "running"

    began = time.monotonic()
    until(well, 5 * within, f"{node} is back: {worker(server, node)} {state(server, node)}")
    if time.monotonic() - began > within:
        raise StalledError(f"{node} was back after {time.monotonic() - began:.1f} s")


def stop(pid: int) -> None:
    assert pid > 0, "no process of its own yet: 0 is the group of the tests"
    os.kill(pid, signal.SIGSTOP)


def kill(pid: int) -> None:
    assert pid > 0, "no process of its own yet: 0 is the group of the tests"
    os.kill(pid, signal.SIGKILL)


class Heard:
    """What a surface is told after `/notify`."""

    def __init__(self, server: ServerProcess) -> None:
        self._came: deque[tuple[str, list[Any]]] = deque()
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.settimeout(60.0)
        self._sock.sendto(message("/notify", 1), ("127.0.0.1", server.osc))

    def until(self, true: Callable[[str, list[Any]], bool]) -> list[Any]:
        """Arguments of the first message that is so; TimeoutError after a minute."""
        from pythonosc.osc_packet import OscPacket

        deadline = time.monotonic() + 60.0
        while True:
            while self._came:
                address, params = self._came.popleft()
                if true(address, params):
                    return params
            if time.monotonic() > deadline:
                raise TimeoutError
            # what comes after it in its bundle is for the next who asks
            messages = OscPacket(self._sock.recv(65536)).messages
            self._came.extend((timed.message.address, list(timed.message.params)) for timed in messages)

    def states(self, node: str, wanted: list[str]) -> list[str]:
        """The reasons, once the node's states came in that order."""
        reasons = []
        for one in wanted:
            try:
                found = self.until(lambda a, p, s=one: a == "/node/state" and p[:2] == [node, s])
            except TimeoutError:
                # states are looked for 20 times a second: a worker may be back between two looks
                raise StalledError(f"{node} was not seen {one}") from None
            reasons.append(found[2])
        return reasons

    def close(self) -> None:
        self._sock.close()


def kept(folder: Path) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Input and output `[frames, 2]` and the lines of a set."""
    came, heard = (
        soundfile.read(folder / name, dtype="float32", always_2d=True)[0] for name in ("input.wav", "output.wav")
    )
    return came, heard, [json.loads(line) for line in (folder / "session.jsonl").open()]


def marks(lines: list[dict[str, Any]]) -> dict[str, list[tuple[str, int]]]:
    """Node name → its words in their order."""
    names = {number: name for line in lines for name, number in (line.get("load") or {}).get("ids", {}).items()}
    found: dict[str, list[tuple[str, int]]] = {}
    for line in lines:
        if "mark" in line:
            found.setdefault(names[line["node"]], []).append((line["mark"], line["number"]))
    return found


def again(folder: Path, place: Path) -> np.ndarray:
    """What `antiphon replay` makes of it."""
    out = folder.with_suffix(".wav")
    forked.run(
        [*forked.COMMAND, "replay", str(folder), str(out), "--force"],
        check=True,
        timeout=120,
        env={**os.environ, "ANTIPHON_HOME": str(place)},
    )
    return soundfile.read(out, dtype="float32", always_2d=True)[0]


def same(heard: np.ndarray, played: np.ndarray) -> None:
    assert heard.shape == played.shape
    different = np.flatnonzero(np.any(heard != played, axis=1))
    assert len(different) == 0, f"{len(different)} of {len(heard)} frames, first {different[:3]}, last {different[-3:]}"


def unheard(came: np.ndarray, heard: np.ndarray, latency: int) -> None:
    """The output is the input, `latency` later: where a worker that changes nothing was away, nobody could tell.

    The rise at the start and the fall at the end are left out.
    """
    assert np.isfinite(heard).all()
    first = np.flatnonzero(np.any(heard != 0.0, axis=1))[0] + 2 * FADE
    dry = np.concatenate([np.zeros((latency, 2), np.float32), came])[: len(heard)]
    off = np.abs(heard - dry)[first : -2 * FADE]
    assert off.max() < RESIDUAL, f"first at {first + np.flatnonzero(off.max(axis=1) >= RESIDUAL)[0]}"
