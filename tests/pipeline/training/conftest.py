"""A small training set of made-up spectrograms: three labels, each with bands of its own that are loud."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from antiphon.signal.mel import MelSettings
from antiphon_models.pipeline.settings import TrainSettings
from antiphon_models.pipeline.shards import SourceItem
from antiphon_models.pipeline.training import excerpts
from antiphon_models.pipeline.training.excerpts import TrainingSet, make_set
from antiphon_models.pipeline.training.learning import LearningJob

BANDS, LABELS = 16, ("calm", "loud", "odd")
MEL = MelSettings(rate=8000, window=256, hop=128, bands=BANDS, low=30.0, high=4000.0)
SETTINGS = TrainSettings(seconds=0.272, epochs=3, batch=8, width=4, learning_rate=0.01)
"""16 frames of an excerpt."""
ShardRows = list[tuple[str, str, tuple[str, ...], np.ndarray]]


def rows(count: int = 20, frames: int = 40) -> tuple[list[SourceItem], ShardRows]:
    """So many sounds of each label, of ten six to train on, two to validate and two to test."""
    rng = np.random.default_rng(3)
    items, made = [], []
    for k, label in enumerate(LABELS):
        for n in range(count):
            split = ("train", "train", "train", "valid", "test")[n % 5]
            mel = rng.normal(-60, 3, (frames + n, BANDS)).astype(np.float32)
            mel[:, 4 * k : 4 * k + 4] += 15
            items.append(SourceItem(f"{label} {n}", f"{label}{n}.wav", f"{label} {n}", split, (label,)))
            made.append((items[-1].name, split, (label,), mel.astype(np.float16).astype(np.float32)))
    return items, made


def several() -> tuple[list[SourceItem], ShardRows]:
    """The same number of sounds, in turn with two labels, none and two others; each label's bands are loud."""
    rng = np.random.default_rng(4)
    items, made = [], []
    for n in range(60):
        split = ("train", "train", "train", "valid", "test")[n // 3 % 5]
        marks = ((0, 1), (), (0, 2))[n % 3] if n % 2 == 0 or n < 3 else ((1,), (2,), (0, 1, 2))[n % 3]
        mel = rng.normal(-60, 3, (40, BANDS)).astype(np.float32)
        for k in marks:
            mel[:, 4 * k : 4 * k + 4] += 15
        labels = tuple(LABELS[k] for k in marks)
        items.append(SourceItem(f"sound {n}", f"{n}.wav", f"sound {n}", split, labels))
        made.append((items[-1].name, split, labels, mel.astype(np.float16).astype(np.float32)))
    return items, made


@pytest.fixture
def set_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainingSet]:
    """Makes the training set of rows, as if they were one shard's."""

    def make(
        items: list[SourceItem], made: ShardRows, out: Path = tmp_path / "out", settings: TrainSettings = SETTINGS
    ) -> TrainingSet:
        out.mkdir(exist_ok=True)
        shard = out / "00000.parquet"
        shard.write_bytes(b"".join(mel.tobytes() for *_, mel in made))
        monkeypatch.setattr(excerpts, "spectrograms", lambda path: made)
        return make_set(out, items, [shard], BANDS, settings)

    return make


@pytest.fixture
def training(set_of) -> TrainingSet:
    return set_of(*rows())


@pytest.fixture
def job(training: TrainingSet, tmp_path: Path) -> LearningJob:
    return LearningJob("three", tmp_path / "out", SETTINGS, MEL, training.shards)
