"""`antiphon train denoise-floor`: the share of noise in each band, by the features of a sound's last seconds.

Clean sound is mastered music in `DATA/records/SOURCE/`, a folder for each source, and the denoiser's other material;
half of it is summed, driven and limited until it is dense. Noise is that of the mask. To call clean sound noise counts
three times as much as to miss noise, which is then left in.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from antiphon.api import F32, UsageError
from antiphon_denoise.band_means import BandMeans
from antiphon_denoise.bands import BINS, COUNT, HOP
from antiphon_denoise.floor.features import FEATURES, QUIET, FloorFeatures
from antiphon_denoise.floor.network import EXPERTS, LAYOUT, LEAST_SHARE, MODEL, VIEWS, views
from antiphon_models.denoise.training import material
from antiphon_models.denoise.training.frames import Units
from antiphon_models.denoise.training.recipe import MaskRecipe
from antiphon_models.denoise.training.sounds import RATE, read
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.material.sounds import save_arrays

SUFFIXES = (".ogg", ".flac", ".wav", ".mp3", ".opus")
LENGTH = 10 * RATE
PLACES = (0.15, 0.4, 0.6, 0.8)
"""Where in a record its excerpts begin."""
FILES, FILE = 60, 100
HELD = 6
"""One file in so many is for validation."""
LIMITER = 221
CLEAN = 90.0
"""dB of signal to noise from which on there is none."""
NOT_FOUND, LOW = -4.0, -4.5
"""Decimal logarithms of shares: told and wanted below these, they are not told apart."""
OVER, BLUR = 4.0, 0.1
"""Weight of noise that is told where there is none; deviation of noise on the features."""


class TorchFloorNetwork(torch.nn.Module):
    """Views of the features `[N, COUNT, VIEWS * FEATURES]` → log10 of the noise share, `[EXPERTS, N, COUNT]`."""

    def __init__(self) -> None:
        super().__init__()
        for name, shape in LAYOUT:
            made = torch.randn(shape) / shape[1] ** 0.5 if name[0] == "w" else torch.zeros(shape)
            self.register_parameter(name, torch.nn.Parameter(made))
        with torch.no_grad():
            self.get_parameter("b2").fill_(LEAST_SHARE / 2)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        weights = dict(self.named_parameters())
        x = seen.flatten(0, 1)
        for layer in range(2):
            x = torch.tanh(x @ weights[f"w{layer}"] + weights[f"b{layer}"])
        said: torch.Tensor = (x @ weights["w2"] + weights["b2"])[..., 0]
        return said.reshape(len(said), *seen.shape[:2])


class FloorRecipe(Recipe):
    """Examples of 1 to 10 s."""

    name = "denoise-floor"
    weights = MODEL
    plugin = "denoise"
    module: ClassVar[type[torch.nn.Module]] = TorchFloorNetwork
    trained_on = f"mastered music of Debian's packages by source, summed, driven and limited; {MaskRecipe.trained_on}"
    steps = 3000
    rate = 4e-3
    shares = "denoise"
    half = True
    items: ClassVar[int] = 64

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        folder = job.material / "floor"
        if todo := [n for n in range(FILES) if not (folder / f"floor-{n:03d}.npz").is_file()]:
            found = sources(job, folder)
            job.say(f"making {FILE * len(todo)} examples in {folder}")
            for n in todo:
                save_arrays(folder / f"floor-{n:03d}.npz", **FloorExamples(found, n).make())
        read_back = [np.load(folder / f"floor-{n:03d}.npz", allow_pickle=False) for n in range(FILES)]
        arrays = (np.concatenate([part[name] for part in read_back]) for name in ("X", "Y", "snr", "source"))
        features, share, snr, source = arrays
        seen = np.einsum("vb,nbf->nvf", views(), features).reshape(-1, VIEWS, COUNT, FEATURES)
        self._seen = torch.from_numpy(seen.transpose(0, 2, 1, 3).reshape(-1, COUNT, VIEWS * FEATURES).copy())
        self._wanted = torch.log10(torch.from_numpy(share).clamp(min=10.0**LEAST_SHARE))
        area = BandMeans().area
        # the band's power in the whole, of which feature 12 is a twentieth of the dB
        self._power = 10.0 ** (2.0 * torch.from_numpy(features[..., 12])) * torch.from_numpy(area / area.sum())
        self._clean = torch.from_numpy(snr > CLEAN)
        self._expert = torch.from_numpy(source.astype(np.int64) % EXPERTS)
        held = np.arange(len(snr)) // FILE % HELD == 0
        self._train, self._valid = np.flatnonzero(~held), torch.from_numpy(np.flatnonzero(held))

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        rows = torch.from_numpy(rng.choice(self._train, self.items, replace=False))
        some = (self._seen, self._wanted, self._power, self._clean, self._expert)
        return tuple(part[rows].to(self._job.device) for part in some)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        seen, wanted, power, clean, source = batch
        told = network(seen + BLUR * torch.randn_like(seen))
        # each network learns without a quarter of the sources
        there = (torch.arange(EXPERTS, device=seen.device)[:, None] != source).float()
        over = torch.where(clean, OVER, 1.0)
        off = _off(told, wanted.expand_as(told), LOW, NOT_FOUND)
        cost = torch.where(off > 0, over[:, None] * off, -off) + 0.3 * off.square()
        bands = ((1.0 + 3.0 * power.clamp(max=1.0) ** 0.3) * cost).mean(-1)
        least = _whole(wanted, power).clamp(min=LOW)
        whole = _off(_whole(told.clamp(LEAST_SHARE, 0.0), power), least.expand(EXPERTS, -1), -4.0, -3.5)
        total = torch.where(whole > 0, over * whole, -whole)
        bands, total = ((part * there).sum() / there.sum() for part in (bands, total))
        return EXPERTS * (bands + 2.0 * total), {"bands": bands.detach(), "whole": total.detach()}

    def validate(self, network: torch.nn.Module) -> Figures:
        told = network(self._seen[self._valid].to(self._job.device)).cpu().amin(0).clamp(LEAST_SHARE, 0.0)
        power, clean = self._power[self._valid], self._clean[self._valid]
        whole, wanted = 10.0 * _whole(told, power), 10.0 * _whole(self._wanted[self._valid], power)
        high = float(torch.quantile(whole[clean], 0.95))
        there = ~clean & (wanted > -20.0)
        found = float((whole[there] > high).float().mean())
        return {"found": found, "clean_95": high, "off": float((whole - wanted)[there].abs().median())}


def _off(told: torch.Tensor, wanted: torch.Tensor, low: float, least: float) -> torch.Tensor:
    """Error of a logarithm; 0 where both are too low to matter."""
    return torch.where((wanted <= low) & (told < least), torch.zeros_like(told), told - wanted)


def _whole(log: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
    """Decimal logarithm of the noise's share in the whole, by that in each band."""
    return torch.log10((power * 10.0**log).sum(-1) + 1e-6)


def sources(job: TrainingJob, folder: Path) -> dict[str, list[Callable[[], F32]]]:
    """What reads an excerpt of `LENGTH`, by source; "noise" and "voice" among them. `UsageError` without records."""
    records = {
        f"record {place.name}": sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES)
        for place in sorted((job.data / "records").glob("*"))
    }
    if not any(records.values()):
        raise UsageError(f"{job.data / 'records'} holds no music: put finished records there, a folder for each source")
    made: dict[str, list[Callable[[], F32]]] = {}
    for source, paths in records.items():
        made[source] = [_Excerpt(path, place) for path in paths for place in PLACES]
    material.make(job.data, job.material, job.seed, job.say)
    for kind in ("song", "solo", "voice", "loop", "track", "noise"):
        made[kind] = [_Excerpt(path, 0.0) for path in sorted(job.material.glob(f"train-{kind}-*.ogg"))]
    folder.mkdir(parents=True, exist_ok=True)
    return {source: some for source, some in made.items() if some}


class _Excerpt:
    """Ten seconds of a file from a share of its length on, repeated where it is shorter."""

    def __init__(self, path: Path, place: float) -> None:
        self._path, self._place = path, place

    def __call__(self) -> F32:
        whole = read(self._path)
        whole = whole[int(self._place * max(0, len(whole) - LENGTH)) :]
        return np.tile(whole, -(-LENGTH // max(1, len(whole))))[:LENGTH]


class FloorExamples:
    """One file of examples, by its number."""

    def __init__(self, found: dict[str, list[Callable[[], F32]]], number: int) -> None:
        self._found = found
        self._clean = [source for source in found if source != "noise"]
        self._rnd, self._rng = random.Random(number), np.random.default_rng(number)
        self._units, self._bands = Units(), BandMeans()

    def make(self) -> dict[str, Any]:
        """Features `X`, shares `Y`, `snr`, and the number of the `source`."""
        made = [self._example() for _ in range(FILE)]
        return {
            name: np.array([row[n] for row in made], np.float32) for n, name in enumerate(("X", "Y", "snr", "source"))
        }

    def _example(self) -> tuple[F32, F32, float, int]:
        rnd = self._rnd
        source = rnd.choice(self._clean)
        level = 10 ** (rnd.uniform(-40, -9) / 20)
        clean = _level(self._dense(source)) * level
        snr = 99.0 if rnd.random() < 0.42 else rnd.uniform(-3, 32)
        hiss = self._rng.standard_normal(LENGTH) * 10 ** (-rnd.uniform(60, 90) / 20)
        noise = hiss * level * rnd.choice([0.0, 0.0, 1.0])
        if snr < CLEAN:
            noise = _level(self._noise()) * (level * 10 ** (-snr / 20))
        length = int(LENGTH * rnd.choice([1, 1, 1, 0.75, 0.5, 0.5, 0.3, 0.2, 0.1]))
        at = rnd.randrange(LENGTH - length + 1)
        part = slice(at, at + length)
        rows, features = FloorFeatures(1, self._bands.area), np.zeros((2, COUNT), np.float32)
        sums, own, hops = np.zeros((2, COUNT)), np.zeros(COUNT), 5
        heard, alone = (self._powers(np.asarray(sound)[part]) for sound in (clean + noise, 0.0 * clean + noise))
        for hop, (power, of_noise) in enumerate(zip(heard, alone, strict=True), 1):
            self._bands.measure(power, np.log(power), features)
            sums += features
            self._bands.measure(of_noise, of_noise, features)
            own += features[0]
            if hop % hops == 0:
                rows.add((sums / hops).astype(np.float32))
                sums[:] = 0.0
        rows.average()
        for band in range(COUNT):
            rows.describe(band)
        share = np.minimum(own / len(heard) / (rows.means + QUIET), 1.0)
        own_source = self._clean.index(source)
        return rows.values.copy(), share if snr < CLEAN else np.zeros(COUNT, np.float32), snr, own_source

    def _powers(self, sound: NDArray[Any]) -> F32:
        spectra = self._units.spectra(torch.from_numpy(np.asarray(sound, np.float32))[None])[0, 2048 // HOP :]
        power = (spectra.real.square() + spectra.imag.square()) / self._units.analysis.square().sum()
        return (power[:, :BINS] + QUIET).numpy()

    def _any(self, source: str) -> F32:
        return np.roll(self._rnd.choice(self._found[source])(), self._rnd.randrange(LENGTH))

    def _dense(self, source: str) -> NDArray[Any]:
        """A piece of a source, or several, summed, driven or limited."""
        rnd, made = self._rnd, _level(self._any(source))
        way = rnd.random()
        if way < 0.22:
            for _ in range(rnd.randint(1, 4)):
                made = made + _level(self._any(source)) * 10 ** (rnd.uniform(-8, 2) / 20)
        elif way < 0.38:
            driven = np.tanh(made * 10 ** (rnd.uniform(6, 32) / 20))
            hertz = np.fft.rfftfreq(LENGTH, 1.0 / RATE)
            driven = np.fft.irfft(np.fft.rfft(driven) / (1 + (hertz / rnd.uniform(3000, 14000)) ** 4), LENGTH)
            made = driven + rnd.choice([0.0, rnd.uniform(0, 1.5)]) * _level(self._any(source))
        return _limited(made, rnd.uniform(3, 14)) if way < 0.6 else made

    def _noise(self) -> NDArray[Any]:
        rnd, draw = self._rnd, self._rnd.random()
        if draw < 0.58:
            return self._any("noise") + rnd.choice([0.0, 0.0, 0.0, 1.0]) * self._any("noise")
        if draw < 0.85:
            hertz = np.maximum(np.fft.rfftfreq(LENGTH, 1.0 / RATE), 20.0)
            slope = rnd.choice([0.0, 0.25, 0.5, 0.75, 1.0])
            spectrum = np.fft.rfft(self._rng.standard_normal(LENGTH)) * hertz**-slope
            low, high = sorted(np.exp(rnd.uniform(4.5, 9.5)) for _ in range(2))
            if rnd.random() < 0.3:
                spectrum /= (1 + (hertz / max(high, 1.5 * low)) ** 4) * (1 + (low / hertz) ** 4)
            return np.asarray(np.fft.irfft(spectrum, LENGTH))
        if draw < 0.93:
            return np.asarray(sum(self._any("voice") * 10 ** (rnd.uniform(-6, 3) / 20) for _ in range(7)))
        seconds, mains = np.arange(LENGTH) / RATE, rnd.choice([50, 60])
        hum = np.zeros(LENGTH)
        for n in range(1, 13):
            hum += np.sin(2 * np.pi * mains * n * seconds + rnd.uniform(0, 6)) * n ** -rnd.uniform(0.3, 1.5)
        return _level(hum) + 10 ** (rnd.uniform(-30, -5) / 20) * self._rng.standard_normal(LENGTH)


def _level(sound: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(sound / (float(np.std(sound)) + 1e-5))


def _limited(sound: NDArray[Any], decibels: float) -> NDArray[Any]:
    """Turned up and held below full scale, with a limiter's short look ahead."""
    loud = sound * (10 ** (decibels / 20) / max(0.3, float(np.abs(sound).max())))
    envelope = uniform_filter1d(maximum_filter1d(np.abs(loud), LIMITER), LIMITER)
    return np.asarray(np.tanh(loud / np.maximum(1.0, envelope)))
