"""What a kernel may call beside `antiphon.api.kernels`: the bits of a float, and memory fetched ahead."""

from __future__ import annotations

from antiphon.native.intrinsics import bits_f64, f64_bits, prefetch
