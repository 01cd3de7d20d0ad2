"""Accompaniment of whole melodies: runs the streaming processor on a clock whose frames are fractions of a beat."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from antiphon.api import IO, BlockTime, Event, StreamSpec, Value
from antiphon.api.backends.rendering import prepare_processor
from antiphon_accompany.band.parts import PART_OF, BeatNote
from antiphon_accompany.harmony.chords import Chord
from antiphon_accompany.harmony.chordtext import ChordSpan
from antiphon_accompany.harmony.melody import Melody
from antiphon_accompany.harmony.tracker import HarmonyTracker, installed_tables
from antiphon_accompany.processor import Accompany

TICKS = 480
"""Frames per beat; notes are rounded to them."""
_INTRO_BARS = 2
"""Bars of melody used for an introduction."""
_COMPOUND = (1.5, 0.75, 0.375, 0.1875)
"""Quarter notes of a compound beat."""
_TRIPLET_POSITIONS = ((0.0, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 1.0), (0.0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 5 / 6, 1.0))
"""Positions of the patterns within a beat, and their counterparts in a compound beat."""


@dataclass(frozen=True)
class Section:
    """Section of one meter."""

    start: float  # quarter note on which its first bar begins; may be below 0
    meter: int  # beats of a bar
    unit: float = 1.0  # quarter notes of a beat

    @property
    def length(self) -> float:
        """Quarter notes of a bar."""
        return self.meter * self.unit

    def beat_of_quarter(self, quarter: float, turn: int) -> float:
        """Returns the beat for a quarter note, on a clock whose beat `turn` is the beginning of this section."""
        return (quarter - self.start) / self.unit + turn

    def quarter_of_beat(self, beat: float, turn: int) -> float:
        """Quarter note of a beat of that clock."""
        return self.start + (beat - turn) * self.unit


class PartLevel(NamedTuple):
    """Level of a part from a beat on, in dB."""

    beat: float
    part: str
    mix: float


@dataclass(frozen=True, slots=True)
class HarmonyResult:
    """Beat, chord and key, 0 to 23, per beat, with played chords and levels, in quarter notes."""

    labels: list[tuple[float, int]] = field(default_factory=list)
    tonics: list[int] = field(default_factory=list)
    played: list[ChordSpan] = field(default_factory=list)
    mixes: list[PartLevel] = field(default_factory=list)


class ClockRun(NamedTuple):
    """Output of the processor: notes, (beat, chord) and key per beat, (beat, chord) per change. Times are in beats."""

    notes: list[BeatNote]
    labels: list[tuple[float, int]]
    tonics: list[int]
    changes: list[tuple[float, Chord | None]]
    mixes: list[PartLevel]


def melody_of(notes: Sequence[BeatNote], beats: int) -> Melody:
    """The `Melody` of notes, from beat 0.

    `notes`: notes before beat 0 are left out. `beats`: length in beats; silence follows.
    """
    melody = Melody(2 * (beats + 64))
    melody.clear(0)
    changes = [(note.end, 0, note.pitch) for note in notes if note.end > 0.0]
    changes += [(note.start, 1, note.pitch) for note in notes if note.end > 0.0]
    changes.sort()
    at = 0
    for beat in range(1, beats + 33):
        while at < len(changes) and changes[at][0] < beat:
            when, begins, pitch = changes[at]
            (melody.note_on if begins else melody.note_off)(pitch, max(0.0, when))
            at += 1
        melody.complete_beats(beat)
    return melody


def accompany_file(
    notes: Sequence[BeatNote],
    settings: Mapping[str, Value] | None = None,
    tempo: float = 100.0,
    sections: Sequence[Section] = (),
    ends: float | None = None,
    spans: Sequence[ChordSpan] = (),
    calls: Sequence[tuple[float, str]] = (),
    heard: HarmonyResult | None = None,
) -> list[BeatNote]:
    """Returns the accompaniment of a melody, without empty bars or notes beyond the end.

    Args:
        settings: Parameters of `accompany`; `meter` holds where `sections` does not apply.
        tempo: Beats per minute; patterns are chosen and filled by it.
        sections: In order; the first may begin before beat 0 (a pickup).
        ends: Beat to play up to; by default the end of the melody's last bar.
        calls: Triggers of `accompany`, each with the quarter note at which it fires.

    Raises:
        ParamError: A setting is invalid.
    """
    given, heard = dict(settings or {}), heard or HarmonyResult()
    if not notes and ends is None:
        return []
    parts = list(sections) or [Section(0.0, meter_of(given) or 4)]
    last = max(note.end for note in notes) if ends is None else ends
    result: list[BeatNote] = []
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        stop = last if after is None else min(after.start, last)
        length = (stop - part.start) / part.unit
        if after is None and ends is None:
            length = part.meter * math.ceil(length / part.meter - 1e-6)
        if length <= 0.0:
            continue
        # bars are to begin at whole multiples of the meter of a clock that nothing precedes
        turn = part.meter * math.ceil(max(0.0, part.start / part.unit) / part.meter)
        moved = [_rescale_note(note, part.start, 1.0 / part.unit, turn) for note in notes]
        own = [
            ChordSpan(part.beat_of_quarter(s.start, turn), part.beat_of_quarter(s.end, turn), s.chord) for s in spans
        ]
        called = [(part.beat_of_quarter(quarter, turn), name) for quarter, name in calls]
        options = {**given, "meter": part.meter}
        run = _run(moved, options, tempo / part.unit, (turn, turn + length), own, called)
        heard.tonics.extend(run.tonics)
        heard.mixes.extend(m._replace(beat=part.quarter_of_beat(m.beat, turn)) for m in run.mixes)
        heard.labels.extend((part.quarter_of_beat(beat, turn), chord) for beat, chord in run.labels)
        edges = [part.quarter_of_beat(beat, turn) for beat, _ in run.changes] + [part.start + length * part.unit]
        heard.played.extend(
            ChordSpan(max(0.0, a), b, c) for a, b, (_, c) in zip(edges, edges[1:], run.changes, strict=False) if b > a
        )
        result += [note for note in (_note_to_file_time(n, part, turn) for n in run.notes) if note.start >= 0.0]
    return sorted(result)


def meter_of(settings: Mapping[str, Value]) -> int | None:
    """Beats per bar, if set. Raises ParamError: the meter is invalid."""
    if "meter" not in settings:
        return None
    param = next(p for p in Accompany.params if p.name == "meter")
    return int(param.check(settings["meter"]))


def _rescale_note(note: BeatNote, start: float, scale: float, turn: float) -> BeatNote:
    return note._replace(start=(note.start - start) * scale + turn, end=(note.end - start) * scale + turn)


def _note_to_file_time(note: BeatNote, part: Section, turn: float) -> BeatNote:
    times = np.array((note.start, note.end))
    if part.unit in _COMPOUND:
        times = np.floor(times) + np.interp(times % 1.0, *_TRIPLET_POSITIONS)
    start, end = part.start + (times - turn) * part.unit
    return note._replace(start=float(start), end=float(end))


def first_bar(notes: Sequence[BeatNote], meter: int) -> int:
    """Most likely first beat of a bar, 0 to below `meter`, by the chords that fit the melody."""
    beats = math.ceil(max(note.end for note in notes))
    melody = melody_of(notes, beats)
    tracker = HarmonyTracker(installed_tables(), meter, phases=(1.0 / meter,) * meter)
    for beat in range(beats):
        tracker.add_beat(melody, beat)
    return tracker.phase


def _run(
    notes: Sequence[BeatNote],
    settings: Mapping[str, Value],
    tempo: float,
    beats: tuple[float, float],
    spans: Sequence[ChordSpan],
    calls: Sequence[tuple[float, str]],
) -> ClockRun:
    """Runs the processor from one beat of its clock to another, one beat per call."""
    first, ends = beats
    node = Accompany()
    # one frame is a tick at any tempo: the rate follows from both
    spec = StreamSpec(rate=max(1, round(TICKS * tempo / 60.0)), block=TICKS, channels=1)
    cells = prepare_processor(node, spec, settings)
    tempo = spec.rate * 60.0 / TICKS
    begins = min((note.start for note in notes), default=first)
    opening = math.ceil(begins) + _INTRO_BARS * int(float(settings["meter"]))
    node.set_melody(melody_of(notes, math.ceil(ends)), math.ceil(ends), opening, spans, begins)
    timed = _frame_events(notes)
    io = IO((), (), cells, BlockTime(tempo=tempo))
    at, stop = round(first * TICKS), round(ends * TICKS)
    place = next((n for n, item in enumerate(timed) if item[0] >= at), len(timed))
    sounding: dict[tuple[int, int], tuple[int, float]] = {}
    levels: dict[int, float] = {}
    run = ClockRun([], [], [], [], [])
    while at <= stop:
        # the call after the last beat finds the clock stopped, and everything is ended
        frames = min(TICKS - at % TICKS, stop - at) or 1
        io.time.sample, io.time.beat, io.time.playing = at, at / TICKS, at < stop
        io.frames = frames
        io.events_in.clear()
        io.events_out.clear()
        while place < len(timed) and timed[place][0] < at + frames:
            when, _, event = timed[place]
            io.events_in.append(Event(event.kind, when - at, event.number, event.value))
            place += 1
        for beat, name in calls:
            if at <= (frame := round(beat * TICKS)) < at + frames:
                cells[name].post(frame - at, 1.0)
        cells.render(at, frames)
        node.process(io)
        run.notes.extend(_end_notes(io.events_out, at, sounding))
        run.mixes.extend(_mixes(io.events_out, at, levels))
        if at < stop:
            run.labels.append((at / TICKS, int(io.reports.get("chord", -1))))
            run.tonics.append(int(io.reports.get("tonic", 0)))
        cells.settle(at + frames)
        at += frames
    run.changes.extend(node.played)
    return run


def _frame_events(notes: Sequence[BeatNote]) -> list[tuple[int, int, Event]]:
    """Returns the notes' events as (frame, order, event), in order. On the same frame, note-offs come first."""
    timed: list[tuple[int, int, Event]] = []
    for note in notes:
        start, end = round(note.start * TICKS), max(round(note.start * TICKS) + 1, round(note.end * TICKS))
        timed += [(end, 0, Event("off", 0, note.pitch)), (start, 1, Event("on", 0, note.pitch, note.velocity))]
    return sorted(timed, key=lambda item: item[:2])


def _mixes(events: Sequence[Event], at: int, levels: dict[int, float]) -> Iterator[PartLevel]:
    """Yields the part levels of the call at frame `at` that differ from `levels`, and updates `levels` (by channel)."""
    for event in events:
        if event.kind == "control" and levels.get(event.channel) != event.value:
            levels[event.channel] = event.value
            yield PartLevel((at + event.offset) / TICKS, PART_OF[event.channel], 40.0 * math.log10(event.value))


def _end_notes(
    events: Sequence[Event], at: int, sounding: dict[tuple[int, int], tuple[int, float]]
) -> Iterator[BeatNote]:
    """Yields the notes that events of the call at frame `at` end, and adds new notes to `sounding`."""
    for event in events:
        when = at + event.offset
        key = event.channel, event.number
        if event.kind == "on":
            sounding[key] = (when, event.value)
        elif event.kind == "off" and key in sounding:
            start, velocity = sounding.pop(key)
            if when > start:
                yield BeatNote(start / TICKS, when / TICKS, event.number, velocity, PART_OF[event.channel])
