"""How the constants of `classifier` were found: a linear discriminant of notes sung against syllables said."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon_hum.decimator import HOP, Decimator
from antiphon_hum.tracking.note_classifier import MIN_VOICED, CandidateFeatures
from antiphon_hum.tracking.tracker import CENTRE, NoteTracker, TrackerSettings
from antiphon_models.hum.material import RATE, items, speech

F32 = NDArray[np.float32]
SONGS = 24


def fit(data: Path, mode: str, seed: int = 1, songs: int = SONGS) -> tuple[float, ...]:
    """The discriminant of `classifier`: Fisher's, of sung notes found rightly against syllables of speech.

    Gives the weights of the logarithms and the constant, in `Discriminant`'s order.
    """
    sung, said = [], []
    for kind, item in items(data, songs, seed):
        if kind == "sing":
            for at, row in _looks(item.sound, mode):
                if any(abs(at - n.start) < 0.05 and abs(row[0] - n.pitch) < 0.6 for n in item.notes):
                    sung.append(row[1:])
    for sound in speech(False, 28, 8):
        said += [row[1:] for _, row in _looks(sound, mode)]
    one, two = np.array(sung), np.array(said)
    spread = (np.cov(one.T) * len(one) + np.cov(two.T) * len(two)) / (len(one) + len(two)) + 1e-3 * np.eye(4)
    weights = np.linalg.solve(spread, one.mean(axis=0) - two.mean(axis=0))
    return (*map(float, weights), float(-0.5 * np.dot(one.mean(axis=0) + two.mean(axis=0), weights)))


def _looks(sound: F32, mode: str) -> Iterable[tuple[float, list[float]]]:
    """(seconds, [pitch, logarithms]) of every candidate, admitted or not."""
    seen: list[CandidateFeatures] = []
    intake = Decimator(RATE)
    tracker = NoteTracker(mode, intake)
    tracker.classifier.on_decision = lambda features, _said: seen.append(features)
    at, hops, found = 0, 0, []
    x = np.concatenate([sound, np.zeros(RATE // 3, np.float32)])[None]
    while at < x.shape[1]:
        at += intake.take(x, at, min(at + 4096, x.shape[1]))
        if intake.full:
            hops += 1
            tracker.step(TrackerSettings())
            intake.turn()
            for one in seen:
                if one.voiced >= MIN_VOICED:
                    logs = [
                        np.log(one.compass + 0.03),
                        np.log(one.glide + 0.5),
                        np.log(one.spread + 0.02),
                        np.log(one.voiced),
                    ]
                    found.append((((hops - tracker.lag) * HOP - CENTRE) / intake.rate, [one.pitch, *logs]))
            seen.clear()
    return found
