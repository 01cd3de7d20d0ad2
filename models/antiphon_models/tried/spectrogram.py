"""`antiphon train tried-spectrogram`: a convolutional network from a voice's spectrum to a piano's.

Nothing in the network knows what a note is, so notes are read off what it paints, by likeness to the template of each
key. Rows of `antiphon evaluate hum --limit 8`, seed 1, note F1 on files, after 4,000 steps:

                 sung           sung, noise    wind           hum 20 dB      hum 0 dB       with ends
    learned      0.845 ± 0.085  0.782 ± 0.085  0.991 ± 0.009  0.982 ± 0.013  0.971 ± 0.014  0.803 ± 0.106
    yin          0.647 ± 0.070  0.439 ± 0.077  0.881 ± 0.059  0.848 ± 0.038  0.335 ± 0.077  0.566 ± 0.087
    spectrogram  0.359 ± 0.071  0.195 ± 0.048  0.705 ± 0.079  0.293 ± 0.093  0.052 ± 0.038  0.065 ± 0.018

The painted spectrum as sound (Griffin and Lim) is nearer to a piano by chroma alone: .91, .90 after 42 further steps
against a critic (pix2pix, Isola et al., 2017), .87 the voice. Here its row is note F1 on clips held back: .467, of them
sung .326, hummed .319, whistled .464, winds .802.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from antiphon.api import F32
from antiphon_hum.learned import tables
from antiphon_models.hum.matching import note_f1
from antiphon_models.hum.training import corpus
from antiphon_models.hum.training.batches import HOPS, Batcher, FrameTruth
from antiphon_models.learning.recipe import Figures, Loss, Recipe, TrainingJob

BINS, FRAME = 288, 1024
"""Bins of the spectra, 15.6 Hz apart: up to 4.5 kHz; samples of a frame."""
LAG_HOPS = 6
"""Lag in hops of the generated spectrum behind the voice's."""
CHANNELS = 16
LAYERS = ((3, 5, 1), (3, 5, 2), (3, 5, 4), (3, 5, 2), (3, 5, 1))
"""Kernel size in hops and bins, and dilation in hops."""
FLOOR = 1e-4
ROWS = 8
RELEASE = 0.08
"""Decay time to 1/3 of an ended note in seconds."""
LEVEL = 0.5
"""Level of a generated note, constant, so that notes and not the voice's loudness are learnt."""
TEMPLATE_HOPS = slice(2, 14)
"""Hops of a piano note averaged into its template."""
LIKE, STRUCK, RISE_HOPS, APART, HELD, QUIET, FADE = 0.9, 1.3, 4, 10, 8, 0.3, 0.995
"""Note detection: minimum similarity (cosine) of a note; its rise within a number of hops at a repeated note, and
minimum hops between two such starts; hops for which a key must be the likeliest; share of a note's peak similarity
below which it ends, and the peak's decay per hop."""


class Painter(nn.Module):
    """Network from compressed spectra `[rows, hops, BINS]` to those of a piano, `LAG_HOPS` hops late."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(FRAME) / math.sqrt(FRAME * 0.375), persistent=False)
        ins = [1] + [CHANNELS] * (len(LAYERS) - 1)
        self.layers = nn.ModuleList(
            nn.Conv2d(n, CHANNELS, (hops, lines), padding=(0, lines // 2), dilation=(apart, 1))
            for n, (hops, lines, apart) in zip(ins, LAYERS, strict=True)
        )
        self.last = nn.Conv2d(CHANNELS, 1, 1)
        # what the piano has at each line whatever is played
        self.tilt = nn.Parameter(torch.zeros(BINS))

    def seen(self, sound: Tensor) -> Tensor:
        """Log-magnitude spectra `[rows, hops, BINS]` of `[rows, hops * HOP]`, 0 at the floor."""
        frames = functional.pad(sound, (FRAME - tables.HOP, 0)).unfold(1, FRAME, tables.HOP) * self.window
        return torch.log1p(torch.fft.rfft(frames).abs()[..., :BINS] / FLOOR) * 0.2

    def forward(self, spectra: Tensor) -> Tensor:
        x = spectra[:, None]
        for n, (layer, (hops, _, apart)) in enumerate(zip(self.layers, LAYERS, strict=True)):
            y = layer(functional.pad(x, (0, 0, (hops - 1) * apart, 0)))
            x = functional.gelu(y) + (x if n else 0.0)
        return functional.softplus(self.last(x)[:, 0] + self.tilt, beta=4.0)


def templates(piano: F32) -> F32:
    """Templates `[SEMITONES, BINS]` of `[SEMITONES, hops, BINS]`: mean spectra, less what they share, of length 1."""
    mean = piano[:, TEMPLATE_HOPS].mean(1)
    mean = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-6)
    shared = mean.mean(0)
    shared = shared / max(float(np.linalg.norm(shared)), 1e-6)
    own = mean - np.outer(mean @ shared, shared)
    return np.asarray(own / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-6), np.float32)


def notes_of_painting(likes: F32) -> list[tuple[float, float, int]]:
    """Notes of template similarities `[hops, SEMITONES]`, as (start, end, MIDI number) in seconds."""
    second = tables.HOP / tables.RATE
    found: list[tuple[float, float, int]] = []
    key, leads, held, start, most, since = -1, -1, 0, 0.0, 0.0, 99
    for hop, row in enumerate(likes):
        now = (hop + 1 - LAG_HOPS) * second
        best = int(row.argmax())
        like = float(row[best])
        leader = best if like >= LIKE else -1
        held = held + 1 if leader == leads else 1
        leads, since, most = leader, since + 1, max(most * FADE, like)
        before = float(likes[hop - RISE_HOPS].max()) if hop >= RISE_HOPS else 0.0
        begins = leads >= 0 and held >= HELD and best != key
        repeats = leads >= 0 and best == key and since > APART and like > STRUCK * before > 0.0
        ends = like < max(QUIET * most, 0.7 * LIKE)
        if key >= 0 and (begins or repeats or ends):
            found.append((start, max(now, start + second), tables.LOWEST + key))
            key = -1
        if begins or repeats:
            ago = HELD - 1 if begins else RISE_HOPS // 2
            key, start, most, since = best, now - ago * second, like, 0
    if key >= 0:
        found.append((start, len(likes) * second, tables.LOWEST + key))
    return found


class SpectrogramRecipe(Recipe):
    """Recipe of the network, validated by the notes decoded from its output."""

    name = "tried-spectrogram"
    weights = "tried-spectrogram"
    plugin = "hum"
    module = Painter
    steps = 4000
    trained_on = "as hum-learned; what it is to paint is TimGM6mb's piano"
    shares = "hum"

    def prepare(self, job: TrainingJob) -> None:
        self.job = job
        corpus.complete(job.data, job.material, job.seed, job.say)
        self._batcher = Batcher(corpus.load(job.material, "train"), job.seed, job.device, in_tune=True, rows=ROWS)
        self._valid = [c for c in corpus.load(job.material, "valid") if c.kind in corpus.NOTE_KINDS]
        sound = torch.from_numpy(corpus.piano(job.material))
        sound = LEVEL * sound / sound.abs().amax(1, keepdim=True)
        self._piano = Painter().seen(sound).numpy()
        self._templates = templates(self._piano)

    def batch(self, step: int) -> tuple[Tensor, ...]:
        sound, truths = self._batcher.batch(step)
        wanted = np.stack([self._painted(truth) for truth in truths])
        return sound, torch.from_numpy(wanted).to(sound.device)

    def _painted(self, truth: FrameTruth) -> np.ndarray[Any, Any]:
        """Target spectra `[HOPS, BINS]` of a piano that plays the notes, `LAG_HOPS` hops ago."""
        first = tables.FAR + 1 - LAG_HOPS
        painted = np.zeros((HOPS, BINS), np.float32)
        tail = np.zeros(BINS, np.float32)
        fall = np.float32(np.exp(-tables.HOP / tables.RATE / RELEASE))
        hops = self._piano.shape[1]
        for n, (key, age) in enumerate(
            zip(truth.key[first : first + HOPS], truth.age[first : first + HOPS], strict=True)
        ):
            if np.isfinite(key):
                # the frame that holds the note's newest sound ends with it
                at = min(hops - 1, max(0, int(age * tables.RATE / tables.HOP)))
                tail = self._piano[min(tables.SEMITONES - 1, max(0, round(float(key)) - tables.LOWEST)), at]
                painted[n] = tail
            else:
                tail = tail * fall
                painted[n] = tail
        return painted

    def loss(self, network: torch.nn.Module, batch: tuple[Tensor, ...]) -> Loss:
        assert isinstance(network, Painter)
        sound, wanted = batch
        made = network(network.seen(sound))
        # most of a piano's spectrum is dark: what is bright counts more
        apart = ((made - wanted).abs() * (0.2 + wanted)).mean()
        return 10.0 * apart, {"apart": (made - wanted).abs().mean().detach()}

    @torch.no_grad()
    def validate(self, network: torch.nn.Module) -> Figures:
        assert isinstance(network, Painter)
        found: dict[str, list[float]] = {"f1": []}
        for whole in self._valid:
            clip = whole.first(8.0)
            x = torch.from_numpy(clip.sound[: len(clip.sound) // tables.HOP * tables.HOP]).to(self.job.device)[None]
            painted = network(network.seen(x))[0].cpu().numpy()
            score = note_f1(clip.notes, notes_of_painting(painted @ self._templates.T))
            found["f1"].append(score)
            found.setdefault(clip.kind, []).append(score)
        return {name: float(np.mean(values)) for name, values in found.items()}
