"""`antiphon train denoise`: trains the mask network end to end on its output sound.

The loss is the negative SI-SDR gain of each mixture; losses weigh more (`HARM_WEIGHTS`). Clean sound must pass, and
pauses must be quiet. SI-SDR as a loss: Luo and Mesgarani, 2018.
"""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon.api.backends.networks import fill_network
from antiphon_denoise.bands import HOP
from antiphon_denoise.learned import MASK, NO_NOISE
from antiphon_denoise.learned.file_mask import MODEL as FILE_MODEL
from antiphon_models.denoise.network.mask import FileMaskNetwork, MaskNetwork
from antiphon_models.denoise.training import material
from antiphon_models.denoise.training.frames import Frames, UnitFrames
from antiphon_models.denoise.training.mixing import Mixer, Mixtures
from antiphon_models.denoise.training.plan import Component, MixturePlan, MixturePlanner
from antiphon_models.denoise.training.sounds import RATE
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob

PURE_SDR_DB = 40.0
"""SI-SDR in dB at and above which a result counts as clean."""
MIN_POWER = 1e-7
"""Mean power below which the clean sound is silent."""
PASS, MARGIN, MOST = 40.0, 0.3, 22.0
HARM_WEIGHTS = 1.0, 4.0
"""Weight of a loss in SI-SDR relative to a gain, at the start and at the end of the training."""
QUIET_PAUSE, MASKED = 24.0, 2.0
VALID_SEED, VALID_ITEMS = 990, 96


def si_sdr(made: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """dB of each row."""
    own = clean.square().sum(1) + 1e-9
    along = (made * clean).sum(1)
    wanted = along.square() / own
    rest = (made.square().sum(1) - wanted).clamp(min=0.0)
    return 10.0 * torch.log10((wanted + 1e-9) / (rest + 1e-7 * own + 1e-9))


class MaskRecipe(Recipe):
    """Recipe of `denoise`: mixtures of five seconds, each from a silent state."""

    name = "denoise"
    weights = "denoise-mask"
    plugin = "denoise"
    module: ClassVar[type[torch.nn.Module]] = MaskNetwork
    trained_on = (
        "ESC-10 folds 1-3, librosa's example recordings, Sonic Pi samples, POP909 and JSB renders (FluidR3), "
        "espeak-ng voices"
    )
    steps = 5000
    rate = 3e-3
    hop: ClassVar[int] = HOP
    frames: ClassVar[int] = 600
    items: ClassVar[dict[str, int]] = {"cpu": 8, "cuda": 64}
    """Items per batch: a card sees eight times as many in the same number of steps."""
    planner: ClassVar[type[MixturePlanner]] = MixturePlanner

    def prepare(self, job: TrainingJob) -> None:
        material.make(job.data, job.material, job.seed, job.say)
        self._job = job
        # a card's matrix products in TF32: three digits are enough here, and several times as fast
        torch.set_float32_matmul_precision("high")
        self._ready(material.load(job.material, "train"), material.load(job.material, "valid"))

    def _ready(self, train: dict[str, Any], valid: dict[str, Any]) -> None:
        device, length = self._job.device, self.frames * self.hop
        self._mixer = Mixer(train, length, device)
        self._plan = self.planner(self._mixer.starts, length)
        held = Mixer({kind: sounds or train[kind] for kind, sounds in valid.items()}, length, device)
        chosen = MixturePlanner(held.starts, length).items(np.random.default_rng(VALID_SEED), VALID_ITEMS)
        self._transform = self.transform().to(device)
        self._held = [held.mix(chosen[at : at + 6], VALID_SEED + at) for at in range(0, VALID_ITEMS, 6)]

    def transform(self) -> Frames:
        """Transform between waveforms and the network's input features, and its inverse."""
        return UnitFrames()

    def batch(self, step: int) -> Batch:
        count = self.items[self._job.device.type]
        rng = np.random.default_rng((self._job.seed, step))
        with torch.no_grad():
            mixtures = self._mixer.mix(self._plan.items(rng, count), self._job.seed * 1_000_003 + step)
            done = 1.0 if self._job.further else min(1.0, step / self.steps)
            way = torch.tensor(done, device=self._job.device)
            return *self._given(mixtures), way

    def _given(self, mixtures: Mixtures) -> Batch:
        """mixed, clean, gap `[N, L]`; noise by `_profiles`; snr `[N]`, 0 for noise alone (clean is 0)."""
        noise = self._profiles(mixtures)
        snr = torch.tensor([item.snr for item in mixtures.items], dtype=torch.float32, device=self._job.device)
        return mixtures.mixed, mixtures.clean, mixtures.gap, noise, snr

    def _profiles(self, mixtures: Mixtures) -> torch.Tensor:
        """Log power of half a second of the known noise, in the network's units: `[N, T, …]`.

        `NO_NOISE` before the noise is known, and throughout where it never is.
        """
        frames = mixtures.mixed.shape[1] // self.hop
        profiles = torch.full((len(mixtures.items), frames, self._transform.gains), NO_NOISE, device=self._job.device)
        known = [row for row, item in enumerate(mixtures.items) if item.known[0] >= 0]
        if known:
            spectra, size = self._transform.spectra(mixtures.noise[known]), self._transform.grid.size
            # a frame reaches back: the first whole ones of noise
            whole, half = -(-size // self.hop) - 1, (RATE // 2 - size) // self.hop
            for place, row in enumerate(known):
                when, where = (round(second * RATE / self.hop) for second in mixtures.items[row].known)
                some = self._transform.logs(spectra[place, whole + where : whole + where + half])
                profiles[row, when:] = torch.log(some.exp().mean(0))
        return profiles

    def gains(self, network: torch.nn.Module, spectra: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        gains: torch.Tensor = network(self._transform.logs(spectra), noise)
        return gains

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        mixed, clean, gap, noise, snr, way = batch
        spectra = self._transform.spectra(mixed)
        gains = self.gains(network, spectra, noise)
        value, parts = mixture_loss(self._transform.sound(spectra, gains), mixed, clean, gap, snr, way, self.hop)
        off = self._off(gains, spectra, self._transform.spectra(clean))
        return value + MASKED * off, {**parts, "off": off.detach()}

    def _off(self, gains: torch.Tensor, heard: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        """Mean square distance of gains from the phase-sensitive mask, weighted by level."""
        with torch.no_grad():
            shared = self._transform.sums(heard.real * clean.real + heard.imag * clean.imag)
            power = self._transform.sums(heard.real.square() + heard.imag.square())
            best = (shared / (power + 1e-9)).clamp(0.0, 1.0)
            weight = (power + 1e-9) ** 0.3
            weight = weight / weight.mean(dim=(1, 2), keepdim=True)
        return (weight * (gains - best).square()).mean()

    def validate(self, network: torch.nn.Module) -> Figures:
        found: list[torch.Tensor] = []
        for mixtures in self._held:
            mixed, clean, gap, noise, snr = self._given(mixtures)
            spectra = self._transform.spectra(mixed)
            made = self._transform.sound(spectra, self.gains(network, spectra, noise))
            now, heard, wanted = made[:, self.hop :], mixed[:, : -self.hop], clean[:, : -self.hop]
            after = si_sdr(now, wanted)
            found.append(
                torch.stack(
                    [after - si_sdr(heard, wanted), after, snr, wanted.square().mean(1), _rest(now, heard, gap)], 1
                )
            )
        better, after, snr, own, rest = torch.cat(found).cpu().unbind(1)
        noisy, pure = (snr < PURE_SDR_DB) & (own > MIN_POWER), (snr > PURE_SDR_DB) & (own > MIN_POWER)
        return figures_of(better, after, rest, snr, noisy, pure)


def figures_of(
    gain: torch.Tensor,
    after: torch.Tensor,
    rest: torch.Tensor,
    snr: torch.Tensor,
    noisy: torch.Tensor,
    pure: torch.Tensor,
) -> Figures:
    """Figures of a validation, with the score that selects the best network.

    Each argument is `[N]`: gain in SI-SDR, resulting SI-SDR, level of pauses and signal-to-noise ratio in dB, and masks
    of the noisy and pure mixtures.
    """
    found = gain[noisy]
    harmed = float((found < -0.5).float().mean())
    low = float((35.0 - after[pure]).clamp(min=0.0).mean())
    figures = {
        "score": float(found.mean()) - 20.0 * harmed - 0.3 * low,
        "gain": float(found.mean()),
        "harmed": harmed,
        "worst": float(found.min()),
        "pure": float(after[pure].mean()),
        "purest": float(after[pure].min()),
        "pauses": float(rest[torch.isfinite(rest)].mean()),
    }
    for low_snr, high in ((-6, 5), (5, 15), (15, 30)):
        some = noisy & (snr > low_snr) & (snr <= high)
        figures[f"gain_{low_snr}_{high}"] = float(gain[some].mean())
    return figures


def _rest(made: torch.Tensor, mixed: torch.Tensor, gap: torch.Tensor) -> torch.Tensor:
    """Level change of each row's pauses in dB, from 0.25 s after their start; NaN without a pause."""
    late = torch.nn.functional.pad(gap, (RATE // 4, 0))[:, : gap.shape[1]]
    inside = (gap * late)[:, : made.shape[1]]
    here = (made.square() * inside).sum(1)
    before = (mixed.square() * inside).sum(1)
    decibels = 10.0 * torch.log10((here + 1e-10) / (before + 1e-10))
    return torch.where(before > 1e-6, decibels, torch.nan)


def mixture_loss(
    made: torch.Tensor,
    mixed: torch.Tensor,
    clean: torch.Tensor,
    gap: torch.Tensor,
    snr: torch.Tensor,
    way: torch.Tensor,
    hop: int = HOP,
) -> tuple[torch.Tensor, dict[str, float | torch.Tensor]]:
    """Loss of the outputs, which are delayed by a hop, and its parts. way: progress of the training, 0 to 1."""
    now, heard, wanted = made[:, hop:], mixed[:, :-hop], clean[:, :-hop]
    after = si_sdr(now, wanted)
    better = after - si_sdr(heard, wanted)
    there = wanted.square().mean(1) > MIN_POWER
    pure = snr > PURE_SDR_DB
    passing = 0.3 * (PASS - after).clamp(min=0.0)
    harm = HARM_WEIGHTS[0] + (HARM_WEIGHTS[1] - HARM_WEIGHTS[0]) * way
    gaining = -better.clamp(max=MOST) + harm * (MARGIN - better).clamp(min=0.0)
    own = torch.where(pure, passing, gaining)
    own = torch.where(there, own, torch.zeros_like(own))
    rest = _rest(now, heard, gap)
    loud = torch.where(torch.isfinite(rest) & ~pure, (torch.nan_to_num(rest) + QUIET_PAUSE).clamp(min=0.0), 0.0)
    value = 0.1 * (own.mean() + 0.12 * loud.mean())
    noisy = there & ~pure
    with torch.no_grad():
        parts: dict[str, float | torch.Tensor] = {
            "gain": better[noisy].mean(),
            "harmed": (better[noisy] < -0.5).float().mean(),
            "pure": after[pure].mean(),
            "pauses": torch.nanmean(rest),
        }
    return value, parts


class FileMixturePlanner(MixturePlanner):
    """Plans the mask's mixtures with more noise that is reversed, resampled or summed with other noise.

    Where a file's noise is known, it is known from the start.
    """

    def item(self, rng: np.random.Generator) -> MixturePlan:
        made = super().item(rng)
        made.noise = [self._changed(rng, part) for part in made.noise]
        if made.noise and rng.random() < 0.15:
            gain = float(10 ** (rng.uniform(-14, 0) / 20))
            made.noise.append(self._changed(rng, self._looped(rng, "noise", 1.0, gain)))
        if made.known[0] > 0.0:
            made.known = (0.0, made.known[1])
        return made

    def _changed(self, rng: np.random.Generator, part: Component) -> Component:
        way = -1.0 if rng.random() < 0.15 else 1.0
        speed = way * part.speed * float(2 ** rng.uniform(-0.3, 0.3))
        return Component(part.start, part.size, part.phase, part.period, speed, part.gain)


class FileMaskRecipe(MaskRecipe):
    """`antiphon train denoise-mask-file`: fine-tunes the file mask from the shipped mask on more noise kinds.

    A loss always has the weight it has at the end of the mask's training. The stored weights are the mean of the
    initial and the final ones, which is better on unseen sounds than either: Wortsman et al., Robust fine-tuning of
    zero-shot models, 2022.
    """

    name = "denoise-mask-file"
    weights = FILE_MODEL
    module: ClassVar[type[torch.nn.Module]] = FileMaskNetwork
    planner: ClassVar[type[MixturePlanner]] = FileMixturePlanner
    steps = 1000
    rate = 1e-3
    shares = "denoise"
    half = True
    kept: ClassVar[float] = 0.5
    """Weight of the initial weights in the stored average."""

    def network(self) -> torch.nn.Module:
        """Builds the file network, initialised from the shipped mask in both directions."""
        mask, made = MaskNetwork(), FileMaskNetwork()
        fill_network(mask, "MaskNetwork", MASK.weights)
        made.begin(mask)
        return made

    def batch(self, step: int) -> Batch:
        *parts, way = super().batch(step)
        return *parts, torch.ones_like(way)

    def validate(self, network: torch.nn.Module) -> Figures:
        return super().validate(self._between(network).to(self._job.device).eval())

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        return super().arrays(self._between(network))

    def _between(self, network: torch.nn.Module) -> torch.nn.Module:
        made, reached = self.network(), network.state_dict()
        mean = {name: torch.lerp(reached[name].cpu(), own, self.kept) for name, own in made.state_dict().items()}
        made.load_state_dict(mean)
        return made
