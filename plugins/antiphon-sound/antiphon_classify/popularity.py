"""The analysis `popularity`: predicts a column of the performer's table, as learned by `antiphon train popularity`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import UsageError
from antiphon.api.backends.analysis import Quantity
from antiphon.api.backends.files import data_folder
from antiphon.api.backends.models import ModelError, manifest_entry, read_weights
from antiphon_classify.features import embedding_vectors
from antiphon_classify.musicnn import MusicnnAnalysis, MusicnnAnswers

NAME = "popularity"


def popularity_folder() -> Path:
    """Folder of the performer's own model."""
    return data_folder() / NAME


class Popularity(MusicnnAnalysis):
    """Predicts a number, or the likeliest class, by a linear model of the sound alone."""

    by_name = True
    quantities = (
        Quantity(NAME, "number", doc="What your own table's column would say, by the sound; of classes none."),
        Quantity("popularity_class", "text", doc="The likeliest class, where the column has classes."),
    )

    def __init__(self) -> None:
        try:
            # another model is another version, so that catalogues compute it again
            digest = str(manifest_entry(NAME, popularity_folder())["sha256"])
            self.version = 2 + int(digest[:7], 16)  # type: ignore[misc]
        except (ModelError, KeyError):
            pass

    def values(self, msd: MusicnnAnswers, mtt: MusicnnAnswers) -> Mapping[str, Any]:
        folder = popularity_folder()
        try:
            details, arrays = manifest_entry(NAME, folder), read_weights(NAME, folder)
            scores = embedding_vectors(msd, mtt).mean(axis=0) @ arrays["weight"] + arrays["bias"]
        except (ModelError, KeyError, ValueError) as error:
            raise UsageError(
                f"there is no model of your own at {folder}; antiphon train popularity TABLE.csv makes one"
                + (f" ({error})" if folder.is_dir() else "")
            ) from None
        classes = details.get("classes")
        if classes:
            return {NAME: None, "popularity_class": str(classes[int(scores.argmax())])}
        low, high = details["range"]  # a line goes beyond what it was taught by
        return {NAME: float(np.clip(scores[0], low, high)), "popularity_class": None}
