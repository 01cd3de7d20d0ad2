"""Mode `learned`: live by a worker, whose answers become notes; on files hop by hop in this process."""

import math
from collections.abc import Callable

import numpy as np

from antiphon.api import F32, IO, Samples
from antiphon.api.backends.models import ModelClient, load_arrays
from antiphon.api.backends.signal import Decimator
from antiphon_hum import learned
from antiphon_hum.learned.decode import LeadVoice, Live, NoteDecoder
from antiphon_hum.tracker import Candidate, TrackerSettings

RATE = 3 * learned.RATE
"""Sample rate of resampled files in Hz: an integer multiple of the network's rate."""


class OfflineModel:
    """Computes the answers to a streamed sound at `RATE`. `frames`: number processed."""

    def __init__(self) -> None:
        """Loads the network. Raises `ModelError`: its weights do not fit."""
        model, worker = learned.PITCH_MODEL, learned.PITCH_MODEL.worker("cpu")
        self._network = load_arrays(model.array_network, model.weights, model.folder, worker.inputs, worker.outputs)
        self._decimator = Decimator(RATE, learned.RATE, learned.HOP)
        self.hop = learned.HOP * self._decimator.factor
        self.lag = self._decimator.lag
        self._answers: list[F32] = []
        self._levels: list[float] = []
        self.frames = 0

    def feed(self, sound: Samples) -> None:
        """Processes the next float32 `[channels, n]` of the sound."""
        self.frames += sound.shape[1]
        self._take(sound)

    def end(self) -> tuple[F32, F32]:
        """Ends the sound: the answers `[hops, …]` and the level of each hop in dB `[hops]`."""
        late = (learned.FAR + 2) * self.hop + self.lag
        self._take(np.zeros((1, late), np.float32))
        return np.concatenate(self._answers), np.array(self._levels, np.float32)

    def _take(self, sound: Samples) -> None:
        decimator, at = self._decimator, 0
        while at < sound.shape[1]:
            at += decimator.take(sound, at, sound.shape[1])
            if decimator.full:
                newest = decimator.newest(learned.HOP)
                answer: F32 = np.zeros((1, learned.ANSWER), np.float32)
                self._network.step(np.ascontiguousarray(newest[None]), answer)
                self._answers.append(answer)
                self._levels.append(10.0 * float(np.log10(float(np.dot(newest, newest)) / learned.HOP + 1e-9)))
                decimator.turn()


LEVELS = 8
"""Number of hops over which the maximum level is taken as a note's level."""
SETTLING = 2
"""Median hops from an onset to the decision on its pitch, in addition to the network's lag."""
MAX_MISSING_HOPS = 10
"""Missing answers after which a sounding note ends: 0.1 s. One late answer must not end a note."""
SENSITIVITY_LOG_ODDS = 4.0
"""Range of log odds by which `sensitivity`, 0 to 1, shifts the probabilities."""


class ModelTracker:
    """Notes of one stream by the network; `ended`, `begun` and `pitch` as in `NoteTracker`.

    `behind`: input frames from the beginning of a note to the last frame of the hop in which it is decided;
    `corrected`: pitch of the sounding note if it began on another one, else None; `on_answer`: called with each
    answer, None for a missing one, and the level of its hop in dB; `many`: probability that several voices sound at
    once.
    """

    def __init__(self, decimator: Decimator, block: int, node: int) -> None:
        """Allocates buffers and connects to the worker; the caller fills and resets the decimator.

        Raises WorkerError: the worker could not be started.
        """
        self._decimator = decimator
        self.hop = learned.HOP * decimator.factor
        self.client = ModelClient(learned.PITCH_MODEL, 1, self.hop, block, node)
        self._seconds = learned.HOP / decimator.rate
        self._up = 12.0 * math.log2(decimator.rate / learned.RATE)
        self._decoder = NoteDecoder(Live(), self._up)
        self.lag = learned.NEAR + SETTLING + self.client.lead
        self.behind = self.lag * self.hop + decimator.lag - 1
        self._lead = LeadVoice()
        self._sent: F32 = np.zeros((1, 1, learned.HOP), np.float32)
        self._levels = [-90.0] * LEVELS
        self.on_answer: Callable[[F32 | None, float], object] | None = None
        self._number = -1
        self.reset()

    def reset(self) -> None:
        """Clears the past; the caller resets the decimator."""
        self._decoder.reset()
        self._lead.reset()
        self.client.reset()
        self._levels[:] = [-90.0] * LEVELS
        self._sounding = False
        self._missing = 0
        self.pitch = self.many = 0.0
        self.ended = False
        self.begun: Candidate | None = None
        self.corrected: float | None = None
        if self._number >= 0:
            self.client.begin(self._number)

    def begin(self, sample: int) -> None:
        """Sets the number of the first hop from the sample clock; only the first call has an effect."""
        if self._number < 0:
            self._number = sample // self.hop
            self.client.begin(self._number)

    def step(self, settings: TrackerSettings, io: IO) -> None:
        """Sends the decimator's full hop and processes the answer that is due."""
        newest = self._decimator.newest(learned.HOP)
        self._sent[0, 0] = newest
        self._levels.pop(0)
        self._levels.append(10.0 * math.log10(float(np.dot(newest, newest)) / learned.HOP + 1e-9))
        self.client.send(self._number, self._sent, io)
        due = self._number - self.client.lead
        answers = self.client.take(due, io)
        self._number += 1
        self.begun = self.corrected = None
        self.ended = False
        answer = answers[0, 0] if answers is not None else None
        if self.on_answer is not None and due >= self.client.first:
            self.on_answer(answer, self._levels[-1 - min(self.client.lead, LEVELS - 1)])
        if answer is None:
            self._missing += 1
            if self._missing >= MAX_MISSING_HOPS:
                self._decoder.reset()
                self.ended, self._sounding = self._sounding, False
                self.pitch = self.many = 0.0
            return
        self._missing = 0
        self._decide(answer, settings)

    def _decide(self, answer: F32, settings: TrackerSettings) -> None:
        decoder = self._decoder
        patience = max(0, round(settings.patience / 1000.0 / self._seconds))
        followed = self._lead(answer) if settings.lead else answer
        decoder.step(followed, patience, SENSITIVITY_LOG_ODDS * (settings.sensitivity - 0.5))
        voiced = float(answer[learned.VOICED]) >= 0.5
        self.pitch = learned.pitch(float(answer[learned.PITCH])) + self._up if voiced else 0.0
        self.many = float(answer[learned.MANY])
        if decoder.ended and self._sounding:
            self.ended, self._sounding = True, False
        if decoder.begun is not None:
            pitch, level = decoder.begun, max(self._levels)
            if level > settings.threshold and settings.lowest - 0.5 <= pitch < settings.highest + 0.5:
                self.begun = Candidate(pitch, level)
                self._sounding = True
        if self._sounding and self.begun is None:
            self.corrected = decoder.corrected
