#!/usr/bin/env bash
# Package: miniaudio 1.71, decode with sample_rate, which is 44100 unless one says otherwise.
# One would expect: a file at 48 kHz, decoded at the default of 44.1 kHz, sounds as it did up to 20 kHz; one decoded at
#   8 kHz has nothing of a tone of 5 kHz.
# What happens: the resampler interpolates linearly. At 44.1 kHz 15 kHz is more than 2 dB and 20 kHz more than 4 dB
#   lower relative to the file (a tone of .5 comes out at -2.7 and -4.2 dB of it); at 8 kHz the tone of 5 kHz is there
#   as one of 3 kHz, 9 dB softer.
# Why it matters: whoever opens files by the one-line call gets a duller sound from all that were recorded at 48 kHz,
#   and other notes in features for speech.
# Source: measured; miniaudio's manual names the linear resampler.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check miniaudio==1.71 soundfile==0.14.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import io

import miniaudio
import numpy as np
import soundfile


def tone(hertz):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(48000) / 48000)


def decoded(hertz, rate):
    file = io.BytesIO()
    soundfile.write(file, tone(hertz), 48000, format="WAV", subtype="PCM_16")
    kind = miniaudio.SampleFormat.FLOAT32
    samples = np.array(miniaudio.decode(file.getvalue(), sample_rate=rate, nchannels=1, output_format=kind).samples)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    change = 10 * np.log10(np.mean(samples**2) / np.mean(tone(hertz) ** 2))
    return np.argmax(spectrum) * rate / len(samples), change


for hertz, rate in ((1000, 44100), (15000, 44100), (20000, 44100), (5000, 8000)):
    print(f"{hertz} Hz at {rate}: {decoded(hertz, rate)[0]:.0f} Hz, {decoded(hertz, rate)[1]:+.1f} dB")
assert abs(decoded(1000, 44100)[1]) < 0.1
assert decoded(15000, 44100)[1] < -2.0 and decoded(20000, 44100)[1] < -3.5
assert abs(decoded(5000, 8000)[0] - 3000) < 2 and decoded(5000, 8000)[1] > -10.0
END
