"""Renders scsynth's part offline: the passes of a render, and the score for `scsynth -N`.

A file is played twice or more. In the first pass synth nodes are silent and their events are recorded; scsynth renders
their score offline (`-N`), and the next pass plays that. If the sound changes the events (a synth that feeds an
analysis node), another pass follows.
"""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from antiphon.api import EngineError, Event, Samples
from antiphon.api.backends import transports as osc
from antiphon.api.backends.files import built_in_folder, temporary_folder
from antiphon.api.backends.synths import BackendChoice, SynthInfo, SynthSettings, use_backend
from antiphon_supercollider.info import SUPERCOLLIDER, ahead, delay
from antiphon_supercollider.scsynth.asset_store import NodeAssets
from antiphon_supercollider.scsynth.server import limits, scsynth_path
from antiphon_supercollider.voices.material import NOTHING, needs
from antiphon_supercollider.voices.own import PLACES, create_node_player
from antiphon_supercollider.voices.players import NodeVoices, VoicePlace

TOLD = "told-{}.jsonl"
SOUND = "sound-{}-{}.npy"
"""Name of a track's sound by pass and track: float32 `[2, frames]`, from sample 0 on."""


class ScoreBackend:
    """Backend of one pass. `live`: whether it has the live latency.

    `folder`: stores the events and the rendered sound of passes. A *track* is one node from its opening to its closing;
    tracks are numbered in order of opening.
    """

    name = "supercollider"
    rehearses = False

    def __init__(self, rate: int, hop: int, slots: int, folder: str, turn: int, serial: int, live: bool) -> None:
        self._hop, self._folder, self._turn = hop, Path(folder), int(turn)
        # a set that is played again has the latency it had
        self._behind = delay(rate, hop) * hop if live else 0
        self._tracks = [-1] * slots
        self._samples = [0] * slots
        self._sounds: list[Samples | None] = [None] * slots
        self._opened = 0
        try:
            self._file: TextIO = (self._folder / TOLD.format(self._turn)).open("w", encoding="utf-8")
        except OSError as error:
            raise EngineError(f"the notes cannot be kept in {folder}: {error.strerror}") from error

    def open(self, slot: int, settings: SynthSettings) -> None:
        self._tracks[slot] = self._opened
        self._sounds[slot] = _sound(self._folder / SOUND.format(self._turn - 1, self._opened))
        self._write({"track": self._opened, "settings": settings.to_json()})
        self._opened += 1

    def close(self, slot: int) -> None:
        self._tracks[slot], self._sounds[slot] = -1, None

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        self._samples[slot] = sample
        for e in events:
            self._write(
                {
                    "track": self._tracks[slot],
                    "sample": sample,
                    "event": [e.kind, e.offset, e.number, e.value, e.channel, e.age],
                }
            )

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        for slot in np.flatnonzero(active):
            sound, at = self._sounds[slot], self._samples[slot] - self._behind
            out[slot] = 0.0
            if sound is not None and at + self._hop > 0:
                skipped = max(0, -at)
                part = sound[:, at + skipped : at + self._hop]
                out[slot, :, skipped : skipped + part.shape[1]] = part
        self._file.flush()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")


def _sound(path: Path) -> Samples | None:
    if not path.exists():
        return None
    samples: Samples = np.load(path, mmap_mode="r")
    return samples


MAX_TURNS = 4
MAX_TRACKS = 32
LEAD = 4800
"""Frames of the score before sample 0: a voice is silent at the frame of its creation."""
AHEAD = 2400
"""Frames by which messages precede their hop. In a replay they precede it as they do live, because controls already run
in a waiting voice."""
BLOCK = 64
"""Block size of scsynth."""
SLACK_SECONDS = 3600.0

INFO = SynthInfo(
    SUPERCOLLIDER.name,
    "antiphon_supercollider.offline:ScoreBackend",
    slots=MAX_TRACKS,
    memory=4096,
    support="antiphon_supercollider.support:ScoreSupport",
    trims=SUPERCOLLIDER.trims,
)
REPLAY_INFO = replace(INFO, support=SUPERCOLLIDER.support, crowd=SUPERCOLLIDER.crowd)
"""Backend info for a replay, with the live latency."""


@dataclass(slots=True)
class _Track:
    settings: SynthSettings
    hops: dict[int, list[Event]] = field(default_factory=dict)


@contextmanager
def turns(*, live: int = 0) -> Iterator[OfflineTurns]:
    """Context with the passes of one render and a temporary folder; `live`: frames of a block for a replay, else 0."""
    with temporary_folder() as folder:
        yield OfflineTurns(folder, live)


class OfflineTurns:
    """Passes of one render. Call `begin` before each and `done` after it, until `done` returns True."""

    def __init__(self, folder: Path, live: int) -> None:
        self._live = live
        self._folder, self._turn, self._begun = folder, 0, 0
        self._previous: list[_Track] = []

    def begin(self) -> None:
        # a worker that knows another turn's tracks is not this one's
        self._begun += 1
        settings = (
            ("folder", str(self._folder)),
            ("turn", self._turn),
            ("serial", self._begun),
            ("live", bool(self._live)),
        )
        use_backend(BackendChoice(REPLAY_INFO if self._live else INFO, settings))

    def done(self, frames: int, rate: int) -> bool:
        """True if the pass was the last one: each track's events equal those of the previous pass."""
        path = self._folder / TOLD.format(self._turn)
        tracks = _tracks(path) if path.exists() else []
        # nodes that are run beside each other tell theirs in any order
        same = self._turn and tracks == self._previous
        if same or self._turn == MAX_TURNS or not any(track.hops for track in tracks):
            self.begin()
            return True
        self._previous = tracks
        before = ahead(rate, self._live, self._live) if self._live else AHEAD
        render(tracks, frames, rate, lambda track: self._folder / SOUND.format(self._turn, track), before)
        self._turn += 1
        return False


def render(tracks: list[_Track], frames: int, rate: int, into: Callable[[int], Path], before: int = AHEAD) -> None:
    """Renders a pass's tracks by `scsynth -N`, one sound a track, at the path returned by `into`.

    `before`: frames by which messages precede their hop. Raises EngineError: scsynth fails, or there are too many
    tracks.
    """
    if len(tracks) > MAX_TRACKS:
        raise EngineError(f"scsynth renders {MAX_TRACKS} synth nodes at most, and there are {len(tracks)}")
    outputs = 2 * len(tracks)
    with temporary_folder() as folder:
        score, wav = folder / "score.osc", folder / "out.wav"
        _write(score, _lines(tracks, outputs, frames, rate, folder, before), rate)
        words = [
            scsynth_path(),
            "-N",
            str(score),
            "_",
            str(wav),
            str(rate),
            "WAV",
            "float",
            *limits(64, 2, max(2, outputs)),
        ]
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SLACK_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"scsynth did not render {frames / rate:g} s within {SLACK_SECONDS:g} s") from error
        if done.returncode or not wav.exists():
            reason = (done.stdout + done.stderr).strip().splitlines()[-1:] or [f"status {done.returncode}"]
            raise EngineError(f"scsynth did not render the notes: {reason[0]}")
        x, _ = soundfile.read(wav, dtype="float32", always_2d=True)
    x = x[LEAD : LEAD + frames]
    for track in range(len(tracks)):
        np.save(into(track), np.ascontiguousarray(x[:, 2 * track : 2 * track + 2].T))


def _tracks(events: Path) -> list[_Track]:
    tracks: list[_Track] = []
    for line in events.read_text("utf-8").splitlines():
        read: dict[str, Any] = json.loads(line)
        if "settings" in read:
            tracks.append(_Track(SynthSettings(**read["settings"])))
        elif 0 <= read["track"] < len(tracks):
            tracks[read["track"]].hops.setdefault(read["sample"], []).append(Event(*read["event"]))
    return tracks


def _lines(
    tracks: list[_Track], outputs: int, frames: int, rate: int, folder: Path, before: int
) -> Iterator[tuple[int, bytes]]:
    """Packets of the score by frame, in order."""
    for path in sorted((built_in_folder("supercollider") / "compiled").glob("*.scsyndef")):
        yield 0, osc.encode("/d_recv", path.read_bytes())
    shelf = NodeAssets(folder)
    materials = [
        shelf.material(n, track.settings) if needs(track.settings) else NOTHING for n, track in enumerate(tracks)
    ]
    yield from ((0, packet) for packet in shelf.since(0))
    clock = outputs + 2
    yield 0, osc.encode("/s_new", "antiphon_clock", 900, 0, 0, "out", float(clock))
    nodes = count(1000)
    players: list[NodeVoices] = []
    for n, (track, material) in enumerate(zip(tracks, materials, strict=True)):
        place = VoicePlace(rate, 10 + n, 2 * n, clock, nodes)
        players.append(create_node_player(track.settings, place, material, clock + 2 + 2 * PLACES * n, PLACES * n))
    for each in players:
        yield 0, osc.encode("/g_new", each.group, 1, 0)
    moments = sorted((sample, n) for n, t in enumerate(tracks) for sample in t.hops)
    for sample, n in moments:
        packets: list[bytes] = []
        players[n].play(tracks[n].hops[sample], sample + LEAD, 0, lambda _node, packet: packets.append(packet))  # noqa: B023
        for packet in packets:
            # at the first frame of a block: OffsetOut would shift a start inside one
            yield max(0, sample + LEAD - before) // BLOCK * BLOCK, packet
    yield frames + LEAD, osc.encode("/c_set", 0, 0.0)


def _write(path: Path, lines: Iterator[tuple[int, bytes]], rate: int) -> None:
    with path.open("wb") as file:
        for at, packet in lines:
            bundle = osc.encode_bundle(round((at + 0.25) / rate * 2**32), [packet])
            file.write(struct.pack(">i", len(bundle)) + bundle)
