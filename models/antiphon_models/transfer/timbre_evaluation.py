"""`antiphon evaluate timbre`: a sung melody by the learned instruments, beside the same notes by a soundfont."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from antiphon.api import F32, StreamSpec
from antiphon.api.backends.files import AudioWriter
from antiphon.api.backends.rendering import load_plugins
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Example, MetricValue, scored
from antiphon_models.learning.user_commands import run_on_sound
from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change
from antiphon_models.material.singing import PERIOD, LyricNote, Singer, singing
from antiphon_models.material.sounds import of_length
from antiphon_models.material.styles import manner
from antiphon_models.transfer.measures import log_spectral, normalised, onset_likeness, timbre_distance
from antiphon_models.transfer.solos import INSTRUMENTS, RATE

COUNT = 12
NEAR = 20.0
"""Cents."""
VOICES = {48: "en-us+m2", 60: "en+f3"}
"""Voices by their lowest note."""
FONTS = {"FluidR3": FLUID, "TimGM6mb, never trained on": TIM}


def tune(low: int, rng: np.random.Generator) -> list[LyricNote]:
    """Melody of some ten seconds in steps and small leaps above `low`."""
    notes, now, degree = [], 0.3, int(rng.integers(2, 8))
    for _ in range(18):
        length = float(rng.choice([0.3, 0.5, 0.9]))
        degree = min(11, max(0, degree + int(rng.integers(-3, 4))))
        pitch = low + 12 * (degree // 7) + (0, 2, 4, 5, 7, 9, 11)[degree % 7]
        notes.append(LyricNote(now, now + length * 0.95, pitch, float(rng.uniform(0.4, 1.0))))
        now += length + float(rng.choice([0.0, 0.3], p=[0.85, 0.15]))
    return notes


def play_notes(notes: list[LyricNote], program: int, font: Path, frames: int) -> F32:
    """The notes by a program of a soundfont, mono."""
    events = [(0, program_change(0, program))]
    for note in notes:
        events.append((round(note.start * TICKS) + 1, note_on(0, note.pitch, round(127 * note.velocity))))
        events.append((round(note.end * TICKS), note_off(0, note.pitch)))
    score = midi_bytes(sorted(events, key=lambda event: event[0]))
    sound = fluidsynth.play(score, font, RATE, FluidSettings(gain=0.8, reverb=False, chorus=False)).mean(axis=1)
    return of_length(sound, frames)


class Timbres(Evaluation):
    """Melodies sung by espeak-ng's voices with WORLD, as input of an instrument."""

    trivial = "the voice"
    ours = "instrument; envelope"
    oracle = "exact"
    columns = "cents [%]; voiced [%]; lsd ↓; timbre ↓; onsets; latency [ms] ↓"
    note = (
        "cents: share of frames within 20 cents of what was sung, by swift-f0, where both have a pitch; voiced: of the "
        "frames sung with a pitch, those that have one. lsd, timbre: distances to the same notes by the instrument of "
        "a soundfont, as a part of the voice's. The measures are our own."
    )
    road = "`antiphon run transfer IN OUT -p mode=instrument -p instrument=NAME`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Scores of each item by each soundfont; pitch and latency in the first group alone."""
        if find_spec("swift_f0") is None:
            ask.say("swift-f0 is not installed: pitch is left out (pip install antiphon-lab[bench])")
        distances: dict[tuple[str, str, str], list[tuple[str, float]]] = defaultdict(list)
        first = next(iter(FONTS))
        for item, notes, sounds, pitch in _items(ask):
            exact = {
                group: play_notes(notes, INSTRUMENTS[item.split()[0]][0], font, len(pitch))
                for group, font in FONTS.items()
            }
            for name in ("the voice", "instrument", "envelope", "exact"):
                for group, target in exact.items():
                    output = target if name == "exact" else sounds[name]
                    row = _row(output, sounds["the voice"], target)
                    for key in ("lsd", "timbre"):
                        distances[group, name, key].append((item, row.pop(key)))
                    if group == first:
                        row |= _pitch(output, pitch)
                        if name == "instrument":
                            row["latency"] = _latency()
                    if ask.wants(name):
                        yield from scored(name, item, row, group)
        for (group, name, key), values in distances.items():
            base = float(np.mean([value for _, value in distances[group, "the voice", key]]))
            for item, value in values:
                if ask.wants(name):
                    yield MetricValue(name, key, item, value / base, group)

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        for item, _, sounds, _ in _items(ask):
            for name, sound in sounds.items():
                yield Example(item, name, sound, RATE)


def _items(ask: EvaluationRequest) -> Iterator[tuple[str, list[LyricNote], dict[str, F32], F32]]:
    """Name, notes, the voice and our outputs, and MIDI numbers at the sound's rate, 0 unvoiced."""
    for n in range(ask.limit or COUNT):
        rng = np.random.default_rng((ask.seed, 71, n))
        name = sorted(INSTRUMENTS)[n % len(INSTRUMENTS)]
        program, low, _ = INSTRUMENTS[name]
        bottom = max(48, low) if low < 55 else 60
        voice = VOICES[48 if bottom < 55 else 60]
        notes = tune(bottom, rng)
        sound, hertz = singing(notes, Singer(voice), manner(rng), int(rng.integers(1 << 30)), RATE)
        sound = np.ascontiguousarray(sound, np.float32)
        places = np.minimum((np.arange(len(sound)) / RATE * 1000 / PERIOD).astype(int), len(hertz) - 1)
        pitch = np.where(hertz[places] > 0, 69 + 12 * np.log2(np.maximum(hertz[places], 1.0) / 440.0), 0.0)
        sounds = {"the voice": sound}
        if ask.wants("instrument"):
            sounds["instrument"] = run_on_sound("transfer", sound, RATE, {"mode": "instrument", "instrument": name})
        if ask.wants("envelope"):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "reference.wav"
                with AudioWriter(path, RATE, 1, "PCM_16") as writer:
                    writer.write(play_notes(tune(bottom, rng), program, FLUID, 10 * RATE)[None])
                sounds["envelope"] = run_on_sound("transfer", sound, RATE, {"reference": path})
        yield f"{name} {n // len(INSTRUMENTS) + 1}", notes, sounds, pitch.astype(np.float32)


def _row(output: F32, voice: F32, target: F32) -> dict[str, float]:
    y, v, t = (normalised(x, RATE) for x in (output, voice, target))
    return {"lsd": log_spectral(y, t), "timbre": timbre_distance(y, t), "onsets": onset_likeness(y, v)}


def _pitch(output: F32, pitch: F32) -> dict[str, float]:
    """Percentages of frames in tune, and of frames with a pitch."""
    if find_spec("swift_f0") is None:
        return {}
    import soxr
    from swift_f0 import SwiftF0

    x = soxr.resample(output / max(1e-6, float(np.abs(output).max())) * 0.8, RATE, 16000).astype(np.float32)
    found = SwiftF0().detect(x, 16000)
    wanted = pitch[np.minimum((np.asarray(found.timestamps) * RATE).astype(int), len(pitch) - 1)]
    sure, sung = np.asarray(found.confidence) > 0.5, wanted > 0
    hertz = np.maximum(np.asarray(found.pitch_hz), 1.0)
    cents = np.abs(100.0 * (69.0 + 12.0 * np.log2(hertz / 440.0) - wanted))[sure & sung]
    voiced = 100.0 * float((sure & sung).sum()) / max(1, int(sung.sum()))
    return {"cents": 100.0 * float((cents < NEAR).mean()) if len(cents) else 0.0, "voiced": voiced}


def _latency() -> float:
    """Reported latency of the node in ms at 48 kHz."""
    processor = load_plugins(check=False).make("transfer")
    processor.settings = {**processor.settings, "mode": "instrument"}
    processor.prepare(StreamSpec(48000, 256, 1))
    return 1000.0 * processor.latency / 48000
