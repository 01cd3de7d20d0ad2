"""A training: it goes on where it was killed, with the same bits, and its graph gives the framework's own answers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from tests.pipeline.training.conftest import MEL, SETTINGS, several

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import extras
from antiphon_classify.classifier_session import DETAILS, MODEL, ClassifierFile, read_details
from antiphon_models.learning.checkpoint import FILE
from antiphon_models.pipeline.settings import FRAMEWORKS
from antiphon_models.pipeline.training import learning
from antiphon_models.pipeline.training.evaluation import evaluate
from antiphon_models.pipeline.training.excerpts import EpochBatches
from antiphon_models.pipeline.training.learning import LearningJob, average, is_trained, learn, read_state
from antiphon_models.pipeline.training.trainer import NetworkShape, TrainerTask, make_trainer


def need(name: str) -> None:
    for module in extras.FRAMEWORKS[name]:
        pytest.importorskip(module)


def silent(*_) -> None:
    pass


def accuracy(job, training, name: str) -> float:
    sounds = training.split("test")
    answers = average(training, sounds, job.frames, ClassifierFile(job.folder(FRAMEWORKS[name])).probabilities)
    return float((answers.argmax(axis=1) == training.targets(sounds)).mean())


@pytest.mark.parametrize("name", ["sklearn", "torch"])
def test_sounds_with_several_labels_are_learnt_label_by_label(set_of, tmp_path: Path, name: str) -> None:
    need(name)
    training = set_of(*several())
    job = LearningJob("several", tmp_path / "out", structs.replace(SETTINGS, epochs=20), MEL, training.shards)
    learn(job, FRAMEWORKS[name], training, silent)
    majority, row = evaluate(job, [FRAMEWORKS[name]], training)
    assert row.accuracy > 0.9 > majority.accuracy
    assert (list(row.precisions), row.confusion) == (list(training.labels), ())
    answers = ClassifierFile(job.folder(FRAMEWORKS[name])).probabilities(
        training.excerpt(training.sounds[1], 0, 16)[None]
    )
    assert answers.max() < 0.5, "a sound without a label gets none"


@pytest.mark.parametrize("name", ["sklearn", "torch"])
def test_a_training_ends_with_a_graph_that_knows_the_labels(job, training, name: str) -> None:
    need(name)
    framework = FRAMEWORKS[name]
    learn(job, framework, training, silent)
    assert is_trained(job, framework)
    assert accuracy(job, training, name) > 0.9
    details = read_details(job.folder(framework))
    assert (details.labels, details.frames, details.mel) == (training.labels, 16, job.mel)
    assert details.about["shards"] == training.shards
    assert details.about["sounds"] == {"train": 36, "valid": 12}
    assert 0 <= details.about["valid"]["accuracy"] <= 1


@pytest.mark.parametrize("labels", [2, 3])
def test_the_baselines_graph_gives_its_own_answers_for_two_labels_and_more(set_of, tmp_path, labels: int) -> None:
    need("sklearn")
    from tests.pipeline.training.conftest import BANDS, rows

    items, made = rows()
    training = set_of(items[: 20 * labels], made[: 20 * labels])
    shape = NetworkShape(16, BANDS, labels, 4)
    trainer = make_trainer(FRAMEWORKS["sklearn"], TrainerTask(shape, training.mean, training.deviation, 1, 1))
    fitted = trainer._model
    loss, right = trainer.epoch(EpochBatches(training, 16, 8, 1, 0), 0.01)
    assert loss < 0.1
    assert right > 0.95
    mel = np.concatenate([excerpts for excerpts, _ in training.whole(training.split("valid"), 16)])
    standard = (trainer._features(mel) - trainer._weights["mean"]) / trainer._weights["deviation"]
    answers = trainer.answers(mel)
    assert answers == pytest.approx(fitted.predict_proba(standard), abs=1e-5)
    trainer.export(tmp_path / "graph.onnx")
    session = learning.open_session(tmp_path / "graph.onnx", (tmp_path / "graph.onnx").read_bytes())
    assert learning.compute(session, mel, labels, tmp_path) == pytest.approx(answers, abs=1e-4)


class Killed(Exception):
    pass


def test_a_training_that_was_killed_goes_on_with_the_same_bits(job, training, tmp_path: Path) -> None:
    need("torch")
    torch = FRAMEWORKS["torch"]
    learn(job, torch, training, silent)
    other = replace(job, out=tmp_path / "other")
    seen = []

    def watch(epoch: int, _) -> None:
        seen.append(epoch)
        if seen == [1]:
            raise Killed

    with pytest.raises(Killed):
        learn(other, torch, training, watch)
    assert not is_trained(other, torch)
    learn(other, torch, training, watch)
    assert seen == [1, 2, 3], "the first epoch is not done again"
    assert (other.folder(torch) / MODEL).read_bytes() == (job.folder(torch) / MODEL).read_bytes()
    history = [read_state(j.out / "training/torch", j.digest(torch)).history for j in (job, other)]
    assert [f.loss for f in history[0]] == [f.loss for f in history[1]]


def test_a_damaged_checkpoint_and_one_of_other_settings_begin_anew(job, training) -> None:
    need("sklearn")
    sklearn = FRAMEWORKS["sklearn"]
    learn(job, sklearn, training, silent)
    folder, digest = job.out / "training/sklearn", job.digest(sklearn)
    assert read_state(folder, digest) is not None
    assert read_state(folder, replace(job, settings=structs.replace(job.settings, seed=2)).digest(sklearn)) is None
    assert not is_trained(replace(job, settings=structs.replace(job.settings, seed=2)), sklearn)
    (folder / FILE).write_bytes((folder / FILE).read_bytes()[:50])
    assert read_state(folder, digest) is None
    learn(job, sklearn, training, silent)
    assert read_state(folder, digest) is not None


def test_a_graph_with_other_answers_is_refused_and_not_written(job, training, monkeypatch) -> None:
    need("sklearn")
    compute = learning.compute
    monkeypatch.setattr(learning, "compute", lambda *given: compute(*given) + np.float32(2e-4))
    with pytest.raises(FileError, match=r"the graph that sklearn exported gives other answers .* by up to 0.0002"):
        learn(job, FRAMEWORKS["sklearn"], training, silent)
    assert not job.folder(FRAMEWORKS["sklearn"]).exists()
    monkeypatch.undo()
    assert not is_trained(job, FRAMEWORKS["sklearn"])


FAULTS: list[tuple[dict[str, object], str]] = [
    ({"labels": ["one"]}, "it has 1 labels; 2 to"),
    ({"labels": ["a", "a"]}, "it has 2 labels; 2 to .* each once"),
    ({"labels": ["a", "b\x1b[31m"]}, "names and labels are texts"),
    ({"frames": 10**9}, "frames is 1000000000; 1 to"),
    ({"frames": True}, "frames is True"),
    ({"mel": {}}, "KeyError"),
    ({"mel": 3}, "TypeError"),
    ({"version": 2}, "its version is 2, and 1 is read"),
    ({"digest": 5}, "names and labels are texts"),
]
"""Changes of a classifier's details, and what is said of each."""


def test_what_a_classifiers_json_cannot_say_is_refused(job, training) -> None:
    need("sklearn")
    learn(job, FRAMEWORKS["sklearn"], training, silent)
    path = job.folder(FRAMEWORKS["sklearn"]) / DETAILS
    whole = json.loads(path.read_text())
    for change, sentence in FAULTS:
        path.write_text(json.dumps({**whole, **change}))
        with pytest.raises(FileError, match=f"classifier.json is not of a classifier: .*{sentence}"):
            read_details(path.parent)


def test_the_epoch_of_the_least_validation_loss_is_exported_and_the_last_without_a_validation(
    job, training, set_of, monkeypatch
) -> None:
    need("torch")
    torch = FRAMEWORKS["torch"]
    losses = iter([0.5, 0.2, 0.3])
    monkeypatch.setattr(learning, "_validate", lambda *_: (next(losses), 0.9))
    learn(job, torch, training, silent)
    assert read_details(job.folder(torch)).about["epoch"] == 2
    state = read_state(job.out / "training/torch", job.digest(torch))
    assert not all((state.best[name] == state.weights[name]).all() for name in state.best), "the second, not the third"
    from tests.pipeline.training.conftest import rows

    items, made = rows()
    alone = [n for n, item in enumerate(items) if item.split != "valid"]
    other = set_of([items[n] for n in alone], [made[n] for n in alone], job.out.with_name("unvalidated"))
    without = replace(job, out=job.out.with_name("unvalidated"), shards=other.shards)
    monkeypatch.undo()
    learn(without, torch, other, silent)
    assert read_details(without.folder(torch)).about["epoch"] == 3
    state = read_state(without.out / "training/torch", without.digest(torch))
    assert all((state.best[name] == state.weights[name]).all() for name in state.best)
