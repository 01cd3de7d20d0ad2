"""Renders a piece of a given number of bars, by the processor on a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import IO, BlockTime, ParamError, PluginError, Samples, StreamSpec, UsageError, Value
from antiphon.api.jobs import prepare_processor
from antiphon_loops.processor import Loops

BLOCK = 1024
BPM = 120.0


class Piece:
    """A piece of a library's loops.

    Attributes:
        bars: Length in bars.
        bpm: Tempo.
        frames: Length in frames.
    """

    def __init__(self, library: Path, settings: Mapping[str, Value], rate: int, channels: int = 2) -> None:
        """Checks the settings.

        Args:
            library: Folder of loops.
            settings: Parameters of `loops` by name; bpm 0 is 120.
            rate: Frames per second.
            channels: 1 or 2.

        Raises:
            UsageError: A parameter is unknown.
            ParamError: A value is out of range.
        """
        self._values, self.bpm, self.bars = _checked(settings)
        self._library, self._rate, self._channels = library, rate, channels
        self.frames = round(self.bars * 240.0 / self.bpm * rate)
        self._used: set[str] = set()

    @property
    def used(self) -> tuple[str, ...]:
        """Names of the loops that have sounded, sorted."""
        return tuple(sorted(self._used))

    def blocks(self) -> Iterator[Samples]:
        """The sound as blocks, float32 `[channels, n]`; each is valid until the next.

        Raises:
            PluginError: The library has no loop for the settings.
        """
        rate, channels = self._rate, self._channels
        values = self._values | {"library": str(self._library.absolute()), "bpm": 0.0}
        processor = Loops()
        cells = prepare_processor(processor, StreamSpec(rate, BLOCK, channels), values)
        for cell in cells.values():
            if cell.param.kind not in ("text", "file"):
                cell.render(0, BLOCK)
        out = np.zeros((channels, BLOCK), np.float32)
        time = BlockTime(tempo=self.bpm)
        left = self.frames
        try:
            while left:
                n = min(BLOCK, left)
                time.beat = time.sample * self.bpm / (60.0 * rate)
                processor.process(IO((), (out[:, :n],), cells, time, n))
                if processor.nothing:
                    asked = values.get("instruments") or "anything"
                    name = self._library.name[:80]
                    raise PluginError(f"no loop in {name!r} plays {asked}; analyse it to see what there is")
                # a bar is longer than a block: none is passed over
                self._used.update(loop.file for loop in processor.sounding)
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
    """The whole piece, float32 `[channels, frames]`.

    Args:
        library: Folder of loops.
        settings: Parameters of `loops` by name; bpm 0 is 120.
        rate: Frames per second.
        channels: 1 or 2.
        progress: Called with the number of frames done.

    Raises:
        UsageError: A parameter is unknown.
        ParamError: A value is out of range.
        PluginError: The library has no loop for the settings.
    """
    piece = Piece(library, settings, rate, channels)
    out = np.zeros((channels, piece.frames), np.float32)
    at = 0
    for block in piece.blocks():
        out[:, at : at + block.shape[1]] = block
        at += block.shape[1]
        if progress is not None:
            progress(at)
    return out


def _checked(settings: Mapping[str, Value]) -> tuple[dict[str, Any], float, int]:
    """The checked values, bpm and bars."""
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
