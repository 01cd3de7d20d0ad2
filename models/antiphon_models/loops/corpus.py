"""Loops of known tempo, key, bars and family, rendered from random patterns, for fitting, evaluation and tests.

A pattern of drums, bass, chords or melody is a list of notes in beats. The grammars are plain textbook ones: grooves
by step weights, four kinds of accompaniment, phrases of a repeated rhythm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import SHARP_NAMES, UsageError
from antiphon_models.learning import needs
from antiphon_models.material import fluidsynth, table_beside
from antiphon_models.material.composer.genres import DRUM_NOTES
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings, midi_bytes, note_off, note_on, program_change

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
_TABLES = table_beside(__file__)
PROGRESSIONS: dict[str, tuple[tuple[int, ...], ...]] = _TABLES["progressions"]
RHYTHMS: dict[str, tuple[int, ...]] = _TABLES["rhythms"]


def _grooves(table: dict[str, dict[str, str]]) -> dict[str, dict[int, str]]:
    return {name: {DRUM_NOTES[drum]: row for drum, row in groove.items()} for name, groove in table.items()}


GROOVES, SHUFFLES = _grooves(_TABLES["grooves"]), _grooves(_TABLES["shuffles"])
_HATS = (DRUM_NOTES["hat"], DRUM_NOTES["open hat"])
_SNARE, _TOMS = DRUM_NOTES["snare"], [DRUM_NOTES[f"{place} tom"] for place in ("high", "mid", "floor")]


@dataclass(frozen=True, slots=True)
class PatternNote:
    """A note in beats from the loop's start."""

    start: float
    length: float
    pitch: int
    velocity: int


def drums(rng: np.random.Generator, bars: int) -> list[PatternNote]:
    """Groove with fixed hit probabilities and, in half of the loops, a fill in the last bar."""
    shuffle = rng.random() < 0.08
    grooves = SHUFFLES if shuffle else GROOVES
    groove = grooves[str(rng.choice(list(grooves)))]
    steps = 12 if shuffle else 16
    swing = 0.0 if shuffle or rng.random() < 0.7 else float(rng.uniform(0.05, 0.16))
    out: list[PatternNote] = []
    fixed = {
        p: [c == "x" or rng.random() < {"o": 0.7, ".": 0.35}.get(c, 0.0) for c in row] for p, row in groove.items()
    }
    loud = {p: rng.integers(70, 120) for p in groove}
    dropped = str(rng.choice(["", "", "", "hat"]))
    vary, fill = float(rng.choice([0.0, 0.05, 0.1])), rng.random() < 0.5 and bars > 1
    for bar in range(bars):
        for pitch, row in fixed.items():
            if dropped and pitch in _HATS and len(groove) > 2:
                continue
            for step, on in enumerate(row):
                on = bool(on) != (rng.random() < vary and step % 4 != 0)
                if on and not (fill and bar == bars - 1 and step >= steps * 3 // 4):
                    accent = 12 if step % (steps // 4) == 0 else -8 if step % 2 else 0
                    at = 4.0 * step / steps + (swing * 0.5 if steps == 16 and step % 2 else 0.0)
                    out.append(PatternNote(bar * 4 + at, 0.2, pitch, int(np.clip(loud[pitch] + accent, 20, 127))))
        if fill and bar == bars - 1:
            kit = [_SNARE, _SNARE, *_TOMS] if rng.random() < 0.7 else [_SNARE]
            for step in range(12, 16):
                if rng.random() < 0.8:
                    out.append(PatternNote(bar * 4 + step / 4, 0.2, int(rng.choice(kit)), int(rng.integers(80, 120))))
        if bar == 0 and rng.random() < 0.1:
            out.append(PatternNote(0.0, 0.5, DRUM_NOTES["crash"], 100))
    return out


def _chords(rng: np.random.Generator, mode: str, bars: int) -> list[tuple[float, float, int]]:
    """Random chords (start, length, degree) in beats: usually one per bar, sometimes two or a half."""
    rows = PROGRESSIONS[mode]
    row = rows[int(rng.integers(len(rows)))]
    each = float(rng.choice([4.0, 4.0, 4.0, 2.0, 8.0])) if bars > 1 else float(rng.choice([4.0, 2.0, 1.0, 4.0]))
    count = max(1, -int(-bars * 4 // each))
    return [(n * each, min(each, bars * 4 - n * each), row[n % len(row)]) for n in range(count)]


def _pitch(tonic: int, scale: tuple[int, ...], degree: int, base: int) -> int:
    octave, place = divmod(degree, 7)
    return base + (tonic - base) % 12 + 12 * octave + scale[place]


def _onsets(rng: np.random.Generator) -> tuple[int, ...]:
    return RHYTHMS[str(rng.choice(list(RHYTHMS)))]


def bass(rng: np.random.Generator, bars: int, tonic: int, mode: str) -> list[PatternNote]:
    """Roots in a rhythm, with fifths, octaves or a walk."""
    scale, onsets, kind = MAJOR if mode == "major" else MINOR, _onsets(rng), int(rng.integers(4))
    if onsets[0] != 0 and rng.random() < 0.7:
        onsets = (0, *onsets)
    low, gate = int(rng.integers(28, 38)), float(rng.uniform(0.4, 1.0))
    out = []
    for start, length, degree in _chords(rng, mode, bars):
        inside = [(b * 4 + s / 4) for b in range(bars) for s in onsets if start <= b * 4 + s / 4 < start + length]
        for n, at in enumerate(inside or [start]):
            add = 0
            if n and kind == 1:
                add = int(rng.choice([0, 0, 4, 7]))
            elif n and kind == 2:
                add = 7 * (n % 2)
            elif n and kind == 3:
                add = int(rng.choice([1, 2, 3, 4, -1, 2]))
            nearest = min([p for p in inside if p > at], default=start + length)
            pitch = _pitch(tonic, scale, degree + add, low)
            while pitch > 52:
                pitch -= 12
            out.append(PatternNote(at, max(0.1, (nearest - at) * gate), pitch, int(rng.integers(80, 115))))
    return out


def chords(rng: np.random.Generator, bars: int, tonic: int, mode: str) -> list[PatternNote]:
    """Triads or sevenths, as block chords in a rhythm or broken."""
    scale, onsets = MAJOR if mode == "major" else MINOR, _onsets(rng)
    low, gate, size = int(rng.integers(46, 60)), float(rng.uniform(0.4, 1.0)), 4 if rng.random() < 0.25 else 3
    broken = rng.random() < 0.3
    step = float(rng.choice([0.5, 0.25, 1.0]))
    order = [0, 1, 2, 1] if rng.random() < 0.5 else [0, 2, 1, 2, 0, 1] if rng.random() < 0.3 else [0, 1, 2, 3]
    bass_note = rng.random() < 0.3
    out = []
    for start, length, degree in _chords(rng, mode, bars):
        pitches = sorted(low + (_pitch(tonic, scale, degree + 2 * n, low) - low) % 12 for n in range(size))
        speed = int(rng.integers(65, 110))
        if bass_note:
            out.append(PatternNote(start, length * gate, _pitch(tonic, scale, degree, 36), speed))
        if broken:
            pitches.append(pitches[0] + 12)
            for n in range(round(length / step)):
                pitch = pitches[order[n % len(order)] % len(pitches)]
                out.append(
                    PatternNote(start + n * step, step * max(gate, 0.6), pitch, speed + (8 if n % 4 == 0 else 0))
                )
            continue
        inside = [b * 4 + s / 4 for b in range(bars) for s in onsets if start <= b * 4 + s / 4 < start + length]
        for at in inside or [start]:
            nearest = min([p for p in inside if p > at], default=start + length)
            out += [PatternNote(at, max(0.1, (nearest - at) * gate), p, speed) for p in pitches]
    return out


def melody(rng: np.random.Generator, bars: int, tonic: int, mode: str) -> list[PatternNote]:
    """Random walk in the scale over the chords, with a repeated rhythm of a bar or two."""
    scale, low = MAJOR if mode == "major" else MINOR, int(rng.integers(58, 72))
    row = _chords(rng, mode, bars)
    dense = float(rng.uniform(0.25, 0.7))
    weights = np.array([1.0, 0.12, 0.5, 0.12] * 4) if rng.random() < 0.7 else np.array([0.8, 0.4, 0.6, 0.4] * 4)
    rhythms = [
        [s for s in range(16) if rng.random() < dense * weights[s] * 1.3] for _ in range(int(rng.choice([1, 2])))
    ]
    rhythms = [r or [0, 8] for r in rhythms]
    if rng.random() < 0.75:
        rhythms[0] = sorted({0, *rhythms[0]})
    starts = [b * 4 + s / 4 for b in range(bars) for s in rhythms[b % len(rhythms)]]
    degree, out = int(rng.choice([0, 0, 0, 2, 4])), []
    home = rng.random() < 0.6
    for n, at in enumerate(starts):
        chord = next(d for s, length, d in row if s <= at < s + length)
        strong = at % 1.0 == 0.0
        degree = int(np.clip(degree + (rng.integers(-2, 3) if n else 0), -3, 10))
        if home and n == len(starts) - 1:
            degree = min((-7, 0, 7), key=lambda d: abs(d - degree))
        elif strong and n and rng.random() < 0.65:
            degree = min((chord + k for k in (-7, -5, -3, 0, 2, 4, 7, 9)), key=lambda d: abs(d - degree))
        nearest = starts[n + 1] if n + 1 < len(starts) else bars * 4
        length = min(nearest - at, float(rng.uniform(0.3, 2.0)))
        out.append(
            PatternNote(
                at,
                max(0.1, length),
                int(np.clip(_pitch(tonic, scale, degree, low), 40, 100)),
                int(rng.integers(70, 115)),
            )
        )
    return out


TICKS = 9600
"""Ticks per second: finer than a sample at 9.6 kHz, to keep timing deviations of some ms."""
FITTING_FONTS = {"fluidr3": FLUID, "timgm6mb": TIM}
"""Soundfonts for fitting the tables of the analysis."""
EVALUATION_FONTS = {"opl3": FLUID.with_name("OPL-3_FM_128M.sf2"), "csound": FLUID.with_name("sf_GMbank.sf2")}
"""Soundfonts for evaluation only; csound's bank is a relative of TimGM6mb."""
DRUMS = 9


def missing_renderer_reason() -> str:
    """Reason why loops cannot be rendered here; "" if they can."""
    missing = fluidsynth.missing((*FITTING_FONTS.values(), *EVALUATION_FONTS.values()))
    if not missing:
        return ""
    return f"{missing[0]} is not installed"


def check_fonts() -> None:
    """Checks that loops can be rendered here. Raises `UsageError`: FluidSynth or a soundfont is missing."""
    if missing := missing_renderer_reason():
        packages = f"{needs.PACKAGES['fluidsynth']} opl3-soundfont csound-soundfont"
        raise UsageError(f"loops are rendered by FluidSynth: {missing}; sudo apt-get install {packages}")


def play(data: bytes, soundfont: str, rate: int, reverb: bool = True) -> NDArray[np.float32]:
    """Renders a MIDI file with FluidSynth, float32 `[2, frames]`."""
    settings = FluidSettings(gain=0.5, reverb=reverb, chorus=reverb)
    return np.ascontiguousarray(fluidsynth.play(data, (FITTING_FONTS | EVALUATION_FONTS)[soundfont], rate, settings).T)


RATE = 44100
KITS = (0, 8, 16, 24, 25, 32, 40)
BASSES = (32, 33, 34, 35, 36, 37, 38, 39)
CHORDS: tuple[int, ...] = (0, 1, 2, 4, 5, 6, 7, 11, 16, 17, 18, 19, 24, 25, 26)
CHORDS += (27, 46, 48, 49, 50, 51, 61, 62, 63, 81, 88, 89, 90, 91, 95)
MELODIES: tuple[int, ...] = (0, 4, 5, 9, 11, 12, 13, 21, 24, 25, 28, 29, 40, 42, 45, 56)
MELODIES += (60, 64, 66, 68, 71, 73, 74, 75, 79, 80, 81, 82, 104, 105, 107, 108)
_GAP = 3.0


@dataclass(frozen=True, slots=True)
class KnownLoop:
    """Loop with its truth. samples: float32 `[2, frames]` at `RATE`.  key: "A minor" or None.  kind: its part."""

    samples: NDArray[np.float32]
    bpm: float
    bars: int
    key: str | None
    kind: str

    @property
    def family(self) -> str:
        return self.kind if self.kind in ("drums", "bass") else "harmonic"


@dataclass(frozen=True, slots=True)
class LoopScore:
    """Notes of a loop, in beats from its start, quantised or as played."""

    bpm: float
    bars: int
    key: str | None
    kind: str
    program: int
    notes: list[PatternNote]


def _score(rng: np.random.Generator, kind: str) -> LoopScore:
    bpm = round(float(rng.uniform(60, 180)), 1 if rng.random() < 0.2 else 0)
    bars = int(rng.choice([1, 2, 4, 8, 3, 6, 5, 7], p=[0.2, 0.27, 0.29, 0.14, 0.04, 0.04, 0.01, 0.01]))
    if kind == "drums":
        return LoopScore(bpm, bars, None, kind, int(rng.choice(KITS)), drums(rng, bars))
    tonic, mode = int(rng.integers(12)), str(rng.choice(["major", "minor"]))
    make = {"bass": bass, "chords": chords, "melody": melody}[kind]
    programs = {"bass": BASSES, "chords": CHORDS, "melody": MELODIES}[kind]
    notes = make(rng, bars, tonic, mode)
    return LoopScore(bpm, bars, f"{SHARP_NAMES[tonic]} {mode}", kind, int(rng.choice(programs)), notes)


def render_loops(count: int, soundfont: str, seed: int) -> Iterator[KnownLoop]:
    """Renders `count` loops, cycling through the kinds, cut at the last bar line."""
    rng = np.random.default_rng(seed)
    kinds = ("drums", "bass", "chords", "melody", "drums", "chords")
    for first in range(0, count, 48):
        scores = [_score(rng, kinds[n % len(kinds)]) for n in range(first, min(count, first + 48))]
        yield from render_together(scores, soundfont, rng)


def render_together(
    scores: Sequence[LoopScore], soundfont: str, rng: np.random.Generator, rate: int = RATE
) -> Iterator[KnownLoop]:
    """Renders scores in one pass at `rate` Hz, with random timing deviations of some ms."""
    reverb = bool(rng.random() < 0.6)
    events: list[tuple[float, int, bytes]] = []
    starts: list[float] = []
    at = 1.0
    for score in scores:
        beat, channel = 60.0 / score.bpm, DRUMS if score.kind == "drums" else 0
        starts.append(at)
        events.append((at - 0.5, 1, program_change(channel, score.program)))
        early = float(rng.choice([0.0, 0.004, 0.008]))
        for n in score.notes:
            start = max(0.0, n.start * beat + float(rng.normal(0, 1)) * early)
            length = min(n.length * beat, score.bars * 4 * beat - start)
            if length > 0:
                events.append((at + start, 2, note_on(channel, n.pitch, min(127, n.velocity))))
                events.append((at + start + length, 0, note_off(channel, n.pitch)))
        at += score.bars * 4 * beat + _GAP
    # at equal times what ends comes first, and what begins last
    events.sort(key=lambda event: (round(event[0] * TICKS), event[1]))
    score_bytes = midi_bytes([(round(seconds * TICKS), data) for seconds, _, data in events], TICKS)
    sound = play(score_bytes, soundfont, rate, reverb)
    for score, start in zip(scores, starts, strict=True):
        from_, frames = round(start * rate), round(score.bars * 240.0 / score.bpm * rate)
        piece = sound[:, from_ : from_ + frames]
        if piece.shape[1] < frames:
            piece = np.pad(piece, ((0, 0), (0, frames - piece.shape[1])))
        yield KnownLoop(np.ascontiguousarray(piece), score.bpm, score.bars, score.key, score.kind)
