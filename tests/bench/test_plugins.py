"""`bench plugins` calls each registered evaluation by the command that a user calls it by."""

from __future__ import annotations

from pathlib import Path

import pytest

from antiphon_bench import plugins


def test_figures_of_an_evaluation(tmp_path: Path) -> None:
    pytest.importorskip("mir_eval")
    figures = plugins.evaluate("accompany", tmp_path, 1, 1)
    assert figures["synthetic"]
    assert {"held tonic", "file"} <= {figure["system"] for figure in figures["figures"]}


def test_an_evaluation_that_fails_has_none(tmp_path: Path) -> None:
    assert plugins.evaluate("nothing-of-this-name", tmp_path, 1, 1) is None
