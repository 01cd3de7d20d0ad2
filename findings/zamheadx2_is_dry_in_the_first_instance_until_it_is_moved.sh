#!/usr/bin/env bash
# Programs: ZamHeadX2 (zam-plugins 4.1+ds-1 of Debian 12) as VST3 in pedalboard 0.9.26; numpy 2.4.6 (PyPI).
# One would expect: instances of a plugin that nobody has touched sound alike: filtered as by a head, from the front.
# What happens: the first instance of a process gives its input back, bit by bit, until its azimuth is moved, there and
#   back too; each later one filters at once, with the same values. As it is made, the first says on its standard error
#   that the rate of its impulse responses, 48 kHz, is not the host's, 44.1 kHz, which the host has not yet stated.
# Why it matters: the same chain sounds otherwise by the order in which tracks were loaded, and a test of one instance
#   says that the plugin does nothing.
# Source: measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[ -e /usr/lib/vst3/ZamHeadX2.vst3 ] || { echo "needs zam-plugins"; exit 2; }
dpkg-query -W zam-plugins
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pedalboard==0.9.26 numpy==2.4.6
cd "$folder"
cat >try.py <<'END'
import numpy as np
import pedalboard

RATE = 48000
sound = np.random.default_rng(1).normal(0.0, 0.1, (2, RATE)).astype(np.float32)
found = []
for n in range(3):
    head = pedalboard.load_plugin("/usr/lib/vst3/ZamHeadX2.vst3")
    values = head.azimuth, head.width
    heard = [head.process(sound, RATE, buffer_size=256)]
    for azimuth in (90.0, 0.0):
        head.azimuth = azimuth
        heard.append(head.process(sound, RATE, buffer_size=256))
    found.append([bool(np.array_equal(one, sound)) for one in heard])
    words = ["the input" if dry else "filtered" for dry in found[-1]]
    print(f"instance {n + 1}, azimuth and width {values}: {words[0]}; turned: {words[1]}; turned back: {words[2]}")
assert found == [[True, False, False], [False] * 3, [False] * 3]
END
venv/bin/python try.py 2>"$folder/said" || { cat "$folder/said"; exit 1; }
grep -m 1 -i mismatch "$folder/said"
