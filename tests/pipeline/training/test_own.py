"""The performer's own classifiers: folders that are analyses, and folders that are none."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.offline import analyses as registered
from antiphon.offline.analyses import analyse_file, analyses, named_analyses

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper

from antiphon_classify.classifier_session import OwnClassifier

BANDS, FRAMES, RATE, HOP, WINDOW = 8, 10, 8000, 128, 256
LABELS = ["low", "high"]


def graph(outputs: int = 2, halves_in: str = "") -> bytes:
    """Which half of the bands has more energy: the softmax of the means of both; its numbers may be in another file."""
    halves = np.zeros((BANDS, outputs), np.float32)
    halves[: BANDS // 2, 0] = halves[BANDS // 2 :, 1] = 2 / BANDS
    tensor = numpy_helper.from_array(halves, "halves")
    if halves_in:
        onnx.external_data_helper.set_external_data(tensor, halves_in)
        tensor.ClearField("raw_data")
    nodes = [
        helper.make_node("ReduceMean", ["excerpts"], ["bands"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["bands", "halves"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes,
        "halves",
        [value("excerpts", TensorProto.FLOAT, ["n", FRAMES, BANDS])],
        [value("probabilities", TensorProto.FLOAT, ["n", outputs])],
        [tensor],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def write(folder: Path, model: bytes, **change: object) -> Path:
    from antiphon_classify.classifier_session import digest_of

    about = {
        "version": 1,
        "name": folder.name,
        "framework": "none",
        "labels": LABELS,
        "frames": FRAMES,
        "mel": {"rate": RATE, "window": WINDOW, "hop": HOP, "bands": BANDS, "low": 30.0, "high": 4000.0},
        "digest": digest_of(model),
        **change,
    }
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model)
    (folder / "classifier.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def classifiers(antiphon_home: Path):
    registered._registry.cache_clear()
    yield antiphon_home / "data/classifiers"
    registered._registry.cache_clear()


def tone(path: Path, hertz: float, seconds: float = 2.0, rate: int = RATE) -> Path:
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate), rate)
    return path


def test_a_folder_is_an_analysis_of_its_name(classifiers: Path, tmp_path: Path) -> None:
    write(classifiers / "halves", graph())
    for hertz, label in ((200, "low"), (3000, "high")):
        path = tone(tmp_path / f"{hertz}.wav", hertz, rate=22050)
        version, values, problem = analyse_file(bytes(path), ["halves"])["halves"]
        assert (values["halves"], problem) == (label, "")
        assert values["halves_confidence"] == max(values["halves_probabilities"]) > 0.9
        assert sum(values["halves_probabilities"]) == pytest.approx(1, abs=1e-5)
    shutil.rmtree(classifiers / "halves")
    write(classifiers / "halves", graph() + b"")
    assert OwnClassifier(classifiers / "halves").version == version
    shutil.rmtree(classifiers / "halves")
    write(classifiers / "halves", graph().replace(b"halves", b"halfes"))
    assert OwnClassifier(classifiers / "halves").version != version


def test_it_is_served_by_its_name_and_found_by_label(classifiers: Path, tmp_path: Path) -> None:
    from antiphon_classify import classification
    from antiphon_library.analysing import analyse
    from antiphon_library.catalogue import Catalogue
    from antiphon_library.scanning import add
    from antiphon_library.searching import LabelSearch

    write(classifiers / "halves", graph())
    (described,) = [each for each in classification.classifier_list() if each["name"] == "halves"]
    assert described["labels"] == LABELS
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    answer = classification.classify("halves", tone(sounds / "high.wav", 3000))
    assert answer["labels"] == answer["halves_labels"]
    assert [label for label, _ in answer["labels"]] == ["high", "low"]
    tone(sounds / "low.wav", 200)
    with Catalogue(tmp_path / "root") as catalogue:
        add(catalogue, [sounds], lambda *_: None)
        analyse(catalogue, ["loudness"], (), lambda *_: None)
        analyse(catalogue, ["loudness", "halves"], (), lambda *_: None)
        search = LabelSearch(["low"], None)
        found = {row.path.rsplit(b"/")[-1]: search.confidence(row.values) for row in catalogue.rows()}
    assert found == {b"low.wav": pytest.approx(1.0, abs=0.1), b"high.wav": None}


def test_folders_that_are_no_classifiers_give_a_reason_and_leave_the_others(classifiers: Path, tmp_path: Path) -> None:
    write(classifiers / "good", graph())
    (classifiers / "empty").mkdir()
    write(classifiers / "garbled", graph())
    (classifiers / "garbled/classifier.json").write_text("[" * 100_000)
    write(classifiers / "exchanged", graph(), digest="0" * 40)
    write(classifiers / "three", graph(3))
    write(classifiers / "no-graph", b"not ONNX at all")
    write(classifiers / "elsewhere", graph(halves_in="../secret"))
    write(classifiers / "many", graph(), labels=[str(n) for n in range(20_000)])
    write(classifiers / ".hidden", graph())
    (classifiers / "file").write_text("no folder")
    assert "good" in analyses()
    assert not {"empty", "garbled", "many", ".hidden", "file"} & set(analyses())
    for name, reason in (("empty", "cannot read .*classifier.json"), ("many", "it has 20000 labels"), ("garbled", "")):
        with pytest.raises(Exception, match=f"the analysis '{name}' cannot be made: .*{reason}"):
            named_analyses([name])
    path = tone(tmp_path / "a.wav", 200)
    results = analyse_file(bytes(path), ["good", "exchanged", "three", "no-graph", "elsewhere"])
    assert results["good"][1] is not None
    for name, reason in (
        ("exchanged", "is not the file that classifier.json names by its digest"),
        ("three", "does not give a probability for each of its 2 labels"),
        ("no-graph", "it is no ONNX model"),
        ("elsewhere", "it keeps numbers in another file"),
    ):
        assert results[name][1] is None
        assert reason in results[name][2]


def test_the_shipped_analyses_keep_their_names(classifiers: Path) -> None:
    write(classifiers / "loudness", graph())
    assert not isinstance(analyses()["loudness"], OwnClassifier)
