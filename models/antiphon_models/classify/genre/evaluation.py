"""Genres of composed songs played by soundfonts that nothing was fitted to, or of GTZAN and FMA where they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon.api.models import manifest_entry, read_weights
from antiphon.runtime import extras
from antiphon_classify.rhythm import FRAMES, RhythmNetwork
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.genre import field
from antiphon_models.classify.genre.baseline import MfccRegression
from antiphon_models.classify.genre.calibration import BINS, calibrated, calibration_error, softmax
from antiphon_models.classify.genre.material import LABELS, material
from antiphon_models.classify.genre.sources import missing
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Measure, MetricValue, System

F32 = NDArray[np.float32]
WEIGHTS = "classify-genre"
OTHER = len(LABELS) - 1
OURS, PEER, MAJORITY = "genre", "MFCC, logistic regression", "most frequent"


@dataclass(frozen=True, slots=True)
class SystemAnswers:
    """What a system says of clips.

    Attributes:
        probabilities: float64 `[clips, labels]`.
        threshold: Below which the first label is "unknown".
    """

    probabilities: NDArray[np.float64]
    threshold: float

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Of each clip whether it is "unknown"."""
        best = self.probabilities.argmax(axis=1)
        return np.asarray((self.probabilities.max(axis=1) < self.threshold) | (best == OTHER))


class GenreEvaluation(Evaluation):
    """Accuracy, calibration, and what becomes "unknown"."""

    systems = (System(MAJORITY, "trivial"), System(PEER, "classical"), System(OURS, "ours"))
    measures = (
        Measure("accuracy"),
        Measure("top 3"),
        Measure("of two clips"),
        Measure("ECE", better="lower"),
        Measure("strangers unknown"),
        Measure("no songs unknown"),
    )
    note = (
        "songs composed by rules, played by TimGM6mb and csound's bank, through rooms and codecs; accuracy counts "
        "unknown as wrong; not to be compared with figures on recorded music"
    )
    card = "antiphon_classify"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        found = field.dataset_in(ask.data)
        if found is not None:
            yield from field.scores(found, ask)
            return
        lacking = [name for split in ("choose", "measure") for name in missing(split)]
        if lacking:
            raise UsageError(
                f"genre is measured with songs that FluidSynth plays, and {lacking[0]} is missing; sudo apt-get "
                "install fluidsynth espeak-ng fluid-soundfont-gm timgm6mb-soundfont csound-soundfont opl3-soundfont"
            )
        folder = ask.work / f"material-{ask.seed}"
        folder.mkdir(exist_ok=True)
        clips, strangers = material(folder, "measure", ask.seed, ask.say)
        clips, strangers = _limited(clips, ask.limit), _limited(strangers, ask.limit)
        for system in self.systems:
            if ask.wants(system.name):
                try:
                    known, strange = _answers(system.name, clips, strangers, folder, ask)
                except ModuleNotFoundError as error:
                    ask.say(f"{extras.of_error(system.name, error) or error}; it has no figures")
                    continue
                yield from _values(system.name, clips, known, strange)
                if system.name == OURS:
                    for line in confusion(clips, known):
                        ask.say(line)


def _answers(
    name: str, clips: LabeledClips, strangers: LabeledClips, folder: Path, ask: EvaluationRequest
) -> tuple[SystemAnswers, SystemAnswers]:
    """A system's answers to clips and to strangers."""
    if name == MAJORITY:
        share = np.bincount(clips.targets.astype(int), minlength=len(LABELS)) / len(clips)
        return tuple(SystemAnswers(np.tile(share, (len(each), 1)), 0.0) for each in (clips, strangers))  # type: ignore[return-value]
    if name == OURS:
        details = manifest_entry(WEIGHTS)
        network = RhythmNetwork(read_weights(WEIGHTS), WEIGHTS)
        temperature, threshold = float(details["temperature"]), float(details["threshold"])
        pair = [clip_logits(network, each) for each in (clips, strangers)]
    else:
        import sklearn  # noqa: F401 - before ten minutes of rendering

        fit, _ = material(folder, "fit", ask.seed, ask.say)
        choose, odd = material(folder, "choose", ask.seed, ask.say)
        model = MfccRegression(fit, choose)
        chosen = calibrated(model.logits(choose), choose.targets.astype(int), model.logits(odd), OTHER)
        temperature, threshold = chosen.temperature, chosen.threshold
        pair = [model.logits(each) for each in (clips, strangers)]
    first, second = (SystemAnswers(softmax(each, temperature), threshold) for each in pair)
    return first, second


def clip_logits(network: RhythmNetwork, clips: LabeledClips) -> F32:
    """Of one excerpt of each clip: float32 `[clips, labels]`."""
    return network.logits(clips.mel[:, :FRAMES].astype(np.float32))


def _values(name: str, clips: LabeledClips, known: SystemAnswers, strange: SystemAnswers) -> Iterator[MetricValue]:
    """A value for each clip; the calibration error, which many clips have together, once."""
    best, ranked = known.probabilities.argmax(axis=1), np.argsort(-known.probabilities, axis=1)
    for n, (target, unknown) in enumerate(zip(clips.targets, known.unknown, strict=True)):
        item = f"{LABELS[int(target)]} {clips.groups[n]}"
        if target == OTHER:
            yield MetricValue(name, "no songs unknown", item, float(unknown))
            continue
        yield MetricValue(name, "accuracy", item, float(best[n] == target and not unknown))
        yield MetricValue(name, "top 3", item, float(target in ranked[n, :3]))
    right = np.asarray(best == clips.targets)
    confidence = np.asarray(known.probabilities.max(axis=1))
    yield MetricValue(name, "ECE", f"all clips in {BINS} bins", calibration_error(confidence, right))
    for group in np.unique(clips.groups[clips.targets != OTHER]):
        rows = np.flatnonzero(clips.groups == group)
        # the mean of logarithms is that of logits, but for what all labels share
        joined = np.log(known.probabilities[rows] + 1e-12).mean(axis=0)
        target = int(clips.targets[rows[0]])
        yield MetricValue(name, "of two clips", f"{LABELS[target]} {group}", float(joined.argmax() == target))
    for n, unknown in enumerate(strange.unknown):
        yield MetricValue(name, "strangers unknown", f"stranger {n}", float(unknown))


def confusion(clips: LabeledClips, known: SystemAnswers) -> list[str]:
    """What each label was answered with, as lines of text: percent of its clips, "unknown" last."""
    best = np.where(known.unknown, len(LABELS), known.probabilities.argmax(axis=1))
    short = [label[:6] for label in LABELS[:-1]] + ["", "unkn."]
    lines = [" " * 15 + "".join(f"{name:>7}" for n, name in enumerate(short) if n != OTHER)]
    for place, label in enumerate(LABELS):
        rows = best[clips.targets == place]
        if len(rows):
            shares = 100.0 * np.bincount(rows, minlength=len(LABELS) + 1) / len(rows)
            cells = "".join(f"{share:7.0f}" for n, share in enumerate(shares) if n != OTHER)
            lines.append(f"{label:15}{cells}")
    return lines


def _limited(clips: LabeledClips, limit: int | None) -> LabeledClips:
    """Every so many-th clip, so that each label remains."""
    if limit is None or limit >= len(clips):
        return clips
    rows = np.linspace(0, len(clips) - 1, limit).astype(int)
    return LabeledClips(clips.mel[rows], clips.targets[rows], clips.groups[rows])
