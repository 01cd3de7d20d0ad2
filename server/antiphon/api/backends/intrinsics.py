"""Kernel intrinsics beyond `antiphon.api.kernels`: memory shared with another process or thread, bits, C libraries.

Memory is shared by `load_acquire` and `store_release`. A library of C may call back what `compile_all` has compiled.
"""

from antiphon.native.compiling import compile_all
from antiphon.native.intrinsics import (
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
from antiphon.native.kernel import u8p
