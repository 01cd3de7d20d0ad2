"""`antiphon evaluate instruments`: families alone, in duos and in mixes, beside MFCC with logistic regression."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from antiphon.api import F32, F64
from antiphon_classify.instruments import Instruments
from antiphon_models.classify import clips
from antiphon_models.classify.clips import spectrogram
from antiphon_models.classify.instruments import material, testset, thresholds
from antiphon_models.classify.instruments.families import LABELS
from antiphon_models.classify.instruments.recording import RATE
from antiphon_models.classify.instruments.testset import TestSound
from antiphon_models.classify.mfcc import fit_logistic, mfcc
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue
from antiphon_models.learning.recipe import TrainingJob
from antiphon_models.learning.user_commands import analysis_of
from antiphon_models.material.singing import world

ALONE, MIXES = 20, 240
"""Sounds of each family, duos and mixes of three to five, of the trained players and of the one held out."""
OURS, CLASSICAL, TRIVIAL = "instruments", "MFCC, logistic regression", "always the same"
VOICE = LABELS.index("voice")


class FindingInstruments(Evaluation):
    """Which families sound in five seconds: one, two, or several."""

    trivial = "always the same"
    classical = "MFCC, logistic regression"
    ours = "instruments"
    columns = "accuracy; macro-F1; voice"
    note = (
        "accuracy: the most likely family is the one. macro-F1: over the families, its n is theirs. voice: whether "
        "there is a voice, the mean of those with one and those without, its n is theirs."
    )
    road = "`antiphon library analyse FILE --only instruments --json`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        """Figures of all systems, group by group."""
        material.require([name for player in testset.players() for name in player.missing()])
        world()  # voices are sung late: where it is missing that is said before minutes of rendering
        alone, mixes = (ask.limit or ALONE, ask.limit or MIXES)
        sounds = itertools.chain(testset.make_items(alone, mixes, ask.seed), testset.recordings(ask.data))
        systems = self._systems(ask)
        for group, members in itertools.groupby(sounds, key=lambda sound: sound.group):
            yield from of_group(group, list(members), systems)

    def _systems(self, ask: EvaluationRequest) -> Mapping[str, SoundClassifier]:
        found: dict[str, SoundClassifier] = {}
        if ask.wants(TRIVIAL):
            found[TRIVIAL] = ConstantSystem()
        if ask.wants(CLASSICAL) and not testset.missing(ask.data):
            found[CLASSICAL] = CepstrumSystem(ask)
        elif ask.wants(CLASSICAL):
            ask.say(f"{', '.join(testset.missing(ask.data))} missing: no figures of {CLASSICAL}")
        if ask.wants(OURS):
            found[OURS] = InstrumentsSystem()
        return found


class SoundClassifier(ABC):
    """Gives the probability of each family in a sound, and from where on it counts."""

    thresholds: F64

    @abstractmethod
    def __call__(self, sound: F32) -> F64:
        """Probabilities `[labels]` of a sound at `RATE`."""


class ConstantSystem(SoundClassifier):
    """Every family, whatever the sound: of equal likelihood, the first one is taken as the most likely."""

    thresholds = np.zeros(len(LABELS))

    def __call__(self, sound: F32) -> F64:
        return np.full(len(LABELS), 0.5)


class CepstrumSystem(SoundClassifier):
    """Logistic regression on MFCC, fitted to the network's own material, with thresholds chosen as the network's."""

    def __init__(self, ask: EvaluationRequest) -> None:
        folder = ask.work / f"material-{ask.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        job = TrainingJob(ask.data, folder, ask.seed, torch.device("cpu"), ask.say)
        solos, mixes, chosen = (clips.read(*paths) for paths in material.make(job))
        rows = [mfcc(one.mel) for one in (solos, mixes, chosen)]
        truth = np.concatenate([solos.targets, mixes.targets]) > 0.5
        self._lines = fit_logistic(np.concatenate(rows[:2]), truth.astype(np.float32))
        self._details = thresholds.choose(self._lines.logits(rows[2]), np.asarray(chosen.targets, np.float32) > 0.5)
        self.thresholds = np.array(self._details["thresholds"])

    def __call__(self, sound: F32) -> F64:
        logits = self._lines.logits(mfcc(spectrogram(sound)[None]))
        return np.asarray(thresholds.probabilities(logits, self._details)[0], np.float64)


class InstrumentsSystem(SoundClassifier):
    """What `antiphon library analyse FILE --only instruments --json` prints; a family that it leaves out has 0."""

    def __init__(self) -> None:
        self.thresholds = Instruments().thresholds

    def __call__(self, sound: F32) -> F64:
        odds = np.zeros(len(LABELS))
        for label, probability in analysis_of(sound, RATE, "instruments")["instruments"] or ():
            odds[LABELS.index(label)] = probability
        return odds


def of_group(group: str, sounds: list[TestSound], systems: Mapping[str, SoundClassifier]) -> Iterator[MetricValue]:
    """The figures of all systems on one group's sounds."""
    truth = np.array([[label in sound.present for label in LABELS] for sound in sounds])
    for name, system in systems.items():
        odds = np.stack([system(sound.sound) for sound in sounds])
        present = odds >= system.thresholds
        voices: dict[bool, list[MetricValue]] = defaultdict(list)
        for number, sound in enumerate(sounds):
            if sound.asked == "one" and sound.present:
                right = LABELS[int(odds[number].argmax())] == sound.present[0]
                yield MetricValue(name, "accuracy", sound.name, float(right), group)
            own = bool(truth[number, VOICE])
            right = bool(present[number, VOICE]) == own
            voices[own].append(MetricValue(name, "voice", sound.name, float(right), group))
        yield from balance(voices)
        if all(sound.asked == "all" for sound in sounds):
            for label, f1 in zip(LABELS, thresholds.f1_of(present, truth), strict=True):
                yield MetricValue(name, "macro-F1", f"{label}, {len(sounds)} sounds", float(f1), group)


def balance(voices: Mapping[bool, list[MetricValue]]) -> Iterator[MetricValue]:
    """As many sounds with a voice as without, the first of each; all where there is but one kind."""
    count = min((len(found) for found in voices.values()), default=0)
    for found in voices.values():
        yield from found[:: max(1, len(found) // count)][:count] if len(voices) > 1 else found
