"""`antiphon train denoise-floor`: learns the noise share of the energy removed by the file mask per band.

Clean sound is mastered music in `DATA/records/SOURCE/`, a folder for each source, and the denoiser's other material,
summed, driven, limited or coded; noise is the mask's and synthetic noise. The loss is the negative SI-SDR gain, in
which losses weigh more, and for clean sound the shortfall from `CLEAN_SDR`.
"""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from antiphon.api import F32, UsageError
from antiphon.api.backends.signal import C64, SpectrumSizes, windows
from antiphon_denoise import learned
from antiphon_denoise.bands import BINS, COUNT, HOP
from antiphon_denoise.floor import EXPERTS, FEATURES, LAYOUT, MODEL, VIEWS, context_features, describe, rows_of
from antiphon_denoise.learned import file_mask, first_bins
from antiphon_models.denoise.training import material, sounds
from antiphon_models.denoise.training.recipe import MaskRecipe
from antiphon_models.denoise.training.sounds import RATE
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.material.sounds import resample_mono, save_arrays

# ---- Synthetic noises of the trust of `denoise-floor`: crowds, weather, machines, records, desks

Sound = NDArray[Any]
Draw = Callable[[str], Sound]
"""Returns a sound of a kind of the material, with the requested length."""


def shape_noise(rng: np.random.Generator, count: int, slope: float, low: float = 1.0, high: float = 1e6) -> Sound:
    """Noise whose amplitude falls by frequency to the power of -slope, between two frequencies."""
    return apply_spectral_slope(rng.standard_normal(count), slope, low, high)


def hiss(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    low, high = sorted(np.exp(rng.uniform(4.5, 9.5, 2)))
    band = (low, max(high, 1.5 * low)) if rng.random() < 0.3 else (1.0, 1e6)
    return shape_noise(rng, count, rng.choice([0.0, 0.25, 0.5, 0.75, 1.0]), *band)


def hum(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    tone = _harmonics(rng, count, float(rng.choice([50, 60])), rng.uniform(0.3, 1.5))
    return level(tone) + 10 ** (rng.uniform(-30, -5) / 20) * rng.standard_normal(count)


def fan(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    air = shape_noise(rng, count, rng.uniform(0.3, 1.0), 40.0, np.exp(rng.uniform(6.5, 9.0)))
    turn = 1.0 + rng.uniform(0, 0.4) * np.sin(2 * np.pi * rng.uniform(4, 40) * np.arange(count) / RATE)
    blades = level(_harmonics(rng, count, rng.uniform(60, 300), rng.uniform(0.6, 1.5)))
    return level(air) * turn + 10 ** (rng.uniform(-25, -3) / 20) * blades


def rain(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    drops = _impulses(rng, count, np.exp(rng.uniform(5.0, 8.5)))
    fall = apply_spectral_slope(drops, rng.uniform(-0.2, 0.5), rng.uniform(300, 1500), rng.uniform(6000, 16000))
    return level(fall) + rng.uniform(0.1, 1.0) * level(shape_noise(rng, count, rng.uniform(0.2, 0.8), 100.0))


def vinyl(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    clicks = apply_spectral_slope(
        _impulses(rng, count, rng.uniform(4, 80)), 0.0, rng.uniform(200, 1500), rng.uniform(4000, 15000)
    )
    return level(clicks) + rng.uniform(0.1, 1.0) * level(shape_noise(rng, count, rng.uniform(0.1, 0.8)))


def wind(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    gusts = np.interp(np.arange(count), np.linspace(0, count, 12), np.exp(rng.normal(0, 0.9, 12)))
    return shape_noise(rng, count, rng.uniform(0.8, 1.5), 30.0, rng.uniform(200, 1200)) * gusts


def babble(rng: np.random.Generator, count: int, draw: Draw) -> Sound:
    voices = sum(level(draw("voice")) * 10 ** (rng.uniform(-8, 2) / 20) for _ in range(rng.integers(4, 10)))
    return _add_reverb_tail(rng, np.asarray(voices), rng.uniform(0.2, 1.0))


MADE = (hiss, hiss, hiss, hum, fan, rain, vinyl, wind, babble)


def level(sound: Sound) -> Sound:
    """Sound normalised to power 1; silence is unchanged."""
    return np.asarray(sound / (float(np.std(sound)) + 1e-5))


def apply_spectral_slope(sound: Sound, slope: float, low: float, high: float) -> Sound:
    hertz = np.maximum(np.fft.rfftfreq(len(sound), 1.0 / RATE), 20.0)
    spectrum = np.fft.rfft(sound) * hertz**-slope / (1 + (hertz / high) ** 4) / (1 + (low / hertz) ** 4)
    return np.asarray(np.fft.irfft(spectrum, len(sound)))


def _harmonics(rng: np.random.Generator, count: int, hertz: float, slope: float) -> Sound:
    seconds, tone = np.arange(count) / RATE, np.zeros(count)
    for n in range(1, 13):
        tone += np.sin(2 * np.pi * hertz * n * seconds + rng.uniform(0, 6)) * n**-slope
    return tone


def _impulses(rng: np.random.Generator, count: int, often: float) -> Sound:
    """Random impulses, `often` a second on average, with heavy-tailed amplitudes."""
    struck = rng.random(count) < often / RATE
    return np.asarray(struck * rng.standard_normal(count) * np.exp(rng.normal(0, 0.8, count)))


def _add_reverb_tail(rng: np.random.Generator, sound: Sound, share: float) -> Sound:
    seconds = np.arange(RATE // 2) / RATE
    tail = rng.standard_normal(len(seconds)) * np.exp(-6.9 * seconds / rng.uniform(0.2, 0.9))
    size = len(sound) + len(tail)
    far = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)[: len(sound)]
    return level(sound) * (1 - share) + share * level(far)


# ---- Examples of `denoise-floor`: effect of the file mask on a mixture, band by band, and the ideal one

KINDS = ("song", "song", "solo", "chorale", "kit", "voice", "voice", "voice", "patch", "mangled", "loop", "track")
SECONDS = (8, 5, 5, 4, 3)
LIMITER = 221
SIZES = SpectrumSizes(2048, HOP, 1)


class MaskSums:
    """Computes band sums of the file mask's effect on a mixture."""

    def __init__(self) -> None:
        weights = file_mask.load()
        assert weights is not None
        self._weights, self._window = weights, windows(SIZES)[0]
        self._unit = float(np.square(self._window).sum())
        self._first = first_bins()
        self._width = np.diff(np.append(self._first, BINS)).astype(np.float32)
        self._bands: F32 = np.ascontiguousarray((learned.band_interpolation_weights() / self._width).T, np.float32)

    def of(self, mixed: NDArray[Any], noise: NDArray[Any] | None) -> tuple[F32, F32]:
        """Rows of `floor.features`; and for each band `[4, COUNT]`: noise power, noise power removed by the mask, total
        power removed by the mask, and power of the mixture.
        """
        spectra = self._spectra(mixed)
        power = self._units(spectra, spectra)
        log = np.log(power / self._width + learned.QUIET).astype(np.float32)
        gain = file_mask.compute_file_gains(self._weights, log, None)
        sums = np.zeros((4, len(learned.mean().T)), np.float32)
        if noise is not None:
            alone = self._spectra(noise)
            sums[0] = self._units(alone, alone).sum(0) @ self._bands
            sums[1] = ((1 - gain) * self._units(alone, spectra)).sum(0) @ self._bands
        sums[2] = (np.square(1 - gain) * power).sum(0) @ self._bands
        sums[3] = power.sum(0) @ self._bands
        return rows_of(log, gain), sums

    def _spectra(self, sound: NDArray[Any]) -> C64:
        padded = np.concatenate([np.zeros(SIZES.size - HOP, np.float32), sound.astype(np.float32)])
        frames = np.lib.stride_tricks.sliding_window_view(padded, SIZES.size)[::HOP]
        return np.fft.rfft(frames * self._window).astype(np.complex64)

    def _units(self, one: C64, other: C64) -> F32:
        both = (one.real * other.real + one.imag * other.imag) / self._unit
        return np.asarray(np.add.reduceat(both, self._first, axis=1))


class FloorExamples:
    """Examples of `denoise-floor`, by number."""

    few: ClassVar[dict[str, int]] = {
        "song": 64, "solo": 64, "chorale": 20, "kit": 16, "voice": 64, "patch": 48, "mangled": 32, "loop": 999,
        "track": 999,
    }  # fmt: skip
    """Sounds per kind of the material."""

    def __init__(self, records: dict[str, list[Path]], folder: Path, clips: list[Path], seed: int) -> None:
        self._records, self._clips, self._seed = records, clips, seed
        every = {kind: sorted(folder.glob(f"train-{kind}-*.ogg"))[:count] for kind, count in self.few.items()}
        self._material = {kind: paths for kind, paths in every.items() if paths}
        self._sums = MaskSums()

    def make(self, numbers: Iterable[int]) -> dict[str, NDArray[Any]]:
        """Features `X`, sums `S`, `snr` in dB, 99 without noise, and the `source`'s name."""
        made = [self._example(number) for number in numbers]
        rows = (np.array(part) for part in zip(*made, strict=True))
        return dict(zip(("X", "S", "snr", "source"), rows, strict=True))

    def _example(self, number: int) -> tuple[F32, F32, float, str]:
        rng = np.random.default_rng((self._seed, number))
        count = int(RATE * rng.choice(SECONDS)) // HOP * HOP
        pools = self._records if rng.random() < 0.6 else self._material
        names = sorted(pools) if pools is self._records else [kind for kind in KINDS if kind in pools]
        source = str(rng.choice(names))

        def draw(pool: list[Path]) -> F32:
            return _cut(pool[rng.integers(len(pool))], count, rng)

        clean = _dense(lambda: draw(pools[source]), rng)
        loud = 10 ** (rng.uniform(-40, -9) / 20)
        clean = clean * loud
        if rng.random() < 0.4:
            hiss = 10 ** (-rng.uniform(70, 100) / 20) * loud * rng.standard_normal(count)
            rows, sums = self._sums.of(clean + hiss, None)
            return describe(rows), sums, 99.0, source
        snr = rng.uniform(-5, 25)
        if rng.random() < 0.45:
            noise: NDArray[Any] = draw(self._clips)
            if rng.random() < 0.15:
                noise = level(noise) + level(draw(self._clips))
        else:
            noise = MADE[rng.integers(len(MADE))](rng, count, lambda kind: draw(self._material[kind]))
        noise = level(noise) * loud * 10 ** (-snr / 20)
        rows, sums = self._sums.of(clean + noise, noise)
        return describe(rows), sums, snr, source


def _cut(path: Path, count: int, rng: np.random.Generator) -> F32:
    """Random mono excerpt of `count` frames of a file, looped if the file is shorter."""
    info = soundfile.info(path)
    size = int(count * info.samplerate / RATE) + 8
    at = int(rng.uniform(0.05, 0.9) * max(0, info.frames - size))
    sound = soundfile.read(path, start=at, frames=size, dtype="float32", always_2d=True)[0].mean(axis=1)
    sound = resample_mono(sound, info.samplerate, RATE)
    return np.asarray(np.tile(sound, -(-count // max(1, len(sound))))[:count], np.float32)


def _dense(draw: Callable[[], F32], rng: np.random.Generator) -> NDArray[Any]:
    """One excerpt of a source, or a sum of several, overdriven, limited or encoded."""
    made = level(draw())
    way = rng.random()
    if way < 0.15:
        for _ in range(rng.integers(1, 4)):
            made = made + level(draw()) * 10 ** (rng.uniform(-8, 2) / 20)
    elif way < 0.27:
        driven = np.tanh(made * 10 ** (rng.uniform(6, 30) / 20))
        made = apply_spectral_slope(driven, 0.0, 1.0, rng.uniform(3000, 14000))
        made = made + rng.choice([0, rng.uniform(0, 1.5)]) * level(draw())
    if rng.random() < 0.4:
        made = _limited(made, rng.uniform(3, 14))
    if rng.random() < 0.2:
        made = _apply_lossy_codec(made / max(1, np.abs(made).max()), rng)
    return level(made)


def _limited(sound: NDArray[Any], decibels: float) -> NDArray[Any]:
    """Applies gain and a look-ahead limiter."""
    loud = sound * 10 ** (decibels / 20) / max(0.3, np.abs(sound).max())
    envelope = uniform_filter1d(maximum_filter1d(np.abs(loud), LIMITER), LIMITER)
    return np.asarray(np.tanh(loud / np.maximum(1, envelope)))


def _apply_lossy_codec(sound: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Encodes the sound as MP3 or Vorbis, and decodes it."""
    held = io.BytesIO()
    kind, loss = str(rng.choice(["MP3", "OGG"])), rng.uniform(0.3, 0.95)
    soundfile.write(held, sound, RATE, format=kind, compression_level=loss)
    held.seek(0)
    return np.asarray(np.resize(soundfile.read(held, dtype="float32")[0], len(sound)))


SUFFIXES = (".ogg", ".flac", ".wav", ".mp3", ".opus")
FILES, FILE = 24, 100
CLEAN_SNR_DB = 90.0
"""SNR in dB from which a mixture counts as clean."""
CLEAN_SDR, FAR = 38.0, 6.0
"""Target SI-SDR of clean sound, and scale in dB of the shortfall."""
OVER, BLUR = 2.0, 0.1
"""Weight of a loss in SI-SDR, and standard deviation of the noise added to the features."""


class TorchFloorNetwork(torch.nn.Module):
    """Maps views of the features `[N, COUNT, VIEWS * FEATURES]` to logits of the trust, `[EXPERTS, N, COUNT]`."""

    def __init__(self) -> None:
        super().__init__()
        for name, shape in LAYOUT:
            made = torch.randn(shape) / shape[1] ** 0.5 if name[0] == "w" else torch.zeros(shape)
            self.register_parameter(name, torch.nn.Parameter(made))
        with torch.no_grad():
            self.get_parameter("b2").fill_(-1.0)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        weights = dict(self.named_parameters())
        x = seen.flatten(0, 1)
        for layer in range(2):
            x = torch.tanh(x @ weights[f"w{layer}"] + weights[f"b{layer}"])
        said: torch.Tensor = (x @ weights["w2"] + weights["b2"])[..., 0]
        return said.reshape(len(said), *seen.shape[:2])


class FloorRecipe(Recipe):
    """Recipe of `denoise-floor`: examples of 3 to 8 s."""

    name = "denoise-floor"
    weights = MODEL
    plugin = "denoise"
    module: ClassVar[type[torch.nn.Module]] = TorchFloorNetwork
    trained_on = (
        f"mastered music of Debian's packages by source, summed, driven, limited and coded; {MaskRecipe.trained_on}"
    )
    steps = 1200
    rate = 4e-3
    shares = "denoise"
    half = True
    items: ClassVar[int] = 64

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        folder = job.material / "floor"
        if todo := [n for n in range(FILES) if not (folder / f"floor-{n:03d}.npz").is_file()]:
            folder.mkdir(parents=True, exist_ok=True)
            material.make(job.data, job.material, job.seed, job.say, FloorExamples.few)
            examples = FloorExamples(records(job.data), job.material, sounds.clips(job.data, "train"), job.seed)
            job.say(f"making {FILE * len(todo)} examples in {folder}")
            for n in todo:
                save_arrays(folder / f"floor-{n:03d}.npz", **examples.make(range(n * FILE, (n + 1) * FILE)))
        read_back = [np.load(folder / f"floor-{n:03d}.npz", allow_pickle=False) for n in range(FILES)]
        features, sums, snr, source = (
            np.concatenate([part[name] for part in read_back]) for name in ("X", "S", "snr", "source")
        )
        self._seen = torch.from_numpy(context_features(features).reshape(-1, COUNT, VIEWS * FEATURES))
        self._sums = torch.from_numpy(sums / (sums[:, 3].sum(1)[:, None, None] + 1e-12)).float()
        self._clean = torch.from_numpy(snr > CLEAN_SNR_DB)
        self._expert = torch.from_numpy(np.unique(source, return_inverse=True)[1] % EXPERTS)

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        rows = torch.from_numpy(rng.choice(len(self._seen), self.items, replace=False))
        some = (self._seen, self._sums, self._clean, self._expert)
        return tuple(part[rows].to(self._job.device) for part in some)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        seen, sums, clean, expert = batch
        trust = torch.sigmoid(network(seen + BLUR * torch.randn_like(seen)))
        # each network learns without a quarter of the sources
        there = (torch.arange(EXPERTS, device=seen.device)[:, None] != expert).float()
        gain, sdr = _outcome(trust, sums, clean)
        noisy = torch.where(gain > 0, -gain, -OVER * gain)
        cost = torch.where(clean, torch.relu(CLEAN_SDR - sdr) / FAR, noisy)
        mean = (cost * there).sum() / there.sum()
        return EXPERTS * mean, {"cost": mean.detach()}

    @torch.no_grad()
    def validate(self, network: torch.nn.Module) -> Figures:
        """Figures of each network on its held-out sources."""
        said = network(self._seen.to(self._job.device)).cpu()
        own = said.gather(0, self._expert[None, :, None].expand(1, *said.shape[1:]))
        gain, sdr = _outcome(torch.sigmoid(own), self._sums, self._clean)
        gain, sdr = gain[0][~self._clean], sdr[0][self._clean]
        return {
            "gain": float(gain.mean()),
            "worse": float((gain < -0.1).float().mean()),
            "clean_5": float(torch.quantile(sdr, 0.05)),
        }


def _outcome(trust: torch.Tensor, sums: torch.Tensor, clean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """SI-SDR gain and resulting SI-SDR in dB, each `[EXPERTS, N]`.

    trust: `[EXPERTS, N, COUNT]`; sums: `[N, 4, COUNT]` as `FloorExamples` makes them.
    """
    noise, both, taken, power = sums.unbind(1)
    left = (noise - 2.0 * trust * both + trust.square() * taken).sum(-1)
    noise = noise.sum(-1)
    sound = (power.sum(-1) - torch.where(clean, 0.0, noise)).clamp(min=1e-12)
    gain = 10.0 * torch.log10((noise + 1e-5 * sound) / (left + 1e-5 * sound).clamp(min=1e-12))
    return gain, 10.0 * torch.log10(sound / (left + 1e-6 * sound))


def records(data: Path) -> dict[str, list[Path]]:
    """Files of each source. Raises `UsageError` if there are none."""
    found = {
        place.name: sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES)
        for place in sorted((data / "records").glob("*"))
    }
    if not any(found.values()):
        raise UsageError(f"{data / 'records'} holds no music: put finished records there, a folder for each source")
    return {source: paths for source, paths in found.items() if paths}
