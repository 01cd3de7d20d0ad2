"""`antiphon train hum-spectrogram`: the network that paints a piano's spectrum over a voice's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from antiphon_hum.learned import spec
from antiphon_hum.learned.template_decoder import notes_of_painting, templates
from antiphon_models.hum.baseline_network import Painter
from antiphon_models.hum.training import corpus
from antiphon_models.hum.training.batches import HOPS, Batcher, FrameTruth
from antiphon_models.hum.training.scoring import f1
from antiphon_models.learning.recipe import Figures, Loss, Recipe, TrainingJob

ROWS = 8
RELEASE = 0.08
"""Seconds in which a note that has ended falls to a third."""
LEVEL = 0.5
"""Of a painted note: every note as loud, so that the notes and not the voice's loudness are learnt."""


class PlainRecipe(Recipe):
    """See the module. Validated by what notes can be read off."""

    name = "hum-spectrogram"
    weights = "hum-spectrogram"
    plugin = "hum"
    module = Painter
    steps = 4000
    trained_on = "as hum-learned; what it is to paint is TimGM6mb's piano"
    shares = "hum"

    def prepare(self, job: TrainingJob) -> None:
        self.job = job
        corpus.complete(job.data, job.material, job.seed, job.say)
        self._batcher = Batcher(corpus.load(job.material, "train"), job.seed, job.device, in_tune=True, rows=ROWS)
        self._valid = [c for c in corpus.load(job.material, "valid") if c.kind in corpus.NOTED]
        sound = torch.from_numpy(corpus.piano(job.material))
        sound = LEVEL * sound / sound.abs().amax(1, keepdim=True)
        self._piano = Painter().seen(sound).numpy()
        self._templates = templates(self._piano)

    def arrays(self, network: torch.nn.Module) -> dict[str, np.ndarray[Any, Any]]:
        return {**super().arrays(network), "templates": self._templates}

    def batch(self, step: int) -> tuple[Tensor, ...]:
        sound, truths = self._batcher.batch(step)
        wanted = np.stack([self._painted(truth) for truth in truths])
        return sound, torch.from_numpy(wanted).to(sound.device)

    def _painted(self, truth: FrameTruth) -> np.ndarray[Any, Any]:
        """`[HOPS, BINS]`: what a piano that plays the notes would look like, `PLAIN_LATE` hops ago."""
        first = spec.FAR + 1 - spec.PLAIN_LATE
        painted = np.zeros((HOPS, spec.BINS), np.float32)
        tail = np.zeros(spec.BINS, np.float32)
        fall = np.float32(np.exp(-spec.HOP / spec.RATE / RELEASE))
        hops = self._piano.shape[1]
        for n, (key, age) in enumerate(
            zip(truth.key[first : first + HOPS], truth.age[first : first + HOPS], strict=True)
        ):
            if np.isfinite(key):
                # the frame that holds the note's newest sound ends with it
                at = min(hops - 1, max(0, int(age * spec.RATE / spec.HOP)))
                tail = self._piano[min(spec.SEMITONES - 1, max(0, round(float(key)) - spec.LOWEST)), at]
                painted[n] = tail
            else:
                tail = tail * fall
                painted[n] = tail
        return painted

    def loss(self, network: torch.nn.Module, batch: tuple[Tensor, ...]) -> Loss:
        assert isinstance(network, Painter)
        sound, wanted = batch
        made = network.paint(network.seen(sound))
        # most of a piano's spectrum is dark: what is bright counts more
        apart = ((made - wanted).abs() * (0.2 + wanted)).mean()
        return 10.0 * apart, {"apart": (made - wanted).abs().mean().detach()}

    @torch.no_grad()
    def validate(self, network: torch.nn.Module) -> Figures:
        assert isinstance(network, Painter)
        found: dict[str, list[float]] = {"f1": []}
        for whole in self._valid:
            clip = whole.first(8.0)
            x = torch.from_numpy(clip.sound[: len(clip.sound) // spec.HOP * spec.HOP]).to(self.job.device)[None]
            painted = network.paint(network.seen(x))[0].cpu().numpy()
            score = f1(clip.notes, notes_of_painting(painted @ self._templates.T))
            found["f1"].append(score)
            found.setdefault(clip.kind, []).append(score)
        return {name: float(np.mean(values)) for name, values in found.items()}
