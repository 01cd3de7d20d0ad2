"""Track files of a replayed set or a rendered patch, as a recorder writes them live."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.files.tracks import ENDS, BeatPoints, Track, TrackFiles
from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.recording.journal import TrackLabel, heard_lines
from antiphon.kernel.engine.taps import NodeCapture
from antiphon.kernel.errors import FileError
from antiphon.kernel.graph.io_nodes import IN_NUMBER
from antiphon.kernel.io.capture_memory import CHANNELS
from antiphon.kernel.runtime import paths

Tell = Callable[[dict[str, Any]], None]
"""Takes the lines of the log that a recorder writes beside tracks."""


@contextmanager
def written_tracks(
    folder: Path, spec: StreamSpec, first: int, tell: Tell, latency: int = 0
) -> Iterator["ReplayedTracks"]:
    """Tracks in a folder, all of them or none. Raises FileError: they cannot be written."""
    tracks = ReplayedTracks(folder, spec, first, tell, latency)
    try:
        tracks.begin()
        yield tracks
        tracks.close()
    except BaseException as error:
        tracks.remove()
        if isinstance(error, BrokenPipeError) or not isinstance(error, OSError):  # all other files say theirs
            raise
        raise FileError(f"cannot write the tracks in {folder}: {paths.os_error_text(error)}; none was left") from None


class ReplayedTracks:
    """Writes tracks into a folder.

    Attributes:
        files: The tracks.
    """

    def __init__(self, folder: Path, spec: StreamSpec, first: int, tell: Tell, latency: int) -> None:
        """`latency`: frames of silence before the sound, which the tracks are without."""
        self.files, self._spec, self._first, self._tell = TrackFiles(folder, spec.rate), spec, first, tell
        self._capture, self._beats, self._labels = NodeCapture(), BeatPoints(), list[TrackLabel]()
        self._by_number: dict[int, Track | None] = {}
        self._left, self._before = latency, np.zeros((spec.channels, latency), np.float32)

    def begin(self) -> None:
        """Begins the input and the output."""
        for number, name in ENDS:
            self._by_number[number] = self.files.add(name, self._spec.channels, mixed=False)

    def keep(self, player: GraphPlayer, sample: int, x: Samples, y: Samples) -> None:
        """Takes the block at `sample` that the player has computed of `x`; `y`: its output behind the limiter."""
        buses, frames = player.buses.channels, x.shape[1]
        begins = min(self._left, frames)
        self._left -= begins
        sounds, owners = self._capture.sources(x, y, player.plan, buses, player.strips.now)
        if self._capture.labels is not self._labels:
            self._labels = self._capture.labels
            for number, name, channels, mixed in self._labels:
                if number not in self._by_number:
                    self._by_number[number] = self.files.add(name, channels, mixed=mixed)
        at, found = 0, []
        for sound in sounds:
            number = int(owners[at]) // CHANNELS
            track = self._by_number.get(number)
            at += len(sound)
            if number == IN_NUMBER and self._before.shape[1]:
                # the input is on time: it waits for the sound that is made of it
                whole = np.concatenate([self._before, sound], axis=1)
                sound, self._before = whole[:, :frames], whole[:, frames:]
            if track is not None:
                found.append((track, sound[:, begins:frames].T))
        self.files.write(found, frames - begins)
        if (line := self._beats.add(sample, player.time.beat, self._spec.rate)) is not None:
            self._tell(line)
        for line in heard_lines(sample, player.strips.heard or ()):
            self._tell(line)
        if player.strips.heard:
            player.strips.heard.clear()

    def skip(self, frames: int) -> None:
        """Takes a block that was not computed."""
        self.files.write((), frames, missing=(0,), block=frames)

    def close(self) -> None:
        """Ends the files, and lists them."""
        self.files.write_list(self._first, self._by_number)
        self.files.close()

    def remove(self) -> None:
        """Removes the files."""
        self.files.close()
        for track in self.files.tracks:
            (self.files.folder / track.file).unlink(missing_ok=True)
