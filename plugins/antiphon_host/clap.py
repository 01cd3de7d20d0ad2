from __future__ import annotations


def names(path: str) -> list[str]:
    return []
