"""A token from outside: from a file of any mode, stored for its owner alone, refused without being repeated."""

from pathlib import Path

import pytest

from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.runtime.token import TOKEN_FILE, OwnerToken, keep_token, load_token, read_secret, store_token

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
    ],
)
def test_options_that_cannot_be(settings: ServeSettings, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        settings.check()


def test_settings_survive_their_json() -> None:
    settings = ServeSettings(proxy=("studio.example:8443",), drain=4.0).check()
    assert ServeSettings.from_json(settings.to_json()) == settings


def test_a_start_with_another_token_does_not_replace_that_of_a_server_that_runs(tmp_path: Path) -> None:
    keep_token(tmp_path)
    token = load_token(tmp_path)
    keep_token(tmp_path)  # a second server, with the same
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
