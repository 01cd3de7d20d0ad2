#!/usr/bin/env bash
# Package: pydub 0.25.1, AudioSegment.set_frame_rate (audioop of Python 3.11, or audioop-lts from 3.13 on).
# One would expect: a change of rate filters what the new rate cannot hold: of a tone of 5 kHz hardly anything is left
#   at 8,000 samples a second.
# What happens: nothing is filtered: it becomes a tone of 3 kHz, .4 dB softer than the one of 5 kHz was.
# Why it matters: it is the usual way to bring files to 16 or 8 kHz for a speech recogniser or a telephone: cymbals,
#   sibilants and hiss come back as tones and noise in the middle of the voice.
# Source: measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydub==0.25.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import numpy as np
from pydub import AudioSegment

rate, hertz = 44100, 5000.0
tone = (0.5 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate) * 32767).astype("<i2")
segment = AudioSegment(tone.tobytes(), frame_rate=rate, sample_width=2, channels=1)
low = np.array(segment.set_frame_rate(8000).get_array_of_samples()).astype(float)
spectrum = np.abs(np.fft.rfft(low * np.hanning(len(low))))
heard = np.argmax(spectrum) * 8000 / len(low)
change = 20 * np.log10(np.sqrt(np.mean(low**2)) / np.sqrt(np.mean(tone.astype(float) ** 2)))
print(f"a tone of {hertz:.0f} Hz at 8000 a second: {heard:.0f} Hz, {change:+.1f} dB")
assert abs(heard - 3000) < 2 and change > -1.0
END
