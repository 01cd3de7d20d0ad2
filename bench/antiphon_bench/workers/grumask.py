"""A mask network of a typical denoiser's size, for measurements: its weights are random.

rfft of 960 → 100 band levels → LayerNorm → GRU 192 → 481 gains → irfft, overlap-add. 262,377 parameters.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon.kernel.workers.networks.streaming import State, StreamingModel

HOP, WINDOW, BINS, BANDS, HIDDEN = 480, 960, 481, 100, 192


def bands() -> NDArray[np.float32]:
    """`[BINS, BANDS]`: each bin in one band, band widths growing from one bin; columns are means."""
    edges = np.unique(np.round(np.geomspace(1, BINS + 1, 400)).astype(int))
    edges = edges[np.linspace(0, len(edges) - 1, BANDS + 1).round().astype(int)] - 1
    matrix = np.zeros((BINS, BANDS), np.float32)
    for band, (low, high) in enumerate(pairwise(edges)):
        matrix[low:high, band] = 1.0 / (high - low)
    return matrix


class GruLayers(torch.nn.Module):
    """The learned part: band levels `[slots, BANDS]` and memory `[slots, HIDDEN]` → gains `[slots, BINS]`, memory."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(BANDS)
        self.cell = torch.nn.GRUCell(BANDS, HIDDEN)
        self.gains = torch.nn.Linear(HIDDEN, BINS)

    def forward(self, levels: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        memory = self.cell(self.norm(levels), memory)
        return torch.sigmoid(self.gains(memory)), memory


class GruMask(StreamingModel):
    """One hop with its transforms. latency: half a window, which overlaps with the next."""

    name = "grumask"
    hop = HOP
    latency = WINDOW - HOP

    def __init__(self) -> None:
        super().__init__()
        self.mask = GruLayers()
        self.register_buffer("window", torch.hann_window(WINDOW).sqrt(), persistent=False)
        self.register_buffer("bands", torch.from_numpy(bands()), persistent=False)

    def start(self, slots: int) -> State:
        """The state: the last input hop, the half window to be overlapped, the network's memory."""
        return torch.zeros(slots, HOP), torch.zeros(slots, HOP), torch.zeros(slots, HIDDEN)

    def step(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        last, waiting, memory = state
        fresh = x[:, 0]
        window: torch.Tensor = self.get_buffer("window")
        spectrum = torch.fft.rfft(torch.cat((last, fresh), dim=1) * window)
        levels = torch.log1p(spectrum.abs()) @ self.get_buffer("bands")
        gains, memory = self.mask(levels, memory)
        sound = torch.fft.irfft(spectrum * gains, n=WINDOW) * window
        # the state must not be a view of the input
        return (waiting + sound[:, :HOP]).unsqueeze(1), (fresh.clone(), sound[:, HOP:].clone(), memory)
