"""`antiphon evaluate character`: of two pieces that differ in one thing, which has more of a measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from antiphon.api import F32, F64
from antiphon_classify.character.analysis import RATE
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue
from antiphon_models.learning.user_commands import analysis_of
from antiphon_models.material.espeak import speech

PAIRS = 24
"""Of each question, unless `--limit` says otherwise."""
SECONDS = 15.0
_FRAME = 2048
_VOICES = ("en-us+m3", "en-us+f2", "en-gb+m7")
_STEPS = 8
"""Of a bar of four beats."""
_MAJOR, _MINOR = (0, 4, 7), (0, 3, 7)
_DEGREES = {
    "major": ((0, _MAJOR), (9, _MINOR), (5, _MAJOR), (7, _MAJOR)),
    "minor": ((0, _MINOR), (8, _MAJOR), (5, _MINOR), (7, _MINOR)),
}
"""Semitones from the tonic and triads of four bars: I vi IV V, and i VI iv v."""


@dataclass(frozen=True, slots=True)
class PieceOptions:
    """Attributes of a synthetic piece.

    Attributes:
        seed: Random seed of pitch, timbre and small variations.
        tempo: bpm.
        drums: Whether it has kick, snare and hi-hat.
        jitter: Standard deviation of each onset, in beats.
        density: Share of the eighths that have a note of melody.
        mode: "major" or "minor".
        level: dB, beside -20 dB.
        harmonics: Of each note: more is brighter.
        attack: Seconds.
        noise: dB that noise is below it.
        drive: Gain into a tanh, 0 for none.
        spoken: Whether it is a synthetic voice in place of music.
    """

    seed: int
    tempo: float = 112.0
    drums: bool = True
    jitter: float = 0.0
    density: float = 0.5
    mode: str = "major"
    level: float = 0.0
    harmonics: int = 5
    attack: float = 0.01
    noise: float = 30.0
    drive: float = 0.0
    spoken: bool = False


def piece(options: PieceOptions) -> F32:
    """A piece of chords, melody and drums over noise 30 dB below, mono at `RATE`, `SECONDS` long, its RMS -20 dB."""
    rng, time_rng = np.random.default_rng(options.seed), np.random.default_rng(options.seed + 1)
    out = np.zeros(round((SECONDS + 4.0) * RATE))
    beat = 60.0 / options.tempo
    tonic = 48 + int(rng.integers(0, 12))
    degrees = _DEGREES[options.mode]
    if options.spoken:
        out = _voice(options)
    for step in range(0 if options.spoken else int(SECONDS / beat * 2)):
        bar, place = divmod(step, _STEPS)
        root, triad = degrees[bar % 4]
        time = max(0.0, step * beat / 2 + options.jitter * beat * float(time_rng.normal()))
        if place in (0, 4):
            for note in triad:
                _add(out, time, _note(tonic + root + note, 2 * beat, options, 0.08))
        # both draws always, so that two pieces of one seed differ in nothing else
        chance, degree = rng.random(), triad[rng.integers(0, 3)]
        if chance < options.density:
            _add(out, time, _note(tonic + 12 + root + degree, 0.5 * beat, options, 0.1))
        if options.drums:
            _add(out, time, 0.05 * _hit(0.02, rng))
            if place in (2, 6):
                _add(out, time, 0.25 * _hit(0.06, rng))
            if place in (0, 4):
                _add(out, time, 0.5 * _kick())
    out = out[: round(SECONDS * RATE)]
    out += 10.0 ** (-options.noise / 20.0) * float(out.std()) * rng.normal(size=len(out))
    if options.drive:
        out = np.tanh(options.drive * out / out.std())
    return np.asarray(out / out.std() * 10.0 ** ((options.level - 20.0) / 20.0), np.float32)


def _voice(options: PieceOptions) -> F64:
    """Numbers that espeak-ng says, `SECONDS` of them."""
    import soxr

    rng, parts = np.random.default_rng(options.seed), [np.zeros(0)]
    while sum(map(len, parts)) < SECONDS * RATE:
        words = ", ".join(str(number) for number in rng.integers(0, 1000, 8))
        sound, rate = speech(words, str(rng.choice(_VOICES)), int(rng.integers(120, 200)), int(rng.integers(30, 70)))
        parts.append(np.asarray(soxr.resample(sound, rate, RATE), np.float64))
    return np.concatenate(parts)


def _note(number: int, length: float, options: PieceOptions, gain: float) -> F64:
    time = np.arange(round(length * 1.2 * RATE)) / RATE
    hertz = 440.0 * 2.0 ** ((number - 69) / 12.0)
    wave = sum(
        np.sin(2 * np.pi * n * hertz * time) / n for n in range(1, options.harmonics + 1) if n * hertz < RATE / 2
    )
    shape = np.minimum(1.0, time / options.attack) * np.exp(-time / length)
    return np.asarray(gain * wave * shape * np.minimum(1.0, (time[-1] - time) / 0.02))


def _kick() -> F64:
    time = np.arange(round(0.2 * RATE)) / RATE
    return np.asarray(np.sin(2 * np.pi * (50.0 * time + 4.0 * (1.0 - np.exp(-time / 0.03)))) * np.exp(-time / 0.06))


def _hit(decay: float, rng: np.random.Generator) -> F64:
    time = np.arange(round(0.2 * RATE)) / RATE
    return np.asarray(rng.normal(size=len(time)) * np.exp(-time / decay))


def _add(out: F64, time: float, sound: F64) -> None:
    start = round(time * RATE)
    part = sound[: max(0, len(out) - start)]
    out[start : start + len(part)] += part


Pair = Callable[[PieceOptions], tuple[PieceOptions, PieceOptions]]
QUESTIONS: dict[str, tuple[str, Pair]] = {
    "danceability: drums": ("danceability", lambda o: (o, replace(o, drums=False, attack=0.2))),
    "danceability: regular": ("danceability", lambda o: (o, replace(o, jitter=0.12))),
    "danceability: regular, no drums": (
        "danceability",
        lambda o: (replace(o, drums=False), replace(o, drums=False, jitter=0.12)),
    ),
    "energy: level": ("energy", lambda o: (o, replace(o, level=o.level - 9.0))),
    "energy: density": ("energy", lambda o: (replace(o, density=1.0), replace(o, density=0.15))),
    "energy: drums": ("energy", lambda o: (o, replace(o, drums=False))),
    "arousal: tempo": ("arousal", lambda o: (replace(o, tempo=1.3 * o.tempo), replace(o, tempo=0.7 * o.tempo))),
    "arousal: brightness": (
        "arousal",
        lambda o: (replace(o, harmonics=10, drums=False), replace(o, harmonics=2, drums=False)),
    ),
    "valence: mode": ("valence", lambda o: (o, replace(o, mode="minor", seed=o.seed + 1))),
    "valence: mode, no drums": (
        "valence",
        lambda o: (replace(o, drums=False), replace(o, drums=False, mode="minor", seed=o.seed + 1)),
    ),
    "liveness: noise": ("liveness", lambda o: (replace(o, noise=12.0), o)),
    "acousticness: drive": ("acousticness", lambda o: (o, replace(o, drive=2.0))),
    "speechiness: voice": ("speechiness", lambda o: (replace(o, spoken=True), o)),
    "instrumentalness: voice": ("instrumentalness", lambda o: (o, replace(o, spoken=True))),
}
"""By name the quantity and two pieces, of which the first has more by how they are made."""


class CharacterEvaluation(Evaluation):
    """Pairs of pieces made by seed, alike but for one thing."""

    trivial = "level; centroid"
    classical = "exponent"
    ours = "character"
    columns = "; ".join(QUESTIONS)
    note = (
        "Shares of pairs whose first piece has more; by chance .5; both have one RMS, but for level. "
        "level: RMS in tenths of dB; centroid: of the spectrum, the mean over frames; exponent: Streich and Herrera's, "
        "less of which is more danceable. Both pieces are made by rules: no listener judged."
    )
    card = "antiphon_classify"
    road = "`antiphon library analyse FILE --only character --json`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Share of pairs in order, by question."""
        for question, (quantity, pair) in QUESTIONS.items():
            for n in range(ask.limit or PAIRS):
                rng = np.random.default_rng((ask.seed, n))
                options = PieceOptions(
                    int(rng.integers(1 << 30)),
                    float(rng.uniform(96.0, 132.0)),
                    True,
                    0.0,
                    float(rng.uniform(0.3, 0.8)),
                    str(rng.choice(["major", "minor"])) if quantity != "valence" else "major",
                    float(rng.uniform(-9.0, 0.0)),
                    int(rng.integers(3, 8)),
                    0.01,
                )
                first, second = (_measures(piece(each)) for each in pair(options))
                for system in ("level", "centroid", "exponent", "character"):
                    name = quantity if system == "character" else system
                    if ask.wants(system) and (system != "exponent" or quantity == "danceability"):
                        value = float(first[name] > second[name]) if first[name] != second[name] else 0.5
                        yield MetricValue(system, question, f"pair {n + 1}", value)


def _measures(sound: F32) -> dict[str, float]:
    values = analysis_of(sound, RATE, "character")
    frames = np.lib.stride_tricks.sliding_window_view(sound, _FRAME)[::_FRAME] * np.hanning(_FRAME)
    spectra = np.abs(np.fft.rfft(frames, axis=1))
    centroid = float((spectra @ np.fft.rfftfreq(_FRAME, 1.0 / RATE) / (spectra.sum(axis=1) + 1e-12)).mean())
    exponent = values["fluctuation"]
    return {
        **{name: float(value) for name, value in values.items() if value is not None and name != "fluctuation"},
        "level": round(20.0 * float(np.log10(sound.std())), 1),
        "centroid": centroid,
        "exponent": -float(exponent) if exponent is not None else 0.0,
    }
