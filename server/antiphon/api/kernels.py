"""Per-sample loops as machine code: `kernel`, the types of its arguments, and two kernels for wavelet bands.

A module with kernels begins with `from __future__ import annotations`.
"""

from __future__ import annotations

from antiphon.native import Kernel, f32, f32p, f64, f64p, i64, i64p, kernel, u8p
from antiphon.native.wavelet import wavelet_join, wavelet_split

__all__ = ["Kernel", "f32", "f32p", "f64", "f64p", "i64", "i64p", "kernel", "u8p", "wavelet_join", "wavelet_split"]
