#!/usr/bin/env bash
# Program: Pure Data vanilla 0.53.1 (Debian 12, puredata-core) at 44,100 Hz, objects lop~ and bp~; soundfile 0.14.0 and
#   numpy 2.4.6 (PyPI) measure.
# One would expect: lop~ 8000 is 3 dB down at 8 kHz, bp~ 8000 1 leaves a band around 8 kHz.
# What happens: lop~ 8000 gives its input back, sample for sample; lop~ 5000 is 1.1 dB down at 5 kHz and 5 dB at 20. bp~
#   of q 1 is no band: it passes the bass 6 dB louder, and at 8000 everything 6 dB louder. Above rate / 2π (7,019 Hz)
#   the coefficient is cut to 1. lop~ 500 is 3 dB down at 500 Hz.
# Why it matters: a patch that dulls hiss or a bright voice with lop~ 8000 does nothing, and at 96 kHz it does: it
#   sounds otherwise on another interface.
# Source: the coefficient is cutoff · 2π / rate, cut to 1 (d_filter.c, siglop_ft1); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
command -v puredata >/dev/null || { echo "needs puredata-core"; exit 2; }
dpkg-query -W puredata-core
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import subprocess

import numpy as np
import soundfile

RATE, SIZE, FRAMES = 44_100, 8192, 1 << 17
FILTERS = ["lop~ 500", "lop~ 5000", "lop~ 8000", "bp~ 500 1", "bp~ 8000 1"]
# each signal is written into a table, and after it is full all tables into a file
texts = ["noise~", *FILTERS, *(f"tabwrite~ t{n}" for n in range(6)), *(f"table t{n} {FRAMES}" for n in range(6))]
wires = [(0, 0, n, 0) for n in range(1, 6)] + [(n, 0, 6 + n, 0) for n in range(6)]
kinds = ["obj"] * len(texts)
first = len(texts)
chain = [("obj", "loadbang"), ("obj", "t b b b"), ("msg", "\\; pd dsp 1"), ("obj", "del 3500")]
tables = " ".join(f"t{n}" for n in range(6))
chain += [("msg", f"write -wave -bytes 4 out.wav {tables}"), ("obj", "soundfiler"), ("msg", "\\; pd quit")]
for kind, text in chain:
    kinds.append(kind)
    texts.append(text)
wires += [(first, 0, first + 1, 0), (first + 1, 2, first + 2, 0), (first + 1, 0, first + 3, 0)]
wires += [(first + 1, 1, 6 + n, 0) for n in range(6)]
wires += [(first + 3 + n, 0, first + 4 + n, 0) for n in range(3)]
lines = ["#N canvas 0 0 450 300 10;"]
lines += [f"#X {kind} 0 0 {text};" for kind, text in zip(kinds, texts, strict=True)]
lines += ["#X connect {} {} {} {};".format(*wire) for wire in wires]
with open("patch.pd", "w") as file:
    file.write("\n".join(lines) + "\n")
run = ["puredata", "-nogui", "-noaudio", "-batch", "-r", str(RATE), "patch.pd"]
subprocess.run(run, check=True, stderr=subprocess.DEVNULL, timeout=60)

sound, rate = soundfile.read("out.wav", dtype="float32")
assert rate == RATE and len(sound) == FRAMES
frames = sound[: len(sound) // SIZE * SIZE].reshape(-1, SIZE, sound.shape[1])
power = np.mean(np.abs(np.fft.rfft(frames * np.hanning(SIZE)[None, :, None], axis=1)) ** 2, axis=0)
gain = {}
for place, name in enumerate(FILTERS, 1):
    for hertz in (50, 500, 5000, 8000, 20_000):
        low, high = (round(hertz * edge * SIZE / RATE) for edge in (0.9, 1.1))
        ratio = power[low : high + 1, place].sum() / power[low : high + 1, 0].sum()
        gain[name, hertz] = 10 * np.log10(ratio)
    print(name, {hertz: round(float(gain[name, hertz]), 1) for hertz in (50, 500, 5000, 8000, 20_000)})
print("greatest difference of lop~ 8000 and its input:", np.abs(sound[:, 3] - sound[:, 0]).max())
assert np.array_equal(sound[:, 3], sound[:, 0])
assert -3.5 < gain["lop~ 500", 500] < -2.5 and gain["lop~ 500", 5000] < -15
assert -1.5 < gain["lop~ 5000", 5000] < -0.7 and gain["lop~ 5000", 20_000] > -6
assert all(5.5 < gain["bp~ 8000 1", hertz] < 6.5 for hertz in (50, 500, 5000, 8000, 20_000))
assert gain["bp~ 500 1", 8000] < -20
END
