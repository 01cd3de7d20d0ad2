"""Trained networks in numpy: play shipped models on the CPU, equal to their torch networks, without torch.

`ModelInfo.array_network` names the class. It is created, with its weights, in the playing process: in the engine by
`ModelClient`, in a worker by `build`.
"""

from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import PluginError
from antiphon.kernel.runtime import model_files
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.runtime.model_files import ModelError
from antiphon.kernel.workers.spec import Stepper, WorkerSpec
from antiphon.networks import array_layers  # noqa: F401 - its kernels are compiled with all others, at the start
from antiphon.networks.array_layers import Weights

WARM_STEPS = 16
"""Warm-up steps of a network before it plays, so that no first step is slow."""


class ArrayNetwork(Protocol):
    """Network of one stream, created from its weights by name: `Class(weights)`, float32 in torch's shapes.

    The constructor allocates every buffer and raises ModelError if the weights do not fit; `start` and `step` are for
    the block path.
    """

    def start(self) -> None:
        """Resets the state."""

    def step(self, x: Samples, y: Samples) -> None:
        """Computes one hop.

        `x`: float32 `[inputs, hop]`, contiguous; not written to. `y`: float32 `[outputs, answer]`, contiguous, to be
        filled.
        """


def load(where: str, weights: str, folder: str, shape_in: tuple[int, ...], shape_out: tuple[int, ...]) -> ArrayNetwork:
    """Creates a network with its weights, and warms it up by steps of noise and silence.

    `where`: "module:Class" of the network. `folder`: of the manifest; "" for the one that ships with Antiphon. Returns
    the network, without a past. Raises ModelError: the network, its weights or its answers are not what was declared.
    """
    try:
        network: ArrayNetwork = import_object(where)(_weights(weights, folder))
    except ModelError as error:
        raise ModelError(f"the network {where} cannot play {weights}: {error}") from None
    except PluginError as error:
        raise ModelError(f"the network {where} is not there: {error}") from None
    except Exception as error:
        raise ModelError(f"the network {where} cannot be made: {type(error).__name__}: {error}") from error
    x: Samples = np.zeros(shape_in, np.float32)
    y: Samples = np.zeros(shape_out, np.float32)
    noise = np.random.default_rng(0).standard_normal(shape_in).astype(np.float32)
    for sound in (x, noise):
        network.start()
        for _ in range(WARM_STEPS):
            try:
                network.step(sound, y)
            except Exception as error:
                raise ModelError(f"the network {where} cannot make a step: {type(error).__name__}: {error}") from error
        if not np.isfinite(y).all():
            raise ModelError(f"the network {where} gives NaN or infinity for {'noise' if sound.any() else 'silence'}")
    network.start()
    return network


def _weights(name: str, folder: str) -> Weights:
    place = Path(folder) if folder else None
    return _read(name, place, str(model_files.entry(name, place).get("sha256", "")))


@lru_cache(maxsize=8)
def _read(name: str, folder: Path | None, checksum: str) -> Weights:
    return {key: np.asarray(array, np.float32) for key, array in model_files.weights(name, folder).items()}


def build(spec: WorkerSpec) -> Stepper:
    """The worker's factory. Raises ModelError when the network or its weights are not as declared."""
    where, weights, folder = (str(spec.settings.get(name, "")) for name in ("network", "weights", "folder"))
    return _ArrayStepper([load(where, weights, folder, spec.inputs, spec.outputs) for _ in range(spec.slots)])


class _ArrayStepper:
    """`Stepper` that computes the slots with a hop, one after another."""

    def __init__(self, networks: list[ArrayNetwork]) -> None:
        self._networks = networks

    def warm(self) -> None:
        """No operation: the networks are loaded warm."""

    def open(self, slot: int, config: str) -> None:
        self._networks[slot].start()

    def close(self, slot: int) -> None:
        """No operation: `open` resets a reused slot."""

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        for slot, network in enumerate(self._networks):
            if hops[slot] >= 0:
                network.step(x[slot], y[slot])
