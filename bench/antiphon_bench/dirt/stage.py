"""A server that plays what Tidal sends, and where each of its events sounded: against the time tags, by frame."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_bench.dirt.relay import DirtRelay, RelayedEvent
from antiphon_bench.dirt.tidal import LATENCY, TidalProcess
from antiphon_bench.rig import ServerProcess, free_port

RATE = 48000
ORBITS = 4
SOUNDS = {"bd": 0.5, "sn": 0.4, "cp": 0.3, "hh": 0.25, "arpy": 0.2}
"""Heights of the sounds, each of one frame: where it is above a threshold is where it begins."""
LEAST = 0.02
"""The least magnitude that is an onset."""
SETTLE = 600
"""Looks, 0.1 s apart, for the end of what was sent."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class TidalStage:
    """Processes of a run with Tidal.

    Attributes:
        server: The server; its recording is complete once it has stopped.
        relay: Between the two.
        tidal: Tidal.
        recording: The server's recording.
    """

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
        for _ in range(SETTLE):
            time.sleep(max(0.1, last + 0.3 - time.time()))
            status = self.server.status()
            if status["scheduled"] == 0 and status["dirt"]["received"] >= len(self.relay.events):
                return status
        raise RuntimeError(f"of {len(self.relay.events)} events not all have come to the server: {status['dirt']}")


@contextlib.contextmanager
def tidal_stage(folder: Path, latency: float = LATENCY) -> Iterator[TidalStage]:
    """Starts a server with four orbits whose sounds are one frame long, and Tidal that plays to it.

    Args:
        folder: An empty folder, the server's home.
        latency: Seconds by which Tidal sends ahead.

    Yields:
        The stage, when Tidal's handshake was answered.
    """
    import soundfile

    for name, height in SOUNDS.items():
        sound = np.zeros(64, np.float32)
        sound[0] = height
        path = folder / "data" / "library" / "frames" / name / "0.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, sound, RATE, subtype="FLOAT")
    nodes = "".join(f'[nodes.orbit{n}]\ntype = "sampler"\nlibrary = "frames"\n' for n in range(ORBITS))
    wires = "".join(f'"orbit{n}" = "out"\n' for n in range(ORBITS))
    (folder / "frames.toml").write_text(f"format = 1\n{nodes}[wires]\n{wires}")
    port, recording = free_port(), folder / "out.wav"
    options = ["--audio", "headless", "--patch", str(folder / "frames.toml"), "--dirt-port", str(port)]
    with (
        ServerProcess(*options, "--record", str(recording), home=folder) as server,
        DirtRelay(port) as relay,
        TidalProcess(relay.port, latency) as tidal,
    ):
        tidal.expect("Connected to SuperDirt")
        yield TidalStage(server, relay, tidal, recording)


@dataclass(frozen=True, slots=True)
class OnsetErrors:
    """Onsets in a recording against time tags.

    Attributes:
        events: How many were sent.
        onsets: How many frames have one; events of one time have one together.
        off: Events without an onset on the frame of their time tag.
        extra: Onsets on no event's frame.
        spread: Frames between the least and the largest difference of onset and time tag of the others; a time tag
            lies between two frames, so it is at most 1.
    """

    events: int
    onsets: int
    off: int
    extra: int
    spread: float

    @property
    def exact(self) -> bool:
        """Whether each event sounded, on the frame of its time tag, and nothing else did."""
        return self.events > 0 and self.off == self.extra == 0


FRAME = 1.001
"""Frames between two differences that are on the same frame: 1, and what the rounding of a time tag to ns adds."""
FIRST = 16
"""Events and onsets at the beginning by which the two clocks are related: one pair of them is on time."""


def onset_errors(recording: Path, events: Sequence[RelayedEvent]) -> OnsetErrors:
    """Compares a recording with the time tags of what was sent.

    Args:
        recording: Recording of a stage that has stopped.
        events: What was sent; sounds of one frame each.

    Returns:
        The errors. The relation of the two clocks is one offset: that by which most events are on their frame.
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
    import soundfile

    found: list[NDArray[np.int64]] = []
    at = 0
    with soundfile.SoundFile(recording) as file:
        while len(sound := file.read(_CHUNK, dtype="float32", always_2d=True)):
            found.append(np.flatnonzero(np.abs(sound).max(axis=1) > LEAST) + at)
            at += len(sound)
    return np.concatenate(found) if found else np.zeros(0, np.int64)
