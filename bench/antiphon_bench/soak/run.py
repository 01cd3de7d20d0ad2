"""`antiphon bench soak --hours N`: runs a server under load, patch changes and kills for hours, and detects growth.

In the folder `--out`: `samples.jsonl` and `events.jsonl`, written as they come, `result.json`, `soak.svg`, and the
server's output. Ends early at Ctrl-C or SIGTERM, with the results so far.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import numpy as np

from antiphon.api import UsageError
from antiphon_bench.rig import Sender, ServerProcess, bundle, message, ntp
from antiphon_bench.soak import material, processes
from antiphon_bench.soak.result import conclude

# ---- The OSC of `bench soak`: parameters, notes and queries at a steady rate, from a process of its own

VALUES = {
    "/node/voice/gain": (0.0, 1.0),
    "/node/keys/level": (-20.0, 0.0),
    "/node/limiter/ceiling": (-12.0, -1.0),
    "/node/limiter/release": (0.05, 0.5),
    "/node/voice/wet": (0.0, 1.0),
    "/node/in/gain": (-6.0, 0.0),
}
"""Parameters that every patch has, with their ranges."""
QUERIES = ("/status", "/version", "/ping", "/tempo", "/beat", "/node/list", "/node/voice/gain", "/node/keys/level")
VARIANTS = 32
"""Messages of each kind encoded in advance, so that sending uses little time."""
NOTES_EVERY, QUERY_EVERY, DATED_EVERY = 50, 10, 100
"""One message in this many begins or ends a note, queries, or is a bundle with a time tag `AHEAD` seconds ahead."""
AHEAD = 0.1
MAX_BEHIND = 200
"""Most overdue messages sent at once after a stall of the machine."""


def packets(seed: int) -> Iterator[bytes]:
    """Messages in turn; a note-off follows its note-on two notes later."""
    random = np.random.default_rng(seed)
    values = [message(a, float(random.uniform(*ends))) for a, ends in VALUES.items() for _ in range(VARIANTS)]
    queries = [message(a) for a in QUERIES]
    for turn in itertools.count(1):
        if turn % NOTES_EVERY == 0:
            place = turn // NOTES_EVERY
            note = 48 + place // 4 * 7 % 36 + place % 2
            on = place % 4 < 2
            yield message("/note/on" if on else "/note/off", note, 40 + turn % 60 if on else 0, 1, "keys")
        elif turn % DATED_EVERY == 1:
            yield bundle(ntp(time.time() + AHEAD), values[turn // DATED_EVERY % len(values)])
        elif turn % QUERY_EVERY == 2:
            yield queries[turn // QUERY_EVERY % len(queries)]
        else:
            yield values[int(random.integers(len(values)))]


# ---- The disturbances of `bench soak`: patch changes, with a recording of each, and kills of processes

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
        folder = self._server.home / "data" / "recordings"
        with contextlib.suppress(OSError):
            takes = sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime)
            for take in takes[:-KEPT_TAKES]:
                take.unlink()

    def look(self, now: float) -> list[dict[str, Any]]:
        """Returns the events of the answers received since the last call."""
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
        """Kills due processes, and checks for the restart of killed ones; returns events."""
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


# ---- Counters of a server over a long run, summed over restarts of its processes

_PINGS = 5


class CounterSums:
    """Sums of counters that restart at 0 with their process. failed: failed nodes at the last query."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._sums: dict[str, int] = {}
        self._unanswered = 0
        self.failed: tuple[str, ...] = ()

    def take(self, server: ServerProcess) -> None:
        """Queries the server. A query without an answer (control may just have been killed) is counted."""
        try:
            status = server.status()
        except (OSError, ValueError, http.client.HTTPException):
            status = {}
        if "engine" in status:  # else control was away, which web answers with its reason
            self.add(status)
        else:
            self._unanswered += 1

    def add(self, status: dict[str, Any]) -> None:
        self.failed = tuple(node["name"] for node in status.get("nodes", ()) if node["state"] == "failed")
        for name in status["counters"]:
            self._add(name, name, int(status[name]))
        for worker in status["workers"]:
            key = f"{worker['model']} {worker['node']}"
            self._add("worker_misses", f"misses {key}", int(worker["misses"]))
            self._add("worker_restarts", f"restarts {worker['model']}", int(worker["restarts"]))
        if status["synth"]:
            self._add("synth_misses", "synth misses", int(status["synth"]["misses"]))
            self._add("worker_restarts", "synth restarts", int(status["synth"]["restarts"]))

    def totals(self) -> dict[str, int]:
        return {**self._sums, "status_unanswered": self._unanswered}

    def _add(self, total: str, key: str, value: int) -> None:
        before = self._last.get(key, 0)
        self._sums[total] = self._sums.get(total, 0) + (value - before if value >= before else value)
        self._last[key] = value


def offset(port: int) -> float | None:
    """Seconds by which the sample clock leads CLOCK_MONOTONIC, by the fastest of some pings; None without an answer."""
    from pythonosc.osc_message import OscMessage

    best: tuple[float, float] | None = None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        sock.connect(("127.0.0.1", port))
        for _ in range(_PINGS):
            before = time.monotonic()
            try:
                sock.send(message("/ping"))
                clock = float(OscMessage(sock.recv(4096)).params[-1])
            except (OSError, ValueError):
                continue
            took = time.monotonic() - before
            if best is None or took < best[0]:
                best = (took, clock - before - took / 2)
    return best[1] if best else None


RATE = 1000
"""OSC messages a second."""
_TICK = 0.25
_START_SECONDS = 120.0
_END_SECONDS = 30.0
"""Seconds for the server's start and for its end, on a busy machine."""
_GONE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Pace:
    """The intervals of a run, in seconds. settle: the time after each process's start that slopes leave out."""

    run: float
    patch: float = 60.0
    kill: float = 60.0
    sample: float = 10.0
    settle: float = 300.0
    line: float = 60.0

    @staticmethod
    def of(run: float) -> Pace:
        """From two hours on the published intervals. A shorter run has as many kills and lines, but no interval below
        the time that a server needs to restart.
        """
        share = min(1.0, run / 7200.0)
        return Pace(
            run,
            patch=max(60.0 * share, min(60.0, 5.0)),
            kill=max(60.0 * share, 5.0),
            sample=max(10.0 * share, 1.0),
            settle=300.0 * share,
            line=max(60.0 * share, 5.0),
        )


def main(hours: float, out: Path, seed: int) -> None:
    """Runs the bench. hours: above 0. out: a folder without a previous soak. seed: of all random choices."""
    if hours <= 0.0:
        raise UsageError("bench soak takes --hours above 0; two were published")
    if (out / "samples.jsonl").exists():
        raise UsageError(f"--out: {out} holds a soak already; name another folder")
    out.mkdir(parents=True, exist_ok=True)
    pace = Pace.of(hours * 3600.0)
    if find_spec("torch") is None:
        print("torch is not installed: no models play, denoise and hum do without; pip install 'antiphon[models]'")
    with _stop_run_on_signals(), tempfile.TemporaryDirectory(prefix="antiphon-soak-") as name:
        home = Path(name)
        ended = Soak(pace, out, home, seed).run()
    conclude(out, asdict(pace), seed, ended, len(material.PATCHES))


class Soak:
    """One run of the soak."""

    def __init__(self, pace: Pace, out: Path, home: Path, seed: int) -> None:
        """Sets up a run. home: an empty folder, which the caller removes."""
        self._pace, self._out, self._home, self._seed = pace, out, home, seed
        self._temporary = home / "tmp"
        self._counts = CounterSums()
        often = ("workers", "recorder", "zygotes")
        # what may grow with messages and patches lives for half an hour of the published run
        self._victims = (*(often * 15)[:14], "engine", *(often * 15)[:14], "control")

    def run(self) -> dict[str, Any]:
        """Runs until its time is over, Ctrl-C, or the server's end; returns how it ended."""
        sound = material.write(self._home, self._seed)
        self._temporary.mkdir()
        server = ServerProcess(
            "--audio", "headless", "--block", "256", "--input", str(sound), "--patch", next(iter(material.PATCHES)),
            home=self._home, env={"TMPDIR": str(self._temporary)}, wait=_START_SECONDS,
        )  # fmt: skip
        sender: Sender | None = None
        why = "its time was over"
        try:
            server.start()
            _drain(server, self._out / "serve.out")
            with Sender(server.osc, RATE, packets, self._seed, behind=MAX_BEHIND) as sender:
                why = self._play(server)
        except KeyboardInterrupt:
            why = "it was interrupted"
        finally:
            status = server.stop(timeout=_END_SECONDS)
            (self._out / "serve.err").write_text(server.standard_error())
            left = _end_strays(self._home)
        return {
            "why": why,
            "exit": status,
            "osc_sent": sender.sent if sender else 0,
            "processes_left": left,
            "files_left": processes.files(self._temporary),
        }

    def _play(self, server: ServerProcess) -> str:
        assert server.process is not None
        pace, begun = self._pace, time.monotonic()
        # samples and kills fall between patch changes, which are at multiples of this interval
        due = {"sample": pace.sample / 2, "patch": pace.patch, "kill": pace.kill + pace.patch / 2, "line": pace.line}
        with (
            (self._out / "samples.jsonl").open("w") as samples,
            (self._out / "events.jsonl").open("w") as events,
            contextlib.closing(PatchCycle(server, tuple(material.PATCHES))) as loader,
        ):
            killer = Killer(server.process.pid, self._home, self._victims, self._seed)
            last: dict[str, Any] = {}
            while (now := time.monotonic() - begun) < pace.run:
                if server.process.poll() is not None:
                    return f"the server ended with status {server.process.returncode}"
                if now >= due["patch"]:
                    due["patch"] += pace.patch
                    self._counts.take(server)
                    loader.next(now)
                if now >= due["kill"]:
                    due["kill"] += pace.kill
                    killer.next()
                for event in (*killer.look(now), *loader.look(now)):
                    _line(events, event)
                if now >= due["sample"]:
                    due["sample"] += pace.sample
                    last = self._sample(server, now, loader.patch)
                    _line(samples, last)
                    for node in self._counts.failed:
                        # three failures in a minute quarantine a worker; a reset restarts it, as a performer would
                        server.send(f"/node/{node}/reset")
                        _line(events, {"t": round(now, 2), "reset": node})
                if last and now >= due["line"]:
                    due["line"] += pace.line
                    print(progress_line(last), flush=True)
                    (self._out / "serve.err").write_text(server.standard_error())
                time.sleep(_TICK)
        return "its time was over"

    def _sample(self, server: ServerProcess, now: float, patch: str) -> dict[str, Any]:
        assert server.process is not None
        reading = processes.read(server.process.pid, self._home)
        self._counts.take(server)
        return {
            "t": round(now, 2),
            "patch": patch,
            **processes.as_json(reading),
            "files": processes.files(self._temporary, self._home / "run"),
            "clock": offset(server.osc),
            "counts": self._counts.totals(),
        }


def progress_line(sample: dict[str, Any]) -> str:
    held, counts = sample["held"].values(), sample["counts"]
    return (
        f"{sample['t'] / 60.0:6.1f} min  {sample['patch']:<14} PSS {sum(h['pss'] for h in held):.0f} MB, "
        f"{sum(h['processes'] for h in held)} processes, {sum(h['descriptors'] for h in held)} descriptors, "
        f"{sum(h['threads'] for h in held)} threads; missed {counts.get('missed_blocks', 0)}, "
        f"late {counts.get('late', 0)}, worker misses {counts.get('worker_misses', 0)}; osc "
        f"{counts.get('osc_received', 0)} received, {counts.get('osc_dropped', 0)} dropped, "
        f"{counts.get('osc_failed', 0)} failed; restarts {counts.get('engine_restarts', 0)} engine, "
        f"{counts.get('worker_restarts', 0)} workers"
    )


def _line(file: Any, what: dict[str, Any]) -> None:
    file.write(json.dumps(what) + "\n")
    file.flush()


def _drain(server: ServerProcess, path: Path) -> None:
    """Redirects the server's output to a file, since an unread pipe would block it."""
    assert server.process is not None
    assert server.process.stdout is not None
    pipe = server.process.stdout

    def copy() -> None:
        with path.open("w") as out, contextlib.suppress(ValueError, OSError):
            for line in pipe:
                out.write(line)
                out.flush()

    threading.Thread(target=copy, name="soak-drain", daemon=True).start()


def _end_strays(home: Path) -> int:
    """Kills, by pid, processes of the server that outlive it by some seconds; returns their number."""
    until = time.monotonic() + _GONE_SECONDS
    while (left := _others(home)) and time.monotonic() < until:
        time.sleep(0.05)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(left)


def _others(home: Path) -> list[int]:
    return [pid for pid in processes.processes_of_home(home) if pid != os.getpid()]


@contextlib.contextmanager
def _stop_run_on_signals() -> Iterator[None]:
    """Ends the run with its results so far at Ctrl-C (also where ignored, in a background job) and SIGTERM."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.stdout.flush()
