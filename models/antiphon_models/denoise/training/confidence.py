"""The confidence network over whole mixtures, differentiable, and its loss: errors as quadratic forms.

Each band and hop has `STATISTICS` sums, from which the error of any weights follows exactly, but for the overlap of
bands and frames, so training computes no sound. Examples are made once, eight mixtures a file in the material's folder,
with the installed mask and gate: making them takes a hundred times as long as learning from them.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from antiphon.api.backends.models import manifest_entry, read_weights
from antiphon_denoise.bands import BINS, COUNT, HOP, places
from antiphon_denoise.gate.estimate import Estimator
from antiphon_denoise.learned import MASK, NO_NOISE, unit_of_bin
from antiphon_denoise.learned.confidence import (
    CHOICES,
    FEATURES,
    GAIN_ONE_BIAS,
    INITIAL_LOGITS,
    INPUTS,
    LAYOUT,
    MODEL,
    ConfidenceFeatures,
)
from antiphon_denoise.learned.file_confidence import HIDDEN as FILE_HIDDEN, MODEL as FILE_MODEL
from antiphon_models.denoise.network.mask import MaskNetwork
from antiphon_models.denoise.training import material
from antiphon_models.denoise.training.frames import UnitFrames
from antiphon_models.denoise.training.gate import gru_output
from antiphon_models.denoise.training.mixing import Mixer, Mixtures
from antiphon_models.denoise.training.plan import MixturePlan, MixturePlanner, Places
from antiphon_models.denoise.training.recipe import HARM_WEIGHTS, MARGIN, MOST, PURE_SDR_DB, MaskRecipe, figures_of
from antiphon_models.denoise.training.sounds import RATE, Part
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.material.sounds import save_arrays

STATISTICS = 10
"""Sums over a band's bins: |N|², Re N*D of three removals D, and the six products of those."""


class ConfidenceNetwork(torch.nn.Module):
    """Features `[N, T, INPUTS]` → shares of the choices `[N, T, COUNT, CHOICES]`, whose sum is 1."""

    w0: torch.nn.Parameter
    b0: torch.nn.Parameter
    u1: torch.nn.Parameter
    v1: torch.nn.Parameter
    c1: torch.nn.Parameter
    d1: torch.nn.Parameter
    wo: torch.nn.Parameter
    bo: torch.nn.Parameter
    wl: torch.nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        for name, shape in LAYOUT:
            scale = {"wo": 0.2, "wl": 0.2, "v1": 0.5}.get(name, 1.0)
            made = scale * torch.randn(shape) / shape[0] ** 0.5 if len(shape) == 2 else torch.zeros(shape)
            self.register_parameter(name, torch.nn.Parameter(made))
        with torch.no_grad():
            self.bo.copy_(torch.tensor(INITIAL_LOGITS).repeat_interleave(COUNT))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(features @ self.w0 + self.b0)
        high = gru_output(x, self.u1, self.v1, self.c1, self.d1, self.training)
        return _shares(high @ self.wo + self.bo, features, self.wl, self.training)


class FileConfidenceNetwork(torch.nn.Module):
    """Bidirectional confidence network of whole files, the torch form of `antiphon_denoise.learned.file_confidence`."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = torch.nn.Linear(INPUTS, FILE_HIDDEN)
        self.turn = torch.nn.GRU(FILE_HIDDEN, FILE_HIDDEN, batch_first=True, bidirectional=True)
        self.say = torch.nn.Linear(2 * FILE_HIDDEN, CHOICES * COUNT)
        self.local = torch.nn.Linear(FEATURES, CHOICES, bias=False)
        with torch.no_grad():
            self.say.weight.mul_(0.3)
            self.say.bias.copy_(torch.tensor(INITIAL_LOGITS).repeat_interleave(COUNT))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        high, _ = self.turn(torch.tanh(self.enter(features)))
        return _shares(self.say(high), features, self.local.weight.T, self.training)


def _shares(said: torch.Tensor, features: torch.Tensor, local: torch.Tensor, training: bool) -> torch.Tensor:
    """Shares of the choices, from the output for all bands together and from each band's own features."""
    own = features[..., : FEATURES * COUNT].unflatten(-1, (FEATURES, COUNT)).transpose(-1, -2)
    logits = said.unflatten(-1, (CHOICES, COUNT)).transpose(-1, -2) + own @ local
    if not training:
        # a loss is of what is learned, a validation of what is played
        logits = logits + torch.tensor([GAIN_ONE_BIAS, 0.0, 0.0, 0.0], device=logits.device)
    return torch.softmax(logits, -1)


def errors(statistics: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Error energy `[N, T, COUNT]`: residual noise plus lost signal, for the given shares."""
    a, b, c = shares[..., 1:].unbind(-1)
    n, na, nb, nc, aa, ab, ac, bb, bc, cc = statistics.unbind(-1)
    linear = a * na + b * nb + c * nc
    square = a * a * aa + b * b * bb + c * c * cc + 2.0 * (a * b * ab + a * c * ac + b * c * bc)
    return (n - 2.0 * linear + square).clamp(min=0.0)


FILE = 8
"""Mixtures per file."""
SEEDS: dict[Part, tuple[int, int]] = {"train": (7, 0), "valid": (8, 100_000)}
"""Seeds of the choices, and of the noise of file 0, independent of a training's seed."""
HELD_OUT_KINDS = {"loop": 4, "track": 4}
"""Validation share of these kinds is one in four, of others one in eight."""
SHARES = {
    "song": 0.16, "solo": 0.18, "chorale": 0.04, "kit": 0.06, "voice": 0.14,
    "patch": 0.1, "mangled": 0.1, "loop": 0.1, "shot": 0.06, "track": 0.14,
}  # fmt: skip
FIRST_UNSEEN_FILE: dict[Part, int] = {"train": 103, "valid": 16}
"""First file whose clean sounds are of kinds outside the mask's training, at high signal-to-noise ratios."""
UNSEEN_SHARES = {"patch": 0.35, "mangled": 0.4, "solo": 0.1, "shot": 0.1, "track": 0.05}
QUIET = 1e-10
Kinds = dict[str, list[Any]]


class Examples(NamedTuple):
    """features `[N, T, INPUTS]` in half precision; statistics `[N, T, COUNT, 10]`, see `confidence.errors`; own `[N]`
    energy of the clean sound; gap `[N, T]` 1 in its pauses; snr `[N]` dB; silent `[N]` 1 without a clean sound.
    """

    features: torch.Tensor
    statistics: torch.Tensor
    own: torch.Tensor
    gap: torch.Tensor
    snr: torch.Tensor
    silent: torch.Tensor


class ExamplePlanner(MixturePlanner):
    """Plans the mask's mixtures with more clean sound, more loops and more loud items."""

    def __init__(self, places: Places, length: int) -> None:
        super().__init__(places, length, SHARES)

    def item(self, rng: np.random.Generator) -> MixturePlan:
        made = super().item(rng)
        if made.snr < 40.0 and not made.silent and rng.random() < 0.1:
            made.snr = float(rng.uniform(45, 80))
        if rng.random() < 0.4:
            made.level = float(10 ** (rng.uniform(-30, -12) / 20))
        return made


def divide_material(train: Kinds, valid: Kinds) -> dict[Part, Kinds]:
    """Splits the material, holding back part of the mask's training data for validation."""
    made: dict[Part, Kinds] = {"train": {}, "valid": {}}
    for kind, sounds in train.items():
        every = HELD_OUT_KINDS.get(kind, 8)
        held = {n for n in range(len(sounds)) if hashlib.md5(f"{kind}{n}".encode()).digest()[0] % every == 0}
        made["valid"][kind] = [sounds[n] for n in sorted(held)] + valid[kind]
        made["train"][kind] = [sound for n, sound in enumerate(sounds) if n not in held]
    return {part: {kind: own or train[kind] for kind, own in kinds.items()} for part, kinds in made.items()}


class UnseenPlanner(MixturePlanner):
    """Plans mixtures of clean sounds outside the mask's training, where it errs more: SNR 8 to 28 dB, and clean."""

    def __init__(self, places: Places, length: int) -> None:
        super().__init__(places, length, UNSEEN_SHARES)

    def item(self, rng: np.random.Generator) -> MixturePlan:
        made = super().item(rng)
        made.silent, made.level = False, float(10 ** (rng.uniform(-35, -12) / 20))
        made.snr = float(rng.uniform(45, 80)) if rng.random() < 0.3 else float(rng.uniform(8, 28))
        return made


class ExampleMaker:
    """Makes examples through the installed mask and gate."""

    def __init__(self) -> None:
        self._mask = MaskNetwork().eval()
        self._mask.load_state_dict(
            {name: torch.from_numpy(value) for name, value in read_weights(MASK.weights).items()}
        )
        self._units = UnitFrames()
        self._unit = torch.from_numpy(unit_of_bin())
        self._scale = float(self._units.analysis.square().sum())
        below, fraction = places(BINS)
        spread = np.zeros((BINS, COUNT), np.float32)
        spread[np.arange(BINS), below] += 1.0 - fraction
        spread[np.arange(BINS), below + 1] += fraction
        self._spread = torch.from_numpy(spread)

    @torch.no_grad()
    def make(self, mixtures: Mixtures) -> dict[str, Any]:
        """Arrays by name, the fields of `Examples`."""
        made = [self._example(mixtures, row) for row in range(len(mixtures.items))]
        gap = mixtures.gap.unflatten(1, (-1, HOP)).mean(2).numpy()
        return {
            "features": np.stack([part[0] for part in made]),
            "statistics": np.stack([part[1] for part in made]),
            "own": np.array([part[2] for part in made], np.float32),
            "gap": gap,
            "snr": np.array([item.snr for item in mixtures.items], np.float32),
            "silent": np.array([item.silent for item in mixtures.items]),
        }

    def _example(self, mixtures: Mixtures, row: int) -> tuple[Any, Any, float]:
        heard, clean = (self._units.spectra(part[row : row + 1]) for part in (mixtures.mixed, mixtures.clean))
        logs = self._units.logs(heard)
        noise, when, profile = torch.full_like(logs, NO_NOISE), -1, None
        if mixtures.items[row].known[0] >= 0:
            when, where = (round(second * RATE / HOP) for second in mixtures.items[row].known)
            profile = self._profile(mixtures.noise[row : row + 1], where)
            noise[:, when:] = torch.log(self._units.sums(profile) / self._units.width + QUIET)
        mask = self._mask(logs, noise)[0][:, self._unit]
        power = (self._power(heard[0]) + QUIET).numpy().astype(np.float32)
        features = _features(power, mask.numpy(), when, profile)
        return features, self._statistics(heard[0], clean[0], mask), float(clean.abs().square().sum())

    def _power(self, spectra: torch.Tensor) -> torch.Tensor:
        return (spectra.real.square() + spectra.imag.square()) / self._scale

    def _profile(self, noise: torch.Tensor, where: int) -> torch.Tensor:
        """Mean power `[BINS]` of half a second of noise; the first frame starts at hop `where`."""
        size = self._units.grid.size
        first = -(-size // HOP) - 1 + where
        return self._power(self._units.spectra(noise)[0, first : first + (RATE // 2 - size) // HOP]).mean(0)

    def _statistics(self, heard: torch.Tensor, clean: torch.Tensor, mask: torch.Tensor) -> Any:
        noise = heard - clean
        power = heard.real.square() + heard.imag.square()
        shared = noise.real * heard.real + noise.imag * heard.imag
        removed = (1.0 - mask, 1.0 - mask**3, torch.ones_like(mask))
        parts = [noise.real.square() + noise.imag.square(), *(part * shared for part in removed)]
        parts += [removed[a] * removed[b] * power for a in range(3) for b in range(a, 3)]
        return torch.stack([part @ self._spread for part in parts], -1).numpy()


def _features(power: Any, mask: Any, when: int, profile: torch.Tensor | None) -> Any:
    """Features `[T, INPUTS]`, computed hop by hop as the processor does."""
    estimator, features = Estimator(BINS), ConfidenceFeatures()
    made = np.zeros((len(power), INPUTS), np.float16)
    for hop in range(len(power)):
        if hop == when and profile is not None:
            estimator.learn(profile.numpy().astype(np.float32))
        estimator.power[:] = power[hop]
        estimator.update(1e9)
        features.update(estimator.power, mask[hop], 1.0 - estimator.limit * (1.0 - estimator.gain), estimator.known)
        made[hop] = features.values
    return made


def make(folder: Path, part: Part, files: int, kinds: Kinds, frames: int, say: Callable[[str], None]) -> None:
    """Makes missing files; all of them where the mask has changed."""
    mark = json.dumps({"mask": manifest_entry(MASK.weights)["sha256"], "frames": frames})
    noted = folder / "examples.json"
    if not noted.is_file() or noted.read_text() != mark:
        for old in folder.glob("*.npz"):
            old.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        noted.write_text(mark)
    todo = _missing_files(folder, part, files)
    if not todo:
        return
    say(f"making {FILE * len(todo)} examples in {folder}")
    choices, noise = SEEDS[part]
    maker, mixer = ExampleMaker(), Mixer(kinds, frames * HOP, torch.device("cpu"))
    planners = [planner(mixer.starts, frames * HOP) for planner in (ExamplePlanner, UnseenPlanner)]
    for n in todo:
        planner = planners[n >= FIRST_UNSEEN_FILE[part]]
        arrays = maker.make(mixer.mix(planner.items(np.random.default_rng((choices, n)), FILE), noise + n))
        save_arrays(folder / f"{part}-{n:04d}.npz", **arrays)


def _missing_files(folder: Path, part: Part, files: int) -> list[int]:
    return [n for n in range(files) if not (folder / f"{part}-{n:04d}.npz").is_file()]


def load(folder: Path, part: Part, files: int) -> Examples:
    """The first `files` files of a part."""
    read = [np.load(folder / f"{part}-{n:04d}.npz", allow_pickle=False) for n in range(files)]
    return Examples(*(torch.from_numpy(np.concatenate([file[name] for file in read])) for name in Examples._fields))


TARGET_SDR_DB = 42.0
"""Target SI-SDR in dB of clean sound."""
HARMED, SOFT = -0.3, 0.3
"""Loss in dB from which an item counts as harmed, and width of that transition."""
LATENCY_HOPS = 31
"""Hops after the start of a pause within which its noise should be suppressed: a quarter second."""
QUIET_PAUSE = 26.0
HARD_GAIN, HARD_PURE = 0.5, 35.0
"""Gain in dB, and SI-SDR of clean sound in dB, below which an example is drawn more often."""


class ConfidenceRecipe(Recipe):
    """`antiphon train denoise-confidence`: examples of five seconds, each from a silent state.

    The loss is the negative gain of each example, with two penalties: the amount an item loses, and whether it loses.
    """

    name = "denoise-confidence"
    weights = MODEL
    plugin = "denoise"
    module: ClassVar[type[torch.nn.Module]] = ConfidenceNetwork
    trained_on = f"{MaskRecipe.trained_on}, through denoise-mask and denoise-gate"
    steps = 700
    rate = 3e-3
    shares = "denoise"
    frames: ClassVar[int] = 625
    files: ClassVar[tuple[int, int]] = (130, 20)
    """Number of files of examples, for training and for validation."""
    items: ClassVar[int] = 16
    harm: ClassVar[float] = 12.0
    """Final weight of a loss relative to a gain; the initial weight is 1."""
    count: ClassVar[float] = 4.0
    """Weight of the share of harmed items."""
    dropout: ClassVar[float] = 0.1
    """Maximum dropout rate of the features, constant over an example."""
    hard: ClassVar[float] = 5.0
    """Oversampling factor of examples on which the mask alone fails."""

    def prepare(self, job: TrainingJob) -> None:
        folder = job.material / "examples"
        material.make(job.data, job.material, job.seed, job.say)
        self._job = job
        parts: tuple[tuple[Part, int], ...] = (("train", self.files[0]), ("valid", self.files[1]))
        if any(_missing_files(folder, part, files) for part, files in parts):
            kinds = divide_material(material.load(job.material, "train"), material.load(job.material, "valid"))
            for part, files in parts:
                make(folder, part, files, kinds[part], self.frames, job.say)
        self._train, self._valid = (load(folder, part, files) for part, files in parts)
        self._odds = self._drawn(self._train)

    def _drawn(self, every: Examples) -> Any:
        """Sampling probability of each example, `[N]`."""
        alone = torch.tensor([0.0, 1.0, 0.0, 0.0])
        rows = range(0, len(every.own), FILE)
        figures = [
            _figures(part, alone.expand(*part.statistics.shape[:3], 4)) for part in (_part(every, n) for n in rows)
        ]
        gain, after = (torch.cat([figure[n] for figure in figures]) for n in (0, 1))
        pure = every.snr > PURE_SDR_DB
        odds = torch.where(torch.where(pure, after < HARD_PURE, gain < HARD_GAIN), self.hard, 1.0).double()
        odds[every.silent] = 0.5
        return (odds / odds.sum()).numpy()

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        rows = torch.from_numpy(rng.choice(len(self._odds), self.items, replace=False, p=self._odds))
        way = torch.tensor(1.0 if self._job.further else min(1.0, step / self.steps))
        return tuple(part.to(self._job.device) for part in (*(kind[rows] for kind in self._train), way))

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        *parts, way = batch
        part = Examples(*parts)
        features = part.features.float()
        kept = torch.rand(len(features), 1, features.shape[2], device=features.device)
        features = features * (kept > self.dropout * torch.rand(len(features), 1, 1, device=features.device))
        gain, after, rest = _figures(part, network(features))
        pure, noisy = (part.snr > PURE_SDR_DB) & ~part.silent, (part.snr <= PURE_SDR_DB) & ~part.silent
        harm = HARM_WEIGHTS[0] + (self.harm - HARM_WEIGHTS[0]) * way
        own = -gain.clamp(max=MOST) + harm * (MARGIN - gain).clamp(min=0.0)
        own = own + self.count * torch.sigmoid((HARMED - gain) / SOFT)
        nothing = torch.zeros_like(own)
        own = torch.where(noisy, own, torch.where(pure, 0.35 * (TARGET_SDR_DB - after).clamp(min=0.0), nothing))
        loud = torch.where(torch.isfinite(rest) & ~pure, (torch.nan_to_num(rest) + QUIET_PAUSE).clamp(min=0.0), nothing)
        return 0.1 * (own.mean() + 0.12 * loud.mean()), {
            "gain": gain[noisy].mean().detach(),
            "harmed": (gain[noisy] < -0.5).float().mean(),
            "pure": after[pure].mean().detach(),
            "pauses": torch.nanmean(rest).detach(),
        }

    def validate(self, network: torch.nn.Module) -> Figures:
        found = []
        for first in range(0, len(self._valid.own), FILE):
            part = _part(self._valid, first)
            found.append(torch.stack(_figures(part, network(part.features.float().to(self._job.device)).cpu()), 1))
        gain, after, rest = torch.cat(found).unbind(1)
        snr, silent = self._valid.snr, self._valid.silent
        noisy, pure = (snr <= PURE_SDR_DB) & ~silent, (snr > PURE_SDR_DB) & ~silent
        return figures_of(gain, after, rest, snr, noisy, pure)


class FileConfidenceRecipe(ConfidenceRecipe):
    """Recipe of the file network, on the same examples."""

    name = "denoise-confidence-file"
    weights = FILE_MODEL
    module = FileConfidenceNetwork


def _part(every: Examples, first: int) -> Examples:
    return Examples(*(kind[first : first + FILE] for kind in every))


def _figures(part: Examples, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gain, signal-to-distortion ratio, and level change of pauses, each `[N]` in dB; NaN without a pause."""
    left = errors(part.statistics, shares)
    after, before, own = left.sum((1, 2)), part.statistics[..., 0].sum((1, 2)), part.own
    pause = (part.gap > 0.99).float()
    pause = pause * torch.nn.functional.pad(pause, (LATENCY_HOPS, 0))[:, : pause.shape[1]]
    here = (left.sum(2) * pause).sum(1)
    noise = (part.statistics[..., 0].sum(2) * pause).sum(1)
    gain = 10.0 * torch.log10((before + 1e-7 * own + 1e-9) / (after + 1e-7 * own + 1e-9))
    ratio = 10.0 * torch.log10((own + 1e-9) / (after + 1e-8 * own + 1e-9))
    rest = 10.0 * torch.log10((here + 1e-12 * before) / (noise + 1e-12) + 1e-9)
    return gain, ratio, torch.where(noise > 1e-4 * before.clamp(min=1e-6), rest, torch.nan)
