"""Song by genre and seed: sections, parts with human timing, MIDI bytes, and its random attributes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from antiphon_models.material.composer.genres import GenreRules, PartRules, Range, Row
from antiphon_models.material.composer.harmony import SCALES, ScaleChord, parse
from antiphon_models.material.composer.parts import (
    BeatSpan,
    ComposedMelody,
    Rng,
    SongBar,
    bass_bar,
    chord_bar,
    drum_bar,
    triplet,
)
from antiphon_models.material.midi_bytes import TICKS, control_change, midi_bytes, note_off, note_on, program_change

DRUMS = 9
"""General MIDI drum channel."""
CHANNELS = {"bass": 0, "chords": 1, "lead": 2, "pad": 3, "drums": DRUMS}
_LEVELS = {"bass": (84, 118), "chords": (62, 104), "lead": (70, 112), "pad": (44, 84), "drums": (82, 122)}
_VOLUME, _PAN = 7, 10
_DISTORTED = (29, 30)
SECTION = 4
"""Bars of a section."""
FASTEST = 12.0
"""Onset rate per second of full density in the energy."""


@dataclass(frozen=True, slots=True)
class ComposedNote:
    """A note in seconds."""

    start: float
    end: float
    pitch: int
    velocity: int
    part: str


@dataclass(frozen=True, slots=True)
class SongAttributes:
    """Attributes of a song, as drawn or counted.

    Attributes:
        tempo: Beats a minute.
        beats: Beats of a bar.
        swing: Where offbeats lie between beats: 0.5 straight, 0.667 triplets.
        tonic: Pitch class of its key, 0 for C.
        density: Onsets a second, of all parts.
        instruments: General MIDI program of each part that sounds, without drums.
        kit: General MIDI drum kit; -1 without drums.
        energy: 0 to 1: half of what was drawn for loudness and optional onsets, the rest by density, drums and
            distorted guitars.
    """

    genre: str
    tempo: float
    beats: int
    swing: float
    mode: Literal["major", "minor"]
    tonic: int
    density: float
    drums: bool
    instruments: tuple[tuple[str, int], ...]
    kit: int
    energy: float


@dataclass(frozen=True, slots=True)
class ComposedSong:
    """A song: its notes in order of their start, and its attributes."""

    notes: tuple[ComposedNote, ...]
    levels: tuple[tuple[str, int, int], ...]
    attributes: SongAttributes

    def midi(self) -> bytes:
        """The bytes of its MIDI file: programs, volumes and pans first."""
        return midi_bytes(self.events())

    def events(self) -> list[tuple[int, bytes]]:
        """Events of its MIDI file: (tick of `TICKS` a second, message) in order, programs, volumes and pans first."""
        head: list[tuple[int, bytes]] = []
        programs = dict(self.attributes.instruments) | ({"drums": self.attributes.kit} if self.attributes.drums else {})
        for part, volume, pan in self.levels:
            channel = CHANNELS[part]
            head += [
                (0, program_change(channel, programs[part])),
                (0, control_change(channel, _VOLUME, volume)),
                (0, control_change(channel, _PAN, pan)),
            ]
        events = []
        for note in self.notes:
            channel, first = CHANNELS[note.part], round(note.start * TICKS)
            events.append((first, 1, note_on(channel, note.pitch, note.velocity)))
            events.append((max(first + 1, round(note.end * TICKS)), 0, note_off(channel, note.pitch)))
        return [*head, *((tick, message) for tick, _, message in sorted(events))]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Attributes of a whole song."""

    tempo: float
    swing: float
    minor: bool
    tonic: int
    energy: float
    timing: float
    parts: dict[str, tuple[PartRules, int, tuple[Row, ...], float]]
    groove: dict[int, Row]
    kit: int


def compose(rules: GenreRules, seed: int, seconds: float = 20.0) -> ComposedSong:
    """Song of a genre, deterministic by seed, of at least `seconds`, ending with a complete bar."""
    rng = np.random.default_rng([seed, *rules.name.encode()])
    drawn = _draw(rules, rng)
    bars = int(np.ceil(seconds * drawn.tempo / 60.0 / rules.beats)) + 1
    spans = _spans(rules, drawn, bars, rng)
    notes = _timed(spans, rules, drawn, rng)
    levels = tuple(
        (part, int(rng.integers(*_LEVELS[part])), int(rng.integers(30, 98) if part != "bass" else 64)) for part in spans
    )
    levels = tuple(level for level in levels if spans[level[0]])
    attributes = _attributes(rules, drawn, notes, bars, tuple(part for part, own in spans.items() if own))
    return ComposedSong(notes, levels, attributes)


def _uniform(rng: Rng, limits: Range) -> float:
    return float(rng.uniform(*limits))


def _draw(rules: GenreRules, rng: Rng) -> _Drawn:
    groove = dict(rules.grooves[int(rng.integers(len(rules.grooves)))]) if rng.random() < rules.drums else {}
    triplets = any(triplet(row, rules.beats) for row in groove.values())
    parts = {}
    for name in ("bass", "chords", "lead", "pad"):
        part: PartRules = getattr(rules, name)
        if rng.random() < part.chance:
            # where drums divide by three, so do the others, as far as they have such rows
            same = tuple(row for row in part.rows if triplet(row, rules.beats) == triplets) or part.rows
            rows = tuple(str(row) for row in rng.choice(same, size=min(2, len(same)), replace=False))
            parts[name] = (part, int(rng.choice(part.programs)), rows, _uniform(rng, part.articulation))
    if "chords" not in parts and "pad" not in parts:
        part = rules.chords
        parts["chords"] = (part, int(rng.choice(part.programs)), part.rows[:2], _uniform(rng, part.articulation))
    return _Drawn(
        tempo=_uniform(rng, rules.tempo),
        swing=_uniform(rng, rules.swing),
        minor=bool(rng.random() < rules.minor),
        tonic=int(rng.integers(12)),
        energy=_uniform(rng, rules.energy),
        timing=_uniform(rng, rules.timing),
        parts=parts,
        groove=groove,
        kit=int(rng.choice(rules.kits)) if groove else -1,
    )


def _chords(rules: GenreRules, drawn: _Drawn, bars: int, rng: Rng) -> list[tuple[ScaleChord, ...]]:
    """Chords of each bar: a repeated progression, plain chords coloured by the genre's kinds."""
    mode: Literal["major", "minor"] = "minor" if drawn.minor else "major"
    written = str(rng.choice(rules.progressions[mode])).split()
    coloured: dict[str, str] = {kind: str(rng.choice(kinds)) for kind, kinds in rules.colours.items()}
    chords = [parse(text) for text in written]
    chords = [replace(chord, kind=coloured.get(chord.kind, chord.kind)) for chord in chords]
    # long progressions are written bar by bar, and so keep their form
    each = 1.0 if len(chords) >= 8 else float(rng.choice(rules.chord_bars))
    if each < 1.0:
        return [tuple(chords[(2 * n + half) % len(chords)] for half in (0, 1)) for n in range(bars + 1)]
    return [(chords[int(n // each) % len(chords)],) for n in range(bars + 1)]


def _spans(rules: GenreRules, drawn: _Drawn, bars: int, rng: Rng) -> dict[str, list[BeatSpan]]:
    chords = _chords(rules, drawn, bars, rng)
    scale = [(step + drawn.tonic) % 12 for step in SCALES[rules.scale, drawn.minor]]
    spans: dict[str, list[BeatSpan]] = {name: [] for name in (*drawn.parts, *(("drums",) if drawn.groove else ()))}
    lead = ComposedMelody(drawn.parts["lead"][2], scale, rules.lead.register, rng) if "lead" in drawn.parts else None
    near = {
        name: rng.uniform(rules_low + 7, rules_high - 5)
        for name, rules_low, rules_high in ((name, *drawn.parts[name][0].register) for name in drawn.parts)
    }
    sounding: set[str] = set()
    for number in range(bars):
        if number % SECTION == 0:
            sounding = _section(set(spans), number // SECTION, rng)
        last = number % SECTION == SECTION - 1
        optional = 0.35 + 0.5 * drawn.energy
        bar = SongBar(number, rules.beats, chords[number], chords[number + 1][0], drawn.tonic, optional)
        for name in sorted(sounding):
            spans[name] += _part_bar(name, drawn, bar, near.get(name, 60.0), last, lead, rng)
    return spans


def _part_bar(
    name: str, drawn: _Drawn, bar: SongBar, near: float, last: bool, lead: ComposedMelody | None, rng: Rng
) -> Iterator[BeatSpan]:
    if name == "drums":
        return drum_bar(drawn.groove, bar, rng, last)
    part, _, rows, articulation = drawn.parts[name]
    row = rows[bar.number // SECTION % len(rows)]
    if name == "lead":
        assert lead is not None
        return lead.bar(bar, articulation)
    if name == "bass":
        return bass_bar(row, bar, part.register[0], rng, articulation)
    return chord_bar(row, bar, part.register, near, rng, articulation)


def _section(names: set[str], number: int, rng: Rng) -> set[str]:
    """Sounding parts of a section: at most one is left out, and sometimes the lead besides."""
    sounding = set(names)
    if len(names) > 2 and rng.random() < 0.35:
        sounding.discard(str(rng.choice(sorted(names - {"chords"}))))
    if number % 2 == 0 and len(sounding) > 2 and rng.random() < 0.4:
        sounding.discard("lead")
    return sounding


def swung(beat: float, swing: float, unit: float) -> float:
    """Beat position after swing, which moves the middle of each `unit` of beats to `swing` of it."""
    whole, within = divmod(beat / unit, 1.0)
    moved = within * 2.0 * swing if within < 0.5 else swing + (within - 0.5) * 2.0 * (1.0 - swing)
    return (whole + moved) * unit


def _timed(spans: dict[str, list[BeatSpan]], rules: GenreRules, drawn: _Drawn, rng: Rng) -> tuple[ComposedNote, ...]:
    beat = 60.0 / drawn.tempo
    turn, width = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.0, rules.rubato) if rules.rubato else 0.0
    period = rng.uniform(12.0, 28.0)

    def seconds(beats: float) -> float:
        """Integral of a tempo with sinusoidal drift of `period` beats."""
        drift = width * period / (2.0 * np.pi) * (np.cos(turn) - np.cos(turn + 2.0 * np.pi * beats / period))
        return float(beat * (beats + drift))

    loud = 42.0 + 52.0 * drawn.energy
    notes: list[ComposedNote] = []
    for name, part in spans.items():
        lag = float(rng.normal(0.0, drawn.timing))
        ends: dict[int, int] = {}
        for span in sorted(part, key=lambda s: s.start):
            at = span.start if span.triplets else swung(span.start, drawn.swing, rules.swung)
            start = max(0.0, seconds(at) + lag + float(rng.normal(0.0, drawn.timing)))
            end = start + max(0.04, seconds(at + span.length) - seconds(at))
            velocity = int(np.clip(loud * (0.45 + 0.75 * span.accent) + rng.normal(0.0, 4.0), 18, 127))
            note = ComposedNote(start, end, span.pitch, velocity, name)
            # a note that is struck again ends there, or its end would end the new one
            if span.pitch in ends and notes[ends[span.pitch]].end >= start:
                notes[ends[span.pitch]] = replace(notes[ends[span.pitch]], end=max(start - 0.003, 0.0))
            ends[span.pitch] = len(notes)
            notes.append(note)
    return tuple(sorted(notes, key=lambda n: (n.start, n.part, n.pitch)))


def _attributes(
    rules: GenreRules, drawn: _Drawn, notes: tuple[ComposedNote, ...], bars: int, sounding: tuple[str, ...]
) -> SongAttributes:
    lasts = bars * rules.beats * 60.0 / drawn.tempo
    # what begins within 30 ms sounds as one onset
    density = len({(note.part, round(note.start / 0.03)) for note in notes}) / lasts
    instruments = tuple((name, drawn.parts[name][1]) for name in sounding if name != "drums")
    distorted = any(program in _DISTORTED for _, program in instruments)
    drums = "drums" in sounding
    energy = 0.5 * drawn.energy + 0.25 * min(1.0, density / FASTEST) + 0.15 * drums + 0.1 * distorted
    triplets = any(triplet(row, rules.beats) for row in drawn.groove.values())
    return SongAttributes(
        rules.name, drawn.tempo, rules.beats, 2.0 / 3.0 if triplets else drawn.swing,
        "minor" if drawn.minor else "major", drawn.tonic, density, drums, instruments,
        drawn.kit if drums else -1, min(1.0, energy),
    )  # fmt: skip
