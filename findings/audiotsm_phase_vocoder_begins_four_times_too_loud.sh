#!/usr/bin/env bash
# Package: audiotsm 0.1.2 (PyPI), its phasevocoder with the defaults, beside its ola and wsola.
# One would expect: a steady tone stretched to another tempo is as loud at its first sample as in its middle, and a
#   factor of one changes no level.
# What happens: the phase vocoder's first sample is four times as large as the input's, at every factor, one included: a
#   cosine of .25 begins at 1.0 and needs some 500 samples to come down; one of .5 begins at 2.0, 6 dB above full
#   scale. `ola` and `wsola` never pass .25 (wsola begins with some 300 to 512 samples of silence, at a factor of one too).
# Why it matters: each loop or sentence that is stretched begins with a click, and a file of 16 bits is clipped there.
# Source: the output is divided by the sum of the windows so far (audiotsm/base/analysis_synthesis.py); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check audiotsm==0.1.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import numpy as np
from audiotsm import ola, phasevocoder, wsola
from audiotsm.io.array import ArrayReader, ArrayWriter

RATE = 44_100
TONE = 0.25 * np.cos(2 * np.pi * 441 * np.arange(2 * RATE) / RATE)


def stretch(method, speed):
    reader, writer = ArrayReader(TONE[None]), ArrayWriter(1)
    method(1, speed=speed).run(reader, writer)
    return writer.data[0]


for speed in (0.8, 1.0, 1.25):
    for method in (phasevocoder, wsola, ola):
        y = stretch(method, speed)
        first, middle = abs(y[:100]).max(), abs(y[20_000:40_000]).max()
        silent = int(np.argmax(abs(y) > 1e-6))
        print(f"{method.__name__:12} speed {speed:4}: first samples {first:.3f}, middle {middle:.3f}, silence {silent}")
        assert abs(middle - 0.25) < 0.01
        if method is phasevocoder:
            assert abs(first - 1.0) < 0.01
        else:
            assert first < 0.26
        assert (silent > 300) == (method is wsola)
END
