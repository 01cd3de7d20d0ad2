"""Renders a patch to a file, for each file of `antiphon render` and each stem of a script."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from antiphon.backends.info import play_ahead
from antiphon.files.audiofile import stream
from antiphon.files.audiowrite import AudioWriter
from antiphon.files.scores.midi_suffixes import is_midi
from antiphon.files.sound_finish import PLAIN, SoundFinish
from antiphon.kernel.contract.block import F64, Samples, StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param
from antiphon.kernel.engine.levels import pairs_of
from antiphon.kernel.errors import RequestError, UsageError
from antiphon.kernel.graph.graph import order
from antiphon.kernel.graph.patch import Patch
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime.paths import read_ordinary_text
from antiphon.kernel.runtime.terms import path_text
from antiphon.kernel.session.commands import Beat, Command, Play, SetTransport
from antiphon.kernel.session.notes import Players
from antiphon.offline import note_file
from antiphon.offline.commands import param_finder
from antiphon.offline.event_file import parse_events
from antiphon.offline.file_ends import NO_TAIL, Tail, choose_tail, fade_end
from antiphon.offline.file_job import transposes
from antiphon.offline.hearing import BlockListener
from antiphon.offline.output_summary import Written
from antiphon.offline.player import FilePlayer
from antiphon.offline.replay import write_replayed_tracks
from antiphon.operations.finishing import add_source_marks
from antiphon.operations.render_plan import RenderPlan
from antiphon.operations.requests import SILENT, RenderRequest, Reporting
from antiphon.operations.tracks import TrackNotes, claim, describe, linear

BLOCK = 256
LONG_BLOCK = 1024
"""Block in frames for patches whose samples do not depend on it (no cycle, no events): a third faster."""
RATE = 48000
"""Sample rate of OUT in Hz if IN is not a sound."""
MAX_EVENT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class PatchRender:
    """A patch to be rendered."""

    loaded: Loaded
    patch: Patch
    spec: StreamSpec
    source: str | None  # the input's path, or None for silence
    subtype: str
    frames: int | None  # length of the output without its tail; None for that of the input
    expected: int | None  # frames to expect, for the progress bar; None where they are not known
    tail: Tail
    fade: float  # seconds of the fade at the end
    finish: SoundFinish = PLAIN  # of the file
    cue: str = ""  # the pair of channels that holds the cue, such as "3-4"; "" leaves it out
    reporting: Reporting = SILENT

    def write(
        self,
        out: str,
        commands: Sequence[Command],
        name: str,
        stems: Path | None = None,
        bar: int = 4,
        meters: Sequence[tuple[float, int, int]] = (),
    ) -> RenderedFile:
        """Renders the patch with commands, and its strips as tracks into a folder `stems`.

        `bar`: their beats per bar. `meters`: their time signatures, as in `TrackNotes`. Raises AntiphonError: it cannot
        be rendered; no file is left.
        """
        rate, channels = self.spec.rate, 2 * len(self._pairs) if self._pairs else self.spec.channels

        def play() -> int:
            # the synth is silent in these passes, so the tail's end cannot be found by level
            whole = replace(self.tail, level=0.0)
            with ExitStack() as stack:
                player = stack.enter_context(closing(self._player(commands)))
                played: int = sum(part.shape[1] for part in player.play(self._blocks(stack), self.frames, tail=whole))
            return played + player.latency + self.spec.block

        self.reporting.stage("loading")
        with ExitStack() as stack:
            stack.enter_context(play_ahead(play, rate))
            heard_by = Likeness()
            blocks = heard_by.record_input_means(self._blocks(stack))
            player = stack.enter_context(closing(self._player(commands)))
            told: list[dict[str, Any]] = []
            tracks = None
            if stems is not None:
                tracks = stack.enter_context(write_replayed_tracks(stems, self.spec, 0, told.append, player.latency))
                player.record(tracks)
            writer = stack.enter_context(AudioWriter(out, rate, channels, self.subtype, self.finish))
            progress = stack.enter_context(self.reporting.progress(name, self.expected, rate))
            tail = replace(self.tail, bar=float(bar), fade=self.fade) if self.tail.level else self.tail
            rendered = player.play(blocks, self.frames, progress.update, tail)
            for samples in fade_end(rendered, rate, self.fade):
                heard_by.leaving(samples)
                writer.write(samples)
            lost, words = tuple(player.counts()), player.vocabularies()
            limited = player.beyond * self.spec.block / max(1, writer.frames)
            if tracks is not None:
                tracks.files.frames = min(tracks.files.frames, writer.frames)
                heard, beats = ([line for line in told if key in line] for key in ("heard", "beat_line"))
        if tracks is not None:
            notes = TrackNotes(beats, heard, bar=bar, gain=linear(player.gain), meters=meters)
            describe(tracks.files, notes, self.reporting)
        written = Written.sound(writer, name)
        idle = self._idle() if not commands and heard_by.alike else ()
        return RenderedFile(written, tuple(player.failures), player.dropped, lost, words, limited, idle)

    def _idle(self) -> tuple[str, ...]:
        """Nodes that sound only by notes, and to which no wire brings any."""
        graph, types = self.patch.graph, {node.name: self.loaded.catalog[node.type] for node in self.patch.graph.nodes}
        into = {(wire.dest.node, wire.dest.port) for wire in graph.wires}
        return tuple(
            name
            for name in Players(graph, self.loaded.catalog).free
            if types[name].first("audio", "in") is None
            and (port := types[name].first("events", "in")) is not None
            and (name, port.name) not in into
        )

    def hear(self, commands: Sequence[Command], hearing: BlockListener) -> None:
        """Runs the patch with commands and without a file, for the listeners."""
        with ExitStack() as stack:
            player = stack.enter_context(closing(self._player(commands)))
            player.listener = hearing.block
            for _ in player.play(self._blocks(stack), self.frames):
                pass

    @property
    def _pairs(self) -> tuple[str, ...]:
        """Channel pairs of the file; () for the graph's output alone."""
        pairs = pairs_of(self.patch.graph, self.cue)
        if len(pairs) > 1 and self.spec.channels != 2:
            raise UsageError(f"the patch plays {len(pairs)} pairs of channels; give a sound of one or two channels")
        return pairs if len(pairs) > 1 else ()

    def _player(self, commands: Sequence[Command]) -> FilePlayer:
        loaded, patch = self.loaded, self.patch
        if self.source is None and not any(self._plays(one) for one in commands):
            # without a player a clock that waits for one begins at once
            commands = (SetTransport(True), *commands)
        return FilePlayer(patch.graph, loaded.catalog, loaded.make, self.spec, patch.tempo, commands, self._pairs)

    def _plays(self, one: Command) -> bool:
        """Whether a command is a note of a player, for a node that may follow it."""
        if not isinstance(one, Play) or one.event.kind != "on" or type(one.when) is Beat:
            return False
        return not one.node or self.loaded.catalog[self.patch.graph.node(one.node).type].overhears

    def _blocks(self, stack: ExitStack) -> Iterable[Samples]:
        return stack.enter_context(stream(self.source))[1] if self.source is not None else ()


class Likeness:
    """Correlation of input and output, over the frames of both."""

    LEAST = 0.99
    """Minimum correlation of an unchanged sound, also after a limiter."""

    def __init__(self) -> None:
        self._held: deque[F64] = deque()
        self._both = self._entered = self._left = 0.0

    def record_input_means(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """Yields the blocks of the input, unchanged."""
        for block in blocks:
            self._held.append(block.mean(axis=0, dtype=np.float64))
            yield block

    def leaving(self, samples: Samples) -> None:
        """Compares the next frames of the output with the input."""
        rest = samples.mean(axis=0, dtype=np.float64)
        while self._held and len(rest):
            first = self._held.popleft()
            n = min(len(first), len(rest))
            self._both += float(first[:n] @ rest[:n])
            self._entered += float(first[:n] @ first[:n])
            self._left += float(rest[:n] @ rest[:n])
            if n < len(first):
                self._held.appendleft(first[n:])
            rest = rest[n:]

    @property
    def alike(self) -> bool:
        """Whether a sound came out unchanged."""
        return self._entered > 0.0 and self._both >= self.LEAST * math.sqrt(self._entered * self._left)


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """The file that a rendering wrote."""

    written: Written
    failures: tuple[tuple[str, str], ...]
    dropped: int
    lost: tuple[tuple[str, Param, int], ...] = ()
    vocabularies: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    limited: float = 0.0  # share of the time with sound beyond full scale, before the limiter
    idle: tuple[str, ...] = ()  # nodes that had no notes to play, where the sound is that of the input or none

    def tell(
        self, reporting: Reporting, sources: Sequence[str], explained: Mapping[str, int] = MappingProxyType({})
    ) -> bool:
        """Reports the written file and its sources, warnings and errors; returns whether any is a failure."""
        complain = reporting.complain
        *most, last = sources
        reporting.wrote(replace(self.written, source=f"{', '.join(most)} and {last}" if most else last))
        for node, param, count in self.lost:
            if count > explained.get(node, 0):
                complain(f"{node}.{param.name} is {count}: {param.doc}")
        if self.idle:
            heard = "silent" if "silent" in self.written.found else f"unchanged: the sound is that of {last}"
            complain(
                f"{heard}, because {' and '.join(self.idle)} had no notes to play; "
                "give notes (a MIDI file), or play the patch live"
            )
        for node, reason in self.failures:
            complain(f"{node} was bypassed from its failure on: {reason}")
        if self.dropped:
            name = path_text(self.written.path)
            complain(f"{self.dropped} events exceeded the limit of one block and are missing in {name}")
        return bool(self.failures or self.dropped)


def sound_form(sound: str | None, finish: SoundFinish) -> tuple[int, int, str, int | None, SoundFinish]:
    """Rate, channels, subtype and length of OUT by the sound IN, or by none, and the finish with the sound's tags."""
    if sound is None:
        return RATE, 2, "", None, finish
    with stream(sound) as (info, _):
        return info.rate, max(2, info.channels), info.subtype, info.frames, finish.with_tags(info)


def tail_after(asked: RenderRequest, patch: Patch, catalog: Catalog) -> Tail:
    """The requested tail, or that of the patch's nodes."""
    return choose_tail(asked.tail, any(catalog[node.type].on_files.tail for node in patch.graph.nodes))


def render_file(
    source: str | None, out: str, planned: RenderPlan, patch: Patch, loaded: Loaded, reporting: Reporting
) -> bool:
    """Writes OUT, complete or not at all, and reports it; returns False if a node failed or events were left out.

    Raises AntiphonError: it cannot be rendered.
    """
    asked, graph, catalog = planned.request, patch.graph, loaded.catalog
    seconds = asked.seconds
    given = [path for path in (source, asked.events) if path is not None]
    notes = [path for path in given if is_midi(path)]
    sound = None if source in notes else source
    rate, channels, subtype, frames, finish = sound_form(sound, planned.finish)
    if sound is not None and Path(sound).is_file():
        transposed = any(transposes(catalog[node.type], node.values) for node in graph.nodes)
        finish = add_source_marks(finish, Path(sound), frames, rate, transposed)
    commands: list[Command] = []
    scores = [note_file.read(Path(path), rate) for path in notes]
    for path, score in zip(notes, scores, strict=True):
        # nodes that play a MIDI file; says where a kit was added
        name = path_text(path)
        try:
            players = note_file.find_song_players(patch.graph, catalog, score)
        except RequestError as error:
            raise UsageError(f"{name}: {error}") from None
        if players.said:
            reporting.complain(f"{name}: {players.said}")
        patch = replace(patch, graph=players.graph)
        commands += note_file.commands(score, players)
        commands += note_file.bar_commands(score, patch.graph)
    if sound is None and scores:
        frames = max(score.frames for score in scores)
    if asked.events is not None and asked.events not in notes:
        commands += _events(asked.events, rate, patch, catalog)
    if (
        sound is None
        and asked.stems is None
        and any(isinstance(command, Play) and command.event.kind == "on" for command in commands)
    ):
        finish = finish.from_notes()
    if seconds is not None:
        frames = round(seconds * rate)
    cyclic = order(graph, catalog)[1]
    spec = StreamSpec(rate, asked.block or (BLOCK if cyclic or commands or asked.events else LONG_BLOCK), channels)
    length = frames if seconds is not None or sound is None else None
    after = NO_TAIL if seconds is not None and asked.tail is None else tail_after(asked, patch, catalog)
    task = PatchRender(
        loaded, patch, spec, sound, subtype, length, frames, after, asked.fade, finish, asked.cue, reporting
    )
    stems = None if asked.stems is None else claim(asked.stems, "--stems", None, out=out, force=asked.force)
    bars = [round(beats) for score in scores for _, beats in score.song.meters]
    meters = next((score.song.signatures for score in scores if score.song.signatures), ())
    done = task.write(out, commands, patch.name, stems, max(1, bars[0]) if bars else 4, meters)
    if not done.written.seconds:
        reporting.complain(f"{path_text(out)} holds no sound (0 frames)")
    return not done.tell(reporting, [f"the patch {patch.name}", *map(path_text, given)])


def _events(path: str, rate: int, patch: Patch, catalog: Catalog) -> list[Command]:
    name = path_text(path)
    text = read_ordinary_text(path, MAX_EVENT_BYTES, "a file of events")
    graph = patch.graph
    return parse_events(text.split("\n"), rate, param_finder(graph, catalog), name, Players(graph, catalog), patch)
