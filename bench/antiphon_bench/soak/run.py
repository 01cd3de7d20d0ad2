"""`antiphon bench soak --hours N`: runs a server under load, patch changes and kills for hours, and detects growth.

In the folder `--out`: `samples.jsonl` and `events.jsonl`, written as they come, `result.json`, `soak.svg`, and what the
server said. Ends early at Ctrl-C or SIGTERM, with the results so far.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
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

from antiphon.api import UsageError
from antiphon_bench.rig import ServerProcess
from antiphon_bench.soak import material, processes
from antiphon_bench.soak.counters import CounterSums, offset
from antiphon_bench.soak.disturbances import Killer, PatchCycle
from antiphon_bench.soak.result import conclude
from antiphon_bench.soak.sender import Sender

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
        """As published from two hours on; a shorter run has as many kills and lines, but not below what a server needs
        to come back.
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
    torch = find_spec("torch") is not None
    if not torch:
        print("torch is not installed: no models play, denoise and hum do without; pip install 'antiphon[models]'")
    with _terminable(), tempfile.TemporaryDirectory(prefix="antiphon-soak-") as name:
        home = Path(name)
        ended = Soak(pace, out, home, seed, models=torch).run()
    conclude(out, asdict(pace), seed, ended, len(material.PATCHES))


class Soak:
    """One run."""

    def __init__(self, pace: Pace, out: Path, home: Path, seed: int, *, models: bool) -> None:
        """Sets up a run. home: an empty folder, which the caller removes. models: also kill workers of models."""
        self._pace, self._out, self._home, self._seed = pace, out, home, seed
        self._temporary = home / "tmp"
        self._counts = CounterSums()
        often = ("workers", "recorder", "synth", "zygotes") if models else ("recorder", "synth", "zygotes")
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
            with Sender(server.osc, RATE, self._seed) as sender:
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
    """Number of the server's processes that outlive it by some seconds; each is killed by pid."""
    until = time.monotonic() + _GONE_SECONDS
    while (left := _others(home)) and time.monotonic() < until:
        time.sleep(0.05)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(left)


def _others(home: Path) -> list[int]:
    return [pid for pid in processes.of_home(home) if pid != os.getpid()]


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
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
