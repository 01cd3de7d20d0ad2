"""A recorded set as it was played: its commands and input through the engine again, and its tracks.

On the same machine and build the result equals the recording sample for sample: missed blocks are missed again, and an
engine crash restarts at the same sample. Everything not in the log is computed again.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.files.tracks import ENDS, BeatPoints, Track, TrackFiles
from antiphon.kernel.contract.block import Samples, StreamSpec, missed_fade_out
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.engine.action_schedule import ActionSchedule, Key
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.engine.journal import TrackLabel, heard_lines
from antiphon.kernel.engine.taps import NodeCapture
from antiphon.kernel.errors import FileError
from antiphon.kernel.graph.clock import TempoMap
from antiphon.kernel.graph.compiler import close_hosts, compile_plan
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.io_nodes import IN_NUMBER
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.io.capture_memory import CHANNELS
from antiphon.kernel.runtime import paths
from antiphon.kernel.session.actions import ACTIONS, NodeSet
from antiphon.kernel.session.commands import Play, Sync
from antiphon.networks.lockstep import replaying
from antiphon.offline.file_ends import PaddedSource
from antiphon.offline.session_reader import SessionLog, check_cell, time_of

# ---- Track files of a replayed set or a rendered patch, as a recorder writes them live

Tell = Callable[[dict[str, Any]], None]
"""Function that takes the log lines that a recorder writes beside tracks."""


@contextmanager
def write_replayed_tracks(
    folder: Path, spec: StreamSpec, first: int, tell: Tell, latency: int = 0
) -> Iterator["ReplayedTracks"]:
    """Context with a folder's tracks, which keeps all of them or none. Raises FileError: they cannot be written."""
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
        """`latency`: frames of silence before the sound, which the tracks leave out."""
        self.files, self._spec, self._first, self._tell = TrackFiles(folder, spec.rate), spec, first, tell
        self._capture, self._beats, self._labels = NodeCapture(), BeatPoints(), list[TrackLabel]()
        self._by_number: dict[int, Track | None] = {}
        self._left, self._before = latency, np.zeros((spec.channels, latency), np.float32)

    def begin(self) -> None:
        """Begins the tracks of input and output."""
        for number, name in ENDS:
            self._by_number[number] = self.files.add(name, self._spec.channels, mixed=False)

    def keep(self, player: GraphPlayer, sample: int, x: Samples, y: Samples, *, late: bool = False) -> None:
        """Writes the block at `sample` that the player computed from `x`; `y`: its output after the limiter.

        `late`: it was computed too late to be played.
        """
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
            if track is not None and not (late and number != IN_NUMBER):
                found.append((track, sound[:, begins:frames].T))
        self.files.write(found, frames - begins, late=(0,) if late else (), block=frames)
        if (line := self._beats.add(sample, player.time.beat, self._spec.rate)) is not None:
            self._tell(line)
        for line in heard_lines(sample, player.strips.heard or ()):
            self._tell(line)
        if player.strips.heard:
            player.strips.heard.clear()

    def skip(self, frames: int) -> None:
        """Writes a block that was not computed."""
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


# ---- Replay of a recorded session: applies the log to the recorded input, with the engine's graph player


def replay(
    folder: Path,
    source: Iterator[Samples],
    catalog: Catalog,
    make: Callable[[str], Processor],
    tracks: ReplayedTracks | None = None,
) -> Iterator[Samples]:
    """Replays a session's folder with the recorded input, float32 `[channels, frames]`; yields `[channels, block]`.

    `tracks`: receives each strip's part of it.

    Raises FileError: a line of the log cannot be replayed; the message names it.
    """
    log = SessionLog(folder)
    spec, block = log.spec, log.spec.block
    waiting, engine = deque(log.lines), _ReplayedEngine(spec, catalog, make)
    fall, last = missed_fade_out(block, spec.rate), np.zeros((spec.channels, 1), np.float32)
    sample = log.first
    with replaying():
        for x in PaddedSource(source, spec).blocks():
            end = sample + block
            if x.shape[1] < block:
                break
            while waiting and time_of(waiting[0][1]) < end:
                number, line = waiting.popleft()
                with log.line(number):
                    engine.take(line)
            player = engine.player
            if any(first <= sample < last for first, last in log.dead):
                if player.sample < end:
                    player.skip(end - player.sample)
                if tracks is not None:
                    tracks.skip(block)
                y = np.zeros((spec.channels, block), np.float32)
                y[:, : fall.size] = last * fall
            else:
                player.strips.keep(tracks is not None)
                y = player.run(x)
                if tracks is not None:
                    tracks.keep(player, sample, x, y, late=sample in log.silent)
                if sample in log.silent:
                    player.restart_fade_in()
                    y = np.zeros_like(y)
                    y[:, : fall.size] = last * fall
            last = y[:, -1:].copy()
            yield y.copy()
            engine.close_retired()
            sample = end
        engine.close()


class _ReplayedEngine:
    """The player of a replay, with the plans whose nodes are open."""

    def __init__(self, spec: StreamSpec, catalog: Catalog, make: Callable[[str], Processor]) -> None:
        self._spec, self._catalog, self._make = spec, catalog, make
        self.player = GraphPlayer(spec)
        self._plan: Plan | None = None
        self._plans: list[Plan] = []

    def take(self, line: dict[str, Any]) -> None:
        """Applies a line of the log, before the block in which it took effect."""
        if "engine" in line:
            self.close()
            request = line.get("load")
            self._plan = None if request is None else self._compiled(request, None)
            self.player = restore_graph_player(self._spec, line, self._plan)
        elif "load" in line:
            request = line["load"]
            self._plan = plan = self._compiled(request, self._plan)
            self.player.load(plan, request["serial"], request["fade"], request["tempo"], request.get("tail", 0.0))
        else:
            _apply(line, self.player, {} if self._plan is None else self._plan.hosts)

    def close(self) -> None:
        """Closes the nodes of all plans."""
        later: Mapping[int, NodeHost] = {}
        while self._plans:
            hosts = self._plans.pop().hosts
            close_hosts(hosts.values(), later)
            later = hosts

    def close_retired(self) -> None:
        """Closes the nodes of plans that have faded out."""
        while self.player.retired:
            retired = self.player.retired.popleft().old
            self._plans[:] = [other for other in self._plans if other is not retired]
            close_hosts(retired.hosts.values(), {} if self._plan is None else self._plan.hosts)

    def _compiled(self, request: dict[str, Any], before: Plan | None) -> Plan:
        unprepared = {int(number): str(reason) for number, reason in request.get("unprepared", {}).items()}
        graph = Graph.from_json(request["graph"])
        self._plans.append(
            compile_plan(graph, self._catalog, self._make, self._spec, request["ids"], before, unprepared)
        )
        return self._plans[-1]


def _apply(line: dict[str, Any], player: GraphPlayer, hosts: Mapping[int, NodeHost]) -> None:
    if line.get("leaving"):
        hosts = player.leaving
    if "latency" in line:
        player.time.latency = line["latency"]
    elif "mark" in line:
        if line["node"] in hosts:
            hosts[line["node"]].runner.recall(line["mark"], line["number"])
    elif "op" in line:
        action = ACTIONS.from_line(line)
        if isinstance(action, NodeSet):
            known = player.host(action.node)
            if known is not None and action.cell < len(known.cells):
                check_cell(known.cells[action.cell], action.number)
        player.at_sample(line["sample"], action)
    elif "failed" in line and line["failed"] in hosts:
        host = hosts[line["failed"]]
        if line.get("aside"):
            host.mark_failed(line["reason"])
        else:
            host.forced = line["reason"]


class _LoggedSchedule(ActionSchedule):
    """Schedule that drops nothing: the log holds only actions that took effect, also after a `/panic`."""

    def clear(self, keep_from: int = 0) -> list[Sync]:
        return []

    def hanging_note_offs(self, sounding: Collection[Key], tempo: TempoMap, keep_from: int = 0) -> list[Play[int]]:
        return []


def restore_graph_player(spec: StreamSpec, line: dict[str, Any], plan: Plan | None) -> GraphPlayer:
    """A graph player with the state in an `engine` line of the log. Raises ValueError for an invalid number."""
    player = GraphPlayer(spec)
    player.schedule = _LoggedSchedule()
    for number, host in (plan.hosts if plan is not None else {}).items():
        for cell, state in zip(host.cells, line["cells"][str(number)], strict=True):
            if cell.param.kind not in ("text", "file"):
                check_cell(cell, state[0])
                check_cell(cell, state[1])
    player.resume(line, plan)
    return player
