#!/usr/bin/env bash
# Package: webrtcvad-wheels 2.0.14.post1 (WebRTC's first voice activity detector), mode 3, blocks of 20 ms at 16 kHz.
# One would expect: the strictest of its four modes, made to let as little as possible pass that is no voice, leaves
#   out steady white noise, a held synthesiser and a hi-hat.
# What happens: white noise at -20 dBFS, a sawtooth of 110 or 220 Hz, a square wave and a chord of sawtooths are
#   speech in 99 to 100 of 100 blocks, a hi-hat in more than half. A plain sine and silence are not.
# Why it matters: it is the gate of many recognisers and conference tools, and so of voice control beside an
#   instrument: while anything but a sine sounds, it is open.
# Source: measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check webrtcvad-wheels==2.0.14.post1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'END'
import numpy as np
import webrtcvad

RATE = 16000
time = np.arange(2 * RATE) / RATE
rng = np.random.default_rng(1)


def saw(hertz):
    return 0.3 * sum(np.sin(2 * np.pi * hertz * n * time) / n for n in range(1, int(7000 / hertz)))


def share(sound):
    detector = webrtcvad.Vad(3)
    samples = (np.clip(sound, -1, 1) * 32767).astype("<i2")
    blocks = range(0, len(samples) - 320, 320)
    return float(np.mean([detector.is_speech(samples[at : at + 320].tobytes(), RATE) for at in blocks]))


shares = {
    "silence": share(np.zeros_like(time)),
    "sine 440": share(0.5 * np.sin(2 * np.pi * 440 * time)),
    "white noise": share(rng.normal(0, 0.1, len(time))),
    "sawtooth 110": share(saw(110)),
    "sawtooth 220": share(saw(220)),
    "chord": share(saw(220) + saw(277) + saw(330)),
    "hi-hat": share(rng.normal(0, 0.3, len(time)) * np.exp(-(np.arange(len(time)) % 4000) / 300)),
}
print({name: round(value, 2) for name, value in shares.items()})
assert shares["silence"] == 0.0 and shares["sine 440"] < 0.2
assert min(shares[name] for name in ("white noise", "sawtooth 110", "sawtooth 220", "chord")) > 0.95
END
