"""`antiphon train tried-autoencoder`: a decoder of `latent` by a variational autoencoder (Kingma and Welling 2014).

The network is the one by which `antiphon train notes` learns one's own notes (`latent.training`), here on the notes of
FluidR3 by which `latent` plays its principal components; `-p notes=mine/tried-autoencoder.safetensors` plays it. Rows
of `antiphon evaluate latent`, seed 1, 32 notes:

                    pitch          Fréchet ↓  recall  jumps ↓       LSD, dB ↓
    nearest sample  0.969 ± 0.031      13.21   0.906             -  8.77 ± 0.356
    PCA-Gaussian    0.969 ± 0.031      16.03   0.781             -  5.06 ± 0.220
    pca, shipped    0.969 ± 0.031      22.93   0.719  1.26 ± 0.058  6.94 ± 0.341
    autoencoder     0.969 ± 0.031      20.21   0.688  1.33 ± 0.039  6.75 ± 0.315

It is nearer to real notes by less than 32 notes can tell, and not all of its axes do what they are named by. Here its
row is the error on programs held back: 8.8 dB after 5,793 steps.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from antiphon_models.latent.material import by_font
from antiphon_models.latent.pca import SAID
from antiphon_models.latent.training import BATCH, OwnNotesRecipe
from antiphon_models.learning.recipe import Batch, TrainingJob


class NoteAutoencoderRecipe(OwnNotesRecipe):
    """Recipe of the decoder by an autoencoder."""

    name = "tried-autoencoder"
    weights = "tried-autoencoder"
    steps = 6000
    takes = ""

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        self._take(by_font(job.material, job.say))

    def batch(self, step: int) -> Batch:
        return self._of(np.random.default_rng([self._job.seed, step]).choice(self._rows, BATCH))

    def said(self) -> Mapping[str, Any]:
        return SAID
