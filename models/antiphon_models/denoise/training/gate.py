"""`antiphon train denoise-gate`: trains the thresholds of the spectral gate, shared by the wavelet mode.

The gate of `estimate.py` over whole batches, differentiable: the same features, network and rule, in torch.
"""

from typing import ClassVar

import torch

from antiphon.api.backends.signal import grid
from antiphon_denoise.bands import BINS, COUNT, places
from antiphon_denoise.gate.network import LAYOUT, MODEL
from antiphon_denoise.learned import LEVEL, NO_NOISE
from antiphon_models.denoise.network.features import running, smooth_one_pole
from antiphon_models.denoise.training.frames import Frames
from antiphon_models.denoise.training.recipe import MaskRecipe
from antiphon_models.denoise.training.sounds import RATE

SHORT, LONG = 0.6, 0.97
QUIET = 1e-10
INITIAL_COEFFICIENTS = (2.5, 0.5, 0.3, 0.0, 0.0, -1.5)
"""Initial coefficients of every band: an open gate."""


class GateNetwork(torch.nn.Module):
    """Maps log powers and learned noise `[N, T, BINS]` to gains `[N, T, BINS]`. Parameters are `network.LAYOUT`'s."""

    mean: torch.Tensor
    wide: torch.Tensor
    w0: torch.nn.Parameter
    b0: torch.nn.Parameter
    wo: torch.nn.Parameter
    bo: torch.nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        below, way = (torch.from_numpy(part) for part in places(BINS))
        wide = torch.zeros(COUNT, BINS)
        wide[below, torch.arange(BINS)] += 1.0 - way
        wide[below + 1, torch.arange(BINS)] += way
        self.register_buffer("wide", wide, persistent=False)
        self.register_buffer("mean", (wide / wide.sum(1, keepdim=True)).T.contiguous(), persistent=False)
        for name, shape in LAYOUT:
            scale = {"v": 0.5, "w": 0.2 if name == "wo" else 1.0}.get(name[0], 1.0)
            made = scale * torch.randn(shape) / shape[0] ** 0.5 if len(shape) == 2 else torch.zeros(shape)
            self.register_parameter(name, torch.nn.Parameter(made))
        with torch.no_grad():
            self.bo.copy_(torch.tensor(INITIAL_COEFFICIENTS).repeat_interleave(COUNT))

    def forward(self, log: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        known = (noise[..., :1] > NO_NOISE / 2).to(log.dtype)
        level, near = self._near(log, noise, known)
        x = torch.tanh(self._features(log, noise, known, level) @ self.w0 + self.b0)
        low = self._gru_layer(x, "1")
        high = self._gru_layer(low, "2")
        said = (torch.cat([low, high], -1) @ self.wo + self.bo).unflatten(-1, (6, COUNT)) @ self.wide
        push = said[..., 0, :]
        for row, part in enumerate(near, 1):
            push = push + said[..., row, :] * part
        floor = torch.sigmoid(said[..., 5, :])
        return floor + (1.0 - floor) * torch.sigmoid(push)

    @torch.no_grad()
    def _near(
        self, log: torch.Tensor, noise: torch.Tensor, known: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Levels of the bands, and the rule's inputs per bin, relative to the surrounding level."""
        level = torch.log(log.exp() @ self.mean)
        here = level @ self.wide
        parts = [part - here for part in (log, smooth_one_pole(log, SHORT), smooth_one_pole(log, LONG))]
        return level, [*parts, (noise - here).clamp(-8.0, 4.0) * known]

    @torch.no_grad()
    def _features(
        self, log: torch.Tensor, noise: torch.Tensor, known: torch.Tensor, level: torch.Tensor
    ) -> torch.Tensor:
        frame = log.exp().mean(-1)
        mean = torch.log(running(frame, LEVEL) + 1e-8)[..., None]
        noise_levels = (torch.log(torch.where(known > 0.0, noise, log).exp() @ self.mean + QUIET) - level).clamp(
            -6.0, 3.0
        )
        return torch.cat(
            [
                (level - mean) / 3.0,
                log @ self.mean - level + 0.6,
                noise_levels * known / 2.0,
                known,
                (torch.log(frame + QUIET)[..., None] - mean) / 2.0,
                (mean + 8.0) / 5.0,
            ],
            -1,
        )

    def _gru_layer(self, x: torch.Tensor, layer: str) -> torch.Tensor:
        """Output of a GRU layer. Torch has reset before update, and each gate's weights as rows."""
        u, v, c, d = (getattr(self, name + layer) for name in "uvcd")
        return gru_output(x, u, v, c, d, self.training)


def gru_output(
    x: torch.Tensor, u: torch.Tensor, v: torch.Tensor, c: torch.Tensor, d: torch.Tensor, training: bool
) -> torch.Tensor:
    """Output of a GRU layer with weights and biases in numpy's layout, as torch computes it."""
    weights = [reorder_gates_for_torch(part).T.contiguous() for part in (u, v)]
    late = torch.cat([torch.zeros(2 * len(d), device=d.device), d])
    state = torch.zeros(1, len(x), len(d), device=x.device)
    out: torch.Tensor = torch.gru(
        x, state, [*weights, reorder_gates_for_torch(c), late], True, 1, 0.0, training, False, True
    )[0]
    return out


def reorder_gates_for_torch(part: torch.Tensor) -> torch.Tensor:
    """Reorders the gates of `[…, 3 * width]` from update, reset, new to reset, update, new."""
    update, reset, new = part.chunk(3, -1)
    return torch.cat([reset, update, new], -1)


class GateRecipe(MaskRecipe):
    """Recipe with the mask's material and loss on the gate's grid. `SuppressionLimit`, which follows, is left out."""

    name = "denoise-gate"
    weights = MODEL
    module = GateNetwork
    steps = 3500
    hop: ClassVar[int] = grid(RATE).hop
    frames: ClassVar[int] = 375
    shares = "denoise"

    def transform(self) -> Frames:
        return Frames(grid(RATE))

    half = True  # the rules it gives differ by less than a thousandth
