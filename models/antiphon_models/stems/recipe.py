"""`antiphon train stems` and `stems-live`: trains masks on random mixes."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from antiphon.api.backends.signal import grid as hop_grid, windows
from antiphon_models.denoise.training import sounds
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.stems import material
from antiphon_models.stems.material import pieces, stretch
from antiphon_models.stems.streaming import StreamStems
from antiphon_stems.grids import FILE, LIVE, NOMINAL, STEMS, UnitGrid
from antiphon_stems.network import BENT, DETAILS, FILE_AROUND, ROWS, SLOPE, VOICE, WIDTH, describe_file

# ---- Mixes for both networks, made on the device that trains: single sounds drawn, placed, equalised and summed

Ints: TypeAlias = NDArray[np.int64]
Reals: TypeAlias = NDArray[np.floating]
HOP_GRID = hop_grid(48000, LIVE.hop)
FRAMES = 640 * LIVE.hop
"""Length of a mix in samples: 5.6 s."""
PHRASE = 160
"""Hops of the node whose errors are combined: 1.4 s."""
KINDS = (*STEMS, "record")
WIDTHS = np.array([0.3, 0.15, 0.3, 0.9])
"""Maximum pan of stems from the middle."""
SPEEDS = 0.4
"""Maximum speed change in octaves."""
MONO = 0.5
"""Share of the mixes that are mono."""
WEIGHTS = (1.0, 1.0, 2.0, 1.0)
"""Weight of each stem's error, by stem."""
FLOOR, ABSENT_FLOOR = 1e-3, 10**-2.2
"""Error floor relative to a present stem's power, and to the mix's for an absent one."""
ABSENT_WEIGHT = 0.25
RESPONSE = 32768
"""Longest room response in samples."""
SETTLED = 16
"""Initial hops of a mix excluded from all figures."""


@dataclass(frozen=True, slots=True)
class Clips:
    """Clips of a kind, concatenated.

    sound: int16 on the device.  start, length: of each clip, in samples.  song: number of each clip's song.
    """

    sound: torch.Tensor
    start: Ints
    length: Ints
    song: Ints
    rate: int


def join_clips(sounds: Sequence[tuple[int, NDArray[np.int16]]], rate: int, device: torch.device) -> Clips:
    """Concatenates clips of a kind, given as (song number, sound)."""
    length = np.array([len(sound) for _, sound in sounds])
    start = np.concatenate([[0], np.cumsum(length)[:-1]])
    sound = torch.from_numpy(np.concatenate([sound for _, sound in sounds])).to(device)
    return Clips(sound, start, length, np.array([song for song, _ in sounds]), rate)


class Measured(NamedTuple):
    """Spectra of mixes in the network's units.

    power, side: means over bins, `[mixes, hops, units]`.  total: the sum of the power.  shared: cross power of the mix
    and each stem, `[mixes, hops, 4, units]`.  own: the stems' powers `[mixes, hops, 4]`.  known: `[mixes, 4]`.
    """

    power: torch.Tensor
    side: torch.Tensor
    total: torch.Tensor
    shared: torch.Tensor
    own: torch.Tensor
    known: torch.Tensor


class RandomMixer:
    """Draws random mixes of clips by kind."""

    def __init__(
        self, clips: Mapping[str, Clips], device: torch.device, grid: UnitGrid = LIVE, *, fixed: bool = False
    ) -> None:
        """fixed: no variation of speed, tone, room or width, for validation."""
        self._clips, self._device, self._grid, self._fixed = clips, device, grid, fixed
        window = np.sin(np.pi * (np.arange(grid.size) + 0.5) / grid.size) if grid is FILE else windows(HOP_GRID)[0]
        # white noise of variance 1 has power 1
        self._window = _tensor(window / np.sqrt(np.sum(window.astype(np.float64) ** 2)), device)
        self._songs = np.unique(np.concatenate([clips[kind].song for kind in ("drums", "bass")]))
        units = np.zeros((grid.bins, grid.units), np.float32)
        units[np.arange(grid.bins), grid.unit_of_bin] = 1.0
        self._units, self._width = torch.from_numpy(units).to(device), torch.from_numpy(grid.width).to(device)

    def draw(self, rng: np.random.Generator, count: int, *, mono: bool | None = None, record: float = 0.3) -> Measured:
        """Draws mixes; mono: all (True), none (False) or some (None).  record: share over a whole instrumental."""
        kinds, known = self._kinds(rng, count, record)
        frames = FRAMES
        speed = 2.0 ** rng.uniform(-SPEEDS, SPEEDS, (count, 4)) * (not self._fixed) + float(self._fixed)
        together = rng.random(count) < 0.5
        speed[together] = speed[together][:, :1]
        place, song = rng.random((count, 4)), rng.choice(self._songs, count)
        place[together] = place[together][:, :1]
        sound = torch.zeros(count, 4, frames, device=self._device)
        for kind, clips in self._clips.items():
            where = np.argwhere(kinds == kind)
            if len(where):
                chosen = rng.integers(0, len(clips.start), len(where))
                if kind != "record":
                    own = clips.song == song[where[:, :1]]
                    of_song = together[where[:, 0]] & own.any(axis=1)
                    chosen = np.where(of_song, own.argmax(axis=1), chosen)
                taken = self._cut_excerpts(clips, chosen, place[tuple(where.T)], speed[tuple(where.T)])
                sound[tuple(torch.from_numpy(where.T))] = taken
        if not self._fixed:
            sound = self._apply_effects(rng, sound)
        level = 10 ** (rng.normal(0.0, 4.5, (count, 4)) / 20)
        power = sound.square().mean(2)
        scale = torch.where(power > 1e-7, 0.1 / power.clamp(min=1e-9).sqrt(), 0.0) * _tensor(level, self._device)
        return self._measure(rng, sound * scale[:, :, None], known, mono)

    def _kinds(self, rng: np.random.Generator, count: int, record: float) -> tuple[NDArray[np.str_], torch.Tensor]:
        """Kind of each stem's sound, "" for none, and which stems are known."""
        kinds = np.tile(np.array(STEMS, "<U8"), (count, 1))
        kinds[rng.random((count, 4)) < np.array([0.15, 0.15, 0.25, 0.12])] = ""
        lone = np.flatnonzero(rng.random(count) < 0.12)
        only = rng.choice(4, len(lone), p=[0.15, 0.1, 0.25, 0.5])
        kinds[lone] = np.where(np.arange(4) == only[:, None], np.array(STEMS), "")
        whole = np.flatnonzero(rng.random(count) < record) if "record" in self._clips else np.zeros(0, int)
        kinds[whole] = ["", "", "voice", "record"]
        kinds[whole[rng.random(len(whole)) < 0.35], VOICE] = ""
        known = torch.ones(count, 4, dtype=torch.bool, device=self._device)
        known[whole] = torch.arange(4, device=self._device) == VOICE
        return kinds, known

    def _cut_excerpts(self, clips: Clips, chosen: Ints, place: Reals, speed: Reals) -> torch.Tensor:
        """Excerpts of clips `[N, frames]` at a speed, from a relative position in the range of possible starts."""
        frames, step = FRAMES, speed * clips.rate / NOMINAL
        free = np.maximum(0.0, clips.length[chosen] - frames * step - 2)
        first = torch.from_numpy(clips.start[chosen] + (place * free).astype(np.int64)).to(self._device)[:, None]
        last = torch.from_numpy(clips.start[chosen] + clips.length[chosen] - 2).to(self._device)[:, None]
        at = torch.arange(frames, device=self._device, dtype=torch.float64)
        at = at * torch.from_numpy(step).to(self._device)[:, None]
        whole = at.floor()
        index, part = first + whole.long(), (at - whole).float()
        inside = index < last
        index = torch.minimum(index, last)
        low, high = clips.sound[index].float(), clips.sound[index + 1].float()
        return torch.where(inside, low + part * (high - low), 0.0) / 32768.0

    def _apply_effects(self, rng: np.random.Generator, sound: torch.Tensor) -> torch.Tensor:
        """Applies drive and rooms; voices are also doubled, or get microphone noise."""
        count, frames, device = len(sound), sound.shape[2], self._device
        peak = sound.abs().amax(2, keepdim=True).clamp(min=1e-4)
        drive = _tensor(rng.uniform(1.0, 4.0, (count, 4, 1)), device)
        driven = torch.from_numpy(rng.random((count, 4, 1)) < [[0.3], [0.3], [0.3], [0.2]]).to(device)
        sound = torch.where(driven, torch.tanh(drive * sound / peak) * peak, sound)
        voice = sound[:, VOICE]
        second = torch.from_numpy(rng.random((count, 1)) < 0.15).to(device) & (voice.abs().amax(1, keepdim=True) > 0)
        voice = voice + torch.where(second, voice.roll(1, 0) * _tensor(rng.uniform(0.2, 0.8, (count, 1)), device), 0.0)
        noisy = rng.random((count, 1)) < 0.35
        drawn = torch.Generator(device).manual_seed(int(rng.integers(2**31)))
        noise = torch.randn(count, frames, device=device, generator=drawn)
        hiss = _tensor(noisy * 10 ** rng.uniform(-3.0, -1.4, (count, 1)), device)
        sound[:, VOICE] = voice + hiss * noise * voice.square().mean(1, keepdim=True).sqrt()
        rooms = torch.from_numpy(rng.random((count, 4)) < [0.15, 0.1, 0.5, 0.2]).to(device)
        at = torch.arange(RESPONSE, device=device)
        fall = _tensor(rng.uniform(0.15, 1.6, (count, 4, 1)), device) * NOMINAL
        tail = torch.randn(count, 4, RESPONSE, device=device, generator=drawn) * 10 ** (-3.0 * at / fall)
        wet = _tensor(10 ** rng.uniform(-0.9, -0.1, (count, 4, 1)), device)
        tail = tail * wet / tail.square().sum(2, keepdim=True).sqrt()
        tail[:, :, 0] += 1.0
        size = frames + RESPONSE
        room = torch.fft.irfft(torch.fft.rfft(sound, size) * torch.fft.rfft(tail, size), size)[:, :, :frames]
        return torch.where(rooms[:, :, None], room, sound)

    def _channels(self, rng: np.random.Generator, count: int, mono: bool | None) -> torch.Tensor:
        """Gains `[N, 4, 2, bins]` of stems in two channels: pan, tone, and for some stems a coloured side channel."""
        wide = np.full(count, not mono) if mono is not None else rng.random(count) >= MONO
        pan = rng.uniform(-1, 1, (count, 4)) * WIDTHS * wide[:, None]
        if not self._fixed:
            pan *= np.where(rng.random((count, 1)) < 0.5, 1.0, rng.random((count, 1)))
        gains = np.stack([np.cos((pan + 1) * np.pi / 4), np.sin((pan + 1) * np.pi / 4)], 2) * np.sqrt(2.0)
        made = _tensor(gains, self._device)[..., None].expand(-1, -1, -1, self._grid.bins)
        if self._fixed:
            return made
        tone = 10 ** (self._curves(rng, count, 4.0) / 20)
        loose = (rng.random((count, 4)) < 0.5) * wide[:, None] * rng.uniform(0.1, 0.8, (count, 4))
        side = torch.tanh(self._curves(rng, count, 1.0, 24)) * _tensor(loose, self._device)[..., None]
        return made * tone[:, :, None] * torch.stack([1.0 + side, 1.0 - side], 2)

    def _curves(self, rng: np.random.Generator, count: int, spread: float, points: int = 6) -> torch.Tensor:
        """Random curves `[N, 4, bins]`, interpolated between points over log frequency."""
        at = np.log10(np.arange(self._grid.bins) + 10.0)
        at = (at - at[0]) / (at[-1] - at[0]) * (points - 1)
        low = np.minimum(at.astype(int), points - 2)
        drawn = _tensor(rng.normal(0.0, spread, (count, 4, points)), self._device)
        part = _tensor(at - low, self._device)
        return drawn[:, :, low] * (1.0 - part) + drawn[:, :, low + 1] * part

    def _measure(
        self, rng: np.random.Generator, sound: torch.Tensor, known: torch.Tensor, mono: bool | None
    ) -> Measured:
        padded = functional.pad(sound, (self._grid.size - self._grid.hop, 0))
        spectra = torch.fft.rfft(padded.unfold(2, self._grid.size, self._grid.hop) * self._window)
        gains = self._channels(rng, len(sound), mono)
        if not self._fixed:
            spectra = spectra * self._compressor_gains(rng, spectra)
        left, right = ((spectra * gains[:, :, c, None]).sum(1) for c in (0, 1))
        both = left[:, None] * gains[:, :, 0, None] + right[:, None] * gains[:, :, 1, None]
        shared = ((both * spectra.conj()).real / 2) @ self._units
        own = (spectra.abs().square() * (gains.square().sum(2) / 2)[:, :, None]).sum(3)
        total = ((left.abs().square() + right.abs().square()) / 2) @ self._units
        side = ((left - right).abs().square() / 2) @ self._units
        # what is quiet is described as well
        loud = _tensor(1.0 if self._fixed else 10 ** rng.uniform(-3.0, 0.5, (len(sound), 1, 1)), self._device)
        power, side = (x / self._width * loud for x in (total, side))
        return Measured(power, side, total, shared.transpose(1, 2), own.transpose(1, 2), known)

    def _compressor_gains(self, rng: np.random.Generator, spectra: torch.Tensor) -> torch.Tensor:
        """A compressor's gain per hop, `[N, 1, hops, 1]`, applied to some mixes."""
        power = functional.avg_pool1d(spectra.sum(1).abs().square().mean(2)[:, None], 5, 1, 2) + 1e-7
        much = rng.uniform(0.0, 0.35, (len(spectra), 1, 1)) * (rng.random((len(spectra), 1, 1)) < 0.4)
        return ((power / power.mean(2, keepdim=True)).clamp(0.03) ** -_tensor(much, self._device))[..., None]


def _tensor(x: Reals | float, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.asarray(x, np.float32)).to(device)


def loss(shares: torch.Tensor, mix: Measured, phrase: int = PHRASE) -> torch.Tensor:
    """Loss of shares `[mixes, hops, 4, units]`: mean in dB of the plain error and the error at the best level.

    phrase: hops whose errors are combined.
    """
    made = (shares.square() * mix.total[:, :, None]).sum(3)
    along = (shares * mix.shared).sum(3)
    made, along, own, whole = (
        x.unflatten(1, (-1, phrase)).sum(2) for x in (made, along, mix.own, mix.total.sum(2, keepdim=True))
    )
    error = made - 2.0 * along + own
    mean, most = own.mean(1, keepdim=True), whole.mean(1, keepdim=True).clamp(min=1e-9)
    here = (mean > 1e-5 * most).expand_as(own)
    scaled = own - along.square() / (made + 1e-3 * mean + 1e-9)
    floor = 0.5 * own + 0.5 * mean + 1e-9
    present = 5.0 * torch.stack([torch.log10(x.clamp(min=0.0) / floor + FLOOR) for x in (error, scaled)]).sum(0)
    absent = 10.0 * torch.log10(error.clamp(min=0.0) / (0.5 * whole + 0.5 * most) + ABSENT_FLOOR)
    weight = torch.tensor(WEIGHTS, device=own.device) * mix.known[:, None]
    there, gone = weight * here, weight * ~here
    value: torch.Tensor = (present * there).sum() / there.sum().clamp(min=1.0)
    value = value + ABSENT_WEIGHT * (absent * gone).sum() / gone.sum().clamp(min=1.0)
    return 0.1 * value


def gains(shares: torch.Tensor, mix: Measured) -> tuple[torch.Tensor, torch.Tensor]:
    """SI-SDR gain over the mix for present stems, and level below the mix for absent ones, `[mixes, 4]`, else NaN."""
    shares, total, shared, own = (x[:, SETTLED:] for x in (shares, mix.total, mix.shared, mix.own))
    own = own.sum(1).clamp(min=1e-12)
    whole = total.sum((1, 2))[:, None]
    made = (shares.square() * total[:, :, None]).sum((1, 3))

    def ratio(along: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
        aimed = along.square() / own
        return 10.0 * torch.log10(aimed / (power - aimed).clamp(min=1e-9 * aimed + 1e-12))

    better = ratio((shares * shared).sum((1, 3)), made) - ratio(shared.sum((1, 3)), whole.expand_as(made))
    here = own > 1e-4 * whole
    below = 10.0 * torch.log10((whole + 1e-9) / (made + 1e-12))
    return torch.where(here & mix.known, better, torch.nan), torch.where(~here & mix.known, below, torch.nan)


def figures(shares: Callable[[Measured], torch.Tensor], held: Mapping[str, Measured]) -> dict[str, float]:
    """Gains and absence of held-out mixes, by name; the first, `gain`, selects the network."""
    found: dict[str, float] = {}
    with torch.no_grad():
        for name, mix in held.items():
            parts = [Measured(*(x[n : n + 8] for x in mix)) for n in range(0, len(mix.power), 8)]
            both = [gains(shares(part), part) for part in parts]
            better, below = (torch.cat([pair[k] for pair in both]) for k in (0, 1))
            for k, stem in enumerate(STEMS):
                for what, values in (("gain", better[:, k]), ("absent", below[:, k])):
                    if not bool(values.isnan().all()):
                        found[f"{name}_{what}_{stem}"] = float(torch.nanmean(values))
    told = [value for name, value in found.items() if "gain" in name]
    voices = [value for name, value in found.items() if name.endswith("gain_voice")]
    quiet = [min(value, 18.0) for name, value in found.items() if name.endswith("absent_voice")]
    score = np.mean(told) + np.mean(voices) + 0.3 * np.mean(quiet) if quiet else np.mean(told) + np.mean(voices)
    return {"gain": float(score), **found}


# ---- Mask network of files: band layers give context to each unit, a small layer the shares of four stems


class FileStems(torch.nn.Module):
    """Network from features of frames to the shares of four stems in each unit."""

    wide: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.enter = torch.nn.Linear((ROWS + FILE_AROUND) * FILE.bands, WIDTH)
        self.middle = torch.nn.Linear(WIDTH, WIDTH)
        self.say = torch.nn.Linear(WIDTH, (BENT + len(STEMS)) * FILE.bands)
        self.bend = torch.nn.Linear(DETAILS + FILE_AROUND, BENT, bias=False)
        self.last = torch.nn.Linear(BENT, len(STEMS), bias=False)
        self.register_buffer("wide", torch.from_numpy(FILE.wide), persistent=False)

    def forward(self, bands: torch.Tensor, details: torch.Tensor) -> torch.Tensor:
        """Computes the shares of the stems, `[N, 4, units]`, 0 to 1, which add up to 1 in each unit.

        `bands`: `[N, (ROWS + FILE_AROUND) * FILE.bands]`; `details`: `[N, DETAILS + FILE_AROUND, units]`.
        """
        x = functional.silu(self.enter(bands))
        x = x + functional.silu(self.middle(x))
        context = self.say(x).view(len(x), BENT + len(STEMS), FILE.bands) @ self.wide
        seen = torch.matmul(self.bend.weight, details) + context[:, :BENT]
        logits = torch.matmul(self.last.weight, functional.leaky_relu(seen, SLOPE)) + context[:, BENT:]
        return torch.softmax(logits, 1)


TRAINED_ON = (
    "POP909, freedoom, openttd-openmsx and composed songs by FluidR3, MuseScore_General and OPL-3 soundfonts and "
    "drawn synthesisers; espeak-ng voices, LibriSpeech (CC BY) and hibari-tts speech sung by WORLD; Sonic Pi drum "
    "loops and one-shots"
)
TAKEN = 16
"""Frames of a mix in a training step of the file network."""


class LiveStemsRecipe(Recipe):
    """Recipe of the node's network."""

    name, weights, plugin, shares = "stems-live", "stems-live", "stems", "stems"
    module: ClassVar[type[torch.nn.Module]] = StreamStems
    trained_on = (
        f"{TRAINED_ON}; recorded music of Debian's packages named in antiphon_models.stems.material, "
        "screened by Spleeter's network (its voice more than 14 dB down), and the voices of hedgewars-data (GPL-2) and "
        "asterisk-core-sounds (CC BY-SA) in WORLD"
    )
    steps = 3000
    rate = 1.2e-3
    half = keeps_best = True
    grid: ClassVar[UnitGrid] = LIVE
    count, held = 16, 32
    """Mixes of a step, and of each kind of validation."""

    def prepare(self, job: TrainingJob) -> None:
        material.make(job.data, job.material, job.seed, job.say)
        self._job = job
        self._mixes = RandomMixer(clips(job, "train"), job.device, self.grid)
        valid, rng = (
            RandomMixer(clips(job, "valid"), job.device, self.grid, fixed=True),
            np.random.default_rng(job.seed),
        )
        kinds = {"mono": (True, 0.0), "stereo": (False, 0.0), "record": (True, 1.0)}
        self._held = {name: valid.draw(rng, self.held, mono=mono, record=of) for name, (mono, of) in kinds.items()}

    def batch(self, step: int) -> Batch:
        with torch.no_grad():
            return self._mixes.draw(np.random.default_rng((self._job.seed, step)), self.count)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        mix = Measured(*batch)
        return loss(self._shares(network, mix), mix), {}

    def validate(self, network: torch.nn.Module) -> Figures:
        return figures(partial(self._shares, network), self._held)

    def _shares(self, network: torch.nn.Module, mix: Measured) -> torch.Tensor:
        """Shares of whole mixes."""
        assert isinstance(network, StreamStems)
        return network.whole(mix.power, mix.side)


class StemsRecipe(LiveStemsRecipe):
    """Recipe of the file network, of single frames."""

    name, weights, shares = "stems", "stems-file", ""
    module = FileStems
    trained_on = TRAINED_ON
    rate, half = 2e-3, False
    grid: ClassVar[UnitGrid] = FILE

    def batch(self, step: int) -> Batch:
        mix = Measured(*super().batch(step))
        frames = np.random.default_rng((step, TAKEN)).choice(mix.power.shape[1], TAKEN, replace=False)
        power, side, total, shared, own = (x[:, frames] for x in mix[:5])
        return (*frame_features(mix, frames), power, side, total, shared, own, mix.known)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        bands, details, *rest = batch
        shares = network(bands.flatten(0, 1), details.flatten(0, 1)).unflatten(0, bands.shape[:2])
        return loss(shares, Measured(*rest), TAKEN), {}

    def _shares(self, network: torch.nn.Module, mix: Measured) -> torch.Tensor:
        bands, details = frame_features(mix, np.arange(mix.power.shape[1]))
        return torch.stack([network(*both) for both in zip(bands, details, strict=True)])


def frame_features(mix: Measured, frames: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of frames of mixes, as of files: `[mixes, frames, …]`."""
    both = [describe_file(FILE, *pair) for pair in zip(mix.power.cpu().numpy(), mix.side.cpu().numpy(), strict=True)]
    bands, details = (torch.from_numpy(np.stack([pair[k][frames] for pair in both])) for k in (0, 1))
    return bands.to(mix.power.device), details.to(mix.power.device)


def clips(job: TrainingJob, part: sounds.Part) -> dict[str, Clips]:
    """Clips of a part by kind, of the material and of recorded instrumentals."""
    found: dict[str, list[tuple[int, NDArray[np.int16]]]] = {}
    for song, path in enumerate(sorted(job.material.glob(f"{part}-*.npy"))):
        for kind, sound in zip(STEMS, np.load(path), strict=True):
            if np.any(sound[::97]) and (kind != "voice" or part == "train"):
                found.setdefault(kind, []).append((song, sound))
    voices = sorted(job.material.glob(f"voice-{part}-*.npy"))
    found.setdefault("voice", []).extend((-1, np.load(path)[0]) for path in voices)
    for path in (path for package in pieces(job.data, part) for path in package if path.stem != "guitar"):
        sound = stretch(path, random.Random(path.name), material.RATE, material.FRAMES)
        found.setdefault("record", []).append((-1, np.round(sound * 32767).astype(np.int16)))
    return {kind: join_clips(sounds, material.RATE, job.device) for kind, sounds in found.items()}
