"""Spectrograms with labels, as the classifiers are trained on them: a file for each split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon.api.backends.analysis import LogMel
from antiphon_classify.classifier import EXCERPT, MEL
from antiphon_models.material.sounds import save_arrays


@dataclass(frozen=True, slots=True)
class LabeledClips:
    """Clips of one length, and what they are.

    `mel`: float16 `[clips, frames, bands]` in dB, `frames` at least `EXCERPT`. `targets`: int64 `[clips]`, a label
    each; or float32 `[clips, labels]`, how far each label holds; or float32 `[clips]`, a number each. `groups`: int64
    `[clips]`: what shares a song, a soundfont or an artist has one number.
    """

    mel: NDArray[np.float16]
    targets: NDArray[np.int64] | F32
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.mel)


def spectrogram(mono: F32) -> F32:
    """A sound's log-mel frames as the classifiers have them: float32 `[frames, bands]`; `mono` at `MEL.rate`."""
    return LogMel(MEL).compute(np.asarray(mono, np.float32))


def write(path: Path, clips: Iterable[tuple[F32, object, int]]) -> None:
    """Writes clips to one .npz, which is there when it is complete; frames beyond the shortest are left out."""
    mels, targets, groups = zip(*clips, strict=True)
    frames = min(len(mel) for mel in mels)
    assert frames >= EXCERPT, frames
    mel = np.stack([mel[:frames] for mel in mels]).astype(np.float16)
    save_arrays(path, mel=mel, targets=np.asarray(targets), groups=np.asarray(groups, np.int64))


def read(*paths: Path) -> LabeledClips:
    """Reads what `write` wrote, of several files one after the other."""
    parts = []
    for path in paths:
        with np.load(path, allow_pickle=False) as file:
            parts.append((file["mel"], file["targets"], file["groups"]))
    if len(parts) == 1:
        return LabeledClips(*parts[0])
    frames = min(mel.shape[1] for mel, _, _ in parts)
    mels, targets, groups = zip(*parts, strict=True)
    return LabeledClips(
        np.concatenate([mel[:, :frames] for mel in mels]), np.concatenate(targets), np.concatenate(groups)
    )
