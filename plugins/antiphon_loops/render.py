"""Renderer of a piece of a given number of bars, by the processor on its own clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import IO, BlockTime, ParamError, PluginError, Samples, StreamSpec, UsageError, Value
from antiphon.api.backends.files import printable_path
from antiphon.api.backends.rendering import ParamCells, prepare_processor
from antiphon_loops.arrangement.arrange import roles_of
from antiphon_loops.processor import Loops

BLOCK = 1024
BPM = 120.0


class Piece:
    """A piece of a library's loops. `bars`: length in bars."""

    def __init__(
        self, library: Path, settings: Mapping[str, Value], rate: int, channels: int = 2, stems: Sequence[str] = ()
    ) -> None:
        """Checks the settings; bpm 0 is 120. `stems`: roles to be rendered separately, besides the sum.

        Raises UsageError: a parameter is unknown. Raises ParamError: a value is out of range.
        """
        self._values, self.bpm, self.bars = check_settings(settings)
        self._library, self._rate, self._channels = library, rate, channels
        self.frames = round(self.bars * 240.0 / self.bpm * rate)  # length in frames
        self.stems = tuple(stems)
        self.key: str | None = None  # key of what has sounded, None without one
        self.fit: float | None = None  # how well its loops go together, 0 to 1; None where that is not known
        self._used: dict[tuple[str, str], set[int]] = {}

    def used(self, role: str = "") -> tuple[str, ...]:
        """Loops that sounded, of one role or all, sorted by name, each with its bars: `a.wav (bars 1-8, 17)`."""
        bars: dict[str, set[int]] = {}
        for (name, played), at in self._used.items():
            if role in ("", played):
                bars.setdefault(name, set()).update(at)
        return tuple(f"{printable_path(name)} ({_ranges(at)})" for name, at in sorted(bars.items()))

    def blocks(self) -> Iterator[Samples]:
        """Sound in blocks, float32 `[channels * (1 + stems), n]`: the sum, then each stem. Valid until the next.

        Raises PluginError: the library has no loop for the settings.
        """
        rate, channels = self._rate, self._channels
        out = np.zeros((channels * (1 + len(self.stems)), BLOCK), np.float32)
        time = BlockTime(tempo=self.bpm)
        left = self.frames
        players = [self._player(role) for role in ("", *self.stems)]
        whole = players[0][0]
        for stem, _ in players[1:]:
            stem.share_material(whole)
        try:
            while left:
                n = min(BLOCK, left)
                time.beat = time.sample * self.bpm / (60.0 * rate)
                for place, (player, cells) in enumerate(players):
                    part = out[place * channels : (place + 1) * channels, :n]
                    player.process(IO((), (part,), cells, time, n))
                if whole.nothing:
                    asked = self._values.get("instruments") or "anything"
                    name = self._library.name[:80]
                    raise PluginError(f"no loop in {name!r} plays {asked}; analyse it to see what there is")
                # a bar is longer than a block: none is passed over
                for choice in whole.sounding:
                    self._used.setdefault((choice.loop.file, choice.role), set()).add(whole.bar)
                self.key, self.fit = whole.key, whole.fit
                yield out[:, :n]
                time.sample += n
                left -= n
        finally:
            for player, _ in players:
                player.close()

    def _player(self, role: str) -> tuple[Loops, ParamCells]:
        """Player of one role, or of all, and its parameters."""
        player = Loops()
        player.solo = role
        values = self._values | {"library": str(self._library.absolute()), "bpm": 0.0}
        cells = prepare_processor(player, StreamSpec(self._rate, BLOCK, self._channels), values)
        cells.render(0, BLOCK)
        return player, cells


def _ranges(bars: set[int]) -> str:
    """Bars counted from 0 as text counting from 1: "bars 1-8, 17"."""
    runs: list[list[int]] = []
    for bar in sorted(bars):
        if runs and bar == runs[-1][1] + 1:
            runs[-1][1] = bar
        else:
            runs.append([bar, bar])
    text = ", ".join(f"{a + 1}" if a == b else f"{a + 1}-{b + 1}" for a, b in runs)
    return f"bar {text}" if len(bars) == 1 else f"bars {text}"


def render(
    library: Path,
    settings: Mapping[str, Value],
    rate: int = 44100,
    channels: int = 2,
    progress: Callable[[int], None] | None = None,
) -> Samples:
    """Whole piece, float32 `[channels, frames]`, by parameters of `loops`; bpm 0 is 120.

    Raises UsageError: a parameter is unknown. Raises ParamError: a value is out of range. Raises PluginError: the
    library has no loop for the settings.
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


def check_settings(settings: Mapping[str, Value]) -> tuple[dict[str, Any], float, int]:
    """Checked values, bpm and bars. Texts are checked here as well, before minutes of analysis.

    Raises UsageError: a parameter is unknown, or `instruments` names what is none. Raises ParamError: a value is out of
    range.
    """
    params = {p.name: p for p in Loops.params if not p.readonly}
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in params:
            raise UsageError(f"loops has no parameter {name!r}; it has: {', '.join(params)}")
        values[name] = params[name].check(value)
    roles_of(str(values.get("instruments", "")))
    bpm = float(values.get("bpm", 0.0)) or BPM
    if not 20.0 <= bpm <= 300.0:
        raise ParamError(f"bpm takes 20 to 300, not {bpm:g}")
    return values, bpm, int(values.get("bars", params["bars"].default))
