"""`antiphon train tried-wavenet`: a small WaveNet, to be heard by

python -m antiphon_models.tried.wavenet WEIGHTS OUT.wav SECONDS

Samples of 8 bits (mu-law) at 16 kHz by 10 dilated causal convolutions of 32 channels, twice 1 to 256 and short ones
(van den Oord et al., WaveNet, 2016). Each sample needs the one before: in Python far slower than real time. After 4
minutes of training it sounds like noise with some pitch. Its row is the bits of a sample on songs held back: 5.49
after 1,124 steps, seed 1; 7.41 for a sample alone, by its share in the training.
"""

import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from antiphon.api.backends.files import AudioWriter
from antiphon.api.backends.networks import fill_network
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.transfer import material
from antiphon_models.transfer.renders import RATE as MADE

RATE, LEVELS, CHANNELS = 16000, 256, 32
DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SEQUENCES, SAMPLES = 4, 4000
CLIPS, HELD = 60, 10
SEEN = sum(DILATIONS) + 1


def mu_law(x: NDArray[np.float32]) -> NDArray[np.uint8]:
    """8-bit codes of samples of -1 to 1."""
    bent = np.sign(x) * np.log1p(255.0 * np.abs(x)) / math.log(256.0)
    return np.asarray(np.clip((bent + 1.0) * 127.5 + 0.5, 0, 255), np.uint8)


def linear(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Samples of 8-bit codes."""
    bent = codes.astype(np.float64) / 127.5 - 1.0
    return np.asarray(np.sign(bent) * np.expm1(np.abs(bent) * math.log(256.0)) / 255.0, np.float32)


class WaveNetwork(torch.nn.Module):
    """Gated dilated convolutions with skips; codes `[N, samples]` to logits of the next `[N, LEVELS, samples]`."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = torch.nn.Embedding(LEVELS, CHANNELS)
        self.gates = torch.nn.ModuleList(torch.nn.Conv1d(CHANNELS, 2 * CHANNELS, 2, dilation=d) for d in DILATIONS)
        self.mixes = torch.nn.ModuleList(torch.nn.Conv1d(CHANNELS, 2 * CHANNELS, 1) for _ in DILATIONS)
        self.last = torch.nn.Sequential(
            torch.nn.ReLU(), torch.nn.Conv1d(CHANNELS, 128, 1), torch.nn.ReLU(), torch.nn.Conv1d(128, LEVELS, 1)
        )

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        x, skips = self.enter(codes).transpose(1, 2), 0.0
        for gate, mix, dilation in zip(self.gates, self.mixes, DILATIONS, strict=True):
            both = gate(torch.nn.functional.pad(x, (dilation, 0)))
            found = mix(torch.tanh(both[:, :CHANNELS]) * torch.sigmoid(both[:, CHANNELS:]))
            x, skips = x + found[:, :CHANNELS], skips + found[:, CHANNELS:]
        logits: torch.Tensor = self.last(skips)
        return logits


class WaveNetRecipe(Recipe):
    """See the module."""

    name = "tried-wavenet"
    weights = "tried-wavenet"
    plugin = "transfer"
    module = WaveNetwork
    steps = 2000
    trained_on = "POP909 and JSB chorales by programs of FluidR3"
    shares = "tried-capsules"

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        paths = material.make(job.data, job.material, job.seed, job.say)[:CLIPS]
        sounds = [soxr.resample(material.load(path)[2], MADE, RATE) for path in paths]
        codes = np.stack([mu_law(x * (0.7 / max(1e-4, float(np.abs(x).max())))) for x in sounds])
        held = np.arange(len(codes)) % HELD == 0
        self._train, self._held = (torch.from_numpy(codes[part].astype(np.int64)) for part in (~held, held))

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        rows, at = (
            rng.integers(0, len(self._train), SEQUENCES),
            rng.integers(0, self._train.shape[1] - SAMPLES, SEQUENCES),
        )
        return (self._train[rows[:, None], at[:, None] + np.arange(SAMPLES)].to(self._job.device),)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        codes = batch[0]
        loss = torch.nn.functional.cross_entropy(network(codes[:, :-1])[..., SEEN:], codes[:, SEEN + 1 :])
        return loss, {"bits": loss.detach() / math.log(2.0)}

    def validate(self, network: torch.nn.Module) -> Figures:
        with torch.no_grad():
            part = self._held[:, RATE : 2 * RATE].to(self._job.device)
            bits = float(self.loss(network, (part,))[0]) / math.log(2.0)
        shares = torch.bincount(self._train.flatten(), minlength=LEVELS) + 1.0
        alone = -float(torch.log2(shares / shares.sum())[self._held].mean())
        return {"saved_bits": alone - bits, "bits": bits, "bits_without_past": alone}


@torch.no_grad()
def generate(network: WaveNetwork, samples: int, seed: int = 1) -> NDArray[np.float32]:
    """Autoregressive samples, with a buffer per layer of its dilation."""
    torch.manual_seed(seed)
    pasts = [torch.zeros(dilation, CHANNELS) for dilation in DILATIONS]
    layers: Any = zip(network.gates, network.mixes, strict=True)
    weights = [(g.weight[..., 0], g.weight[..., 1], g.bias, m.weight[..., 0], m.bias) for g, m in layers]
    code, found = LEVELS // 2, np.zeros(samples, np.uint8)
    for n in range(samples):
        x, skips = network.enter.weight[code], torch.zeros(CHANNELS)
        for past, (old, new, bias, mix, shift) in zip(pasts, weights, strict=True):
            row = n % len(past)
            both = old @ past[row] + new @ x + bias
            past[row] = x
            both = mix @ (torch.tanh(both[:CHANNELS]) * torch.sigmoid(both[CHANNELS:])) + shift
            x, skips = x + both[:CHANNELS], skips + both[CHANNELS:]
        logits = network.last(skips[None, :, None])[0, :, 0]
        code = int(torch.multinomial(torch.softmax(logits, 0), 1))
        found[n] = code
    return linear(found)


def main(folder: Path, target: Path, seconds: float) -> None:
    """Writes `seconds` of sound generated by the weights in `folder`, and prints the time per second."""
    network = WaveNetwork()
    fill_network(network, "WaveNetwork", "tried-wavenet", folder)
    began = time.monotonic()
    made = generate(network, round(seconds * RATE))
    print(f"{(time.monotonic() - began) / seconds:.0f} s for a second")
    with AudioWriter(target, RATE, 1, "PCM_16") as writer:
        writer.write(made[None])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
