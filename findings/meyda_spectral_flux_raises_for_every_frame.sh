#!/usr/bin/env bash
# Package: meyda 5.6.3 (npm), Meyda.extract.
# One would expect: the feature "spectralFlux", in the list of what can be extracted, is a finite number for a frame and
#   the one before it, and kurtosis is never below that of two points (1; -2 where 3 is taken off).
# What happens: spectralFlux raises "x is not defined" for any two frames. The loop behind it also begins below the
#   first sample. spectralKurtosis of a plain sine of 1 kHz is some -53,000.
# Why it matters: flux is the usual measure of onsets; a sketch that asks for all features at once stops.
# Source: measured; the package's list of features.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund meyda@5.6.3
cat >run.cjs <<'END'
const Meyda = require("meyda");
Meyda.bufferSize = 512;
Meyda.sampleRate = 44100;
const sine = (level) => Float32Array.from({ length: 512 }, (_, i) => level * Math.sin((2 * Math.PI * 1000 * i) / 44100));
let message = "";
try {
  console.log("flux", Meyda.extract("spectralFlux", sine(1), sine(0.5)));
} catch (error) {
  message = error.message;
}
const kurtosis = Meyda.extract("spectralKurtosis", sine(1));
console.log("spectralFlux:", message, "| kurtosis:", kurtosis, "| rms:", Meyda.extract("rms", sine(1)).toFixed(3));
if (message !== "x is not defined" || !(kurtosis < -10000)) process.exit(1);
END
node run.cjs
