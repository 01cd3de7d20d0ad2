"""Which patches and sets there are, what each is for, and which hides which."""

import os
import time
from pathlib import Path

import pytest

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.control.patches import patch_writer
from antiphon.kernel.errors import FileError, PatchError, RequestError
from antiphon.kernel.graph import clips, patch
from antiphon.kernel.runtime import paths, resources
from antiphon.operations import patch_list

CHECKS = {"through", "worker", "bench8"}
SINGS = {"cantor", "choir", "strudel", "kitband", "withme"}
"""Play where a voice is installed, or a translated program or a recording is given, and are listed nowhere."""


def write(name: str, text: str, part: str = "") -> None:
    folder = paths.make_folder(paths.patches() / part)
    (folder / f"{name}.toml").write_text(text)


@pytest.mark.needs("answer")
def test_lists_hold_what_a_performer_plays_and_names_find_the_rest() -> None:
    every = {entry.name: entry for entry in patch_list.entries()}
    assert set(every) == {path.stem for path in resources.patches().glob("*.toml")}
    of_sets = {entry.name for entry in every.values() if entry.line.startswith("What patches/live/")}
    assert {entry.name for entry in every.values() if not entry.listed} == CHECKS | of_sets | SINGS
    assert not CHECKS & set(patch_list.names())
    assert all(patch.find(name).is_file() for name in CHECKS)
    with pytest.raises(PatchError) as refused:
        patch.find("nowhere")
    assert "answer" in str(refused.value)
    assert not [name for name in CHECKS if name in str(refused.value)]


def test_a_hint_and_a_group_are_listed_and_tools_come_last() -> None:
    write("zither", 'format = 1\nhint = "Pluck it."\ngroup = "strings"\n[nodes]\n')
    write("aaa", f'format = 1\ngroup = "{patch_list.TOOLS}"\nhint = 3\n')
    write("forged", 'format = 1\nhint = "a\\u001b[2J"\n')
    found = {entry.name: entry for entry in patch_list.entries()}
    assert (found["zither"].hint, found["zither"].group) == ("Pluck it.", "strings")
    assert patch_list.hint(found["zither"].path) == "Pluck it."
    assert found["aaa"].hint == ""
    assert found["forged"].hint.isprintable()
    assert found["zither"].plain()["hint"] == "Pluck it."
    names = patch_list.names()
    assert names.index("zither") < names.index("aaa") < names.index("click")


def test_files_that_are_no_patches_do_not_end_a_list() -> None:
    write("broken", "listed = [[[\n")
    write("hostile", "# \x1b[31mred\x07\nlisted = 7\n")
    write("mine~", "format = 1\n")
    (paths.patches() / "folder.toml").mkdir()
    (paths.patches() / "loop.toml").symlink_to("loop.toml")
    (paths.patches() / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    found = {entry.name: entry for entry in patch_list.entries()}
    assert {"broken", "hostile", "bytes"} <= set(patch_list.names())
    assert found["hostile"].line.isprintable()
    assert "folder" not in found
    assert "mine~" not in found


def test_the_key_takes_true_or_false_at_the_top_alone() -> None:
    write("hidden", "format = 1\nlisted   =   false\n[nodes.a]\n")
    write("node", "format = 1\n[nodes.a]\nlisted = false\n")
    write("named", 'format = 1\nname = "listed = false"\n')
    write("shown", "format = 1\nlisted = true\n")
    assert {"hidden", "node", "named", "shown"} & set(patch_list.names()) == {"node", "named", "shown"}
    assert patch.parse("format = 1\nlisted = false\n", Catalog()).name == "patch"
    with pytest.raises(PatchError, match="line 2, 'listed': takes true or false, not 0"):
        patch.parse("format = 1\nlisted = 0\n", Catalog())


def test_what_is_saved_from_one_that_is_not_listed_is_listed() -> None:
    made = patch.parse("format = 1\nlisted = false\n", Catalog())
    patch_writer.save(made, "mine", Catalog(), {}, replacing=False)
    assert "mine" in patch_list.names()


def test_many_questions_read_each_file_once_and_a_change_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    looked: list[str] = []
    head, files = patch_list.head_of, patch_list.files_in
    monkeypatch.setattr(patch_list, "head_of", lambda path: [read.append(path.stem), head(path)][1])
    monkeypatch.setattr(patch_list, "files_in", lambda folder: [looked.append(folder.name), files(folder)][1])
    monkeypatch.setattr(patch_list, "FRESH_NS", 60_000_000_000)
    for name in ("one", "two"):
        write(name, "# A.\nformat = 1\n")
        old = time.time() - 10.0  # as if written a while ago
        os.utime(paths.patches() / f"{name}.toml", (old, old))
    os.utime(paths.patches(), (old, old))
    for _ in range(20):
        assert {"one", "two"} <= set(patch_list.names())
    assert (read.count("one"), len(looked)) == (1, 2)
    write("three", "# C.\nformat = 1\n")
    assert "three" in patch_list.names()
    (paths.patches() / "one.toml").unlink()
    assert "one" not in patch_list.names()
    assert read.count("two") == 1


def test_wrong_name_among_many_patches_names_nearest() -> None:
    for number in range(310):
        write(f"mine{number}", "format = 1\n")
    with pytest.raises(PatchError, match="did you mean mine301"):
        patch.find("mien301")


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
