"""Runs a denoiser block by block, without a host: prepared anew, or one that is prepared already."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from antiphon.api import IO, BlockTime, Processor, StreamSpec, Value
from antiphon.api.backends.rendering import ParamCells
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon_denoise.processor import Denoise

F32 = NDArray[np.float32]
Change = tuple[int, str, Value]


def run(
    processor: Processor,
    sound: F32,
    spec: StreamSpec,
    changes: Iterable[Change] = (),
    blocks: Iterable[int] = (),
    first: Mapping[str, Value] | None = None,
) -> F32:
    """What a prepared processor makes of `sound` `[channels, frames]`, its latency still in.

    changes: (sample, parameter, value), in order. blocks: the sizes of the first blocks; then `spec.block`.
    first: values at the start; those that take a restart were to be set before `prepare`.
    """
    given = {**processor.settings, **(first or {})}
    cells = ParamCells()
    for param in processor.params:
        first_value = given[param.name] if param.kind != "trigger" else None
        cells[param.name] = ParamCell(param, spec.rate, spec.block, first_value)
    out = np.zeros_like(sound)
    waiting = list(changes)
    sizes = iter(blocks)
    at, frames = 0, sound.shape[1]
    while at < frames:
        count = min(next(sizes, spec.block), frames - at)
        while waiting and waiting[0][0] < at + count:
            when, name, value = waiting.pop(0)
            cells.change(name, value, max(0, when - at))
        cells.render(at, count)
        io = IO([sound[:, at : at + count]], [out[:, at : at + count]], cells, BlockTime(at), count)
        processor.process(io)
        at += count
        cells.settle(at)
    return out


def prepared(
    mode: str = "gate", rate: int = 48000, block: int = 512, channels: int = 1, latency: str = "normal"
) -> tuple[Denoise, StreamSpec]:
    processor, spec = Denoise(), StreamSpec(rate, block, channels)
    processor.settings.update(mode=mode, latency=latency)
    processor.prepare(spec)
    return processor, spec


def through(
    sound: F32,
    mode: str = "gate",
    rate: int = 48000,
    changes: Iterable[Change] = (),
    blocks: Iterable[int] = (),
    block: int = 512,
    latency: str = "normal",
    **first: Value,
) -> F32:
    """The sound through a fresh denoiser, latency taken out, same length."""
    processor, spec = prepared(mode, rate, block, len(sound), latency)
    lag = processor.latency
    padded = np.concatenate([sound, np.zeros((len(sound), lag), np.float32)], axis=1)
    try:
        return run(processor, padded, spec, changes, blocks, first)[:, lag:]
    finally:
        processor.close()
