"""`antiphon.Chain`: processors in series on a stream, block by block; `antiphon.Stream`: the notes of a stream."""

from __future__ import annotations

import copy
import math
import sys
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from antiphon.files.temporary import TemporaryFolder, keeping
from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.params import Param, Value, suggest_parameters
from antiphon.kernel.contract.processor import BlockTime
from antiphon.kernel.errors import FileError, MissingAttribute, ParamError, PluginError, UsageError
from antiphon.kernel.graph.compiler import close_hosts, compile_plan
from antiphon.kernel.graph.graph import NodeSpec, in_series, known_type
from antiphon.kernel.graph.node_host import NodeHost
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.runtime.settings import MAX_BLOCK, MIN_BLOCK
from antiphon.kernel.runtime.shortening import count_of, short_repr
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.runtime.terms import path_text
from antiphon.operations.file_tasks import play_with
from antiphon.operations.given import MAX_CHANNELS, Note, copy_samples, is_path, rate_of
from antiphon.operations.python import every_plugin
from antiphon.operations.wording import word_refusals

TEMPO = 120.0
"""Tempo in bpm for processors that follow the beat."""
_FLOAT, _ARRAY = np.dtype(np.float32), np.ndarray
_HELD = 256
"""Block size in frames that a chain is prepared for first."""
MAX_TRIES = 8
"""Number of failures after which a processor passes its input for good."""


class Model:
    """A custom network as a step of a chain, run by the processor `model` in a separate process.

        with antiphon.Chain("denoise", antiphon.Model("x.onnx", hop=480), rate=48000) as chain:
            chain["model"].wet = 0.5

    Args:
        model: Path of an ONNX or a TorchScript file; or a torch module that maps float32 `[1, channels, frames]` to the
            same shape, keeps its state in buffers, and is accepted by `torch.jit.script`.
        hop: Frames computed at a time; 0 for the file's own, or at least 512 if it has none.
        channels: Channels of a torch module; it processes the chain's channels in groups of this size.
        **params: Further parameters of `model`, such as `rate=44100`.

    Raises:
        AntiphonError: There is no such file, or torch cannot script the module. A chain refuses models that it cannot
            run.
    """

    def __init__(self, model: Any, *, hop: int = 0, channels: int = 1, **params: Any) -> None:
        if is_path(model):
            path = Path(model).absolute()
            if not path.is_file():
                raise FileError(f"cannot read {path_text(Path(model))}: there is no such file")
        elif hasattr(model, "state_dict") and "torch" in sys.modules:
            folder = _write_torchscript(model, channels)
            path = folder.path / "model.ts"
            weakref.finalize(self, folder.close)
        else:
            raise UsageError(
                f"a model is a path of an ONNX or a TorchScript file, or a torch module, not {short_repr(model)}"
            )
        self.params: Mapping[str, Any] = {"file": str(path), "hop": hop, **params}


def _write_torchscript(module: Any, channels: int) -> TemporaryFolder:
    """Writes a TorchScript file of a module, which stays unchanged; returns its folder."""
    torch: Any = sys.modules["torch"]  # which the module was made by
    held = copy.deepcopy(module).cpu().eval()
    if channels != 1 and not hasattr(held, "forward_params"):
        held.register_buffer("forward_params", torch.tensor([channels, 1, channels, 1]))
    try:
        script = held if isinstance(held, torch.jit.ScriptModule) else torch.jit.script(held)
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UsageError(
            f"torch cannot script {type(module).__name__}: {reason}; give it as torch.jit.trace(module, example), or "
            "as a file"
        ) from None
    folder = TemporaryFolder()
    with keeping(), open(folder.path / "model.ts", "wb") as file:
        torch.jit.save(script, file)
    return folder


Step = str | tuple[str, Mapping[str, Any]] | Model
"""A processor by name, or a pair of the name and values of its parameters; or a model."""


class ChainNode:
    """One processor of a chain: its parameters are attributes, smoothed as in a live set.

    `dir(node)` names them; `node.params` has their ranges and units.
    """

    _chain: Chain
    _host: NodeHost

    def __init__(self, chain: Chain, host: NodeHost) -> None:
        object.__setattr__(self, "_chain", chain)
        object.__setattr__(self, "_host", host)

    @property
    def params(self) -> dict[str, Param]:
        """Parameters by name: kind, range, unit, default."""
        return {param.name: param for param in self._host.info.cells}

    def __getattr__(self, name: str) -> Value:
        return self._chain._value(self._host, name)

    def __setattr__(self, name: str, value: object) -> None:
        self._chain._set(self._host, name, value)

    def __dir__(self) -> list[str]:
        return ["params", *self.params]

    def __repr__(self) -> str:
        return f"<{self._host.name}: {self._host.info.doc.split('.')[0]}>"


class Chain:
    """Processors in series on a stream, with the samples of `antiphon render` for any block sizes.

        chain = Chain(("denoise", {"latency": "low"}), "compressor", rate=48000, channels=2)
        out = chain.process(block)          # float32 in the shape of block
        chain["compressor"].threshold = -20

    A chain may be used by one thread at a time. It is fastest for blocks as long as the first. It is a context manager;
    `close` releases workers. `plan`: the plan that runs it. `latency`: latency of the sound in frames.

    Args:
        steps: Names of processors, pairs of a name and values of its parameters, or `Model`s. The second of a type is
            named "gain2".
        rate: Frames a second.
        channels: 1 to 64.

    Raises:
        AntiphonError: There is no such processor, a value is not allowed, or a processor does not change sound.
    """

    @word_refusals
    def __init__(self, *steps: Step, rate: float, channels: int = 1) -> None:
        if not steps:
            raise UsageError('a chain takes the names of processors: antiphon.Chain("compressor", rate=48000)')
        if isinstance(channels, bool) or not isinstance(channels, int) or not 1 <= channels <= MAX_CHANNELS:
            raise UsageError(f"channels takes 1 to {MAX_CHANNELS}, not {channels!r}")
        known = every_plugin()
        self.rate, self.channels = rate_of(rate, 'antiphon.Chain("compressor", rate=48000)'), channels
        self._steps = steps  # the file of a model is there as long as its chain
        nodes = tuple(_nodes(steps))
        for node in nodes:
            info = known_type(node.type, known.catalog)
            gives = info.first("audio", "out") is not None or self._gives_notes
            if info.first("audio", "in") is None or not gives:
                raise UsageError(f"{node.type} changes no sound, which a chain is made for")
        self._graph = in_series(nodes, known.catalog)
        for node in nodes:
            known.check(node.type)
        play_with("auto", "auto", known, self._graph, lambda sentence: None)
        self._time = BlockTime()
        self._time.tempo = TEMPO
        self.plan = self._prepared(_HELD)
        self._fixed = False
        self._usual: tuple[int, ...] = ()
        self._closed = False
        self._reported: dict[tuple[int, int], float] = {}
        self._tries: dict[int, int] = {}

    _gives_notes = False

    @property
    def latency(self) -> int:
        """Latency of the sound in frames."""
        return self.plan.latency

    def process(self, block: Any) -> NDArray[np.float32]:
        """Processes the next block of the stream.

        `block`: floats `[channels, frames]`, or `[frames]` with one channel; of any length, also 1 or 0. Returns a new
        float32 array of the same shape. Raises UsageError: the shape is wrong, or a sample is not finite; the stream
        stays as before the block.
        """
        if type(block) is _ARRAY and block.shape == self._usual and block.dtype is _FLOAT:
            _check(block)
            plan = self.plan
            plan.input[...] = block
            whole = self._run(plan, plan.spec.block)
            return (whole if block.ndim == 2 else whole[0]).copy()
        if self._closed:
            raise UsageError("this chain is closed; make another with antiphon.Chain")
        x = block if type(block) is np.ndarray and block.dtype == np.float32 else _floats(block)
        flat = x.ndim == 1
        if x.ndim not in (1, 2) or (1 if flat else x.shape[0]) != self.channels:
            raise UsageError(
                f"this chain takes blocks of {count_of(self.channels, 'channel')}, [channels, frames], and the block "
                f"has the shape {x.shape}"
            )
        _check(x)
        frames = x.shape[-1]
        if not self._fixed and frames:
            self._set_block_length(frames)
        y: NDArray[np.float32] = np.empty(x.shape, np.float32)
        plan, most = self.plan, self.plan.spec.block
        if frames == most:
            self._usual = x.shape
        for first in range(0, frames, most):
            part = x[..., first : first + most]
            count = part.shape[-1]
            plan.input[:, :count] = part
            np.copyto((y if not flat else y[None])[:, first : first + count], self._run(plan, count))
        return y

    def __call__(self, sound: Any, rate: float | None = None) -> NDArray[np.float32]:
        """Processes a whole sound from the initial state; returns the same length, with the latency removed.

        `sound`: `[frames]` or `[channels, frames]`. `rate`: optional; must be the chain's.
        """
        if rate is not None and rate != self.rate:
            raise UsageError(
                f"this chain runs at {self.rate} Hz, and the sound at {rate:g}; make a chain for that rate"
            )
        x = copy_samples(sound)
        if len(x) != self.channels:
            raise UsageError(f"this chain takes {count_of(self.channels, 'channel')}, and the sound has {len(x)}")
        self.reset()
        y = self.process(np.concatenate([x, np.zeros((len(x), self.latency), np.float32)], axis=1))[:, self.latency :]
        self.reset()
        return y[0] if np.ndim(sound) == 1 else y

    def reset(self) -> None:
        """Resets the stream: the next block is a first one. Values of parameters are kept."""
        self.plan.clear()
        self._time.sample, self._time.beat = 0, 0.0

    def close(self) -> None:
        """Releases workers and memory; the chain cannot be used afterwards. It may be called twice."""
        self._closed, self._usual = True, ()
        close_hosts(self.plan.hosts.values(), {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> ChainNode:
        for host in self.plan.hosts.values():
            if host.name == name:
                return ChainNode(self, host)
        names = [node.name for node in self._graph.nodes]
        raise UsageError(f"this chain has no {name!r}{instead(str(name), names)}")

    def __iter__(self) -> Iterator[ChainNode]:
        return (self[node.name] for node in self._graph.nodes)

    def __len__(self) -> int:
        return len(self._graph.nodes)

    def __repr__(self) -> str:
        names = ", ".join(node.name for node in self._graph.nodes)
        channels, late = count_of(self.channels, "channel"), count_of(self.latency, "frame")
        return f"<chain of {names} at {self.rate} Hz, {channels}, {late} late>"

    def _repr_html_(self) -> str:
        """Picture for a notebook: the nodes in a row."""
        from antiphon.operations import result

        return result.row_html((host.name, host.info.doc) for host in self.plan.hosts.values())

    def _run(self, plan: Plan, frames: int) -> Samples:
        time = self._time
        y = plan.run(frames, time)
        if plan.failures:
            failure, failed = plan.failures[0], {failure.number for failure in plan.failures}
            plan.failures.clear()
            for number in failed:
                self._tries[number] = self._tries.get(number, 0) + 1
                if self._tries[number] <= MAX_TRIES:
                    plan.hosts[number].reset()
            raise PluginError(f"{failure.name} failed: {failure.reason}")
        time.sample += frames
        time.beat += frames * time.tempo / (60.0 * self.rate)
        return y

    def _set_block_length(self, frames: int) -> None:
        """Prepares for blocks of that length, which machine code then processes as a whole.

        A chain that would be later or earlier for them stays as it is, as one with latency does for shorter blocks,
        whose networks would answer later: latency and samples are those from the start.
        """
        self._fixed = True
        if frames < _HELD and self.plan.latency:
            return
        if MIN_BLOCK <= frames <= MAX_BLOCK and frames != self.plan.spec.block and not self._time.sample:
            made, old = self._prepared(frames), self.plan
            self.plan = made if made.latency == old.latency else old
            close_hosts((old if self.plan is made else made).hosts.values(), {})

    def _prepared(self, block: int) -> Plan:
        known = every_plugin()
        ids = {node.name: number for number, node in enumerate(self._graph.nodes, 1)}
        return compile_plan(self._graph, known.catalog, known.make, StreamSpec(self.rate, block, self.channels), ids)

    def _value(self, host: NodeHost, name: str) -> Value:
        cell = host.by_name.get(name)
        if cell is None:
            raise MissingAttribute(
                f"{host.info.type} has no parameter {name!r}{suggest_parameters(name, host.info.cells)}"
            )
        for number, place, value in self.plan.reports():
            self._reported[number, place] = value
        given = self._graph.node(host.name).values
        place = host.cells.index(cell)
        return self._reported.get((host.number, place), given.get(name, cell.param.default))

    def _set(self, host: NodeHost, name: str, value: object) -> None:
        place = next((n for n, param in enumerate(host.info.cells) if param.name == name), None)
        if place is None:
            raise ParamError(f"{host.info.type} has no parameter {name!r}{suggest_parameters(name, host.info.cells)}")
        param = host.info.cells[place]
        checked = param.typed(value)
        if param.restart or param.kind in ("text", "file"):
            raise ParamError(
                f"{name} of {host.info.type} is set when a chain is made: "
                f'antiphon.Chain(("{host.info.type}", {{"{name}": {checked!r}}}), …)'
            )
        host.post(place, 0, param.encode(checked), 0.0)
        if param.kind != "trigger":
            self._graph = replace(
                self._graph,
                nodes=tuple(
                    replace(node, values={**node.values, name: checked}) if node.name == host.name else node
                    for node in self._graph.nodes
                ),
            )


def _check(block: NDArray[Any]) -> None:
    # a product of its own is much quicker than a look at every sample, and too large for floats that are very loud
    if not math.isfinite(np.vdot(block, block)) and not np.isfinite(block).all():
        raise UsageError("the block holds NaN or infinity; mend it, as by numpy.nan_to_num")


def _floats(block: Any) -> NDArray[Any]:
    try:
        x = np.asarray(block)
    except (ValueError, TypeError):
        raise UsageError(f"a block is an array [frames] or [channels, frames], not {short_repr(block)}") from None
    if x.dtype.kind not in "fiu":
        raise UsageError(f"a block holds floats, and this one holds {x.dtype} values")
    if x.dtype.kind in "iu":
        return copy_samples(x) if x.size else x.astype(np.float32)
    return x


def _nodes(steps: tuple[Step, ...]) -> Iterator[NodeSpec]:
    counts: dict[str, int] = {}
    known = every_plugin().catalog
    for step in steps:
        if isinstance(step, str):
            type_, values = step, dict[str, Any]()
        elif isinstance(step, Model):
            type_, values = "model", dict(step.params)
        else:
            try:
                type_, values = step[0], dict(step[1])
                if not isinstance(type_, str):
                    raise TypeError
            except (TypeError, ValueError, LookupError):
                raise UsageError(
                    f"a chain takes names, or pairs of a name and values, not {short_repr(step)}"
                ) from None
        counts[type_] = counts.get(type_, 0) + 1
        name = type_ if counts[type_] == 1 else f"{type_}{counts[type_]}"
        info = known_type(type_, known)
        for param in values:
            if param not in info.by_name:
                raise ParamError(f"{type_} has no parameter {param!r}{suggest_parameters(param, info.cells)}")
        checked = {param: info.by_name[param].typed(value) for param, value in values.items()}
        yield NodeSpec(name, known.varied(type_, values), checked)


class Stream(Chain):
    """Extracts notes from a stream of sound, by `hum` or another processor with note output.

        stream = Stream("hum", rate=48000)
        for note in stream.process(block): …

    `sounding`: notes that have begun but not ended; their `end` is infinite.
    """

    _gives_notes = True

    def __init__(self, name: str, rate: float, channels: int = 1, **params: Any) -> None:
        super().__init__((name, params), rate=rate, channels=channels)
        if self._info.first("events", "out") is None:
            raise UsageError(f"{name} gives no notes; antiphon.Chain takes what changes sound")
        self.sounding: list[Note] = []
        self._ended: list[Note] = []

    @property
    def _info(self) -> ProcessorInfo:
        return next(iter(self.plan.hosts.values())).info

    def process(self, block: Any) -> list[Note]:  # type: ignore[override]
        """Processes the next block; returns the notes that ended in it, with times in seconds of the stream."""
        super().process(block)
        ended, self._ended = self._ended, []
        return ended

    def __call__(self, sound: Any, rate: float | None = None) -> list[Note]:  # type: ignore[override]
        """Returns the notes of a whole sound, from the initial state; a note that still sounds ends with the sound."""
        x = copy_samples(sound)
        self.reset()
        silence = np.zeros((len(x), self.latency + self.rate), np.float32)
        notes = self.process(np.concatenate([x, silence], axis=1))
        end = x.shape[1] / self.rate
        notes += [replace(note, end=max(end, note.start)) for note in self.sounding]
        self.reset()
        return sorted(notes)

    def __repr__(self) -> str:
        return super().__repr__().replace("<chain of", "<notes of", 1)

    def reset(self) -> None:
        """Resets the stream."""
        super().reset()
        self.sounding.clear()
        self._ended.clear()

    def _run(self, plan: Plan, frames: int) -> Samples:
        first = self._time.sample
        y = super()._run(plan, frames)
        for _, events in plan.emitted_events(1):
            for event in events:
                at = max(0, first + event.offset - self.latency) / self.rate
                if event.kind in ("on", "off"):
                    self._take(int(event.number), float(event.value), int(event.channel), at, on=event.kind == "on")
        return y

    def _take(self, pitch: int, velocity: float, channel: int, at: float, *, on: bool) -> None:
        for note in [note for note in self.sounding if (note.pitch, note.channel) == (pitch, channel)]:
            self.sounding.remove(note)
            self._ended.append(replace(note, end=at))
        if on and velocity > 0.0:
            self.sounding.append(Note(at, math.inf, pitch, velocity, channel))
