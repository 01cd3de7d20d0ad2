"""What the GAN of bars draws, beside songs and a draw place by place:

python -m antiphon_models.answer.gan_figures DATA WEIGHTS

WEIGHTS is the folder that `antiphon train bars-gan` wrote to. Pieces beside memory and bar model: `generated`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon_answer.improviser import Planned
from antiphon_models.answer.gan import SHARED, BarsGANRecipe, symbols
from antiphon_models.answer.phrases import BARS, NONE, PITCHES, SLOTS, STEPS, figures, notes_of, phrases
from antiphon_models.answer.telling import separation

COUNT = 400
"""Phrases of each that are shown to the forest."""
U8 = NDArray[np.uint8]


def draw_phrases(network: Any, count: int, seed: int, *, one: bool = False) -> U8:
    """Phrases of the GAN; with `one` they share the latent numbers of a phrase."""
    with torch.inference_mode(), torch.random.fork_rng():
        torch.manual_seed(seed)
        shared = torch.randn(1, SHARED).expand(count, -1) if one else None
        return symbols(network.generator(count, shared))


def place_by_place(human: U8, count: int, seed: int) -> U8:
    """Phrases of which each place of the bar is drawn for itself, as often as songs have it."""
    rng = np.random.default_rng(seed)
    bars = human.reshape(-1, STEPS, human.shape[2])
    rows = rng.integers(0, len(bars), (count, SLOTS, human.shape[2]))
    places = np.arange(SLOTS)[None, :, None] % STEPS
    made: U8 = bars[rows, places, np.arange(human.shape[2])[None, None, :]]
    return made


def gan_piece(network: Any, bars: int, key: int, seed: int) -> list[Planned]:
    """The melody of phrases that share their latent numbers, one after another, in a key 0 to 23."""
    found = draw_phrases(network, -(-bars // BARS), seed, one=True)
    up = (key + (3 if key >= 12 else 0) + 6) % 12 - 6
    tune = notes_of(found[:, :, 0].reshape(-1), "melody", up)
    return [note for note in tune if note.slot < STEPS * bars]


def describe_phrase(phrase: U8) -> NDArray[np.float64]:
    """What a forest is shown of a phrase: its figures, its melody's intervals, times and places."""
    tune = phrase[:, 0].astype(int)
    slots = np.flatnonzero(tune != NONE)
    steps = np.clip(np.diff(tune[slots]), -12, 12) + 12
    times = np.clip(np.diff(slots), 0, 16)
    counts = (tune != NONE).reshape(BARS, STEPS).sum(axis=1)
    pitches = tune[slots] if len(slots) else np.zeros(1)
    rows: list[NDArray[np.float64]] = [
        np.array(list(figures(phrase[None]).values())),
        np.bincount(steps, minlength=25) / max(1, len(steps)),
        np.bincount(times, minlength=17) / max(1, len(times)),
        np.bincount(slots % STEPS, minlength=STEPS) / max(1, len(slots)),
        np.array([counts.std(), pitches.mean(), pitches.std(), len(np.unique(pitches)), PITCHES - np.ptp(pitches)]),
    ]
    return np.concatenate(rows)


def phrase_separation(human: U8, other: U8, seed: int = 1) -> float:
    """Area under the curve of a forest that tells phrases from human ones."""
    count = min(len(human), len(other), COUNT)
    chosen = np.random.default_rng(seed).permutation(len(human))[:count]
    kinds = [[describe_phrase(phrase) for phrase in found] for found in (human[chosen], other[:count])]
    return separation(kinds[0], kinds[1], [str(n) for n in range(count)], seed)


def main(arguments: Sequence[str]) -> None:
    """Prints figures of phrases: of songs that the GAN has not seen, of the GAN, and place by place."""
    data, weights = Path(arguments[0]), Path(arguments[1])
    network = BarsGANRecipe().network_of(weights).eval()
    human, seen = phrases(data, "test", ("pop909",)), phrases(data, "valid", ("pop909",))
    others = {
        "gan": draw_phrases(network, COUNT, 1),
        "place by place": place_by_place(seen, COUNT, 1),
        "other songs": seen,
    }
    for name, found in {"human": human, **others}.items():
        told = ", ".join(f"{what} {value:.3f}" for what, value in figures(found).items())
        area = "" if name == "human" else f", AUC {phrase_separation(human, found):.3f} (n {COUNT})"
        print(f"{name}: {len(found)} phrases, {told}{area}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
