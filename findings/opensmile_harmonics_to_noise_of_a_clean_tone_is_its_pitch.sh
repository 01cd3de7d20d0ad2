#!/usr/bin/env bash
# Package: opensmile 2.6.0 (PyPI), feature set eGeMAPSv02, "HNRdBACF_sma3nz_amean" (harmonics-to-noise ratio).
# One would expect: a tone without any noise has a high ratio, whatever its pitch; the pitch itself is read within a few cents.
# What happens: the ratio of a noise-free sawtooth (and of a sine) is .9 dB at 55 Hz, 8 at 110, 14 at 220 and 16 to 20 at
#   440: some 6 dB an octave. The same 220 Hz with noise 20 dB below has a higher ratio than 110 Hz with none.
# Why it matters: the feature is read as the breathiness of a voice. Between a man's voice and a woman's it differs by 6 dB by the
#   pitch alone, and a melody's mean follows its key; a classifier learns the octave.
# Source: the autocorrelation at the lag of the pitch is not divided by that of the analysis window (60 ms), which falls with the
#   lag (Boersma 1993, "Accurate short-term analysis", has the division); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opensmile==2.6.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import numpy as np
import opensmile

RATE = 16_000
TIME = np.arange(2 * RATE) / RATE
smile = opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals)


def measure(hertz, partials, noise=0.0):
    tone = sum(np.sin(2 * np.pi * hertz * k * TIME) / k for k in range(1, partials + 1) if hertz * k < RATE / 2)
    x = 0.2 * tone + noise * np.random.default_rng(0).standard_normal(len(TIME))
    row = smile.process_signal(x.astype(np.float32), RATE).iloc[0]
    return float(row["HNRdBACF_sma3nz_amean"]), float(row["F0semitoneFrom27.5Hz_sma3nz_amean"])


for partials in (1, 10):
    clean = {}
    for hertz in (55, 110, 220, 440):
        clean[hertz], semitone = measure(hertz, partials)
        wanted = 12 * np.log2(hertz / 27.5)
        print(f"{partials:2} partials, {hertz} Hz: ratio {clean[hertz]:5.2f} dB, pitch {semitone:.2f} (wanted {wanted:.0f})")
        assert abs(semitone - wanted) < 0.5
    assert clean[55] < 2 and 7 < clean[110] < 9 and 13 < clean[220] < 16 and clean[440] > 16
    level = 0.2 * np.sqrt(sum(0.5 / k**2 for k in range(1, partials + 1)))
    noisy, _ = measure(220, partials, 0.1 * level)
    print(f"{partials:2} partials, 220 Hz with noise 20 dB below: {noisy:.2f} dB")
    assert noisy > clean[110] + 3
END
