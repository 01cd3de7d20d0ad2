"""`antiphon evaluate latent`: compares generated notes with real ones, copies and a Gaussian."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, Event, StreamSpec, UsageError
from antiphon.api.backends.files import make_folder
from antiphon.api.backends.runtime import require_modules
from antiphon.testing import render
from antiphon_latent.decoder import AXES, CONDITIONS, FRAMES, ROW, PartialDecoder, conditions, hz_of, load
from antiphon_latent.processor import NAMES, Latent
from antiphon_latent.voices import TICK, LatentVoices
from antiphon_models.latent.material import PROGRAMS, RATE as SOUND_RATE, Notes, measure_font_notes, sounds
from antiphon_models.latent.pca import components
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Example, MetricValue
from antiphon_models.material.fluidsynth import FLUID, TIM, missing

RATE, SECONDS = 16000, 1.2
COUNT = 32
"""Default number of notes."""
KEYS, VELOCITIES = (36, 48, 60, 72, 84), (70, 110)
EVALUATED_PITCHES = (36, 79)
"""Pitches of the evaluated notes."""
COMPONENTS = 32
"""Components of the Gaussian."""
CENTS_TOLERANCE = 30.0
"""Pitch tolerance in cents."""
_COPY, _GAUSSIAN, _PCA, _FONT = "nearest sample", "PCA-Gaussian", "pca", "FluidR3"


class LatentTimbres(Evaluation):
    """Measures random notes, and notes of an unseen soundfont searched in the space."""

    trivial = _COPY
    classical = _GAUSSIAN
    ours = _PCA
    oracle = _FONT
    columns = "pitch; LSD [dB] ↓"
    note = (
        "pitch: notes within 30 cents by swift-f0; LSD: what is left between a note of TimGM6mb and the nearest that a "
        "system can play."
    )
    road = "the node `latent`, at places drawn at random; LSD by the search of `like`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        if absent := missing():
            raise UsageError(f"{', '.join(absent)} is not on this machine, and plays what is compared; install it")
        require_modules("the evaluation latent", ("swift_f0",))
        count = ask.limit or COUNT
        folder = make_folder(ask.work / "latent")
        learned, held = measure_font_notes(folder, ask.say), measure_font_notes(folder, ask.say, TIM, KEYS, VELOCITIES)
        rng = np.random.default_rng(ask.seed)
        programs, pitch = rng.choice(list(PROGRAMS), count), rng.integers(*EVALUATED_PITCHES, count)
        velocity = rng.choice([70, 100, 120], count) / 127.0
        ways = _note_generators(ask, learned, programs)
        for name, way in ask.select(ways).items():
            ask.say(name)
            made, rate = way(pitch, velocity)
            made = _at(made, rate)
            for n, hit in enumerate(_in_tune(made, pitch)):
                yield MetricValue(name, "pitch", f"{n}", hit)
        few = rng.choice(len(held.pitch), min(count, len(held.pitch)), replace=False)
        for name in ask.select(dict.fromkeys((_PCA, _COPY, _GAUSSIAN))):
            for n in few:
                yield MetricValue(name, "LSD", f"note {n}", _left(name, held, int(n), learned))

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        rng = np.random.default_rng(ask.seed)
        count = ask.limit or 4
        pitch, velocity = rng.integers(*EVALUATED_PITCHES, count), np.full(count, 0.8)
        if ask.wants(_PCA):
            made, rate = draw_notes(ask.seed)(pitch, velocity)
            yield from (Example(f"note {n}", _PCA, row, rate) for n, row in enumerate(made))


def _note_generators(
    ask: EvaluationRequest, learned: Notes, programs: NDArray[Any]
) -> dict[str, Callable[[NDArray[Any], NDArray[Any]], tuple[F32, int]]]:
    """Generator of notes by pitch and velocity for each system, with its rate."""
    rng = np.random.default_rng(ask.seed + 1)

    def copies(pitch: NDArray[Any], velocity: NDArray[Any]) -> tuple[F32, int]:
        rows = []
        for p, v in zip(pitch, velocity, strict=True):
            near = np.abs(learned.pitch - p) + 4.0 * np.abs(learned.velocity - v)
            n = rng.choice(np.flatnonzero(near < near.min() + 0.5))
            rows.append(render_note(learned.level[n].astype(np.float32), float(p)))
        return np.array(rows), SOUND_RATE

    def gaussian_notes(pitch: NDArray[Any], velocity: NDArray[Any]) -> tuple[F32, int]:
        lines, basis, _ = _wide(learned)
        told = np.concatenate([np.ones((len(pitch), 1)), conditions(pitch, velocity)], axis=1)
        level = told @ lines + rng.standard_normal((len(pitch), len(basis))) @ basis
        rows = [
            render_note(x.reshape(FRAMES, ROW).astype(np.float32), float(p)) for x, p in zip(level, pitch, strict=True)
        ]
        return np.array(rows), SOUND_RATE

    return {
        _COPY: copies,
        _GAUSSIAN: gaussian_notes,
        _PCA: draw_notes(ask.seed),
        _FONT: lambda pitch, velocity: (_real(FLUID, programs, pitch, velocity), RATE),
    }


_components: dict[int, Any] = {}


def _wide(learned: Notes) -> Any:
    if not _components:
        _components[0] = components(learned, COMPONENTS)
    return _components[0]


def draw_notes(seed: int) -> Callable[[NDArray[Any], NDArray[Any]], tuple[F32, int]]:
    """Returns a generator of the node's notes at normally distributed positions."""

    def play(pitch: NDArray[Any], velocity: NDArray[Any]) -> tuple[F32, int]:
        rng, rows = np.random.default_rng(seed + 2), []
        silence = np.zeros((1, round(SECONDS * SOUND_RATE)), np.float32)
        for p, v in zip(pitch, velocity, strict=True):
            place = np.clip(rng.standard_normal(AXES), -3.0, 3.0)
            values: dict[str, Any] = {name: float(z) for name, z in zip(NAMES, place, strict=True)}
            notes = [Event("on", 0, int(p), float(v))]
            rows.append(render(Latent(), StreamSpec(SOUND_RATE, 256, 1), silence, values, notes=notes).audio[0][0])
        return np.array(rows), SOUND_RATE

    return play


def render_note(level: F32, pitch: float) -> F32:
    """Renders a note from partial levels with the node's voices."""
    arrays: dict[str, Any] = {"axes": np.eye(AXES), "rows": np.zeros((FRAMES, ROW, AXES + CONDITIONS)), "base": level}
    voices, out = LatentVoices(PartialDecoder(arrays), SOUND_RATE), np.zeros(round(SECONDS * SOUND_RATE), np.float32)
    row = voices.begin((1, 1), pitch, 0.8, 1.0, 0.0)
    for at in range(0, len(out), TICK):
        count = min(TICK, len(out) - at)
        voices.set_targets(row, np.zeros(AXES, np.float32), count)
        voices.play(out, at, count)
    return out


def _real(font: Path, programs: NDArray[Any], pitch: NDArray[Any], velocity: NDArray[Any]) -> F32:
    rows = []
    for program, p, v in zip(programs, pitch, velocity, strict=True):
        row = sounds(font, int(program), (int(p),), (round(float(v) * 127),))[0]
        rows.append(row[: round(SECONDS * SOUND_RATE)])
    return _at(np.array(rows), SOUND_RATE)


def _at(rows: F32, rate: int) -> F32:
    import soxr

    frames = round(SECONDS * RATE)
    low = [np.pad(soxr.resample(row, rate, RATE), (0, frames))[:frames] for row in rows]
    return np.array(low, np.float32)


def _in_tune(made: F32, pitch: NDArray[Any]) -> Iterator[float]:
    """Whether the median pitch of a note's confident frames is within `CENTS_TOLERANCE`; False without such frames."""
    from swift_f0 import SwiftF0

    tracker = SwiftF0()
    for sound, number in zip(made, pitch, strict=True):
        found = tracker.detect(sound / max(1e-6, float(np.abs(sound).max())) * 0.8, RATE)
        hz = np.asarray(found.pitch_hz)[np.asarray(found.confidence) > 0.5]
        hit = len(hz) > 0 and abs(1200.0 * np.log2(float(np.median(hz)) / hz_of(float(number)))) < CENTS_TOLERANCE
        yield float(hit)


def _left(name: str, held: Notes, n: int, learned: Notes) -> float:
    """LSD between a held-out note and the nearest note of a system."""
    level, there, pitch = held.level[n].astype(np.float32), held.there[n], float(held.pitch[n])
    if name == _COPY:
        near = np.abs(learned.pitch - pitch)
        rows = learned.level[near < near.min() + 0.5].astype(np.float32)
        return min(lsd(row, level, there) for row in rows)
    if name == _GAUSSIAN:
        lines, basis, _ = _wide(learned)
        told = np.concatenate([[1.0], conditions(np.array([pitch]), held.velocity[n : n + 1])[0]])
        mean, seen = told @ lines, there.reshape(-1)
        part = basis[:, seen]
        weights = np.linalg.solve(part @ part.T + np.eye(len(part)), part @ (level.reshape(-1) - mean)[seen])
        return lsd((mean + weights @ basis).reshape(FRAMES, ROW), level, there)
    decoder = load("")
    place, _ = decoder.find(level, there, pitch, float(held.velocity[n]))
    made = decoder.notes(place[None], np.array([pitch]), held.velocity[n : n + 1])[0]
    return lsd(made, level, there)


def lsd(one: NDArray[Any], other: NDArray[Any], there: NDArray[np.bool_]) -> float:
    """Log-spectral distance: mean over frames of the RMS difference in dB."""
    apart = np.where(there, np.maximum(one, -80.0) - np.maximum(other, -80.0), 0.0) ** 2
    rows = there.any(axis=1)
    return float(np.sqrt(apart[rows].sum(axis=1) / there[rows].sum(axis=1)).mean())
