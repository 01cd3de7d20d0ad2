"""Streaming models in torch: their interface, loading and stepper.

A `StreamingModel` maps a hop and a state to an answer and the next state. Weights are checked against the declaration;
the CPU's and the GPU's stepper share this. Imported by models, their training and workers, never by control or engine:
it imports torch.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import AntiphonError, PluginError
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.workers.spec import Stepper, WorkerSpec
from antiphon.networks import model_files
from antiphon.networks.model_files import ModelError

State: TypeAlias = tuple[torch.Tensor, ...]
"""The state of a model between hops: tensors `[slots, …]` of any type, one row for each slot."""


class StreamingModel(torch.nn.Module, ABC):
    """Network that computes one hop per step, for several streams at once, one row of the batch each.

    The constructor takes no arguments; weights are loaded later. Rows must not depend on each other, and all memory
    must be in the state, whose rows are masked and cleared by slot.

    Attributes:
        rate: Frames per second.
        hop: Frames of a hop, or its values for each input.
        latency: Algorithmic latency in frames, in addition to the hop that is collected first, and without the host's.
        answer: Values of an answer for each output; None for `hop`.
        frames: Frames from one hop to the next; None for `hop`.
    """

    name: ClassVar[str] = ""
    rate: ClassVar[int] = 48000
    hop: ClassVar[int] = 480
    inputs: ClassVar[int] = 1
    outputs: ClassVar[int] = 1
    latency: ClassVar[int] = 0
    answer: ClassVar[int | None] = None
    frames: ClassVar[int | None] = None

    @property
    def said(self) -> tuple[int, int]:
        """Shape of one slot's answer: outputs, and values of each."""
        return self.outputs, self.hop if self.answer is None else self.answer

    @abstractmethod
    def start(self, slots: int) -> State:
        """Initial state of `slots` streams. Returns tensors on the CPU whose first dimension is `slots`."""

    @abstractmethod
    def step(self, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Computes one hop of every slot. Neither `x` nor `state` is written to.

        `x`: float32 `[slots, inputs, hop]`; any number of slots from 1. `state`: from `start` or the previous step.
        Returns float32 `[slots, outputs, answer]`, and the state after the hop, of the same shapes and types as before.
        """


log = logging.getLogger("antiphon.workers")
MIN_STEPS, MAX_STEPS = 32, 400


def use_one_torch_thread() -> None:
    """Restricts torch to the calling thread, and flushes denormal numbers to zero."""
    torch.set_num_threads(1)
    # torch allows one call in a process, and a zygote may have made it
    if torch.get_num_interop_threads() != 1:
        torch.set_num_interop_threads(1)
    torch.set_flush_denormal(True)


def load(spec: WorkerSpec, device: torch.device) -> StreamingModel:
    """Creates a network, loads its weights, and checks it by steps of silence and noise.

    `spec`: a worker's spec, from `ModelInfo.worker`. Its settings are network "module:Class"; weights, a name in the
    manifest, or "" for initial weights drawn by `seed`; folder of the manifest, "" for Antiphon's own. Returns the
    network in evaluation mode, without gradients. Raises ModelError: the network, its weights or its answers are not as
    declared.
    """
    where, weights = str(spec.settings.get("network", "")), str(spec.settings.get("weights", ""))
    kind = _class(where)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(spec.settings.get("seed", 0)))
        try:
            network = kind()
        except Exception as error:
            raise ModelError(f"the network {where} cannot be made: {_shown(error)}") from error
    for what, has, declared in (
        ("a rate of", network.rate, spec.rate),
        ("hops of", network.hop if network.frames is None else network.frames, spec.hop),
        ("inputs of", (network.inputs, network.hop), tuple(spec.inputs)),
        ("outputs of", network.said, tuple(spec.outputs)),
    ):
        if has != declared:
            raise ModelError(f"the network {where} has {what} {has}, but {declared} is declared; correct one of them")
    if weights:
        folder = str(spec.settings.get("folder", ""))
        fill(network, where, weights, Path(folder) if folder else None)
    network.eval().requires_grad_(False).to(device)
    check(network, where, spec.slots, device)
    return network


def fill(network: torch.nn.Module, where: str, weights: str, folder: Path | None = None) -> None:
    """Loads the weights of the model named `weights` into `network`, which `where` names in messages.

    `folder`: the one of the model's manifest; None for the manifest that ships with Antiphon. Raises ModelError: the
    weights are missing, or do not fit the network; the message says which.
    """
    arrays = model_files.weights(weights, folder)
    wanted = network.state_dict()
    wrong = []
    lacking, strange = sorted(set(wanted) - set(arrays)), sorted(set(arrays) - set(wanted))
    if lacking:
        wrong.append(f"{_few(lacking)} {'is' if len(lacking) == 1 else 'are'} missing")
    if strange:
        wrong.append(f"{_few(strange)} {'is' if len(strange) == 1 else 'are'} unknown to it")
    for name in sorted(set(wanted) & set(arrays)):
        if tuple(wanted[name].shape) != arrays[name].shape:
            wrong.append(f"{name} is {list(arrays[name].shape)} and should be {list(wanted[name].shape)}")
        elif not np.isfinite(arrays[name]).all():
            wrong.append(f"{name} holds NaN or infinity")
    if wrong:
        reasons = "; ".join(wrong[:3])
        raise ModelError(f"the weights {weights} do not fit the network {where}: {reasons}; train it again")
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}, strict=True)


def check(network: StreamingModel, where: str, slots: int, device: torch.device) -> None:
    """Checks a network by steps of silence and noise on a batch of `slots`; `where` names it in messages.

    Raises ModelError: shapes or types are not as declared, numbers are not finite, inputs are overwritten, or a slot's
    answer depends on another slot.
    """
    shape_in, shape_out = (slots, network.inputs, network.hop), (slots, *network.said)
    noise = torch.randn(shape_in[1:], generator=torch.Generator().manual_seed(0)).to(device)
    quiet = torch.zeros(shape_in, device=device)
    alike = noise.expand(shape_in).clone()
    alone = quiet.clone()
    alone[0] = noise
    with torch.inference_mode():
        silent, unchanged = _checked(network, where, quiet, shape_out)
        answer, changed = _checked(network, where, alone, shape_out)
        for got, want in zip((answer, *changed), (silent, *unchanged), strict=True):
            if not torch.allclose(got[1:].to(torch.complex128), want[1:].to(torch.complex128), atol=1e-5):
                raise ModelError(f"the network {where} lets one slot's sound into another's; each row must be its own")
        same, _ = _checked(network, where, alike, shape_out)
        if not torch.equal(same, same[:1].expand_as(same)):
            log.warning("the network %s gives other last digits in other slots; a replay may differ by them", where)


def advance(network: StreamingModel, x: torch.Tensor, y: torch.Tensor, state: State, going: torch.Tensor) -> None:
    """Computes one step of float32 `[n, inputs, hop]` in place into `[n, outputs, answer]`.

    The state of idle slots, those not `going`, is unchanged.
    """
    answer, after = network.step(x, state)
    y.copy_(answer)
    for before, new in zip(state, after, strict=True):
        torch.where(going.view(-1, *[1] * (new.dim() - 1)), new, before, out=before)


def repeat_until_steady(step: Callable[[], None]) -> int:
    """Repeats a step until the median of eight is no faster than that of the previous eight; returns their number."""
    times: list[float] = []
    while len(times) < MAX_STEPS:
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
        if len(times) >= MIN_STEPS and np.median(times[-8:]) > 0.9 * np.median(times[-16:-8]):
            break
    return len(times)


def _class(where: str) -> type[StreamingModel]:
    module, _, name = where.partition(":")
    if not module or not name:
        raise ModelError(f'the network is named {where!r}; "module:Class" is allowed')
    try:
        cls = import_object(where)
    except PluginError as error:
        raise ModelError(f"the network {where} is not there: {error}") from None
    except Exception as error:
        raise ModelError(f"the network {where} cannot be imported: {_shown(error)}") from error
    if not isinstance(cls, type) or not issubclass(cls, StreamingModel):
        raise ModelError(f"the network {where} is no StreamingModel; derive it from that class")
    return cls


def _checked(
    network: StreamingModel, where: str, x: torch.Tensor, shape: tuple[int, ...]
) -> tuple[torch.Tensor, State]:
    original = x.clone()
    before = _start(network, where, x.shape[0], x.device)
    state = tuple(t.clone() for t in before)
    y, after = _step(network, where, x, state)
    if not isinstance(y, torch.Tensor) or tuple(y.shape) != shape or y.dtype != torch.float32:
        got = f"{y.dtype} {list(y.shape)}" if isinstance(y, torch.Tensor) else type(y).__name__
        raise ModelError(f"the network {where} gave {got}; torch.float32 {list(shape)} was declared")
    if [(t.shape, t.dtype) for t in after] != [(t.shape, t.dtype) for t in before]:
        raise ModelError(f"the network {where} gave a state of other shapes than it started with; they must stay")
    if not all(torch.isfinite(t).all() for t in (y, *after)):
        raise ModelError(f"the network {where} gives NaN or infinity for {'noise' if x.any() else 'silence'}")
    if not all(torch.equal(a, b) for a, b in zip((x, *state), (original, *before), strict=True)):
        raise ModelError(f"the network {where} writes into its input or its state; it must give new tensors")
    return y, after


def _start(network: StreamingModel, where: str, slots: int, device: torch.device) -> State:
    try:
        state = tuple(network.start(slots))
    except Exception as error:
        raise ModelError(f"the network {where} cannot start: {_shown(error)}") from error
    if any(not isinstance(t, torch.Tensor) or t.dim() < 1 or t.shape[0] != slots for t in state):
        raise ModelError(f"the network {where} starts with a state that is not one row for each of {slots} slots")
    return tuple(t.to(device) for t in state)


def _step(network: StreamingModel, where: str, x: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
    try:
        y, after = network.step(x, state)
        return y, tuple(after)
    except Exception as error:
        raise ModelError(f"the network {where} cannot make a step: {_shown(error)}") from error


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _shown(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return text if isinstance(error, AntiphonError) and text else f"{type(error).__name__}: {text}".rstrip(": ")


def build(spec: WorkerSpec) -> Stepper:
    """The worker's factory. Raises ModelError when the network or its weights are not as declared."""
    use_one_torch_thread()
    return TorchStepper(load(spec, torch.device("cpu")), spec.slots)


class TorchStepper:
    """`Stepper` that computes every slot at every step, so that results do not depend on the other streams."""

    def __init__(self, network: StreamingModel, slots: int) -> None:
        self._network = network
        self._fresh = tuple(t.clone() for t in network.start(slots))
        self._state = tuple(t.clone() for t in self._fresh)
        self._x = torch.zeros(slots, network.inputs, network.hop)
        self._y = torch.zeros(slots, *network.said)
        self._going = torch.zeros(slots, dtype=torch.bool)
        # numpy views of the same memory
        self._inputs, self._outputs, self._mask = self._x.numpy(), self._y.numpy(), self._going.numpy()

    def warm(self) -> None:
        """Computes steps until they are no faster."""
        x = np.random.default_rng(0).uniform(-0.5, 0.5, self._inputs.shape).astype(np.float32)
        y = np.zeros(self._outputs.shape, np.float32)
        hops = np.zeros(len(x), np.int64)
        repeat_until_steady(lambda: self.step(hops, x, y))
        for slot in range(len(x)):
            self.open(slot, "")

    def open(self, slot: int, config: str) -> None:
        """Clears the state of a slot."""
        with torch.inference_mode():
            for state, fresh in zip(self._state, self._fresh, strict=True):
                state[slot].copy_(fresh[slot])

    def close(self, slot: int) -> None:
        """No operation: a slot without hops is masked, and `open` resets a reused slot."""

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        """Computes a hop of each slot that has one."""
        np.greater_equal(hops, 0, out=self._mask)
        # idle slots may hold NaN, which must not get into the batch
        np.copyto(self._inputs, x, where=self._mask[:, None, None])
        with torch.inference_mode():
            advance(self._network, self._x, self._y, self._state, self._going)
        y[...] = self._outputs
