"""What kernels may call beside `antiphon.api.kernels`: bits of a float, pointers of addresses, memory fetched ahead."""

from __future__ import annotations

from antiphon.native.intrinsics import address_f64, address_i64, bits_f64, f64_bits, prefetch
