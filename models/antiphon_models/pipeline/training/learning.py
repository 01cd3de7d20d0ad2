"""Training by one framework: resumable epochs, the best epoch's weights, and the verified graph."""

import json
import math
import platform
import struct
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from msgspec import structs

from antiphon.api import F32, F64, FileError
from antiphon.api.backends.analysis import MelSettings
from antiphon.api.backends.files import make_folder, write_atomic
from antiphon_classify.classifier_session import (
    DETAILS,
    MODEL,
    ClassifierDetails,
    compute,
    digest_of,
    open_session,
    read_details,
)
from antiphon_classify.features import MUSICNN
from antiphon_models.datasets.records import TRAIN, VALID
from antiphon_models.learning import checkpoint
from antiphon_models.learning.rate import decay_factor
from antiphon_models.pipeline.settings import Framework, TrainSettings, excerpt_frames
from antiphon_models.pipeline.training.excerpts import FOLDER, EpochBatches, SoundFrames, TrainingSet
from antiphon_models.pipeline.training.trainer import (
    ClassifierTrainer,
    NetworkShape,
    TrainerTask,
    loss_and_accuracy,
    make_trainer,
    parameters,
)

# ---- State of a training between two epochs, as `learning.checkpoint` writes it


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """Figures of one epoch.

    Attributes:
        valid_loss: Loss of the validation sounds; 0 without any.
        valid_accuracy: Accuracy of the validation sounds, averaged over excerpts; 0 without any.
        seconds: Seconds of training, without the validation.
        time: End of the epoch, in seconds since 1970.
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


FILE = "events.out.tfevents.0.antiphon"
_POLYNOMIAL, _MASK = 0x82F63B78, 0xA282EAD8  # of CRC-32C (Castagnoli), reflected; TFRecord's addition


def write_log(folder: Path, history: Sequence[EpochFigures], *, validated: bool) -> None:
    """Writes the log of a training's epochs, with training and, if present, validation as separate runs.

    Raises `FileError`: it cannot be written.
    """
    for run in ("train", "valid") if validated else ("train",):
        parts = [_event(history[0].time - history[0].seconds if history else 0.0, version="brain.Event:2")]
        parts += [_event(figures.time, n + 1, scalars_of(figures, run)) for n, figures in enumerate(history)]
        path = folder / run / FILE
        content = b"".join(map(_record, parts))
        make_folder(path.parent)
        if not _extend(path, content):
            write_atomic(path, content)


def scalars_of(figures: EpochFigures, run: str) -> dict[str, float]:
    """Values of an epoch by tag, of the run "train" or "valid"."""
    if run == "train":
        return {"loss": figures.loss, "accuracy": figures.accuracy}
    return {"loss": figures.valid_loss, "accuracy": figures.valid_accuracy}


def _extend(path: Path, content: bytes) -> bool:
    """Appends the missing end of a file, so that an open TensorBoard sees it; False if its beginning differs."""
    try:
        before = path.read_bytes()
        if not content.startswith(before):
            return False
        with open(path, "ab") as file:
            file.write(content[len(before) :])
    except OSError:
        return False
    return True


def _event(time: float, step: int = 0, scalars: Mapping[str, float] | None = None, version: str = "") -> bytes:
    event = b"\x09" + struct.pack("<d", time) + b"\x10" + _varint(step)
    if version:
        event += _field(3, version.encode())
    if scalars:
        values = [_field(1, tag.encode()) + b"\x15" + struct.pack("<f", value) for tag, value in scalars.items()]
        event += _field(5, b"".join(_field(1, value) for value in values))
    return event


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + struct.pack("<I", _masked(length)) + content + struct.pack("<I", _masked(content))


def _masked(content: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


VERSION = 1
"""Version of network and training; changing it retrains."""
CLASSIFIERS, TENSORBOARD = "classifiers", "tensorboard"
TOLERANCE = 1e-4
"""Maximum difference of a graph's probabilities from the framework's own."""
COMPARED_EXCERPTS = 64
"""Number of excerpts in that comparison."""
Watch = Callable[[int, EpochFigures], None]
"""Callback after each epoch with the number completed, and its figures."""


@dataclass(frozen=True, slots=True)
class LearningJob:
    """Training by one framework, as plain data for a separate process.

    `fold`: the fold it is tested on; -1 for the set's splits.
    """

    name: str
    out: Path
    settings: TrainSettings
    mel: MelSettings
    shards: str
    fold: int = -1

    @property
    def frames(self) -> int:
        return excerpt_frames(self.settings.seconds, self.mel)

    def digest(self, framework: Framework) -> str:
        """Digest of all dependencies of the training, except versions of packages."""
        folds = self.settings.folds if self.fold >= 0 else 0
        own = structs.asdict(structs.replace(self.settings, frameworks=(), folds=folds))
        whole = [VERSION, self.name, framework.name, own, asdict(self.mel), self.shards, self.fold]
        return digest_of(json.dumps(whole, sort_keys=True).encode())

    def folder(self, framework: Framework) -> Path:
        """Folder of the trained classifier."""
        top = CLASSIFIERS if self.fold < 0 else f"folds/{self.fold}"
        return self.out / top / framework.name

    def state(self, framework: Framework) -> Path:
        """Folder of the state between two epochs."""
        return self.out / FOLDER / (f"fold {self.fold}" if self.fold >= 0 else "") / framework.name


def is_trained(job: LearningJob, framework: Framework) -> bool:
    """Whether the classifier of this training exists."""
    try:
        details = read_details(job.folder(framework))
        content = (job.folder(framework) / MODEL).read_bytes()
    except (FileError, OSError):
        return False
    return details.about.get("training") == job.digest(framework) and details.digest == digest_of(content)


def learn(job: LearningJob, framework: Framework, training: TrainingSet, watch: Watch) -> None:
    """Trains or resumes, and writes the classifier.

    Raises `FileError`: the graph's answers differ from the framework's, or files cannot be written.
    """
    shape = NetworkShape(job.frames, training.mel.shape[1], len(training.labels), job.settings.width)
    seed, threads = job.settings.seed, job.settings.threads
    task = TrainerTask(shape, training.mean, training.deviation, seed, threads, training.several)
    if job.mel.features == MUSICNN:  # which are no spectrum, whose coarse shape would do
        task = replace(task, coefficients=training.mel.shape[1])
    trainer = make_trainer(framework, task)
    state = _epochs(job, framework, trainer, training, watch)
    trainer.set_weights(state.best)
    history = state.history
    # without a validation the last one is taken
    best = min(range(len(history)), key=lambda n: (history[n].valid_loss, -n))
    graph = _export(job, framework, trainer, training)
    details = ClassifierDetails(
        name=job.name, framework=framework.name, labels=training.labels, mel=job.mel, frames=job.frames,
        digest=digest_of(graph),
        about={
            "training": state.digest, "shards": training.shards, "seed": job.settings.seed, "epochs": len(history),
            "several": training.several, "epoch": best + 1, "parameters": parameters(state.best),
            "training_seconds": round(sum(figures.seconds for figures in history), 3),
            "sounds": {split: len(training.split(split)) for split in (TRAIN, VALID)},
            "valid": {"accuracy": history[best].valid_accuracy, "loss": history[best].valid_loss},
            "versions": {"python": platform.python_version(), "numpy": np.__version__, **trainer.versions()},
        },
    )  # fmt: skip
    # the graph before what names it by its digest: a kill between the two leaves a training that is done again
    write_atomic(job.folder(framework) / MODEL, graph)
    write_atomic(job.folder(framework) / DETAILS, details.content())


def _epochs(
    job: LearningJob, framework: Framework, trainer: ClassifierTrainer, training: TrainingSet, watch: Watch
) -> TrainingState:
    folder, digest = make_folder(job.state(framework)), job.digest(framework)
    state = read_state(folder, digest)
    if state is None:
        state = TrainingState(digest, (), trainer.weights(), trainer.weights(), trainer.moments())
    else:
        trainer.set_weights(state.weights)
        trainer.set_moments(state.moments)
    epochs = job.settings.epochs if trainer.iterative else 1
    validated = bool(training.split(VALID))
    for epoch in range(len(state.history), epochs):
        batches = EpochBatches(training, job.frames, job.settings.batch, job.settings.seed, epoch)
        rate = job.settings.learning_rate * decay_factor(epoch / max(1, epochs - 1))
        began = time.monotonic()
        loss, accuracy = trainer.epoch(batches, rate)
        seconds = time.monotonic() - began
        if not math.isfinite(loss):
            raise FileError(
                f"the loss of {framework.name} is not finite in epoch {epoch + 1}: lower train.learning_rate"
            )
        valid_loss, valid_accuracy = _validate(job, trainer, training)
        figures = EpochFigures(loss, accuracy, valid_loss, valid_accuracy, seconds, time.time())
        better = not validated or all(figures.valid_loss <= before.valid_loss for before in state.history)
        weights = trainer.weights()
        state = TrainingState(
            digest, (*state.history, figures), weights, weights if better else state.best, trainer.moments()
        )
        write_state(folder, state)
        if trainer.iterative and job.fold < 0:
            write_log(job.out / TENSORBOARD / framework.name, state.history, validated=validated)
        watch(epoch + 1, figures)
    return state


def _validate(job: LearningJob, trainer: ClassifierTrainer, training: TrainingSet) -> tuple[float, float]:
    """Loss and accuracy of the validation sounds; zeros without any."""
    sounds = training.split(VALID)
    if not sounds:
        return 0.0, 0.0
    answers = average(training, sounds, job.frames, trainer.answers)
    return loss_and_accuracy(answers, training.targets(sounds))


def average(training: TrainingSet, sounds: Sequence[SoundFrames], frames: int, answers: Callable[[F32], F32]) -> F64:
    """Probabilities of whole sounds, `[sounds, labels]`: the mean over the excerpts of each."""
    totals, counts = np.zeros((len(sounds), len(training.labels))), np.zeros(len(sounds))
    for excerpts, places in training.whole(sounds, frames):
        np.add.at(totals, places, answers(excerpts).astype(np.float64))
        np.add.at(counts, places, 1)
    return totals / counts[:, None]


def _export(job: LearningJob, framework: Framework, trainer: ClassifierTrainer, training: TrainingSet) -> bytes:
    """Exports the graph, and verifies it against the framework's answers."""
    with tempfile.TemporaryDirectory(dir=job.out / FOLDER) as folder:
        path = Path(folder) / MODEL
        trainer.export(path)
        graph = path.read_bytes()
    sounds = (training.split(VALID) or training.split(TRAIN))[:COMPARED_EXCERPTS]
    excerpts = np.stack([training.excerpt(sound, 0, job.frames) for sound in sounds])
    own = trainer.answers(excerpts)
    place = job.folder(framework) / MODEL
    session = open_session(place, graph)
    together = compute(session, excerpts, len(training.labels), place)
    alone = compute(session, excerpts[:1], len(training.labels), place)
    check_answers(framework.name, own, together)
    check_answers(framework.name, own[:1], alone)
    return graph


def check_answers(name: str, own: F32, exported: F32) -> None:
    """Compares a framework's answers with its graph's. Raises `FileError`: they differ by more than `TOLERANCE`."""
    worst = float(np.abs(own - exported).max())
    if not worst <= TOLERANCE:
        raise FileError(
            f"the graph that {name} exported gives other answers than {name} itself, by up to {worst:.2g} where "
            f"{TOLERANCE:g} is allowed: it is not installed; other versions of {name} and onnxruntime may help"
        )
