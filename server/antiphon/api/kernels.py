"""Loops as machine code: `kernel`, the types of its arguments, kernels for spectra and wavelet bands, intrinsics.

The intrinsics are for kernels that a C library calls back, and for words in memory that processes share. A module with
kernels begins with `from __future__ import annotations`.
"""

from __future__ import annotations

from antiphon.native import Audio, Kernel, compile_all, f32, f32p, f64, f64p, i64, i64p, kernel, u8p
from antiphon.native.dsp import copy_sound, fill_sound
from antiphon.native.fft import RealFft, fft_real, fft_real_inverse
from antiphon.native.intrinsics import address_f32, as_u8p, call_c, channel, load_acquire, offset, store_release
from antiphon.native.kernel import address
from antiphon.native.wavelet import wavelet_join, wavelet_split
