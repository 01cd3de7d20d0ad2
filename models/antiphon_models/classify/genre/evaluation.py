"""Genres of composed songs played by soundfonts that nothing was fitted to, or of GTZAN and FMA where they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from antiphon.api import UsageError
from antiphon.api.models import manifest_entry, read_weights
from antiphon.runtime import extras
from antiphon_classify.labels import of_count
from antiphon_classify.rhythm import FRAMES, RhythmNetwork
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.genre import field
from antiphon_models.classify.genre.baseline import MfccRegression
from antiphon_models.classify.genre.calibration import (
    BINS,
    JoinedCalibration,
    calibrated,
    calibration_error,
    joined_calibration,
    softmax,
)
from antiphon_models.classify.genre.material import LABELS, GenreClips, fitting, material
from antiphon_models.classify.genre.sources import SPLITS, missing
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, Measure, MetricValue, System

F32 = NDArray[np.float32]
WEIGHTS = "classify-genre"
OTHER = len(LABELS) - 1
OURS, PEER, MAJORITY = "genre", "MFCC, logistic regression", "most frequent"


@dataclass(frozen=True, slots=True)
class SystemAnswers:
    """Answers of a system for clips.

    Attributes:
        probabilities: float64 `[clips, labels]`.
        threshold: Below which the first label is "unknown".
    """

    probabilities: NDArray[np.float64]
    threshold: float

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Flags of the clips that are answered "unknown"."""
        best = self.probabilities.argmax(axis=1)
        return np.asarray((self.probabilities.max(axis=1) < self.threshold) | (best == OTHER))


class GenreEvaluation(Evaluation):
    """Accuracy, calibration, and what becomes "unknown"."""

    systems = (System(MAJORITY, "trivial"), System(PEER, "classical"), System(OURS, "ours"))
    measures = (
        Measure("accuracy"),
        Measure("top 3"),
        Measure("of two clips"),
        Measure("of 30 s"),
        Measure("ECE", better="lower"),
        Measure("ECE of 30 s", better="lower"),
        Measure("strangers unknown"),
        Measure("strangers of 30 s"),
        Measure("no songs unknown"),
    )
    note = (
        "songs composed by rules, played by TimGM6mb and csound's bank, through rooms and codecs; accuracy is of one "
        "clip of 6 s; it and the one of 30 s count unknown as wrong; not to be compared with figures on recorded music"
    )
    card = "antiphon_classify"
    road = "the analysis' network on excerpts that are stored as mel spectra; files are not read"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        found = field.dataset_in(ask.data)
        if found is not None:
            yield from field.scores(found, ask)
            return
        lacking = [name for split in SPLITS for name in missing(split)]
        if lacking:
            raise UsageError(
                f"genre is measured with songs that FluidSynth plays, and {lacking[0]} is missing; sudo apt-get "
                "install fluidsynth timidity freepats espeak-ng fluid-soundfont-gm timgm6mb-soundfont csound-soundfont "
                "opl3-soundfont"
            )
        folder = ask.work / f"material-{ask.seed}"
        folder.mkdir(exist_ok=True)
        measured = limited(material(folder, "measure", ask.seed, ask.say), ask.limit)
        for system in self.systems:
            if ask.wants(system.name):
                try:
                    answers = _answers(system.name, measured, folder, ask)
                except ModuleNotFoundError as error:
                    ask.say(f"{extras.of_error(system.name, error) or error}; it has no figures")
                    continue
                yield from values(system.name, measured, answers)
                if system.name == OURS:
                    for line in confusion(measured.known, answers.known):
                        ask.say(line)


@dataclass(frozen=True, slots=True)
class SplitAnswers:
    """What a system says of the clips of a split, by the names of `GenreClips`."""

    known: SystemAnswers
    strange: SystemAnswers
    known_whole: SystemAnswers
    strange_whole: SystemAnswers


Classify: TypeAlias = Callable[[LabeledClips], F32]
"""Logits of each excerpt of clips: float32 `[clips, excerpts, labels]`."""


def _answers(name: str, measured: GenreClips, folder: Path, ask: EvaluationRequest) -> SplitAnswers:
    """A system's answers to a split."""
    if name == MAJORITY:
        share = np.bincount(measured.known.targets.astype(int), minlength=len(LABELS)) / len(measured.known)
        return SplitAnswers(*(SystemAnswers(np.tile(share, (len(each), 1)), 0.0) for each in measured.parts))
    if name == OURS:
        details = manifest_entry(WEIGHTS)
        network = RhythmNetwork(read_weights(WEIGHTS), WEIGHTS)
        classify: Classify = partial(excerpt_logits, network.logits)
        chosen = JoinedCalibration(details["temperatures"], details["thresholds"])
    else:
        import sklearn  # noqa: F401 - before minutes of sketching

        fit = fitting(folder, ask.seed, ask.say)
        choose = material(folder, "choose", ask.seed, ask.say)
        targets = choose.known.targets.astype(int)
        model = MfccRegression(fit.mfcc, fit.targets, beginning(choose.known), targets)
        classify = partial(excerpt_logits, model.logits)
        usual, odd = classify(choose.known)[:, 0], classify(choose.strange)[:, 0]
        songs = choose.known_whole.targets.astype(int)
        first = calibrated(usual, targets, odd, OTHER)
        chosen = joined_calibration(first, classify(choose.known_whole), songs, OTHER)
    return SplitAnswers(*(joined_answers(classify(each), chosen) for each in measured.parts))


def joined_answers(logits: F32, chosen: JoinedCalibration) -> SystemAnswers:
    """The answers to clips by all excerpts of each: float32 `[clips, excerpts, labels]`."""
    count = logits.shape[1]
    temperature, threshold = (of_count(values, count) for values in (chosen.temperatures, chosen.thresholds))
    return SystemAnswers(softmax(logits.mean(axis=1), temperature), threshold)


def beginning(clips: LabeledClips) -> F32:
    """The first excerpt of each clip: float32 `[clips, FRAMES, bands]`."""
    return clips.mel[:, :FRAMES].astype(np.float32)


def excerpt_logits(logits: Callable[[F32], F32], clips: LabeledClips) -> F32:
    """Logits of the excerpts that follow each other in each clip, as the analysis takes them.

    Args:
        logits: Logits of float32 `[excerpts, FRAMES, bands]`.
        clips: Of at least `FRAMES`; a rest that is shorter than an excerpt is left out.

    Returns:
        float32 `[clips, excerpts, labels]`.
    """
    count = clips.mel.shape[1] // FRAMES
    found = [logits(mel[: count * FRAMES].reshape(count, FRAMES, -1).astype(np.float32)) for mel in clips.mel]
    return np.stack(found)


def values(name: str, clips: GenreClips, answers: SplitAnswers) -> Iterator[MetricValue]:
    """A value for each clip or song; the calibration error, which many clips have together, once."""
    known, short = answers.known, clips.known
    best, ranked = known.probabilities.argmax(axis=1), np.argsort(-known.probabilities, axis=1)
    for n, (target, unknown) in enumerate(zip(short.targets, known.unknown, strict=True)):
        item = f"{LABELS[int(target)]} {short.groups[n]}"
        if target == OTHER:
            yield MetricValue(name, "no songs unknown", item, float(unknown))
            continue
        yield MetricValue(name, "accuracy", item, float(best[n] == target and not unknown))
        yield MetricValue(name, "top 3", item, float(target in ranked[n, :3]))
    yield _error(name, "ECE", short, known)
    for group in np.unique(short.groups[short.targets != OTHER]):
        for target in np.unique(short.targets[short.groups == group]):
            rows = np.flatnonzero((short.groups == group) & (short.targets == target))
            # the mean of logarithms is that of logits, but for what all labels share
            joined = np.log(known.probabilities[rows] + 1e-12).mean(axis=0)
            item = f"{LABELS[int(target)]} {group}"
            yield MetricValue(name, "of two clips", item, float(joined.argmax() == target))
    whole = answers.known_whole
    first = whole.probabilities.argmax(axis=1)
    for n, target in enumerate(clips.known_whole.targets):
        if target != OTHER:
            item = f"{LABELS[int(target)]} {clips.known_whole.groups[n]}"
            yield MetricValue(name, "of 30 s", item, float(first[n] == target and not whole.unknown[n]))
    yield _error(name, "ECE of 30 s", clips.known_whole, whole)
    for n, unknown in enumerate(answers.strange.unknown):
        yield MetricValue(name, "strangers unknown", f"stranger {n}", float(unknown))
    for n, unknown in enumerate(answers.strange_whole.unknown):
        yield MetricValue(name, "strangers of 30 s", f"stranger {n}", float(unknown))


def _error(name: str, measure: str, clips: LabeledClips, answers: SystemAnswers) -> MetricValue:
    right = np.asarray(answers.probabilities.argmax(axis=1) == clips.targets)
    confidence = np.asarray(answers.probabilities.max(axis=1))
    return MetricValue(name, measure, f"all in {BINS} bins", calibration_error(confidence, right))


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


def limited(clips: GenreClips, limit: int | None) -> GenreClips:
    """Every so many-th clip, so that each label remains."""
    return clips if limit is None else GenreClips(*(_some(each, limit) for each in clips.parts))


def _some(clips: LabeledClips, limit: int) -> LabeledClips:
    rows = np.linspace(0, len(clips) - 1, min(limit, len(clips))).astype(int)
    return LabeledClips(clips.mel[rows], clips.targets[rows], clips.groups[rows])
