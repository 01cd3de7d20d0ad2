"""Taste elicitation: collages of the most informative sounds, liked or not.

The question is the track whose answer gives the most information about the preferences of all tracks: the one with the
largest posterior covariances (the A-optimal design of Bayesian regression: Chaloner and Verdinelli, 1995).
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError
from antiphon.api.backends.files import Decoder
from antiphon_library.excerpt import begins
from antiphon_library.taste.choosing import F64, NOISE, TrackKernel
from antiphon_library.taste_tables import TrackRow

CANDIDATES = 300
"""Maximum candidate tracks of a question, drawn at random."""
VOICES, PIECE, JOIN = 3, 4.0, 0.02
"""Tracks per collage, seconds per track, seconds of their crossfade."""
RATE = 44100


def most_informative_track(kernel: TrackKernel, asked: Sequence[int], left_out: Sequence[int] = ()) -> int | None:
    """Row of the most informative track, by the kernel of all tracks; None once all were asked about."""
    size = len(kernel.points)
    free = np.setdiff1d(np.arange(size), np.array([*asked, *left_out], np.int64))
    if not len(free):
        return None
    rng = np.random.default_rng([0, len(asked)])
    chosen = np.sort(rng.permutation(free)[:CANDIDATES])
    between: F64 = kernel.columns([int(n) for n in chosen])
    if asked:
        known = kernel.columns(list(asked))
        inner = known[list(asked)] + kernel.content * NOISE * np.eye(len(asked))
        between = between - known @ np.linalg.solve(inner, known[chosen].T)
    own = between[chosen, np.arange(len(chosen))]
    gain = (between**2).sum(axis=0) / (np.maximum(own, 0.0) + kernel.content * NOISE)
    return int(chosen[int(np.argmax(gain))])


def voices(kernel: TrackKernel, track: int, left_out: Sequence[int] = ()) -> list[int]:
    """Tracks of a collage: the questioned one, and its most similar ones."""
    alike = kernel.columns([track])[:, 0]
    alike[list(left_out)] = -np.inf
    alike[track] = np.inf
    most_alike = np.argsort(-alike, kind="stable")[:VOICES]
    return [int(n) for n in most_alike if alike[n] > -np.inf]


def collage(rows: Sequence[tuple[TrackRow, dict[str, object]]]) -> NDArray[np.float32]:
    """Returns a collage of short excerpts of tracks, each from a downbeat if known.

    It is float32 `[2, frames]` at `RATE`, its pieces at equal levels with crossfades; peaks may exceed full scale.
    It is empty if no file can be read.
    """
    fade = round(JOIN * RATE)
    ramp = np.sqrt(np.linspace(0.0, 1.0, fade, dtype=np.float32))
    out = np.zeros((2, 0), np.float32)
    for row, values in rows:
        start = begins(row.duration, values)
        downs = [time for time in _times(values.get("downbeats")) if time >= start]
        piece = _piece(row.path, downs[0] if downs and downs[0] < start + PIECE else start)
        if piece.shape[1] < 2 * fade:
            continue
        level = float(np.sqrt((piece**2).mean()))
        piece *= min(0.12 / (level + 1e-9), 8.0)
        piece[:, :fade] *= ramp
        piece[:, -fade:] *= ramp[::-1]
        joined = np.zeros((2, max(0, out.shape[1] - fade) + piece.shape[1]), np.float32)
        joined[:, : out.shape[1]] = out
        joined[:, -piece.shape[1] :] += piece
        out = joined
    return out


def _times(value: object) -> list[float]:
    return [float(time) for time in value] if isinstance(value, list) else []


def _piece(path: bytes, start: float, seconds: float = PIECE) -> NDArray[np.float32]:
    """Excerpt of a file, two channels at `RATE`; empty if it cannot be read."""
    pieces, at, first = [], 0, round(start * RATE)
    last = first + round(seconds * RATE)
    try:
        with Decoder(Path(os.fsdecode(path)), rate=RATE) as decoder:
            for block in decoder.blocks():
                inside = block[:, max(0, first - at) : max(0, last - at)]
                pieces.append(np.array(inside[:2] if len(inside) > 1 else np.repeat(inside, 2, axis=0), np.float32))
                at += block.shape[1]
                if at >= last:
                    break
    except FileError:
        return np.zeros((2, 0), np.float32)
    sound = np.concatenate(pieces, axis=1) if pieces else np.zeros((2, 0), np.float32)
    # a file may be shorter by now than when it was added
    return sound if sound.shape[1] or start == 0.0 else _piece(path, 0.0, seconds)
