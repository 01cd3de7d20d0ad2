#!/usr/bin/env bash
# Package: praat-parselmouth 0.4.7 (PyPI; Praat 6.1.38), Sound.to_pitch() with its defaults, as in its own examples.
# One would expect: a tone above the default ceiling of 600 Hz is unvoiced, or at least of low strength.
# What happens: it is voiced in every frame with strength 1.00, and the pitch is a half, a third or a quarter of it: a
#   soprano's E5 is heard as E4, A5 as A4, a whistle of 1200 Hz as 400 (not even the same note). A tone below the floor of 75 Hz is unvoiced.
# Why it matters: melodies, whistles and children's voices from D5 on come out as other notes, and the strength, which
#   users filter by, does not tell. A ceiling of 2000 Hz reads all of them right.
# Source: Praat manual, "Sound: To Pitch..." (pitch ceiling: candidates above it are ignored); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check praat-parselmouth==0.4.7 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import numpy as np
import parselmouth

RATE = 44_100
TIME = np.arange(2 * RATE) / RATE
NOTES = {"A4": (440.0, 1), "E5": (659.26, 2), "A5": (880.0, 2), "1k2": (1200.0, 3)}

for kind, partials in (("sine", 1), ("sawtooth", 11)):
    for name, (hertz, divisor) in NOTES.items():
        tone = sum(np.sin(2 * np.pi * hertz * k * TIME) / k for k in range(1, partials + 1)) * 0.2
        sound = parselmouth.Sound(tone, RATE)
        heard = sound.to_pitch()
        pitch, strength = heard.selected_array["frequency"], heard.selected_array["strength"]
        wide = np.median(sound.to_pitch(pitch_ceiling=2000.0).selected_array["frequency"])
        print(
            f"{kind:8} {name} {hertz:7.1f} Hz: voiced {np.mean(pitch > 0):.2f}, {np.median(pitch):6.1f} Hz,"
            f" strength {np.median(strength):.2f}; with a ceiling of 2000: {wide:6.1f} Hz"
        )
        assert np.mean(pitch > 0) > 0.95 and np.median(strength) > 0.9
        assert abs(wide / hertz - 1) < 0.01
        if kind == "sine":
            assert abs(np.median(pitch) * divisor / hertz - 1) < 0.01
        elif divisor > 1:
            assert np.median(pitch) < 0.6 * hertz
END
