"""`antiphon train denoise-floor`: noise share of what the file mask removes per band.

Clean sound is mastered music in `DATA/records/SOURCE/`, a folder for each source, and the denoiser's other material,
summed, driven, limited or coded; noise is that of the mask and made. The loss is the SI-SDR that is gained with so much
of the mask, in which a loss counts more, and of clean sound what is missing to `CLEAN_SDR`.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from antiphon.api import UsageError
from antiphon_denoise.bands import COUNT
from antiphon_denoise.floor.network import EXPERTS, FEATURES, LAYOUT, MODEL, VIEWS, viewed
from antiphon_models.denoise.training import material, splits
from antiphon_models.denoise.training.floor_examples import FloorExamples
from antiphon_models.denoise.training.recipe import MaskRecipe
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.material.sounds import save_arrays

SUFFIXES = (".ogg", ".flac", ".wav", ".mp3", ".opus")
FILES, FILE = 24, 100
CLEAN_SNR_DB = 90.0
"""SNR in dB from which a mixture counts as clean."""
CLEAN_SDR, FAR = 38.0, 6.0
"""Target SI-SDR of clean sound, and scale in dB of the shortfall."""
OVER, BLUR = 2.0, 0.1
"""Weight of a loss of SI-SDR; standard deviation of noise on the features."""


class TorchFloorNetwork(torch.nn.Module):
    """Views of the features `[N, COUNT, VIEWS * FEATURES]` → logits of the trust, `[EXPERTS, N, COUNT]`."""

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
            examples = FloorExamples(records(job.data), job.material, splits.clips(job.data, "train"), job.seed)
            job.say(f"making {FILE * len(todo)} examples in {folder}")
            for n in todo:
                save_arrays(folder / f"floor-{n:03d}.npz", **examples.make(range(n * FILE, (n + 1) * FILE)))
        read_back = [np.load(folder / f"floor-{n:03d}.npz", allow_pickle=False) for n in range(FILES)]
        features, sums, snr, source = (
            np.concatenate([part[name] for part in read_back]) for name in ("X", "S", "snr", "source")
        )
        self._seen = torch.from_numpy(viewed(features).reshape(-1, COUNT, VIEWS * FEATURES))
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
    """SI-SDR gain, and SI-SDR of the result, dB, `[EXPERTS, N]`.

    trust: `[EXPERTS, N, COUNT]`; sums: `[N, 4, COUNT]` as `FloorExamples` makes them.
    """
    noise, both, taken, power = sums.unbind(1)
    left = (noise - 2.0 * trust * both + trust.square() * taken).sum(-1)
    noise = noise.sum(-1)
    sound = (power.sum(-1) - torch.where(clean, 0.0, noise)).clamp(min=1e-12)
    gain = 10.0 * torch.log10((noise + 1e-5 * sound) / (left + 1e-5 * sound).clamp(min=1e-12))
    return gain, 10.0 * torch.log10(sound / (left + 1e-6 * sound))


def records(data: Path) -> dict[str, list[Path]]:
    """Files of each source. Raises `UsageError` without any."""
    found = {
        place.name: sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES)
        for place in sorted((data / "records").glob("*"))
    }
    if not any(found.values()):
        raise UsageError(f"{data / 'records'} holds no music: put finished records there, a folder for each source")
    return {source: paths for source, paths in found.items() if paths}
