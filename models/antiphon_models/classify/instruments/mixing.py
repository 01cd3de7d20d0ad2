"""Duos and mixes of families at random levels, with the truth of which are loud enough to count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from antiphon.api import F32, F64
from antiphon_models.classify.instruments.families import LABELS

Rng = np.random.Generator
COUNTS_ABOVE = -20.0
"""dB of a mix's power from which a family counts as present."""
SOFTEST = -18.0
"""dB between the softest part and the loudest at most."""
NONE = "none"
"""What is no instrument: noises of surroundings."""
USUAL = ("drums", "bass", "voice")
"""In a mix of three and more, families that are there more often than others, as in recordings."""


def draw_families(count: int, rng: Rng) -> list[str]:
    """So many different families; from three on often with drums, bass or a voice."""
    chosen: list[str] = []
    if count > 2:
        chosen = [label for label in USUAL if rng.random() < 0.35]
    others = [str(label) for label in rng.permutation(LABELS) if label not in chosen]
    return (chosen + others)[:count]


def gains(count: int, rng: Rng) -> F64:
    """Power gains of parts of equal power, the loudest 1."""
    levels = rng.uniform(SOFTEST, 0.0, count)
    return np.asarray(10.0 ** ((levels - levels.max()) / 10.0))


def mix_families(parts: Sequence[tuple[str, F32]], rng: Rng) -> tuple[F32, list[str]]:
    """A mix of families' (label, sound) at random levels, and the labels at `COUNTS_ABOVE` or more in it."""
    levels = gains(len(parts), rng)
    scaled = {
        label: np.sqrt(level / (np.mean(sound**2) + 1e-12)) * sound
        for (label, sound), level in zip(parts, levels, strict=True)
    }
    total = np.sum(list(scaled.values()), axis=0)
    return np.asarray(total, np.float32), audible({k: float(np.mean(v**2)) for k, v in scaled.items()})


def audible(powers: Mapping[str, float]) -> list[str]:
    """The labels whose share of the power is at `COUNTS_ABOVE` or more, but for `NONE`."""
    total = sum(powers.values())
    least = total * 10.0 ** (COUNTS_ABOVE / 10.0)
    return [label for label, power in powers.items() if power >= least and label != NONE]
