"""Decodes notes from a synthesised piano spectrum, by its likeness to the template of each key."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from antiphon.api import F32
from antiphon_hum.learned import spec

SECONDS = spec.HOP / spec.RATE
AFTER = slice(2, 14)
"""Hops of a piano note over which its template is averaged."""


@dataclass(frozen=True, slots=True)
class TemplateSettings:
    """Thresholds of `TemplateDecoder`.

    Attributes:
        like: Likeness (cosine) from which on there is a note.
        struck: Factor by which likeness rises within `rise` hops where the same note is repeated.
        rise: See `struck`, hops.
        apart: Least hops between two starts of the same note.
        held: Hops for which a key must be the likeliest.
        quiet: Share of a note's greatest likeness below which it ends.
        fade: Factor per hop by which that greatest likeness decays.
    """

    like: float = 0.9
    struck: float = 1.3
    rise: int = 4
    apart: int = 10
    held: int = 8
    quiet: float = 0.3
    fade: float = 0.995


def templates(piano: F32) -> F32:
    """Templates `[SEMITONES, BINS]` of `[SEMITONES, hops, BINS]`: mean spectra, less what they share, of length 1."""
    mean = piano[:, AFTER].mean(1)
    mean = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-6)
    return remove_mean_row(mean)


def remove_mean_row(mean: F32) -> F32:
    """The rows of `[n, BINS]` without their component along the mean row, normalised to length 1."""
    shared = mean.mean(0)
    shared = shared / max(float(np.linalg.norm(shared)), 1e-6)
    own = mean - np.outer(mean @ shared, shared)
    return np.asarray(own / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-6), np.float32)


class TemplateDecoder:
    """Turns likenesses into notes, one hop after another; attributes as in `decode.NoteDecoder`; it corrects none."""

    def __init__(self, how: TemplateSettings | None = None) -> None:
        self._how = how or TemplateSettings()
        self.reset()

    def reset(self) -> None:
        self.number, self.ended, self.began = -1, False, 0
        self.corrected: float | None = None
        self.begun: float | None = None
        self._leads, self._held = -1, 0
        self._past = [0.0] * self._how.rise
        self._most, self._since = 0.0, 99

    def step(self, likes: F32, patience: int | None = None, odds: float = 0.0) -> None:
        """Takes the likeness `[SEMITONES]` of a hop to each note's template.

        `patience`: upper bound in hops on `held`; `odds`: added to the log odds of a note.
        """
        how = self._how
        least, held = how.like * math.exp(-odds), how.held if patience is None else max(1, min(how.held, patience))
        self.begun, self.ended = None, False
        best = int(likes.argmax())
        like = float(likes[best])
        leads = best if like >= least else -1
        self._held = self._held + 1 if leads == self._leads else 1
        self._leads = leads
        before = self._past.pop(0)
        self._past.append(like)
        self._since += 1
        self._most = max(self._most * how.fade, like)
        now = spec.LOWEST + best
        if leads >= 0 and self._held >= held and now != self.number:
            self._begin(now, held - 1, like)
        elif leads >= 0 and now == self.number and self._since > how.apart and like > how.struck * before > 0.0:
            self._begin(now, how.rise // 2, like)
        elif self.number >= 0 and like < max(how.quiet * self._most, 0.7 * least):
            self.ended, self.number = True, -1

    def _begin(self, number: int, ago: int, like: float) -> None:
        self.ended = self.number >= 0
        self.number, self.begun, self.began = number, float(number), ago
        self._most, self._since = like, 0


def notes_of_painting(likes: F32, odds: float = 0.0) -> list[tuple[float, float, int]]:
    """The notes of likenesses `[hops, SEMITONES]`, as (start, end, MIDI number) in seconds."""
    reader = TemplateDecoder()
    found: list[tuple[float, float, int]] = []
    start, number = 0.0, -1
    for hop, row in enumerate(likes):
        reader.step(row, None, odds)
        now = (hop + 1 - spec.PLAIN_LATE) * SECONDS
        if reader.ended and number >= 0:
            found.append((start, max(now, start + SECONDS), number))
            number = -1
        if reader.begun is not None:
            start, number = now - reader.began * SECONDS, round(reader.begun)
    if number >= 0:
        found.append((start, len(likes) * SECONDS, number))
    return found
