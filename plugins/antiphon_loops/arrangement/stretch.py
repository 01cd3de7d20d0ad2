"""Loop stretching to a tempo, key and loudness, off the block path.

Signalsmith Stretch (Geraint Luff, MIT; python-stretch) stretches and shifts pitched loops. It softens transients, so
drum loops are sliced at their onsets, and the slices moved unchanged.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import F32
from antiphon.api.backends.analysis import ONSET_RISE, ONSETS_APART, level_rises, listening_mono, piece_frames
from antiphon_loops.analysis.loudness import true_peak

_AROUND = 0.4
"""Context in seconds of the circle stretched before and after the loop, so that its ends meet."""
_LEAD = 0.003
"""Crossfade in seconds before an onset from one slice to the next."""
_SEAM = 0.004
_BEHIND = range(2, 11)
"""Look-back in pieces that an onset exceeds: 4 to 20 ms."""


def fit_loop(sound: F32, frames: int, rate: int, shift: int = 0, struck: bool = False) -> F32:
    """Loop, float32 `[2, n]`, as `frames` circular frames, `shift` semitones higher.

    struck: slices it at its onsets, unless it is shifted.
    """
    given = sound.shape[1]
    if shift == 0 and abs(given - frames) <= 2:
        return _cut(sound, frames)
    places = onsets(sound, rate) if struck and shift == 0 else []
    if len(places) > 1:
        return _sliced(sound, frames, rate, places)
    return _stretched(sound, frames, rate, shift)


def _cut(sound: F32, frames: int) -> F32:
    out = np.zeros((sound.shape[0], frames), np.float32)
    n = min(frames, sound.shape[1])
    out[:, :n] = sound[:, :n]
    return out


def _stretched(sound: F32, frames: int, rate: int, shift: int) -> F32:
    from python_stretch.Signalsmith import Stretch

    given = sound.shape[1]
    speed = given / frames
    # whole output frames for the context before
    ahead = max(1, round(_AROUND * rate / speed))
    before = round(ahead * speed)
    places = np.arange(-before, given + before)
    stretch = Stretch(1)
    stretch.preset(sound.shape[0], float(rate))
    stretch.setTimeFactor(speed)
    stretch.setTransposeSemitones(float(shift), 8000.0 / rate)
    out = np.asarray(stretch.process(np.ascontiguousarray(np.take(sound, places, axis=1, mode="wrap"))), np.float32)
    start = round(before / speed)
    output = np.zeros((sound.shape[0], frames), np.float32)
    piece = out[:, start : start + frames]
    output[:, : piece.shape[1]] = piece
    # crossfades the sound after the end into the beginning, to close the loop
    seam = min(round(_SEAM * rate), start, frames)
    fade = np.linspace(0.0, 1.0, seam, dtype=np.float32)
    output[:, frames - seam :] = output[:, frames - seam :] * (1 - fade) + out[:, start - seam : start] * fade
    return output


def onsets(sound: F32, rate: int) -> list[int]:
    """Onset frames: where the level of 2 ms pieces rises over the preceding ones."""
    step = piece_frames(rate)
    count = sound.shape[1] // step
    if count < 8:
        return []
    rise = level_rises(listening_mono(sound)[: count * step], rate, _BEHIND, circular=True)
    frames: list[int] = []
    for n in np.flatnonzero((rise > ONSET_RISE) & (rise >= np.roll(rise, 1)) & (rise > np.roll(rise, -1))):
        if not frames or n * step - frames[-1] > ONSETS_APART * rate:
            frames.append(int(n) * step)
    return frames


def _sliced(sound: F32, frames: int, rate: int, places: list[int]) -> F32:
    """Slices, from onset to onset, with their own samples at the stretched positions.

    A slice that has to last longer repeats its tail back and forth, fading from its final level.
    """
    given = sound.shape[1]
    slower, lead = frames / given, max(2, round(_LEAD * rate))
    up = np.linspace(0.0, 1.0, lead, dtype=np.float32)
    out = np.zeros((sound.shape[0], frames), np.float32)
    starts = [round(p * slower) for p in places]
    for n, place in enumerate(places):
        last = n + 1 == len(places)
        length = places[0] + given - place if last else places[n + 1] - place
        room = starts[0] + frames - starts[n] if last else starts[n + 1] - starts[n]
        count = min(length, room)
        piece = np.take(sound, np.arange(place - lead, place - lead + count), axis=1, mode="wrap")
        if room > count:
            piece = np.concatenate([piece, _longer(piece, room - count, rate)], axis=1)
        after = np.take(sound, np.arange(place - lead + count, place + count), axis=1, mode="wrap")
        if room > count:
            after = _longer(piece, lead, rate)
        piece = np.concatenate([piece, after], axis=1)
        piece[:, :lead] *= up
        piece[:, room : room + lead] *= 1.0 - up
        out[:, (starts[n] - lead + np.arange(piece.shape[1])) % frames] += piece
    return out


def _longer(piece: F32, frames: int, rate: int) -> F32:
    """Extension of a slice by `frames`."""
    size = max(1, min(round(0.6 * piece.shape[1]), round(0.2 * rate)))
    tail = piece[:, -size:]
    width = max(1, min(size, round(0.008 * rate)))
    level = np.sqrt(np.convolve((tail**2).mean(axis=0), np.ones(width) / width, "same")) + 1e-6
    even = tail * np.minimum(1.0, level[-width // 2 - 1] / level).astype(np.float32)
    turns = -(-frames // size)
    more = np.concatenate([even[:, :: -1 if n % 2 == 0 else 1] for n in range(turns)], axis=1)[:, :frames]
    return np.asarray(more * np.linspace(1.0, 0.4, frames, dtype=np.float32), np.float32)


def set_level(sound: F32, rate: int, gain: float, ceiling: float = 0.5) -> F32:
    """Loop amplified by `gain` dB, at most 40; peaks above `ceiling` are attenuated for 5 ms."""
    output = np.asarray(sound * np.float32(10 ** (min(40.0, gain) / 20)), np.float32)
    if true_peak(output, rate) > ceiling:
        output = _limited(output, rate, ceiling * 0.93)
    return output


def _limited(sound: F32, rate: int, ceiling: float) -> F32:
    """Circular look-ahead limiter: minimum gain within 5 ms, smoothed as long, so that no peak exceeds it."""
    reach = round(0.005 * rate)
    need = np.minimum(1.0, ceiling / np.maximum(np.abs(sound).max(axis=0), 1e-9))
    wrapped = np.take(need, np.arange(-2 * reach, len(need) + 2 * reach), mode="wrap")
    least = wrapped.copy()
    width = 1
    while width < 2 * reach + 1:
        by = min(width, 2 * reach + 1 - width)
        least[: len(least) - by] = np.minimum(least[: len(least) - by], least[by:])
        width += by
    least = least[: len(wrapped) - 2 * reach]
    kernel = np.hanning(2 * reach + 3)[1:-1]
    smooth = np.convolve(least, kernel / kernel.sum(), "valid")
    return np.asarray(sound * smooth[: sound.shape[1]], np.float32)
