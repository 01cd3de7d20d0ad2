"""Which sounds are alike: the cosine between vectors that an analysis gives, each dimension standardised over all."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from antiphon.library.records import CatalogueRow

QUANTITY = "embedding"
"""The quantity of kind vector by which sounds are compared."""


def similar(rows: Iterable[CatalogueRow], target: CatalogueRow, count: int) -> list[tuple[bytes, float]]:
    """The sounds most like one of them.

    Args:
        rows: Those to choose from; those without a vector of the target's length are left out, and the target.
        target: The sound, which has a vector.
        count: How many, at most.

    Returns:
        The path of each with its cosine, -1 to 1, the most similar first.
    """
    wanted = vector_of(target)
    assert wanted is not None
    others, vectors = [], [wanted]
    for row in rows:
        vector = vector_of(row)
        if row.path != target.path and vector is not None and len(vector) == len(wanted):
            others.append(row.path)
            vectors.append(vector)
    table = np.array(vectors)
    table -= table.mean(axis=0)
    table /= table.std(axis=0) + 1e-9
    table /= np.linalg.norm(table, axis=1, keepdims=True) + 1e-9
    scores = table[1:] @ table[0]
    order = np.argsort(-scores, kind="stable")[:count]
    return [(others[n], float(scores[n])) for n in order]


def vector_of(row: CatalogueRow) -> NDArray[np.float64] | None:
    """The vector of a sound, `[n]`; None without one."""
    value = row.values.get(QUANTITY)
    return None if value is None else np.asarray(value, np.float64)
