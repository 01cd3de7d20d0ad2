"""The mask network of `mode=learned`: recurrent band layers set the rule of each bin's gate.

Two recurrent layers hear all bands and say, for every band, how far each of a bin's details (its level beside the
band's, its neighbours, its past, its floor) pushes its gate open. A small network, the same for all bins, bends what
comes of it: so the lines of a tone stay where the noise between them goes.

Recurrent masks on few bands: Valin, A hybrid DSP/deep learning approach to real-time full-band speech enhancement
(RNNoise), 2018. This one steers a rule for bins rather than giving the gain of a band.
"""

from typing import ClassVar

import torch
from torch.nn import functional

from antiphon.api.backends.networks import State
from antiphon_denoise.bands import COUNT
from antiphon_denoise.learned.mask_network import GATE_BIAS, LAST, LEAKY_SLOPE, TELLS, WIDTH
from antiphon_denoise.learned.tables import DETAILS, FEATURES, MASK
from antiphon_models.denoise.network.features import Past, turned
from antiphon_models.denoise.network.gains import GainNetwork

INITIAL_LOGIT = 1.5
"""Initial logit of the gate."""


class MaskNetwork(GainNetwork):
    """Gains by a gate per bin, whose rule comes from recurrent layers per band."""

    name: ClassVar[str] = MASK.name

    def __init__(self) -> None:
        super().__init__()
        self.enter = torch.nn.Linear(COUNT * FEATURES, WIDTH)
        self.first = torch.nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.second = torch.nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.say = torch.nn.Linear(2 * WIDTH, COUNT * (DETAILS + 1 + TELLS))
        self.bend = torch.nn.Linear(DETAILS + 1 + TELLS, LAST)
        self.last = torch.nn.Linear(LAST, 1)
        with torch.no_grad():
            self.say.weight.mul_(0.3)
            self.say.bias.view(COUNT, -1)[:, DETAILS] = INITIAL_LOGIT

    def start(self, slots: int) -> State:
        return *self.follow.start(slots), torch.zeros(slots, WIDTH), torch.zeros(slots, WIDTH)

    def step(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        now, past = self.follow.step(x, Past(*state[:3]))
        low = turned(self.first, functional.silu(self.enter(now.bands)), state[3])
        high = turned(self.second, low, state[4])
        said = self.say(torch.cat([low, high], 1)).view(len(x), COUNT, -1)
        rule = said.transpose(1, 2) @ self.follow.wide
        push = (now.details * rule[:, :DETAILS]).sum(1, keepdim=True) + rule[:, DETAILS : DETAILS + 1]
        seen = torch.cat([now.details, rule[:, DETAILS + 1 :], push], 1)
        bend, last = (part.weight.expand(len(x), -1, -1) for part in (self.bend, self.last))
        bent = functional.leaky_relu(torch.baddbmm(self.bend.bias[:, None], bend, seen), LEAKY_SLOPE)
        gain = torch.sigmoid(torch.baddbmm(push, last, bent) + (self.last.bias + GATE_BIAS))
        return gain, (*past, low, high)

    def forward(self, log: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Many hops from the start: log, noise `[N, T, UNITS]` → gains `[N, T, UNITS]`."""
        heard = self.follow.whole(log, noise)
        n, t = heard.levels.shape[:2]
        x = functional.silu(self.enter(heard.bands.flatten(2)))
        low = self.first(x)[0]
        high = self.second(low)[0]
        said = self.say(torch.cat([low, high], -1)).reshape(n, t, COUNT, -1)
        push = self._push(heard.details, said)
        # a loss is of what is learned, a validation of what is played
        return torch.sigmoid(push if self.training else push + GATE_BIAS)

    def _push(self, details: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
        """Logits of the gates `[N, T, UNITS]`, from the output per band `[N, T, COUNT, …]`."""
        count, wide = details.shape[2], self.follow.wide
        said = said.transpose(2, 3)
        push = (details * (said[:, :, :count] @ wide)).sum(2) + said[:, :, count] @ wide
        # of the bend's inputs the details, what is said and the push: summed, without a copy of all side by side
        of_details, of_said, of_push = self.bend.weight.split((count, TELLS, 1), 1)
        bent = (of_said @ said[:, :, count + 1 :] + self.bend.bias[:, None]) @ wide
        bent = functional.leaky_relu(of_details @ details + bent + of_push * push[:, :, None], LEAKY_SLOPE)
        return push + (self.last.weight @ bent)[:, :, 0] + self.last.bias
