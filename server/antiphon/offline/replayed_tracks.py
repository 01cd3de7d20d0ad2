"""Tracks of a set that is replayed: the files and the lines of the log that a recorder writes live."""

import json
from pathlib import Path
from typing import Any

from antiphon.files.tracks import ENDS, LOG, BeatPoints, Track, TrackFiles
from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.recording.journal import TrackLabel, heard_lines
from antiphon.kernel.engine.taps.node_taps import NodeCapture
from antiphon.kernel.io.capture_memory import CHANNELS


class ReplayedTracks:
    """Writes tracks into a folder that has the session's log; `close` ends them."""

    def __init__(self, folder: Path, spec: StreamSpec, first: int) -> None:
        self._files, self._spec, self._first = TrackFiles(folder, spec.rate), spec, first
        self._capture, self._beats, self._labels = NodeCapture(), BeatPoints(), list[TrackLabel]()
        self._by_number: dict[int, Track | None] = {}
        for number, name in ENDS:
            self._by_number[number] = self._files.add(name, spec.channels, mixed=False)
        self._log = (folder / LOG).open("a", encoding="utf-8")

    def keep(self, player: GraphPlayer, sample: int, x: Samples, y: Samples) -> None:
        """Takes the block at `sample` that the player has computed of `x`; `y`: what was heard of it."""
        buses = player.buses.channels
        sounds, owners = self._capture.sources(x, y, player.plan, buses, player.strips.now)
        if self._capture.labels is not self._labels:
            self._labels = self._capture.labels
            for number, name, channels, mixed in self._labels:
                if number not in self._by_number:
                    self._by_number[number] = self._files.add(name, channels, mixed=mixed)
        at, found = 0, []
        for sound in sounds:
            track = self._by_number.get(int(owners[at]) // CHANNELS)
            at += len(sound)
            if track is not None:
                found.append((track, sound.T))
        self._files.write(found, x.shape[1])
        self._tell(self._beats.add(sample, player.time.beat, self._spec.rate))
        for line in heard_lines(sample, player.strips.heard or ()):
            self._tell(line)
        if player.strips.heard:
            player.strips.heard.clear()

    def skip(self, frames: int) -> None:
        """Takes a block that was not computed."""
        self._files.write((), frames)

    def _tell(self, line: dict[str, Any] | None) -> None:
        if line is not None:
            self._log.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Ends the files, and lists them."""
        self._log.close()
        self._files.write_list(self._first, self._by_number)
        self._files.close()
