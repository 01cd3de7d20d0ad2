#!/usr/bin/env bash
# Package: node-web-audio-api 1.0.9 (npm; the Web Audio API for Node), DynamicsCompressorNode in an offline context.
# One would expect: a compressor whose threshold is 0 dBFS leaves a tone of -60 or -40 dBFS alone, or raises it: by the
#   specification the make-up gain is never below 1. With ratio 1 there is nothing to do.
# What happens: every tone from -60 to 0 dBFS is 8.2 dB softer (ratio 12, the default); at threshold -10 it is 2.7 dB
#   softer, at the default of -24 4.9 dB louder, at -50 18 to 19 dB louder. With ratio 1 it is left alone.
# Why it matters: put last as a safety, it makes all of the music less than half as loud, and turning the threshold,
#   which should change loud passages alone, is a volume control over 27 dB.
# Source: the Web Audio API's section on the compressor (make-up gain); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund node-web-audio-api@1.0.9
cat >run.cjs <<'END'
const { OfflineAudioContext, DynamicsCompressorNode, GainNode, OscillatorNode } = require("node-web-audio-api");
async function change(level, threshold, ratio) {
  const context = new OfflineAudioContext(1, 96000, 48000);
  const tone = new OscillatorNode(context, { frequency: 440 });
  tone.connect(new GainNode(context, { gain: level })).connect(new DynamicsCompressorNode(context, { threshold, ratio })).connect(context.destination);
  tone.start();
  const sound = (await context.startRendering()).getChannelData(0).slice(72000);
  return 20 * Math.log10(sound.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / level);
}
(async () => {
  const rows = {};
  for (const [level, threshold, ratio] of [[0.001, 0, 12], [0.01, 0, 12], [1, 0, 12], [0.01, -10, 12], [0.01, -24, 12], [0.01, 0, 1]])
    rows[`${level} ${threshold} ${ratio}`] = (await change(level, threshold, ratio)).toFixed(1);
  console.log("level, threshold, ratio: dB", rows);
  const soft = [rows["0.001 0 12"], rows["0.01 0 12"], rows["1 0 12"]].map(Number);
  process.exit(soft.every((x) => x < -7.5 && x > -9) && Number(rows["0.01 -24 12"]) > 4 && Math.abs(Number(rows["0.01 0 1"])) < 0.1 ? 0 : 1);
})();
END
node run.cjs
