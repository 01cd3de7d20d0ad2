"""By which vector sounds are alike; `vector_file` compares them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from antiphon_library.records import CatalogueRow

QUANTITY = "tag_embedding"
"""The quantity of kind vector by which sounds are compared."""
OTHER_KIND, WEIGHED = 0.2, 4
"""What a sound of another kind is less alike, and how many times as many of the nearest are weighed so."""


def vector_of(row: CatalogueRow) -> NDArray[np.float64] | None:
    """The vector of a sound, `[n]`; None without one."""
    value = row.values.get(QUANTITY)
    return None if value is None else np.asarray(value, np.float64)
