"""Random weights of `models/weights/reference.safetensors`, drawn from a seed, not trained.

python -m antiphon_models.model.training [FOLDER] [--seed N]     FOLDER: for weights and manifest; models/weights/ by
default
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.models import models_folder, write_weights
from antiphon_model.spec import REFERENCE
from antiphon_models.model.network import HIDDEN, Reference

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
