"""The time of one hop of a 264 k-parameter mask network in each candidate runtime for workers, on one thread.

Part of `antiphon bench workers`. Every runtime does the whole hop, transforms included, on the same noise,
in turns, so that stalls of the machine affect all of them equally.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from antiphon.contract.block import Samples
from antiphon_bench.report import percentiles

Hop: TypeAlias = Callable[[Samples], Samples]
"""x `[slots, hop]` → y `[slots, hop]`; keeps its own state."""
ROUNDS = 10
RUNTIMES = ("eager", "inference_mode", "stepper", "TorchScript", "torch.compile", "ONNX Runtime", "numpy")


def measure(
    hops: int = 4000, slots: Sequence[int] = (1, 4), seed: int = 1, only: Sequence[str] = RUNTIMES
) -> list[dict[str, Any]]:
    """Measures each runtime with each number of streams in a step.

    p50, p99, max: microseconds of a hop.  ready_s: seconds to make and warm it.  off: largest difference of a sample
    from the first runtime's.  problem: why it could not be measured, in place of these.  hops: measured steps of each.
    Torch is limited to one thread meanwhile; numpy has the number in OPENBLAS_NUM_THREADS at its import.
    """
    with _one_thread():
        return [row for count in slots for row in _side_by_side(hops, count, seed, only)]


HEAD = ("runtime", "slots", "p50 µs", "p99 µs", "max µs", "ready in s", "off")


def cells(rows: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """The rows as `bench.report.table` takes them, under `HEAD`; one that was not measured has the reason."""
    return [
        (r["runtime"], r["slots"], r["problem"], "", "", "", "")
        if "problem" in r
        else (r["runtime"], r["slots"], r["p50"], r["p99"], r["max"], r["ready_s"], f"{r['off']:.0e}")
        for r in rows
    ]


def _side_by_side(hops: int, slots: int, seed: int, only: Sequence[str]) -> list[dict[str, Any]]:
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, (64, slots, 480)).astype(np.float32)
    rows: list[dict[str, Any]] = []
    hops_by_name: dict[str, Hop] = {}
    outputs: dict[str, Samples] = {}
    for name in only:
        row: dict[str, Any] = {"runtime": name, "slots": slots, "hops": hops}
        began = time.perf_counter()
        try:
            hop = _make(name, slots, seed)
            outputs[name] = np.stack([hop(x).copy() for x in noise])
            hops_by_name[name] = hop
        except Exception as error:
            row["problem"] = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
        row["ready_s"] = time.perf_counter() - began
        rows.append(row)
    times: dict[str, list[float]] = {name: [] for name in hops_by_name}
    for _ in range(ROUNDS):
        for name, hop in hops_by_name.items():
            for n in range(hops // ROUNDS):
                began = time.perf_counter()
                hop(noise[n % len(noise)])
                times[name].append((time.perf_counter() - began) * 1e6)
    for row in rows:
        if row["runtime"] in hops_by_name:
            row.update(percentiles(times[row["runtime"]]))
            row["off"] = float(np.abs(outputs[row["runtime"]] - outputs[next(iter(outputs))]).max())
    return rows


def _make(name: str, slots: int, seed: int) -> Hop:
    if name == "stepper":
        return _stepper(slots, seed)
    if name == "ONNX Runtime":
        return _onnx(slots, seed)
    if name == "numpy":
        return _numpy(slots, seed)
    return _torch(slots, seed, name)


def _network(seed: int) -> Any:
    import torch

    from antiphon_bench.workers.grumask import GruMask

    torch.manual_seed(seed)
    return GruMask().eval().requires_grad_(False)


def _torch(slots: int, seed: int, how: str) -> Hop:
    import torch

    network = _network(seed)
    run: Callable[..., Any] = network.step
    if how == "TorchScript":
        run = _traced(network, slots)
    elif how == "torch.compile":
        run = torch.compile(network.step)
    mode = torch.no_grad if how == "eager" else torch.inference_mode
    held = [network.start(slots)]

    def hop(x: Samples) -> Samples:
        with mode():
            y, held[0] = run(torch.from_numpy(x).unsqueeze(1), held[0])
        found: Samples = y.numpy()[:, 0]
        return found

    return hop


def _traced(network: Any, slots: int) -> Callable[..., Any]:
    """The step as TorchScript, which takes its state in single tensors and is deprecated."""
    import torch

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: torch.Tensor, *state: torch.Tensor) -> Any:
            y, after = self.network.step(x, state)
            return (y, *after)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        given = (torch.zeros(slots, 1, 480), *network.start(slots))
        traced = torch.jit.freeze(torch.jit.trace(Flat().eval(), given))

    def run(x: torch.Tensor, state: Any) -> Any:
        y, *after = traced(x, *state)
        return y, tuple(after)

    return run


def _stepper(slots: int, seed: int) -> Hop:
    """The step as in a worker: inference mode, masked slots, copies in and out."""
    from antiphon.workers.networks.torch_stepper import TorchStepper

    stepper = TorchStepper(_network(seed), slots)
    going, y = np.zeros(slots, np.int64), np.zeros((slots, 1, 480), np.float32)

    def hop(x: Samples) -> Samples:
        stepper.step(going, x[:, None], y)
        return y[:, 0]

    return hop


def _onnx(slots: int, seed: int) -> Hop:
    try:
        import onnxruntime
    except ImportError:
        raise RuntimeError("onnxruntime is not installed: pip install onnxruntime onnx") from None
    import torch

    mask = _network(seed).mask
    given = torch.zeros(slots, 100), torch.zeros(slots, 192)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "mask.onnx"
        names = {"input_names": ["levels", "memory"], "output_names": ["gains", "after"]}
        export: Any = torch.onnx.export
        export(mask, given, str(path), dynamo=False, **names)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return _around(slots, lambda levels, memory: session.run(None, {"levels": levels, "memory": memory}))


def _numpy(slots: int, seed: int) -> Hop:
    w = {name: tensor.numpy() for name, tensor in _network(seed).mask.state_dict().items()}
    wi, wh = np.ascontiguousarray(w["cell.weight_ih"].T), np.ascontiguousarray(w["cell.weight_hh"].T)
    wo, one = np.ascontiguousarray(w["gains.weight"].T), np.float32(1.0)

    def squash(x: Samples) -> Samples:
        return one / (one + np.exp(-x))

    def net(levels: Samples, memory: Samples) -> tuple[Samples, Samples]:
        x = levels - levels.mean(axis=1, keepdims=True)
        x = x / np.sqrt(np.square(x).mean(axis=1, keepdims=True) + np.float32(1e-5))
        given = (x * w["norm.weight"] + w["norm.bias"]) @ wi + w["cell.bias_ih"]
        recurrent = memory @ wh + w["cell.bias_hh"]
        reset = squash(given[:, :192] + recurrent[:, :192])
        update = squash(given[:, 192:384] + recurrent[:, 192:384])
        fresh = np.tanh(given[:, 384:] + reset * recurrent[:, 384:])
        memory = (one - update) * fresh + update * memory
        return squash(memory @ wo + w["gains.bias"]), memory

    return _around(slots, net)


def _around(slots: int, net: Callable[[Samples, Samples], Any]) -> Hop:
    """The transforms by numpy, the network by any runtime."""
    from antiphon_bench.workers.grumask import bands

    window = np.sqrt(np.hanning(961)[:-1]).astype(np.float32)
    means = bands()
    frame, waiting = np.zeros((slots, 960), np.float32), np.zeros((slots, 480), np.float32)
    memory = [np.zeros((slots, 192), np.float32)]

    def hop(x: Samples) -> Samples:
        frame[:, :480] = frame[:, 480:]
        frame[:, 480:] = x
        spectrum: NDArray[Any] = np.fft.rfft(frame * window, axis=1)
        gains, memory[0] = net(np.log1p(np.abs(spectrum)) @ means, memory[0])
        sound: NDArray[Any] = np.fft.irfft(spectrum * gains, 960, axis=1) * window
        y: Samples = waiting + sound[:, :480]
        waiting[:] = sound[:, 480:]
        return y

    return hop


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
