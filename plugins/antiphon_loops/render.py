"""A piece of so many bars as a file: the same processor, on a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.block import Samples, StreamSpec
from antiphon.errors import ParamError, PluginError, UsageError
from antiphon.harness import prepare
from antiphon.params import Value
from antiphon.processor import IO, BlockTime
from antiphon_loops.processor import Loops

BLOCK = 1024
BPM = 120.0


def frames_of(settings: Mapping[str, Value], rate: int) -> int:
    """How long the piece is: its bars of four at its tempo."""
    _, bpm, bars = _checked(settings)
    return round(bars * 240.0 / bpm * rate)


def blocks(library: Path, settings: Mapping[str, Value], rate: int, channels: int = 2) -> Iterator[Samples]:
    """The piece block by block, float32 `[channels, n]`; each holds until the next is asked for.

    settings: parameters by name; bpm 0 is 120.  Raises `PluginError` for a library without loops for it.
    """
    values, bpm, _ = _checked(settings)
    values |= {"library": str(library.absolute()), "bpm": 0.0}
    processor = Loops()
    cells = prepare(processor, StreamSpec(rate, BLOCK, channels), values)
    for cell in cells.values():
        if cell.param.kind not in ("text", "file"):
            cell.render(0, BLOCK)
    out = np.zeros((channels, BLOCK), np.float32)
    time = BlockTime(tempo=bpm)
    left = frames_of(settings, rate)
    try:
        while left:
            n = min(BLOCK, left)
            time.beat = time.sample * bpm / (60.0 * rate)
            processor.process(IO((), (out[:, :n],), cells, time, n))
            if processor.nothing:
                asked = values.get("instruments") or "anything"
                raise PluginError(f"no loop in {library.name[:80]!r} plays {asked}; analyse it to see what there is")
            yield out[:, :n]
            time.sample += n
            left -= n
    finally:
        processor.close()


def render(
    library: Path,
    settings: Mapping[str, Value],
    rate: int = 44100,
    channels: int = 2,
    progress: Callable[[int], None] | None = None,
) -> Samples:
    """The whole piece, float32 `[channels, frames]`. progress: told the frames made so far."""
    out = np.zeros((channels, frames_of(settings, rate)), np.float32)
    at = 0
    for block in blocks(library, settings, rate, channels):
        out[:, at : at + block.shape[1]] = block
        at += block.shape[1]
        if progress is not None:
            progress(at)
    return out


def _checked(settings: Mapping[str, Value]) -> tuple[dict[str, Any], float, int]:
    """The values as the parameters keep them, bpm and bars."""
    params = {p.name: p for p in Loops.params if not p.readonly}
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in params:
            raise UsageError(f"loops has no parameter {name!r}; it has: {', '.join(params)}")
        values[name] = params[name].check(value)
    bpm = float(values.get("bpm", 0.0)) or BPM
    if not 20.0 <= bpm <= 300.0:
        raise ParamError(f"bpm takes 20 to 300, not {bpm:g}")
    return values, bpm, int(values.get("bars", params["bars"].default))
