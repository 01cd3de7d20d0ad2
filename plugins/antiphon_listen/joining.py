"""Joins parts of a sound, with a crossfade between discontinuous ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from antiphon.api import Samples

CROSSFADE = 0.02
"""Crossfade in seconds, before the cut in both parts, so that the onset on it is whole."""
OPEN = 0.005
"""Fade-in in seconds if the first part does not begin with the sound."""


def play_parts(blocks: Iterable[Samples], parts: Sequence[tuple[int, int]], rate: int) -> Iterator[Samples]:
    """Parts (first frame, end frame; in order) of float32 `[channels, n]`, joined.

    `sum(end - start)` frames less what the sound lacks at its end.
    """
    joined = _follow(parts)
    size = round(CROSSFADE * rate)
    source = _Reader(blocks)
    tail: Samples | None = None
    for place, (start, end) in enumerate(joined):
        lead = 0 if place == 0 else min(size, start - source.at, 0 if tail is None else tail.shape[1])
        source.skip_to(start - lead)
        if tail is not None:
            intro = source.read(lead)
            yield _crossed(tail, intro, lead)
        last = place == len(joined) - 1
        keep = 0 if last else min(size, end - start, max(0, joined[place + 1][0] - end))
        left, opened = end - start - keep, 0
        while left > 0:
            piece = source.read(min(left, 1 << 15))
            if not piece.shape[1]:
                return
            if place == 0 and start > 0 and opened < round(OPEN * rate):
                piece = _faded_in(piece, opened, round(OPEN * rate))
            opened += piece.shape[1]
            left -= piece.shape[1]
            yield piece
        tail = source.read(keep) if keep else None


def _follow(parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Contiguous parts merged into one."""
    joined: list[tuple[int, int]] = []
    for start, end in parts:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        elif end > start:
            joined.append((start, end))
    return joined


def _crossed(tail: Samples, intro: Samples, size: int) -> Samples:
    """`tail`, with its last `size` frames crossfaded into `intro` at equal power."""
    out = tail.copy()
    size = min(size, intro.shape[1], tail.shape[1])
    if size:
        turn = np.linspace(0.0, np.pi / 2, size + 2)[1:-1].astype(np.float32)
        out[:, -size:] = tail[:, -size:] * np.cos(turn) + intro[:, :size] * np.sin(turn)
    return out


def _faded_in(piece: Samples, opened: int, size: int) -> Samples:
    gain = np.minimum(1.0, (opened + np.arange(piece.shape[1])) / size).astype(np.float32)
    return piece * gain


class _Reader:
    """Sequential reader of frames from a stream of blocks."""

    def __init__(self, blocks: Iterable[Samples]) -> None:
        self._blocks = iter(blocks)
        self._rest: Samples | None = None
        self.at = 0

    def read(self, frames: int) -> Samples:
        """Next frames, fewer at the end."""
        pieces: list[Samples] = []
        while frames > 0:
            if self._rest is None or not self._rest.shape[1]:
                self._rest = next(self._blocks, None)
                if self._rest is None:
                    break
            pieces.append(self._rest[:, :frames].copy())
            taken = pieces[-1].shape[1]
            self._rest = self._rest[:, taken:]
            frames -= taken
            self.at += taken
        return np.concatenate(pieces, axis=1) if pieces else np.zeros((1, 0), np.float32)

    def skip_to(self, frame: int) -> None:
        """Skips the frames before `frame`."""
        while self.at < frame and self.read(min(1 << 15, frame - self.at)).shape[1]:
            pass
