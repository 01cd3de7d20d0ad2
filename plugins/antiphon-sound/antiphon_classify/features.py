"""Features of the user's own classifiers: those of the kernel, and musicnn's embedding, for few training sounds."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from antiphon.api import F32, UsageError
from antiphon.api.backends.analysis import MelSettings, Quantity
from antiphon.api.backends.models import read_weights
from antiphon.signal.features import FEATURE_DEFAULTS, feature_extractor, feature_fault, feature_stream
from antiphon_classify.musicnn import (
    MEL,
    NETWORKS,
    MusicnnAnalysis,
    MusicnnAnswers,
    PatchStream,
    answers,
    tag_probabilities,
    tags_of,
)

MUSICNN = "musicnn"
AXES = "musicnn-axes"
"""Weights: `mean` `[400]` and `axes` `[400, DIMENSIONS]`, principal components of normalised embeddings of
recordings."""
DIMENSIONS = 64
REPEATED, HOP = 8, 6000
"""Repeats of a patch's vector as frames, as input of temporal networks, and samples per frame: 3 s."""
FEATURES: dict[str, dict[str, float]] = {
    **FEATURE_DEFAULTS,
    MUSICNN: {"rate": MEL.rate, "window": HOP, "hop": HOP, "bands": DIMENSIONS, "low": 0.0, "high": MEL.rate / 2},
}
"""Differences of each feature from the defaults of `MelSettings`."""


@cache
def _read_principal_axes() -> tuple[F32, F32]:
    arrays = read_weights(AXES)
    return arrays["mean"].astype(np.float32), arrays["axes"].astype(np.float32)


def embedding_vectors(msd: MusicnnAnswers, mtt: MusicnnAnswers) -> F32:
    """Vectors `[patches, DIMENSIONS]` of both networks' embeddings."""
    both = np.concatenate([msd.embedding, mtt.embedding], axis=1)
    mean, axes = _read_principal_axes()
    unit = both / (np.linalg.norm(both, axis=1, keepdims=True) + np.float32(1e-9))
    return np.asarray((unit - mean) @ axes, np.float32)


class MusicnnFeatures:
    """musicnn's vectors as frames, for a whole sound or a stream."""

    def __init__(self) -> None:
        self._held = np.zeros(0, np.float32)

    def compute(self, mono: F32) -> F32:
        """Frames `[n, DIMENSIONS]` of a sound, at least one."""
        stream = MusicnnFeatures()
        return np.concatenate([stream.push(np.pad(mono, (0, max(0, HOP - len(mono))))), stream.end()])

    def push(self, mono: F32) -> F32:
        """Processes the next block; returns the frames of completed patches."""
        self._held = np.concatenate([self._held, mono])
        made = [np.zeros((0, DIMENSIONS), np.float32)]
        while len(self._held) >= REPEATED * HOP:
            made.append(_frames(self._held[: REPEATED * HOP]))
            self._held = self._held[REPEATED * HOP :].copy()
        return np.concatenate(made)

    def end(self) -> F32:
        """Remaining frames: of an incomplete patch, which is repeated."""
        held, self._held = self._held, np.zeros(0, np.float32)
        return _frames(held) if len(held) >= HOP else np.zeros((0, DIMENSIONS), np.float32)


def _frames(mono: F32) -> F32:
    stream = PatchStream(MEL.rate)
    stream.push(mono)
    patches = stream.patches(1)
    vector = embedding_vectors(*answers(patches))[0] if len(patches) else np.zeros(DIMENSIONS, np.float32)
    return np.repeat(vector[None], len(mono) // HOP, axis=0)


def extractor(settings: MelSettings) -> Any:
    """Feature extractor of the settings: musicnn's or a spectrogram's."""
    return MusicnnFeatures() if settings.features == MUSICNN else feature_extractor(settings)


def stream(settings: MelSettings) -> Any:
    """Streaming feature extractor of the settings: musicnn's or a spectrogram's."""
    return MusicnnFeatures() if settings.features == MUSICNN else feature_stream(settings)


def check_length(samples: int, settings: MelSettings) -> None:
    """Raises `UsageError` for a sound of `samples` at the settings' rate that is shorter than a window."""
    if samples < settings.window:
        window = 1000 * settings.window / settings.rate
        raise UsageError(f"the sound is shorter than {window:.0f} ms, and one window is needed")


def fault(settings: MelSettings) -> str:
    """Reason why settings cannot be used, "" for none: those of musicnn are fixed."""
    if settings.features != MUSICNN:
        return feature_fault(settings)
    wrong = next((key for key, value in FEATURES[MUSICNN].items() if getattr(settings, key) != value), "")
    return f"{wrong} {getattr(settings, wrong):g}; it has {FEATURES[MUSICNN][wrong]:g} alone" if wrong else ""


LEAST, MIN_COUNT = 0.1, 3
"""Minimum probability of a reported tag, and number of tags reported regardless of it."""


class Tags(MusicnnAnalysis):
    """Analysis of a hundred tags, those of both networks, which are not mutually exclusive."""

    version = 3
    shortest = 0.0  # drum hits have a vector too: they are repeated
    quantities = (
        Quantity(
            "tags",
            "labels",
            "",
            "Words for a sound by listeners of recorded music: genres, instruments, voices, moods, decades; the mean "
            "over excerpts, and over both networks where both know a word.",
        ),
        Quantity(
            "tag_embedding",
            "vector",
            "",
            "By which sounds are alike: principal components of both networks' last layers but one, the mean.",
        ),
    )

    @property
    def labels(self) -> Sequence[str]:
        return tags()

    def values(self, msd: MusicnnAnswers, mtt: MusicnnAnswers) -> Mapping[str, Any]:
        known: dict[str, list[float]] = {}
        for found in tag_probabilities((msd, mtt)):
            for tag, probability in found.items():
                known.setdefault(tag.lower(), []).append(probability)
        ranked = sorted(((tag, float(np.mean(each))) for tag, each in known.items()), key=lambda row: (-row[1], row[0]))
        count = max(MIN_COUNT, sum(probability >= LEAST for _, probability in ranked))
        return {"tags": ranked[:count], "tag_embedding": embedding_vectors(msd, mtt).mean(axis=0)}


def tags() -> tuple[str, ...]:
    """All distinct tags; `ModelError` without a manifest."""
    return tuple(dict.fromkeys(tag.lower() for name in NETWORKS for tag in tags_of(name)))
