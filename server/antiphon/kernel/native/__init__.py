"""Small per-sample loops and the device callback, compiled at start by LLVM.

`kernel` turns a function of a narrow Python subset into machine code. numba would do the same
and more, at 60-130 MB of memory in the engine; this needs llvmlite alone and 60 ms at start.
"""

from antiphon.kernel.native.compiling import compile_all, kernel
from antiphon.kernel.native.kernel import Audio, Kernel, f32, f32p, f64, f64p, i64, i64p, u8p

__all__ = ["Audio", "Kernel", "compile_all", "f32", "f32p", "f64", "f64p", "i64", "i64p", "kernel", "u8p"]
