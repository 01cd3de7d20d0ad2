"""`antiphon train hum-gan` and `antiphon evaluate painted`: a piano's spectrogram painted from a voice's, and judged.

The network is that of `hum-spectrogram`. It goes on from its weights with exact pairs, the same notes by voices and by
a piano of a soundfont, against a critic that sees both (Isola et al., pix2pix, 2017); its gradient
is reversed on its way to the painter, so that one step trains both (Ganin and Lempitsky, 2015).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from antiphon.api import F32
from antiphon.api.models import models_folder, read_weights
from antiphon.api.networks import fill_network
from antiphon_hum.learned import spec
from antiphon_models.hum.baseline_network import Painter
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, scored
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.learning.user_commands import run_as_it_comes
from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change
from antiphon_models.material.sounds import of_length

VOICES, PIANO = (52, 53, 54, 73, 75), 0
"""Programs: choir, voice, synthesised voice, flute and pan flute, which is nearest to whistling."""
SECONDS, TUNES, HELD = 8.0, 60, 8
ROWS, HOPS = 8, 200
FAITH, AGAINST = 10.0, 0.05
"""Weights of the distance to the piano, and of the critic."""
COUNT = 6


def pair(rng: np.random.Generator, font: Path) -> tuple[F32, F32]:
    """A drawn melody by a voice and by the piano, `[n]` at `spec.RATE`."""
    program, low = int(rng.choice(VOICES)), int(rng.integers(50, 66))
    notes, now, degree = [], 0.1, 3
    while now < SECONDS - 0.8:
        length = float(rng.choice([0.25, 0.4, 0.8]))
        degree = min(9, max(0, degree + int(rng.integers(-3, 4))))
        notes.append((now, now + 0.95 * length, low + 12 * (degree // 7) + (0, 2, 4, 5, 7, 9, 11)[degree % 7]))
        now += length + float(rng.choice([0.0, 0.3], p=[0.8, 0.2]))
    found = []
    for played in (program, PIANO):
        events = [(0, program_change(0, played))]
        for start, end, pitch in notes:
            events += [(round(start * TICKS) + 1, note_on(0, pitch, 90)), (round(end * TICKS), note_off(0, pitch))]
        score = midi_bytes(sorted(events, key=lambda event: event[0]))
        sound = fluidsynth.play(score, font, spec.RATE, FluidSettings(gain=0.8, reverb=False, chorus=False))
        out = of_length(sound.mean(axis=1), round(SECONDS * spec.RATE))
        found.append(0.5 * out / max(1e-4, float(np.abs(out).max())))
    return found[0], found[1]


class _Reversed(torch.autograd.Function):
    """What passes is unchanged; the gradient comes back with the other sign."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return -grads[0]


class GanPainter(torch.nn.Module):
    """The painter, and a critic of patches of a voice's spectrogram beside a piano's."""

    def __init__(self) -> None:
        super().__init__()
        self.painter = Painter()
        self.critic = torch.nn.Sequential(
            torch.nn.Conv2d(2, 16, 5, 2),
            torch.nn.LeakyReLU(0.2),
            torch.nn.Conv2d(16, 32, 5, 2),
            torch.nn.LeakyReLU(0.2),
            torch.nn.Conv2d(32, 1, 3, 2),
        )


class GanRecipe(Recipe):
    """See the module."""

    name = "hum-gan"
    weights = "hum-gan"
    plugin = "hum"
    steps = 800
    rate = 5e-4
    trained_on = "drawn melodies by voices, flutes and the piano of FluidR3; begun with hum-spectrogram"

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        kept = job.material / "pairs.npy"
        if not kept.is_file():
            job.say(f"rendering {TUNES} tunes")
            rng = np.random.default_rng((job.seed, 5))
            np.save(kept, np.stack([np.stack(pair(rng, FLUID)) for _ in range(TUNES)]))
        with torch.no_grad():
            self._pairs = torch.stack([Painter().seen(rows) for rows in torch.from_numpy(np.load(kept))])

    def network(self) -> torch.nn.Module:
        network = GanPainter()
        fill_network(network.painter, "Painter", "hum-spectrogram", models_folder())
        return network

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        rows = rng.integers(HELD, TUNES, ROWS)
        at = rng.integers(0, self._pairs.shape[2] - HOPS, ROWS)
        both = self._pairs[rows[:, None], :, at[:, None] + np.arange(HOPS)].transpose(1, 2)
        return (both.to(self._job.device),)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        assert isinstance(network, GanPainter)
        voice, piano, made = _aligned(network, batch[0])
        apart = ((made - piano).abs() * (0.2 + piano)).mean()
        real = network.critic(torch.stack([voice, piano], 1))
        fake = network.critic(torch.stack([voice, _Reversed.apply(made)], 1))  # type: ignore[no-untyped-call]
        judged = functional.softplus(-real).mean() + functional.softplus(fake).mean()
        return FAITH * apart + AGAINST * judged, {"apart": apart.detach(), "judged": judged.detach()}

    def validate(self, network: torch.nn.Module) -> Figures:
        assert isinstance(network, GanPainter)
        with torch.no_grad():
            _, piano, made = _aligned(network, self._pairs[:HELD].to(self._job.device))
            return {"near": -float((made - piano).abs().mean())}

    def arrays(self, network: torch.nn.Module) -> dict[str, NDArray[Any]]:
        assert isinstance(network, GanPainter)
        return super().arrays(network.painter) | {"templates": read_weights("hum-spectrogram")["templates"]}


def _aligned(network: GanPainter, both: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Voice, piano and what is painted of `[N, 2, hops, BINS]`, of the same moments."""
    made, late = network.painter.paint(both[:, 0]), spec.PLAIN_LATE
    return both[:, 0, :-late], both[:, 1, :-late], made[:, late:]


class Painted(Evaluation):
    """Melodies by voices of a soundfont that was not trained on, to become a piano's."""

    trivial = "the voice"
    ours = "notes; istft; gan"
    oracle = "exact"
    columns = "lsd [dB] ↓; chroma"
    note = "To the same notes by the soundfont's piano, up to 4.5 kHz. The measures are our own."
    road = "`antiphon run hum IN OUT -p mode=spectrogram -p painted=NAME`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        rng = np.random.default_rng((ask.seed, 6))
        for n in range(ask.limit or COUNT):
            voice, piano = pair(rng, TIM)
            for name in ("the voice", "notes", "istft", "gan", "exact"):
                if not ask.wants(name):
                    continue
                ready = {"the voice": voice, "exact": piano}
                words = ("hum", "-p", "mode=spectrogram", "-p", f"painted={name}")
                out = ready[name] if name in ready else run_as_it_comes(words, voice, spec.RATE)
                yield from scored(name, f"tune {n + 1}", _likeness(out[: len(piano)], piano))


def _likeness(out: F32, target: F32) -> dict[str, float]:
    """Log-spectral distance, 60 dB deep, and cosine of the chroma, of sounds brought to one level."""
    levels, classes = [], []
    hertz = np.fft.rfftfreq(2048, 1.0 / spec.RATE)
    inside = (hertz > 60.0) & (hertz < 4500.0)
    place = np.round(69 + 12 * np.log2(np.maximum(hertz, 1.0) / 440.0)).astype(int) % 12
    for sound in (np.pad(out, (0, len(target) - len(out))), target):
        x = sound / (float(np.sqrt(np.mean(np.square(sound)))) + 1e-9)
        frames = np.lib.stride_tricks.sliding_window_view(x, 2048)[::512] * np.hanning(2048)
        power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 * inside
        levels.append(np.maximum(10 * np.log10(power[:, inside] + 1e-9), 10 * np.log10(power.max()) - 60.0))
        chroma = np.sqrt(power) @ np.eye(12)[place]
        classes.append(chroma / (np.linalg.norm(chroma, axis=1, keepdims=True) + 1e-9))
    lsd = np.sqrt(np.square(levels[0] - levels[1]).mean(axis=1)).mean()
    return {"lsd": float(lsd), "chroma": float((classes[0] * classes[1]).sum(axis=1).mean())}
