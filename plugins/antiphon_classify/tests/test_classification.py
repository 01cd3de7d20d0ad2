"""One sound through one classifier: what is refused before it is computed."""

from pathlib import Path

import pytest
from tests import audio

from antiphon.kernel.errors import UsageError
from antiphon_classify import classification


def test_what_says_that_it_is_too_long_is_refused_before_any_of_it_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classification, "classifiers", lambda: {"any": None})
    monkeypatch.setattr(classification, "AnalysisFeed", lambda *_: pytest.fail("it is computed"))
    monkeypatch.setattr(classification, "LONGEST", 0.5)
    path = audio.write(tmp_path / "long.wav", audio.noise(8000, 1), 8000)
    with pytest.raises(UsageError, match="the sound lasts more than"):
        classification.classify("any", path)


def test_a_name_of_any_length_is_refused_in_a_short_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "classifiers", lambda: {"any": None})
    with pytest.raises(LookupError) as refused:
        classification.classify("n" * 3000, Path("x.wav"))
    assert len(str(refused.value)) < 120
