"""Folders, names from strangers, and writes that happen whole."""

import os
import pwd
import stat
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from antiphon.cli.errors import ensure_home
from antiphon.cli.running.given_token import create_and_lock_token, read_secret, store_token
from antiphon.files.own_files import folder_in_library
from antiphon.files.owner_token import TOKEN_FILE, OwnerToken, load_token
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.platform import linux, plain
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.networks import model_files


def test_one_home_holds_everything(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    folders = [paths.config, paths.data, paths.cache, paths.patches, paths.sessions, paths.recordings, paths.library]
    for folder in (*folders, paths.plugins, paths.runtime):
        assert folder().is_relative_to(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_an_account_without_a_home_has_a_folder_that_is_named(tmp_path, monkeypatch):
    def nobody(_uid):
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("HOME", paths.HOME, "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / f"antiphon-{os.getuid()}-home"
    assert f"no home folder: what is yours is in {folder}; set ANTIPHON_HOME" in ensure_home()
    monkeypatch.setenv(paths.HOME, os.environ[paths.HOME])  # so that it is taken back
    assert paths.data() == folder / "data"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert ensure_home() == ""
    assert Path.home() == folder, "for libraries"
    monkeypatch.delenv(paths.HOME)
    monkeypatch.delenv("HOME")
    folder.rmdir()
    folder.write_text("another's")
    with pytest.raises(FileError, match="set ANTIPHON_HOME to a folder"):
        ensure_home()


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
            elsewhere.setattr(paths, "network", lambda: 7)
            assert paths.runtime() not in (here, here.parent)


def test_names_stay_inside(tmp_path):
    assert paths.path_inside(tmp_path, "loop 1", ".wav") == tmp_path / "loop 1.wav"
    assert paths.path_inside(tmp_path, "loop.wav", ".wav") == tmp_path / "loop.wav"
    for name in ("", "..", "../a", "a/../../b", "/a", "a\0", ".a", "a\x1b[2J", "x" * 200, "C:a", "a\\b", "  "):
        with pytest.raises(FileError) as caught:
            paths.path_inside(tmp_path, name)
        assert str(caught.value).isprintable()


def test_a_name_is_found_however_its_accents_are_written(tmp_path, monkeypatch):
    file = tmp_path / "Cafe\u0301" / "u\u0308ber.wav"
    file.parent.mkdir()
    file.touch()
    assert paths.path_as_spelled(tmp_path / "Café" / "über.wav") == file
    assert paths.path_inside(file.parent, "über", ".wav") == file
    assert paths.path_inside(file.parent, "ö", ".wav") == file.parent / "ö.wav"
    (file.parent / "über.wav").touch()
    assert paths.path_as_spelled(file.parent / "über.wav") == file.parent / "über.wav", (
        "a file of just this name is meant"
    )
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    kit = paths.library() / "Tro\u0308mmeln"
    kit.mkdir(parents=True)
    assert folder_in_library("Trömmeln", "sounds") == kit == folder_in_library(str(kit), "sounds")


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


def test_the_first_free_name_among_thousands_is_found_by_few_looks(tmp_path, monkeypatch):
    for number in range(2, 3002):
        (tmp_path / f"take-{number}.wav").touch()
    (tmp_path / "take.wav").touch()
    looks, lexists = [], os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: looks.append(path) or lexists(path))
    assert paths.claim(tmp_path / "take.wav").name == "take-3002.wav"
    assert len(looks) < 60
    (tmp_path / "take-3.wav").unlink()
    assert paths.claim(tmp_path / "take.wav", 2).name == "take-3.wav"


def test_a_name_is_claimed_once_whoever_asks_and_whenever(tmp_path):
    wanted = tmp_path / "take.wav"
    with ThreadPoolExecutor(8) as several:
        claimed = sorted(several.map(lambda _: paths.claim(wanted).name, range(16)))
    assert claimed == sorted(["take.wav", *(f"take-{number}.wav" for number in range(2, 17))])
    assert paths.claim(tmp_path / "set", folder=True).is_dir()
    assert paths.claim(tmp_path / "set", folder=True).name == "set-2"
    with pytest.raises(FileError, match=r"there is a 'take\.wav' already; choose another name"):
        paths.claim(wanted, numbered=False)
    wanted.write_bytes(b"sound")
    for path in (*tmp_path.iterdir(), tmp_path / "none"):
        paths.drop_empty(path)
    assert [path.name for path in tmp_path.iterdir()] == ["take.wav"]


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model_files.write("toy", {"w": np.arange(6, dtype=np.float16).reshape(2, 3)}, tmp_path, {"licence": "MIT"})
    return tmp_path


def test_weights_come_back_as_they_were_written(folder: Path) -> None:
    got = model_files.weights("toy", folder)
    assert got["w"].dtype == np.float16
    np.testing.assert_array_equal(got["w"], [[0, 1, 2], [3, 4, 5]])
    assert model_files.entry("toy", folder)["licence"] == "MIT"


def test_changed_weights_are_refused(folder: Path) -> None:
    path = folder / "toy.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(model_files.ModelError, match="not those of the manifest"):
        model_files.weights("toy", folder)


@pytest.mark.parametrize("harm", ["file", "manifest", "name", "toml"])
def test_what_is_missing_is_said(folder: Path, harm: str) -> None:
    if harm == "file":
        (folder / "toy.safetensors").unlink()
    if harm == "manifest":
        (folder / "manifest.toml").unlink()
    if harm == "toml":
        (folder / "manifest.toml").write_text("[")
    with pytest.raises(model_files.ModelError):
        model_files.weights("other" if harm == "name" else "toy", folder)


def test_a_pickle_is_not_loaded(folder: Path) -> None:
    import hashlib
    import pickle

    path = folder / "toy.safetensors"
    path.write_bytes(pickle.dumps({"w": 1}))
    text = (folder / "manifest.toml").read_text()
    old = model_files.entry("toy", folder)["sha256"]
    (folder / "manifest.toml").write_text(text.replace(old, hashlib.sha256(path.read_bytes()).hexdigest()))
    with pytest.raises(model_files.ModelError, match="no safetensors"):
        model_files.weights("toy", folder)


TOKEN = "0123456789abcdef0123456789abcdef"


def test_a_secret_becomes_the_token(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{TOKEN}\n")
    (tmp_path / "secret").chmod(0o444)
    store_token(tmp_path / "config", read_secret(tmp_path / "secret"))
    assert load_token(tmp_path / "config") == TOKEN
    assert (tmp_path / "config" / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "secret", TOKEN.upper(), TOKEN + "0", "\x1b[2J"])
def test_what_is_no_token_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="32 hexadecimal digits") as refused:
        store_token(tmp_path, text)
    assert not text or text not in str(refused.value)
    assert not (tmp_path / "token").exists()


def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        read_secret(tmp_path / "none")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (ServeSettings(proxy=("studio.example",), lan=True), "--proxy and --lan exclude each other"),
        (ServeSettings(proxy=("https://studio.example",)), "--proxy takes a host's name"),
        (ServeSettings(proxy=("",)), "--proxy takes a host's name"),
        (ServeSettings(drain=-1.0), "--drain takes 0 to 3600 seconds"),
        (ServeSettings(drain=float("nan")), "--drain takes 0 to 3600 seconds"),
        (ServeSettings(cue="4-5"), "--cue takes a pair of channels, 3-4 to 15-16, not '4-5'"),
    ],
)
def test_options_that_cannot_be(settings: ServeSettings, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        settings.check()


def test_settings_survive_their_json() -> None:
    settings = ServeSettings(proxy=("studio.example:8443",), drain=4.0, cue="5-6").check()
    assert ServeSettings.from_json(settings.to_json()) == settings


def test_a_start_with_another_token_does_not_replace_that_of_a_server_that_runs(tmp_path: Path) -> None:
    create_and_lock_token(tmp_path)
    token = load_token(tmp_path)
    create_and_lock_token(tmp_path)  # a second server, with the same
    store_token(tmp_path, token)
    with pytest.raises(UsageError, match="a server of yours runs by another token"):
        store_token(tmp_path, TOKEN)
    assert load_token(tmp_path) == token


def test_a_server_that_runs_goes_by_the_token_that_its_owners_file_has(tmp_path: Path) -> None:
    current = OwnerToken(tmp_path)
    first = current()
    assert first == load_token(tmp_path)
    (tmp_path / TOKEN_FILE).unlink()
    assert current() == first
    second = load_token(tmp_path)
    assert current() == second != first
    (tmp_path / TOKEN_FILE).chmod(0o644)
    assert current() == second
    (tmp_path / TOKEN_FILE).write_text("f" * 32)  # which others could have read
    assert current() == second


def test_what_is_kept_under_several_keys_is_bounded_and_what_is_used_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    for n in range(2 * paths.KEPT):
        paths.keep("sums", [n], {"sum": n})
        assert paths.read_kept("sums", [0]) == {"sum": 0}
    assert len(list(paths.cache().glob("sums-*"))) == paths.KEPT
    assert paths.read_kept("sums", [1]) is None
    assert paths.read_kept("others", [0]) is None


def test_a_folder_of_sounds_is_no_place_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = paths.package_places()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert paths.package_places() == before
    (tmp_path / "shelf-1.dist-info").mkdir()
    assert [entry for entry, _ in paths.package_places()] == [str(tmp_path), *(entry for entry, _ in before)]


@pytest.mark.skipif(sys.platform != "linux", reason="each other system has folders of its own")
@pytest.mark.parametrize("given", [None, "", "relative", "/tmp/somewhere", "/tmp/with space/"])
@pytest.mark.parametrize("kind", ["config", "data", "cache"])
def test_folders_of_linux_are_those_of_the_specification(
    monkeypatch: pytest.MonkeyPatch, kind: str, given: str | None
) -> None:
    name = f"XDG_{kind.upper()}_HOME"
    monkeypatch.delenv(name, raising=False)
    if given is not None:
        monkeypatch.setenv(name, given)
    assert linux.user_folder(kind) == plain.user_folder(kind)


@pytest.mark.parametrize("name", ["drums/", "kits/drums", "/kits/drums//", "drums\\"])
def test_a_path_to_what_belongs_in_the_library_is_refused_with_its_name(name):
    with pytest.raises(FileError, match=r"is not a name but a path: put it into .* and give 'drums'$"):
        paths.in_library(name)


def test_a_separator_alone_is_no_name():
    with pytest.raises(FileError, match="is not a name: it begins with a dot, or holds one of"):
        paths.in_library("/")
