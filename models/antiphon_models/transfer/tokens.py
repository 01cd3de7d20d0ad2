"""`antiphon train tokens`: the codes and the network of `antiphon run extend`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from antiphon.api import F32
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.transfer import material
from antiphon_models.transfer.renders import RATE as MADE
from antiphon_transfer.extend import CODES, EMBEDDED, RATE, UNITS, bands_of, nearest, tokens_of

SEQUENCES, FRAMES = 16, 160
ROUNDS, SAMPLED = 12, 20000
HELD = 12


def k_means(rows: F32, rng: np.random.Generator) -> F32:
    """`CODES` centres of some of the rows."""
    rows = rows[rng.choice(len(rows), min(SAMPLED, len(rows)), replace=False)]
    codes = rows[rng.choice(len(rows), CODES, replace=False)].copy()
    for _ in range(ROUNDS):
        which = nearest(rows, codes)
        counts = np.bincount(which, minlength=CODES)
        sums = np.zeros_like(codes)
        np.add.at(sums, which, rows)
        codes = np.where(
            counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], rows[rng.integers(len(rows), size=CODES)]
        )
    return codes.astype(np.float32)


class TokenNetwork(torch.nn.Module):
    """Predicts the two tokens of the next frame from those before it: a GRU; `antiphon_transfer.extend` draws by it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Embedding(CODES, EMBEDDED), torch.nn.Embedding(CODES, EMBEDDED)
        self.gru = torch.nn.GRU(2 * EMBEDDED, UNITS, batch_first=True)
        self.next, self.then = torch.nn.Linear(UNITS, CODES), torch.nn.Linear(UNITS + EMBEDDED, CODES)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of both tokens of each frame but the first, from `[N, frames, 2]`."""
        known = torch.cat([self.first(tokens[:, :-1, 0]), self.second(tokens[:, :-1, 1])], -1)
        state, _ = self.gru(known)
        return self.next(state), self.then(torch.cat([state, self.first(tokens[:, 1:, 0])], -1))


class TokensRecipe(Recipe):
    """See the module."""

    name = "tokens"
    weights = "transfer-tokens"
    plugin = "transfer"
    module = TokenNetwork
    steps = 3000
    trained_on = "POP909 and JSB chorales by programs of FluidR3, OPL-3 and sf_GMbank"
    shares = "transfer"

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        paths = material.make(job.data, job.material, job.seed, job.say)
        kept = job.material / "tokens.npz"
        if not kept.is_file():
            job.say("quantising")
            rng = np.random.default_rng(job.seed)
            every = [bands_of(soxr.resample(x, MADE, RATE)) for path in paths for x in material.load(path)[[1, 2]]]
            rows = np.concatenate([bands for n, bands in enumerate(every) if n // 2 % HELD])
            coarse = k_means(rows, rng)
            fine = k_means(rows - coarse[nearest(rows, coarse)], rng)
            length = min(map(len, every))
            tokens = np.stack([tokens_of(bands[:length], coarse, fine) for bands in every])
            np.savez(kept, tokens=tokens.astype(np.int64), coarse=coarse, fine=fine)
        with np.load(kept) as stored:
            known, self._codes = torch.from_numpy(stored["tokens"]), {k: stored[k] for k in ("coarse", "fine")}
        held = torch.arange(len(known)) // 2 % HELD == 0
        self._train, self._held = known[~held], known[held]

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        rows = rng.integers(0, len(self._train), SEQUENCES)
        at = rng.integers(0, self._train.shape[1] - FRAMES, SEQUENCES)
        return (self._train[rows[:, None], at[:, None] + np.arange(FRAMES)].to(self._job.device),)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        tokens = batch[0]
        losses = [
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:, k].flatten())
            for k, logits in enumerate(network(tokens))
        ]
        return losses[0] + losses[1], {"bits": (losses[0] + losses[1]).detach() / math.log(2.0)}

    def validate(self, network: torch.nn.Module) -> Figures:
        with torch.no_grad():
            bits = float(self.loss(network, (self._held.to(self._job.device),))[0]) / math.log(2.0)
        # of each token by its share in the training, whatever was before
        alone = 0.0
        for k in range(2):
            shares = torch.bincount(self._train[..., k].flatten(), minlength=CODES) + 1.0
            alone -= float(torch.log2(shares / shares.sum())[self._held[:, 1:, k]].mean())
        return {"saved_bits": alone - bits, "bits": bits, "bits_without_past": alone}

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        return {name: a.astype(np.float16) for name, a in {**super().arrays(network), **self._codes}.items()}
