"""The learned modes: hops of sound go to a worker, and its answers become notes. As `tracker.NoteTracker`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from antiphon.api import IO
from antiphon.api.models import ModelClient
from antiphon_hum.decimator import Decimator
from antiphon_hum.learned import spec
from antiphon_hum.learned.decode import Live, NoteDecoder
from antiphon_hum.learned.template_decoder import TemplateDecoder, TemplateSettings
from antiphon_hum.tracking.note_classifier import Look
from antiphon_hum.tracking.tracker import TrackerSettings

F32 = NDArray[np.float32]
MODELS = {"learned": spec.HUM, "spectrogram": spec.PLAIN}
LEVELS = 8
"""Hops whose loudest says how loud a note is."""
SETTLING = 3
"""Hops from where a beginning is to where it is said, at the middle, besides those that are waited for on principle."""
MISSING = 10
"""Hops without an answer through which a note is held: 0.1 s; a worker that is late for one has not ended a tone."""
REACH = 4.0
"""Log odds that `sensitivity` moves what is heard by, from one end to the other."""


class ModelTracker:
    """Notes of one stream. After each `step`: `ended`, `begun`, `pitch`, as of a tracker.

    behind: input frames from the beginning of a note to the last frame of the hop in which it is said.
    """

    def __init__(self, intake: Decimator, mode: str, block: int, node: int) -> None:
        self._intake = intake
        model = MODELS[mode]
        self.hop = spec.HOP * intake.factor
        self.client = ModelClient(model, 1, self.hop, block, node)
        self._seconds = spec.HOP / intake.rate
        self._learned = mode == "learned"
        self._up = 12.0 * math.log2(intake.rate / spec.RATE)
        self._decoder: NoteDecoder | TemplateDecoder
        if self._learned:
            self._decoder, heard = NoteDecoder(Live(), self._up), spec.NEAR + SETTLING
        else:
            self._decoder, heard = TemplateDecoder(), spec.PLAIN_LATE + TemplateSettings().held - 1
        self.lag = heard + self.client.lead
        self.behind = self.lag * self.hop + intake.lag - 1
        self._sent: F32 = np.zeros((1, 1, spec.HOP), np.float32)
        self._levels = [-90.0] * LEVELS
        self.overhear: Callable[[F32 | None, float], object] | None = None
        self._number = self._first = -1
        self.reset()

    def reset(self) -> None:
        """Forgets the past; the intake is reset by its owner."""
        self._decoder.reset()
        self.client.reset()
        self._levels[:] = [-90.0] * LEVELS
        self._sounds = False
        self._missing = 0
        self.pitch = self.many = 0.0
        self.ended = False
        self.begun: Look | None = None
        if self._number >= 0:
            self._first = self._number
            self.client.begin(self._first)

    def begin(self, sample: int) -> None:
        """The first frame is that sample of the clock; only the first call counts."""
        if self._number < 0:
            self._number = self._first = sample // self.hop
            self.client.begin(self._first)

    def step(self, settings: TrackerSettings, io: IO) -> None:
        """The intake has a full hop."""
        newest = self._intake.newest(spec.HOP)
        self._sent[0, 0] = newest
        self._levels.pop(0)
        self._levels.append(10.0 * math.log10(float(np.dot(newest, newest)) / spec.HOP + 1e-9))
        self.client.send(self._number, self._sent, io)
        due = self._number - self.client.lead
        given = self.client.take(due, io) if due >= self._first else None
        self._number += 1
        self.begun, self.ended = None, False
        answer = given[0, 0] if given is not None else None
        if self.overhear is not None and due >= self._first:
            self.overhear(answer, self._levels[-1 - min(self.client.lead, LEVELS - 1)])
        if answer is None:
            self._missing += 1
            if self._missing >= MISSING:
                self._quieten()
            return
        self._missing = 0
        self._decide(answer, settings)

    def _decide(self, answer: F32, settings: TrackerSettings) -> None:
        decoder = self._decoder
        patience = max(0, round(settings.patience / 1000.0 / self._seconds))
        decoder.step(answer, patience, REACH * (settings.sensitivity - 0.5))
        if self._learned:
            voiced = float(answer[spec.VOICED]) >= 0.5
            self.pitch = spec.pitch(float(answer[spec.PITCH])) + self._up if voiced else 0.0
            self.many = float(answer[spec.MANY])
        else:
            self.pitch = max(0.0, float(decoder.number))
        if decoder.ended and self._sounds:
            self.ended, self._sounds = True, False
        if decoder.begun is not None:
            pitch, level = decoder.begun, max(self._levels)
            if level > settings.threshold and settings.lowest - 0.5 <= pitch < settings.highest + 0.5:
                self.begun = Look(pitch, 0, 0.0, 0.0, 0.0, level)
                self._sounds = True

    def _quieten(self) -> None:
        """No answer for long: what sounds ends, and nothing begins."""
        self._decoder.reset()
        self.ended, self._sounds = self._sounds, False
        self.pitch = self.many = 0.0
