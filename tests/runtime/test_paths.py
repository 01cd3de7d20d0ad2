"""Folders, names from strangers, and writes that happen whole."""

import os
import stat
from pathlib import Path

import pytest

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths, resources


def test_one_home_holds_everything(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    folders = [paths.config, paths.data, paths.cache, paths.patches, paths.sessions, paths.recordings, paths.library]
    for folder in (*folders, paths.plugins, paths.runtime):
        assert folder().is_relative_to(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_the_runtime_folder_is_ours_alone(tmp_path, monkeypatch):
    monkeypatch.delenv(paths.HOME, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = paths.runtime()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    assert stat.S_IMODE(paths.runtime().stat().st_mode) == 0o700
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match="not a folder of yours"):
        paths.runtime()


def test_each_network_namespace_has_a_runtime_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(paths.HOME, raising=False)
    for given in (str(tmp_path), str(tmp_path / "none")):  # the second is made in the temporary folder
        monkeypatch.setenv("XDG_RUNTIME_DIR", given)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        here = paths.runtime()
        assert paths.runtime() == here
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(paths, "_network", lambda: 7)
            assert paths.runtime() not in (here, here.parent)


def test_names_stay_inside(tmp_path):
    assert paths.inside(tmp_path, "loop 1", ".wav") == tmp_path / "loop 1.wav"
    assert paths.inside(tmp_path, "loop.wav", ".wav") == tmp_path / "loop.wav"
    for name in ("", "..", "../a", "a/../../b", "/a", "a\0", ".a", "a\x1b[2J", "x" * 200, "C:a", "a\\b", "  "):
        with pytest.raises(FileError) as caught:
            paths.inside(tmp_path, name)
        assert str(caught.value).isprintable()


def test_a_name_is_found_however_its_accents_are_written(tmp_path, monkeypatch):
    file = tmp_path / "Cafe\u0301" / "u\u0308ber.wav"
    file.parent.mkdir()
    file.touch()
    assert paths.spelled(tmp_path / "Café" / "über.wav") == file
    assert paths.inside(file.parent, "über", ".wav") == file
    assert paths.inside(file.parent, "ö", ".wav") == file.parent / "ö.wav"
    (file.parent / "über.wav").touch()
    assert paths.spelled(file.parent / "über.wav") == file.parent / "über.wav", "a file of just this name is meant"
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    kit = paths.library() / "Tro\u0308mmeln"
    kit.mkdir(parents=True)
    assert paths.folder_in_library("Trömmeln", "sounds") == kit == paths.folder_in_library(str(kit), "sounds")


def test_a_write_is_whole_or_not_at_all(tmp_path):
    target = tmp_path / "new" / "x.bin"
    paths.write_atomic(target, b"one", 0o600)
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"one", 0o600)
    target.unlink()
    target.mkdir()
    with pytest.raises(FileError, match="nothing was changed"):
        paths.write_atomic(target, b"two")
    assert os.listdir(target.parent) == ["x.bin"]


def test_what_a_killed_process_of_our_number_left_does_not_stand_in_the_way(tmp_path, monkeypatch):
    target, replace = tmp_path / "x.bin", Path.replace
    monkeypatch.setattr(Path, "replace", lambda *_: os._exit(9))
    if not (child := os.fork()):
        monkeypatch.setattr(os, "getpid", os.getppid)
        paths.write_atomic(target, b"half")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    monkeypatch.setattr(Path, "replace", replace)
    assert os.listdir(tmp_path) != []
    paths.write_atomic(target, b"whole")
    assert target.read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["x.bin"]


def test_the_checkout_stands_before_the_wheel(tmp_path, monkeypatch):
    root = resources.checkout()
    assert root is not None
    assert resources.patches() == root / "patches"
    monkeypatch.setattr(resources, "checkout", lambda: None)
    assert resources.models().parts[-4:] == ("antiphon", "data", "models", "weights")


def test_a_file_in_a_folder_one_may_not_enter_is_refused_in_a_sentence(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    before = os.geteuid()
    if before == 0:  # root may enter everything
        os.seteuid(65534)
    try:
        with pytest.raises(FileError, match=r"x\.wav: permission denied; choose a folder you may write to"):
            paths.reserve(closed / "x.wav", 1024)
    finally:
        os.seteuid(before)
