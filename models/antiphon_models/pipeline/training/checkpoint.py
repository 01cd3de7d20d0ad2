"""State of a training between two epochs, as `learning.checkpoint` writes it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from antiphon.api import F32
from antiphon_models.learning import checkpoint


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """Figures of one epoch.

    Attributes:
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
    """Progress of a training."""

    digest: str
    history: tuple[EpochFigures, ...]
    weights: Mapping[str, F32]
    best: Mapping[str, F32]
    moments: Mapping[str, F32] = field(default_factory=dict)


def write_state(folder: Path, state: TrainingState) -> None:
    """Writes the state, replacing the previous one. Raises `FileError`: it cannot be written."""
    progress = {"digest": state.digest, "history": [asdict(figures) for figures in state.history]}
    groups = {"weights": state.weights, "best": state.best, "moments": state.moments}
    checkpoint.keep(folder, progress, groups)


def read_state(folder: Path, digest: str) -> TrainingState | None:
    """State of the training with this digest; None where it is missing or damaged."""
    try:
        found = checkpoint.read(folder)
        if found is None or found[0]["digest"] != digest:
            return None
        history = tuple(EpochFigures(**row) for row in found[0]["history"])
    except (checkpoint.CheckpointError, KeyError, TypeError):
        return None
    weights, best, moments = (found[1].get(group, {}) for group in ("weights", "best", "moments"))
    return TrainingState(digest, history, weights, best, moments)
