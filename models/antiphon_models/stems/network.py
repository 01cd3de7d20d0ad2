"""Mask network of files: band layers give context to each unit, a small layer the shares of four stems.

Nothing recurs: what came before and comes after is in the features, as averages over several spans. So frames are
trained in any order, many mixes to a step. Masks on few bands: Valin, A hybrid DSP/deep learning approach to real-time
full-band speech enhancement (RNNoise), 2018.
"""

import torch
from torch.nn import functional

from antiphon_stems.grids import FILE, STEMS
from antiphon_stems.network import BENT, DETAILS, FILE_AROUND, ROWS, SLOPE, WIDTH


class FileStems(torch.nn.Module):
    """Network from features of frames to four stems' shares in each unit."""

    wide: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.enter = torch.nn.Linear((ROWS + FILE_AROUND) * FILE.bands, WIDTH)
        self.middle = torch.nn.Linear(WIDTH, WIDTH)
        self.say = torch.nn.Linear(WIDTH, (BENT + len(STEMS)) * FILE.bands)
        self.bend = torch.nn.Linear(DETAILS + FILE_AROUND, BENT, bias=False)
        self.last = torch.nn.Linear(BENT, len(STEMS), bias=False)
        self.register_buffer("wide", torch.from_numpy(FILE.wide), persistent=False)

    def forward(self, bands: torch.Tensor, details: torch.Tensor) -> torch.Tensor:
        """Bands `[N, rows * bands]`, details `[N, details, units]` to shares `[N, 4, units]`."""
        x = functional.silu(self.enter(bands))
        x = x + functional.silu(self.middle(x))
        context = self.say(x).view(len(x), BENT + len(STEMS), FILE.bands) @ self.wide
        seen = torch.matmul(self.bend.weight, details) + context[:, :BENT]
        logits = torch.matmul(self.last.weight, functional.leaky_relu(seen, SLOPE)) + context[:, BENT:]
        return torch.softmax(logits, 1)
