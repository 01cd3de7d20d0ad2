"""Analysis `stems`: separates sounds for other analyses and plugins, and measures each part's level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from antiphon.api import Samples
from antiphon.api.backends.analysis import EACH, AnalysisRun, Quantity, SeparatingAnalysis
from antiphon_stems.grids import STEMS
from antiphon_stems.jobs import separate

QUIETEST = -120.0
STEP = 0.5
"""Segment length in seconds of the vocal detection."""
SUNG = 0.06
"""Minimum energy share of the voice in a vocal segment."""


class StemLevels(SeparatingAnalysis):
    """Slow: about half of the sound's length, so it is computed only on request."""

    version = 2
    by_name = True
    stem = EACH
    parts: ClassVar[tuple[str, ...]] = STEMS
    quantities = (
        *(Quantity(name, "number", "dB", f"Mean power of the {name} below that of the sound.") for name in STEMS),
        Quantity("sung", "spans", doc="Where the voice has a part of the sound."),
    )

    def separate(self, blocks: Iterable[Samples], rate: int, channels: int) -> Iterator[Samples]:
        return separate(blocks, rate, channels)

    def begin(self, rate: int, channels: int) -> AnalysisRun:
        return _Levels(rate)


class _Levels(AnalysisRun):
    def __init__(self, rate: int) -> None:
        self._step, self._rate = round(STEP * rate), rate
        self._rest: Samples = np.zeros((len(STEMS), 0), np.float32)
        self._energies: list[NDArray[np.float64]] = []
        self._frames = 0

    def feed(self, block: Samples) -> None:
        held = np.concatenate([self._rest, block], axis=1)
        self._frames += block.shape[1]
        whole = held.shape[1] // self._step * self._step
        for piece in np.split(held[:, :whole], whole // self._step, axis=1) if whole else ():
            self._energies.append(_energies(piece))
        self._rest = held[:, whole:].copy()

    def result(self) -> Mapping[str, Any]:
        energies = np.array([*self._energies, _energies(self._rest)])
        parts, whole = energies[:, :-1], energies[:, -1]
        if not whole.sum() > 0.0:
            return dict.fromkeys((*STEMS, "sung"))
        share = parts.sum(axis=0) / whole.sum()
        levels = {name: max(QUIETEST, 10.0 * np.log10(one + 1e-12)) for name, one in zip(STEMS, share, strict=True)}
        sung = parts[:, STEMS.index("voice")] > np.maximum(SUNG * whole, 1e-4 * whole.mean())
        edges = np.flatnonzero(np.diff(np.concatenate([[False], sung, [False]]).astype(int))) * STEP
        ends = np.minimum(edges, self._frames / self._rate)
        return {**levels, "sung": [(a, b, "voice") for a, b in zip(ends[::2], ends[1::2], strict=True)]}


def _energies(piece: Samples) -> NDArray[np.float64]:
    """Energies of all parts and of their sum."""
    return np.append((piece.astype(np.float64) ** 2).sum(axis=1), (piece.astype(np.float64).sum(axis=0) ** 2).sum())
