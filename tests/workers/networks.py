"""Networks for tests, and a rig that leaves torch as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.networks import model_files
from antiphon.networks.torch_network import StreamingModel

HERE = "tests.workers.networks"
HOP = 64


class Leaky(StreamingModel):
    """Two channels of half hops and their long memory: what a slot says depends on all it ever heard."""

    name, hop, inputs, outputs = "leaky", HOP, 2, 3

    def __init__(self):
        super().__init__()
        self.cell = torch.nn.GRUCell(2 * HOP, 32)
        self.out = torch.nn.Linear(32, 3 * HOP)

    def start(self, slots):
        return torch.full((slots, 32), 0.25), torch.zeros(slots, dtype=torch.int64)

    def step(self, x, state):
        heard = self.cell(x.flatten(1), state[0])
        y = self.out(heard).view(-1, 3, HOP) + 1e-3 * state[1][:, None, None]
        return y, (heard, state[1] + 1)

    def offline(self, x):
        """x `[inputs, hops * HOP]` → `[outputs, hops * HOP]`, all hops' input products at once."""
        hops = torch.from_numpy(x).view(2, -1, HOP).transpose(0, 1).flatten(1)
        given = hops @ self.cell.weight_ih.T + self.cell.bias_ih
        memory, said = torch.full((32,), 0.25), []
        for n, row in enumerate(given):
            heard = memory @ self.cell.weight_hh.T + self.cell.bias_hh
            reset, update = (torch.sigmoid(row[a : a + 32] + heard[a : a + 32]) for a in (0, 32))
            memory = (1 - update) * torch.tanh(row[64:] + reset * heard[64:]) + update * memory
            said.append(self.out(memory).view(3, HOP) + 1e-3 * n)
        return torch.cat(said, dim=1).numpy()


class Through(StreamingModel):
    """One channel, unchanged; what the bad ones below begin from."""

    name, hop = "through", HOP

    def start(self, slots):
        return (torch.zeros(slots, 1),)

    def step(self, x, state):
        return x.clone(), (state[0] + 1.0,)


class Short(Through):
    def step(self, x, state):
        return x[:, :, 1:], state


class Poisoned(Through):
    def step(self, x, state):
        return x / x.abs().sum(), state


class Writing(Through):
    def step(self, x, state):
        state[0].add_(1.0)
        return x.clone(), (state[0].clone(),)


class Mixing(Through):
    def step(self, x, state):
        return x - x.mean(dim=0, keepdim=True), state


class Growing(Through):
    def step(self, x, state):
        return x.clone(), (torch.cat((state[0], x[:, 0, :1]), dim=1),)


class Raising(Through):
    def step(self, x, state):
        raise RuntimeError("the mat1 and mat2 shapes do not fit")


class NoStart(Through):
    def start(self, slots):
        return (torch.zeros(1, 1),)


class Unmade(Through):
    def __init__(self):
        raise RuntimeError("no such kernel")


class Sized(Through):
    """Its numbers depend on how many are computed together, as those of a library with many kernels may."""

    def step(self, x, state):
        return x * (1.0 + (1e-6 if x.shape[0] == 2 else 0.0)), (state[0] + 1.0,)


NotAModel = torch.nn.Identity


def spec(network: str = "Leaky", slots: int = 4, weights: str = "", folder: Path | None = None, **given) -> WorkerSpec:
    kind = globals().get(network, Leaky)
    inputs, outputs = getattr(kind, "inputs", 1), getattr(kind, "outputs", 1)
    settings = {"network": f"{HERE}:{network}", "weights": weights, "seed": 3, "folder": str(folder or "")}
    shape = {"hop": HOP, "inputs": (inputs, HOP), "outputs": (outputs, HOP)}
    return WorkerSpec(
        "test", "antiphon.networks.torch_network:build", slots=slots, settings=settings, **{**shape, **given}
    )


def write_weights(folder: Path, change=lambda arrays: arrays) -> Path:
    """Weights of `Leaky` under the name `leaky`, after `change`."""
    torch.manual_seed(5)
    arrays = {name: tensor.numpy() for name, tensor in Leaky().state_dict().items()}
    model_files.write("leaky", change(arrays), folder, {"licence": "MIT"})
    return folder


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


def play(stepper, x: np.ndarray, slots: int, at: dict[int, int], outputs: int = 3) -> np.ndarray:
    """Streams x `[streams, inputs, hops * HOP]`, stream i in slot `at[i]`, a hop of each a step."""
    count = x.shape[2] // HOP
    said = np.zeros((x.shape[0], outputs, count * HOP), np.float32)
    given, y = np.full((slots, x.shape[1], HOP), np.nan, np.float32), np.zeros((slots, outputs, HOP), np.float32)
    for hop in range(count):
        hops = np.full(slots, -1, np.int64)
        for stream, slot in at.items():
            hops[slot] = hop
            given[slot] = x[stream, :, hop * HOP : (hop + 1) * HOP]
        stepper.step(hops, given, y)
        for stream, slot in at.items():
            said[stream, :, hop * HOP : (hop + 1) * HOP] = y[slot]
    return said


@contextmanager
def as_it_was() -> Iterator[None]:
    """Steppers turn torch to one thread and tiny numbers to none: right for a worker, not for whoever tests next."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)
