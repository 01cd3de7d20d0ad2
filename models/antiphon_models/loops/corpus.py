"""Loops of known tempo, key, bars and family, rendered from `patterns`, for fitting, evaluation and tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from antiphon.api import SHARP_NAMES, UsageError
from antiphon_models.learning import needs
from antiphon_models.loops import patterns
from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings, midi_bytes, note_off, note_on, program_change

TICKS = 9600
"""Ticks per second: finer than a sample at 9.6 kHz, to keep timing deviations of some ms."""
FITTING_FONTS = {"fluidr3": FLUID, "timgm6mb": TIM}
"""Soundfonts for fitting the tables of the analysis."""
EVALUATION_FONTS = {"opl3": FLUID.with_name("OPL-3_FM_128M.sf2"), "csound": FLUID.with_name("sf_GMbank.sf2")}
"""Soundfonts for evaluation only; csound's bank is a relative of TimGM6mb."""
DRUMS = 9


@dataclass(frozen=True, slots=True)
class TimedMidiNote:
    """A note. start, length: seconds.  pitch: 0 to 127.  velocity: 1 to 127.  channel: 0 to 15."""

    start: float
    length: float
    pitch: int
    velocity: int
    channel: int


@dataclass(frozen=True, slots=True)
class Program:
    """Program change at `start` seconds of `channel` to General MIDI program 0 to 127 (on channel 9, a drum kit)."""

    start: float
    channel: int
    program: int


def midi(notes: Sequence[TimedMidiNote], programs: Sequence[Program] = ()) -> bytes:
    """A one-track MIDI file; at equal times note-offs come first and note-ons last."""
    events = [(p.start, 1, program_change(p.channel, p.program)) for p in programs]
    for note in notes:
        events.append((note.start, 2, note_on(note.channel, note.pitch, note.velocity)))
        events.append((note.start + note.length, 0, note_off(note.channel, note.pitch)))
    ordered = sorted(events, key=lambda e: (round(e[0] * TICKS), e[1]))
    return midi_bytes([(round(seconds * TICKS), data) for seconds, _, data in ordered], TICKS)


def why_not() -> str:
    """Reason why rendering is impossible here; "" if it is possible."""
    missing = fluidsynth.missing((*FITTING_FONTS.values(), *EVALUATION_FONTS.values()))
    if not missing:
        return ""
    return f"{missing[0]} is not installed"


def check_fonts() -> None:
    """Checks that loops can be rendered here. Raises `UsageError`: FluidSynth or a soundfont is missing."""
    if missing := why_not():
        packages = f"{needs.PACKAGES['fluidsynth']} opl3-soundfont csound-soundfont"
        raise UsageError(f"loops are rendered by FluidSynth: {missing}; sudo apt-get install {packages}")


def play(data: bytes, soundfont: str, rate: int, reverb: bool = True) -> NDArray[np.float32]:
    """FluidSynth's rendering of a MIDI file, float32 `[2, frames]`."""
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
    """Score of a loop. notes: in beats from its start, quantised or as played."""

    bpm: float
    bars: int
    key: str | None
    kind: str
    program: int
    notes: list[patterns.PatternNote]


def _score(rng: np.random.Generator, kind: str) -> LoopScore:
    bpm = round(float(rng.uniform(60, 180)), 1 if rng.random() < 0.2 else 0)
    bars = int(rng.choice([1, 2, 4, 8, 3, 6, 5, 7], p=[0.2, 0.27, 0.29, 0.14, 0.04, 0.04, 0.01, 0.01]))
    if kind == "drums":
        return LoopScore(bpm, bars, None, kind, int(rng.choice(KITS)), patterns.drums(rng, bars))
    tonic, mode = int(rng.integers(12)), str(rng.choice(["major", "minor"]))
    make = {"bass": patterns.bass, "chords": patterns.chords, "melody": patterns.melody}[kind]
    programs = {"bass": BASSES, "chords": CHORDS, "melody": MELODIES}[kind]
    notes = make(rng, bars, tonic, mode)
    return LoopScore(bpm, bars, f"{SHARP_NAMES[tonic]} {mode}", kind, int(rng.choice(programs)), notes)


def render_loops(count: int, soundfont: str, seed: int) -> Iterator[KnownLoop]:
    """`count` rendered loops, kinds in turn, cut at the last bar line."""
    rng = np.random.default_rng(seed)
    kinds = ("drums", "bass", "chords", "melody", "drums", "chords")
    for first in range(0, count, 48):
        scores = [_score(rng, kinds[n % len(kinds)]) for n in range(first, min(count, first + 48))]
        yield from render_together(scores, soundfont, rng)


def render_together(
    scores: Sequence[LoopScore], soundfont: str, rng: np.random.Generator, rate: int = RATE
) -> Iterator[KnownLoop]:
    """Scores rendered in one pass at `rate` Hz, with random timing of some ms."""
    reverb = bool(rng.random() < 0.6)
    notes: list[TimedMidiNote] = []
    programs: list[Program] = []
    starts: list[float] = []
    at = 1.0
    for score in scores:
        beat, channel = 60.0 / score.bpm, DRUMS if score.kind == "drums" else 0
        starts.append(at)
        programs.append(Program(at - 0.5, channel, score.program))
        early = float(rng.choice([0.0, 0.004, 0.008]))
        for n in score.notes:
            start = max(0.0, n.start * beat + float(rng.normal(0, 1)) * early)
            length = min(n.length * beat, score.bars * 4 * beat - start)
            if length > 0:
                notes.append(TimedMidiNote(at + start, length, n.pitch, min(127, n.velocity), channel))
        at += score.bars * 4 * beat + _GAP
    sound = play(midi(notes, programs), soundfont, rate, reverb)
    for score, start in zip(scores, starts, strict=True):
        from_, frames = round(start * rate), round(score.bars * 240.0 / score.bpm * rate)
        piece = sound[:, from_ : from_ + frames]
        if piece.shape[1] < frames:
            piece = np.pad(piece, ((0, 0), (0, frames - piece.shape[1])))
        yield KnownLoop(np.ascontiguousarray(piece), score.bpm, score.bars, score.key, score.kind)
