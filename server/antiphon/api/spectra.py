"""Short-time spectra hop by hop, with little delay, for processors that scale them; filters of wavelet bands."""

from __future__ import annotations

from antiphon.kernel.native.wavelet import symlet_filters
from antiphon.kernel.signal.hop_spectrum import (
    C64,
    LOW_FADE,
    SampleHistory,
    Spectra,
    SpectrumSizes,
    grid,
    power_unit,
    windows,
)
