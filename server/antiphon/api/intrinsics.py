"""For kernels beside `antiphon.api.kernels`: bits of a float, memory fetched ahead or shared, and calls from and to C.

Memory is shared with another process or thread by `load_acquire` and `store_release`. A library of C calls back a
kernel that `compile_all` has compiled.
"""

from __future__ import annotations

from antiphon.kernel.native import compile_all
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
