"""MIDI files on the sample clock: event input for `antiphon run` and `render`, event output of `run`."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from antiphon.files.scores import midi_song, midifile
from antiphon.files.scores.midi_song import BAR, MidiNote, MidiSong, MidiTrack, Times
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.event import Event
from antiphon.kernel.errors import FileError
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.graph.graph import End, Graph, NodeSpec, Wire
from antiphon.kernel.graph.names import OUT
from antiphon.kernel.runtime.terms import path_text
from antiphon.kernel.session.commands import Command, Play, Sample, SetParam, SetTempo, SetTransport
from antiphon.kernel.session.notes import Players

MAX_SECONDS = 6 * 3600.0
_ORDER = {"off": 0, "control": 1, "bend": 1, "program": 1, "pitch": 2, "on": 3}
"""Order of events on one frame: note-offs before note-ons, and a pedal or a program change before its note."""
_FINE = 960
"""Ticks per beat of MIDI files without a source file."""
Timed = tuple[int, Event]
"""A frame and the event on it."""


@dataclass(frozen=True, slots=True)
class TimedScore:
    """A MIDI file on the sample clock.

    `begins`: beat of the clock at frame 0, aligned to the players' beats; None if they keep no steady beat. `rate`: in
    Hz.
    """

    song: MidiSong
    events: tuple[Timed, ...]
    tempo: tuple[tuple[int, float], ...]  # (frame, bpm), the first at frame 0
    frames: int
    begins: float | None = 0.0
    rate: int = 48000

    @property
    def has_drums(self) -> bool:
        """Whether a rhythm part has notes."""
        return any(event.kind == "on" and event.channel in self.song.drums for _, event in self.events)


def read(path: Path, rate: int) -> TimedScore:
    """Reads a MIDI file. Raises FileError if it is not MIDI, too long, or without notes."""
    song = midifile.read(path)
    times = Times(song.tempo)
    timed: list[Timed] = []

    def frame(beat: float) -> int:
        seconds = times.seconds(beat)
        if seconds > MAX_SECONDS:
            raise FileError(f"cannot play {path_text(path)}: it lasts longer than {MAX_SECONDS / 3600:g} h; cut it")
        return round(seconds * rate)

    for track in song.tracks:
        for note in track.notes:
            start = frame(note.start)
            end = max(start + 1, frame(note.end))
            if tuned := _semitones(song, note):
                timed.append((start, Event("pitch", 0, note.number, tuned, note.channel)))
            timed.append((start, Event("on", 0, note.number, note.velocity, note.channel)))
            timed.append((end, Event("off", 0, note.number, 0.0, note.channel)))
        for control in track.controls:
            timed.append((frame(control.at), Event(control.kind, 0, control.number, control.value, control.channel)))
    if not any(event.kind == "on" for _, event in timed):
        raise FileError(f"cannot play {path_text(path)}: there are no notes in it")
    timed.sort(key=lambda item: (item[0], _ORDER[item[1].kind]))
    timed = _without_early_ends(timed)
    end = timed[-1][0]
    changes = [(round(times.seconds(at) * rate), min(MAX_TEMPO, max(MIN_TEMPO, bpm))) for at, bpm in song.tempo]
    tempo = tuple(change for change in changes if change[0] <= end)
    return TimedScore(song, tuple(timed), tempo, end + 1, _beginning(song), rate)


def _semitones(song: MidiSong, note: MidiNote) -> float:
    """Semitones by which a note is beside its number in the tuning of its octave; 0 for a drum."""
    tunings = song.tunings if note.channel not in song.drums else ()
    found = (steps for at, channels, steps in reversed(tunings) if at <= note.start and note.channel in channels)
    return next(found, (0.0,) * 12)[note.number % 12]


def _without_early_ends(timed: Iterable[Timed]) -> list[Timed]:
    """Events without note-offs of keys that another track holds on the channel; two note-ons of a frame are one."""
    down: Counter[tuple[int, int]] = Counter()
    begun: dict[tuple[int, int], int] = {}
    kept: list[Timed] = []
    for at, event in timed:
        key = event.channel, event.number
        if event.kind == "on":
            down[key] += 1
            if down[key] > 1 and (first := kept[begun[key]])[0] == at:
                kept[begun[key]] = at, first[1] if first[1].value >= event.value else event
                continue
            begun[key] = len(kept)
        elif event.kind == "off":
            down[key] -= 1
            if down[key]:
                continue
        kept.append((at, event))
    return kept


def _beginning(song: MidiSong) -> float | None:
    """Beat of the clock at the beginning of a song, by `MidiSong.late`: within the first bar, so never below 0.

    The players' bar line then falls on a bar line of the clock, and notes before it are in the bar before.
    """
    late = song.beat_offset_of_notes()
    if not late:
        return late
    bar = BAR if late > 0.5 or song.has_no_bars or not song.meters else song.meters[0][1]
    return -late % max(bar, 1.0)


@dataclass(frozen=True, slots=True)
class SongPlayers:
    """Nodes that play a song: all of it, its pitched notes, its drums.

    `graph`: the patch's, with a kit added if it had none. `said`: remark about the kit, or "".
    """

    graph: Graph
    all: tuple[str, ...]
    pitched: tuple[str, ...] = ()
    drums: tuple[str, ...] = ()
    said: str = ""


def find_song_players(graph: Graph, catalog: Catalog, score: TimedScore) -> SongPlayers:
    """Finds the nodes of a patch that play a song: those that take notes and have no wire for them.

    A node that only follows notes gets them for a performance, not for a song whose beats are known. A `synth` plays
    pitched notes, or drums if these are its instrument. Raises RequestError: no node takes notes.
    """
    free = Players(graph, catalog).of("", by_clock=score.begins is not None)
    values = {node.name: node.values for node in graph.nodes if node.name in free and node.type == "synth"}
    synths = [name for name in values if not values[name].get("synthdef")]
    kits = tuple(name for name in synths if values[name].get("instrument") == "drums")
    pitched, other = (
        tuple(name for name in free if (name in synths) == held and name not in kits) for held in (True, False)
    )
    if not pitched or not (score.has_drums or kits):
        return SongPlayers(graph, free)
    if kits or other:
        return SongPlayers(graph, other, pitched, kits)
    name = next(n for n in ("kit", *(f"kit{k}" for k in range(2, 1000))) if not graph.has(n))
    kit = NodeSpec(name, "synth", {"instrument": "drums"})
    wires = (*graph.wires, Wire(End(name, "out"), End(OUT, OUT)))
    said = f"its drums are played by {name}, a node added to the patch, which has no drums"
    return SongPlayers(replace(graph, nodes=(*graph.nodes, kit), wires=wires), (), pitched, (name,), said)


def find_plugin_players(graph: Graph, catalog: Catalog, score: TimedScore) -> SongPlayers:
    """Players of a song where the graph is one plugin: that one, and beside a `synth` another for the drums."""
    (node,) = graph.nodes
    if node.type != "synth":
        return SongPlayers(graph, (node.name,))
    players = find_song_players(graph, catalog, score)
    nodes = tuple(replace(each, values={**node.values, **each.values}) for each in players.graph.nodes)
    return replace(players, graph=replace(players.graph, nodes=nodes))


def commands(score: TimedScore, players: SongPlayers) -> list[Command]:
    """Commands of a MIDI file for a patch: its beat and tempo, and its notes for each node that plays them."""
    result: list[Command] = [SetTransport(None, score.begins, Sample(0))] if score.begins else []
    result += [SetTempo(bpm, 0.0, Sample(at)) for at, bpm in score.tempo]
    drums = score.song.drums
    for at, event in score.events:
        when = Sample(at)
        for node in (*players.all, *(players.drums if event.channel in drums else players.pitched)):
            result.append(Play(node, event, when))
    return result


METRONOME = "metronome"
"""Type of the nodes that count the bars of a song, whose patch does not say how."""


def bar_commands(score: TimedScore, graph: Graph) -> list[Command]:
    """Commands that give the metronomes of a patch a song's time signatures; a bar of no whole beats has no accent."""
    names = [node.name for node in graph.nodes if node.type == METRONOME and "bar" not in node.values]
    result: list[Command] = []
    for at, beats in score.song.meters if score.begins is not None else ():
        when = Sample(round(score.song.seconds(at) * score.rate))
        first, whole = at + (score.begins or 0.0), float(beats).is_integer() and beats <= 32
        values = {"bar": int(beats) if whole else 0, "first": max(0, round(first))}
        result += [SetParam(name, param, value, when=when) for name in names for param, value in values.items()]
    return result


def write(path: Path, events: Iterable[Timed], frames: int, rate: int, like: MidiSong | None = None) -> int:
    """Writes the notes, a track for each channel, and returns their number.

    `frames`: end of notes without a note-off. `like`: source file, whose tempo, signatures, texts, ticks, names,
    instruments and release velocities (by rank, where notes end together) are kept; without one, 120 bpm.  Raises
    `FileError`.
    """
    song = like or MidiSong((), ticks=_FINE)
    times = Times(song.tempo)
    notes: dict[int, list[MidiNote]] = {}
    controls: dict[int, list[midi_song.MidiControlChange]] = {}
    sounding: dict[tuple[int, int], tuple[int, float]] = {}

    def beat(at: int) -> float:
        return times.beat(at / rate)

    def end(key: tuple[int, int], at: int) -> None:
        start, velocity = sounding.pop(key)
        first, last = beat(start), beat(max(at, start + 1))
        length = max(last - first, 1.0 / song.ticks)
        notes.setdefault(key[0], []).append(MidiNote(first, length, key[1], velocity, key[0]))

    for at, event in sorted(events, key=lambda item: item[0]):
        key = (event.channel, event.number)
        if event.kind in ("on", "off"):
            again = event.kind == "on" and key in sounding and sounding[key][0] == at
            if key in sounding and not again:  # two note-ons on one frame are one note
                end(key, at)
            if event.kind == "on" and event.value > 0.0:
                sounding[key] = (at, event.value)
        elif event.kind in ("control", "bend", "program"):
            control = midi_song.MidiControlChange(beat(at), event.kind, event.number, event.value, event.channel)
            controls.setdefault(event.channel, []).append(control)
    for key in list(sounding):
        end(key, frames)
    notes, known = _with_release_velocities(notes, song), _by_channel(song.tracks)
    # the name of a first track without notes is the song's
    tracks = [MidiTrack(head.name) for head in song.tracks[:1] if head.name and not (head.notes or head.controls)]
    for channel in sorted({*notes, *controls}):
        name, program = known.get(channel, ("", None))
        held = tuple(sorted(notes.get(channel, []), key=lambda n: (n.start, n.number)))
        tracks.append(MidiTrack(name, held, program, tuple(controls.get(channel, []))))
    keys = _transposed_keys(song, tracks)
    midifile.write(path, tracks, song.tempo, song.ticks, song.signatures, song.texts, keys)
    return sum(map(len, notes.values()))


def _by_channel(tracks: Sequence[MidiTrack]) -> dict[int, tuple[str, int | None]]:
    """Name and instrument of the first track on each channel."""
    known: dict[int, tuple[str, int | None]] = {}
    for track in tracks:
        channels = [note.channel for note in track.notes[:1]] + [control.channel for control in track.controls[:1]]
        for channel in channels:
            known.setdefault(channel, (track.name, track.program))
    return known


def _with_release_velocities(notes: Mapping[int, Sequence[MidiNote]], song: MidiSong) -> dict[int, list[MidiNote]]:
    """Notes of each channel, with the release velocities of a song.

    Notes that end in one tick of a channel get them in the order of their numbers, since they may be transposed; if
    more or fewer end there, only notes with unchanged numbers do.
    """
    before = _releases([note for track in song.tracks for note in track.notes], song.ticks)
    after = _releases([note for held in notes.values() for note in held], song.ticks)

    def release(note: MidiNote) -> int:
        key = (note.channel, round(note.end * song.ticks))
        old, new = before.get(key, {}), after[key]
        number = sorted(old)[sorted(new).index(note.number)] if len(old) == len(new) else note.number
        return old.get(number, note.release)

    return {channel: [replace(note, release=release(note)) for note in held] for channel, held in notes.items()}


def _releases(notes: Iterable[MidiNote], ticks: int) -> dict[tuple[int, int], dict[int, int]]:
    """Release velocity by note number, for each channel and tick in which notes end."""
    releases: dict[tuple[int, int], dict[int, int]] = {}
    for note in notes:
        releases.setdefault((note.channel, round(note.end * ticks)), {})[note.number] = note.release
    return releases


_MAJORS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
_MINORS = ("Abm", "Ebm", "Bbm", "Fm", "Cm", "Gm", "Dm", "Am", "Em", "Bm", "F#m", "C#m", "G#m", "D#m", "A#m")
"""Names of key signatures, from seven flats to seven sharps."""


def _transposed_keys(song: MidiSong, tracks: Sequence[MidiTrack]) -> list[tuple[float, str]]:
    """Key signatures of a song, transposed if all its notes except drums are transposed by one interval."""
    before, after = (
        sorted(note.number for track in one for note in track.notes if note.channel not in song.drums)
        for one in (song.tracks, tracks)
    )
    moves = {b - a for a, b in zip(before, after, strict=False)} if len(before) == len(after) else set()
    by = moves.pop() if len(moves) == 1 else 0
    moved = []
    for at, key in song.keys:
        names = _MINORS if key in _MINORS else _MAJORS
        moved.append((at, names[(names.index(key) - 7 + 7 * by + 5) % 12 + 2] if by % 12 else key))
    return moved


CHORD_SUFFIXES = (".lab", ".txt", ".jams")
"""Suffixes of chord files, the last for JAMS."""


def chord_text(suffix: str, spans: Sequence[tuple[float, float, str]], seconds: float, title: str, tool: str) -> str:
    """Text of a chord file, for chords found by `tool` in a recording of this length and title.

    `suffix`: one of `CHORD_SUFFIXES`. `spans`: (start s, end s, label in Harte's syntax), in order.
    """
    if suffix != ".jams":
        return "".join(f"{start:.6f} {end:.6f} {label}\n" for start, end, label in spans)
    data = [
        {"time": round(start, 6), "duration": round(end - start, 6), "value": label, "confidence": None}
        for start, end, label in spans
    ]
    unknown = dict.fromkeys(("version", "corpus", "annotation_rules", "validation"), "")
    said = {"curator": {"name": "", "email": ""}, "annotator": {}, "annotation_tools": tool, "data_source": "program"}
    annotation = {
        "namespace": "chord",
        "time": 0.0,
        "duration": round(seconds, 6),
        "annotation_metadata": {**unknown, **said},
        "data": data,
        "sandbox": {},
    }
    names = {"title": title, "artist": "", "release": "", "identifiers": {}, "jams_version": "0.3.4"}
    file = {**names, "duration": round(seconds, 6)}
    return json.dumps({"annotations": [annotation], "file_metadata": file, "sandbox": {}}, indent=1) + "\n"
