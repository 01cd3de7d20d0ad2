"""Small per-sample loops and the device callback, compiled by LLVM from a narrow subset of Python."""

from antiphon.kernel.native.compiling import compile_all, kernel
from antiphon.kernel.native.kernel import Audio, Kernel, f32, f32p, f64, f64p, i64, i64p, u8p

__all__ = ["Audio", "Kernel", "compile_all", "f32", "f32p", "f64", "f64p", "i64", "i64p", "kernel", "u8p"]
