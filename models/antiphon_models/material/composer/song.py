"""Composes a song by genre and seed: sections, parts with human timing, MIDI bytes, and its random attributes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from antiphon_models.material import table_beside
from antiphon_models.material.composer.genres import GenreRules, Groove, PartRules, Range, Row
from antiphon_models.material.fluidsynth import TICKS, control_change, midi_bytes, note_off, note_on, program_change

# ---- Chords by degree and kind, their tones in a register, and scales

KINDS: dict[str, tuple[int, ...]] = table_beside(__file__)
"""Semitones above the root by chord type."""
DEGREES = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}
SCALES = {
    ("mode", False): (0, 2, 4, 5, 7, 9, 11),
    ("mode", True): (0, 2, 3, 5, 7, 8, 10),
    ("pentatonic", False): (0, 2, 4, 7, 9),
    ("pentatonic", True): (0, 3, 5, 7, 10),
    ("blues", False): (0, 2, 3, 4, 7, 9),
    ("blues", True): (0, 3, 5, 6, 7, 10),
}
"""Semitones above the tonic by scale, and whether the key is minor."""
_CHORD = re.compile(r"(b?)(VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)(.*)")


@dataclass(frozen=True, slots=True)
class ScaleChord:
    """A chord of a key. `root`: semitones above the tonic, 0 to 11; `kind`: one of `KINDS`."""

    root: int
    kind: str

    @property
    def tones(self) -> tuple[int, ...]:
        """Its notes in semitones above the tonic."""
        return tuple(self.root + tone for tone in KINDS[self.kind])


def parse(text: str) -> ScaleChord:
    """Parses a Roman numeral: "I", "vi", "bVII", "V7", "iim7b5"; lower case is minor.

    Raises `ValueError`: it is not such a chord.
    """
    match = _CHORD.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no chord of a scale")
    flat, degree, kind = match.groups()
    if degree.islower() and kind in ("", "6", "7", "9"):
        kind = f"m{kind}"
    if kind not in KINDS:
        raise ValueError(f"{text!r} has an unknown kind of chord")
    return ScaleChord((DEGREES[degree.upper()] - bool(flat)) % 12, kind)


def voice_chord(tones: Sequence[int], low: int, high: int, near: float) -> list[int]:
    """Tones of a chord as MIDI notes within a register, in the inversion with mean nearest to `near`.

    The register is an octave at least.
    """
    classes = sorted({tone % 12 for tone in tones})
    found = []
    for turn in range(len(classes)):
        notes = [low + (classes[turn] - low) % 12]
        for tone in classes[turn + 1 :] + classes[:turn]:
            notes.append(notes[-1] + ((tone - notes[-1]) % 12 or 12))
        for octave in range(0, 96, 12):
            if notes[-1] + octave <= high:
                found.append([note + octave for note in notes])
    if not found:
        return [low + (tone - low) % 12 for tone in classes]
    return min(found, key=lambda notes: abs(sum(notes) / len(notes) - near))


# ---- Notes of one part: pattern rows to notes in beats, by the chords of the song

Rng = np.random.Generator
_BASS = {"r": 0, "o": 12, "f": 7}


@dataclass(frozen=True, slots=True)
class BeatSpan:
    """A note in beats.

    Attributes:
        start: In beats from the song's beginning.
        length: In beats.
        pitch: MIDI note, or drum.
        accent: 0 to 1; determines the velocity.
        triplets: Whether its row divides beats by three, so that swing does not apply.
    """

    start: float
    length: float
    pitch: int
    accent: float
    triplets: bool = False


@dataclass(frozen=True, slots=True)
class SongBar:
    """A bar with the context of its parts.

    Attributes:
        number: Counted from 0.
        following: The chord of the next bar.
        optional: Probability of an optional onset ("o"); that of a seldom one (".") is less than half.
    """

    number: int
    beats: int
    chords: tuple[ScaleChord, ...]
    following: ScaleChord
    tonic: int
    optional: float

    def chord(self, share: float) -> ScaleChord:
        """Chord at a relative position of the bar, 0 to 1."""
        return self.chords[min(len(self.chords) - 1, int(share * len(self.chords)))]


def has_triplet_beats(row: Row, beats: int) -> bool:
    """Whether a row has triplet beats, by its length for rows of four steps a beat."""
    return len(row) % (4 * beats) != 0 and len(row) % (3 * beats) == 0


def onsets(row: Row, bar: SongBar) -> Iterator[tuple[float, float, str, bool]]:
    """Yields a row's onsets within a bar: start in beats, beats to the next onset, character, whether in triplets."""
    triplets = has_triplet_beats(row, bar.beats)
    steps = (3 if triplets else 4) * bar.beats
    first = bar.number % (len(row) // steps) * steps
    places = [n for n, character in enumerate(row) if character != "-"]
    for place, after in zip(places, [*places[1:], len(row)], strict=False):
        if first <= place < first + steps:
            scale = bar.beats / steps
            yield (place - first) * scale, (after - place) * scale, row[place], triplets


def plays(character: str, bar: SongBar, rng: Rng) -> bool:
    """Decides at random whether an onset sounds in this bar."""
    chance = {"o": bar.optional, ".": 0.45 * bar.optional}.get(character, 1.0)
    return bool(rng.random() < chance)


def drum_bar(groove: Groove, bar: SongBar, rng: Rng, last: bool) -> Iterator[BeatSpan]:
    """Yields a bar of drums; the `last` bar of a section may end in a fill of snare and toms."""
    fill = bar.beats - 1.0 if last and rng.random() < 0.6 else float(bar.beats)
    for drum, row in groove.items():
        for start, _, character, triplets in onsets(row, bar):
            if start < fill and plays(character, bar, rng):
                on_beat = float(start).is_integer()
                accent = (0.8 if on_beat else 0.6) - (0.25 if character == "." else 0.0)
                yield BeatSpan(bar.number * bar.beats + start, 0.2, drum, accent, triplets)
    at = fill
    while at < bar.beats:
        drum = int(rng.choice([38, 48, 45, 41]))
        yield BeatSpan(bar.number * bar.beats + at, 0.2, drum, 0.75)
        at += 0.25 if rng.random() < 0.7 else 0.5


def bass_bar(row: Row, bar: SongBar, low: int, rng: Rng, articulation: float) -> Iterator[BeatSpan]:
    """Yields a bar of bass: degrees of the chord above its root, which lies within an octave above `low`."""
    for start, length, character, triplets in onsets(row, bar):
        chord = bar.chord(start / bar.beats)
        tones = KINDS[chord.kind]
        root = low + (chord.root + bar.tonic - low) % 12
        match character:
            case "t":
                pitch = root + tones[min(1, len(tones) - 1)]
            case "s":
                pitch = root + (tones[3] if len(tones) > 3 and tones[3] < 12 else 9)
            case "w":
                goal = low + (bar.following.root + bar.tonic - low) % 12
                pitch = goal + int(rng.choice([-2, -1, 1, 2]))
            case _:
                if character == "o" and rng.random() > bar.optional:
                    continue
                pitch = root + _BASS[character]
        accent = 0.75 if start == 0.0 else 0.62
        yield BeatSpan(bar.number * bar.beats + start, articulation * length, pitch, accent, triplets)


def chord_bar(
    row: Row, bar: SongBar, register: tuple[int, int], near: float, rng: Rng, articulation: float
) -> Iterator[BeatSpan]:
    """Yields a bar of chords, each in the inversion nearest to `near`; "b" is a root or fifth below it."""
    low, high = register
    beaten = 0
    for start, length, character, triplets in onsets(row, bar):
        if not plays(character, bar, rng):
            continue
        chord = bar.chord(start / bar.beats)
        notes = voice_chord([tone + bar.tonic for tone in chord.tones], low, high, near)
        if chord.kind == "5":  # a power chord has its root below
            root = low + (chord.root + bar.tonic - low) % 12
            notes = [root, root + 7, root + 12]
        match character:
            case "b":
                root = low - 5 + (chord.root + bar.tonic - low + 5) % 12
                played = [root if beaten % 2 == 0 or chord.kind == "5" else root + (7 if root + 7 < low + 8 else -5)]
                beaten += 1
            case "u":
                played = notes[1:] or notes
            case "1" | "2" | "3" | "4":
                place = int(character) - 1
                played = [notes[place % len(notes)] + 12 * (place // len(notes))]
            case _:
                played = notes
        at = bar.number * bar.beats + start
        accent = 0.62 if float(start).is_integer() else 0.56
        for note in played:
            yield BeatSpan(at, articulation * length, note, accent, triplets)


class ComposedMelody:
    """Generates a melody from a repeated and varied motif contour, with chord notes on beats.

    `rows`: its rhythms, one for each phrase of two bars. `register`: the lowest and the highest note.
    """

    def __init__(self, rows: Sequence[Row], scale: Sequence[int], register: tuple[int, int], rng: Rng) -> None:
        self._low, self._high = register
        self._rows, self._rng = rows, rng
        self._notes = [n for n in range(self._low, self._high + 1) if n % 12 in set(scale)]
        self._contour = rng.choice([-2, -1, -1, 0, 1, 1, 2, 3, -3], size=12)
        self._row = str(rng.choice(list(rows)))
        self._place = len(self._notes) // 2

    def bar(self, bar: SongBar, articulation: float) -> Iterator[BeatSpan]:
        """Notes of the melody in a bar."""
        rng = self._rng
        if bar.number % 4 == 0:
            self._row = str(rng.choice(list(self._rows)))
            self._place = int(np.clip(self._place, len(self._notes) // 4, 3 * len(self._notes) // 4))
        step = 6 * (bar.number % 2)
        for start, length, character, triplets in onsets(self._row, bar):
            if not plays(character, bar, rng):
                continue
            move = int(self._contour[step % 12]) if rng.random() < 0.75 else int(rng.integers(-2, 3))
            step += 1
            self._place += move
            if not 0 <= self._place < len(self._notes):
                self._place -= 2 * move
            self._place = int(np.clip(self._place, 0, len(self._notes) - 1))
            pitch = self._notes[self._place]
            if float(start).is_integer() and rng.random() < 0.7:
                tones = {(tone + bar.tonic) % 12 for tone in bar.chord(start / bar.beats).tones}
                pitch = min(
                    (n for n in range(pitch - 4, pitch + 5) if n % 12 in tones),
                    key=lambda n: abs(n - pitch),
                    default=pitch,
                )
            accent = 0.74 if float(start).is_integer() else 0.66
            yield BeatSpan(bar.number * bar.beats + start, articulation * length, pitch, accent, triplets)


DRUMS = 9
"""General MIDI drum channel."""
CHANNELS = {"bass": 0, "chords": 1, "lead": 2, "pad": 3, "drums": DRUMS}
_LEVELS = {"bass": (84, 118), "chords": (62, 104), "lead": (70, 112), "pad": (44, 84), "drums": (82, 122)}
_VOLUME, _PAN = 7, 10
_DISTORTED = (29, 30)
SECTION = 4
"""Bars of a section."""
FASTEST = 12.0
"""Onset rate per second at which density contributes fully to the energy."""


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
    """Attributes of a song, drawn at random or counted from its notes.

    Attributes:
        tempo: In BPM.
        beats: Beats per bar.
        swing: Position of offbeats between beats: 0.5 straight, 0.667 triplets.
        tonic: Pitch class of its key, 0 for C.
        density: Onsets per second, of all parts.
        instruments: General MIDI program of each part that sounds, without drums.
        kit: General MIDI drum kit; -1 without drums.
        energy: 0 to 1: half from the value drawn for loudness and optional onsets, half from density, drums and
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
    """A song: its notes sorted by start, and its attributes."""

    notes: tuple[ComposedNote, ...]
    levels: tuple[tuple[str, int, int], ...]
    attributes: SongAttributes

    def midi(self) -> bytes:
        """Its MIDI file as bytes, with programs, volumes and pans first."""
        return midi_bytes(self.events())

    def events(self) -> list[tuple[int, bytes]]:
        """Sorted events of its MIDI file: (tick of `TICKS` a second, message), programs, volumes and pans first."""
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
class _SongParameters:
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
    """Composes a song of a genre, deterministic by seed, of at least `seconds`, ending with a complete bar."""
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


def _draw(rules: GenreRules, rng: Rng) -> _SongParameters:
    groove = dict(rules.grooves[int(rng.integers(len(rules.grooves)))]) if rng.random() < rules.drums else {}
    triplets = any(has_triplet_beats(row, rules.beats) for row in groove.values())
    parts = {}
    for name in ("bass", "chords", "lead", "pad"):
        part: PartRules = getattr(rules, name)
        if rng.random() < part.chance:
            # where drums divide by three, so do the others, as far as they have such rows
            same = tuple(row for row in part.rows if has_triplet_beats(row, rules.beats) == triplets) or part.rows
            rows = tuple(str(row) for row in rng.choice(same, size=min(2, len(same)), replace=False))
            parts[name] = (part, int(rng.choice(part.programs)), rows, _uniform(rng, part.articulation))
    if "chords" not in parts and "pad" not in parts:
        part = rules.chords
        parts["chords"] = (part, int(rng.choice(part.programs)), part.rows[:2], _uniform(rng, part.articulation))
    return _SongParameters(
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


def _chords(rules: GenreRules, drawn: _SongParameters, bars: int, rng: Rng) -> list[tuple[ScaleChord, ...]]:
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


def _spans(rules: GenreRules, drawn: _SongParameters, bars: int, rng: Rng) -> dict[str, list[BeatSpan]]:
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
    name: str, drawn: _SongParameters, bar: SongBar, near: float, last: bool, lead: ComposedMelody | None, rng: Rng
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
    """Parts that sound in a section: at most one is left out, and sometimes the lead as well."""
    sounding = set(names)
    if len(names) > 2 and rng.random() < 0.35:
        sounding.discard(str(rng.choice(sorted(names - {"chords"}))))
    if number % 2 == 0 and len(sounding) > 2 and rng.random() < 0.4:
        sounding.discard("lead")
    return sounding


def swing_position(beat: float, swing: float, unit: float) -> float:
    """Beat position after swing, which moves the middle of each `unit` of beats to `swing` of it."""
    whole, within = divmod(beat / unit, 1.0)
    moved = within * 2.0 * swing if within < 0.5 else swing + (within - 0.5) * 2.0 * (1.0 - swing)
    return (whole + moved) * unit


def _timed(
    spans: dict[str, list[BeatSpan]], rules: GenreRules, drawn: _SongParameters, rng: Rng
) -> tuple[ComposedNote, ...]:
    beat = 60.0 / drawn.tempo
    turn, width = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.0, rules.rubato) if rules.rubato else 0.0
    period = rng.uniform(12.0, 28.0)

    def seconds(beats: float) -> float:
        """Time in seconds at a beat; the tempo drifts as a sine of `period` beats."""
        drift = width * period / (2.0 * np.pi) * (np.cos(turn) - np.cos(turn + 2.0 * np.pi * beats / period))
        return float(beat * (beats + drift))

    loud = 42.0 + 52.0 * drawn.energy
    notes: list[ComposedNote] = []
    for name, part in spans.items():
        lag = float(rng.normal(0.0, drawn.timing))
        ends: dict[int, int] = {}
        for span in sorted(part, key=lambda s: s.start):
            at = span.start if span.triplets else swing_position(span.start, drawn.swing, rules.swung)
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
    rules: GenreRules, drawn: _SongParameters, notes: tuple[ComposedNote, ...], bars: int, sounding: tuple[str, ...]
) -> SongAttributes:
    lasts = bars * rules.beats * 60.0 / drawn.tempo
    # what begins within 30 ms sounds as one onset
    density = len({(note.part, round(note.start / 0.03)) for note in notes}) / lasts
    instruments = tuple((name, drawn.parts[name][1]) for name in sounding if name != "drums")
    distorted = any(program in _DISTORTED for _, program in instruments)
    drums = "drums" in sounding
    energy = 0.5 * drawn.energy + 0.25 * min(1.0, density / FASTEST) + 0.15 * drums + 0.1 * distorted
    triplets = any(has_triplet_beats(row, rules.beats) for row in drawn.groove.values())
    return SongAttributes(
        rules.name, drawn.tempo, rules.beats, 2.0 / 3.0 if triplets else drawn.swing,
        "minor" if drawn.minor else "major", drawn.tonic, density, drums, instruments,
        drawn.kit if drums else -1, min(1.0, energy),
    )  # fmt: skip
