"""The processor `denoise`: noise reduction hop by hop."""

import logging
from typing import ClassVar

import numpy as np

from antiphon.api import F32, IO, FileUse, Param, Processor, Step, StreamSpec, WorkerError
from antiphon.api.backends.models import say_instead, usable
from antiphon.api.backends.signal import LOW_FADE, SampleHistory, Spectra, grid
from antiphon_denoise.bands import BINS, HOP, places
from antiphon_denoise.deepfilter import DEEPFILTER, DeepFilter
from antiphon_denoise.gate.estimate import Estimator
from antiphon_denoise.gate.gains import ThresholdOpener, denoise_power, denoise_trust
from antiphon_denoise.gate.phrase_gate import PhraseGate
from antiphon_denoise.gate.player import NEPERS_PER_DB, NO_CEILING, GatePlayer
from antiphon_denoise.gate.profile import RecentSpectra
from antiphon_denoise.learned.confidence import Confidence, load_confidence
from antiphon_denoise.learned.delayed import DelayedSpectra
from antiphon_denoise.learned.file_confidence import FileConfidence, load as load_file_confidence
from antiphon_denoise.learned.file_mask import FileMask, load as load_file_mask
from antiphon_denoise.learned.tables import AUTOENCODER, MASK
from antiphon_denoise.mains_hum import MainsHumRemover
from antiphon_denoise.wavelet import Shrinker

log = logging.getLogger("antiphon.denoise")
MODELS = {"learned": MASK, "autoencoder": AUTOENCODER}
ALL_MODELS = {**MODELS, "deepfilter": DEEPFILTER}
HUM_SECONDS = 10.0
"""Length in seconds of a file's hum analysis before it plays."""
GATE_HOP = 640
"""Frames between two spectra at 48 kHz in modes `gate` and `wavelet`."""
NO_MODEL_TEXT = "It works by its gate instead: less noise is taken away, and less of the sound is harmed"
"""Suffix of a warning about a missing model, with the card's figures."""


class Denoise(Processor):
    """Noise reduction in four modes on one hop grid each: a learned mask, an autoencoder, a spectral gate, wavelets.

    Hops are counted from the last `reset`, and a hop reads its parameters at its own last sample: any split into blocks
    gives the same samples. One gain serves all channels, so the stereo image stays. With `amount` 0 the output is the
    input, `latency` frames later.
    """

    on_files = FileUse(preroll="preroll", causal="causal", hears="antiphon_denoise.floor.hearing:hear", takes="amount")
    params: ClassVar[tuple[Param, ...]] = (
        Param(
            "mode", "choice", "learned", restart=True,
            choices=("learned", "gate", "wavelet", "autoencoder", "deepfilter"),
            doc="learned: by a network; gate: by the level of each band; deepfilter: by one for speech.",
        ),
        Param(
            "latency", "choice", "normal", choices=("normal", "low"), restart=True,
            doc="low: at most 10 ms, and a little less noise removed. Wavelets have no low.",
        ),
        Param(
            "threshold", default=0.0, low=-80.0, high=0.0, unit="dB",
            doc="Sound louder than noise of this level, in dB of full scale, is never treated as noise.",
        ),
        Param("amount", default=1.0, low=0.0, high=1.0, doc="How much of the noise is removed."),
        Param("learn", "trigger", False, doc="Learns the noise from the half second before: noise alone."),
        Param("full", "switch", False, doc="Mutes the sound between phrases."),
        Param(
            "preroll", default=0.0, low=0.0, high=10.0, unit="s", restart=True,
            doc="In files: how much of the beginning is analysed first, so that noise goes from the start.",
        ),
        Param(
            "for", "choice", "auto", restart=True, choices=("auto", "speech", "music"),
            doc="In files: speech goes through DeepFilterNet; auto listens to what it is.",
        ),
        Param("causal", "switch", False, restart=True, doc="In files: as live, without hearing what comes."),
        Param("floor", "switch", True, doc="In files: leaves one without noise as it is; off, it may lose sound."),
    )  # fmt: skip

    @property
    def rate(self) -> int | None:  # type: ignore[override]
        """Sample rate of DeepFilterNet; None in other modes."""
        return DEEPFILTER.rate if self.settings["mode"] == "deepfilter" else None

    def prepare(self, spec: StreamSpec) -> None:
        """Allocates every buffer and starts the worker.

        A learned mode without its weights becomes `gate`, with a warning.
        """
        self._rate = spec.rate
        mode = str(self.settings["mode"])
        self._whole: DeepFilter | None = None
        self._file_confidence: FileConfidence | None = None
        self._noise: F32 | None = None  # of a file, once it was found
        self._trust: F32 | None = None
        self._player: GatePlayer | None = None
        if mode in ALL_MODELS and (reason := usable(ALL_MODELS[mode])):
            say_instead(log, f"denoise has no mode {mode} here: {reason}. {NO_MODEL_TEXT}")
            mode = "gate"
        if mode == "deepfilter":
            try:
                self._whole = self._deepfilter(spec)
                return
            except WorkerError as error:
                log.warning("denoise has no mode %s here: %s. %s", mode, error, NO_MODEL_TEXT)
                mode = "gate"
        overlap = LOW_FADE if self.settings["latency"] == "low" and mode != "wavelet" else 0
        delay = 0
        if mode in MODELS:
            self._grid = grid(spec.rate, HOP, overlap)
            weights = load_confidence() if mode == "learned" else None
            confidence = Confidence(weights, self._grid.bins) if weights is not None else None
            try:
                self._delayed = DelayedSpectra(
                    MODELS[mode], self._grid, spec.channels, spec.block, self.node, confidence
                )
                self.parts, delay = self._delayed.client.parts, self._delayed.delay
            except WorkerError as error:
                log.warning("denoise has no mode %s here: %s. %s", mode, error, NO_MODEL_TEXT)
                mode = "gate"
        if mode not in MODELS:
            # the player's frames have a power of two samples
            scale = 1 << max(1, round(spec.rate / 48000)).bit_length() - 1
            self._grid = grid(48000 * scale, HOP if overlap else GATE_HOP, overlap)
        hop = self._grid.hop
        self.latency = self._grid.lag + delay * hop
        self._estimator = Estimator(self._grid.bins)
        self._recent = RecentSpectra(self._grid, spec.rate)
        self._phrase = PhraseGate(GATE_HOP * self._grid.scale / hop)
        if mode in MODELS:
            self._prepare_hops(spec)
        else:
            shrinker = Shrinker(self._grid) if mode == "wavelet" else None
            self._player = GatePlayer(self._grid, spec.channels, self._estimator, self._recent, self._phrase, shrinker)
        self.reset()

    def _prepare_hops(self, spec: StreamSpec) -> None:
        """Allocates the buffers of the learned modes."""
        sizes, channels = self._grid, spec.channels
        self._number, self._hum_hops = -1, 0
        self._beginning: list[F32] = []
        self._hum = MainsHumRemover(sizes, spec.rate, channels)
        self._history = SampleHistory(sizes, channels)
        self._spectra = Spectra(sizes, channels)
        self._opener = ThresholdOpener(sizes.bins)
        self._places = places(sizes.bins)
        self._gain: F32 = np.ones(sizes.bins, np.float32)
        self._frame: F32 = np.zeros((channels, sizes.lag), np.float32)
        self._tail: F32 = np.zeros((channels, sizes.fade), np.float32)
        self._ready: F32 = np.zeros((channels, sizes.hop), np.float32)
        self._measure = denoise_power.bind(
            self._spectra.bins, channels, sizes.bins, self._spectra.unit, self._estimator.power
        )

    def _deepfilter(self, spec: StreamSpec) -> DeepFilter:
        """Substitute for this node in mode `deepfilter`."""
        whole = DeepFilter()
        whole.settings, whole.node = self.settings, self.node
        whole.prepare(spec)
        self.parts, self.latency = whole.parts, whole.latency
        return whole

    def reset(self) -> None:
        """Clears the sound, the estimate and the learned noise."""
        if self._whole is not None:
            self._whole.reset()
            return
        if self._player is None:
            self._hum.reset()
        self._begin()

    def _begin(self) -> None:
        """Clears all but the estimate of mains hum."""
        self._estimator.reset()
        self._recent.clear()
        self._phrase.reset()
        if self._player is not None:
            self._player.clear()
            return
        self._history.clear()
        self._tail.fill(0.0)
        self._ready.fill(0.0)
        self._filled = 0
        self._hops = self._first = 0
        self._learn_at = -1
        self._delayed.begin(max(0, self._number))

    def heard(self, told: F32 | None) -> None:
        """Sets what `floor.hearing` found: the share of each band's reduction, `[COUNT]`, or of speech its noise."""
        if self._whole is not None:
            self._whole.heard(told)
            return
        self._trust = told
        if self._player is not None and told is not None:
            self._player.trust(told)

    def look_ahead(self, frames: int | None) -> bool:
        """Records the features of a file of `frames` frames, in mode `learned`.

        Twice where it has a mask of its own, or where steady noise was found.
        """
        if self._file_confidence is not None:
            return not self._file_confidence.heard
        if self._whole is not None or self.settings["mode"] != "learned" or self.settings["causal"]:
            return False
        if self._player is not None or frames is None:
            return self._player is None
        weights, live = load_file_confidence(), self._delayed.confidence
        if weights is None or not isinstance(live, Confidence):
            return False
        hops = frames // self._grid.hop + 1
        self._file_confidence = self._delayed.confidence = FileConfidence(weights, live, self._grid.bins, hops)
        mask = load_file_mask()
        self._delayed.file = FileMask(mask, hops) if mask is not None else None
        self._hum_hops = round(HUM_SECONDS * self._rate / self._grid.hop)
        self.reset()
        return True

    def rewind(self) -> None:
        """Restarts the file, with a new hop.

        After its preroll with everything that was estimated. After it was heard as a whole with the mains hum of its
        beginning, with its noise, and with its mask or, the last time, with the shares.
        """
        if self._whole is not None:
            self._whole.rewind()
            return
        if self._player is not None:
            self._player.rewind()
            return
        self._filled, self._first = 0, self._hops
        if self._file_confidence is not None and not self._file_confidence.heard:
            if self._hum_hops:
                self._hum.look_ahead(self._beginning)
            self._hum_hops = 0
            self._hear(self._file_confidence)
        elif self._file_confidence is not None:
            self._delayed.restart(max(0, self._number))
        self._hum.rewind()

    def _hear(self, file: FileConfidence) -> None:
        """Handles the end of a pass over a file: requests another, or prepares playback."""
        mask, learned = self._delayed.file, self._delayed.noise
        # of a file that has a mask of its own, only its levels are known at first
        early = mask is not None and not mask.known
        noise = None
        if self._noise is None and learned is None and (early or mask is None):
            noise = self._noise = file.noise.power()
        if noise is None and not early:
            file.hear()
        self._begin()
        if self._noise is not None:
            self._delayed.learn(self._noise)
            learned = self._delayed.noise
        # the levels had mains hum in them until it was found
        if mask is not None and (early or self._hum.subtracts):
            mask.compute(learned)
        if mask is not None and file.heard:
            mask.free_levels()

    def step(self, io: IO) -> Step | None:
        return self._player.step(io) if self._whole is None and self._player is not None else None

    def process(self, io: IO) -> None:
        if self._whole is not None:
            self._whole.process(io)
            return
        if self._player is not None:
            super().process(io)
            return
        sound, out = io.audio_in[0], io.audio_out[0]
        hop = self._grid.hop
        if self._number < 0:
            # hops are numbered by the clock, so that those of a replayed session have the same numbers
            self._number = io.time.sample // hop
            self._delayed.begin(self._number)
        fired = io.fired("learn")
        done = 0
        while done < io.frames:
            count = min(io.frames - done, hop - self._filled)
            end = self._filled + count
            self._history.fresh()[:, self._filled : end] = sound[:, done : done + count]
            out[:, done : done + count] = self._ready[:, self._filled : end]
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
        """Computes the output of a full hop; `last` is the frame of its last sample in this block."""
        estimator = self._estimator
        amount = float(io.at("amount", last))
        if self._hops < self._hum_hops:
            self._beginning.append(self._history.fresh().copy())
        self._hum.take(self._history.fresh(), amount)
        self._spectra.forward(self._history.frame(self._grid.size))
        self._measure()
        self._hops += 1
        self._recent.add(estimator.power)
        if self._learn_at >= 0:
            if self._recent.take(self._learn_at):
                estimator.learn(self._recent.mean)
                self._delayed.learn(self._recent.mean)
            self._learn_at = -1
        threshold = float(io.at("threshold", last))
        ceiling = threshold * NEPERS_PER_DB if threshold < 0.0 else NO_CEILING
        estimator.update(ceiling)
        full = bool(io.at("full", last))
        level = self._apply_model(self._delayed, io, amount, ceiling)
        phrase = self._phrase.update(estimator.power, self._delayed.mask, level)
        if phrase < 1.0 and full:
            np.multiply(self._frame, 1.0 - amount * (1.0 - phrase), out=self._frame)
        hop = self._grid.hop
        fade = self._grid.fade
        self._ready[:] = self._frame[:, :hop]
        np.add(self._ready[:, :fade], self._tail, out=self._ready[:, :fade])
        self._tail[:] = self._frame[:, hop:]
        self._number += 1

    def _apply_model(self, delayed: DelayedSpectra, io: IO, amount: float, ceiling: float) -> float:
        """Sends the hop to the model, writes the due one into `_frame`, and returns its mean power."""
        estimator = self._estimator
        self._scale_gain(estimator.gain, estimator.limit)
        delayed.turn(self._number, self._spectra.sound, estimator.power, self._gain, io)
        if ceiling < 1e8:
            self._opener.open(estimator.power, ceiling, delayed.gain)
            self._opener.open(estimator.power, ceiling, delayed.mask)
        if self._trust is not None:
            denoise_trust(delayed.gain, self._grid.bins, *self._places, self._trust)
        self._scale_gain(delayed.gain, amount)
        self._spectra.inverse(self._gain, self._frame)
        return float(np.mean(estimator.power[:BINS]))

    def _scale_gain(self, gain: F32, amount: float) -> None:
        """_gain ← 1 - amount * (1 - gain): `amount`, 0 to 1, of the reduction."""
        np.subtract(1.0, gain, out=self._gain)
        np.multiply(self._gain, -amount, out=self._gain)
        np.add(self._gain, 1.0, out=self._gain)
