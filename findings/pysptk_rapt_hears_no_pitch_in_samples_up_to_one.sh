#!/usr/bin/env bash
# Package: pysptk 1.0.1 (PyPI; SPTK's RAPT and SWIPE'), with setuptools 80.9.0, whose pkg_resources it imports.
# One would expect: the pitch of a tone does not depend on how loud it is; a float array holds samples from -1 to 1.
# What happens: rapt takes float32 samples for 16 bit numbers: a sawtooth at half of full scale is unvoiced in every
#   frame, and the same array times 32767 is voiced at 200 Hz. swipe, beside it, reads both alike.
# Why it matters: arrays of soundfile or librosa give an empty melody without a word.
# Source: pysptk's docs, rapt ("x: array, dtype=np.float32, the whole audio signal"); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pysptk==1.0.1 setuptools==80.9.0
cd "$folder"
venv/bin/python - <<'END'
import warnings

warnings.simplefilter("ignore")
import numpy as np
import pysptk

RATE = 44_100
TIME = np.arange(RATE) / RATE
TONE = sum(np.sin(2 * np.pi * 200 * k * TIME) / k for k in range(1, 8)) * 0.25
voiced = {}
for scale in (1, 32_767):
    for name, method, kind in (("rapt", pysptk.rapt, np.float32), ("swipe", pysptk.swipe, np.float64)):
        hertz = method((TONE * scale).astype(kind), fs=RATE, hopsize=441, min=60, max=500, otype="f0")
        voiced[name, scale] = float(np.mean(hertz > 0))
        print(f"{name:5} of samples up to {np.abs(TONE).max() * scale:8.2f}: {voiced[name, scale]:.2f} of frames voiced")
assert voiced["rapt", 1] == 0 and voiced["rapt", 32_767] > 0.95
assert voiced["swipe", 1] > 0.95 and voiced["swipe", 32_767] > 0.95
END
