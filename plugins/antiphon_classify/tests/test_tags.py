"""Tags are the mean of both networks where both know a word, the most likely first."""

import numpy as np
import pytest

from antiphon.api.backends.analysis import plain_result
from antiphon_classify.features import DIMENSIONS, FEWEST, LEAST, Tags, tags
from antiphon_classify.musicnn import MEL, NETWORKS, UNITS, MusicnnAnswers, tags_of


def answer(network: str, given: dict[str, float]) -> MusicnnAnswers:
    row = np.array([given.get(tag, 0.01) for tag in tags_of(network)])
    return MusicnnAnswers(np.log(row / (1.0 - row))[None].astype(np.float32), np.ones((1, UNITS), np.float32))


def test_a_word_of_both_is_averaged() -> None:
    msd, mtt = answer(NETWORKS[0], {"rock": 0.8, "sad": 0.3}), answer(NETWORKS[1], {"rock": 0.4, "sitar": 0.05})
    found = Tags().values(msd, mtt)["tags"]
    assert [label for label, _ in found][:2] == ["rock", "sad"]
    assert [share for _, share in found][:2] == pytest.approx([0.6, 0.3], abs=1e-3)
    assert len(found) == FEWEST
    assert found[2][1] < LEAST


def test_each_tag_is_there_once() -> None:
    words = tags()
    assert len(set(words)) == len(words) == 92
    assert {"hip-hop", "female vocalists", "harpsichord", "70s"} <= set(words)


def test_a_run_gives_what_the_catalogue_takes() -> None:
    def run(sound: np.ndarray) -> dict[str, object]:
        going = Tags().begin(MEL.rate, 1)
        going.feed(sound[None].astype(np.float32))
        return plain_result("tags", Tags(), going.result())

    values = run(np.random.default_rng(1).normal(0.0, 0.1, 4 * MEL.rate))
    assert len(values["tag_embedding"]) == DIMENSIONS  # type: ignore[arg-type]
    assert run(np.zeros(4 * MEL.rate)) == {"tags": None, "tag_embedding": None}
