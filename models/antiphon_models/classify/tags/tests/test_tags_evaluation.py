"""What `antiphon evaluate tags` asks for where its material cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("scipy")

from antiphon.api import UsageError
from antiphon_models.classify.tags import material


def test_a_missing_soundfont_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pop909", "esc10"):
        (tmp_path / name).mkdir()
    monkeypatch.setitem(material.FONTS, "measure", (tmp_path / "absent.sf2",))
    with pytest.raises(UsageError, match=r"(absent\.sf2|fluidsynth) is missing; sudo apt-get install"):
        material.make_clips(material.SceneFolders(tmp_path, tmp_path, 1, print), "measure", 40)
    with pytest.raises(UsageError, match="which would hold pop909/"):
        material.make_clips(material.SceneFolders(tmp_path / "none", tmp_path, 1, print), "measure", 40)
