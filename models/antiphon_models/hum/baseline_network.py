"""The plain way to a piano: a spectrum in, convolutions, the spectrum a piano would have out.

Kept to be measured beside `network`: nothing in it knows what a note is, so notes have to be read off what it paints.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from antiphon.api.networks import State, StreamingModel
from antiphon_hum.learned import spec

FRAME = 1024
CHANNELS = 16
LAYERS = ((3, 5, 1), (3, 5, 2), (3, 5, 4), (3, 5, 2), (3, 5, 1))
"""Hops and lines of a kernel, and how far its hops lie apart."""
FLOOR = 1e-4


def compress(magnitude: Tensor) -> Tensor:
    """Magnitudes as the network takes and gives them: logarithms, from 0 for what is below `FLOOR`."""
    return torch.log1p(magnitude / FLOOR) * 0.2


def window() -> Tensor:
    return torch.hann_window(FRAME) / math.sqrt(FRAME * 0.375)


class Painter(StreamingModel):
    """See the module. `paint` takes spectra of a whole sound, for training; `step` a hop of sound."""

    name: ClassVar[str] = "hum-spectrogram"
    rate: ClassVar[int] = spec.RATE
    hop: ClassVar[int] = spec.HOP
    answer: ClassVar[int | None] = spec.SEMITONES

    window: Tensor
    templates: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", window(), persistent=False)
        ins = [1] + [CHANNELS] * (len(LAYERS) - 1)
        self.layers = nn.ModuleList(
            nn.Conv2d(n, CHANNELS, (hops, lines), padding=(0, lines // 2 * 1), dilation=(apart, 1))
            for n, (hops, lines, apart) in zip(ins, LAYERS, strict=True)
        )
        self.last = nn.Conv2d(CHANNELS, 1, 1)
        # what the piano has at each line whatever is played
        self.tilt = nn.Parameter(torch.zeros(spec.BINS))
        # what each of the piano's notes has that the others have not
        self.register_buffer("templates", torch.zeros(spec.SEMITONES, spec.BINS))

    def seen(self, sound: Tensor) -> Tensor:
        """`[rows, hops * HOP]` → compressed spectra `[rows, hops, BINS]`."""
        padded = functional.pad(sound, (FRAME - self.hop, 0))
        frames = padded.unfold(1, FRAME, self.hop) * self.window
        return compress(torch.fft.rfft(frames).abs()[..., : spec.BINS])

    def paint(self, spectra: Tensor) -> Tensor:
        """`[rows, hops, BINS]` → the piano's, `PLAIN_LATE` hops late."""
        x = spectra[:, None]
        for n, (layer, (hops, _, apart)) in enumerate(zip(self.layers, LAYERS, strict=True)):
            y = layer(functional.pad(x, (0, 0, (hops - 1) * apart, 0)))
            x = functional.gelu(y) + (x if n else 0.0)
        return functional.softplus(self.last(x)[:, 0] + self.tilt, beta=4.0)

    def start(self, slots: int) -> State:
        past = [
            torch.zeros(slots, 1 if n == 0 else CHANNELS, (hops - 1) * apart, spec.BINS)
            for n, (hops, _, apart) in enumerate(LAYERS)
        ]
        return (torch.zeros(slots, FRAME - self.hop), *past)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        likes, after = self.listen(x[:, 0], state)
        return likes, after

    def listen(self, sound: Tensor, state: State) -> tuple[Tensor, State]:
        """Hops at once: `[slots, hops * HOP]` → how like each note what is painted is `[slots, hops, SEMITONES]`."""
        padded = torch.cat([state[0], sound], 1)
        frames = padded.unfold(1, FRAME, self.hop) * self.window
        now = compress(torch.fft.rfft(frames).abs()[..., : spec.BINS])[:, None]
        after = [padded[:, -(FRAME - self.hop) :]]
        for n, (layer, past) in enumerate(zip(self.layers, state[1:], strict=True)):
            whole = torch.cat([past, now], 2)
            after.append(whole[:, :, -past.shape[2] :])
            now = functional.gelu(layer(whole)) + (now if n else 0.0)
        painted = functional.softplus(self.last(now)[:, 0] + self.tilt, beta=4.0)
        return painted @ self.templates.T, tuple(after)
