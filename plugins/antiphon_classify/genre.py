"""The analysis `genre`: which of the genres that rules compose a sound is most like, or none of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from antiphon.api import F32
from antiphon.api.backends.analysis import Quantity
from antiphon.api.backends.models import read_weights
from antiphon_classify.classifier import Classifier
from antiphon_classify.labels import UNKNOWN, of_count, probabilities
from antiphon_classify.rhythm import FRAMES, RhythmNetwork

SHOWN = 3
"""Genres with their probabilities."""


class Genre(Classifier):
    """A genre, where one is probable enough; "unknown" for others, speech, noise and one instrument alone."""

    quantities = (
        Quantity("genre", "text", doc='The most likely genre by songs composed by rules; "unknown" where none is.'),
        Quantity("genres", "labels", doc="The three most likely genres; their probabilities hold for such songs."),
    )
    weights: ClassVar[str] = "classify-genre"
    excerpt: ClassVar[int] = FRAMES

    @cached_property
    def network(self) -> RhythmNetwork:
        return RhythmNetwork(read_weights(self.weights), self.weights)

    def values(self, logits: F32, embedding: F32) -> Mapping[str, Any]:
        details, labels = self.details, self.labels
        found = probabilities(logits, of_count(details["temperatures"], len(logits)))
        order = [n for n in found.argsort()[::-1] if labels[n] != details["unknown"]]
        # what is no song takes part in the probabilities, and is no genre
        first = int(found.argmax())
        certain = first == order[0] and found[first] >= of_count(details["thresholds"], len(logits))
        return {
            "genre": labels[first] if certain else UNKNOWN,
            "genres": [(labels[n], float(found[n])) for n in order[:SHOWN]],
        }
