"""What the stage does with the graph's two ends: the performer's levels before and behind any patch."""

from __future__ import annotations

import math
from typing import Any

from antiphon.block import Samples, StreamSpec
from antiphon.ends import ENDS, IN_NUMBER, OUT_NUMBER, PARAMS, SILENCE
from antiphon.host import NodeHost
from antiphon.native import f32p, f64, i64, kernel
from antiphon.processor import IO, BlockTime, Processor

_MUTE, _GAIN = 1, 3
_NEPER = math.log(10.0) / 20.0
_OPEN = SILENCE + 1.0


@kernel
def levels_gain(x: f32p, xs: i64, y: f32p, ys: i64, decibels: f32p, channels: i64, frames: i64) -> None:
    """y ← x by so many dB; the last dB above `SILENCE` closes to nothing."""
    for n in range(frames):
        level = f64(decibels[n])
        g = math.exp(_NEPER * level)
        g = g * (level - SILENCE) if level < _OPEN else g
        g = 0.0 if level <= SILENCE else g
        for c in range(channels):
            y[c * ys + n] = x[c * xs + n] * g


class End(Processor):
    """A level in dB."""

    params = PARAMS

    def process(self, io: IO) -> None:
        x, y = io.audio_in[0], io.audio_out[0]
        levels_gain(x, x.strides[0] // 4, y, y.strides[0] // 4, io.curve("gain"), x.shape[0], io.frames)


class Levels:
    """hosts: the two ends by number. They outlive every plan."""

    def __init__(self, spec: StreamSpec) -> None:
        self.hosts: dict[int, NodeHost] = {}
        self._ios: dict[int, IO] = {}
        for name, (number, info) in ENDS.items():
            end = End()
            end.prepare(spec)
            host = self.hosts[number] = NodeHost(number, name, info, end, spec, {})
            self._ios[number] = IO((), (), host.by_name, BlockTime())

    def into(self, x: Samples, frames: int, time: BlockTime) -> None:
        self._run(IN_NUMBER, x, frames, time)

    def out(self, x: Samples, frames: int, time: BlockTime) -> None:
        self._run(OUT_NUMBER, x, frames, time)

    def state(self) -> dict[str, Any]:
        return {str(number): [cell.state() for cell in host.cells] for number, host in self.hosts.items()}

    def resume(self, cells: dict[str, Any]) -> None:
        for number, host in self.hosts.items():
            if str(number) in cells:
                host.resume([tuple(held) for held in cells[str(number)]])

    def _run(self, number: int, x: Samples, frames: int, time: BlockTime) -> None:
        """In place. Nothing is done where the level is as it was recorded: 0 dB, not muted."""
        host = self.hosts[number]
        if not host.active and host.cells[_GAIN].target == 0.0 and host.cells[_MUTE].target == 0.0:
            return
        io = self._ios[number]
        io.frames, io.base, io.time = frames, 0, time
        y = host.outs[0][:, :frames]
        io.audio_in, io.audio_out = [x], [y]
        host.run(io, watched=False)
        x[:] = y
