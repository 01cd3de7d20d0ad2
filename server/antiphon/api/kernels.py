"""Loops as machine code: `kernel`, the types of its arguments, kernels for spectra and wavelet bands, intrinsics.

A module with kernels begins with `from __future__ import annotations`.
"""

from __future__ import annotations

from antiphon.contract.beat_rest import BeatRest
from antiphon.native import Audio, Kernel, f32, f32p, f64, f64p, i64, i64p, kernel, u8p
from antiphon.native.dsp import copy_sound, fill_sound
from antiphon.native.fft import RealFft, fft_real, fft_real_inverse
from antiphon.native.intrinsics import address_f32, channel, offset
from antiphon.native.kernel import address
from antiphon.native.wavelet import wavelet_join, wavelet_split
