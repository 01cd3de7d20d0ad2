"""`antiphon train bars-gan`: phrases of melody, bass and piano by a GAN after MuseGAN (Dong 2018), to be measured.

Generators of each track share a part of their latent numbers, of the phrase and of each bar, as in MuseGAN's hybrid
model. What begins where is drawn hard, and the slope is that of the soft choice (Jang 2017). Hinge loss and the
penalty of Mescheder 2018 in place of Wasserstein's: both halves take their steps together, each from its own part of
one loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from antiphon_models.answer.phrases import BARS, NONE, PITCHES, SLOTS, STEPS, figures, phrases
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob

BATCH = 32
SHARED, OWN = 32, 16
"""Latent numbers of all tracks, and of one; as many again for each bar."""
WIDTH = 128
TRACKS = {"melody": PITCHES + 1, "bass": PITCHES + 1, "piano": PITCHES}
EVERY = 4
"""Steps from one penalty to the next."""
PENALTY = 2.0


class BarGenerator(nn.Module):
    """Latent numbers of a bar to logits of what begins in each of its sixteenths."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.enter = nn.Linear(2 * (SHARED + OWN), 4 * WIDTH)
        self.eighths = nn.ConvTranspose1d(WIDTH, WIDTH, 2, stride=2)
        self.sixteenths = nn.ConvTranspose1d(WIDTH, WIDTH, 2, stride=2)
        self.leave = nn.Conv1d(WIDTH, out, 3, padding=1)
        # few notes at first: else the critic has won before anything is learnt
        bias = torch.full((out,), -2.0)
        bias[PITCHES:] = 2.5
        self.leave.bias = nn.Parameter(bias)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """`[n, 2 * (SHARED + OWN)]` to `[n, STEPS, out]`."""
        x = functional.leaky_relu(self.enter(latent), 0.2).view(-1, WIDTH, 4)
        x = functional.leaky_relu(self.eighths(x), 0.2)
        x = functional.leaky_relu(self.sixteenths(x), 0.2)
        made: torch.Tensor = self.leave(x).transpose(1, 2)
        return made


class PhraseGenerator(nn.Module):
    """Draws phrases: latent numbers of the phrase, and of its bars by a linear map of others."""

    def __init__(self) -> None:
        super().__init__()
        self.times = nn.ModuleDict(
            {"shared": nn.Linear(SHARED, BARS * SHARED), **{name: nn.Linear(OWN, BARS * OWN) for name in TRACKS}}
        )
        self.bars = nn.ModuleDict({name: BarGenerator(out) for name, out in TRACKS.items()})

    def forward(self, count: int, shared: torch.Tensor | None = None) -> torch.Tensor:
        """`[count, SLOTS, channels]`, 0 and 1; `shared` `[count, SHARED]`, the phrase's own, is drawn without it."""
        phrase = torch.randn(count, SHARED) if shared is None else shared
        bars = self.times["shared"](torch.randn(count, SHARED)).view(count, BARS, SHARED)
        made = []
        for name in TRACKS:
            own = torch.randn(count, OWN)
            own_bars = self.times[name](torch.randn(count, OWN)).view(count, BARS, OWN)
            told = torch.cat(
                [phrase[:, None].expand(-1, BARS, -1), bars, own[:, None].expand(-1, BARS, -1), own_bars], dim=2
            )
            logits = self.bars[name](told.flatten(0, 1)).reshape(count, SLOTS, -1)
            made.append(_struck(logits) if name == "piano" else functional.gumbel_softmax(logits, 1.0, hard=True))
        return torch.cat(made, dim=2)


def _struck(logits: torch.Tensor) -> torch.Tensor:
    """Draws of 0 or 1 whose slope is that of the chance."""
    noise = torch.rand_like(logits).clamp(1e-6, 1 - 1e-6)
    soft = torch.sigmoid(logits + torch.log(noise) - torch.log1p(-noise))
    return soft + ((soft > 0.5).float() - soft).detach()


class PhraseCritic(nn.Module):
    """How human phrases seem."""

    def __init__(self) -> None:
        super().__init__()
        channels = sum(TRACKS.values())
        self.slots = nn.Conv1d(channels, WIDTH, 1)
        self.eighths = nn.Conv1d(WIDTH, WIDTH, 2, stride=2)
        self.beats = nn.Conv1d(WIDTH, 160, 2, stride=2)
        self.bars = nn.Conv1d(160, 192, 4, stride=4)
        self.whole = nn.Linear(192 * BARS + 1, 192)
        self.verdict = nn.Linear(192, 1)

    def forward(self, phrase: torch.Tensor) -> torch.Tensor:
        """`[n]` of phrases `[n, SLOTS, channels]`."""
        x = phrase.transpose(1, 2)
        for layer in (self.slots, self.eighths, self.beats, self.bars):
            x = functional.leaky_relu(layer(x), 0.2)
        x = x.flatten(1)
        # how unlike each other the phrases of a batch are (Karras 2018), against writing one phrase only
        unlike = x.std(dim=0).mean().expand(len(x), 1)
        verdict: torch.Tensor = self.verdict(functional.leaky_relu(self.whole(torch.cat([x, unlike], dim=1)), 0.2))
        return verdict[:, 0]


class PhraseGAN(nn.Module):
    """Generator and critic."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = PhraseGenerator()
        self.critic = PhraseCritic()


def symbols(made: torch.Tensor) -> NDArray[np.uint8]:
    """Phrases as `phrases` has them, of what the generator drew."""
    melody, bass, piano = made.split(list(TRACKS.values()), dim=2)
    columns = [melody.argmax(dim=2, keepdim=True), bass.argmax(dim=2, keepdim=True), (piano > 0.5).long()]
    return torch.cat(columns, dim=2).numpy().astype(np.uint8)


def _hot(found: NDArray[np.uint8]) -> torch.Tensor:
    """What the critic sees of phrases."""
    told = torch.from_numpy(found.astype(np.int64))
    tunes = [functional.one_hot(told[:, :, n], PITCHES + 1).float() for n in (0, 1)]
    return torch.cat([*tunes, told[:, :, 2:].float()], dim=2)


class BarsGANRecipe(Recipe):
    """POP909 and JSB, phrases of four bars in 4/4, all in one key."""

    name = "bars-gan"
    weights = "bars-gan"
    plugin = "answer"
    module = PhraseGAN
    steps = 24000
    rate = 4e-4
    trained_on = "POP909, songs whose number ends in 1 to 6; training part of JSB"

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        found = {}
        for split in ("train", "valid"):
            path = job.material / f"{split}.npy"
            if not path.is_file():
                job.say(f"reading songs, {split}")
                np.save(path, phrases(job.data, split, ("pop909", "jsb") if split == "train" else ("pop909",)))
            found[split] = np.load(path)
        self._train, self._held = found["train"], figures(found["valid"])
        self._spread = _histograms(found["valid"])

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng([self._job.seed, step])
        drawn = _hot(self._train[rng.integers(0, len(self._train), BATCH)])
        return drawn, torch.tensor(float(step % EVERY == 0))

    def loss(self, network: Any, batch: Batch) -> Loss:
        real, penalised = batch
        made = network.generator(len(real))
        real = real.requires_grad_(bool(penalised))
        human, false = network.critic(real), network.critic(made.detach())
        critic = functional.relu(1.0 - human).mean() + functional.relu(1.0 + false).mean()
        if penalised:
            (slope,) = torch.autograd.grad(human.sum(), real, create_graph=True)
            critic = critic + PENALTY * slope.square().sum(dim=(1, 2)).mean()
        still = {name: weight.detach() for name, weight in network.critic.named_parameters()}
        fooled = torch.func.functional_call(network.critic, still, (made,)).mean()
        return critic - fooled, {"critic": critic.detach(), "fooled": fooled.detach()}

    def validate(self, network: Any) -> Figures:
        """How far notes' pitches, intervals, places and counts are from held-out songs', negative; and figures."""
        with torch.random.fork_rng():
            torch.manual_seed(1)
            made = symbols(network.generator(512))
        far = np.mean([0.5 * np.abs(a - b).sum() for a, b in zip(_histograms(made), self._spread, strict=True)])
        return {"score": -float(far), **figures(made), **{f"human_{k}": v for k, v in self._held.items()}}


def _histograms(found: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """Shares that sum to 1: melody and bass by pitch, by interval, by place in the bar, and by count of a bar."""
    rows = []
    for column in (0, 1):
        track = found[:, :, column].astype(int)
        there = track != NONE
        steps = [np.diff(row[row != NONE]) for row in track]
        places = np.nonzero(there)[1] % STEPS
        counts = there.reshape(len(found), BARS, STEPS).sum(axis=2).ravel()
        for values, size in (
            (track[there], PITCHES),
            (np.concatenate(steps) + PITCHES, 2 * PITCHES),
            (places, STEPS),
            (counts, STEPS + 1),
        ):
            bins = np.bincount(values, minlength=size).astype(np.float64)
            rows.append(bins / max(1.0, bins.sum()))
    return rows
