import assert from "node:assert/strict";
import { test } from "node:test";
import { stands } from "../src/context";
import { Resampler } from "../src/resample";

/** A sine of two channels, the second a quarter of the first, taken in pieces as an audio thread gives them. */
function resampled(from: number, to: number, hz: number): Float32Array {
  const made: number[] = [];
  const one = new Resampler(from, to, 2);
  for (let at = 0; at < from / 2; at += 128) {
    const piece = new Float32Array(256);
    for (let n = 0; n < 128; n++) {
      piece[2 * n] = Math.sin((2 * Math.PI * hz * (at + n)) / from);
      piece[2 * n + 1] = piece[2 * n]! / 4;
    }
    made.push(...one.take(piece));
  }
  return Float32Array.from(made);
}

test("a sine of another rate is the same sine, within -70 dB, and none of it is lost", () => {
  for (const [from, to] of [
    [44100, 48000],
    [48000, 44100],
    [16000, 48000],
    [96000, 48000],
  ] as const) {
    const made = resampled(from, to, 1000);
    assert.ok(Math.abs(made.length / 2 - to / 2) < (40 * to) / from + 140, `${from} to ${to}: ${made.length / 2}`);
    let worst = 0;
    // it begins HALF frames early in silence
    const late = 16;
    for (let n = 200; n < made.length / 2; n++) {
      const right = Math.sin((2 * Math.PI * 1000 * ((n * from) / to - late)) / from);
      worst = Math.max(worst, Math.abs(made[2 * n]! - right), 4 * Math.abs(made[2 * n + 1]! - right / 4));
    }
    assert.ok(worst < 10 ** (-70 / 20), `${from} to ${to}: ${20 * Math.log10(worst)} dB`);
  }
});

test("what the lower rate cannot hold is left out", () => {
  const made = resampled(48000, 16000, 11000);
  assert.ok(Math.max(...made.slice(400).map(Math.abs)) < 0.01);
});

test("a context has stopped where it says so, and where its clock stands", () => {
  const before = { time: 0, since: 0 };
  assert.equal(stands("running", 0.1, 0, before), false);
  assert.equal(stands("interrupted", 0.1, 10, before), true);
  assert.equal(stands("suspended", 0.1, 20, before), true);
  assert.equal(stands("running", 0.5, 100, before), false);
  assert.equal(stands("running", 0.5, 1000, before), false);
  assert.equal(stands("running", 0.5, 1700, before), true);
  assert.equal(stands("running", 0.6, 1800, before), false);
});
