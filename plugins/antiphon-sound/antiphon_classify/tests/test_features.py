"""Vectors of musicnn as frames, tags, details of a classifier file, one sound through one classifier."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from antiphon.api.backends.analysis import MelSettings, plain_result
from antiphon.kernel.errors import FileError, UsageError
from antiphon.testing import sound as audio
from antiphon_classify import classification
from antiphon_classify.classification import _cut
from antiphon_classify.classifier_session import DETAILS, ClassifierDetails, read_details
from antiphon_classify.features import (
    DIMENSIONS,
    FEATURES,
    HOP,
    LEAST,
    MIN_COUNT,
    MUSICNN,
    REPEATED,
    Tags,
    extractor,
    fault,
    stream,
)
from antiphon_classify.musicnn import MEL, NETWORKS, UNITS, MusicnnAnswers, tags_of


def test_what_says_that_it_is_too_long_is_refused_before_any_of_it_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classification, "classifiers", lambda: {"any": None})
    monkeypatch.setattr(classification, "AnalysisFeed", lambda *_: pytest.fail("it is computed"))
    monkeypatch.setattr(classification, "MAX_SECONDS", 0.5)
    path = audio.write(tmp_path / "long.wav", audio.noise(8000, 1), 8000)
    with pytest.raises(UsageError, match="the sound lasts more than"):
        classification.classify("any", path)


def test_a_name_of_any_length_is_refused_in_a_short_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "classifiers", lambda: {"any": None})
    with pytest.raises(LookupError) as refused:
        classification.classify("n" * 3000, Path("x.wav"))
    assert len(str(refused.value)) < 120


def test_a_pipe_is_refused_and_stops_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / DETAILS)
    with pytest.raises(FileError, match="not an ordinary file"):
        read_details(tmp_path)


def test_an_excerpt_that_would_take_all_memory_is_refused(tmp_path: Path) -> None:
    def written(frames: int, bands: int) -> Path:
        mel = MelSettings(hop=16, bands=bands)
        details = ClassifierDetails("drums", "sklearn", ("kick", "snare"), mel, frames, "0" * 40)
        (tmp_path / DETAILS).write_bytes(details.content())
        return tmp_path

    with pytest.raises(FileError, match="an excerpt has 100000 frames of 512 bands; 4194304 numbers are allowed"):
        read_details(written(100_000, 512))
    assert read_details(written(8000, 512)).batch_size == 4
    assert read_details(written(128, 64)).batch_size == 64


def answer(network: str, given: dict[str, float]) -> MusicnnAnswers:
    row = np.array([given.get(tag, 0.01) for tag in tags_of(network)])
    return MusicnnAnswers(np.log(row / (1.0 - row))[None].astype(np.float32), np.ones((1, UNITS), np.float32))


def test_a_word_of_both_is_averaged() -> None:
    msd, mtt = answer(NETWORKS[0], {"rock": 0.8, "sad": 0.3}), answer(NETWORKS[1], {"rock": 0.4, "sitar": 0.05})
    found = Tags().values(msd, mtt)["tags"]
    assert [label for label, _ in found][:2] == ["rock", "sad"]
    assert [share for _, share in found][:2] == pytest.approx([0.6, 0.3], abs=1e-3)
    assert len(found) == MIN_COUNT
    assert found[2][1] < LEAST


def test_a_run_gives_what_the_catalogue_takes() -> None:
    def run(sound: np.ndarray) -> dict[str, object]:
        going = Tags().begin(MEL.rate, 1)
        going.feed(sound[None].astype(np.float32))
        return plain_result("tags", Tags(), going.result())

    values = run(np.random.default_rng(1).normal(0.0, 0.1, 4 * MEL.rate))
    assert len(values["tag_embedding"]) == DIMENSIONS  # type: ignore[arg-type]
    assert run(np.zeros(4 * MEL.rate)) == {"tags": None, "tag_embedding": None}


SETTINGS = MelSettings(features=MUSICNN, **FEATURES[MUSICNN])  # type: ignore[arg-type]


def noise(samples: int) -> np.ndarray:
    rng = np.random.default_rng(2)
    return (rng.normal(0.0, 0.1, samples) * np.linspace(0.1, 1.0, samples)).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "frames"), [(900, 1), (HOP + 5, 1), (5 * HOP, 5), (8 * HOP, 8), (13 * HOP - 1, 12)]
)
def test_a_stream_has_the_frames_of_the_whole_sound(samples: int, frames: int) -> None:
    sound = noise(samples)
    whole = extractor(SETTINGS).compute(sound)
    assert whole.shape == (frames, DIMENSIONS)
    assert (whole[: min(frames, REPEATED)] == whole[0]).all()
    if samples >= HOP:
        going = stream(SETTINGS)
        parts = [going.push(sound[start : start + 3001]) for start in range(0, samples, 3001)]
        np.testing.assert_array_equal(np.concatenate([*parts, going.end()]), whole)


@pytest.mark.parametrize("sizes", [(7, 7, 7), (10, 1, 25), (3,)])
def test_a_stream_is_cut_at_whole_parts_and_keeps_what_is_left(sizes: tuple[int, ...]) -> None:
    sound = noise(sum(sizes))[None]
    blocks = np.split(sound, np.cumsum(sizes)[:-1], axis=1)
    pieces = list(_cut(iter(blocks), 5))
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), sound)
    ends = np.cumsum([piece.shape[1] for piece in pieces])
    assert set(range(5, sum(sizes), 5)) <= set(ends)


def test_silence_has_frames_too() -> None:
    assert not extractor(SETTINGS).compute(np.zeros(3 * HOP, np.float32)).any()


def test_its_settings_are_its_own() -> None:
    assert fault(SETTINGS) == ""
    assert fault(replace(SETTINGS, bands=32)) == "bands 32; it has 64 alone"
    assert fault(MelSettings()) == ""
