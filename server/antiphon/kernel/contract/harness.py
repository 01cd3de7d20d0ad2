"""Test host for one processor, also used by the check at load.

    out = run_processor(Louder(), StreamSpec(), audio, settings={"by": 6.0}, blocks=[64, 1, 191])

No network, no other node; the clock runs at 120 bpm. It enforces the contract: outputs hold NaN until they are filled,
inputs are read-only, and errors for which the real host would bypass a node are raised.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.parameter_cell import ParamCell, ParamCells
from antiphon.kernel.contract.params import Value
from antiphon.kernel.contract.ports import Port
from antiphon.kernel.contract.processor import IO, BlockTime, Processor
from antiphon.kernel.contract.runner import ProcessorRunner
from antiphon.kernel.errors import PluginError, UsageError
from antiphon.kernel.runtime.suggestion import instead

TEMPO = 120.0
"""Tempo of a run, in bpm; the clock begins at beat 0."""
Change = tuple[int, str, Value]
"""A change of a parameter: sample, name, new value."""


@dataclass(slots=True)
class Rendered:
    """Output of a processor run over samples.

    `events`: the events emitted; offsets count from the first frame of the run. `reports`: the last value of each
    `readonly` parameter that was reported.
    """

    audio: tuple[Samples, ...]  # float32 `[channels, frames]` of each audio or control output, in declared order
    events: list[Event] = field(default_factory=list)
    reports: dict[str, float] = field(default_factory=dict)


def run_processor(
    processor: Processor,
    spec: StreamSpec,
    audio: Samples | Mapping[str, Samples],
    settings: Mapping[str, Value] | None = None,
    events: Sequence[Change] = (),
    blocks: Iterable[int] | None = None,
) -> Samples:
    """Prepares a processor, plays sound through it, and returns its first audio output.

        out = run_processor(Louder(), StreamSpec(), audio, settings={"by": 6.0}, blocks=[64, 1, 191])

    It is stricter than the server: frames that are not filled, inputs that are written, and outputs that are replaced
    raise. For a processor with a worker it waits for every answer.

    Args:
        audio: float32 `[channels, frames]` for the first audio input, or such an array for each input by name. A
            processor without audio inputs takes zeros of the wanted length.
        events: Changes of parameters in the run, each `(sample, name, value)`.
        blocks: Sizes of the blocks in frames, 1 to `spec.block`, repeated until the sound ends; None is `spec.block`.

    Returns:
        float32 `[channels, frames]`, as many frames as came in; latency is not removed.
    """
    return render(processor, spec, audio, settings, events, blocks).audio[0]


def render(
    processor: Processor,
    spec: StreamSpec,
    audio: Samples | Mapping[str, Samples],
    settings: Mapping[str, Value] | None = None,
    events: Sequence[Change] = (),
    blocks: Iterable[int] | None = None,
    notes: Sequence[Event] = (),
) -> Rendered:
    """Runs a processor as `run_processor` does, and returns every output.

    `notes`: events that come in; offsets count from the first frame of the run.
    """
    cells = prepare(processor, spec, settings or {})
    inputs, frames = _inputs(processor, spec, audio)
    outputs = tuple(np.zeros((_channels(p, spec), frames), np.float32) for p in processor.outputs if p.signal)
    done = Rendered(outputs)
    runner = _StrictRunner(processor, spec.rate)
    waiting = sorted(events, key=lambda change: change[0])
    playing = sorted(notes, key=lambda note: note.offset)
    at = 0
    for size in cycle((spec.block,) if blocks is None else tuple(blocks)):
        if at >= frames:
            return done
        if not 1 <= size <= spec.block:
            raise UsageError(f"a block of {size} frames was asked for; 1 to {spec.block} are allowed")
        size = min(size, frames - at)
        while waiting and waiting[0][0] < at + size:
            sample, name, value = waiting.pop(0)
            if name not in cells:
                raise UsageError(f"there is no parameter {name!r}{instead(name, cells)}")
            cells.change(name, value, max(0, sample - at))
        cells.render(at, size)
        inside = [note.moved(-at) for note in playing if at <= note.offset < at + size]
        _run(runner, cells, inputs, outputs, done, at, size, inside)
        cells.settle(at + size)
        at += size
    return done


def prepare(processor: Processor, spec: StreamSpec, settings: Mapping[str, Value]) -> ParamCells:
    """Prepares a processor with values, for a caller of `process`. Returns its cells by name, for `IO.cells`."""
    params = {p.name: p for p in processor.params}
    cells = ParamCells()
    for name, value in settings.items():
        if name not in params:
            raise UsageError(f"there is no parameter {name!r}{instead(name, params)}")
        processor.settings[name] = params[name].check(value)
    for wanted, given, what in (
        (processor.rate, spec.rate, "rate"),
        (processor.block, spec.block, "block"),
        (processor.channels, spec.channels, "channels"),
    ):
        if wanted is not None and wanted != given:
            raise UsageError(f"this processor insists on {what} {wanted}; give it a StreamSpec that says so")
    for param in processor.params:
        first = processor.settings[param.name] if param.kind != "trigger" else False
        cells[param.name] = ParamCell(param, spec.rate, spec.block, first)
    ProcessorRunner(processor, spec.rate).prepare(spec)
    return cells


class _StrictRunner(ProcessorRunner):
    """Runner that raises for errors the server corrects silently."""

    def placed(self, given: Sequence[Samples], wanted: Sequence[Samples]) -> str:
        if any(mine is not place for mine, place in zip(given, wanted, strict=True)):
            return "process replaced io.audio_out; it must write into the arrays it is given"
        return ""


def _run(
    runner: ProcessorRunner,
    cells: Mapping[str, ParamCell],
    inputs: Sequence[Samples],
    outputs: Sequence[Samples],
    done: Rendered,
    at: int,
    frames: int,
    notes: list[Event],
) -> None:
    """Runs one block; `at` is its first frame in the run."""
    given = [np.full((out.shape[0], frames), np.nan, np.float32) for out in outputs]
    io = IO(
        [x[:, at : at + frames] for x in inputs],
        list(given),
        cells,
        BlockTime(at, at * TEMPO / 60.0 / runner.rate, TEMPO),
        frames,
        events_in=notes,
        reports=done.reports,
    )
    reason = runner.run(io, cells.values())
    if reason:
        raise PluginError(reason)
    for out, target in zip(given, outputs, strict=True):
        if not np.isfinite(out).all():
            raise PluginError("its output holds NaN or infinity; every frame of every output must be filled")
        target[:, at : at + frames] = out
    done.events += [event.moved(at) for event in io.events_out]


def _channels(port: Port, spec: StreamSpec) -> int:
    return spec.channels if port.channels is None else port.channels


def _inputs(
    processor: Processor, spec: StreamSpec, audio: Samples | Mapping[str, Samples]
) -> tuple[list[Samples], int]:
    """Returns the sound of each audio input, read-only, in its port's channels, and the number of frames."""
    ports = [p for p in processor.inputs if p.signal]
    if isinstance(audio, Mapping):
        named = dict(audio)
        unknown = set(named) - {p.name for p in ports}
        if unknown or not named:
            known = ", ".join(p.name for p in ports) or "none"
            raise UsageError(f"there is no audio input {', '.join(sorted(unknown))!r}; there are: {known}")
    else:
        named = {ports[0].name: audio} if ports else {"": audio}
    frames = max(x.shape[1] for x in named.values())
    inputs: list[Samples] = []
    for port in ports:
        x = np.zeros((_channels(port, spec), frames), np.float32)
        if port.name in named:
            y = np.atleast_2d(named[port.name])
            if x.shape[0] == 1 and y.shape[0] > 1:
                y = y.mean(axis=0, keepdims=True, dtype=np.float64)
            if y.shape[0] == 1:
                x[:, : y.shape[1]] = y
            else:
                both = min(x.shape[0], y.shape[0])
                x[:both, : y.shape[1]] = y[:both]
        x.flags.writeable = False
        inputs.append(x)
    return inputs, frames
