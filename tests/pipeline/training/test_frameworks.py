"""All five steps with all four frameworks, on rendered tones; it needs the extras."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.waiting import until

from antiphon.offline import analyses as registered
from antiphon.offline.analyses import analyse_file
from antiphon_classify.classifier_session import MODEL, ClassifierFile, read_details
from antiphon_models.pipeline.running import run
from antiphon_models.pipeline.settings import FRAMEWORKS, load, missing
from antiphon_models.pipeline.training.excerpts import read_set
from antiphon_models.pipeline.training.learning import FILE as LOG_FILE, read_state

MISSING = [name for framework in FRAMEWORKS.values() if (name := missing(framework))]
MISSING += [name for name in ("apache_beam", "pyarrow", "tensorboard") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}: make test-real installs it"),
]
RATE, EPOCHS = 8000, 4
PARTIALS = {"flute": [1], "reed": [1, 3, 5, 7], "string": [1, 2, 3, 4, 5, 6]}
TOML = f"""name = "tones"
out = "OUT"
[gather]
dataset = "folder"
path = "sounds"
[preprocess]
rate = {RATE}
high = 4000
window = 512
hop = 256
bands = 24
seconds = 2
shards = 3
[train]
frameworks = FRAMEWORKS
seconds = 0.5
epochs = {EPOCHS}
width = 8
learning_rate = 0.005
"""

FIVE = ("gather", "preprocess", "train", "evaluate", "deploy")


def tone(path: Path, label: str, rng: np.random.Generator) -> Path:
    """Two seconds of a tone of partials: odd ones of equal weight, all with falling ones, or the first alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(2 * RATE) / RATE
    pitch = rng.uniform(150, 450)
    wave = sum(np.sin(2 * np.pi * pitch * n * t + rng.uniform(0, 6)) / n**0.5 for n in PARTIALS[label])
    soundfile.write(path, rng.uniform(0.05, 0.2) * wave + rng.normal(0, 1e-3, len(t)), RATE)
    return path


def written(folder: Path, out: str, frameworks: str) -> Path:
    path = folder / f"{out}.toml"
    path.write_text(TOML.replace("OUT", out).replace("FRAMEWORKS", frameworks))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(5)
    for label in PARTIALS:
        for n in range(40):
            tone(made / f"sounds/{label}/{label}{n}x.wav", label, rng)
    return made


def test_four_frameworks_train_the_same_classifier_and_the_best_is_an_analysis(folder: Path) -> None:
    settings = load(written(folder, "all", '["sklearn", "torch", "keras", "fastai"]'))
    report = run(settings, FIVE, workers=1)
    assert report.training.trained == tuple(FRAMEWORKS)
    rows = {row.framework: row for row in report.training.evaluation}
    assert list(rows) == ["majority", *FRAMEWORKS]
    assert all(rows[name].accuracy >= 0.85 > rows["majority"].accuracy for name in FRAMEWORKS)

    # the same layers, and after the same batches nearly the same answers
    training = read_set(settings.out)
    classifiers = {name: ClassifierFile(settings.out / "classifiers" / name) for name in FRAMEWORKS}
    excerpts, _ = next(training.whole(training.split("test"), classifiers["torch"].details.frames))
    answers = {name: classifier.probabilities(excerpts) for name, classifier in classifiers.items()}
    assert answers["fastai"] == pytest.approx(answers["torch"], abs=1e-3)
    assert answers["keras"] == pytest.approx(answers["torch"], abs=2e-2)
    assert len({classifiers[name].details.about["parameters"] for name in ("torch", "keras", "fastai")}) == 1

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for name in ("torch", "keras", "fastai"):
        for part in ("train", "valid"):
            log = EventAccumulator(str(settings.out / "tensorboard" / name / part))
            assert (settings.out / "tensorboard" / name / part / LOG_FILE).is_file()
            log.Reload()
            for tag in ("loss", "accuracy"):
                assert [event.step for event in log.Scalars(tag)] == list(range(1, EPOCHS + 1))

    assert report.training.installed.name == "tones"
    registered._registry.cache_clear()
    rng = np.random.default_rng(6)
    found = [
        analyse_file(bytes(tone(folder / "new.wav", label, rng)), ["tones"])["tones"][1]["tones"] == label
        for label in PARTIALS
        for _ in range(3)
    ]
    assert sum(found) >= 7
    registered._registry.cache_clear()

    again = run(settings, FIVE, workers=1)
    assert (again.computed, again.training.trained) == (0, ())


def test_a_training_that_was_killed_gives_the_same_classifier_as_one_that_was_not(folder: Path) -> None:
    whole = load(written(folder, "all", '["keras"]'))
    run(whole, FIVE[:3], workers=1)
    path = written(folder, "killed", '["keras"]')
    out = load(path).out
    command = [sys.executable, "-m", "antiphon", "pipeline", "run", str(path), "--steps", "gather,preprocess,train"]
    process = subprocess.Popen([*command, "--workers", "1"], start_new_session=True)
    until(lambda: (out / "training/keras/checkpoint.safetensors").exists(), 300, "no epoch is done")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    run(load(path), ("train",))
    details = [read_details(settings.out / "classifiers/keras") for settings in (whole, load(path))]
    assert details[0].about["epochs"] == details[1].about["epochs"] == EPOCHS
    assert details[0].about["training"] == details[1].about["training"]
    # the graph's bytes are not compared: tf2onnx numbers its nodes in an order that changes from process to process
    states = [
        read_state(settings.out / "training/keras", details[0].about["training"]) for settings in (whole, load(path))
    ]
    assert states[0].best.keys() == states[1].best.keys()
    assert all((states[0].best[name] == states[1].best[name]).all() for name in states[0].best)
    assert not list(out.rglob("*.part")) + list(out.rglob(f".{MODEL}*"))
