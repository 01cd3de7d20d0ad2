"""Small per-sample loops and the device callback, compiled by LLVM from a narrow subset of Python."""
