#!/bin/sh
# Takes out of an environment what nothing runs at: slim.sh FOLDER.
set -eu
packages=$1/lib/python3.11/site-packages
cd "$packages"
find . -type d \( -name tests -o -name test -o -name __pycache__ \) -prune -exec rm -rf {} +
# pyo's examples and editor; Arrow's libraries for servers of data, its headers, and copies where wheels have no links
rm -rf pyo/examples pyo/editor pyarrow/include pyarrow/includes pyarrow/src
rm -f pyarrow/libarrow_flight.so* pyarrow/libarrow_python_flight.so* pyarrow/_flight* pyarrow/_substrait* \
    pyarrow/_pyarrow_cpp_tests* pyarrow/*.pyx pyarrow/*.pxi pyarrow/*.pxd
for library in pyarrow/libarrow_python*.so; do
    for version in "$library".*; do
        if [ -f "$version" ]; then rm -f "$version"; ln -s "${library##*/}" "$version"; fi
    done
done
rm -rf apache_beam/examples apache_beam/testing/benchmarks
# onnxruntime's library for programs in C, which its module has once more, and its tools that make and change graphs
rm -rf onnxruntime/capi/libonnxruntime.so* onnxruntime/transformers onnxruntime/quantization onnxruntime/tools
find . \( -name '*_test.py' -o -name '*_test.*.so' -o -name '*.c' -o -name '*.h' -o -name '*.pyx' -o -name '*.pyi' \) -delete
# symbols, only of wheels that no tool has changed after linking: numpy's, pyo's and those under *.libs are damaged by it
for library in $(find llvmlite pyarrow apache_beam cryptography yaml msgpack wcwidth zstandard fastavro safetensors \
        -name '*.so*' -type f 2>/dev/null); do
    strip --strip-unneeded "$library"
done
