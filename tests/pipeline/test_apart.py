"""Work in a process of its own: what it sends, how it fails, and that it does not outlive the one that started it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from antiphon.kernel.errors import FileError, UsageError
from antiphon_models.pipeline.apart import ParentLink, run_apart


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
    run_apart(counts, (3,), tmp_path / "log", "counts", lambda *values: sent.append(values))
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
        run_apart(fails, (how,), tmp_path / "log", "fails")
    assert "some last words" in (tmp_path / "log").read_text()
