"""`denoise`: takes noise away from any sound, a hop at a time."""

from __future__ import annotations

import logging
import math
from typing import ClassVar

import numpy as np

from antiphon.api import IO, Param, Processor, StreamSpec, WorkerError
from antiphon.api.models import say_instead, usable
from antiphon_denoise.bands import BINS
from antiphon_denoise.gate.estimate import Estimator, denoise_power
from antiphon_denoise.gate.phrase_gate import PhraseGate
from antiphon_denoise.gate.profile import Recent
from antiphon_denoise.gate.threshold_opener import ThresholdOpener
from antiphon_denoise.learned.delayed import Waiting
from antiphon_denoise.learned.spec import AUTOENCODER, HOP, MASK
from antiphon_denoise.mains_hum import MainsHumRemover
from antiphon_denoise.spectrum import F32, SampleHistory, Spectra, grid
from antiphon_denoise.wavelet import Shrinker

log = logging.getLogger("antiphon.denoise")
MODELS = {"learned": MASK, "autoencoder": AUTOENCODER}
_PACE = 640 / HOP
BY_GATE = "It works by its gate instead: less noise is taken away, and less of the sound is harmed"
"""What that means, by the card's figures."""


class Denoise(Processor):
    """Four ways to take noise away, of one grid each: gains from a network in a worker, spectral gate, wavelets.

    All work falls on a grid of hops counted from the last `reset`, and a hop reads its parameters at
    its own last sample: any split into blocks gives the same samples. One gain serves all channels, so
    the stereo image stays. With `amount` 0 the output is the input, `latency` frames later.
    """

    params: ClassVar[tuple[Param, ...]] = (
        Param(
            "mode", "choice", "gate", choices=("learned", "gate", "wavelet", "autoencoder"), restart=True,
            doc="A learned mask, a spectral gate, wavelet shrinkage, or an autoencoder.",
        ),
        Param(
            "threshold", default=0.0, low=-80.0, high=0.0, unit="dB",
            doc="What is louder than noise of this level, against full scale, is never taken for noise.",
        ),
        Param("amount", default=1.0, low=0.0, high=1.0, doc="How much of the noise is taken away."),
        Param("learn", "trigger", False, doc="The noise is what sounds now: the half second before the trigger."),
        Param("full", "switch", False, doc="Silence between phrases."),
    )  # fmt: skip

    def prepare(self, spec: StreamSpec) -> None:
        """Makes every buffer. A learned mode without its weights or torch becomes the gate, and says so."""
        mode = str(self.settings["mode"])
        if mode in MODELS and (reason := usable(MODELS[mode])):
            say_instead(log, f"denoise has no mode {mode} here: {reason}. {BY_GATE}")
            mode = "gate"
        self._waiting: Waiting | None = None
        if mode in MODELS:
            self._grid = grid(spec.rate, HOP)
            try:
                self._waiting = Waiting(MODELS[mode], self._grid, spec.channels, spec.block, self.node)
                self.parts = self._waiting.client.parts
            except WorkerError as error:
                log.warning("denoise has no worker for mode %s: %s. %s", mode, error, BY_GATE)
                mode = "gate"
        if mode not in MODELS:
            self._grid = grid(spec.rate)
        self._mode = mode
        self._lead = self._waiting.lead if self._waiting is not None else 0
        self.latency = self._grid.lag + self._lead * self._grid.hop
        hop = self._grid.hop
        self._history = SampleHistory(self._grid, spec.channels)
        self._spectra = Spectra(self._grid, spec.channels)
        self._estimator = Estimator(self._grid.bins)
        self._hum = MainsHumRemover(self._grid, spec.rate, spec.channels) if mode in MODELS else None
        self._recent = Recent(self._grid, spec.rate)
        self._phrase = PhraseGate(_PACE if mode in MODELS else 1.0)
        self._spared = ThresholdOpener(self._grid.bins)
        self._shrinker = Shrinker(self._grid, spec.channels) if mode == "wavelet" else None
        self._gain: F32 = np.ones(self._grid.bins, np.float32)
        self._made: F32 = np.zeros((spec.channels, self._grid.lag), np.float32)
        self._tail: F32 = np.zeros((spec.channels, hop), np.float32)
        self._ready: F32 = np.zeros((spec.channels, hop), np.float32)
        self._measure = denoise_power.bind(
            self._spectra.bins, spec.channels, self._grid.bins, self._spectra.unit, self._estimator.power
        )
        self._number = -1
        self.reset()

    def reset(self) -> None:
        """Forgets the sound, the estimate and the learned noise."""
        self._history.clear()
        self._estimator.reset()
        if self._hum is not None:
            self._hum.reset()
        self._recent.clear()
        self._phrase.reset()
        self._tail.fill(0.0)
        self._ready.fill(0.0)
        self._filled = 0
        self._hops = 0
        self._learn_at = -1
        if self._waiting is not None:
            self._waiting.begin(max(0, self._number))

    def process(self, io: IO) -> None:
        heard, said = io.audio_in[0], io.audio_out[0]
        hop = self._grid.hop
        if self._number < 0:
            # hops are numbered by the clock, so that those of a replayed session have the same numbers
            self._number = io.time.sample // hop
            if self._waiting is not None:
                self._waiting.begin(self._number)
        fired = io.fired("learn")
        done = 0
        while done < io.frames:
            count = min(io.frames - done, hop - self._filled)
            end = self._filled + count
            self._history.fresh()[:, self._filled : end] = heard[:, done : done + count]
            said[:, done : done + count] = self._ready[:, self._filled : end]
            for at in fired:
                if done <= at < done + count:
                    self._learn_at = self._hops * hop + self._filled + at - done
            done += count
            self._filled = end
            if end == hop:
                self._hop(io, done - 1)
                self._history.turn()
                self._filled = 0

    def _hop(self, io: IO, last: int) -> None:
        """A hop is full; `last` is the frame of its last sample in this block."""
        estimator = self._estimator
        amount = float(io.at("amount", last))
        if self._hum is not None:
            self._hum.take(self._history.fresh(), amount)
        self._spectra.forward(self._history.frame(self._grid.size))
        self._measure()
        self._hops += 1
        self._recent.add(estimator.power)
        if self._learn_at >= 0:
            if self._recent.take(self._learn_at):
                estimator.learn(self._recent.mean)
                if self._waiting is not None:
                    self._waiting.learn(self._recent.mean)
            self._learn_at = -1
        threshold = float(io.at("threshold", last))
        ceiling = threshold * (math.log(10.0) / 10.0) if threshold < 0.0 else 1e9
        estimator.update(ceiling)
        full = bool(io.at("full", last))
        if self._waiting is not None:
            level = self._by_answer(self._waiting, io, amount, ceiling)
            phrase = self._phrase.update(estimator.power, self._waiting.gain, level)
        else:
            self._by_gate(amount)
            phrase = self._phrase.update(estimator.power, estimator.gain, estimator.level)
        if phrase < 1.0 and full:
            np.multiply(self._made, 1.0 - amount * (1.0 - phrase), out=self._made)
        hop = self._grid.hop
        np.add(self._tail, self._made[:, :hop], out=self._ready)
        self._tail[:] = self._made[:, hop:]
        self._number += 1

    def _by_gate(self, amount: float) -> None:
        """Gate or wavelets: into `_made`."""
        estimator = self._estimator
        careful = amount * estimator.care
        if self._shrinker is None:
            self._shut(estimator.gain, careful)
            self._spectra.inverse(self._gain, self._made)
        else:
            frame = self._history.frame(self._grid.lag)
            self._shrinker.run(frame, estimator.power, estimator.gain, careful, self._made)

    def _by_answer(self, waiting: Waiting, io: IO, amount: float, ceiling: float) -> float:
        """The hop whose answer is due: into `_made`. Gives its mean power; `waiting.gain` is what it is judged by."""
        estimator = self._estimator
        self._shut(estimator.gain, estimator.care)
        waiting.turn(self._number, self._spectra.bins, estimator.power, self._gain, io)
        if ceiling < 1e8:
            self._spared.open(estimator.power, ceiling, waiting.gain)
        self._shut(waiting.gain, amount)
        self._spectra.inverse(self._gain, self._made)
        return float(np.mean(estimator.power[:BINS]))

    def _shut(self, gain: F32, amount: float) -> None:
        """Into `_gain`: that much of what this gain would take."""
        np.subtract(1.0, gain, out=self._gain)
        np.multiply(self._gain, -amount, out=self._gain)
        np.add(self._gain, 1.0, out=self._gain)
