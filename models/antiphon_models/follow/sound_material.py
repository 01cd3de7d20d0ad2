"""Renders performances with known beats: POP909's songs, plain players, guitars and basses, drum kits; and noises.

Three soundfonts render them with varied levels, tones, rooms and noises; a fourth, OPL-3, is held out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from antiphon.api import F32, F64
from antiphon.api.backends.files import MidiNote, MidiTrack
from antiphon_follow.evidence import RATE
from antiphon_models.follow.fitting import (
    OF_FOUR,
    OF_THREE,
    PARTS,
    SECONDS,
    SHARES,
    add_player_rests,
    change_tempo,
    curve,
    random_notes,
    without_fourth_beats,
)
from antiphon_models.follow.noises import claps, coloured_noise, drone, talk
from antiphon_models.follow.plain import plain_player
from antiphon_models.follow.songs import performance
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings, play_tracks
from antiphon_models.material.sounds import mono, of_length

FONTS = (FLUID, TIM, Path("/usr/share/sounds/sf2/sf_GMbank.sf2"))
FONT_SHARES = (0.4, 0.3, 0.3)
KINDS = ("song", "waltz", "plain", "group", "band", "bass", "kit", "noise", "speech", "electric")
KIND_SHARES = (0.36, 0.02, 0.03, 0.07, 0.10, 0.07, 0.21, 0.01, 0.03, 0.10)
DRY, ROOMS = 0.1, 0.35
PIANOS, GUITARS, BASSES = (0, 0, 0, 1, 2, 3, 4, 5), (24, 25, 25, 26, 27, 28, 29, 30), (32, 33, 33, 34, 35, 36, 38)
OTHERS, LEADS = (16, 18, 19, 48, 49, 50, 11, 46, 88), (0, 40, 56, 65, 71, 73, 52, 80, 25)
"""General MIDI programs for songs, and for melodies above them."""
DRUMS, KICK, SNARES, CYMBALS, TOMS = 10, 36, (38, 40, 37, 39), (42, 42, 44, 51, 70), (50, 48, 45, 43)
DRUM_KITS = (0, 0, 8, 16, 24, 25, 32, 40)
WITH_KIT, BASS_ALONE, STRUM = 0.25, 0.08, 0.012
"""Share with a drum kit, share of songs by their bass alone, and seconds between strings of a strum."""
ON_BEATS, EIGHTHS, SIXTEENTHS = (0.95, 0.6, 0.8, 0.6), 0.45, 0.12
"""Probabilities of strokes on the beats of a bar, on eighths between, and on sixteenths between."""
STRUMS = (
    ((1.0, 0.1, 0.3, 0.1), 0.05, 0.0),
    ((1.0, 1.0, 1.0, 1.0), 0.95, 0.0),
    ((1.0, 1.0, 1.0, 1.0), 0.97, 0.9),
    ((0.9, 0.6, 0.7, 0.6), 0.6, 0.3),
    ((0.2, 0.1, 0.1, 0.1), 0.95, 0.05),
    (ON_BEATS, 0.6, SIXTEENTHS),
)
"""Probabilities of an electric guitar's strokes: held chords, eighths, sixteenths, riffs, off-beats, and any."""
ACCENTS = ((8, 0), (8, 0), (8, 4), (4, 0), (16, 0))
"""Accented strokes of a guitar: period in sixteenths, and first accented one."""
CLEAN, AMPLIFIED, AMPLIFIER = (24, 25, 26, 26, 27, 27, 28), 0.75, "amplifier"
"""Programs played through an amplifier, share of electric guitars with one, and the name of their tracks."""
CHORDS = ((0, 7, 12), (0, 7, 12, 16, 19), (0, 7, 12, 15, 19), (0, 7, 10, 16), (0, 4, 7, 12))
STEPS = (0, 2, 3, 5, 7, 9, 10, -2, -3, -5)


@dataclass(frozen=True, slots=True)
class SoundPerformance:
    """A sound at `RATE`. `beats`: s, empty without a beat; `downs`: mask of downbeats; `numbers`: as in `labels`."""

    sound: F32
    beats: F64
    downs: F64
    numbers: tuple[int, ...] = OF_FOUR


@dataclass(frozen=True, slots=True)
class Riff:
    """A repeated figure: strokes of `bars` on sixteenths, and chord `roots` that last for `each` bars."""

    beats: F64
    downs: F64
    bars: list[NDArray[np.bool_]]
    swing: float
    roots: tuple[int, ...] = (40,)
    each: int = 1

    def strokes(self) -> Iterator[tuple[float, float, int, int]]:
        """Yields time, length of a sixteenth (both in seconds), bar and sixteenth of each stroke."""
        beats, downs, bars, swing = self.beats, self.downs, self.bars, self.swing
        shares, place, bar = (0.0, 0.5 * swing, swing, 0.5 + 0.5 * swing), -1, -1
        for n in range(len(beats) - 1):
            place, bar = (0, bar + 1) if downs[n] else (place + (place >= 0), bar)
            row, period = bars[bar % len(bars)], beats[n + 1] - beats[n]
            for quarter in range(4 if 0 <= place < len(row) // 4 else 0):
                if row[4 * place + quarter]:
                    yield beats[n] + period * shares[quarter], period / 4.0, bar, 4 * place + quarter

    def chord(self, bar: int) -> int:
        """Number of the bar's chord."""
        return bar // self.each % len(self.roots)


def one_of(random: np.random.Generator, of: tuple[int, ...]) -> int:
    """Returns one of `of`, chosen uniformly."""
    return int(of[random.integers(len(of))])


def random_roots(random: np.random.Generator) -> tuple[int, ...]:
    """Roots of a repeated chord sequence, around E2."""
    count = int(random.choice([1, 2, 4, 4, 8]))
    return tuple(40 + int(random.integers(0, 12)) + one_of(random, STEPS) for _ in range(count))


def grid(
    random: np.random.Generator, meter: int, on: tuple[float, ...], eighths: float, quick: float
) -> NDArray[np.bool_]:
    """Random strokes of a bar on sixteenths, with probabilities on beats, eighths and sixteenths."""
    chances = np.array([chance for beat in range(meter) for chance in (on[beat], quick, eighths, quick)])
    return np.asarray(random.random(4 * meter) < chances)


def note_at(at: float, length: float, number: int, velocity: float, channel: int = 1) -> MidiNote:
    """A note from its time and length in seconds, for a file at 120 bpm."""
    loud = float(np.clip(velocity, 0.05, 1.0))
    return MidiNote(max(0.0, 2.0 * at), 2.0 * max(0.03, length), int(np.clip(number, 0, 127)), loud, channel)


def track(name: str, notes: list[MidiNote], program: int | None = None) -> MidiTrack:
    """A track of notes, which may be given in any order."""
    return MidiTrack(name, tuple(sorted(notes, key=lambda note: note.start)), program)


@dataclass(frozen=True, slots=True)
class DrumPattern:
    """Velocities of a bar's strokes on sixteenths, by General MIDI drum number."""

    rows: dict[int, F64]

    def vary(self, random: np.random.Generator, share: float) -> DrumPattern:
        """The pattern with some of its kicks and ghost notes elsewhere."""
        rows = {number: row.copy() for number, row in self.rows.items()}
        for number in (KICK, *SNARES):
            if number in rows:
                moved = random.random(len(rows[number])) < share
                rows[number][moved] = np.where(rows[number][moved] > 0, 0.0, 0.6 if number == KICK else 0.25)
                rows[number][0] = self.rows[number][0]
        return DrumPattern(rows)

    def in_triplets(self) -> DrumPattern:
        """The pattern with three strokes a beat, for a swing of two thirds; the last sixteenth of a beat is empty."""
        rows = {number: row.copy() for number, row in self.rows.items()}
        for number, row in rows.items():
            if number in (*CYMBALS, *TOMS, KICK):
                row[1::4] = np.maximum(row[1::4], row[3::4])
            row[3::4] = 0.0
        return DrumPattern(rows)


def pattern(meter: int, random: np.random.Generator) -> DrumPattern:
    """A random drum bar: kicks; a backbeat, half or double time, or other snares; cymbals or toms on a grid."""
    size, rows = 4 * meter, dict[int, F64]()
    kick, eighths = random.random(), random.choice([0.05, 0.25, 0.45])
    if kick < 0.06:
        rows[KICK] = np.where(np.arange(size) % int(random.choice([1, 2])) == 0, random.uniform(0.6, 0.85, size), 0.0)
    elif kick < 0.18:
        rows[KICK] = np.where(np.arange(size) % 4 == 0, 0.85, 0.0)
    elif kick < 0.35:
        rows[KICK] = np.where(np.arange(size) % 8 == 0, 0.85, 0.0)
        rows[KICK][10:11] = 0.75 * (random.random() < 0.5)
    else:
        struck = grid(random, meter, (0.95, 0.15, 0.6, 0.15), eighths, random.choice([0.0, 0.05, 0.2]))
        rows[KICK] = np.where(struck, random.uniform(0.7, 0.95, size), 0.0)
    snare, number = random.random(), one_of(random, SNARES)
    row = np.zeros(size)
    if meter == 3:
        row[8 if snare < 0.5 else 4 :: 4] = 0.8
    elif snare < 0.56:
        row[4::8] = 0.85
    elif snare < 0.74:
        row[8] = 0.85
    elif snare < 0.78:
        row[::4] = 0.8
    elif snare < 0.88:
        row[2::4] = 0.75
    elif snare < 0.94:
        row[[4, int(random.choice([10, 11, 13, 14]))]] = 0.85
    if random.random() < 0.25:
        row = np.maximum(row, np.where(random.random(size) < random.choice([0.1, 0.3]), 0.25, 0.0))
    rows[number] = row
    cymbal, metal, beats = random.random(), one_of(random, CYMBALS if random.random() < 0.9 else TOMS), np.arange(size)
    off, accent = random.uniform(0.3, 0.6), 0.6
    if cymbal < 0.20:
        rows[metal] = np.where(beats % 4 == 0, accent, 0.0)
    elif cymbal < 0.58:
        rows[metal] = np.where(beats % 4 == 0, accent, np.where(beats % 2 == 0, off, 0.0))
    elif cymbal < 0.70:
        rows[metal] = np.where(beats % 4 == 0, accent, np.where(beats % 2 == 0, 0.8 * off + 0.1, 0.7 * off))
    elif cymbal < 0.77:
        rows[metal] = np.where(beats % 4 == 2, accent, 0.0)
    elif cymbal < 0.86:
        rows[51] = np.where((beats % 4 == 0) | (beats % 8 == 7), np.where(beats % 8 == 4, accent, off), 0.0)
    elif cymbal < 0.90:
        rows[metal] = np.where(random.random(size) < 0.4, off, 0.0)
    if random.random() < 0.15:
        rows[46] = np.where(beats == random.choice([2, 6, 14]), 0.6, 0.0)
    if random.random() < 0.15:
        rows[44] = np.where(beats % 8 == 4, 0.5, 0.0)
    return DrumPattern(rows)


def kit(beats: F64, downs: F64, random: np.random.Generator, meter: int = 4, swing: float | None = None) -> MidiTrack:
    """A drum track: patterns for each part, fills, crashes, breaks and count-in bars."""
    if swing is None:
        swing = float(random.choice([0.5, 0.5, 0.5, 0.5, 0.56, 0.62, 0.66, 0.66]))
    parts = [pattern(meter, random)]
    if random.random() < 0.4:
        parts.append(pattern(meter, random))
    if swing > 0.6 and random.random() < 0.4:
        parts = [part.in_triplets() for part in parts]
    changes = [(part, part.vary(random, float(random.choice([0.0, 0.06, 0.12])))) for part in parts]
    long, every = int(random.choice([4, 8, 8, 16])), int(random.choice([4, 4, 8]))
    fills, breaks, crash = random.random() < 0.45, random.random() < 0.12, random.random() < 0.5
    counted, late = random.random() < 0.1, random.choice([0.002, 0.005, 0.01])
    behind = {number: random.uniform(-0.003, 0.010) for number in SNARES}
    hard, kept, size = random.uniform(0.75, 1.1), dict[int, float](), 4 * meter
    fill_size, notes = int(random.choice([2, 4, 4, 8, 16])), list[MidiNote]()
    for at, length, bar, quarter in Riff(beats, downs, [np.ones(size, bool)], swing).strokes():
        if counted and bar == 0:
            if quarter % 4 == 0:
                notes.append(note_at(at + random.normal(0.0, late), length, 37, 0.6, DRUMS))
            continue
        part = changes[bar // long % len(changes)][bar % 2]
        filled = fills and bar % every == every - 1 and quarter >= size - fill_size
        if breaks and bar % 8 == 7 and quarter >= 4:
            continue
        if filled:
            if random.random() < (0.9 if quarter % 2 == 0 else 0.55):
                tom = TOMS[min(3, (quarter - size + fill_size) * 4 // fill_size)] if random.random() < 0.7 else 38
                notes.append(
                    note_at(at + random.normal(0.0, late), length, tom, hard * random.uniform(0.6, 0.85), DRUMS)
                )
            continue
        for number, row in part.rows.items():
            if row[quarter] <= 0.0:
                continue
            struck = 49 if number in CYMBALS and crash and quarter == 0 and bar % every == 0 else number
            begin = at + random.normal(behind.get(number, 0.0), late)
            loudness = kept.setdefault(number, random.uniform(0.7, 1.15))
            notes.append(
                note_at(begin, length, struck, hard * loudness * row[quarter] * random.uniform(0.85, 1.1), DRUMS)
            )
    return track("drums", notes, one_of(random, DRUM_KITS))


def band(beats: F64, downs: F64, random: np.random.Generator, meter: int) -> list[MidiTrack]:
    """A drum kit, a bass and chords, some with a melody."""
    swing, each = float(random.choice([0.5, 0.5, 0.5, 0.5, 0.6, 0.66])), int(random.choice([1, 1, 2]))
    roots = random_roots(random)

    def riff(on: tuple[float, ...], eighths: float, quick: float) -> Riff:
        first = grid(random, meter, on, eighths, quick)
        first[0] |= random.random() < 0.8
        bars = [first, first ^ (random.random(len(first)) < 0.08)][: int(random.choice([1, 2]))]
        return Riff(beats, downs, bars, swing, roots, each)

    chords = riff(
        random.choice([(1.0, 0.0, 0.1, 0.0), ON_BEATS, (0.3, 0.8, 0.3, 0.8)]),
        random.choice([0.05, EIGHTHS, 0.9]),
        random.choice([0.0, 0.1]),
    )
    low = riff(
        random.choice([(1.0, 0.1, 0.6, 0.1), ON_BEATS, (1.0, 1.0, 1.0, 1.0)]),
        random.choice([0.1, 0.4, 0.95]),
        random.choice([0.0, 0.05]),
    )
    tracks = [kit(beats, downs, random, meter, swing), bass(low, random)]
    strings = guitar(chords, random)
    program = one_of(random, GUITARS if random.random() < 0.6 else PIANOS + OTHERS)
    tracks.append(replace(strings, name="chords", program=program))
    if random.random() < 0.4:
        tune = bass(riff(ON_BEATS, 0.5, 0.08), random)
        high = [replace(n, number=min(127, n.number + 36)) for n in tune.notes if random.random() < 0.8]
        tracks.append(track("melody", high, one_of(random, LEADS)))
    levels = [random.uniform(0.55, 1.0) for _ in tracks]
    return [
        replace(t, notes=tuple(replace(n, velocity=n.velocity * level) for n in t.notes))
        for t, level in zip(tracks, levels, strict=True)
    ]


def basses(beats: F64, downs: F64, random: np.random.Generator, meter: int) -> list[MidiTrack]:
    """A solo bass: long roots, walking quarters, eighths, or riffs."""
    swing, each = float(random.choice([0.5, 0.5, 0.5, 0.6, 0.66])), int(random.choice([1, 1, 2]))
    roots = random_roots(random)
    on = ((1.0, 0.05, 0.3, 0.05), (1.0, 1.0, 1.0, 1.0), (1.0, 0.3, 0.7, 0.4), ON_BEATS)[int(random.integers(4))]
    first = grid(random, meter, on, random.choice([0.0, 0.1, 0.4, 0.95]), random.choice([0.0, 0.05, 0.15, 0.85]))
    first[0] |= random.random() < 0.8
    bars = [first, first ^ (random.random(len(first)) < 0.1)][: int(random.choice([1, 2, 2]))]
    return [bass(Riff(beats, downs, bars, swing, roots, each), random)]


def group(beats: F64, downs: F64, random: np.random.Generator, meter: int) -> list[MidiTrack]:
    """A strummed or picked guitar, a bass, or both, some with a drum kit."""
    roots = random_roots(random)
    swing, each = float(random.choice([0.5, 0.5, 0.5, 0.6, 0.66])), int(random.choice([1, 1, 2]))
    eighths, quick = random.choice([0.15, EIGHTHS, 0.9]), random.choice([0.0, SIXTEENTHS])
    first = grid(random, meter, ON_BEATS, eighths, quick)
    bars = [first, first ^ (random.random(len(first)) < 0.1)][: int(random.choice([1, 2, 2]))]
    what, tracks = random.random(), list[MidiTrack]()
    if what < 0.65:
        tracks.append(guitar(Riff(beats, downs, bars, swing, roots, each), random))
    if what > 0.5:
        same = random.random() < 0.5
        own = bars if same else [grid(random, meter, ON_BEATS, random.choice([0.1, 0.4, 0.95]), 0.05)]
        tracks.append(bass(Riff(beats, downs, own, swing, roots, each), random))
    if random.random() < WITH_KIT:
        tracks.append(kit(beats, downs, random, meter))
    return tracks


def electric(beats: F64, downs: F64, random: np.random.Generator, meter: int) -> list[MidiTrack]:
    """One or two electric guitars, mostly amplified, sometimes with a bass or a drum kit."""
    roots, each = random_roots(random), int(random.choice([1, 1, 2]))
    swing, tracks = float(random.choice([0.5, 0.5, 0.5, 0.5, 0.6, 0.66])), list[MidiTrack]()

    def riff() -> Riff:
        first = grid(random, meter, *STRUMS[random.integers(len(STRUMS))])
        bars = [first, *(first ^ (random.random(len(first)) < 0.1) for _ in range(int(random.choice([0, 1, 1, 3]))))]
        return Riff(beats, downs, bars, swing, roots, each)

    for _ in range(1 + int(random.random() < 0.2)):
        made = guitar(riff(), random)
        if random.random() < AMPLIFIED:
            made = replace(made, name=AMPLIFIER, program=one_of(random, CLEAN))
        tracks.append(made)
    if random.random() < 0.15:
        tracks.append(bass(riff(), random))
    if random.random() < 0.1:
        tracks.append(kit(beats, downs, random, meter))
    return tracks


def guitar(riff: Riff, random: np.random.Generator) -> MidiTrack:
    """A guitar track: strokes over all strings, or single strings in turn; some are muted."""
    late, pick = random.choice([0.003, 0.008, 0.014]), random.random() < 0.3
    short, notes = random.random() < 0.35, list[MidiNote]()
    kinds = [CHORDS[random.integers(len(CHORDS))] for _ in riff.roots]
    spread, accent, (every, first) = random.uniform(0.3, 1.8) * STRUM, random.uniform(0.0, 0.3), random.choice(ACCENTS)
    strokes = list(riff.strokes())
    for n, (at, length, bar, quarter) in enumerate(strokes):
        which = riff.chord(bar)
        chord = [riff.roots[which] + step for step in kinds[which]]
        if pick:
            chord = [chord[0]] if quarter == 0 else [chord[random.integers(len(chord))]]
        begin = at + random.normal(0.0, late)
        until = strokes[n + 1][0] - at if n + 1 < len(strokes) else 1.0
        strong = quarter % every == first
        hold = min(until, 0.5 * length if short and random.random() < (0.3 if strong else 0.9) else 4.0)
        for rank, number in enumerate(chord if quarter % 4 in (0, 1) else chord[::-1]):
            loud = random.uniform(0.55, 0.75) + accent * strong - 0.1 * (quarter % 4 > 0)
            notes.append(note_at(begin + rank * spread, hold, number, loud))
    return track("guitar", notes, one_of(random, GUITARS))


def bass(riff: Riff, random: np.random.Generator) -> MidiTrack:
    """A bass track: roots, and sometimes other chord notes or notes leading to the next chord."""
    late, walks = random.choice([0.003, 0.008, 0.014]), random.choice([0.0, 0.15, 0.7])
    notes = list[MidiNote]()
    for at, length, bar, quarter in riff.strokes():
        root = (riff.roots[riff.chord(bar)] - 28) % 12 + 28
        stays = quarter == 0 or random.random() >= walks
        number = root if stays else root + one_of(random, (3, 4, 5, 7, 10, 12, -2))
        begin, hold = at + random.normal(0.0, late), length * random.choice([0.9, 1.8, 3.5])
        notes.append(note_at(begin, hold, number, random.uniform(0.6, 0.9)))
    return track("bass", notes, one_of(random, BASSES))


def strum_chords(notes: F64, random: np.random.Generator) -> F64:
    """Delays the notes of chords one after the other, as if strummed."""
    made, spread, rank = notes.copy(), random.uniform(0.0, 1.5) * STRUM, 0
    for n in range(1, len(made)):
        rank = rank + 1 if notes[n, 0] - notes[n - 1, 0] < 0.02 else 0
        made[n, 0] += rank * spread
    return made[np.argsort(made[:, 0])]


def song_tracks(notes: F64, random: np.random.Generator) -> list[MidiTrack]:
    """Assigns a performance's notes to one or two instruments; some songs have their bass alone."""
    what = random.random()
    program = one_of(random, PIANOS if what < 0.6 else GUITARS if what < 0.82 else OTHERS)
    if 0.6 <= what < 0.82:
        notes = strum_chords(notes, random)
    if notes.shape[1] < 4:
        notes = np.column_stack([notes, np.full(len(notes), random.uniform(0.1, 0.6))])
    rows = [note_at(at, min(length, 8.0), int(number), velocity) for at, number, velocity, length in notes]
    if random.random() < BASS_ALONE:
        return [track("bass", lowest(rows), one_of(random, BASSES))]
    if random.random() < 0.2:
        edge = float(np.median(notes[:, 1]) + random.choice([0, 7]))
        low, high = ([row for row in rows if (row.number >= edge) == above] for above in (False, True))
        return [track("low", low, program), track("high", high, one_of(random, LEADS))]
    return [track("notes", rows, program)]


def lowest(notes: list[MidiNote]) -> list[MidiNote]:
    """Keeps the bass notes; those above E3 sound an octave lower."""
    low, kept = 60.0, list[MidiNote]()
    for note in notes:
        if note.number < low + 3:
            kept.append(MidiNote(note.start, note.length, note.number - 12 * (note.number > 52), note.velocity))
        low += 0.1 * (note.number - low)
    return kept


def vary_sound(sound: F32, random: np.random.Generator, rooms: float = ROOMS) -> F32:
    """Varies the sound's tone, drive, room, noise and level at random."""
    size = len(sound)
    made = sound.astype(np.float64) / max(1e-6, float(np.abs(sound).max()))
    if random.random() < 0.6:
        knots, gains = np.log([40.0, 120.0, 400.0, 1200.0, 4000.0, 11000.0]), random.normal(0.0, 4.0, 6)
        if random.random() < 0.15:
            gains[-1] -= 20.0
        hertz = np.maximum(np.fft.rfftfreq(size, 1.0 / RATE), 20.0)
        made = np.fft.irfft(np.fft.rfft(made) * 10.0 ** (np.interp(np.log(hertz), knots, gains) / 20.0), size)
    if random.random() < 0.15:
        drive = random.uniform(2.0, 12.0)
        made = np.tanh(drive * made / max(1e-6, float(np.abs(made).max())))
    if random.random() < rooms:
        tail = np.arange(round(0.6 * RATE)) / RATE
        room = random.standard_normal(len(tail)) * np.exp(-6.9 * tail / random.uniform(0.15, 0.6))
        wet = fftconvolve(made, room / np.sqrt((room**2).sum()))[:size]
        made = made + random.uniform(0.1, 0.6) * wet * np.sqrt((made**2).mean() / max(1e-12, (wet**2).mean()))
    if random.random() < 0.4:
        hiss = coloured_noise(size, random) * np.sqrt((made**2).mean())
        made = made + hiss * 10.0 ** (random.uniform(-50.0, -18.0) / 20.0)
    level = np.exp(random.uniform(np.log(0.05), np.log(0.95)))
    return np.asarray(level * made / max(1e-6, float(np.abs(made).max())), np.float32)


def render_tracks(tracks: list[MidiTrack], random: np.random.Generator, rooms: float = ROOMS) -> F32:
    """Renders tracks with a soundfont, each on its own channel; `rooms`: share of sounds with a room."""
    font, reverb = FONTS[random.choice(len(FONTS), p=FONT_SHARES)], bool(random.random() < 1.7 * rooms)
    tracks = [move_track_to_channel(one, place) for place, one in enumerate(tracks, 1)]
    groups = [[one] for one in tracks if one.name == AMPLIFIER]
    groups.append([one for one in tracks if one.name != AMPLIFIER])
    made = np.zeros(round(SECONDS * RATE), np.float32)
    for some in filter(None, groups):
        sound = play_tracks(some, font, RATE, FluidSettings(0.5, reverb)).mean(axis=1)
        if some[0].name == AMPLIFIER:
            sound = amplify(sound, random)
        made += of_length(sound, len(made)) / max(1e-6, float(np.sqrt((sound**2).mean())))
    return vary_sound(made, random, rooms)


def amplify(sound: F32, random: np.random.Generator) -> F32:
    """Applies a guitar amplifier, from clean to heavily clipped, and its loudspeaker."""
    tight, dark = random.uniform(60.0, 250.0), random.uniform(2500.0, 6500.0)
    hertz = np.fft.rfftfreq(len(sound), 1.0 / RATE)
    made = np.fft.irfft(np.fft.rfft(sound) / (1.0 + (tight / np.maximum(hertz, 1.0)) ** 2), len(sound))
    drive, lean = np.exp(random.uniform(np.log(1.0), np.log(80.0))), random.uniform(0.0, 0.3)
    made = np.tanh(drive * made / max(1e-6, float(np.abs(made).max())) + lean) - np.tanh(lean)
    loudspeaker = 1.0 / (1.0 + (70.0 / np.maximum(hertz, 1.0)) ** 4 + (hertz / dark) ** 6)
    return np.asarray(np.fft.irfft(np.fft.rfft(made) * loudspeaker, len(sound)), np.float32)


def move_track_to_channel(one: MidiTrack, channel: int) -> MidiTrack:
    """Assigns a track, unless it is drums, to a channel; of two on one channel, both take the later program."""
    return replace(one, notes=tuple(n if n.channel == DRUMS else replace(n, channel=channel) for n in one.notes))


def beatless_sound(noises: Path, random: np.random.Generator) -> F32:
    """A sound without beats: noise, claps, a drone, speech, notes at random, or clips of ESC-10's folds 1 to 3."""
    kind, size = random.random(), round(SECONDS * RATE)
    if kind < 0.15:
        knots = np.exp(random.normal(0.0, random.choice([0.0, 0.7]), 40))
        swell = np.interp(np.arange(size), np.linspace(0, size, 40), knots)
        return vary_sound(np.asarray(coloured_noise(size, random) * swell, np.float32), random)
    if kind < 0.22:
        return vary_sound(claps(size, random), random)
    if kind < 0.27:
        return vary_sound(drone(size, random), random)
    if kind < 0.5:
        return vary_sound(talk(size, random), random)
    if kind < 0.65:
        return render_tracks(song_tracks(random_notes(random), random), random)
    folders = [folder for folder in sorted(noises.iterdir()) if folder.is_dir() and "clock" not in folder.name]
    folder = folders[random.integers(len(folders))]
    clips = [path for path in sorted(folder.glob("*.ogg")) if path.name[0] in "123"]
    taken = [np.asarray(mono(clips[n], RATE), np.float32) for n in random.permutation(len(clips))[:17]]
    return vary_sound(of_length(np.concatenate(taken), size), random)


def sound_performance(songs: list[Path], shares: F64, noises: Path, number: int) -> SoundPerformance | None:
    """Renders the performance of a number; None if its song is too short.

    `songs`: POP909's folders, drawn with the probabilities `shares`. `noises`: ESC-10's folder.
    """
    random = np.random.default_rng((78, number))
    kind = str(random.choice(KINDS, p=KIND_SHARES))
    if kind == "noise":
        return SoundPerformance(beatless_sound(noises, random), np.zeros(0), np.zeros(0))
    if kind == "speech":
        return SoundPerformance(vary_sound(talk(round(SECONDS * RATE), random), random), np.zeros(0), np.zeros(0))
    late = float(random.choice([0.0, 0.0, 0.0, 0.0, random.uniform(0.5, 6.0)]))
    if kind in ("group", "kit", "band", "bass", "electric"):
        return rhythm(kind, late, random)
    if kind == "plain":
        notes, song = plain_player(SECONDS, curve, random)
        numbers = OF_THREE if song.downs[3] else OF_FOUR
    else:
        song = performance(songs[random.choice(len(songs), p=shares)], PARTS[random.choice(3, p=SHARES)])
        if kind == "waltz":
            song = without_fourth_beats(song)
        numbers = OF_THREE if kind == "waltz" else OF_FOUR
        if (part := change_tempo(song, random)) is None:
            return None
        notes, song = part
    notes = add_player_rests(notes, random).copy()
    notes[:, 0] += late
    beats, tracks = song.beats + late, song_tracks(notes, random)
    if random.random() < WITH_KIT:
        tracks.append(kit(beats[beats >= 0.0], song.downs[beats >= 0.0], random, len(numbers)))
    return SoundPerformance(render_tracks(tracks, random), beats, song.downs, numbers)


def rhythm(kind: str, late: float, random: np.random.Generator) -> SoundPerformance:
    """A "group", a "kit", a "band", a "bass" or an "electric" guitar, starting after `late` seconds."""
    meter = 3 if random.random() < 0.12 else 4
    bpm = np.exp(random.uniform(np.log(66.0), np.log(175.0)))
    count = int((SECONDS + 2.0) * bpm / 60.0) + 8
    begin = late + random.uniform(0.02, 0.5)
    beats = begin + np.concatenate([[0.0], np.cumsum(60.0 / (bpm * curve(count, random)))])
    downs = ((np.arange(len(beats)) + one_of(random, (0, 0, 0, 1, 2, 3))) % meter == 0).astype(np.float64)
    if kind == "kit":
        tracks = [kit(beats, downs, random, meter)]
    else:
        tracks = {"group": group, "band": band, "bass": basses, "electric": electric}[kind](beats, downs, random, meter)
    return SoundPerformance(
        render_tracks(tracks, random, DRY if kind in ("kit", "bass") else ROOMS),
        beats,
        downs,
        OF_THREE if meter == 3 else OF_FOUR,
    )
