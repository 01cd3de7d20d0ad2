"""Genres by tables of tags: what is named, and that noise, silence and a voice alone are not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import audio
from tests.each import each

import antiphon
from antiphon.api import UsageError
from antiphon.api.backends.analysis import plain_result
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


@each(
    "msd, mtt, genre, probability",
    [
        ({"jazz": 0.8}, {"classical": 0.5, "strings": 0.4}, "jazz", 0.8),
        ({"rock": 0.5, "punk": 0.5}, {"rock": 0.25}, "rock", 0.5),  # mean of 1 - .5 · .5 and .25
        ({"metal": 0.6, "rock": 0.5}, {"rock": 0.2}, "metal", 0.6),
        ({"Hip-Hop": 0.5, "electronic": 0.4}, {"techno": 0.2}, "hip hop", 0.5),
        ({}, {"classical": 0.5, "violin": 0.5}, "classical", 0.75),
        ({"electronic": 0.6, "House": 0.3}, {"techno": 0.5}, "house", 0.61),
        ({"electronic": 0.6}, {"techno": 0.5}, "electronic", 0.55),
        ({"dance": 0.2, "soul": 0.2, "70s": 0.25}, {}, "disco", 0.6),
        ({"soul": 0.5}, {}, "funk/soul", 0.5),
        ({}, {"sitar": 0.4}, "world", 0.4),
    ],
)
def test_a_genre_is_as_likely_as_one_of_its_tags(
    msd: dict[str, float], mtt: dict[str, float], genre: str, probability: float
) -> None:
    rows = probabilities(full(NETWORKS[0], msd), full(NETWORKS[1], mtt))
    assert max(GENRES, key=lambda name: rows[name]) == genre
    assert rows[genre] == pytest.approx(probability, abs=1e-3)
    assert set(rows) == set(GENRES)


@each(
    "msd, mtt, families, genre, content",
    [
        ({"jazz": 0.5}, {}, {"piano"}, "jazz", "music"),
        ({"jazz": 0.3}, {}, {"piano"}, "jazz", "music"),
        ({"jazz": 0.2}, {}, {"piano"}, UNKNOWN, "music"),
        ({"folk": 0.5}, {"female": 0.7, "guitar": 0.5}, {"guitar", "voice"}, "folk", "music"),
        ({"folk": 0.5}, {"female": 0.7, "guitar": 0.1}, {"guitar", "voice"}, UNKNOWN, "voice"),
        ({"folk": 0.5}, {"female": 0.7, "guitar": 0.5}, {"voice"}, UNKNOWN, "voice"),
        ({"Hip-Hop": 0.4}, {"man": 0.6, "beat": 0.5}, {"voice"}, UNKNOWN, "speech"),
        ({"Hip-Hop": 0.2}, {"man": 0.6, "beat": 0.5}, {"voice", "bass"}, UNKNOWN, "speech"),
        ({"Hip-Hop": 0.8}, {"man": 0.6, "beat": 0.5}, {"voice"}, "hip hop", "music"),
        ({"electronic": 0.6}, {"techno": 0.5}, set(), UNKNOWN, "noise"),
        ({"metal": 0.65}, {}, set(), "metal", "music"),
        ({"metal": 0.55}, {}, set(), UNKNOWN, "noise"),
        ({"electronic": 0.5, "jazz": 0.4}, {"techno": 0.4}, {"piano"}, "jazz", "music"),
        ({"electronic": 0.6, "jazz": 0.3}, {"techno": 0.5}, {"piano"}, "electronic", "music"),
        ({"electronic": 0.4, "jazz": 0.2}, {"techno": 0.4}, {"piano"}, "electronic", "music"),
    ],
)
def test_what_is_not_likely_or_no_music_is_unknown(
    msd: dict[str, float], mtt: dict[str, float], families: set[str], genre: str, content: str
) -> None:
    found = Genre().of_families(answer(NETWORKS[0], msd), answer(NETWORKS[1], mtt), families)
    assert (found["genre"], found["content"]) == (genre, content)
    assert 0.0 <= found["content_sure"] <= 1.0


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
