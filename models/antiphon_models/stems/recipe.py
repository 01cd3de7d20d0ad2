"""`antiphon train stems` and `stems-live`: masks of random mixes of the scenes' stems.

A stem's spectrum is known, and a mix is a sum: gains, places between the channels, and tone are drawn in the spectrum.
The loss is each stem's error in dB, of absent stems what is left of the mix.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter, resample

from antiphon.api import F32
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.stems import material
from antiphon_models.stems.network import file_network, live_network
from antiphon_models.stems.spectra import analysis_frames
from antiphon_stems.grids import FILE, LIVE, STEMS, UnitGrid
from antiphon_stems.network import DECAYS, LEVEL_DECAY, QUIET, describe, describe_file

LENGTH = 6.0
"""Length of a mix in seconds."""
KEPT, VALID_KEPT = 40, 48
"""Frames used of each mix."""
ITEMS, TAKEN = 64, 8
"""Mixes per step, and frames of each."""
VOICE = STEMS.index("voice")
WIDTHS = np.array([0.3, 0.15, 0.3, 0.9])
"""Maximum pan of stems from the middle."""
SPEEDS = 0.4
"""Maximum speed change of a training's mixes in octaves."""
WIDE, LONE = 0.5, 0.15
"""Shares of stereo mixes, and of mixes with a single stem."""
LONE_VOICE_SHARE = 0.7
"""Share of voices outside any scene."""
FLOOR = 1e-3
"""Error floor relative to a stem's power (to the mix's, for an absent one)."""
ABSENT_WEIGHT = 0.25
"""Loss weight of an absent stem."""


class Mixes:
    """Random mixes of a part's scenes."""

    def __init__(self, job: TrainingJob, part: str) -> None:
        self._scenes = [np.load(path, mmap_mode="r") for path in sorted(job.material.glob(f"{part}-*.npy"))]
        self._there = [[k for k in range(4) if np.any(scene[k, ::97])] for scene in self._scenes]
        self._voices = [np.load(path, mmap_mode="r") for path in sorted(job.material.glob(f"voice-{part}-*.npy"))]
        self._with = [[n for n, there in enumerate(self._there) if k in there] for k in range(4)]
        self._octaves = SPEEDS if part == "train" else 0.0

    def draw(self, rng: np.random.Generator, frames: int) -> tuple[F32, F32]:
        """Stems `[4, frames]` of one or several scenes, and their gains `[4, 2]` in two channels."""
        stems = np.zeros((4, frames), np.float32)
        together, own = rng.random() < 0.6, int(rng.integers(len(self._scenes)))
        speed = 2 ** rng.uniform(-self._octaves, self._octaves)
        start = int(rng.integers(0, material.FRAMES - int(frames * speed)))
        alone = int(rng.integers(4)) if rng.random() < LONE else -1
        for k in range(4):
            number, at, fast = own, start, speed
            if not together or (k == VOICE and k not in self._there[own]):
                fast = 2 ** rng.uniform(-self._octaves, self._octaves)
                number = int(rng.choice(self._with[k]))
                at = int(rng.integers(0, material.FRAMES - int(frames * fast)))
            if (rng.random() < 0.12) if alone < 0 else k != alone:
                continue
            scene, row = self._scenes[number], k
            if k == VOICE and rng.random() < LONE_VOICE_SHARE:
                scene, row = self._voices[int(rng.integers(len(self._voices)))], 0
            x = scene[row, at : at + int(frames * fast)].astype(np.float32) / 32767
            if fast != 1.0:
                x = resample(x, frames)
            power = float(np.mean(x**2))
            if power > 1e-7:
                stems[k] = x * np.float32(0.1 / np.sqrt(power) * 10 ** (rng.normal(0.0, 4.5) / 20))
        pan = rng.uniform(-1, 1, 4) * WIDTHS * float(rng.random() < WIDE)
        gains = np.stack([np.cos((pan + 1) * np.pi / 4), np.sin((pan + 1) * np.pi / 4)], 1) * np.sqrt(2.0)
        return stems, gains.astype(np.float32)


def equaliser_curves(rng: np.random.Generator, grid: UnitGrid) -> F32:
    """Random equaliser curves, `[4, bins]`, between six points of up to some dB."""
    at = np.log10(np.arange(grid.bins) + 10.0)
    points = np.linspace(at[0], at[-1], 6)
    curves = [np.interp(at, points, rng.normal(0.0, 4.0, 6)) for _ in STEMS]
    return (10 ** (np.stack(curves) / 20)).astype(np.float32)


def measure(grid: UnitGrid, stems: F32, gains: F32, tone: F32) -> tuple[F32, F32, F32, F32]:
    """Network inputs and loss terms of a mix.

    Args:
        grid: Whose frames.
        stems: `[4, samples]`.
        gains: `[4, 2]`.
        tone: `[4, bins]`.

    Returns:
        Mean power of the mix `[frames, units]`, of the difference of its channels, what it shares with each stem
        `[4, frames, units]`, and the stems' powers `[frames, 4]`; shares and powers are sums, not means, over bins.
    """
    spectra = analysis_frames(grid, stems) * tone[:, None]
    left, right = np.tensordot(gains.T, spectra, 1)
    power = grid.means((left.real**2 + left.imag**2 + right.real**2 + right.imag**2) / 2)
    side = grid.means(np.abs(left - right) ** 2 / 2)
    both = left * gains[:, 0, None, None] + right * gains[:, 1, None, None]
    shared = grid.means((both * spectra.conj()).real / 2) * grid.width
    own = ((np.abs(spectra) ** 2).sum(2).T * (gains**2).sum(1) / 2).astype(np.float32)
    return power, side, np.asarray(shared, np.float32), own


def describe_live(grid: UnitGrid, power: F32, side: F32) -> tuple[F32, F32]:
    """Features of the node for a stretch from its beginning, `[frames, units]`."""
    log = np.log(power + np.float32(QUIET))
    before = np.concatenate([log[:1], log[:-1]])

    def held(keep: float) -> F32:
        """Causal averages before each frame."""
        return np.asarray(lfilter([1 - keep], [1, -keep], before, axis=0, zi=keep * log[:1])[0], np.float32)

    count = np.arange(1, len(log) + 1)
    weights = (1.0 - LEVEL_DECAY**count) / (1.0 - LEVEL_DECAY)
    mean = lfilter([1.0], [1.0, -LEVEL_DECAY], power @ grid.width / grid.bins) / weights
    level = np.log(mean + QUIET).astype(np.float32)[:, None]
    return describe(grid, power, side, level, (*(held(keep) for keep in DECAYS), before))


class StemsRecipe(Recipe):
    """Recipe of the file network."""

    name = "stems"
    weights = "stems-file"
    plugin = "stems"
    trained_on = (
        "POP909, freedoom, openttd-openmsx and composed songs by FluidR3, MuseScore_General and OPL-3 soundfonts and "
        "drawn synthesisers; espeak-ng voices, LibriSpeech (CC BY) and hibari-tts speech sung by WORLD; Sonic Pi drum "
        "loops and one-shots"
    )
    steps = 6000
    grid: ClassVar[UnitGrid] = FILE
    mixes: ClassVar[tuple[int, int]] = (2000, 52)
    """Number of mixes for training and validation."""
    describe = staticmethod(partial(describe_file, FILE))

    def prepare(self, job: TrainingJob) -> None:
        material.make(job.data, job.material, job.seed, job.say)
        self._job = job
        self._train = self._frames("train", self.mixes[0], KEPT)
        self._held = self._frames("valid", self.mixes[1], VALID_KEPT)

    def _frames(self, part: str, count: int, kept: int) -> list[NDArray[Any]]:
        """Features and truth of frames of many mixes: arrays `[mixes, frames, ...]`, cached in the folder."""
        folder = self._job.material / f"{self.name}-{part}-{count}"
        if not (folder / "done").is_file():
            self._job.say(f"mixing {count} times for {self.name}")
            folder.mkdir(exist_ok=True)
            mixes, files = Mixes(self._job, part), []
            for n in range(count):
                rng = np.random.default_rng((self._job.seed, len(part), n))
                one = self._one(mixes, rng)
                at = np.sort(rng.choice(len(one[0]), kept, replace=False))
                for k, array in enumerate(one):
                    if n == 0:
                        kind = np.float16 if k < 2 else np.float32
                        shape = (count, *(array[at] if k < 5 else array).shape)
                        files.append(np.lib.format.open_memmap(folder / f"{k}.npy", "w+", kind, shape))
                    files[k][n] = array[at] if k < 5 else array
            (folder / "done").touch()
        return [np.load(folder / f"{k}.npy", mmap_mode="r") for k in range(6)]

    def network(self) -> torch.nn.Module:
        return file_network()

    def _one(self, mixes: Mixes, rng: np.random.Generator) -> tuple[F32, ...]:
        stems, gains = mixes.draw(rng, int(LENGTH * material.RATE))
        power, side, shared, own = measure(self.grid, stems, gains, equaliser_curves(rng, self.grid))
        # what is quiet is described as well
        loud = np.float32(10 ** rng.uniform(-3.0, 0.5))
        bands, details = self.describe(power * loud, side * loud)
        return bands, details, power * self.grid.width, shared.transpose(1, 0, 2), own, own.mean(0)

    def _chosen(self, arrays: list[NDArray[Any]], rows: NDArray[Any], frames: NDArray[Any]) -> Batch:
        taken = [array[rows[:, None], frames] if k < 5 else array[rows] for k, array in enumerate(arrays)]
        return tuple(torch.from_numpy(np.asarray(a, np.float32)).to(self._job.device) for a in taken)

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        rows = rng.choice(self.mixes[0], ITEMS, replace=False)
        return self._chosen(self._train, rows, np.argsort(rng.random((ITEMS, KEPT)), axis=1)[:, :TAKEN])

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        there, absent, _ = errors(network, batch)
        value = there.mean() + (ABSENT_WEIGHT * absent.mean() if len(absent) else 0.0)
        return 0.1 * value, {"error": there.mean().detach()}

    def validate(self, network: torch.nn.Module) -> Figures:
        everything = np.tile(np.arange(VALID_KEPT), (4, 1))
        chosen = (self._chosen(self._held, np.arange(n, n + 4), everything) for n in range(0, self.mixes[1], 4))
        found = [errors(network, batch) for batch in chosen]
        better = torch.cat([gain for *_, gain in found])
        names = {f"gain_{name}": float(torch.nanmean(better[:, k])) for k, name in enumerate(STEMS)}
        absent = torch.cat([absent for _, absent, _ in found])
        return {"gain": float(np.mean(list(names.values()))), **names, "absent": float(absent.mean())}


class LiveStemsRecipe(StemsRecipe):
    """Recipe of the node's network."""

    name = "stems-live"
    weights = "stems-live"
    shares = "stems"
    trained_on = (
        f"{StemsRecipe.trained_on}; recorded music of Debian's fretsonfire-songs-muldjord, singularity-music, "
        "supertuxkart-data and wesnoth-1.16-music"
    )
    grid: ClassVar[UnitGrid] = LIVE
    mixes: ClassVar[tuple[int, int]] = (906, 48)
    describe = staticmethod(partial(describe_live, LIVE))

    def network(self) -> torch.nn.Module:
        return live_network()


def errors(network: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Errors in dB of present stems, residuals of absent ones, and gains over the mix `[N, 4]`."""
    bands, details, power, shared, own, mean = batch
    n, t = power.shape[:2]
    shares = network(bands.flatten(0, 1), details.flatten(0, 1)).view(n, t, len(STEMS), -1)
    # a mix of nothing has no loss
    whole = mean.sum(1, keepdim=True).clamp(min=1e-9) * t
    here = mean * t > 1e-6 * whole
    own = own.sum(1)
    # a stem that is silent in these frames is measured by its mean
    floor = torch.where(here, 0.5 * own + 0.5 * mean * t, whole)
    error = (shares.square() * power[:, :, None] - 2.0 * shares * shared).sum((1, 3)) + own
    decibels = 10.0 * torch.log10(error.clamp(min=0.0) / floor + FLOOR)
    passed = power.sum((1, 2))[:, None] - 2.0 * shared.sum((1, 3)) + own
    before = 10.0 * torch.log10(passed.clamp(min=0.0) / floor + FLOOR)
    gain = torch.where(here & (before > -25.0), before - decibels, torch.nan)
    return decibels[here], decibels[~here], gain
