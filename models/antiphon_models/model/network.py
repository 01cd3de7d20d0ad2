"""Reference network: a small recurrent network that costs as much as a real one and passes the sound.

It maps 24 band levels of the hop through a GRU of 64 to one number. Imported in workers only. Its weights are random,
by seed, not trained: python -m antiphon_models.model.network [FOLDER] [--seed N] writes them into `models/weights/` or
another folder.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon.api.backends.models import models_folder, write_weights
from antiphon.api.backends.networks import State, StreamingModel
from antiphon_model.spec import REFERENCE

LEVELS, HIDDEN = 24, 64


class Reference(StreamingModel):
    """Identity network: y is x, bit for bit, if weights and state give a finite number; otherwise y is that number.

    So a fault inside shows as NaN, and an unchanged output proves that the sound has passed through the network.
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


SEED = 20


def draw_weights(seed: int = SEED) -> dict[str, NDArray[np.float32]]:
    """Weights by name, uniform within ±1/√HIDDEN, in the order of the network's names."""
    rng, most = np.random.default_rng(seed), HIDDEN**-0.5
    return {
        name: rng.uniform(-most, most, tuple(tensor.shape)).astype(np.float32)
        for name, tensor in Reference().state_dict().items()
    }


def write(folder: Path, seed: int = SEED) -> None:
    """Writes weights and their manifest entry into the folder, keeping other entries."""
    arrays = draw_weights(seed)
    said = {
        "plugin": REFERENCE.plugin,
        "licence": "MIT",
        "trained_on": "nothing: drawn at random",
        "seed": seed,
        "parameters": sum(array.size for array in arrays.values()),
    }
    write_weights(REFERENCE.weights, arrays, folder, said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=models_folder())
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    write(given.folder, given.seed)


if __name__ == "__main__":
    main()
