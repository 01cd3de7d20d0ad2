"""The disturbances of `bench soak`: patch changes, with a recording of each, and kills of processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import numpy as np

from antiphon_bench.rig import ServerProcess, message
from antiphon_bench.soak import processes

if TYPE_CHECKING:
    from pathlib import Path

FADE = 0.05
KEPT_TAKES = 2
"""Recordings to keep; older ones are removed: an hour of sound is 1 GB."""
BACK_SECONDS = 60.0
"""Deadline in seconds for the restart of a killed process."""


class PatchCycle:
    """Loads patches in turn and records each. patch: the latest request."""

    def __init__(self, server: ServerProcess, names: tuple[str, ...]) -> None:
        self._server, self._names, self._turn = server, names, 0
        self.patch = names[0]
        self._asked = -1.0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", server.osc))
        self._socket.setblocking(False)

    def next(self, now: float) -> None:
        """Requests the next patch, at a time in seconds since the run's start."""
        self._turn += 1
        self.patch = self._names[self._turn % len(self._names)]
        self._asked = now
        with contextlib.suppress(OSError):
            self._socket.send(message("/record/stop"))
            self._socket.send(message("/patch/load", self.patch, FADE))
            self._socket.send(message("/record/start", f"{self._turn:05d} soak"))
        self._remove_takes()

    def look(self, now: float) -> list[dict[str, Any]]:
        """Events of the answers received since the last call."""
        from pythonosc.osc_message import OscMessage

        events: list[dict[str, Any]] = []
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                answer = OscMessage(self._socket.recv(65536))
                words = [str(p) for p in answer.params]
                loaded = "/patch/load" in words
                if loaded or answer.address == "/fail":
                    took = round(now - self._asked, 2) if loaded else None
                    answer_text = " ".join([answer.address, *words])
                    events.append({"t": round(now, 2), "load": self.patch, "said": answer_text, "took": took})
        return events

    def close(self) -> None:
        self._socket.close()

    def _remove_takes(self) -> None:
        folder = self._server.home / "data" / "recordings"
        with contextlib.suppress(OSError):
            takes = sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime)
            for take in takes[:-KEPT_TAKES]:
                take.unlink()


class Killer:
    """Kills one process of each role in turn. If a role has no process, its kill is delayed until it has one."""

    def __init__(self, supervisor: int, home: Path, victims: tuple[str, ...], seed: int) -> None:
        self._supervisor, self._home, self._victims, self._turn = supervisor, home, victims, 0
        self._random = np.random.default_rng(seed)
        self._wanted: list[str] = []
        self._away: list[tuple[str, int, float, frozenset[int]]] = []

    def next(self) -> None:
        """Makes the next role due."""
        self._wanted.append(self._victims[self._turn % len(self._victims)])
        self._turn += 1

    def look(self, now: float) -> list[dict[str, Any]]:
        """Kills due processes, and checks whether killed ones have been restarted; returns events."""
        if not self._wanted and not self._away:
            return []
        roles = processes.roles(self._supervisor, processes.process_names(self._home))
        events = [self._kill(role, roles[role], now) for role in self._wanted if roles.get(role)]
        self._wanted = [role for role in self._wanted if not roles.get(role)]
        for one in list(self._away):
            role, pid, at, before = one
            if not set(roles.get(role, ())) - before and now - at < BACK_SECONDS:
                continue
            back = bool(set(roles.get(role, ())) - before)
            events.append({"t": round(now, 2), "back": role, "pid": pid, "after": round(now - at, 2) if back else None})
            self._away.remove(one)
        return events

    def _kill(self, role: str, pids: tuple[int, ...], now: float) -> dict[str, Any]:
        pid = int(self._random.choice(pids))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self._away.append((role, pid, now, frozenset(pids)))
        return {"t": round(now, 2), "kill": role, "pid": pid}
