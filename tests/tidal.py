"""Real Tidal in a process of its own, a server that plays what it sends, and where each event sounded, by frame."""

from __future__ import annotations

import contextlib
import itertools
import queue
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from tests.waiting import until

from antiphon.kernel.wire.ntp import to_unix_ns
from antiphon.kernel.wire.osc import Bundle, Message, decode
from antiphon_bench.rig import ServerProcess, free_port

MOST_BYTES = 65_507
RATE = 48000
ORBITS = 4
SOUNDS = {"bd": 0.5, "sn": 0.4, "cp": 0.3, "hh": 0.25, "arpy": 0.2}
"""Heights of the sounds, each of one frame: where it is above a threshold is where it begins."""
LEAST = 0.02
"""The least magnitude that is an onset."""
SETTLE = 60.0
"""Seconds within which what was sent has ended, on an idle machine."""
PACKAGES = "ghc and libghc-tidal-dev"
"""What has to be installed, as Debian calls it."""
PATIENCE = 120.0
"""Seconds after which Tidal has failed to answer, also on a busy machine."""
LATENCY = 0.4
"""Seconds by which it sends events ahead; a boot file has 0.05 to 0.3."""
_BOOT = """
:set -XOverloadedStrings
:set prompt ""
:set prompt-cont ""
import Sound.Tidal.Context
import System.IO (hFlush, stdout)
tidal <- startTidal (superdirtTarget {{oLatency = {latency}, oAddress = "127.0.0.1", oPort = {port}}}) {config}
let hush = streamHush tidal
let once = streamOnce tidal
let setcps = once . cps
let d1 = streamReplace tidal 1 . (|< orbit 0)
let d2 = streamReplace tidal 2 . (|< orbit 1)
let d3 = streamReplace tidal 3 . (|< orbit 2)
let d4 = streamReplace tidal 4 . (|< orbit 3)
let d5 = streamReplace tidal 5 . (|< orbit 0)
let d6 = streamReplace tidal 6 . (|< orbit 1)
"""
"""The words of Tidal's own boot file that play; the ports of its control and tempo are free ones."""
_CONFIG = "(defaultConfig {{cCtrlPort = {control}, cTempoPort = {tempo}, cVerbose = True}})"


class TidalError(RuntimeError):
    """Tidal is missing, has ended, or refused code; the text is its own."""


def tidal_problem() -> str:
    """A sentence on what is missing for real Tidal; empty where nothing is."""
    if shutil.which("ghci") is None:
        return f"ghci is missing: sudo apt-get install {PACKAGES.replace(' and ', ' ')}"
    found = subprocess.run(["ghc-pkg", "list", "--simple-output", "tidal"], capture_output=True, text=True, check=False)
    if "tidal" not in found.stdout:
        return "ghci knows no package tidal: sudo apt-get install libghc-tidal-dev"
    return ""


class TidalProcess:
    """Tidal that plays to one port, as a context manager; `lines` is what it has printed."""

    def __init__(self, port: int, latency: float = LATENCY) -> None:
        config = _CONFIG.format(control=free_port(), tempo=free_port())
        self._boot = _BOOT.format(latency=latency, port=port, config=config)
        self._process: subprocess.Popen[str] | None = None
        self._marks = itertools.count()
        self._news: queue.Queue[str | None] = queue.Queue()
        self.lines: list[str] = []

    def __enter__(self) -> TidalProcess:
        problem = tidal_problem()
        if problem:
            raise TidalError(problem)
        self._process = subprocess.Popen(
            ["ghci", "-v0", "-ignore-dot-ghci"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        threading.Thread(target=self._read, name="tidal", daemon=True).start()
        try:
            self._type(self._boot)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def run(self, code: str) -> None:
        """Has it evaluate a block of code, and returns when it has."""
        self._type(f":{{\n{code.strip()}\n:}}\n")

    def _type(self, text: str) -> None:
        first, mark = len(self.lines), f"-- evaluated {next(self._marks)}"
        self._write(f'{text}\nputStrLn "\\n{mark}" >> hFlush stdout\n')
        self.expect(mark)
        printed = "\n".join(self.lines[first:])
        if "error:" in printed or "*** Exception" in printed:
            raise TidalError(printed)

    def _write(self, text: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text)
            self._process.stdin.flush()
        except OSError:
            raise TidalError("\n".join(["Tidal has ended:", *self.lines[-10:]])) from None

    def expect(self, text: str) -> None:
        """Returns once it has printed a line with this text."""
        if any(text in line for line in self.lines):
            return
        while True:
            try:
                line = self._news.get(timeout=PATIENCE)
            except queue.Empty:
                raise TidalError("\n".join([f"not printed: {text!r}", *self.lines[-10:]])) from None
            if line is None:
                raise TidalError("\n".join(["Tidal has ended:", *self.lines[-10:]]))
            self.lines.append(line)
            if text in line:
                return

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._news.put(line.rstrip("\n"))
        self._news.put(None)

    def stop(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None


def blocks(text: str) -> list[str]:
    """The blocks of a file of Tidal code, for `TidalProcess.run`: empty lines part them, comments are left out."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [block for block in (part.strip("\n") for part in code.split("\n\n")) if block.strip()]


@dataclass(frozen=True, slots=True)
class RelayedEvent:
    """One `/dirt/play`, with its names and values."""

    ns: int  # its time tag, since 1970
    lead: float  # seconds from when it passed to its time tag
    fields: Mapping[str, object]


class DirtRelay:
    """Stands at a free `port` in the server's place, as a context manager; `events` is what has passed, in order."""

    def __init__(self, server: int) -> None:
        self._server = ("127.0.0.1", server)
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self._sock.settimeout(0.2)
        self._client: tuple[str, int] | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self.port = int(self._sock.getsockname()[1])
        self.events: list[RelayedEvent] = []

    def __enter__(self) -> DirtRelay:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()
        self._sock.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(OSError):
                data, peer = self._sock.recvfrom(MOST_BYTES)
                if peer == self._server:
                    if self._client is not None:
                        self._sock.sendto(data, self._client)
                    continue
                self._client = peer
                self._sock.sendto(data, self._server)
                self._note(data)

    def _note(self, data: bytes) -> None:
        packet = decode(data)
        if not isinstance(packet, Bundle):
            return
        for item in packet.items:
            if isinstance(item, Message) and item.address == b"/dirt/play":
                ns = to_unix_ns(packet.timetag)
                fields = {str(name): value for name, value in zip(item.args[::2], item.args[1::2], strict=True)}
                self.events.append(RelayedEvent(ns, (ns - time.time_ns()) / 1e9, fields))


@dataclass(frozen=True, slots=True)
class TidalStage:
    """Processes of a run with Tidal, and the server's recording, which is complete once it has stopped."""

    server: ServerProcess
    relay: DirtRelay
    tidal: TidalProcess
    recording: Path

    def figures(self) -> dict[str, Any]:
        """Figures of the port in `/api/status`."""
        return dict(self.server.status()["dirt"])

    def settle(self) -> dict[str, Any]:
        """Ends the patterns, and returns the status when all that was sent has sounded."""
        self.tidal.run("hush")
        last = max((event.ns for event in self.relay.events), default=time.time_ns()) / 1e9

        def sounded() -> bool:
            status = self.server.status()
            come = status["scheduled"] == 0 and status["dirt"]["received"] >= len(self.relay.events)
            return come and time.time() > last + 0.3

        until(sounded, SETTLE, f"{len(self.relay.events)} events have come and sounded")
        return self.server.status()


def frames_patch(folder: Path) -> Path:
    """Writes a patch of four orbits whose sounds are one frame long; `folder` is the server's home."""
    for name, height in SOUNDS.items():
        sound = np.zeros(64, np.float32)
        sound[0] = height
        path = folder / "data" / "library" / "frames" / name / "0.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, sound, RATE, subtype="FLOAT")
    nodes = "".join(f'[nodes.orbit{n}]\ntype = "sampler"\nlibrary = "frames"\n' for n in range(ORBITS))
    wires = "".join(f'"orbit{n}" = "out"\n' for n in range(ORBITS))
    patch = folder / "frames.toml"
    patch.write_text(f"format = 1\n{nodes}[wires]\n{wires}")
    return patch


@contextlib.contextmanager
def tidal_stage(folder: Path, latency: float = LATENCY) -> Iterator[TidalStage]:
    """Starts a server with four orbits whose sounds are one frame long, and Tidal that sends `latency` seconds ahead.

    `folder`: an empty one, the server's home.
    """
    patch = frames_patch(folder)
    port, recording = free_port(), folder / "out.wav"
    options = ["--audio", "headless", "--patch", str(patch), "--dirt-port", str(port)]
    with (
        ServerProcess(*options, "--record", str(recording), home=folder) as server,
        DirtRelay(port) as relay,
        TidalProcess(relay.port, latency) as tidal,
    ):
        tidal.expect("Connected to SuperDirt")
        yield TidalStage(server, relay, tidal, recording)


@dataclass(frozen=True, slots=True)
class OnsetErrors:
    """Onsets in a recording against time tags: counts."""

    events: int
    onsets: int  # frames that have one; events of one time have one together
    off: int  # events without an onset on the frame of their time tag
    extra: int  # onsets on no event's frame
    spread: float  # frames from the least to the largest difference of the others; a tag lies between two: at most 1

    @property
    def exact(self) -> bool:
        """Whether each event sounded, on the frame of its time tag, and nothing else did."""
        return self.events > 0 and self.off == self.extra == 0


FRAME = 1.001
"""Frames between two differences that are on the same frame: 1, and what the rounding of a time tag to ns adds."""
FIRST = 16
"""Events and onsets at the beginning by which the two clocks are related: one pair of them is on time."""


def onset_errors(recording: Path, events: Sequence[RelayedEvent]) -> OnsetErrors:
    """Compares the recording of a stage that has stopped with the time tags of `events`, sounds of one frame each.

    The relation of the two clocks is one offset: that by which most events are on their frame.
    """
    found = onset_frames(recording)
    tags = np.sort(np.array([event.ns for event in events], np.int64))
    if len(found) < 2 or not len(tags):
        return OnsetErrors(len(tags), len(found), len(tags), len(found), 0.0)
    wanted = (tags - tags[0]) * (RATE / 1e9)
    best = np.zeros(0, np.int64)
    differences = wanted
    for offset in {float(at - tag) for at in found[:FIRST] for tag in wanted[:FIRST]}:
        near = _nearest(found, wanted + offset) - wanted
        order = np.argsort(near)
        ends = np.searchsorted(near[order], near[order] + FRAME, side="right")
        first = int(np.argmax(ends - np.arange(len(near))))
        there = order[first : ends[first]]
        if len(there) > len(best):
            best, differences = there, near
    on = np.unique(np.rint(differences[best] + wanted[best]))
    spread = float(np.ptp(differences[best])) if len(best) else 0.0
    return OnsetErrors(len(tags), len(found), len(tags) - len(best), len(found) - len(on), spread)


def _nearest(found: NDArray[np.int64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """The onset nearest to each of the frames."""
    right = np.clip(np.searchsorted(found, wanted), 1, len(found) - 1)
    before, after = found[right - 1].astype(np.float64), found[right].astype(np.float64)
    return np.where(wanted - before <= after - wanted, before, after)


def onset_frames(recording: Path) -> NDArray[np.int64]:
    """The frames of a recording in which something sounds."""
    sound, _ = soundfile.read(recording, dtype="float32", always_2d=True)
    return np.flatnonzero(np.abs(sound).max(axis=1) > LEAST)
