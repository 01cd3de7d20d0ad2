"""Genres of composed songs played by soundfonts that nothing was fitted to, or of GTZAN and FMA where they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, UsageError
from antiphon.api.backends.files import make_folder
from antiphon_classify.classifier import MEL
from antiphon_classify.labels import UNKNOWN, of_count
from antiphon_classify.rhythm import FRAMES
from antiphon_models.classify.clips import spectrogram
from antiphon_models.classify.genre import field
from antiphon_models.classify.genre.calibration import (
    BINS,
    JoinedCalibration,
    calibrate,
    calibration_error,
    joined_calibration,
    softmax,
)
from antiphon_models.classify.genre.material import (
    LABELS,
    ClipPlan,
    PlayedSong,
    material,
    plans,
    play_plan,
    played_clips,
)
from antiphon_models.classify.genre.sources import SPLITS, missing
from antiphon_models.classify.mfcc import fit_logistic, mfcc
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue
from antiphon_models.learning.user_commands import analysis_of

OTHER = len(LABELS) - 1
FITTED = 8
"""Songs of each genre by each source that the peer is fitted to."""
OURS, PEER, MAJORITY = "genre", "MFCC, logistic regression", "most frequent"


@dataclass(frozen=True, slots=True)
class GenreAnswer:
    """Answer of a system for a sound.

    `probabilities`: float64 `[labels]`; `unknown`: whether it is none of the genres.
    """

    probabilities: F64
    unknown: bool


Answer: TypeAlias = Callable[[F32], GenreAnswer]
"""Of a mono sound at `MEL.rate`."""


class GenreEvaluation(Evaluation):
    """Accuracy, calibration, and what becomes "unknown"."""

    trivial = "most frequent"
    classical = "MFCC, logistic regression"
    ours = "genre"
    columns = (
        "accuracy; top 3; of two clips; of 30 s; ECE ↓; ECE of 30 s ↓; strangers unknown; strangers of 30 s; "
        "no songs unknown"
    )
    note = (
        "unknown counts as wrong. Recordings are answered whole. Without --data of recordings: songs composed by "
        "rules, played by TimGM6mb and csound's bank, through rooms and codecs; accuracy is of one clip of 6 s; not to "
        "be compared with figures on recorded music. What the three printed genres leave of 1 counts as no song. "
        "MFCC is fitted to eight played songs of each genre and source, with --limit to four"
    )
    road = "`antiphon library analyse FILE --only genre --json`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        found = field.dataset_in(ask.data)
        if found is not None:
            yield from field.scores(found, ask)
            return
        field.check(ask.data)
        lacking = [name for split in SPLITS for name in missing(split)]
        if lacking:
            raise UsageError(
                f"genre is measured with songs that FluidSynth plays, and {lacking[0]} is missing; sudo apt-get "
                "install fluidsynth timidity freepats espeak-ng fluid-soundfont-gm timgm6mb-soundfont csound-soundfont "
                "opl3-soundfont"
            )
        tallies = {name: (answer, Tally(name)) for name, answer in _systems(ask).items()}
        every = plans("measure")
        most = None if ask.limit is None else -(-ask.limit // len(every))
        for plan in every:
            for song in play_plan(plan, ask.seed, most):
                for answer, tally in tallies.values():
                    yield from tally.values(plan, song, answer)
        for _, tally in tallies.values():
            yield from tally.errors()


def _systems(ask: EvaluationRequest) -> Mapping[str, Answer]:
    equal = GenreAnswer(np.full(len(LABELS), 1.0 / len(LABELS)), False)
    found: dict[str, Callable[[], Answer]] = {
        MAJORITY: lambda: lambda sound: equal,
        PEER: lambda: mfcc_regression(ask),
        OURS: lambda: by_command,
    }
    return {name: make() for name, make in found.items() if ask.wants(name)}


def by_command(sound: F32) -> GenreAnswer:
    """What `antiphon library analyse` prints; what its genres leave of 1 is the probability of what is no song."""
    shown = analysis_of(sound, MEL.rate, "genre")
    probabilities = np.zeros(len(LABELS))
    for label, probability in shown["genres"] or ():
        probabilities[LABELS.index(label)] = probability
    probabilities[OTHER] = max(0.0, 1.0 - probabilities.sum())
    return GenreAnswer(probabilities, shown["genre"] in (None, UNKNOWN))


def mfcc_regression(ask: EvaluationRequest) -> Answer:
    """The peer, fitted to played songs, its temperatures and thresholds chosen as the network's are."""
    folder = make_folder(ask.work / f"played-{ask.seed}")
    most = FITTED if ask.limit is None else FITTED // 2
    fit = played_clips(folder, plans("fit"), ask.seed, ask.say, most=most)
    choose = material(folder, "choose", ask.seed, ask.say, most)
    lines = fit_logistic(mfcc(fit.mel[:, :FRAMES]), np.eye(len(LABELS), dtype=np.float32)[fit.targets.astype(int)])

    def logits(mel: NDArray[np.floating]) -> F32:
        return excerpt_logits(lambda excerpts: lines.logits(mfcc(excerpts)), mel)

    known, strange, whole = (
        np.stack([logits(mel) for mel in part.mel]) for part in (choose.known, choose.strange, choose.known_whole)
    )
    first = calibrate(known[:, 0], choose.known.targets.astype(int), strange[:, 0], OTHER)
    chosen = joined_calibration(first, whole, choose.known_whole.targets.astype(int), OTHER)
    return lambda sound: joined_answer(logits(spectrogram(sound)), chosen)


def joined_answer(logits: F32, chosen: JoinedCalibration) -> GenreAnswer:
    """The answer to a sound by all its excerpts: float32 `[excerpts, labels]`."""
    temperature, threshold = (of_count(values, len(logits)) for values in (chosen.temperatures, chosen.thresholds))
    probabilities = softmax(logits.mean(axis=0), temperature)
    return GenreAnswer(probabilities, bool(probabilities.max() < threshold or probabilities.argmax() == OTHER))


def excerpt_logits(logits: Callable[[F32], F32], mel: NDArray[np.floating]) -> F32:
    """Logits of the excerpts that follow each other in each clip, as the analysis takes them.

    Args:
        logits: Of float32 `[excerpts, FRAMES, bands]`.
        mel: `[frames, bands]`, at least `FRAMES`; a rest that is shorter than an excerpt is left out.

    Returns:
        float32 `[excerpts, labels]`.
    """
    count = len(mel) // FRAMES
    return logits(mel[: count * FRAMES].reshape(count, FRAMES, -1).astype(np.float32))


class Tally:
    """The figures of a system, song by song, and those that many songs have together. `name`: the system's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._sure: dict[str, list[tuple[float, bool]]] = defaultdict(list)

    def values(self, plan: ClipPlan, song: PlayedSong, answer: Answer) -> Iterator[MetricValue]:
        """A value for each clip, and for the song."""
        short, whole, target = [answer(cut) for cut in song.cuts], answer(song.whole), plan.target
        item = f"{plan.label} {song.number}"
        for measure, one in (*(("ECE", one) for one in short), ("ECE of 30 s", whole)):
            if target >= 0:
                right = bool(one.probabilities.argmax() == target)
                self._sure[measure].append((float(one.probabilities.max()), right))
        for one in short:
            if target in (-1, OTHER):
                measure = "strangers unknown" if target < 0 else "no songs unknown"
                yield MetricValue(self._name, measure, item, float(one.unknown))
                continue
            right = one.probabilities.argmax() == target and not one.unknown
            yield MetricValue(self._name, "accuracy", item, float(right))
            yield MetricValue(self._name, "top 3", item, float(target in np.argsort(-one.probabilities)[:3]))
        if target < 0:
            yield MetricValue(self._name, "strangers of 30 s", item, float(whole.unknown))
        elif target != OTHER:
            # the mean of logarithms is that of logits, but for what all labels share
            joined = np.mean([np.log(one.probabilities + 1e-12) for one in short], axis=0)
            yield MetricValue(self._name, "of two clips", item, float(joined.argmax() == target))
            right = whole.probabilities.argmax() == target and not whole.unknown
            yield MetricValue(self._name, "of 30 s", item, float(right))

    def errors(self) -> Iterator[MetricValue]:
        for measure, rows in self._sure.items():
            confidence, right = (np.array(column) for column in zip(*rows, strict=True))
            yield MetricValue(self._name, measure, f"all in {BINS} bins", calibration_error(confidence, right))
