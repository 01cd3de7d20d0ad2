"""Recordings of singing, sung again in another voice: how much of their pitch and loudness is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from antiphon.api import F64
from antiphon.api.files import AudioWriter, read_sound
from antiphon.api.jobs import FileJob
from antiphon.kernel.runtime import extras
from antiphon.kernel.runtime.resources import folder
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Example, MetricValue, scored
from antiphon_models.sing.judges import Sound, Tracker

FOLDER = "singing"
LINE = "row row row your boat gen-tly down the stream"
AROUND = 0.05
"""Seconds over which a level is taken."""
SOUNDING = -40.0
"""dB beside the loudest from which on a level is compared."""


class Vocals(Evaluation):
    """Pitch by swift-f0 in the recording and in what was made of it."""

    ours = "neural; espeak; neural of a mix"
    columns = "in tune; off [cents] ↓; sung; loudness"
    note = (
        "Of a mix: recordings under the loops that ship, as loud as the voice. In tune: within 50 cents of the "
        "recording where both are voiced; sung: voiced where the recording is."
    )
    folders = (FOLDER,)
    card = "antiphon_sing"
    road = "antiphon run sing SUNG.ogg OUT.wav -p as=… -p lyrics=…"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        extras.require("the evaluation vocals", ("swift_f0",))
        tracker = Tracker()
        for path in _sources(ask):
            source = read_sound(path)
            pitch, voiced = tracker.pitches(source.samples.mean(0), source.rate)
            for system in self.systems:
                if not ask.wants(system.name):
                    continue
                sound, rate = _made(path, system.name, ask.work)
                own, sung = tracker.pitches(sound, rate)
                n = min(len(pitch), len(own))
                both = voiced[:n] & sung[:n]
                cents = np.abs(1200.0 * np.log2(own[:n][both] / pitch[:n][both]))
                yield from scored(
                    system.name,
                    path.stem,
                    {
                        "in tune": float((cents < 50.0).mean()),
                        "off": float(np.median(cents)),
                        "sung": float(both.sum() / max(1, voiced.sum())),
                        "loudness": _alike(source.samples.mean(0), source.rate, sound, rate),
                    },
                )

    def examples(self, ask: EvaluationRequest) -> Iterator[Example]:
        for path in _sources(ask):
            for system in self.systems:
                if ask.wants(system.name):
                    yield Example(path.stem, system.name, *_made(path, system.name, ask.work))


def _sources(ask: EvaluationRequest) -> list[Path]:
    found = sorted((ask.data / FOLDER).glob("*.ogg"))
    order = np.random.default_rng(ask.seed).permutation(len(found))
    return [found[n] for n in order[: ask.limit]]


def _made(source: Path, voice: str, work: Path) -> tuple[Sound, int]:
    from antiphon_sing.jobs import run

    work.mkdir(parents=True, exist_ok=True)
    target, settings = work / f"vocals-{voice}.wav", {"as": voice.split()[0], "lyrics": LINE}
    if voice.endswith("of a mix"):
        source, settings["mix"] = _mixed(source, work / "mix.wav"), "voice"
    run(FileJob("sing", source, target, settings, block=2048, complain=lambda text: None))
    sound = read_sound(target)
    return sound.samples[0], sound.rate


def _mixed(source: Path, target: Path) -> Path:
    """Writes a recording with loops as loud as it is."""
    sound = read_sound(source)
    voice = sound.samples.mean(0)
    band = np.zeros_like(voice)
    for name in ("drums", "bass", "chords"):
        loop = read_sound(folder("library") / "loops" / f"{name}.flac")
        band += np.resize(soxr.resample(loop.samples.mean(0), loop.rate, sound.rate), len(band))
    band *= np.sqrt(np.mean(voice**2) / np.mean(band**2))
    mix = voice + band
    with AudioWriter(target, sound.rate, 1) as writer:
        writer.write((mix * min(1.0, 0.9 / np.abs(mix).max()))[None].astype(np.float32))
    return target


def _alike(one: Sound, rate: int, two: Sound, other: int) -> float:
    """Correlation of levels in dB where both sound."""
    a, b = _levels(one, rate), _levels(two, other)
    n = min(len(a), len(b))
    a, b = a[:n], b[:n]
    both = (a > SOUNDING + a.max()) & (b > SOUNDING + b.max())
    return float(np.corrcoef(a[both], b[both])[0, 1])


def _levels(sound: Sound, rate: int) -> F64:
    hop = round(AROUND * rate)
    frames = sound[: len(sound) // hop * hop].reshape(-1, hop).astype(np.float64)
    return np.asarray(10.0 * np.log10((frames**2).mean(1) + 1e-10))
