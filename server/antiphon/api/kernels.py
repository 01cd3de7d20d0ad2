"""Loops as machine code: `kernel`, the types of its arguments, kernels for spectra, addresses of arrays.

A module with kernels begins with `from __future__ import annotations`.
"""

from antiphon.api._kernels import NextEventTimer, RealFft, fft_real, fft_real_inverse
from antiphon.kernel.native import Audio, f32, f32p, f64, f64p, i64, i64p, kernel
from antiphon.kernel.native.dsp import copy_sound, fill_sound
from antiphon.kernel.native.intrinsics import address_f32, channel, offset
from antiphon.kernel.native.kernel import address
