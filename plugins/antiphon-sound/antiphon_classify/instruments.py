"""Detection of instruments with time spans, and the share of singing: sixteen families, by 3 s excerpts.

Both networks score families that musicnn's MTT also knows; only this network scores all others.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, Samples
from antiphon.api.backends.analysis import Analysis, AnalysisRun, MelSettings, Quantity
from antiphon.api.backends.models import ModelError, logistic, manifest_entry, read_weights
from antiphon.signal.mel import LogMelStream
from antiphon_classify.musicnn import PatchStream, answers, check_length, is_audible, tag_probabilities

RANGE = 80.0
"""Dynamic range in dB below an excerpt's loudest point."""
KERNEL = 3
"""Frames and bands of a kernel, zero-padded and followed by a 2 by 2 max pooling."""
BATCH_SIZE = 8
"""Excerpts per batch: about 10 MB."""


def normalise_level(mel: F32) -> F32:
    """Returns an excerpt `[…, frames, bands]` in dB relative to its mean, clipped at `RANGE` below its maximum."""
    axes = (-2, -1)
    floor = mel.max(axis=axes, keepdims=True) - np.float32(RANGE)
    raised = np.maximum(mel, floor)
    return np.asarray(raised - raised.mean(axis=axes, keepdims=True, dtype=np.float32), np.float32)


class ClassifierNetwork:
    """Plays the arrays of a trained classifier.

    `arrays`: by name: `mean`, `deviation` `[bands]`; `convN.weight` `[out, in, 3, 3]` (frames, then bands) and
    `convN.bias` for N from 0; `hidden.weight` `[units, features]`, `hidden.bias`, `labels.weight` and `labels.bias`.
    Raises ModelError: an array is missing, or their shapes do not fit.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], name: str) -> None:
        try:
            held = {key: np.asarray(value, np.float32) for key, value in arrays.items()}
            self._mean, self._deviation = held["mean"], held["deviation"]
            self._layers: list[tuple[F32, F32]] = []
            while (key := f"conv{len(self._layers)}") + ".weight" in held:
                weight = held[f"{key}.weight"]
                rows = weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])
                self._layers.append((np.ascontiguousarray(rows), held[f"{key}.bias"]))
            self._dense = [
                (np.ascontiguousarray(held[f"{n}.weight"].T), held[f"{n}.bias"]) for n in ("hidden", "labels")
            ]
            self.logits(np.zeros((1, 2 ** len(self._layers), len(self._mean)), np.float32))
        except (KeyError, ValueError, IndexError) as error:
            raise ModelError(f"the weights {name} are not those of a classifier: {error}") from None

    def logits(self, mel: F32) -> F32:
        """Logits float32 `[excerpts, labels]` of `[excerpts, frames, bands]` in dB, of any level, one at least."""
        return np.concatenate(
            [self._logits(mel[first : first + BATCH_SIZE]) for first in range(0, len(mel), BATCH_SIZE)]
        )

    def _logits(self, mel: F32) -> F32:
        x = ((normalise_level(mel) - self._mean) / self._deviation)[..., None]
        for weight, bias in self._layers:
            x = _pool(np.maximum(_convolve(x, weight) + bias, 0.0))
        # [excerpts, frames, channels · bands], as the training's flatten has it
        flat = x.transpose(0, 1, 3, 2).reshape(*x.shape[:2], -1)
        features = np.concatenate([flat.mean(axis=1), flat.max(axis=1)], axis=1)
        (hidden, bias), (labels, offset) = self._dense
        return np.asarray(np.maximum(features @ hidden + bias, 0.0) @ labels + offset, np.float32)


def _convolve(x: F32, rows: F32) -> F32:
    """Convolves `x`: `[excerpts, frames, bands, channels]`, with `rows`: `[9 · channels, out]`."""
    count, frames, bands, channels = x.shape
    padded = np.zeros((count, frames + 2, bands + 2, channels), np.float32)
    padded[:, 1:-1, 1:-1] = x
    beside = [padded[:, t : t + frames, b : b + bands] for t in range(KERNEL) for b in range(KERNEL)]
    return np.asarray(np.concatenate(beside, axis=-1) @ rows, np.float32)


def _pool(x: F32) -> F32:
    count, frames, bands, channels = x.shape
    x = x[:, : frames // 2 * 2, : bands // 2 * 2]
    return np.asarray(x.reshape(count, frames // 2, 2, bands // 2, 2, channels).max(axis=(2, 4)), np.float32)


WEIGHTS = "classify-instruments"
MEL = MelSettings()
EXCERPT = 128
"""Frames of an excerpt: 2.97 s, which four poolings halve to 8."""
MIN_SECONDS = 0.5
"""Minimum seconds of sound."""
MIN_LABELS = 5
"""Minimum number of reported labels, below their thresholds if necessary."""
STRONGEST_SHARE = 3
"""Denominator of the share of most likely excerpts that form a family's probability; at least two excerpts are used."""
VOICE = "voice"
SPAN_WEIGHTS = (0.3, 0.4, 0.3)
"""Weights of the previous, present and next excerpt in span detection."""
MTT_FAMILIES: Mapping[str, tuple[float, tuple[str, ...]]] = {
    "guitar": (1.5, ("guitar",)),
    "piano": (2.5, ("piano",)),
    "strings": (2.5, ("strings", "violin", "cello")),
    "flute": (2.5, ("flute",)),
    "drums": (0.5, ("drums", "beat", "beats")),
    "voice": (
        0.0,
        (
            "vocal", "vocals", "voice", "singing", "female", "woman", "female vocal", "female voice", "male", "man",
            "male vocal", "male voice", "opera", "choir", "choral",
        ),
    ),
}  # fmt: skip
"""Families known to MTT: offset of its logit, which is low for all tags, and the tags of which the likeliest counts.
Chosen so that the thresholds here fit the mean, on 140 recordings whose genre implies these families."""


class Instruments(Analysis):
    """Analysis of instrument families, with thresholds and temperature from the manifest."""

    version = 2
    rate: ClassVar[int | None] = MEL.rate
    channels: ClassVar[Literal[1] | None] = 1
    classifier: ClassVar[bool] = True
    shortest: ClassVar[float] = MIN_SECONDS
    quantities = (
        Quantity(
            "instruments",
            "labels",
            "",
            "Families of instruments: those above their threshold first, five at least, with the probability of each.",
        ),
        Quantity("instrument_spans", "spans", "", "Which families sound where, by excerpts of 3 s, smoothed."),
        Quantity(
            "voice",
            "number",
            "",
            "0 to 1: the share of the audible excerpts of 3 s whose voice, sung or spoken, is above its threshold.",
        ),
    )

    @cached_property
    def network(self) -> ClassifierNetwork:
        """The network; `ModelError` without its weights."""
        return ClassifierNetwork(read_weights(WEIGHTS), WEIGHTS)

    @cached_property
    def details(self) -> Mapping[str, Any]:
        """Manifest entry of the weights."""
        return manifest_entry(WEIGHTS)

    @property
    def labels(self) -> list[str]:
        """Family names, in the network's order."""
        return [str(label) for label in self.details["labels"]]

    @property
    def thresholds(self) -> F64:
        """Threshold of each label: the minimum probability for presence."""
        return np.asarray(self.details["thresholds"], np.float64)

    def begin(self, rate: int, channels: int) -> AnalysisRun:
        return InstrumentsRun(self, PatchStream(rate))

    def calibrate(self, logits: F32) -> F64:
        """Returns calibrated logits of any shape: the network's logits over its temperature."""
        return logits.astype(np.float64) / float(self.details["temperature"])

    def families(self, excerpts: F32) -> set[str]:
        """Families in excerpts `[n, EXCERPT, bands]` in dB, by our network alone."""
        if not len(excerpts):
            return set()
        odds = logistic(self.calibrate(join_logits(self.network.logits(excerpts))))
        return {label for label, present in zip(self.labels, odds >= self.thresholds, strict=True) if present}

    def average_with_musicnn(self, logits: F64, patches: F32) -> F64:
        """Returns scaled logits `[labels]` of a sound, averaged with MTT's for the families that MTT knows."""
        _, tags = tag_probabilities(answers(patches))
        found = logits.copy()
        for label, (offset, names) in MTT_FAMILIES.items():
            likely = min(max(max(tags[name] for name in names), 1e-6), 1.0 - 1e-6)
            place = self.labels.index(label)
            found[place] = 0.5 * (logits[place] + np.log(likely / (1.0 - likely)) + offset)
        return found


class InstrumentsRun(AnalysisRun):
    """Instrument run of one sound, in contiguous excerpts; the last one ends with the sound.

    `patches`: collects the sound for musicnn; None to use only this network.
    """

    def __init__(self, instruments: Instruments, patches: PatchStream | None = None) -> None:
        self._instruments, self._patches, self._mel = instruments, patches, LogMelStream(MEL)
        self._held = np.zeros((0, MEL.bands), np.float32)
        self._last = np.zeros((0, MEL.bands), np.float32)
        self._logits: list[F32] = []
        self._audible: list[bool] = []
        self._samples = 0

    def feed(self, block: Samples) -> None:
        mono = np.asarray(block[0], np.float32)
        self._samples += len(mono)
        if self._patches is not None:
            self._patches.push(mono)
        self._held = np.concatenate([self._held, self._mel.push(mono)])
        if len(self._held) >= BATCH_SIZE * EXCERPT:
            self._take(len(self._held) // EXCERPT)

    def result(self) -> Mapping[str, Any]:
        check_length(self._samples / MEL.rate, MIN_SECONDS)
        self._take(len(self._held) // EXCERPT)
        # a rest that is shorter than half an excerpt has been classified for the most part
        if len(self._held) >= EXCERPT // 2 or not self._audible:
            ending = np.concatenate([self._last, self._held])[-EXCERPT:]
            if 0 < len(ending) < EXCERPT:  # a clip is repeated, since the network takes so many frames
                ending = np.tile(ending, (-(-EXCERPT // len(ending)), 1))[:EXCERPT]
            self._classify(ending[None])
        instruments = self._instruments
        if not self._logits:
            return {quantity.name: None for quantity in instruments.quantities}
        logits = np.concatenate(self._logits)
        voices = logistic(instruments.calibrate(logits[:, instruments.labels.index(VOICE)]))
        return {
            "instruments": rank_labels(instruments.labels, self._odds(logits), instruments.thresholds),
            "instrument_spans": self._spans(logits),
            "voice": float((voices >= instruments.thresholds[instruments.labels.index(VOICE)]).mean()),
        }

    def voice_probability(self) -> float | None:
        """Voice probability of the whole sound, after `result`; None for a silent one."""
        if not self._logits:
            return None
        odds = logistic(self._instruments.calibrate(join_logits(np.concatenate(self._logits))))
        return float(odds[self._instruments.labels.index(VOICE)])

    def _odds(self, logits: F32) -> F64:
        joined = self._instruments.calibrate(join_logits(logits))
        if self._patches is not None and len(patches := self._patches.patches()):
            try:
                joined = self._instruments.average_with_musicnn(joined, patches)
            except ModelError:  # its weights are missing
                pass
        return logistic(joined)

    def _take(self, whole: int) -> None:
        if whole:
            excerpts = self._held[: whole * EXCERPT].reshape(whole, EXCERPT, MEL.bands)
            self._last, self._held = excerpts[-1], self._held[whole * EXCERPT :]
            self._classify(excerpts)

    def _classify(self, excerpts: F32) -> None:
        audible = is_audible(excerpts)
        self._audible += audible.tolist()
        if audible.any():
            self._logits.append(self._instruments.network.logits(excerpts[audible]))

    def _spans(self, logits: F32) -> list[tuple[float, float, str]]:
        frames = max(EXCERPT, (self._samples - MEL.window) // MEL.hop + 1)
        starts = np.minimum(np.arange(len(self._audible)) * EXCERPT, frames - EXCERPT) * MEL.hop / MEL.rate
        odds = np.zeros((len(starts), logits.shape[1]))
        odds[self._audible] = logistic(self._instruments.calibrate(logits))
        return spans(odds, starts, self._samples / MEL.rate, self._instruments)


def join_logits(logits: F32) -> F32:
    """Logits of a sound, float32 `[labels]`: per label the mean of its strongest `[excerpts, labels]`."""
    count = min(len(logits), max(2, len(logits) // STRONGEST_SHARE))
    return np.asarray(np.sort(logits, axis=0)[-count:].mean(axis=0), np.float32)


def rank_labels(labels: Sequence[str], odds: F64, thresholds: F64) -> list[tuple[str, float]]:
    """Labels above their thresholds, most likely first, then the most likely others up to `MIN_LABELS`."""
    order = sorted(range(len(labels)), key=lambda n: (odds[n] < thresholds[n], -odds[n]))
    count = max(MIN_LABELS, int((odds >= thresholds).sum()))
    return [(labels[n], float(odds[n])) for n in order[:count]]


def spans(odds: F64, starts: F64, seconds: float, instruments: Instruments) -> list[tuple[float, float, str]]:
    """Spans (start s, end s, label) of each family, in order of their starts.

    `odds` `[excerpts, labels]` are 0 where an excerpt is silent; an excerpt lasts from its start in s until the next
    one begins.
    """
    audible = odds.max(axis=1, keepdims=True) > 0.0
    # silent excerpts are no evidence against their neighbours
    total, weight = (
        sum(share * padded[n : n + len(odds)] for n, share in enumerate(SPAN_WEIGHTS))
        for padded in (np.pad(one, ((1, 1), (0, 0))) for one in (odds, audible.astype(np.float64)))
    )
    present = (total >= instruments.thresholds * weight) & audible
    ends = [*starts[1:], seconds]
    found = []
    for label, own in zip(instruments.labels, present.T, strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], own.astype(np.int8), [0]])))
        found += [(float(starts[a]), float(ends[b - 1]), label) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return sorted(found)
