#!/usr/bin/env bash
# Packages: @elemaudio/core 4.0.3 and @elemaudio/offline-renderer 3.2.2 (npm), el.bleptriangle.
# One would expect: the band-limited triangle is as its siblings are: between -1 and 1 with a mean of 0 (blepsaw .98,
#   square and naive triangle 1.0).
# What happens: it runs from 0 to 2 with a mean of 1 (from -.03 to 1.9 at 1760 Hz). Since Node 19 the renderer also
#   stops at its start, where it assigns the global crypto; made writable first, as here, it plays.
# Why it matters: one voice of a mix eats the whole headroom with a constant: the loudspeaker leans, the limiter pumps,
#   and a gate on it clicks at both ends. el.dcblock behind it mends it.
# Source: measured, beside its siblings.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @elemaudio/core@4.0.3 @elemaudio/offline-renderer@3.2.2
cat >run.mjs <<'END'
Object.defineProperty(globalThis, "crypto", { value: globalThis.crypto, writable: true, configurable: true });
const { el } = await import("@elemaudio/core");
const { default: Renderer } = await import("@elemaudio/offline-renderer");
async function measure(name, frequency) {
  const renderer = new Renderer();
  await renderer.initialize({ numInputChannels: 0, numOutputChannels: 1, sampleRate: 48000, blockSize: 512 });
  await renderer.render(el[name](frequency));
  const out = [new Float32Array(96000)];
  renderer.process([], out);
  const late = out[0].slice(48000);
  const figures = [Math.min(...late), Math.max(...late), late.reduce((sum, x) => sum + x, 0) / late.length];
  console.log(name, frequency, "Hz: lowest, highest, mean", figures.map((x) => x.toFixed(2)).join(" "));
  return figures;
}
let right = true;
for (const frequency of [110, 440]) {
  for (const name of ["blepsaw", "triangle"]) {
    const [low, high, mean] = await measure(name, frequency);
    right &&= low < -0.9 && high <= 1.01 && Math.abs(mean) < 0.05;
  }
  const [low, high, mean] = await measure("bleptriangle", frequency);
  right &&= low > -0.05 && high > 1.9 && mean > 0.95;
}
process.exit(right ? 0 : 1);
END
node run.mjs
