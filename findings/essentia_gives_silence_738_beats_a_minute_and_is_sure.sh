#!/usr/bin/env bash
# Package: essentia 2.1b6.dev1389, RhythmExtractor2013 as it is called by default (multifeature).
# One would expect: twenty seconds of digital silence have no tempo: 0, no ticks, or a confidence of 0, whose scale
#   is said to go from 0 to 5.32, "excellent" from 3.5 on.
# What happens: 738.3 beats a minute, 245 ticks, confidence 4.59. Ten seconds have 4.41, a minute 5.0, so that the
#   longer the silence the surer it is; a steady beat of clicks at 120 is right with 3.87.
# Why it matters: rests at the end of a file, silent channels and empty tracks are the most reliable of a collection
#   where it is sorted or filtered by confidence.
# Source: the class's page (scale of the confidence); the figures are measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check essentia==2.1b6.dev1389 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import essentia
import numpy as np

essentia.log.warningActive = essentia.log.infoActive = False
import essentia.standard as standard

silence = np.zeros(20 * 44100, np.float32)
tempo, ticks, confidence, _, _ = standard.RhythmExtractor2013()(silence)
print(f"silence: {tempo:.1f} beats a minute, {len(ticks)} ticks, confidence {confidence:.2f}")
clicks = np.zeros(30 * 44100, np.float32)
noise = np.random.default_rng(1).normal(0.0, 0.5, 200)
for at in range(22050, len(clicks) - 4410, 22050):
    clicks[at : at + 200] = noise
right, _, sure, _, _ = standard.RhythmExtractor2013()(clicks)
print(f"clicks at 120: {right:.1f} beats a minute, confidence {sure:.2f}")
assert 730 < tempo < 745 and len(ticks) > 200 and confidence > 4.0
assert 119 < right < 121 and sure < confidence
END
