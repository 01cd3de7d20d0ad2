#!/usr/bin/env bash
# Package: librosa 0.11.0: onset.onset_detect, effects.split and effects.trim with their defaults.
# One would expect: a channel that is open and unused, white noise at -120 dBFS, has no onsets and is cut as silence;
#   a file of zeros is one of no sound at all.
# What happens: twenty seconds of that noise have 196 onsets, since the curve is scaled to its own largest value. split
#   and trim measure from the loudest frame of the same file: zeros come back from split as one piece of sound, whole,
#   and from trim uncut, as does the noise.
# Why it matters: takes with a silent channel are cut at two hundred places or kept as music, and nothing in the
#   result tells them from a take that was played.
# Source: the pages say that levels are relative to the largest; what silence becomes is measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check librosa==0.11.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import librosa
import numpy as np

rate = 22050
noise = (1e-6 * np.random.default_rng(1).standard_normal(20 * rate)).astype(np.float32)
zeros = np.zeros(20 * rate, np.float32)
onsets = len(librosa.onset.onset_detect(y=noise, sr=rate))
pieces = librosa.effects.split(zeros).tolist()
trimmed = librosa.effects.trim(zeros)[1].tolist()
print(f"noise at -120 dBFS: {onsets} onsets; zeros: split {pieces}, trim {trimmed}, tempo "
      f"{librosa.feature.tempo(y=zeros, sr=rate)[0]:.1f}, beats {librosa.beat.beat_track(y=zeros, sr=rate)[0]}")
assert onsets > 100
assert pieces == [[0, len(zeros)]] and trimmed == [0, len(zeros)]
assert 115 < librosa.feature.tempo(y=zeros, sr=rate)[0] < 120
END
