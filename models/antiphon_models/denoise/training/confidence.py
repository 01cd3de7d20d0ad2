"""The confidence network over whole mixtures, for gradients, and its loss: errors as quadratic forms.

Of each band and hop there are `STATISTICS` sums, with which the error of any weights is exact up to the overlap of
bands and frames: no sound has to be computed again while it is trained.
"""

import torch

from antiphon_denoise.bands import COUNT
from antiphon_denoise.learned.confidence import CHOICES, FEATURES, GAIN_ONE_BIAS, INITIAL_LOGITS, INPUTS, LAYOUT
from antiphon_denoise.learned.file_confidence import HIDDEN as FILE_HIDDEN
from antiphon_models.denoise.training.gate import turned

STATISTICS = 10
"""Sums over a band's bins: |N|², Re N*D of three removals D, and the six products of those."""


class ConfidenceNetwork(torch.nn.Module):
    """Features `[N, T, INPUTS]` → shares of the choices `[N, T, COUNT, CHOICES]`, whose sum is 1."""

    w0: torch.nn.Parameter
    b0: torch.nn.Parameter
    u1: torch.nn.Parameter
    v1: torch.nn.Parameter
    c1: torch.nn.Parameter
    d1: torch.nn.Parameter
    wo: torch.nn.Parameter
    bo: torch.nn.Parameter
    wl: torch.nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        for name, shape in LAYOUT:
            scale = {"wo": 0.2, "wl": 0.2, "v1": 0.5}.get(name, 1.0)
            made = scale * torch.randn(shape) / shape[0] ** 0.5 if len(shape) == 2 else torch.zeros(shape)
            self.register_parameter(name, torch.nn.Parameter(made))
        with torch.no_grad():
            self.bo.copy_(torch.tensor(INITIAL_LOGITS).repeat_interleave(COUNT))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(features @ self.w0 + self.b0)
        high = turned(x, self.u1, self.v1, self.c1, self.d1, self.training)
        return _shares(high @ self.wo + self.bo, features, self.wl, self.training)


class FileConfidenceNetwork(torch.nn.Module):
    """Bidirectional confidence network of whole files, the torch form of `antiphon_denoise.learned.file_confidence`."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = torch.nn.Linear(INPUTS, FILE_HIDDEN)
        self.turn = torch.nn.GRU(FILE_HIDDEN, FILE_HIDDEN, batch_first=True, bidirectional=True)
        self.say = torch.nn.Linear(2 * FILE_HIDDEN, CHOICES * COUNT)
        self.local = torch.nn.Linear(FEATURES, CHOICES, bias=False)
        with torch.no_grad():
            self.say.weight.mul_(0.3)
            self.say.bias.copy_(torch.tensor(INITIAL_LOGITS).repeat_interleave(COUNT))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        high, _ = self.turn(torch.tanh(self.enter(features)))
        return _shares(self.say(high), features, self.local.weight.T, self.training)


def _shares(said: torch.Tensor, features: torch.Tensor, local: torch.Tensor, training: bool) -> torch.Tensor:
    """Shares of the choices, of what is said of all bands at once and of what each band's own features say."""
    own = features[..., : FEATURES * COUNT].unflatten(-1, (FEATURES, COUNT)).transpose(-1, -2)
    logits = said.unflatten(-1, (CHOICES, COUNT)).transpose(-1, -2) + own @ local
    if not training:
        # a loss is of what is learned, a validation of what is played
        logits = logits + torch.tensor([GAIN_ONE_BIAS, 0.0, 0.0, 0.0], device=logits.device)
    return torch.softmax(logits, -1)


def errors(statistics: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Error energy, residual noise plus lost signal, `[N, T, COUNT]`, for the shares chosen by the network."""
    a, b, c = shares[..., 1:].unbind(-1)
    n, na, nb, nc, aa, ab, ac, bb, bc, cc = statistics.unbind(-1)
    linear = a * na + b * nb + c * nc
    square = a * a * aa + b * b * bb + c * c * cc + 2.0 * (a * b * ab + a * c * ac + b * c * bc)
    return (n - 2.0 * linear + square).clamp(min=0.0)
