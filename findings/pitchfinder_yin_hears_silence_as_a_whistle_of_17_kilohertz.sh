#!/usr/bin/env bash
# Package: pitchfinder 2.3.4 (npm), YIN() with its defaults, frames of 2,048 samples at 44.1 kHz.
# One would expect: silence has no pitch, so the answer is null, as its page says; the low E of a guitar, 82 Hz,
#   three and a half turns of which fit into the frame, is 82 Hz or null.
# What happens: silence is 17,640 Hz. A sine of 82 Hz is 18,598 Hz. 110 Hz and above are right, white noise is
#   null; AMDF, ACF2PLUS and DynamicWavelet of the same package hear 82 Hz, and no pitch in silence.
# Why it matters: a tuner or a synthesiser that follows a voice jumps to the top of its range in each pause and at the
#   lowest string, where a test with a tone of 440 Hz is fine.
# Source: measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund pitchfinder@2.3.4
cat >run.cjs <<'END'
const { YIN, AMDF } = require("pitchfinder");
const sine = (hertz) => Float32Array.from({ length: 2048 }, (_, n) => 0.5 * Math.sin((2 * Math.PI * hertz * n) / 44100));
const yin = YIN();
const heard = { silence: yin(new Float32Array(2048)), 82: yin(sine(82)), 110: yin(sine(110)), 440: yin(sine(440)) };
console.log("YIN", heard, "AMDF", { silence: AMDF()(new Float32Array(2048)), 82: AMDF()(sine(82)) });
const right = Math.abs(heard[110] - 110) < 1 && Math.abs(heard[440] - 440) < 1;
if (!(right && heard.silence > 17000 && heard[82] > 10000)) process.exit(1);
END
node run.cjs
