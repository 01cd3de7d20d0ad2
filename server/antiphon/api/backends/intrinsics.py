"""Kernel intrinsics beyond `antiphon.api.kernels`: memory shared with another process or thread, bits, C libraries.

Memory is shared by `load_acquire` and `store_release`. A library of C may call back what `compile_all` has compiled.
"""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
from antiphon.native.compiling import compile_all
from antiphon.native.intrinsics import call_c, load_acquire, store_release
from antiphon.native.kernel import u8p

if not TYPE_CHECKING:  # a type checker would find every name
    __getattr__ = _former.refuse(__name__)
