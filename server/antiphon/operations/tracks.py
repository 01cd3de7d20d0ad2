"""Tracks of a recorded set, with MIDI files and studio projects; and a session's tracks, by replaying it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.backends.info import play_ahead
from antiphon.files.audiofile import stream
from antiphon.files.own_files import OTHER_FOLDER, first_entry_names
from antiphon.files.scores import midifile, studio
from antiphon.files.scores.midi_song import MidiControlChange, MidiNote, MidiTrack, Times
from antiphon.files.tracks import GAP, HEADER, LOG, TrackFiles, file_name, read_list, read_tracks
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.control.osc.handlers.scenes import RECALL
from antiphon.kernel.errors import FileError
from antiphon.kernel.graph.io_nodes import OUT_NUMBER, SILENCE
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.terms import spell
from antiphon.kernel.session.actions import ACTIONS, NodeSet
from antiphon.offline.output_summary import Written
from antiphon.offline.player import GAIN
from antiphon.offline.replay import ReplayedTracks, replay, write_replayed_tracks
from antiphon.offline.session_reader import INPUT, TOLD, SessionLog
from antiphon.operations.file_tasks import play_with
from antiphon.operations.requests import Reporting
from antiphon.recording.note import LIST

TICKS = 960
_MOST = 1e15
"""Limit of frames and beats in cues, since a performer's cues may contain any number."""
MIDWAY = (
    "this set was begun while it played; its replay may lack what sounded on from before it, as notes that were held, "
    "echoes and reverberation"
)
"""Remark on a set whose log has the nodes' values at its beginning, but not their state."""
_JUMP, _SLACK, _BENT = 0.02, 0.002, 0.1
"""Distances in beats from which the clock has jumped, and, also as a share, from which a tempo is changed to meet it;
maximum change."""
_SHOWN = 80
"""Maximum characters of a marker's name."""


@contextmanager
def replay_output(
    folder: Path, log: SessionLog, complain: Callable[[str], None], tracks: ReplayedTracks | None = None
) -> Iterator[tuple[int | None, Iterator[Samples]]]:
    """Context with the frames of a session's input, and its output replayed, `[channels, block]`, and into `tracks`.

    Raises FileError: the set has no input, or a line of its log cannot be replayed.
    """
    if not (folder / INPUT).is_file():
        raise FileError(f"{folder} has no {INPUT}; a set cannot be replayed without its input")
    loaded = load(check=False)
    with log.line(1):
        play_with(log.header.get("device", "cpu"), log.header.get("synth", "auto"), loaded, None, complain)
    if log.midway:
        complain(MIDWAY)

    def play() -> int:
        with stream(folder / INPUT) as (_, blocks):
            return sum(y.shape[1] for y in replay(folder, blocks, loaded.catalog, loaded.make))

    with play_ahead(play, log.spec.rate, log.spec.block), stream(folder / INPUT) as (info, blocks):
        log.check_input(info.rate, info.channels)
        yield info.frames, replay(folder, blocks, loaded.catalog, loaded.make, tracks)


@contextmanager
def replayed_tracks(log: SessionLog, source: Path, folder: Path) -> Iterator[ReplayedTracks]:
    """Context with tracks of a replay, written into a folder with the log of `source`; call `claim` before."""
    with (source / LOG).open("rb") as held, (folder / LOG).open("wb") as copy:
        # what a replay tells anew is left out, and a line that a killed server left unfinished
        copy.writelines(line for line in held if line.endswith(b"\n") and TOLD.isdisjoint(json.loads(line)))
    done = False
    try:
        with (folder / LOG).open("a", encoding="utf-8") as told:

            def tell(line: dict[str, Any]) -> None:
                told.write(json.dumps(line) + "\n")

            with write_replayed_tracks(folder, log.spec, log.first, tell) as tracks:
                yield tracks
        done = True
    finally:
        if not done:
            (folder / LOG).unlink(missing_ok=True)


def claim(folder: str, option: str, source: Path | None, *, out: str = "", force: bool = False) -> Path:
    """Returns a folder for tracks of the set `source`, created if missing.

    `out`: a file that is written too. `force`: the folder may contain files. Raises FileError: the folder is the set
    itself or that file, or contains that file or others.
    """
    if out and os.path.abspath(out) == os.path.abspath(folder):
        raise FileError(f"{option}: {folder} is the file to write too; name another folder")
    if out and paths.is_same_file(folder, os.path.dirname(out) or "."):
        raise FileError(f"{option}: {out} would be among the tracks in {folder}; name it outside of that folder")
    if source is not None and paths.is_same_file(folder, source):
        raise FileError(f"{option}: {folder} is the set itself, whose sound would be lost; name another folder")
    if not force and (held := first_entry_names(folder)):
        raise FileError(f"{option}: {folder} holds files already ({held}); {OTHER_FOLDER.format(spell('force'))}")
    try:
        return paths.make_folder(Path(folder), paths.PRIVATE_FOLDER)
    except OSError as error:
        raise FileError(f"{option}: cannot make {folder}: {paths.os_error_text(error)}") from None


def export(session: Path, out: str, reporting: Reporting, *, force: bool = False) -> None:
    """Makes tracks and projects of a recorded set in the folder `out`, from recorded tracks if there are any.

    Raises FileError: it is not a set, or cannot be replayed or written.
    """
    if (session / LIST).is_file():
        if not paths.is_same_file(session, out):
            held = read_list(session)
            length = held.frames(SessionLog(session).spec.block, force=force)
            folder = claim(out, "DIR", session, force=force)
            for name in (LOG, *(track.file for track in held.tracks)):
                (folder / name).unlink(missing_ok=True)  # it may be a link
                shutil.copy2(session / name, folder / name)
            for track in held.tracks:  # the recorder may be at work, and the copies may be longer
                os.truncate(folder / track.file, HEADER + length * track.channels * 4)
            paths.write_atomic(folder / LIST, held.content, paths.PRIVATE)
        complete(Path(out), reporting, force=force)
        return
    log = SessionLog(session)
    folder = claim(out, "DIR", session, force=force)
    with (
        replayed_tracks(log, session, folder) as tracks,
        replay_output(session, log, reporting.complain, tracks) as (frames, blocks),
        reporting.progress("tracks", frames, log.spec.rate) as progress,
    ):
        for n, _ in enumerate(blocks, 1):
            progress.update(n * log.spec.block)
    complete(folder, reporting)


def complete(folder: Path, reporting: Reporting, *, force: bool = False) -> None:
    """Makes the tracks of a recorded set equally long, and writes the files of `describe`.

    Raises FileError: there are none. `force`: even if that drops more than a killed recorder loses.
    """
    log = SessionLog(folder)
    files, held = read_tracks(folder, log.spec.block, force=force)
    files.close()
    with log.line(1):
        bar = max(1, min(255, int(log.header.get("bar", 4))))
    describe(files, TrackNotes(log.beats, log.heard, log.cues, held.first, bar, _gain(log)), reporting)


@dataclass(frozen=True, slots=True)
class TrackNotes:
    """Notes and timing of tracks besides their sound: lines of a log, the sample of the first frame, beats of a bar.

    `gain`: the output's gain; 1 leaves the recorded level. `meters`: (beat from the first frame, upper, lower) of each
    time signature, if it is known.
    """

    beats: Sequence[Mapping[str, Any]]
    heard: Sequence[Mapping[str, Any]]
    cues: Sequence[Mapping[str, Any]] = ()
    first: int = 0
    bar: int = 4
    gain: float = 1.0
    meters: Sequence[tuple[float, int, int]] = ()


def describe(files: TrackFiles, told: TrackNotes, reporting: Reporting) -> None:
    """Writes the MIDI files and the projects beside tracks."""
    folder, tracks, frames, first = files.folder, files.tracks, files.frames, told.first
    rate, bar = files.rate, told.bar
    points = [(line["sample"] - first, line["beat_line"], line["bpm"]) for line in told.beats]
    begin, tempo = tempo_map(points, rate, bar)
    times = Times(tempo)
    lead = times.seconds(begin)
    meters = [(begin + at if place else 0.0, upper, lower) for place, (at, upper, lower) in enumerate(told.meters)]

    def beat(sample: int) -> float:
        return times.beat(lead + max(0, sample - first) / rate)

    markers = []
    for cue in told.cues:
        values = cue["values"]
        at, name = beat(cue["sample"]), " ".join(str(one) for one in (cue["cue"], *values))[:_SHOWN]
        numbers = bool(values) and all(isinstance(one, int | float) and abs(one) < _MOST for one in values)
        if numbers and cue["cue"] == GAP:
            name = f"gap of {values[0] / rate:.3f} s"
        elif numbers and cue["cue"] == RECALL and len(values) == 2:
            name = f"scene {values[0]}"
            if any(bpm > 0 and line <= values[1] for _, line, bpm in points):
                at = max(at, beat(_sample_of(points, values[1], rate) + first))
        markers.append((at, name))
    heard = _node_tracks(told.heard, beat, times.beat(lead + frames / rate))
    made = [studio.StudioTrack(t.name, t.file, t.channels, muted=not t.mixed) for t in tracks]
    for name, notes in heard.items():
        own = next((track.file for track in tracks if track.name == name), "")
        base = f"{own.removesuffix('.wav') or file_name(name, [track.file for track in tracks])}.mid"
        midifile.write(folder / base, [notes], tempo, TICKS, meters or [(0.0, bar, 4)])
        reporting.wrote(Written(folder / base, f"the notes of {name}", notes=len(notes.notes)))
        made.append(studio.StudioTrack(f"{name} notes", muted=True, notes=notes))
    held_set = studio.StudioSet(rate, frames / rate, begin, tempo, bar, made, sorted(markers), told.gain, meters)
    for path in studio.write_projects(folder, held_set):
        reporting.wrote(Written(path, f"{len(made)} tracks", held_set.seconds))


def tempo_map(
    points: Sequence[tuple[int, float, float]], rate: int, bar: int
) -> tuple[float, list[tuple[float, float]]]:
    """The beat at which files begin, within a bar, and a tempo map from the bar's first beat on.

    `points`: (frame, beat, bpm) of breakpoints. Where the beat stopped or jumped, the map continues at the last tempo.
    """
    bpm = next((value for _, _, value in points if value > 0), 120.0)
    here = points[0][1] - points[0][0] / rate * bpm / 60.0 if points else 0.0
    at = begin = max(0.0, here - here // bar * bar)
    found, last, moved = [(0.0, bpm)], 0, begin - here  # by which beats the map is ahead of the clock
    for (frame, line, value), after in zip(points, [*points[1:], None], strict=False):
        at, last = at + max(0, frame - last) / rate * bpm / 60.0, max(frame, last)
        lag = line + moved - at
        if abs(lag) > _JUMP:
            moved, lag = at - line, 0.0
        if value <= 0:
            continue
        ahead = 0.0 if after is None else max(0, after[0] - last) / rate * value / 60.0
        if (
            after is not None
            and ahead
            and abs(off := after[1] - line - ahead) <= _JUMP
            and abs(off + lag) > min(_SLACK, ahead * _SLACK)
        ):
            # the next point is met where the clock has it, so that what is rounded in one does not add up
            value *= 1.0 + min(_BENT, max(-_BENT, (off + lag) / ahead))
        if abs(value - bpm) > 1e-6:
            bpm = value
            found = [*(point for point in found if point[0] < at), (at, bpm)]
    return begin, found


def _sample_of(points: Sequence[tuple[int, float, float]], beat: float, rate: int) -> int:
    """Frame at which the beat was reached."""
    frame, at, bpm = [point for point in points if point[2] > 0 and point[1] <= beat][-1]
    return frame + round((beat - at) * 60.0 / bpm * rate)


def _gain(log: SessionLog) -> float:
    """Output gain at the end of a set, linear."""
    level = 0.0
    for _, line in log.lines:
        cells = (line.get("cells") or {}).get(str(OUT_NUMBER)) if "engine" in line else None
        if cells is not None:
            level = float(cells[GAIN][1])
        elif "op" in line:
            action = ACTIONS.from_line(line)
            if isinstance(action, NodeSet) and (action.node, action.cell) == (OUT_NUMBER, GAIN):
                level = action.number
    return linear(level)


def linear(level: float) -> float:
    """Factor of a level in dB."""
    return 0.0 if level <= SILENCE else 10.0 ** (level / 20.0)


def _node_tracks(lines: Iterable[Mapping[str, Any]], beat: Callable[[int], float], end: float) -> dict[str, MidiTrack]:
    """Notes and controllers of each node; notes still on last to the end."""
    notes: dict[str, list[MidiNote]] = {}
    controls: dict[str, list[MidiControlChange]] = {}
    sounding: dict[tuple[str, int, int], tuple[float, float]] = {}

    def stop(key: tuple[str, int, int], at: float) -> None:
        if key in sounding:
            start, velocity = sounding.pop(key)
            note = MidiNote(start, max(at - start, 1.0 / TICKS), key[2], velocity, key[1])
            notes.setdefault(key[0], []).append(note)

    for line in sorted(lines, key=lambda line: line["sample"]):
        name = line["heard"]
        for offset, kind, number, value, channel in line["events"]:
            at, key = beat(line["sample"] + offset), (name, channel, number)
            if kind in ("on", "off"):
                stop(key, at)
                if kind == "on":
                    sounding[key] = at, min(1.0, max(1.0 / 127.0, value))
            elif kind in ("control", "bend", "program"):
                controls.setdefault(name, []).append(MidiControlChange(at, kind, number, value, channel))
    for key in list(sounding):
        stop(key, end)
    return {
        name: MidiTrack(
            name, tuple(sorted(held, key=lambda n: (n.start, n.number))), None, tuple(controls.get(name, ()))
        )
        for name, held in notes.items()
    }
