"""What is trained on: every sound once, in its split, and the same excerpts for every framework."""

from collections import Counter

import numpy as np
import pytest
from tests.pipeline.training.conftest import BANDS, LABELS, rows

from antiphon.kernel.errors import FileError
from antiphon_models.datasets.layouts.rules import split_of
from antiphon_models.pipeline.shards import SourceItem
from antiphon_models.pipeline.training.excerpts import SOUNDS, EpochBatches, read_set, shares_of


def test_every_spectrogram_is_there_with_its_label_and_split(set_of) -> None:
    items, made = rows()
    training = set_of(items, made)
    assert training.labels == LABELS
    assert (len(training.sounds), training.omitted) == (60, 0)
    for sound, (name, split, (label,), mel) in zip(training.sounds, made, strict=True):
        assert (sound.name, sound.split, training.labels[sound.labels[0]]) == (name, split, label)
        assert (training.excerpt(sound, 0, sound.frames) == mel).all()


def test_mean_and_deviation_are_those_of_the_training_split_alone(set_of) -> None:
    items, made = rows()
    loud = [(n, s, lab, mel + 100 * (s != "train")) for n, s, lab, mel in made]
    training = set_of(items, loud)
    frames = np.concatenate([mel for _, split, _, mel in made if split == "train"])
    assert training.mean == pytest.approx(frames.mean(axis=0), abs=1e-3)
    assert training.deviation == pytest.approx(frames.std(axis=0), abs=1e-3)


def test_a_sound_in_no_split_gets_that_of_its_group_and_one_without_one_label_is_counted(set_of) -> None:
    items, made = rows()
    mel = made[0][3]
    for name, group, labels in (("a", "song 1", ("calm",)), ("b", "song 1", ("calm", "odd")), ("c", "song 1", ())):
        items.append(SourceItem(name, name, group, "", labels))
        made.append((name, "", labels, mel))
    items.append(SourceItem("d", "d", "d", "test", ("never trained",)))
    made.append(("d", "test", ("never trained",), mel))
    training = set_of(items, made)
    assert training.sounds[-1].name == "a"
    assert training.sounds[-1].split == split_of("song 1")
    assert training.omitted == 3
    assert training.labels == LABELS


def test_the_set_is_written_once_and_again_when_a_shard_changes_or_it_is_damaged(set_of, tmp_path) -> None:
    items, made = rows()
    first = set_of(items, made)
    file = tmp_path / "out/training" / SOUNDS
    before = file.stat().st_mtime_ns
    assert set_of(items, made).shards == first.shards
    assert file.stat().st_mtime_ns == before
    (tmp_path / "out/training/frames.npy").write_bytes(b"\x93NUMPY")
    assert read_set(tmp_path / "out") is None
    assert len(set_of(items, made).mel) == len(first.mel)
    assert set_of(items[1:], made[1:]).shards != first.shards
    assert {path.name for path in (tmp_path / "out/training").iterdir()} == {"frames.npy", SOUNDS}


def test_an_epoch_is_the_same_for_everyone_and_another_one_another(training) -> None:
    def epoch(number: int, seed: int = 1) -> list[tuple[np.ndarray, np.ndarray]]:
        return list(EpochBatches(training, 16, 8, seed, number))

    batches = epoch(0)
    assert sum(len(truth) for _, truth in batches) == sum(s.frames // 16 for s in training.split("train"))
    assert all(mel.shape == (len(truth), 16, BANDS) for mel, truth in batches)
    for (mel, truth), (again, labels) in zip(batches, epoch(0), strict=True):
        assert (mel == again).all()
        assert (truth == labels).all()
    for other in (epoch(1), epoch(0, seed=2)):
        assert not all((a == b).all() for (a, _), (b, _) in zip(batches, other, strict=True))


def test_excerpts_of_whole_sounds_follow_each_other_and_a_short_sound_is_repeated(training) -> None:
    sounds = training.split("test")[:2]
    excerpts, places = next(training.whole(sounds, 16))
    assert places.tolist() == [n for n, sound in enumerate(sounds) for _ in range(sound.frames // 16)]
    assert (excerpts[1] == training.excerpt(sounds[0], 16, 16)).all()
    long = training.excerpt(sounds[0], 0, 100)
    frames = sounds[0].frames
    assert long.shape == (100, BANDS)
    assert (long[frames:] == long[: 100 - frames]).all()


def test_the_share_of_the_test_is_of_every_label_and_splits_no_group() -> None:
    sounds = [(f"{label} {n // 2}", label) for label in "ab" for n in range(40)] + [("lone", "c")] * 3
    splits = shares_of(sounds, 0.2, 0.1)
    counts = Counter((label, splits[group]) for group, label in sounds)
    assert {counts[label, "test"] for label in "ab"} == {8}
    assert {counts[label, "valid"] for label in "ab"} == {4}
    assert splits["lone"] == "train"


def test_a_fold_tests_every_sound_once_by_what_was_trained_without_its_group(set_of) -> None:
    training = set_of(*rows())
    tested: Counter[str] = Counter()
    for number in range(4):
        fold = training.fold(number, 4)
        tested.update(sound.name for sound in fold.split("test"))
        groups = [{sound.group for sound in fold.split(split)} for split in ("train", "valid", "test")]
        assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
        assert {sound.labels for sound in fold.split("test")} == {(0,), (1,), (2,)}
        frames = np.concatenate([fold.excerpt(sound, 0, sound.frames) for sound in fold.split("train")])
        assert fold.mean == pytest.approx(frames.mean(axis=0), abs=1e-3)
    assert set(tested.values()) == {1}
    assert len(tested) == 60
    with pytest.raises(FileError, match="only 60 groups of sounds: lower it"):
        training.fold(0, 61)
