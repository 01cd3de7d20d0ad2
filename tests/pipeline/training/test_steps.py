"""Settings, frameworks that are missing, the table, and what is installed."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from msgspec import structs
from tests.pipeline.test_pipeline import TOML, written
from tests.pipeline.training.test_learning import silent

from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime import extras
from antiphon_classify.classifier_session import DETAILS, MODEL, read_details
from antiphon_models.pipeline.running import run
from antiphon_models.pipeline.settings import FRAMEWORKS, choose_frameworks, load
from antiphon_models.pipeline.training import steps
from antiphon_models.pipeline.training.evaluation import evaluate, notes_of, picture, read_table, score, table
from antiphon_models.pipeline.training.learning import learn
from antiphon_models.pipeline.training.steps import check_name, deploy, install


def test_an_excerpt_is_no_longer_than_what_is_kept_of_a_sound(tmp_path: Path) -> None:
    assert load(written(tmp_path, f"{TOML}[preprocess]\nseconds = 1\n")).train.seconds == 1.0
    huge = f"{TOML}[preprocess]\nseconds = 600\nhop = 16\nbands = 512\n"
    with pytest.raises(FileError, match="is 600, 826812 frames of 512 bands; 4194304 numbers are allowed"):
        load(written(tmp_path, f"{huge}[train]\nseconds = 600\n"))


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    find = importlib.util.find_spec
    gone = lambda name: None if name in modules else find(name) or find("json")  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", gone)


def test_a_framework_that_is_missing_is_named_with_what_installs_it(tmp_path: Path, monkeypatch) -> None:
    without(monkeypatch, "tensorflow")
    needs_keras = r"keras needs tensorflow, .*; `pip install 'antiphon-lab\[keras\]'` installs it"
    with pytest.raises(UsageError, match=needs_keras):
        choose_frameworks(["torch", "keras"])
    assert [framework.name for framework in choose_frameworks([])] == ["sklearn", "torch", "fastai"]
    without(monkeypatch, "onnxruntime")
    none = r"no framework to train with is installed; `pip install 'antiphon-lab\[torch\]'`"
    with pytest.raises(UsageError, match=none):
        choose_frameworks([])
    with pytest.raises(UsageError, match="playing classifiers needs onnxruntime, which is not installed"):
        run(load(written(tmp_path)), ("evaluate",))
    without(monkeypatch, "pyarrow")
    with pytest.raises(UsageError, match="reading shards needs pyarrow, which is not installed"):
        run(load(written(tmp_path)), ("train",))


def test_the_table_has_the_figures_of_known_answers() -> None:
    truth, answers = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0])
    row = score("x", np.eye(4)[answers], truth, "abcd")
    assert row.accuracy == pytest.approx(4 / 6)
    assert row.standard_error == pytest.approx(np.sqrt(4 / 6 * 2 / 6 / 6))
    assert row.macro_f1 == pytest.approx((4 / 6 + 4 / 5 + 0 + 0) / 4)
    assert "0.667 ± 0.192" in table([row])


def test_average_precision_is_that_of_known_answers() -> None:
    truth = np.array([[1, 0], [0, 0], [1, 0], [0, 0]], np.float32)
    row = score("x", np.array([[0.9, 0.1], [0.8, 0.1], [0.7, 0.1], [0.1, 0.1]]), truth, "ab")
    assert row.precisions == {"a": pytest.approx((1 + 2 / 3) / 2, abs=1e-4)}
    assert score("x", np.full((4, 2), 0.3), truth, "ab").accuracy == pytest.approx(0.5)


@pytest.fixture
def trained(job, training):
    """The baseline, trained."""
    for module in extras.FRAMEWORKS["sklearn"]:
        pytest.importorskip(module)
    learn(job, FRAMEWORKS["sklearn"], training, silent)
    return job


def test_evaluate_measures_what_is_there_beside_the_majority(trained, training) -> None:
    rows = evaluate(trained, list(FRAMEWORKS.values()), training)
    assert [row.framework for row in rows] == ["majority", "sklearn"]
    assert (rows[0].accuracy, rows[0].n) == (pytest.approx(1 / 3), 12)
    assert rows[1].accuracy > 0.9
    assert rows[1].kilobytes > 1
    assert rows[1].milliseconds > 0
    assert read_table(trained.out) == rows
    notes = notes_of(trained, rows, training)
    assert notes[0] == "the training's splits: train 36, valid 12, test 12"
    assert notes[1] == "majority: 'calm', which 33% of the 36 training sounds have"
    assert notes[2].startswith("the test is small, 12 sounds: a share of them is uncertain by ± 0.25, of 97 by ± 0.10")
    assert notes[3].startswith("the validation is small, 12 sounds")
    assert notes[4].splitlines()[2].split() == ["calm", "4", ".", "."]
    image = picture(np.array(rows[1].confusion), training.labels)
    assert (trained.out / "confusion-sklearn.svg").read_text() == image
    assert notes[5] == f"pictures: {trained.out}/confusion-sklearn.svg"
    cells = [path.attrib for path in ElementTree.fromstring(image).iter("{http://www.w3.org/2000/svg}path")]
    assert {cell["opacity"] for cell in cells[::4]} == {"1.00"}, "right answers on the diagonal"
    assert {cell["opacity"] for n, cell in enumerate(cells) if n % 4} == {"0.06"}, "and none beside"


def test_folds_are_trained_each_in_a_folder_and_tested_together(trained, training) -> None:
    job = replace(trained, settings=structs.replace(trained.settings, folds=3))
    sklearn = FRAMEWORKS["sklearn"]
    assert evaluate(job, [sklearn], training)[-1].folds == 0
    for fold in range(3):
        learn(replace(job, fold=fold), sklearn, training.fold(fold, 3), silent)
    row = evaluate(job, [sklearn], training)[-1]
    assert (row.framework, row.folds, row.n) == ("sklearn", 3, 60)
    assert row.accuracy > 0.9
    assert (trained.out / "confusion-sklearn-folds.svg").is_file()


def test_folds_that_leave_one_label_to_train_on_are_refused(training) -> None:
    training.check_folds(3)
    songs = tuple(replace(sound, group=str(sound.labels)) for sound in training.sounds)
    with pytest.raises(FileError, match=r"fold 1 leaves fewer than two labels .* only 3 groups"):
        replace(training, sounds=songs).check_folds(3)


def test_evaluate_and_deploy_need_a_classifier_of_these_settings(trained, training) -> None:
    other = replace(trained, settings=structs.replace(trained.settings, epochs=5))
    for step in (
        lambda: evaluate(other, list(FRAMEWORKS.values()), training),
        lambda: deploy(other, "mine", "", list(FRAMEWORKS.values())),
    ):
        with pytest.raises(FileError, match="has no classifier of these settings and shards: run the step train first"):
            step()
    with pytest.raises(FileError, match="no classifier of torch of these settings"):
        deploy(trained, "mine", "torch", list(FRAMEWORKS.values()))


def test_the_best_on_the_validation_split_is_installed_under_its_new_name(trained, antiphon_home) -> None:
    source, better = trained.folder(FRAMEWORKS["sklearn"]), trained.folder(FRAMEWORKS["torch"])
    better.mkdir()
    (better / MODEL).write_bytes((source / MODEL).read_bytes())
    about = json.loads((source / DETAILS).read_text())
    about |= {"framework": "torch", "training": trained.digest(FRAMEWORKS["torch"])}
    for accuracy, wanted in ((0.5, "sklearn"), (1.1, "torch")):
        about["valid"]["accuracy"] = accuracy
        (better / DETAILS).write_text(json.dumps(about))
        installed = deploy(trained, "mine", "", list(FRAMEWORKS.values()))
        assert installed.framework == wanted
        details = read_details(antiphon_home / "data/classifiers/mine")
        assert (details.name, details.framework) == ("mine", wanted)
    assert deploy(trained, "mine", "sklearn", list(FRAMEWORKS.values())).framework == "sklearn"
    assert {path.name for path in (antiphon_home / "data/classifiers").iterdir()} == {"mine"}


def test_what_cannot_be_written_leaves_the_classifier_of_before(trained, tmp_path, monkeypatch) -> None:
    source, place = trained.folder(FRAMEWORKS["sklearn"]), tmp_path / "classifiers/mine"
    install(source, place, "mine")
    before = {path.name: path.read_bytes() for path in place.iterdir()}

    def fail(path: Path, content: bytes) -> None:
        if path.name == DETAILS:
            raise FileError("no room")
        path.write_bytes(content)

    def refuse(path: Path, target: Path) -> Path:
        if path.name.endswith(".new"):
            raise PermissionError("no renaming")
        return rename(path, target)

    rename = Path.rename
    for part, name, fault in ((steps, "write_atomic", fail), (Path, "rename", refuse)):
        with monkeypatch.context() as patch:
            patch.setattr(part, name, fault)
            with pytest.raises(FileError, match="no "):
                install(source, place, "another")
        assert {path.name: path.read_bytes() for path in place.iterdir()} == before
        assert [path.name for path in place.parent.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("../up", "is not a type name"), ("a b", "write deploy.name"), ("music", "there is an analysis 'music' already")],
)
def test_a_name_that_is_none_or_anothers_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(FileError, match=sentence):
        check_name(name)
