"""Data sets in their authors' layouts: counted, and what is missing, damaged or known to be faulty is named."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st
from tests.datasets.trees import TREES, cut, score, sound

from antiphon.cli.commands import application
from antiphon.kernel.errors import FileError
from antiphon_models.datasets.checking import check
from antiphon_models.datasets.examination import find_file_fault
from antiphon_models.datasets.layouts import NAMES, layout_of

runner = CliRunner()
app = application()


def test_every_data_set_has_a_tree() -> None:
    assert set(TREES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_data_set_is_whole_and_split_as_published(name: str, tmp_path: Path) -> None:
    make, published = TREES[name]
    make(tmp_path)
    report = check(name, tmp_path, thorough=name not in ("gtzan", "pop909"))
    known = set(report.faulty)
    assert not report.missing
    assert {
        file for file in report.damaged if not any(fault in file or file.endswith("6.mp3") for fault in known)
    } == set()
    assert len(known) == {
        "gtzan": 70,
        "fma": 1,
        "msd": 1,
        "magnatagatune": 1,
        "slakh": 1,
        "giantsteps-key": 1,
    }.get(name, 0)
    if published:
        assert {split: n for split, n in report.splits.items() if split} == published
    else:
        assert sum(report.splits.values()) == report.items - len(known)
        assert "made here" in report.split_by
        assert not report.shared


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"gtzan", "pop909"}))
def test_a_file_that_is_cut_or_empty_is_damaged(name: str, tmp_path: Path) -> None:
    TREES[name][0](tmp_path)
    item = next(item for item in layout_of(name).listing(tmp_path).items if not item.fault)
    (tmp_path / item.files[0]).write_bytes(b"")
    assert check(name, tmp_path).damaged[item.files[0]] == "it is empty"


def test_known_faults_are_named_and_left_out(tmp_path: Path) -> None:
    TREES["fma"][0](tmp_path)
    report = check("fma", tmp_path)
    assert list(report.faulty) == ["098565"]
    assert report.splits == {"train": 1, "valid": 1, "test": 1}
    assert report.labels == {"Rock": 2, "Folk": 1}


def test_a_group_in_two_splits_is_named(tmp_path: Path) -> None:
    TREES["groove"][0](tmp_path)
    assert check("groove", tmp_path).shared == ("drummer1",)


def test_clips_of_a_song_are_in_one_split_of_a_folder(tmp_path: Path) -> None:
    TREES["folder"][0](tmp_path)
    items = layout_of("folder").listing(tmp_path).items
    assert [item.group for item in items] == ["calm/song", "calm/song", "loud/band", "loud/band"]


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    TREES["msd"][0](tmp_path)
    (tmp_path / "filtered_list_train.cP").write_bytes(b"cos\nsystem\n(S'touch boom'\ntR.")
    assert any("pickle" in note for note in check("msd", tmp_path).notes)
    assert not Path("boom").exists()


@pytest.mark.parametrize("suffix", [".wav", ".au", ".mid"])
def test_a_file_without_its_end_ends_early(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"one{suffix}"
    (score if suffix == ".mid" else sound)(path)
    assert find_file_fault(path) == ""
    cut(path)
    assert "ends early" in find_file_fault(path)


@given(
    head=st.sampled_from([b"", b"RIFF", b".snd", b"MThd", b"ID3", b"OggS", b"fLaC", b"PK\x03\x04", b"\xff\xfb"]),
    rest=st.binary(max_size=64),
    suffix=st.sampled_from([".wav", ".au", ".mid", ".mp3", ".npz", ".h5", ".ogg", ".txt"]),
)
def test_no_bytes_make_an_examination_fail(head: bytes, rest: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"one{suffix}"
    path.write_bytes(head + rest)
    assert isinstance(find_file_fault(path), str)


def test_what_a_server_answered_in_place_of_a_file_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "one.mp3"
    path.write_text("<!DOCTYPE html><title>404</title>")
    assert "web page" in find_file_fault(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "Git LFS" in find_file_fault(path)


def test_a_digest_that_differs_shows_when_thorough(tmp_path: Path) -> None:
    TREES["lakh"][0](tmp_path)
    path = next(tmp_path.rglob("*.mid"))
    score(path, 100)
    assert check("lakh", tmp_path).whole
    assert "md5" in next(iter(check("lakh", tmp_path, thorough=True).damaged.values()))


def test_the_command_prints_json_and_its_exit_says_whether_it_is_whole(tmp_path: Path) -> None:
    TREES["openmic"][0](tmp_path)
    whole = runner.invoke(app, ["dataset", "check", "openmic", str(tmp_path), "--json"])
    assert whole.exit_code == 0, whole.output
    assert json.loads(whole.stdout)["splits"] == {"train": 1, "test": 1}
    next(tmp_path.rglob("*.ogg")).unlink()
    less = runner.invoke(app, ["dataset", "check", "openmic", str(tmp_path)])
    assert less.exit_code == 1
    assert "missing: 1" in less.stdout


def test_a_table_that_is_no_json_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "nsynth-train").mkdir()
    (tmp_path / "nsynth-train/examples.json").write_text("{" * 100_000)
    with pytest.raises(FileError, match="is not JSON"):
        check("nsynth", tmp_path)
