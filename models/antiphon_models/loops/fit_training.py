"""Training of `fit`: two towers for four bars of a loop, by contrastive learning of parts of one song."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from antiphon.api import F32
from antiphon_loops.analysis.compatibility import BANDS, CLASSES, ROWS, STEPS, grid
from antiphon_loops.analysis.spectrum import RATE, picture
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.loops.fit_material import BARS, sounds_of, windows
from antiphon_models.material.sounds import save_arrays

PITCHED = slice(BANDS, BANDS + CLASSES)
_BANDS_ALL = {"freedoom": 0, "openttd-openmsx": 0}
_SETS = (
    ("train", "fluidr3", 11, {"pop909": 120, "jsb": 30, **_BANDS_ALL}, 2),
    ("train", "timgm6mb", 12, {"pop909": 110, "jsb": 30, **_BANDS_ALL}, 2),
    ("valid", "fluidr3", 91, {"pop909": 24, "jsb": 6, **_BANDS_ALL}, 1),
)
"""Split, soundfont, seed, songs of each source (0: all), and windows of a song."""
MOST = 960
"""Maximum loops of a set."""
_BATCH, _CHUNK, _WIDTH, _CHANNELS = 40, 96, 40, 12
BEATS, HARMONY, RHYTHM = 16, 192, 64
_SHIFTED_SHARE = 0.15
"""Share of pairs that are both shifted by a part of a bar, against learning from bar position alone."""


class FitNetwork(nn.Module):
    """Two towers: pitch classes to harmony, equivariant to transposition; bands and onsets to rhythm.

    Loops float32 `[n, ROWS, STEPS]` give `[n, HARMONY + RHYTHM]`, each part scaled: the product of two loops' vectors
    is how well they go together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.harmony1 = nn.Conv2d(1, _CHANNELS, (CLASSES, 3))
        self.harmony2 = nn.Conv2d(_CHANNELS, _CHANNELS, (CLASSES, 3))
        self.harmony3 = nn.Conv2d(_CHANNELS, 1, 1)
        self.rhythm1 = nn.Conv1d(ROWS - CLASSES, _WIDTH, 3, padding=1, padding_mode="circular")
        self.rhythm2 = nn.Conv1d(_WIDTH, _WIDTH, 4, 2, padding=1, padding_mode="circular")
        self.rhythm3 = nn.Conv1d(_WIDTH, _WIDTH, 4, 2, padding=1, padding_mode="circular")
        self.rhythm4 = nn.Linear(_WIDTH * STEPS // 4, RHYTHM)
        self.drop = nn.Dropout(0.3)
        self.scale = nn.Parameter(torch.tensor([10.0, 3.0]))
        nn.init.zeros_(self.harmony3.weight)

    def forward(self, loops: torch.Tensor) -> torch.Tensor:
        beats = loops[:, PITCHED].unflatten(2, (BEATS, -1)).mean(dim=3)
        level = beats.sum(dim=1, keepdim=True)
        beats = beats / (level + 0.15 * level.amax(dim=2, keepdim=True) + 1e-6)
        x = functional.relu(self.harmony1(_circular_padding(beats[:, None])))
        x = functional.relu(self.harmony2(_circular_padding(x)))
        harmony = beats + self.harmony3(x)[:, 0]
        harmony = (harmony - harmony.mean(dim=1, keepdim=True)).flatten(1)
        harmony = harmony * (level.flatten(1).amax(dim=1, keepdim=True) > 0)
        y = functional.relu(self.rhythm1(torch.cat([loops[:, :BANDS], loops[:, PITCHED.stop :]], dim=1)))
        y = functional.relu(self.rhythm2(y))
        y = self.drop(functional.relu(self.rhythm3(y)).flatten(1))
        parts = (functional.normalize(harmony), functional.normalize(self.rhythm4(y)))
        roots = self.scale.clamp(min=0.01).sqrt()
        return torch.cat([part * root for part, root in zip(parts, roots, strict=True)], dim=1)


def _circular_padding(x: torch.Tensor) -> torch.Tensor:
    """Circular padding of `[n, channels, CLASSES, BEATS]`, in pitch by an octave and in time by a beat each way."""
    x = torch.cat([x, x[:, :, : CLASSES - 1]], dim=2)
    return torch.cat([x[..., -1:], x, x[..., :1]], dim=3)


class FitRecipe(Recipe):
    """Recipe of `fit`'s towers."""

    name = "fit"
    weights = "loops-fit"
    plugin = "loops"
    module = FitNetwork
    steps = 4000
    trained_on = "four-bar parts of POP909, JSB, freedoom and OpenMSX, rendered with FluidR3 GM and TimGM6mb"
    half = True

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        self._sets = [_Set(_material(job, *each)) for each in _SETS]
        self._held = self._sets[-1]

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng([self._job.seed, step])
        of = self._sets[step % 2]
        pairs = of.pairs(rng, _BATCH)
        one, other = (np.array([_augmented_loop(of.grids[pair[side]], rng) for pair in pairs]) for side in (0, 1))
        for n in range(len(pairs)):
            turn = 16 * int(rng.integers(4)) + (int(rng.integers(16)) if rng.random() < _SHIFTED_SHARE else 0)
            pitch = int(rng.integers(12))
            for loop in (one, other):
                loop[n] = _shifted_loop(loop[n], pitch, turn)
        broken = np.stack(
            [
                np.array([_shifted_loop(loop, int(rng.choice([-1, 1, 1, -1, 3, 6])), 0) for loop in other]),
                np.array([_shifted_loop(loop, 0, int(rng.choice([2, 2, 2, 6, 10, 1, 4, 8]))) for loop in other]),
            ]
        )
        pitched = np.array([one[n, PITCHED].any() and other[n, PITCHED].any() for n in range(len(pairs))])
        return tuple(torch.from_numpy(x).to(self._job.device) for x in (one, other, broken, pitched))

    def loss(self, network: nn.Module, batch: Batch) -> Loss:
        one, other, broken, pitched = batch
        first, second = network(one), network(other)
        wrong = torch.einsum("nd,knd->nk", first, network(broken.flatten(0, 1)).view(2, len(one), -1))
        # drums transposed are the same drums
        wrong = torch.stack([wrong[:, 0].masked_fill(~pitched, -1e4), wrong[:, 1]], dim=1)
        right = torch.arange(len(one), device=one.device)
        pairs = first @ second.T
        ahead = torch.cat([pairs, wrong], dim=1)
        loss = functional.cross_entropy(ahead, right) + functional.cross_entropy(pairs.T, right)
        return loss, {"first": (ahead.argmax(dim=1) == right).float().mean()}

    def validate(self, network: nn.Module) -> Figures:
        rng = np.random.default_rng(0)
        held = self._held
        loops, semitone, late = (
            network(torch.from_numpy(np.array([_shifted_loop(x, *move) for x in held.grids]))).numpy()
            for move in ((0, 0), (1, 0), (0, 2))
        )
        places: list[float] = []
        over: tuple[list[bool], list[bool]] = ([], [])
        for q in range(len(held.grids)):
            mates = [m for m in held.windows[held.place[q]] if m != q]
            p = int(rng.choice(mates))
            others = rng.permutation(np.flatnonzero(held.song != held.song[q]))[:49]
            right = loops[q] @ loops[p]
            places.append(float((loops[others] @ loops[q] > right).sum()))
            over[1].append(bool(right > loops[q] @ late[p]))
            if held.grids[q, PITCHED].any() and held.grids[p, PITCHED].any():
                over[0].append(bool(right > loops[q] @ semitone[p]))
        rank = np.array(places)
        return {
            "first": float((rank < 1).mean()),
            "five": float((rank < 5).mean()),
            "semitone": float(np.mean(over[0])),
            "half a beat": float(np.mean(over[1])),
        }


class _Set:
    """Loops of one soundfont, by window."""

    def __init__(self, files: Iterable[Path]) -> None:
        read = [dict(np.load(file)) for file in files]
        self.grids: F32 = np.concatenate([x["g"] for x in read]).astype(np.float32)
        self.song, part = (np.concatenate([x[name] for x in read]) for name in ("song", "part"))
        self.grids[part == "drums", PITCHED] = 0.0
        self.place = np.concatenate([x["place"] for x in read])
        self.windows: dict[int, list[int]] = {}
        for n, place in enumerate(self.place):
            self.windows.setdefault(int(place), []).append(n)
        keep = np.array([len(self.windows[int(p)]) > 1 for p in self.place])
        self.grids, self.song, self.place = self.grids[keep], self.song[keep], self.place[keep]
        self.windows = {int(p): np.flatnonzero(self.place == p).tolist() for p in set(self.place.tolist())}
        self.songs: dict[str, list[int]] = {}
        for place, loops in self.windows.items():
            self.songs.setdefault(str(self.song[loops[0]]), []).append(place)

    def pairs(self, rng: np.random.Generator, count: int) -> list[NDArray[np.int64]]:
        """Pairs of parts of one window, each of another song."""
        names = rng.permutation(list(self.songs))[:count]
        return [rng.permutation(self.windows[int(rng.choice(self.songs[name]))])[:2] for name in names]


def _shifted_loop(loop: F32, semitones: int, steps: int) -> F32:
    """Loop with pitch classes transposed and all of it delayed by 16ths; its bands keep their pitch."""
    out = np.roll(loop, steps, axis=1)
    out[PITCHED] = np.roll(out[PITCHED], semitones, axis=0)
    return out


def _augmented_loop(loop: F32, rng: np.random.Generator) -> F32:
    """Augmented loop: bands tilted or dropped; some bars silent."""
    out = loop.copy()
    if rng.random() < 0.25:
        out[:BANDS] = 0.0
    else:
        tilt = rng.normal(0.0, 0.08) + rng.normal(0.0, 0.12) * np.linspace(-1, 1, BANDS, dtype=np.float32)
        out[:BANDS] = np.where(out[:BANDS] > 0, np.clip(out[:BANDS] + tilt[:, None], 0, 1), 0)
    out[PITCHED] *= np.float32(rng.uniform(0.7, 1.2))
    noise = rng.normal(0.0, 0.03, out.shape).astype(np.float32)
    if not out[PITCHED].any():
        noise[PITCHED] = 0.0
    return np.asarray(out + noise, np.float32)


def _material(job: TrainingJob, split: str, font: str, seed: int, limits: dict[str, int], count: int) -> Iterator[Path]:
    """Files of a few loops each, made if missing."""
    seed += 1000 * (job.seed - 1)
    rng = np.random.default_rng(seed)
    drawn = list(windows(job.data, split, limits, count, rng))
    loops = [loop for n in rng.permutation(len(drawn)) for loop in drawn[n]][:MOST]
    name = f"{split}-{font}"
    for first in range(0, len(loops), _CHUNK):
        path, part = job.material / f"{name}-{first:05}.npz", loops[first : first + _CHUNK]
        if not path.exists():
            job.say(f"{name}: {first} of {len(loops)} loops")
            sounds = sounds_of(part, font, np.random.default_rng([seed, first]), RATE)
            grids = [grid(picture(s / max(1e-9, float(np.abs(s).max())), len(s) / RATE), BARS) for s in sounds]
            names = ([x.song for x in part], [x.place for x in part], [x.part for x in part])
            song, place, kind = (np.array(each) for each in names)
            save_arrays(path, g=np.array(grids, np.float16), song=song, place=place, part=kind)
        yield path
