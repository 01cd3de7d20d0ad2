"""Quantisation of notes: to a scale and the clock's grid live; in files to the grid of one tempo, found from onsets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from antiphon.api import F64
from antiphon.api.backends.signal import FLAT_NAMES, KEY_PROFILES

KEYS = ("auto", *FLAT_NAMES)
SCALES: dict[str, tuple[int, ...]] = {
    "off": tuple(range(12)),
    "auto": tuple(range(12)),
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "blues": (0, 3, 5, 6, 7, 10),
}
"""Semitones above the tonic. "auto" chooses major or minor from the notes."""
GRIDS = {"off": 0.0, "1/4": 1.0, "1/8": 0.5, "1/16": 0.25}
"""Beats between two lines of the grid."""
MIN_BPM = 60.0
"""Minimum bpm at which every note can reach the nearest line within the latency added by `quantise`."""
MIN_KEY_NOTES = 4
"""Minimum notes before "auto" moves any."""
FADE = 0.97
"""Factor on a note's weight in the key per further note."""


def nearest_number_in_scale(pitch: float, tonic: int, degrees: tuple[int, ...]) -> int:
    """The MIDI number nearest to `pitch` (a fractional one) among the degrees above any octave of `tonic`."""
    best, distance = round(pitch), 99.0
    for number in range(max(0, int(pitch) - 6), min(127, int(pitch) + 7) + 1):
        off = abs(number - pitch)
        if (number - tonic) % 12 in degrees and off < distance:
            best, distance = number, off
    return min(127, max(0, best))


class KeyFinder:
    """The key of the notes so far, by `KEY_PROFILES`. `count`: number of notes."""

    def __init__(self, fade: float = FADE) -> None:
        """Starts without notes; `fade`: factor on a note's weight per further note, 0 to 1."""
        self._fade = fade
        profiles = KEY_PROFILES - KEY_PROFILES.mean(axis=1, keepdims=True)
        self._profiles: F64 = profiles / np.linalg.norm(profiles, axis=1, keepdims=True)
        self._durations: F64 = np.zeros(12, np.float64)
        self._fit: F64 = np.zeros(24, np.float64)
        self.reset()

    def reset(self) -> None:
        self._durations.fill(0.0)
        self._fit.fill(0.0)
        self.count = 0

    def add(self, number: int, seconds: float) -> None:
        """Adds a note, weighted by its duration up to 2 s."""
        self._durations *= self._fade
        self._durations[number % 12] += min(seconds, 2.0)
        self.count += 1
        np.dot(self._profiles, self._durations, out=self._fit)

    def resolve(self, key: str, scale: str) -> tuple[int, str]:
        """Tonic 0 to 11 and scale of "auto", which is "off" until `MIN_KEY_NOTES` notes have been added."""
        if "auto" not in (key, scale):
            return KEYS.index(key) - 1, scale
        if self.count < MIN_KEY_NOTES:
            return 0, "off"
        best, most = 0, -math.inf
        for place in range(24):
            mode = "minor" if place >= 12 else "major"
            fits = scale == "auto" or mode == ("major" if 4 in SCALES[scale] else "minor")
            if fits and key in ("auto", KEYS[place % 12 + 1]) and self._fit[place] > most:
                best, most = place, float(self._fit[place])
        return best % 12, ("minor" if best >= 12 else "major") if scale == "auto" else scale

    def number(self, pitch: float, key: str, scale: str) -> int:
        """The MIDI number of `pitch` (a fractional one), moved to the scale; `key`, `scale`: as chosen, or "off"."""
        tonic, scale = (0, "off") if scale == "off" else self.resolve(key, scale)
        if scale == "off":
            return min(127, max(0, round(pitch)))
        return nearest_number_in_scale(pitch, tonic, SCALES[scale])


def extra_frames(quantise: str, rate: int) -> int:
    """Latency in frames of quantisation, so that the nearest line is never in the past."""
    return round(0.5 * GRIDS[quantise] * 60.0 / MIN_BPM * rate)


def to_line(beat: float, quantise: str, tempo: float, rate: int, most: int) -> int:
    """Frames from `beat` to the nearest line of the grid, within ±`most`; 0 without a grid or tempo."""
    grid = GRIDS[quantise]
    if grid == 0.0 or tempo <= 0.0:
        return 0
    frames = round((round(beat / grid) * grid - beat) * 60.0 / tempo * rate)
    return max(-most, min(most, frames))


@dataclass(frozen=True, slots=True)
class FrameNote:
    """A note of MIDI number `number` from frame `start` to a later `end`; velocity above 0 to 1.

    `pitch`: fractional MIDI number as sung; -1 if unknown.
    """

    start: int
    end: int
    number: int
    velocity: float
    pitch: float = -1.0


SLOWEST, FASTEST = 60.0, 180.0
"""Range of tempos searched, bpm."""
LIKELY, WIDTH, WEIGHT = 110.0, 1.0, 0.05
"""Prior over tempo: its maximum in bpm, its width in octaves and its weight. It decides between equally good tempos."""
MIN_NOTES = 5
"""Minimum notes for a tempo."""
PLAIN = 120.0


def timing(starts: Sequence[float], quantise: str, bpm: float) -> tuple[float, float]:
    """Returns tempo (bpm) and a grid line (seconds, at most one beat) from onsets in seconds. `bpm`: 0 to estimate."""
    if bpm > 0.0:
        return bpm, 0.0
    if len(starts) < MIN_NOTES:
        return PLAIN, 0.0
    t = np.asarray(starts, np.float64)
    # a tempo a step from the best one drifts by a tenth of a line over all notes
    step = 0.1 * GRIDS[quantise] / max(1.0, float(t[-1] - t[0])) * 60.0
    tempos = np.arange(SLOWEST, FASTEST, min(0.5, step))
    fits = np.array([_fit(t, tempo, quantise) for tempo in tempos])
    best = float(tempos[int(fits.argmax())])
    line = 60.0 / best * GRIDS[quantise]
    turn = np.angle(np.exp(2j * np.pi * t / line).sum()) / (2.0 * np.pi)
    return best, float(turn % 1.0) * line


def _fit(t: F64, tempo: float, quantise: str) -> float:
    """Score of onsets `t` (seconds) on the grid and beats of a tempo, prior included."""
    beats = t * tempo / 60.0
    on_lines = abs(np.exp(2j * np.pi * beats / GRIDS[quantise]).mean())
    on_beats = abs(np.exp(2j * np.pi * beats).mean())
    return float(on_lines + 0.3 * on_beats - WEIGHT * (np.log2(tempo / LIKELY) / WIDTH) ** 2)


def on_grid(
    notes: Sequence[FrameNote], rate: int, quantise: str, bpm: float, beat: float, frames: int
) -> list[FrameNote]:
    """Moves notes to the nearest grid line with their length unchanged, in order and without overlap.

    Of two notes on one line the later moves to the next line, or is left out if that is taken too or beyond the sound.
    `beat`: seconds of a grid line.
    """
    line = GRIDS[quantise] * 60.0 / bpm * rate
    moved: list[FrameNote] = []
    taken = -1
    for note in notes:
        place = max(0, round((note.start - beat * rate) / line))
        if place <= taken:
            if place < taken:
                continue
            place += 1
        start = max(0, round(place * line + beat * rate))
        if start >= frames:
            continue
        taken = place
        if moved and moved[-1].end > start:
            moved[-1] = replace(moved[-1], end=start)
        moved.append(replace(note, start=start, end=min(frames, start + max(1, note.end - note.start))))
    return moved
