"""Names from the network stay in the library; whole paths are the command line's."""

from pathlib import Path

import pytest

from antiphon.kernel.errors import FileError, RequestError
from antiphon.kernel.graph import clips
from antiphon.kernel.runtime import paths


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    paths.library().mkdir(parents=True)
    (paths.library() / "bell.wav").write_bytes(b"x")
    return tmp_path


def test_a_name_is_a_file_of_the_library() -> None:
    assert clips.locate_asset("bell.wav") == str(paths.library() / "bell.wav")
    assert clips.check_name("bell.wav") == "bell.wav"
    assert clips.locate_asset("") == clips.check_name("") == ""


def test_a_whole_path_is_for_who_may_name_one(tmp_path: Path) -> None:
    assert clips.locate_asset(str(tmp_path / "x.wav")) == str(tmp_path / "x.wav")
    with pytest.raises(RequestError, match="is not a name"):
        clips.check_name(str(tmp_path / "x.wav"))


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "x\0y", "a" * 500])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(RequestError):
        clips.check_name(name)
    with pytest.raises(FileError):
        clips.locate_asset(name)


def test_a_name_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(RequestError, match=r"holds no 'drum.wav'; it holds: bell.wav"):
        clips.check_name("drum.wav")
