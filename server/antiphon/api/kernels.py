"""Loops as machine code: `kernel`, the types of its arguments, kernels for spectra, addresses of arrays.

A module with kernels begins with `from __future__ import annotations`.
"""

from antiphon.api._kernels import HopPlace, NextEventTimer, RealFft, fft_real, fft_real_inverse
from antiphon.native.compiling import kernel
from antiphon.native.dsp import copy_sound, fill_sound
from antiphon.native.intrinsics import address_f32, channel, offset
from antiphon.native.kernel import Audio, address, f32, f32p, f64, f64p, i64, i64p
