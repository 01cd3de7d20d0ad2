#!/usr/bin/env bash
# Package: pyroomacoustics 0.10.1 (PyPI), ShoeBox.compute_rir.
# One would expect: the direct sound in a simulated room response stands where distance over speed of sound puts it:
#   3.43 m at 343 m/s are 480 frames at 48 kHz.
# What happens: it stands 40 frames later at every rate and distance: half the length of the filter for fractional
#   delays (the constant frac_delay_length, 81), so .8 ms at 48 kHz and 2.5 ms, or 86 cm, at 16 kHz. Between two
#   microphones of one room it cancels; against anything else it does not.
# Why it matters: echo cancellers, synchronisation, and labels of made rooms are off by it, and a dry signal added to a
#   wet one combs. Cut frac_delay_length // 2 frames.
# Source: measured; the speed of sound is the package's own constant.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pyroomacoustics==0.10.1
cat >run.py <<'END'
import numpy as np
import pyroomacoustics as pra

late = []
for rate in (16000, 48000):
    for distance in (1.715, 3.43):
        room = pra.ShoeBox([6, 5, 3], fs=rate, max_order=0)
        room.add_source([1, 1, 1])
        room.add_microphone([1 + distance, 1, 1])
        room.compute_rir()
        peak = int(np.argmax(np.abs(room.rir[0][0])))
        expected = distance / pra.constants.get("c") * rate
        late.append(round(peak - expected))
        print(f"{rate} Hz, {distance} m: expected frame {expected:.1f}, peak at {peak}")
raise SystemExit(late != [40] * 4)
END
env/bin/python run.py
