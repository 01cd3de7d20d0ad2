"""The processor `denoise`: noise reduction hop by hop."""

from __future__ import annotations

import logging
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64, IO, FileUse, Param, Processor, Step, StreamSpec, WorkerError
from antiphon.api.backends.models import say_instead, usable
from antiphon.api.backends.signal import LOW_FADE, SampleHistory, Spectra, SpectrumSizes, grid
from antiphon.api.kernels import f32p, f64, f64p, i64, kernel
from antiphon_denoise.bands import BINS, HOP, places
from antiphon_denoise.deepfilter import DEEPFILTER, DeepFilter
from antiphon_denoise.gate.estimate import Estimator, RecentSpectra
from antiphon_denoise.gate.gains import PhraseGate, ThresholdOpener, denoise_apply_trust, denoise_power
from antiphon_denoise.gate.player import NEPERS_PER_DB, NO_CEILING, GatePlayer
from antiphon_denoise.learned import AUTOENCODER, MASK
from antiphon_denoise.learned.confidence import Confidence, load_confidence
from antiphon_denoise.learned.delayed import DelayedSpectra
from antiphon_denoise.learned.file_confidence import FileConfidence, load as load_file_confidence
from antiphon_denoise.learned.file_mask import FileMask, FileNoise, load as load_file_mask
from antiphon_denoise.wavelet import Shrinker

# ---- Removes mains hum before the other stages: harmonics of 50 or 60 Hz whose phase is constant for seconds
# Each harmonic ("line") is demodulated, averaged over about a second and subtracted: a notch some tenths of a hertz
# wide (Widrow et al., 1975), narrower than any mask on bins of 23 Hz. A line counts as hum when its average is far
# above what chance gives; mains hum is present when several of its lines do. The mains frequency is the one of a fine
# comb of guesses at which the averages are largest.

C128 = NDArray[np.complex128]
MAINS = (50.0, 60.0)
LINES = 20
CANDIDATES = 2 * 28 + 1
FREQUENCY_STEP = 0.0001
"""Relative spacing of the candidate mains frequencies, which together cover ±0.28 %."""
_SECONDS = 4.0
_SURE, _OVER = 9.0, 6.0
_MOST = 40.0
_LEAST, _MANY = 3.0, 2.0
_DOUBT = 1.5
_FIRST = 12
_TUNED, _ROWS = len(MAINS), len(MAINS) * CANDIDATES * LINES
_MIN_POWER = 1e-16
_PERIODS = 3
_QUIET, _STEADY = 0.02, 0.05
"""Lower bounds of the power beside the hum that weights a hop: as a share of its average, and of the hum's power."""


@kernel
def denoise_hum_residual(
    parts: f32p, channels: i64, scale: f64, row: i64, mean: f64p, phasor: f64p, known: f64p
) -> f64:
    """Power at the lines of guess row `row` that their averages leave of one hop; known[0] ← power of the averages.

    parts, mean, phasor: as `denoise_hum_follow` has them.
    """
    rest = 0.0
    known[0] = 0.0
    for c in range(channels):
        for k in range(LINES):
            here = row * LINES + k
            at = 2 * ((c * _TUNED + row // CANDIDATES) * LINES + k)
            to = 2 * (c * _ROWS + here)
            re = f64(parts[at]) * scale
            im = -f64(parts[at + 1]) * scale
            left = re * phasor[2 * here] - im * phasor[2 * here + 1] - mean[to]
            turned = re * phasor[2 * here + 1] + im * phasor[2 * here] - mean[to + 1]
            rest = rest + left * left + turned * turned
            known[0] = known[0] + mean[to] * mean[to] + mean[to + 1] * mean[to + 1]
    return rest


@kernel
def denoise_hum_follow(
    parts: f32p, channels: i64, scale: f64, share: f64, mean: f64p, power: f64p, phasor: f64p
) -> None:
    """Averages the demodulated lines of one hop into mean and power, in place.

    parts: `[channels, mains, lines, 2]` cosine and sine correlation of the hop, times `scale` its amplitude. share: of
    this hop in the averages, 0 to 1. mean: `[channels, mains, guesses, lines, 2]`, complex. power: `[channels, mains,
    lines]`. phasor: `[mains, guesses, lines, 2]` rotation that undoes the phase advance since the first hop.
    """
    for c in range(channels):
        for m in range(_TUNED):
            for k in range(LINES):
                at = (c * _TUNED + m) * LINES + k
                re = f64(parts[2 * at]) * scale
                im = -f64(parts[2 * at + 1]) * scale
                power[at] = power[at] + (re * re + im * im - power[at]) * share
                for g in range(CANDIDATES):
                    turn = 2 * ((m * CANDIDATES + g) * LINES + k)
                    to = 2 * c * _ROWS + turn
                    mean[to] = mean[to] + (re * phasor[turn] - im * phasor[turn + 1] - mean[to]) * share
                    mean[to + 1] = mean[to + 1] + (re * phasor[turn + 1] + im * phasor[turn] - mean[to + 1]) * share


@kernel
def denoise_hum_rank_lines(mean: f64p, power: f64p, channels: i64, chance: f64, above: f64p) -> i64:
    """above `[mains, guesses, lines]` ← the squared average of each line relative to chance, in its loudest channel.

    mean, power: as in `denoise_hum_follow`; chance: expected squared average for noise of unit power. Returns the
    row `mains * CANDIDATES + guess` with the largest capped sum.
    """
    best = 0
    most = -1.0
    for row in range(_TUNED * CANDIDATES):
        total = 0.0
        for k in range(LINES):
            here = row * LINES + k
            highest = 0.0
            for c in range(channels):
                at = 2 * (c * _ROWS + here)
                square = mean[at] * mean[at] + mean[at + 1] * mean[at + 1]
                own = power[(c * _TUNED + row // CANDIDATES) * LINES + k]
                highest = max(highest, square / (own * chance + _MIN_POWER))
            above[here] = highest
            total = total + highest / (1.0 + highest / _MOST)
        if total > most:
            most = total
            best = row
    return best


@kernel
def denoise_hum_line_count(above: f64p, row: i64) -> f64:
    """Soft count, 0 to `LINES`, of the lines of guess row `row` that are far above chance."""
    total = 0.0
    for k in range(LINES):
        total = total + max(min((above[row * LINES + k] - _SURE) / _OVER, 1.0), 0.0)
    return total


@kernel
def denoise_hum_amplitudes(
    mean: f64p, phasor: f64p, above: f64p, row: i64, channels: i64, amount: f64, weak_share: f64, back: f32p
) -> None:
    """back `[channels, mains, lines, 2]` ← cosine and sine amplitudes of the lines to subtract from this hop.

    mean, phasor, above: as in the kernels above; row: the best guess. The share `amount` of the hum is removed; for
    lines barely above chance, `weak_share` of that.
    """
    for n in range(channels * _TUNED * LINES * 2):
        back[n] = 0.0
    for c in range(channels):
        for k in range(LINES):
            here = row * LINES + k
            sure = max(min((above[here] - _SURE) / _OVER, 1.0), 0.0)
            share = max(sure, weak_share * max(1.0 - _DOUBT / (above[here] + 1e-9), 0.0)) * amount
            at = 2 * (c * _ROWS + here)
            to = 2 * ((c * _TUNED + row // CANDIDATES) * LINES + k)
            re = phasor[2 * here]
            im = phasor[2 * here + 1]
            back[to] = (mean[at] * re + mean[at + 1] * im) * share
            back[to + 1] = -(mean[at + 1] * re - mean[at] * im) * share


@kernel
def denoise_hum_rotate(phasor: f64p, turn: f64p) -> None:
    """phasor `[mains, guesses, lines, 2]` ← rotated by turn, of the same shape: one hop later."""
    for n in range(_ROWS):
        re = phasor[2 * n]
        im = phasor[2 * n + 1]
        phasor[2 * n] = re * turn[2 * n] - im * turn[2 * n + 1]
        phasor[2 * n + 1] = re * turn[2 * n + 1] + im * turn[2 * n]


class MainsHumRemover:
    """Mains hum canceller of one stream. `presence`: confidence, 0 to 1; `subtracts`: whether it removes hum."""

    def __init__(self, grid: SpectrumSizes, rate: int, channels: int) -> None:
        self._hop, self._channels = grid.hop, channels
        orders = np.arange(1, LINES + 1, dtype=np.float64)
        middle = np.arange(grid.hop) - (grid.hop - 1) / 2
        turns = 2 * np.pi / rate * np.outer(np.outer(MAINS, orders).ravel(), middle)
        # rows: cosine and sine of every line, its phase 0 in the middle of the hop
        self._basis: F32 = np.stack([np.cos(turns), np.sin(turns)], 1).reshape(-1, grid.hop).astype(np.float32)
        self._across = self._basis.T
        shares = 1.0 + FREQUENCY_STEP * (np.arange(CANDIDATES) - CANDIDATES // 2)
        hertz = np.outer(MAINS, shares)
        self._turn: C128 = np.exp(-2j * np.pi * grid.hop / rate * hertz[:, :, None] * orders)
        self._parts: F32 = np.zeros((channels, len(self._basis)), np.float32)
        self._line: F32 = np.zeros((channels, grid.hop), np.float32)
        self._back: F32 = np.zeros((channels, len(self._basis)), np.float32)
        self._keep = 1.0 - grid.hop / rate / _SECONDS
        shape = (channels, len(MAINS), CANDIDATES, LINES)
        self._mean: C128 = np.zeros(shape, np.complex128)
        self._known: F64 = np.zeros(1)
        self._rests: F64 = np.zeros(round(_PERIODS * rate / MAINS[0] / grid.hop))
        self._power: F64 = np.zeros((channels, len(MAINS), LINES))
        self._phasor: C128 = np.ones(shape[1:], np.complex128)
        self._above: F64 = np.zeros(shape[1:])
        self.reset()

    def reset(self) -> None:
        self._mean.fill(0.0)
        self._power.fill(0.0)
        self._phasor.fill(1.0)
        self._weight = self._squares = self._usual = self._count = 0.0
        self._row = 0
        self._first: C128 | None = None
        self._rests.fill(0.0)
        self._hops = 0
        self.presence, self.subtracts = 0.0, False

    def rewind(self) -> None:
        """Expects the first hop since `reset` again: restarts phases, and the averages after a look-ahead."""
        self._phasor.fill(1.0)
        if self._first is not None:
            np.copyto(self._mean, self._first)

    def look_ahead(self, hops: list[F32]) -> None:
        """Estimates the hum from these hops in reversed order, so that the first of them starts with an estimate."""
        self.reset()
        for hop in reversed(hops):
            self.take(np.ascontiguousarray(hop[:, ::-1]), 0.0)
        # a reversed sine has the conjugate amplitude, and phases count from the first hop on
        self._first = np.conj(self._mean) * self._turn ** (len(hops) - 1)
        self.rewind()

    def take(self, sound: F32, amount: float) -> None:
        """Subtracts a share of the hum, 0 to 1, from the newest hop, float32 `[channels, hop]`, in place."""
        if not sound.any():
            # digital silence has no hum, and says nothing of what sounds after it
            denoise_hum_rotate(self._phasor, self._turn)
            return
        np.dot(sound, self._across, out=self._parts)
        share = self._share()
        denoise_hum_follow(self._parts, self._channels, 2.0 / self._hop, share, self._mean, self._power, self._phasor)
        chance = self._squares / self._weight**2
        row = self._row = denoise_hum_rank_lines(self._mean, self._power, self._channels, chance, self._above)
        sure = denoise_hum_line_count(self._above, row)
        self._hops += 1
        self.presence = min(1.0, max(0.0, sure - _LEAST + 1.0)) if self._hops > _FIRST else 0.0
        if self.presence > 0.0 and amount > 0.0:
            self.subtracts = True
            many = min(1.0, max(0.0, (sure - _LEAST) / _MANY))
            denoise_hum_amplitudes(
                self._mean, self._phasor, self._above, row, self._channels, amount * self.presence, many, self._back
            )
            np.dot(self._back, self._basis, out=self._line)
            np.subtract(sound, self._line, out=sound)
        denoise_hum_rotate(self._phasor, self._turn)

    def _share(self) -> float:
        """Returns the weight of this hop in the averages, larger if there is less sound beside the hum."""
        rest = denoise_hum_residual(
            self._parts, self._channels, 2.0 / self._hop, self._row, self._mean, self._phasor, self._known
        )
        self._rests[self._hops % len(self._rests)] = rest
        rest = float(self._rests.max())  # over whole periods of the mains, in which the lines beat
        self._usual += (rest - self._usual) * max(1.0 - self._keep, 1.0 / (self._hops + 1))
        least = _QUIET * self._usual + _STEADY * float(self._known[0]) + _MIN_POWER
        weight = 1.0 / (rest + least)
        # what was quiet for as long as it is remembered counts no more than a quiet hop of now
        past = min(self._weight * self._keep, self._count / least)
        self._count = self._count * self._keep + 1.0
        # squares: the squared mean that noise of unit power leaves
        self._squares = self._squares * (past / self._weight) ** 2 + weight**2 if self._weight else weight**2
        self._weight = past + weight
        return weight / self._weight


log = logging.getLogger("antiphon.denoise")
MODELS = {"learned": MASK, "autoencoder": AUTOENCODER}
ALL_MODELS = {**MODELS, "deepfilter": DEEPFILTER}
HUM_SECONDS = 10.0
"""Length in seconds of a file's hum analysis before playback."""
GATE_HOP = 640
"""Frames between two spectra at 48 kHz in modes `gate` and `wavelet`."""
NO_MODEL_TEXT = "It works by its gate instead: less noise is taken away, and less of the sound is harmed"
"""Suffix of a warning about a missing model, with the card's figures."""


class Denoise(Processor):
    """Noise reduction in four modes on one hop grid each: a learned mask, an autoencoder, a spectral gate, wavelets.

    Hops are counted from the last `reset`, and a hop reads its parameters at its last sample, so any split into blocks
    gives the same samples. One gain serves all channels, so the stereo image stays. With `amount` 0 the output is the
    input, `latency` frames later.
    """

    on_files = FileUse(preroll="preroll", causal="causal", hears="antiphon_denoise.floor:hear", takes="amount")
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

        A learned mode without its weights is replaced by `gate`, with a warning.
        """
        self._rate = spec.rate
        mode = str(self.settings["mode"])
        self._whole: DeepFilter | None = None
        self._file_confidence: FileConfidence | None = None
        self._noise: F32 | None = None  # of a file, once it was found
        self._trust: F32 | None = None
        self._top: F32 | None = None
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
        """Returns the processor that replaces this node in mode `deepfilter`."""
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

    def heard(self, told: FileNoise | F32 | None) -> None:
        """Sets the result of `floor`, or, for speech, its noise."""
        if self._whole is not None:
            self._whole.heard(told if isinstance(told, np.ndarray) else None)
            return
        if not isinstance(told, FileNoise):
            return
        self._trust = told.trust
        if self._player is None:
            self._top = None if told.top is None else told.top.noise(self._grid)
        elif told.trust is not None:
            self._player.trust(told.trust)

    def look_ahead(self, frames: int | None) -> bool:
        """Prepares a pass that records the features of a file of `frames` frames, in mode `learned`.

        There are two passes if the file has its own mask, or if steady noise was found. Returns whether one is needed.
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

        After a preroll, all estimates are kept. After a pass over the whole file, the mains hum of its beginning and
        its noise are kept, with the mask or, after the last pass, the shares.
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
        if self._top is not None:
            np.add(estimator.power, self._top[self._hops % len(self._top)], out=estimator.power)
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
        delayed.exchange_hop(self._number, self._spectra.sound, estimator.power, self._gain, io)
        if ceiling < 1e8:
            self._opener.open(estimator.power, ceiling, delayed.gain)
            self._opener.open(estimator.power, ceiling, delayed.mask)
        if self._trust is not None:
            denoise_apply_trust(delayed.gain, self._grid.bins, *self._places, self._trust)
        self._scale_gain(delayed.gain, amount)
        self._spectra.inverse(self._gain, self._frame)
        return float(np.mean(estimator.power[:BINS]))

    def _scale_gain(self, gain: F32, amount: float) -> None:
        """_gain ← 1 - amount * (1 - gain): `amount`, 0 to 1, of the reduction."""
        np.subtract(1.0, gain, out=self._gain)
        np.multiply(self._gain, -amount, out=self._gain)
        np.add(self._gain, 1.0, out=self._gain)
