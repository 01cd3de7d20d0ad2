"""Reference network: a small recurrent one with a model's cost that passes the sound.

24 band levels of the hop → a gated recurrent layer of 64 → one number. Imported in workers and training only.
"""

import torch

from antiphon.api.backends.networks import State, StreamingModel

LEVELS, HIDDEN = 24, 64


class Reference(StreamingModel):
    """Identity network: y is x, bit for bit, while weights and state give a finite number; else it is that number.

    So what went wrong inside is heard as NaN, and a sound that comes back unchanged has gone all the way.
    """

    name = "reference"

    def __init__(self) -> None:
        super().__init__()
        self.cell = torch.nn.GRUCell(LEVELS, HIDDEN)
        self.readout = torch.nn.Linear(HIDDEN, 1)

    def start(self, slots: int) -> State:
        """Initial GRU state, zeros `[slots, HIDDEN]`."""
        return (torch.zeros(slots, HIDDEN),)

    def step(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        parts = x.reshape(x.shape[0], LEVELS, -1)
        heard = self.cell(torch.log1p(parts.square().mean(dim=2)), state[0])
        said = self.readout(heard).unsqueeze(2)
        # chosen, not computed: adding nothing would already turn -0 into 0 and flush the tiniest numbers
        return torch.where(torch.isfinite(said), x, said), (heard,)
