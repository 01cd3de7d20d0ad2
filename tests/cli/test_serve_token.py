"""The token that a platform gives to `antiphon serve`."""

from pathlib import Path

import pytest

from antiphon.cli.serve import _take_token
from antiphon.kernel.errors import UsageError


@pytest.mark.parametrize("content", ["", " \n", "0123"])
def test_a_file_without_a_token_is_refused_and_no_other_token_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path / "home"))
    (tmp_path / "secret").write_text(content)
    with pytest.raises(UsageError, match="a token is 32 hexadecimal digits"):
        _take_token(str(tmp_path / "secret"), needed=True)
    assert not (tmp_path / "home").exists()
