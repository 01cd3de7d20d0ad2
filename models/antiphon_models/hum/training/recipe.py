"""`antiphon train hum`: the network for pitch, onsets and notes."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from antiphon_hum.learned import tables
from antiphon_hum.learned.decode import Live, NoteDecoder
from antiphon_hum.learned.file_decoder import decode_file
from antiphon_hum.learned.tables import BINS, PER_SEMITONE
from antiphon_models.hum.matching import note_f1
from antiphon_models.hum.network import PitchNetwork
from antiphon_models.hum.training import corpus
from antiphon_models.hum.training.batches import Batcher, frame_targets
from antiphon_models.learning.recipe import Figures, Loss, Recipe, TrainingJob

TARGET_DEVIATION = 0.8
"""Standard deviation in bins of the target distribution of pitch, about the network's resolution."""
VALIDATION_SECONDS = 8.0
"""Seconds of each clip used for validation."""
WEIGHTS = {"pitch": 1.0, "key": 0.5, "far_key": 0.7, "voiced": 0.6, "note": 1.0, "onset": 4.0, "many": 0.3}


def places(pitch: Tensor) -> Tensor:
    """MIDI numbers as positions on the network's bins."""
    return (pitch - tables.LOWEST) * PER_SEMITONE + 1.0


def pitch_loss(logits: Tensor, pitch: Tensor) -> Tensor:
    """Cross entropy of pitch logits `[…, BINS]`, averaged over the frames whose MIDI number is known, not NaN."""
    known = torch.isfinite(pitch)
    target = places(torch.where(known, pitch, torch.full_like(pitch, 60.0)))
    bins = torch.arange(BINS, device=logits.device)
    bell = torch.exp(-0.5 * ((bins - target[..., None]) / TARGET_DEVIATION) ** 2)
    bell = bell / bell.sum(-1, keepdim=True).clamp_min(1e-6)
    losses = -(bell * functional.log_softmax(logits, -1)).sum(-1)
    return (losses * known).sum() / known.sum().clamp_min(1)


def masked_bce(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross entropy, averaged over the frames whose truth is not NaN."""
    known = torch.isfinite(truth)
    losses = functional.binary_cross_entropy_with_logits(
        logits, torch.where(known, truth, torch.zeros_like(truth)), reduction="none"
    )
    return (losses * known).sum() / known.sum().clamp_min(1)


class HumRecipe(Recipe):
    """The recipe. Validated by note F1 on songs, voices and sentences outside the training set."""

    name = "hum"
    weights = "hum-learned"
    plugin = "hum"
    module = PitchNetwork
    steps = 6000
    trained_on = (
        "POP909 melodies sung by espeak-ng voices resynthesised by WORLD, hummed and whistled by "
        "sines, played by TimGM6mb; ESC-10 folds 1 and 2; espeak-ng speech; JSB chorales"
    )

    def prepare(self, job: TrainingJob) -> None:
        self.job = job
        corpus.complete(job.data, job.material, job.seed, job.say)
        self._batcher = Batcher(corpus.load(job.material, "train"), job.seed, job.device)
        self._valid = corpus.load(job.material, "valid")

    def batch(self, step: int) -> tuple[Tensor, ...]:
        sound, truths = self._batcher.batch(step)
        rows = np.stack([frame_targets(truth) for truth in truths]).astype(np.float32)
        return sound, torch.from_numpy(rows).to(sound.device)

    def loss(self, network: torch.nn.Module, batch: tuple[Tensor, ...]) -> Loss:
        assert isinstance(network, PitchNetwork)
        sound, truth = batch
        pitch, head_logits = network.logits(sound)
        parts = {
            "pitch": pitch_loss(pitch[:, :, 0], truth[..., 0]),
            "key": pitch_loss(pitch[:, :, 1], truth[..., 1]),
            "far_key": pitch_loss(pitch[:, :, 2], truth[..., 5]),
            "voiced": masked_bce(head_logits[..., 0], truth[..., 2]) + masked_bce(head_logits[..., 3], truth[..., 6]),
            "note": masked_bce(head_logits[..., 1], truth[..., 3]) + masked_bce(head_logits[..., 4], truth[..., 7]),
            "onset": masked_bce(head_logits[..., 2], truth[..., 4]) + masked_bce(head_logits[..., 5], truth[..., 8]),
            "many": masked_bce(head_logits[..., 6], truth[..., 9]),
        }
        total = sum((WEIGHTS[name] * value for name, value in parts.items()), torch.zeros((), device=sound.device))
        return total, {name: value.detach() for name, value in parts.items()}

    @torch.no_grad()
    def validate(self, network: torch.nn.Module) -> Figures:
        assert isinstance(network, PitchNetwork)
        found: dict[str, list[float]] = {}
        seconds = false = 0.0
        for n, clip in enumerate(self._valid):
            clip = clip.first(VALIDATION_SECONDS)
            for noise in (0.0, 10.0) if len(clip.notes) and n % 2 else (0.0,):
                live, files = self._notes(network, _noisy(clip.sound, noise, n))
                if not len(clip.notes):
                    seconds, false = seconds + len(clip.sound) / corpus.RATE, false + len(live)
                    found.setdefault("false, file", []).append(float(len(files)))
                    continue
                found.setdefault("f1", []).append(0.5 * (note_f1(clip.notes, live) + note_f1(clip.notes, files)))
                kind = clip.kind if not noise else f"{clip.kind}, noise"
                found.setdefault(f"{kind}, live", []).append(note_f1(clip.notes, live))
                found.setdefault(f"{kind}, file", []).append(note_f1(clip.notes, files))
        result = {name: float(np.mean(values)) for name, values in found.items()}
        if seconds:
            result["false, live"] = 10.0 * false / seconds
            result["false, file"] = 10.0 * float(np.sum(found["false, file"])) / seconds
        return result

    def _notes(self, network: PitchNetwork, sound: np.ndarray) -> tuple[list[tuple[float, float, float]], ...]:
        padded = np.concatenate([sound, np.zeros((1 + tables.FAR) * tables.HOP - len(sound) % tables.HOP, np.float32)])
        x = torch.from_numpy(padded).to(self.job.device)[None]
        answers = network.answers(*network.logits(x))[0].cpu().numpy()
        decoder = NoteDecoder(Live())
        return decoder.all(answers), decode_file(answers)


def _noisy(sound: np.ndarray, ratio: float, seed: int) -> np.ndarray:
    """Sound with pink noise `ratio` dB below it; 0 for none."""
    if not ratio:
        return sound
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(len(sound)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1.0), len(sound))
    loud = np.sqrt(np.mean(sound**2)) * 10 ** (-ratio / 20)
    return np.asarray(sound + noise * loud / noise.std(), np.float32)
