"""Tags: words that listeners gave to recorded music, and a vector of a sound from the same networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from antiphon.api.backends.analysis import Quantity
from antiphon_classify.features import projected
from antiphon_classify.musicnn import NETWORKS, MusicnnAnalysis, MusicnnAnswers, mean_probabilities, tags_of

LEAST, FEWEST = 0.1, 3
"""Probability from which a tag is given; tags that are given in any case."""


class Tags(MusicnnAnalysis):
    """The hundred tags of both networks, none of which excludes another."""

    version = 3
    shortest = 0.0  # drum hits have a vector too: they are repeated
    quantities = (
        Quantity(
            "tags",
            "labels",
            "",
            "Words for a sound by listeners of recorded music: genres, instruments, voices, moods, decades; the mean "
            "over excerpts, and over both networks where both know a word.",
        ),
        Quantity(
            "tag_embedding",
            "vector",
            "",
            "By which sounds are alike: principal components of both networks' last layers but one, the mean.",
        ),
    )

    @property
    def labels(self) -> Sequence[str]:
        return tags()

    def values(self, msd: MusicnnAnswers, mtt: MusicnnAnswers) -> Mapping[str, Any]:
        known: dict[str, list[float]] = {}
        for name, found in zip(NETWORKS, (msd, mtt), strict=True):
            for tag, probability in zip(tags_of(name), mean_probabilities(found).tolist(), strict=True):
                known.setdefault(tag.lower(), []).append(probability)
        ranked = sorted(((tag, float(np.mean(each))) for tag, each in known.items()), key=lambda row: (-row[1], row[0]))
        count = max(FEWEST, sum(probability >= LEAST for _, probability in ranked))
        return {"tags": ranked[:count], "tag_embedding": projected(msd, mtt).mean(axis=0)}


def tags() -> tuple[str, ...]:
    """All tags, each once; `ModelError` without a manifest."""
    return tuple(dict.fromkeys(tag.lower() for name in NETWORKS for tag in tags_of(name)))
