"""Rows of a few factors in place of their full product."""

from itertools import combinations, product
from typing import Any


def pairwise(*factors: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Few rows, one value of each factor in each, in which any two values of two factors stand together once or more.

    What two values do together is tested, what three do is not.
    """
    places = list(combinations(range(len(factors)), 2))
    rows = list(product(*(range(len(values)) for values in factors)))

    def pairs(row: tuple[int, ...]) -> set[tuple[int, int, int, int]]:
        return {(a, row[a], b, row[b]) for a, b in places}

    left = set().union(*map(pairs, rows))
    chosen = []
    while left:
        best = max(rows, key=lambda row: len(pairs(row) & left))
        left -= pairs(best)
        chosen.append(tuple(values[n] for values, n in zip(factors, best, strict=True)))
    return chosen
