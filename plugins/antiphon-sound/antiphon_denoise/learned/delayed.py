"""Learned modes: sends spectra to the model's worker and applies its gains to the delayed spectra.

A hop's spectrum is delayed by `lead` hops and scaled by the gains of its answer, or by those of a file's own mask,
adjusted by the confidence network. In low latency, with a worker, the delay is a hop less, and the gains are a hop
older than the sound. If an answer is missing, the gains of the spectral gate on the same grid are used, so that a
dropout affects the quality but not the character of the sound.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import F32, IO
from antiphon.api.backends.models import ModelClient, ModelInfo
from antiphon.api.backends.signal import C64, SpectrumSizes
from antiphon.api.kernels import f32, f32p, i64, i64p, kernel
from antiphon_denoise.bands import BINS
from antiphon_denoise.learned import NO_NOISE, UNITS, first_bins, unit_of_bin
from antiphon_denoise.learned.confidence import Confidence
from antiphon_denoise.learned.file_confidence import FileConfidence
from antiphon_denoise.learned.file_mask import FileMask


@kernel
def denoise_unit_powers(power: f32p, first: i64p, units: i64, bins: i64, out: f32p) -> None:
    """out `[units]` ← mean power of the bins of each unit, from first[u] to before first[u + 1]."""
    for u in range(units):
        total = f32(0.0)
        last = bins
        if u + 1 < units:
            last = first[u + 1]
        for k in range(first[u], last):
            total = total + power[k]
        out[u] = total / f32(last - first[u])


@kernel
def denoise_expand_unit_gains(gains: f32p, unit: i64p, bins: i64, out: f32p) -> None:
    """out `[bins]` ← the gain of each bin's unit, clipped to 0..1."""
    for k in range(bins):
        out[k] = max(min(gains[unit[k]], f32(1.0)), f32(0.0))


class DelayedSpectra:
    """Delay line of spectra with the gate's gains for them, and the client of the model's worker.

    `lead`, `delay`: hops from sending a spectrum to its answer, and to its sound. `gain`: `[bins]` of the hop that
    `turn` wrote, the model's if it is `answered`, else the gate's; `mask`: the same before `confidence`, for telling
    phrases from pauses. `file`: the mask of a file that is analysed in advance, or None.
    """

    def __init__(
        self, model: ModelInfo, grid: SpectrumSizes, channels: int, block: int, node: int, confidence: Confidence | None
    ) -> None:
        """Allocates the ring and connects to the worker. Raises `WorkerError`: the worker could not be started."""
        self.client = ModelClient(model, 1, grid.hop, block, node)
        self.lead = self.client.lead
        self.delay = max(0, self.lead - 1) if grid.overlap else self.lead
        self.confidence: Confidence | FileConfidence | None = confidence
        self.file: FileMask | None = None
        self._slots = self.lead + 1
        self._spectra: C64 = np.zeros((self._slots, channels, grid.bins), np.complex64)
        self._gate: F32 = np.ones((self._slots, grid.bins), np.float32)
        self._powers: F32 = np.zeros((self._slots, grid.bins), np.float32)
        self._known = [False] * self._slots
        self._sent: F32 = np.zeros((1, 2, UNITS), np.float32)
        self._first, own = first_bins(), unit_of_bin()
        self._unit = np.append(own, np.full(grid.bins - BINS, UNITS - 1, np.int64))
        self._bins = grid.bins
        self.gain: F32 = np.ones(grid.bins, np.float32)
        self.mask: F32 = np.ones(grid.bins, np.float32)
        self.answered = False

    def begin(self, hop: int) -> None:
        """Clears the ring and starts a new epoch whose first hop has the number `hop`."""
        self._begun = hop
        self._spectra.fill(0.0)
        self._powers.fill(0.0)
        self._gate.fill(1.0)
        for slot in range(self._slots):
            self._known[slot] = False
        self._sent[0, 1] = NO_NOISE
        if self.confidence is not None:
            self.confidence.reset()
        self.client.reset()
        self.client.begin(hop)

    def restart(self, hop: int) -> None:
        """Treats hop `hop` as the first of a file; keeps the ring and the learned noise, as after a preroll."""
        self._begun = hop
        if self.confidence is not None:
            self.confidence.reset()

    @property
    def told(self) -> bool:
        """Whether the network has a noise profile."""
        return bool(self._sent[0, 1, 0] > NO_NOISE / 2)

    @property
    def noise(self) -> F32 | None:
        """Log powers of the learned noise `[UNITS]`; None if unknown."""
        return self._sent[0, 1].copy() if self.told else None

    def learn(self, power: F32) -> None:
        """Sets the learned noise, sent along with each spectrum, to power `[bins]`."""
        denoise_unit_powers(power, self._first, UNITS, BINS, self._sent[0, 1])
        np.add(self._sent[0, 1], 1e-10, out=self._sent[0, 1])
        np.log(self._sent[0, 1], out=self._sent[0, 1])

    def exchange_hop(self, hop: int, spectrum: C64, power: F32, gate: F32, io: IO) -> None:
        """Sends hop `hop` and replaces it by hop `hop - lead`: writes `power`, `gain` and `answered`.

        `spectrum`, complex64 `[channels, bins]`, and its `power` are replaced in place by those of hop `hop - delay`.
        """
        sent = self._sent[0, 0]
        denoise_unit_powers(power, self._first, UNITS, BINS, sent)
        np.log(sent, out=sent)
        if self.file is not None:
            self.file.note(hop - self._begun, sent)
        # once a file's own gains are known the model is not asked: a fifth of a file's processor time
        own = self.file if self.file is not None and self.file.known else None
        if own is None:
            self.client.send(hop, self._sent, io)
        slot = hop % self._slots
        self._spectra[slot] = spectrum
        self._powers[slot] = power
        self._gate[slot] = gate
        self._known[slot] = self.told
        spectrum[:] = self._spectra[(hop - self.delay) % self._slots]
        due = hop - self.lead
        slot = due % self._slots
        power[:] = self._powers[slot]
        gains: F32 | None = None
        if due >= self._begun:
            if own is not None:
                gains = own.gain(due - self._begun)
            elif (answer := self.client.take(due, io)) is not None:
                gains = answer[0, 0]
        self.answered = gains is not None
        if gains is not None:
            denoise_expand_unit_gains(gains, self._unit, self._bins, self.gain)
            self.mask[:] = self.gain
            if self.confidence is not None:
                self.confidence.apply(power, self._gate[slot], self._known[slot], self.gain)
        else:
            self.gain[:] = self._gate[slot]
            self.mask[:] = self.gain
