"""The pipeline without Beam: its file, the list of sounds, and what a spectrogram is."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import accepted
from tests.datasets.trees import TREES, sound

from antiphon.files.decode_process import FileStalled
from antiphon.kernel.errors import FileError, UsageError
from antiphon.signal.mel import LogMel, MelSettings
from antiphon_library.scanning import identify_and_analyse
from antiphon_models.pipeline import running
from antiphon_models.pipeline.apart import ParentLink, run_in_child
from antiphon_models.pipeline.running import shard_tasks
from antiphon_models.pipeline.settings import PreprocessSettings, chosen_steps, following, load
from antiphon_models.pipeline.shards import ITEMS, file_digest, gather, read_again, read_items, shard_of, sounds_of

pytestmark = pytest.mark.slow

TOML = 'name = "two"\n[gather]\ndataset = "folder"\npath = "sounds"\n'


def written(folder: Path, text: str = TOML) -> Path:
    path = folder / "pipeline.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = load(written(tmp_path))
    assert settings.out == tmp_path / "two"
    assert settings.gather.path == tmp_path / "sounds"
    assert settings.preprocess == PreprocessSettings()


def test_a_file_that_says_what_cannot_be_is_refused(tmp_path: Path) -> None:
    def refused(text: str) -> str:
        return accepted.refusal(lambda: load(written(tmp_path, text))).replace(f"{tmp_path}/", "")

    accepted.compare(__file__, refused)
    for bands, why in ((f"1{'0' * 400}", "not a number of more than 64"), (f"1{'0' * 5000}", "is not TOML")):
        assert why in refused(f"{TOML}[preprocess]\nbands = {bands}\n")
    assert "preprocess.bands': takes whole numbers" in refused(f"{TOML}[preprocess]\nbands = 0x{'f' * 5000}\n")


def test_steps_come_in_their_order_and_each_needs_those_before_it(tmp_path: Path) -> None:
    assert chosen_steps("preprocess, gather") == ("gather", "preprocess")
    with pytest.raises(UsageError, match="there is no step 'teach'; the steps are gather"):
        chosen_steps("teach")
    with pytest.raises(FileError, match="run the step gather first"):
        read_items(load(written(tmp_path)))


def test_the_list_is_the_same_however_often_it_is_made_and_holds_no_faulty_item(tmp_path: Path) -> None:
    TREES["fma"][0](tmp_path / "sounds")
    settings = load(written(tmp_path, TOML.replace("folder", "fma")))
    items = gather(settings)
    before = (settings.out / ITEMS).read_bytes()
    assert [item.name for item in items] == ["000002", "000005", "000010"]
    assert [json.loads(line)["split"] for line in before.splitlines()] == ["train", "valid", "test"]
    assert gather(settings) == items == read_items(settings)
    assert (settings.out / ITEMS).read_bytes() == before


def test_an_item_that_is_added_changes_its_own_shard_alone(tmp_path: Path) -> None:
    for n in range(20):
        sound(tmp_path / f"sounds/a/song {n}.wav", 10)
    settings = load(written(tmp_path))
    before = {task.number: task.digest() for task in shard_tasks(settings, gather(settings))}
    sound(tmp_path / "sounds/a/another.wav", 10)
    after = {task.number: task.digest() for task in shard_tasks(settings, gather(settings))}
    changed = {number for number in after if before.get(number) != after[number]}
    assert changed == {shard_of("a/another.wav", settings.preprocess.shards)}


def test_a_sound_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "sounds/a").mkdir(parents=True)
    (tmp_path / "sounds/a/text.wav").write_text("no sound")
    settings = load(written(tmp_path))
    (item,) = gather(settings)
    (task,) = shard_tasks(settings, [item])
    task.dead.parent.mkdir(parents=True)
    for name, wanted in (("a/text.wav", "it does not begin"), ("7", "a/text.wav: it does not begin")):
        dead: list[dict[str, str]] = []
        named = replace(task, items=(replace(item, name=name),))
        assert not list(sounds_of(named, lambda path: identify_and_analyse(os.fsencode(path), ["tempo"]), dead))
        task.dead.write_text(json.dumps(dead[0]))
        assert running._dead([task])[name].startswith(wanted)


def test_a_sound_shorter_than_a_window_has_one_frame_and_silence_is_at_the_floor() -> None:
    assert LogMel(MelSettings()).compute(np.zeros(10, np.float32)) == pytest.approx(np.full((1, 64), -100.0), abs=1e-4)


def test_a_file_from_which_nothing_comes_is_read_again_and_a_bad_one_is_not() -> None:
    tries: list[int] = []

    def stalls(often: int, then: type[Exception]) -> int:
        tries.append(1)
        if len(tries) <= often:
            raise then("nothing came")
        return 7

    assert read_again(lambda: stalls(2, FileStalled)) == 7
    tries.clear()
    with pytest.raises(FileStalled):
        read_again(lambda: stalls(3, FileStalled))
    tries.clear()
    with pytest.raises(FileError):
        read_again(lambda: stalls(1, FileError))
    assert len(tries) == 1


def test_a_pipe_among_the_sounds_is_refused_before_anything_is_read_from_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.wav")
    with pytest.raises(FileError, match="it is not an ordinary file"):
        file_digest(tmp_path / "endless.wav")


def counts(link: ParentLink, most: int) -> None:
    for number in range(most):
        link.send("number", number)


def fails(link: ParentLink, how: str) -> None:
    print("some last words", flush=True)
    if how == "refusal":
        raise UsageError("so it is not to be had")
    if how == "fault":
        raise ZeroDivisionError("of nothing")
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_it_sends_comes_in_order(tmp_path: Path) -> None:
    sent: list[object] = []
    run_in_child(counts, (3,), tmp_path / "log", "counts", lambda *values: sent.append(values))
    assert sent == [("number", 0), ("number", 1), ("number", 2)]


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("refusal", "^so it is not to be had$"),
        ("fault", "^the process that fails has failed: ZeroDivisionError: of nothing; .*log has the rest$"),
        ("kill", "^the process that fails has ended; .*log has what it printed$"),
    ],
)
def test_however_it_ends_there_is_a_sentence(tmp_path: Path, how: str, sentence: str) -> None:
    with pytest.raises(FileError, match=sentence):
        run_in_child(fails, (how,), tmp_path / "log", "fails")
    assert "some last words" in (tmp_path / "log").read_text()


def test_the_steps_that_are_left() -> None:
    for steps, left in (
        ("gather,preprocess", ("train", "evaluate", "deploy")),
        ("gather", ("preprocess", "train", "evaluate", "deploy")),
        ("train,predict", ("evaluate", "deploy")),
        ("deploy", ()),
        ("stems,analyse,predict", ()),
    ):
        assert following(steps.split(",")) == left
