"""The mask of files: what `mask_network` does, told what comes as well as what was.

The log powers of a file are noted while it is heard for the first time. Then the network runs over all of it, with
recurrent layers forwards and backwards, in stretches of `STRETCH` hops and `BESIDE` more on both sides, and its gains
are played in place of the live mask's. `antiphon_models.denoise.network.file_mask` is it in torch;
`antiphon train denoise-mask-file` makes the weights.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import F32
from antiphon_denoise.bands import COUNT
from antiphon_denoise.learned import tables
from antiphon_denoise.learned.file_confidence import both_ways, load as load_installed, logistic
from antiphon_denoise.learned.file_features import FILE_DETAILS, bands_and_details
from antiphon_denoise.learned.mask_network import SLOPE, UNSURE
from antiphon_denoise.learned.spec import UNITS
from antiphon_denoise.learned.tables import BLOCK

MODEL = "denoise-mask-file"
STRETCH, BESIDE = 156 * BLOCK, 20 * BLOCK
"""Hops computed at once: a minute, and the 8 s beside that the layers take of what is around."""
FEW = 128
"""Hops whose units are computed at once."""


class FileMask:
    """The gains of one file: notes its log powers, then gives the gains of all hops."""

    def __init__(self, weights: dict[str, F32], hops: int) -> None:
        """`weights`: as `load` gives them; `hops`: of the file."""
        self._weights = weights
        self._logs = np.zeros((hops, UNITS), np.float16)
        self._gains = np.zeros((0, UNITS), np.float16)
        self._own: F32 = np.zeros(UNITS, np.float32)
        self._count = 0

    @property
    def known(self) -> bool:
        """Whether the gains are known."""
        return len(self._gains) > 0

    def note(self, hop: int, log: F32) -> None:
        """Notes the log powers `[UNITS]` of a hop of the file."""
        if hop < len(self._logs):
            self._logs[hop] = log
            self._count = hop + 1

    def compute(self, noise: F32 | None) -> None:
        """Computes the gains of all hops noted. `noise`: its log powers `[UNITS]`, where they are known."""
        logs = self._logs[: self._count]
        if len(self._gains) != len(logs):
            self._gains = np.zeros_like(logs)
        for first in range(0, len(logs), STRETCH):
            before, last = max(0, first - BESIDE), first + STRETCH
            made = gains_of(self._weights, logs[before : last + BESIDE].astype(np.float32), noise)
            self._gains[first:last] = made[first - before :][:STRETCH]

    def forget_levels(self) -> None:
        """Frees the levels: `compute` is not called any more."""
        self._logs, self._count = self._logs[:0].copy(), 0

    def gain(self, hop: int) -> F32:
        """The gains `[UNITS]` of a hop, once they are known."""
        self._own[:] = self._gains[min(hop, len(self._gains) - 1)]
        return self._own


def gains_of(weights: dict[str, F32], log: F32, noise: F32 | None) -> F32:
    """Log powers `[T, UNITS]` of all hops → gains `[T, UNITS]`, as `FileMaskNetwork` plays them."""
    bands, details = bands_and_details(log, noise)
    x = bands.reshape(len(log), -1) @ weights["enter.weight"].T + weights["enter.bias"]
    low = both_ways(weights, "first", x * logistic(x))
    high = both_ways(weights, "second", low)
    said = np.concatenate([low, high], 1) @ weights["say.weight"].T + weights["say.bias"]
    said = said.reshape(len(log), COUNT, -1).transpose(0, 2, 1)
    gains = np.zeros((len(log), UNITS), np.float32)
    for first in range(0, len(log), FEW):
        some = slice(first, first + FEW)
        gains[some] = _gains(weights, details(some), said[some])
    return gains


def _gains(weights: dict[str, F32], details: F32, said: F32) -> F32:
    """Gains `[T, UNITS]` of details `[T, FILE_DETAILS, UNITS]` and what is said of the bands, `[T, …, COUNT]`."""
    rule = said @ tables.wide()
    push = (details * rule[:, :FILE_DETAILS]).sum(1) + rule[:, FILE_DETAILS]
    seen = np.concatenate([details, rule[:, FILE_DETAILS + 1 :], push[:, None]], 1)
    bent = weights["bend.weight"] @ seen + weights["bend.bias"][:, None]
    push += (weights["last.weight"] @ np.maximum(bent, np.float32(SLOPE) * bent))[:, 0]
    return logistic(push + (weights["last.bias"] + np.float32(UNSURE)))


def load() -> dict[str, F32] | None:
    """The installed weights by name, float32; None where there are none: the live mask plays files too."""
    return load_installed(MODEL)
