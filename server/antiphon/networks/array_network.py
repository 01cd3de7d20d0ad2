"""Trained networks in numpy: they run shipped models on the CPU, equal to their torch networks, without torch.

`ModelInfo.array_network` names the class. It is created, with its weights, in the process that runs it: in the engine
by `ModelClient`, in a worker by `build`. Its layers are for one stream, hop by hop: float32, preallocated buffers, one
thread; weights have torch's shapes. Calls are for the block path: they allocate nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import PluginError
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.workers.spec import Stepper, WorkerSpec
from antiphon.native.compiling import kernel
from antiphon.native.kernel import f32, f32p, i64, i64p
from antiphon.networks import model_files
from antiphon.networks.model_files import ModelError

Weights: TypeAlias = Mapping[str, Samples]
"""Weight arrays by name: float32, in torch's shapes."""
F = TypeVar("F", bound=np.floating[Any])


def find_array(weights: Weights, name: str, *shape: int) -> Samples:
    """Returns one array of a network's weights. Raises `ModelError` if it is missing, misshaped or not finite."""
    if name not in weights:
        raise ModelError(f"{name} is missing in the weights; train the model again")
    found = weights[name]
    if found.shape != shape:
        raise ModelError(f"{name} is {list(found.shape)} and should be {list(shape)}; train the model again")
    if not np.isfinite(found).all():
        raise ModelError(f"{name} holds NaN or infinity; train the model again")
    return found


@kernel
def array_gelu(x: f32p, size: i64, out: f32p) -> None:
    """GELU: out `[size]` ← x times the normal distribution function of x; out may be x.

    The error function is Abramowitz and Stegun's (Handbook of Mathematical Functions, 1964) 7.1.28, within 3e-7.
    """
    for n in range(size):
        v = x[n]
        a = min(abs(v) * f32(0.70710678), f32(6.0))
        p = f32(1.0) + a * (
            f32(0.0705230784)
            + a
            * (
                f32(0.0422820123)
                + a * (f32(0.0092705272) + a * (f32(0.0001520143) + a * (f32(0.0002765672) + a * f32(0.0000430638))))
            )
        )
        p = p * p
        p = p * p
        p = p * p
        p = p * p
        out[n] = max(v, f32(0.0)) - f32(0.5) * abs(v) / p


@kernel
def array_banded(x: f32p, first: i64p, start: i64p, weights: f32p, columns: i64, y: f32p) -> None:
    """y `[columns]` ← banded product: column j sums x from first[j] on, weighted by weights[start[j]:start[j + 1]]."""
    for j in range(columns):
        total = f32(0.0)
        line = first[j]
        for n in range(start[j], start[j + 1]):
            total = total + x[line] * weights[n]
            line = line + 1
        y[j] = total


def sigmoid(x: Samples, out: Samples | None = None) -> Samples:
    """1 / (1 + e^-x), by tanh, which does not overflow.

    `x`: float32 of any shape. `out`: of the same shape, to be filled; may be `x`. None allocates it.
    """
    out = np.empty_like(x) if out is None else out
    np.multiply(x, np.float32(0.5), out=out)
    np.tanh(out, out=out)
    np.multiply(out, np.float32(0.5), out=out)
    return np.add(out, np.float32(0.5), out=out)


def logistic(x: NDArray[F]) -> NDArray[F]:
    """Probabilities of logits: 1 / (1 + e^-x), in the type of `x`, off the block path."""
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def gelu(x: Samples, out: Samples) -> None:
    """Computes the Gaussian error linear unit to 2e-6 into `out`, which may be `x`; both float32, contiguous."""
    array_gelu(x, x.size, out)


class Linear:
    """Linear layer."""

    def __init__(self, weight: Samples, bias: Samples | None = None) -> None:
        """Stores the weights. `weight`: float32 `[outputs, inputs]`. `bias`: float32 `[outputs]`, or None."""
        self._weight = np.ascontiguousarray(weight, np.float32)
        self._bias = None if bias is None else np.ascontiguousarray(bias, np.float32)
        self.outputs: Samples = np.zeros(len(self._weight), np.float32)

    @classmethod
    def of(cls, weights: Weights, name: str, outputs: int, inputs: int) -> Self:
        """Layer from the weights of a torch `Linear`. Raises ModelError: an array is missing, or has another shape."""
        return cls(find_array(weights, f"{name}.weight", outputs, inputs), find_array(weights, f"{name}.bias", outputs))

    def __call__(self, x: Samples) -> Samples:
        """One step: float32 `[inputs]`, contiguous, to float32 `[outputs]`, valid until the next call."""
        np.dot(self._weight, x, out=self.outputs)
        if self._bias is not None:
            np.add(self.outputs, self._bias, out=self.outputs)
        return self.outputs


class SiluLinear(Linear):
    """Linear layer with SiLU activation."""

    def __init__(self, weight: Samples, bias: Samples | None = None) -> None:
        """Stores the weights. `weight`: float32 `[outputs, inputs]`. `bias`: float32 `[outputs]`, or None."""
        super().__init__(weight, bias)
        self._share: Samples = np.zeros_like(self.outputs)

    def __call__(self, x: Samples) -> Samples:
        """Computes one step."""
        y = super().__call__(x)
        sigmoid(y, self._share)
        np.multiply(y, self._share, out=y)
        return y


class Gru:
    """One GRU layer (gated recurrent units), with torch's equations.

    `state`: float32 `[units]`, also the output of the last step.
    """

    def __init__(self, weight_input: Samples, weight_state: Samples, bias_input: Samples, bias_state: Samples) -> None:
        """Stores the weights; gates in the order reset, update, new.

        `weight_input`: float32 `[3 * units, inputs]`. `weight_state`: float32 `[3 * units, units]`. `bias_input`:
        float32 `[3 * units]`. `bias_state`: float32 `[3 * units]`.
        """
        units = weight_state.shape[1]
        self._from_input, self._from_state = Linear(weight_input, bias_input), Linear(weight_state, bias_state)
        self.state: Samples = np.zeros(units, np.float32)
        self._gates: Samples = np.zeros(2 * units, np.float32)
        self._reset, self._update = self._gates[:units], self._gates[units:]
        self._new: Samples = np.zeros(units, np.float32)
        given, kept = self._from_input.outputs, self._from_state.outputs
        self._given_gates, self._given_new = given[: 2 * units], given[2 * units :]
        self._kept_gates, self._kept_new = kept[: 2 * units], kept[2 * units :]

    @classmethod
    def of(cls, weights: Weights, name: str, inputs: int, units: int, layer: str = "_l0") -> Self:
        """Creates the layer from the weights of a torch `GRU` or `GRUCell` of that name.

        `layer`: suffix of the names of its arrays: "_l0" of a GRU's first layer, "" of a GRUCell. Raises ModelError: an
        array is missing, or has another shape.
        """
        shapes = {"weight_ih": (inputs,), "weight_hh": (units,), "bias_ih": (), "bias_hh": ()}
        return cls(*(find_array(weights, f"{name}.{of}{layer}", 3 * units, *last) for of, last in shapes.items()))

    def start(self) -> None:
        """Resets the state to zeros."""
        self.state.fill(0.0)

    def __call__(self, x: Samples) -> Samples:
        """Computes one step. `x`: float32 `[inputs]`, contiguous."""
        self._from_input(x)
        self._from_state(self.state)
        np.add(self._given_gates, self._kept_gates, out=self._gates)
        sigmoid(self._gates, self._gates)
        new = self._new
        np.multiply(self._reset, self._kept_new, out=new)
        np.add(new, self._given_new, out=new)
        np.tanh(new, out=new)
        # state ← new + update · (state - new)
        np.subtract(self.state, new, out=self.state)
        np.multiply(self.state, self._update, out=self.state)
        np.add(self.state, new, out=self.state)
        return self.state


class Conv1d:
    """1-D convolution with zero padding to equal length, computed as one matrix product.

    `inputs`: float32 `[channels, width]`, to be written before a call; not contiguous. `outputs`: float32 `[outputs,
    width / stride]`.
    """

    def __init__(self, weight: Samples, bias: Samples, width: int, stride: int = 1) -> None:
        """Stores the weights and allocates the buffers.

        `weight`: float32 `[outputs, channels, taps]`, an odd number of taps. `bias`: float32 `[outputs]`. `stride`: of
        the outputs, a divisor of `width`.
        """
        outputs, channels, taps = weight.shape
        padded: Samples = np.zeros((channels, width + taps - 1), np.float32)
        self.inputs: Samples = padded[:, taps // 2 : taps // 2 + width]
        row, step = padded.strides
        width //= stride
        self._windows = as_strided(padded, (channels, taps, width), (row, step, stride * step), writeable=False)
        self._columns: Samples = np.zeros((channels, taps, width), np.float32)
        self._flat = self._columns.reshape(channels * taps, width)
        self._weight = np.ascontiguousarray(weight.reshape(outputs, -1), np.float32)
        self._bias = np.ascontiguousarray(bias[:, None], np.float32)
        self.outputs: Samples = np.zeros((outputs, width), np.float32)

    def __call__(self) -> Samples:
        """Computes one step from `inputs`."""
        np.copyto(self._columns, self._windows)
        np.matmul(self._weight, self._flat, out=self.outputs)
        np.add(self.outputs, self._bias, out=self.outputs)
        return self.outputs


class BandedSums:
    """Product with a banded matrix: each column stores only its nonzero band."""

    def __init__(self, matrix: Samples) -> None:
        """Stores the bands. `matrix`: float32 `[lines, columns]`."""
        lines, columns = matrix.shape
        there = matrix != 0.0
        any_there = there.any(axis=0)
        first = np.where(any_there, there.argmax(axis=0), 0)
        last = np.where(any_there, lines - there[::-1].argmax(axis=0), 0)
        self._first = first.astype(np.int64)
        self._start = np.concatenate([[0], np.cumsum(last - first)]).astype(np.int64)
        bands = [matrix[a:b, j] for j, (a, b) in enumerate(zip(first, last, strict=True))]
        self._weights = np.ascontiguousarray(np.concatenate(bands), np.float32)
        self._columns = columns

    def __call__(self, x: Samples, out: Samples) -> None:
        """Multiplies float32 `[lines]` into `out`, float32 `[columns]`, both contiguous."""
        array_banded(x, self._first, self._start, self._weights, self._columns, out)


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

    `where`: "module:Class" of the network. `folder`: the manifest's folder; "" for the one that ships with Antiphon.
    Returns the network in its initial state. Raises ModelError: the network, its weights or its outputs are not as
    declared.
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
