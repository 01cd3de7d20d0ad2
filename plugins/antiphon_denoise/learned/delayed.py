"""The learned modes' way to a gain: spectra go to a worker, and wait for its answer.

A hop's spectrum waits `lead` hops, then meets the gains that the network gave for it, or the gate's where there are
none: the gate thinks along on the same grid, so a hop without an answer sounds no different in kind.
"""

from __future__ import annotations

import numpy as np

from antiphon.api import IO
from antiphon.api.kernels import f32, f32p, i64, i64p, kernel
from antiphon.api.models import ModelClient, ModelInfo
from antiphon_denoise.bands import BINS
from antiphon_denoise.learned.spec import UNITS, UNKNOWN, first_bins, unit_of_bin
from antiphon_denoise.spectrum import C64, F32, SpectrumSizes


@kernel
def denoise_units(power: f32p, first: i64p, units: i64, bins: i64, out: f32p) -> None:
    """out `[units]` ← mean power of the bins from first[u] to the next unit's."""
    for u in range(units):
        total = f32(0.0)
        last = bins
        if u + 1 < units:
            last = first[u + 1]
        for k in range(first[u], last):
            total = total + power[k]
        out[u] = total / f32(last - first[u])


@kernel
def denoise_spread(gains: f32p, unit: i64p, bins: i64, out: f32p) -> None:
    """out `[bins]` ← the gain of each bin's unit, within 0..1."""
    for k in range(bins):
        out[k] = max(min(gains[unit[k]], f32(1.0)), f32(0.0))


class Waiting:
    """A ring of spectra with what the gate would do to them, and the line to the worker."""

    def __init__(self, model: ModelInfo, grid: SpectrumSizes, channels: int, block: int, node: int) -> None:
        self.client = ModelClient(model, 1, grid.hop, block, node)
        self.lead = self.client.lead
        self._slots = self.lead + 1
        self._spectra: C64 = np.zeros((self._slots, channels, grid.bins), np.complex64)
        self._gate: F32 = np.ones((self._slots, grid.bins), np.float32)
        self._powers: F32 = np.zeros((self._slots, grid.bins), np.float32)
        self._sent: F32 = np.zeros((1, 2, UNITS), np.float32)
        self._first, own = first_bins(), unit_of_bin()
        self._unit = np.append(own, np.full(grid.bins - BINS, UNITS - 1, np.int64))
        self._bins = grid.bins
        self.gain: F32 = np.ones(grid.bins, np.float32)
        self.answered = False

    def begin(self, hop: int) -> None:
        """Forgets the past; the next hop is `hop`."""
        self._begun = hop
        self._spectra.fill(0.0)
        self._powers.fill(0.0)
        self._gate.fill(1.0)
        self._sent[0, 1] = UNKNOWN
        self.client.reset()
        self.client.begin(hop)

    def learn(self, power: F32) -> None:
        """From now on the noise is what has `power` `[bins]`."""
        denoise_units(power, self._first, UNITS, BINS, self._sent[0, 1])
        np.add(self._sent[0, 1], 1e-10, out=self._sent[0, 1])
        np.log(self._sent[0, 1], out=self._sent[0, 1])

    def turn(self, hop: int, spectrum: C64, power: F32, gate: F32, io: IO) -> None:
        """Sends hop `hop` off, and puts hop `hop - lead` into `spectrum`, `power` and `gain`."""
        sent = self._sent[0, 0]
        denoise_units(power, self._first, UNITS, BINS, sent)
        np.log(sent, out=sent)
        self.client.send(hop, self._sent, io)
        slot = hop % self._slots
        self._spectra[slot] = spectrum
        self._powers[slot] = power
        self._gate[slot] = gate
        due = hop - self.lead
        slot = due % self._slots
        given = self.client.take(due, io) if due >= self._begun else None
        self.answered = given is not None
        if given is not None:
            denoise_spread(given[0, 0], self._unit, self._bins, self.gain)
        else:
            self.gain[:] = self._gate[slot]
        spectrum[:] = self._spectra[slot]
        power[:] = self._powers[slot]
