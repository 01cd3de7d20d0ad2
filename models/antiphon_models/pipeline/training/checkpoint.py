"""The state of a training between two epochs: a safetensors file, which is whole or not there. Nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from antiphon.runtime.paths import write_atomic

F32 = NDArray[np.float32]
FILE = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """Figures of one epoch.

    Attributes:
        loss: Mean of the training excerpts.
        accuracy: Accuracy of the training excerpts.
        valid_loss: Of the validation sounds; 0 without any.
        valid_accuracy: Of the validation sounds, whose excerpts are averaged; 0 without any.
        seconds: Seconds of training, without the validation.
        time: When it ended, in seconds since 1970.
    """

    loss: float
    accuracy: float
    valid_loss: float
    valid_accuracy: float
    seconds: float
    time: float


@dataclass(frozen=True, slots=True)
class TrainingState:
    """Where a training is.

    Attributes:
        digest: Digest of all that it depends on.
        history: History of the epochs that are done.
        weights: As they are now.
        best: Those of the best epoch.
        moments: Moments of the optimizer.
    """

    digest: str
    history: tuple[EpochFigures, ...]
    weights: Mapping[str, F32]
    best: Mapping[str, F32]
    moments: Mapping[str, F32] = field(default_factory=dict)


def write_state(folder: Path, state: TrainingState) -> None:
    """Writes the state, in place of the one before.

    Raises:
        FileError: It cannot be written.
    """
    named = {
        f"{group}/{name}": np.array(value, order="C")
        for group, arrays in (("weights", state.weights), ("best", state.best), ("moments", state.moments))
        for name, value in arrays.items()
    }
    about = {"digest": state.digest, "history": json.dumps([asdict(figures) for figures in state.history])}
    write_atomic(folder / FILE, save(named, about))


def read_state(folder: Path, digest: str) -> TrainingState | None:
    """The state of the training with this digest; None where there is none, or it is damaged."""
    try:
        content = (folder / FILE).read_bytes()
        size = int.from_bytes(content[:8], "little")
        about = json.loads(content[8 : 8 + size])["__metadata__"]
        if about["digest"] != digest:
            return None
        history = tuple(EpochFigures(**row) for row in json.loads(about["history"]))
        arrays = load(content)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
    groups: dict[str, dict[str, F32]] = {"weights": {}, "best": {}, "moments": {}}
    for key, value in arrays.items():
        group, _, name = key.partition("/")
        groups.setdefault(group, {})[name] = value
    return TrainingState(digest, history, groups["weights"], groups["best"], groups["moments"])
