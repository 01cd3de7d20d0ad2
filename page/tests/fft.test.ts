import assert from "node:assert/strict";
import { test } from "node:test";
import { Spectrum } from "../src/fft";

const SIZE = 1024;

test("a sine of full scale has 0 dB in its bin, and little elsewhere", () => {
  const sine = Float32Array.from({ length: SIZE }, (_, n) => Math.sin((2 * Math.PI * 64 * n) / SIZE));
  const bins = new Spectrum(SIZE).run(sine);
  assert.ok(Math.abs(bins[64]!) < 0.01);
  assert.equal(bins.indexOf(Math.max(...bins)), 64);
  assert.ok(Math.max(...bins.slice(0, 60), ...bins.slice(70)) < -80);
});

test("half the amplitude is 6 dB less, silence is at the floor", () => {
  const spectrum = new Spectrum(SIZE);
  const half = Float32Array.from({ length: SIZE }, (_, n) => 0.5 * Math.cos((2 * Math.PI * 100 * n) / SIZE));
  assert.ok(Math.abs(spectrum.run(half)[100]! + 6.02) < 0.01);
  assert.ok(Math.max(...spectrum.run(new Float32Array(SIZE))) <= -179);
});
