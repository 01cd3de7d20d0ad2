"""Parts of kernels and hops: short-time spectra, wavelet bands, pitch of one voice, scales, lyrics, intrinsics.

Memory is shared with another process or thread by `load_acquire` and `store_release`. A library of C calls back a
kernel that `compile_all` has compiled.
"""

from __future__ import annotations

from antiphon.kernel.native import compile_all, u8p
from antiphon.kernel.native.intrinsics import (
    address_f64,
    address_i64,
    as_u8p,
    bits_f64,
    call_c,
    f64_bits,
    load_acquire,
    prefetch,
    store_release,
)
from antiphon.kernel.native.wavelet import symlet_filters, wavelet_join, wavelet_split
from antiphon.kernel.signal.decimator import HISTORY, HOP, Decimator
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
from antiphon.kernel.signal.lyrics import LyricSyllable, syllables
from antiphon.kernel.signal.pitch import FLAT_NAMES
from antiphon.kernel.signal.scales import CHORDS, SCALES
from antiphon.kernel.signal.yin import CENTRE, HIGHEST, LOWEST, MedianPitch, Yin
