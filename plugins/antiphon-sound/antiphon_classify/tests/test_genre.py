"""Genres by tables of tags: what is named, and that noise, silence and a voice alone are not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import accepted

import antiphon
from antiphon.api import UsageError
from antiphon.api.backends.analysis import plain_result
from antiphon.testing import sound as audio
from antiphon_classify.features import tags
from antiphon_classify.genre import Genre, probabilities
from antiphon_classify.instruments import MEL
from antiphon_classify.labels import GENRES, SHIPPED, UNKNOWN, shipped_labels
from antiphon_classify.musicnn import NETWORKS, MusicnnAnswers, tags_of

RATE = MEL.rate


def run(mono: np.ndarray, block: int = 8192) -> Mapping[str, Any]:
    genre = Genre()
    going = genre.begin(RATE, 1)
    for start in range(0, len(mono), block):
        going.feed(mono[None, start : start + block].astype(np.float32))
    return plain_result("genre", genre, going.result())


def full(network: str, given: Mapping[str, float]) -> dict[str, float]:
    return {tag: given.get(tag, 0.0) for tag in tags_of(network)}


def answer(network: str, given: Mapping[str, float]) -> MusicnnAnswers:
    row = np.clip(np.array(list(full(network, given).values())), 1e-4, None)
    return MusicnnAnswers(np.log(row / (1.0 - row))[None].astype(np.float32), np.zeros((1, 200), np.float32))


def likely(msd: dict[str, float], mtt: dict[str, float]) -> str:
    rows = probabilities(full(NETWORKS[0], msd), full(NETWORKS[1], mtt))
    assert set(rows) == set(GENRES)
    genre = max(GENRES, key=lambda name: rows[name])
    return f"{genre} {rows[genre]:.3f}"


def said(msd: dict[str, float], mtt: dict[str, float], families: set[str]) -> str:
    found = Genre().genre_with_families(answer(NETWORKS[0], msd), answer(NETWORKS[1], mtt), families)
    assert 0.0 <= found["content_sure"] <= 1.0
    return f"{found['genre']}, {found['content']}"


def test_a_genre_is_as_likely_as_one_of_its_tags_and_what_is_no_music_is_unknown() -> None:
    accepted.compare_calls(__file__, **globals())


def test_noise_and_what_resembles_speech_are_unknown() -> None:
    rng = np.random.default_rng(3)
    time = np.arange(7 * RATE) / RATE
    # syllables of a gliding tone with formants, four a second, with pauses
    phase = 2 * np.pi * np.cumsum(120 + 25 * np.sin(2 * np.pi * 0.4 * time)) / RATE
    voice = sum(np.sin(n * phase) / (1 + ((n * 120 - 600) / 300) ** 2) for n in range(1, 24))
    speech = voice * np.clip(np.sin(2 * np.pi * (3.7 * time + 0.8 * np.sin(1.3 * time))), 0, 1) * (time % 2.3 < 1.7)
    for sound in (0.1 * rng.standard_normal(7 * RATE), 0.05 * speech + 0.001 * rng.standard_normal(7 * RATE)):
        answer = run(sound)
        assert answer["genre"] == UNKNOWN
        shares = [share for _, share in answer["genres"]]
        assert len(shares) == 3
        assert shares == sorted(shares, reverse=True)
        assert answer["content"] in ("noise", "speech", "voice")
    assert set(run(np.zeros(4 * RATE)).values()) == {None}


def test_a_short_sound_is_refused() -> None:
    with pytest.raises(UsageError, match=r"lasts 0\.4 s, and at least 0\.5 s are needed"):
        run(np.ones(round(0.4 * RATE), np.float32))
    assert len(run(np.random.default_rng(1).normal(0.0, 0.1, round(1.2 * RATE)))["genres"]) == 3


def test_the_words_of_all_classifiers_are_there_once() -> None:
    words = shipped_labels()
    assert words[0] == UNKNOWN
    assert len(set(words)) == len(words)
    assert {*GENRES, *tags(), "brass", "reed"} <= set(words)


@pytest.mark.parametrize("by", SHIPPED)
def test_a_run_on_a_file_gives_what_it_found(tmp_path: Path, by: str) -> None:
    path = audio.write(tmp_path / "in.wav", audio.noise(4 * 48000))
    made = antiphon.run("classify", path, by=by)
    values = antiphon.analyse(path, only=by).values
    assert values
    assert {name: made.report[name] for name in values} == values
    assert f"unchanged by classify: {by} " in made.said
