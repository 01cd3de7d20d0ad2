"""Reader of a MIDI file's melody, and writer of the file with an accompaniment in a separate track."""

import io
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np

from antiphon.api import FileError, UsageError, Value
from antiphon.api.backends.files import (
    MUSICXML_SUFFIXES,
    MidiNote,
    MidiSong,
    MidiTimes,
    MidiTrack,
    chord_text,
    conductor,
    melody_of,
    open_midi,
    write_atomic,
)
from antiphon.api.jobs import spell
from antiphon_accompany.band.parts import FULL, VOLUME, BeatNote, midi_volume
from antiphon_accompany.band.styles import Style, load, parts_of, shipped_style
from antiphon_accompany.files.file_chords import FILE, chords_of, extract_top_line, has_harmony, key_of, remove_clashes
from antiphon_accompany.files.offline import (
    HarmonyResult,
    PartLevel,
    Section,
    accompany_file,
    first_bar,
    meter_of,
)
from antiphon_accompany.harmony.chords import KEYS
from antiphon_accompany.harmony.chordtext import (
    ChordSpan,
    bars_of_score,
    missing_bar_lines_remark,
    musicxml,
    replaced_chords_remark,
    spans_of,
    spans_of_score,
    spellings,
    timed_labels,
)

# ---- Piano roll of melody, chords and parts, as SVG

BEAT, KEY, TOP = 24.0, 5.0, 36.0
"""Pixels per quarter note, per semitone, and above the highest key."""
MAX_WIDTH = 60_000.0
"""Maximum width in pixels: longer pieces are scaled."""
COLOURS = {
    "melody": "#e8593c",
    "piano": "#3f7cbf",
    "guitar": "#c8a028",
    "bass": "#7a52a8",
    "drums": "#8a8a8a",
    "pad": "#3c965a",
}


def piano_roll(
    melody: Sequence[BeatNote], notes: Sequence[BeatNote], chords: Iterable[ChordSpan], bars: Iterable[float]
) -> str:
    """Returns a piano roll as SVG text, with chord names above. `bars`: quarter notes on which bars begin."""
    every = [note._replace(part="melody") for note in melody] + list(notes)
    low, high = min(n.pitch for n in every) - 1, max(n.pitch for n in every) + 1
    end = max(n.end for n in every)
    beat = min(BEAT, MAX_WIDTH / max(1.0, end))
    width, height = end * beat, TOP + (high - low + 1) * KEY
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.1f}" height="{height:.1f}" font-family="sans-serif" '
        'font-size="10">',
        f'<rect width="{width:.1f}" height="{height:.1f}" fill="white"/>',
    ]
    for bar in bars:
        if 0.0 <= bar <= end:
            x = bar * beat
            lines.append(f'<line x1="{x:.1f}" y1="{TOP:.0f}" x2="{x:.1f}" y2="{height:.1f}" stroke="#ddd"/>')
    for n, part in enumerate(name for name in COLOURS if any(note.part == name for note in every)):
        lines.append(f'<text x="{4 + 60 * n}" y="12" fill="{COLOURS[part]}">{part}</text>')
    for span in chords:
        if span.chord is not None:
            lines.append(f'<text class="chord" x="{span.start * beat + 1:.1f}" y="28">{span.chord.name}</text>')
    for note in every:
        x, y = note.start * beat, TOP + (high - note.pitch) * KEY
        wide = max(1.0, (note.end - note.start) * beat - 0.5)
        lines.append(
            f'<rect class="{note.part}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{KEY - 0.5:g}" '
            f'fill="{COLOURS[note.part]}" fill-opacity="{0.4 + 0.6 * note.velocity:.2f}"/>'
        )
    return "\n".join([*lines, "</svg>", ""])


MAX_NOTES, MAX_BEATS, MAX_SECTIONS = 250_000, 20_000, 200
SHORTEST_NOTE_VALUE = 64
"""Shortest note value accepted in a time signature."""
_DRUMS = 9


@dataclass(frozen=True)
class Read:
    """A parsed MIDI file, with its melody."""

    file: mido.MidiFile
    melody: list[BeatNote]  # its notes, in beats
    track: int
    channel: int
    tempo: float  # mean beats a minute
    signatures: list[tuple[float, int, int]]
    tempos: list[tuple[float, float]]  # (beat, beats a minute) of each change
    others: list[BeatNote]  # those of other lines but drums, in beats
    sheet: list[ChordSpan]  # printed chords of a score
    chart: str  # the same as bars

    @property
    def ends(self) -> float:
        """Beat at which the melody ends; without one, the sheet."""
        return max(note.end for note in self.melody) if self.melody else self.sheet[-1].end


def read(path: Path) -> Read:
    """Reads the melody: the track with that name, else the first that resembles one, else the first with notes.

    Each channel of a track counts as a track; drums are left out. A score with chord symbols may have no melody. Raises
    FileError: the file cannot be read.
    """
    file: mido.MidiFile = open_midi(path)
    sheet = spans_of_score(path) if path.suffix.lower() in MUSICXML_SUFFIXES else []
    chart = bars_of_score(path) if sheet else ""
    lines, chosen = melody_of(file, shortest=1)
    if chosen is None and not sheet:
        raise FileError(f"{path.name} has no notes to accompany")
    notes = [BeatNote(*note) for note in lines[chosen]] if chosen else []
    last = max((note.end for note in notes), default=sheet[-1].end if sheet else 0.0)
    if len(notes) > MAX_NOTES or last > MAX_BEATS:
        raise FileError(f"{path.name} is too long: at most {MAX_NOTES} notes and {MAX_BEATS} beats")
    tempos, found = conductor(file)
    signatures = [signature for signature in found if signature[2] <= SHORTEST_NOTE_VALUE]
    if not signatures or signatures[0][0] > 0.0:
        signatures.insert(0, (0.0, 4, 4))
    others = [BeatNote(*note) for key, line in lines.items() if key != chosen for note in line]
    place = chosen or (0, 0)
    return Read(file, notes, *place, _mean_tempo(tempos, last), signatures, tempos, others, sheet, chart)


_UNSTEADY = "but its notes keep no steady beat beside the file's: "


def sections(given: Read, meter: int | None = None) -> list[Section]:
    """Returns the file's sections by its time signatures, or by `meter`; estimated where notes miss its beats."""
    song = _midi_song_from_file(given)
    found = song.beat_offset_of_notes(guess=True)
    if found or song.has_no_bars:
        beats = meter or (4 if song.in_fours else bars(*given.signatures[0][1:])[0])
        bar = found
        # of a melody alone its chords tell the bars better
        if bar is None or not (song.in_fours and beats == 4 and given.others):
            late = (found or 0.0) % 1.0
            moved = [BeatNote(n.start - late, n.end - late, n.pitch, n.velocity) for n in given.melody]
            bar = late + first_bar(moved, beats)
        return [Section(bar - beats if bar > 0.0 else bar, beats)]
    if meter:
        return [Section(0.0, meter)]
    result: list[Section] = []
    for start, upper, lower in given.signatures:
        beats, unit = bars(upper, lower)
        # said again at a bar's beginning, as some programs do: nothing changes
        if (
            result
            and (beats, unit) == (result[-1].meter, result[-1].unit)
            and _whole((start - result[-1].start) / beats / unit)
        ):
            continue
        if len(result) == 1 and _is_pickup(given.signatures[0], start, beats * unit):
            result[0] = Section(start - beats * unit, beats, unit)
        else:
            result.append(Section(start, beats, unit))
    return result


def _midi_song_from_file(given: Read) -> MidiSong:
    notes = tuple(MidiNote(n.start, n.end - n.start, n.pitch) for n in (*given.melody, *given.others))
    return MidiSong((MidiTrack("", notes),), signatures=tuple(given.signatures))


def _is_pickup(first: tuple[float, int, int], ends: float, bar: float) -> bool:
    """Whether a file's first time signature holds for one bar, shorter than the `bar` after it."""
    return first[0] == 0.0 and ends < bar and abs(ends - first[1] * 4.0 / first[2]) < 1e-6


def _whole(x: float) -> bool:
    return abs(x - round(x)) < 1e-6


def bars(upper: int, lower: int) -> tuple[int, float]:
    """Beats per bar, and quarter notes per beat, of a time signature."""
    if lower >= 8 and upper % 3 == 0:
        # counted in threes, as a band plays it: 6/8 has two beats
        return (upper // 3, 12.0 / lower) if 3 < upper <= 21 else (3, 4.0 / lower)
    quarters = upper * 4.0 / lower
    if quarters == int(quarters) and 2 <= quarters <= 7:
        return int(quarters), 1.0
    unit = 4.0 / lower
    for size in (4, 7, 6, 5, 3, 2):
        if upper % size == 0:
            return size, unit
    return min(7, max(2, upper)), unit * upper / min(7, max(2, upper))


class Volume(NamedTuple):
    """Value of `VOLUME` of a channel, 0 to 127, from a quarter note on."""

    beat: float
    value: int
    channel: int


@dataclass(frozen=True)
class AccompanimentResult:
    """Result of an accompanied file."""

    notes: list[BeatNote]
    key: str  # that of most of its beats
    chords: list[tuple[float, int]]  # (quarter note, chord) of each beat
    bars: int  # bars of the melody
    tempo: float  # mean beats a minute
    seconds: float
    spans: list[ChordSpan]
    mixes: list[PartLevel]
    lead: Callable[[str], str]  # the same as text of a file: its ending gives the text; of ".svg" a piano roll
    fitted: str = ""  # in words, what is not as the melody is, its bars or its beats; "" where all is


def accompany_midi(
    source: Path,
    target: Path,
    settings: Mapping[str, Value] | None = None,
    chords_text: str = "",
    fires: Sequence[tuple[str, float]] = (),
    recorded: bool = False,
) -> AccompanimentResult:
    """Writes `source` with one more track per part, otherwise unchanged.

    `settings`: parameters of `accompany`. `chords_text`: chords as for `chordtext.spans_of`, or "file" for the file's
    chords; "" takes the file's if it has some and `follow` is not given, else estimates them. `fires`: triggers, each
    with its second. `recorded`: whether the notes come from a recording. Raises FileError: the source cannot be used.
    Raises UsageError: the chords cannot be read.
    """
    given = read(source)
    options = {name: value for name, value in (settings or {}).items() if (name, value) != ("chords", FILE)}
    parts = sections(given, meter_of(options))
    if len(parts) > MAX_SECTIONS or given.ends / min(p.unit for p in parts) > 4 * MAX_BEATS:
        raise FileError(
            f"{source.name} changes its bars too often or has them too short; give meter=4 to pass over them"
        )
    times, ending = MidiTimes(tuple(given.tempos)), given.ends
    wanted = chords_text == FILE or not (chords_text or "follow" in options)
    printed = wanted and bool(given.sheet)
    own_chords = [] if printed else _chords_of_file(given, parts, chords_text, options, source.name)
    spans, chart = (given.sheet, given.chart) if printed else (own_chords, chords_text)
    # where the bars are not the file's they are those that were found or asked for
    begins = parts[0].start if parts[0].start > -0.5 * parts[0].unit else parts[0].start + parts[0].length
    pickup = any(abs(start - begins) < 1e-6 for start, *_ in given.signatures[1:])
    own = len(parts) > 1 or ((parts[0].start == 0.0 or pickup) and not meter_of(options))
    measures = given.signatures if own else [(max(0.0, begins), parts[0].meter, 4)]
    if not printed and chords_text not in ("", FILE):
        spans = spans_of(chords_text, parts[0].length, times.beat, begins, ending)
    calls = _calls(fires, times, ending, source.name)
    heard = HarmonyResult()
    listens = options.get("follow") == "listen"
    tune = extract_top_line(given.melody) if own_chords else given.melody
    silent = None if tune else ending  # the beat up to which chords alone are played
    notes = [] if listens else accompany_file(tune, options, given.tempo, parts, silent, spans, calls, heard)
    if own_chords:
        notes = remove_clashes(notes, [*given.melody, *given.others])
    if not notes:
        raise UsageError(f"no note was added to {source.name}: {_silence_reason(options)}")
    midi = _add_part_tracks(given, notes, heard.mixes, options)
    buffer = io.BytesIO()
    midi.save(file=buffer)
    write_atomic(target, buffer.getvalue())
    tonics = [key_of(spans)] if spans and spans is not own_chords else heard.tonics
    key = KEYS[Counter(tonics).most_common(1)[0][0]] if tonics else ""
    played = heard.played

    def lead(suffix: str) -> str:
        if suffix == ".musicxml":
            end = max(ending, *(span.end for span in played))
            return musicxml(_merge_spans(played), measures, end, spellings(chart), given.tempos[0][1])
        if suffix == ".svg":
            return piano_roll(given.melody, notes, _merge_spans(played), _lines(parts, ending))
        rows = timed_labels(_merge_spans(played), times.seconds)
        return chord_text(suffix, rows, midi.length, source.stem, "Antiphon accompany")

    words = [
        "by the printed chords" if printed else "by the chords of the file" if own_chords else "",
        "" if printed else missing_bar_lines_remark(chords_text),
        replaced_chords_remark(chart),
    ]
    if _midi_song_from_file(given).beat_offset_of_notes(guess=True) is None:
        # the band of `bandstand` takes its chords from the left hand, which a tune has not
        patch = "bandstand --events" if has_harmony(given.melody, given.others) else "duo --events"
        words += [f"{_UNSTEADY}`antiphon render {'answer --in' if recorded else patch}` follows it"]
    fitted = ", ".join(filter(None, [*words, _meter_warning(options, {part.meter for part in parts})]))
    bars = _bars(parts, ending)
    return AccompanimentResult(
        notes, key, heard.labels, bars, given.tempo, midi.length, played, heard.mixes, lead, fitted
    )


def _calls(fires: Sequence[tuple[str, float]], times: MidiTimes, ending: float, source: str) -> list[tuple[float, str]]:
    """Triggers at their beats."""
    ends = times.seconds(ending)
    for name, second in fires:
        if second >= ends:
            raise UsageError(f"{name} would fire at {second:g} s, after the end of {source} ({ends:.4g} s)")
    return [(times.beat(second), name) for name, second in fires]


def _chords_of_file(
    given: Read, parts: Sequence[Section], wish: str, options: Mapping[str, Value], name: str
) -> list[ChordSpan]:
    """Returns the file's chords, if `wish` asks for them or is empty without `follow`; otherwise none."""
    if wish not in ("", FILE) or (not wish and "follow" in options):
        return []
    if has_harmony(given.melody, given.others):
        every = [*given.melody, *given.others]
        return chords_of(every, parts, max(note.end for note in every) + parts[-1].meter * parts[-1].unit)
    if wish:
        raise UsageError(f"chords={FILE} takes the chords of {name}, which has none: one voice; leave it out")
    return []


def _silence_reason(options: Mapping[str, Value]) -> str:
    """Reason why nothing is played, with advice."""
    match options.get("follow"):
        case "listen":
            return "follow=listen takes chords from sound, live; leave follow out"
        case "chords" | "both":
            return (
                f"it has no chords below split={options.get('split', 60)}, which follow={options['follow']} takes; "
                "leave follow out, or set split"
            )
        case "text":
            return f"follow=text needs chords; give {spell('chords')} '| C Am |'"
        case _ if any(name.endswith(("_level", "_mute", "_solo")) for name in options):
            return "its parts are silent; see their levels, mutes and solos"
        case _:
            return "the style has none for these parts in so few bars; see parts, style, density and intensity"


def _add_part_tracks(
    given: Read, notes: Sequence[BeatNote], mixes: Sequence[PartLevel], options: Mapping[str, Value]
) -> mido.MidiFile:
    ticks = given.file.ticks_per_beat
    midi = mido.MidiFile(type=1, ticks_per_beat=ticks, charset=given.file.charset)
    midi.tracks.extend(given.file.tracks)
    names = parts_of(str(options.get("parts", "piano")))
    used = {m.channel for track in given.file.tracks for m in track if m.type == "note_on"}
    # where the file leaves none free, another track's: they are played together
    free = sorted((c for c in range(16) if c not in (given.channel, _DRUMS)), key=lambda c: (c in used, c))
    programs = {part: given.program for part, given in _style(options).parts.items()}
    own_volumes = {m.channel: m.value for track in given.file.tracks for m in track if m.is_cc(VOLUME)}
    # General MIDI begins at 100: in front of the band, unless that would change the file's own mix
    front = [] if own_volumes else [Volume(0.0, FULL, channel) for channel in sorted(used)]
    for part in names:
        channel, program = _DRUMS if part == "drums" else free.pop(0), programs.get(part, 0)
        own = [n for n in notes if n.part == part]
        levels = [Volume(m.beat, midi_volume(m.mix, part, program), channel) for m in mixes if m.part == part]
        if channel in used:
            # a channel that is another track's keeps the level that it has there
            own = _scale_velocities(own, levels, own_volumes.get(channel, 100 if own_volumes else FULL))
            levels = []
        track = _track(part, own, channel, program, ticks)
        for level in reversed(front + levels):
            message = mido.Message("control_change", control=VOLUME, value=level.value, channel=level.channel)
            _insert_message_at_tick(track, round(max(0.0, level.beat) * ticks), message)
        front = []
        midi.tracks.append(track)
    return midi


def _scale_velocities(notes: Sequence[BeatNote], levels: Sequence[Volume], held: int) -> list[BeatNote]:
    """Notes with velocities scaled by the levels, for a channel of volume `held`: synths treat both alike in dB."""
    made = []
    for note in notes:
        value = next((level.value for level in reversed(levels) if level.beat <= note.start), held)
        made.append(note._replace(velocity=min(1.0, note.velocity * value / max(1, held))))
    return made


def _lines(parts: Sequence[Section], end: float) -> list[float]:
    """Bar lines in quarter notes."""
    edges = [*(part.start for part in parts[1:]), end]
    return [float(x) for p, to in zip(parts, edges, strict=True) for x in np.arange(p.start, to, p.meter * p.unit)]


def _merge_spans(spans: list[ChordSpan]) -> list[ChordSpan]:
    """Spans with equal neighbours merged."""
    made: list[ChordSpan] = []
    for span in spans:
        if made and made[-1].chord == span.chord:
            made[-1] = made[-1]._replace(end=span.end)
        else:
            made.append(span)
    return made


def _meter_warning(options: Mapping[str, Value], meters: set[int]) -> str:
    """Returns a warning if the bars of the style do not fit the melody's; multiples of each other fit."""
    name, style = str(options.get("style", "auto")), _style(options)
    others = [meter for meter in sorted(meters) if max(meter, style.meter) % min(meter, style.meter)]
    if not others or (name == "auto" and not options.get("own")):
        return ""
    title = "own" if options.get("own") else name
    return f"{title} has {style.meter} beats in a bar, fitted to {others[0]}"


def _style(options: Mapping[str, Value]) -> Style:
    """The requested style; for `auto` the ballad."""
    own, name = str(options.get("own", "")), str(options.get("style", "auto"))
    return load(Path(own)) if own else shipped_style("ballad" if name == "auto" else name)


def _track(name: str, notes: list[BeatNote], channel: int, program: int, ticks: int) -> mido.MidiTrack:
    messages: list[tuple[int, int, mido.Message]] = []
    begun: dict[int, int] = {}
    for note in reversed(notes):
        start = round(note.start * ticks)
        # of two on one key the first ends where the next begins, in whole ticks as well
        end = min(max(start + 1, round(note.end * ticks)), begun.get(note.pitch, 1 << 60))
        if end <= start:
            continue
        begun[note.pitch] = start
        loud = min(127, max(1, round(note.velocity * 127)))
        messages.append((start, 1, mido.Message("note_on", note=note.pitch, velocity=loud, channel=channel)))
        messages.append((end, 0, mido.Message("note_off", note=note.pitch, velocity=0, channel=channel)))
    messages.sort(key=lambda item: (item[0], item[1], item[2].note))
    track = mido.MidiTrack([mido.MetaMessage("track_name", name=name, time=0)])
    track.append(mido.Message("program_change", program=program, channel=channel, time=0))
    at = 0
    for when, _, message in messages:
        message.time = when - at
        track.append(message)
        at = when
    return track


def _insert_message_at_tick(track: mido.MidiTrack, tick: int, message: mido.Message) -> None:
    """Adds a message before the notes at a tick."""
    at, place = 0, 2  # after name and program
    while place < len(track) and at + track[place].time < tick:
        at += track[place].time
        place += 1
    message.time = tick - at
    if place < len(track):
        track[place].time -= message.time
    track.insert(place, message)


def _bars(parts: list[Section], last: float) -> int:
    """Number of bars up to beat `last`."""
    total = 0
    for part, after in zip(parts, [*parts[1:], None], strict=True):
        stop = last if after is None else min(after.start, last)
        total += max(0, math.ceil((stop - part.start) / part.unit / part.meter - 1e-6))
    return total


def _mean_tempo(tempos: list[tuple[float, float]], last: float) -> float:
    """Mean tempo up to beat `last`, clipped to the range of the engine's clock."""
    minutes = beats = 0.0
    for (start, bpm), (end, _) in zip(tempos, [*tempos[1:], (max(last, tempos[-1][0] + 1.0), 0.0)], strict=True):
        length = max(0.0, min(end, last) - start)
        beats += length
        minutes += length / bpm
    return min(400.0, max(20.0, beats / minutes if minutes else tempos[0][1]))
