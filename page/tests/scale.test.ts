import assert from "node:assert/strict";
import { test } from "node:test";
import { chordName, fromPlace, fromShown, shownOf, toPlace, written } from "../src/instrument/scale";
import type { Declared } from "../src/model";

const param = (fields: Partial<Declared>) =>
  ({ kind: "float", unit: "", warp: "linear", low: 0, high: 1, ...fields }) as Declared;
const cutoff = param({ low: 20, high: 20000, warp: "log", unit: "Hz" });

test("a place is linear in decades where the parameter is, and within 0 to 1", () => {
  assert.ok(Math.abs(toPlace(cutoff, 200) - 1 / 3) < 1e-9);
  assert.equal(toPlace(param({ low: -24, high: 24 }), 0), 0.5);
  assert.equal(toPlace(cutoff, 1e9), 1);
  assert.equal(toPlace(param({ low: 1, high: 1 }), 1), 0);
});

test("a value comes back from its place", () => {
  for (const one of [cutoff, param({ low: -24, high: 24 }), param({ kind: "int", low: 0, high: 127 })]) {
    for (const place of [0, 0.25, 0.5, 0.75, 1]) {
      assert.ok(Math.abs(toPlace(one, fromPlace(one, place)) - place) < 0.005, `${one.low} ${place}`);
    }
  }
  assert.equal(fromPlace(param({ kind: "int", low: 0, high: 10 }), 0.26), 3);
});

test("a value is written with its unit, and a chord by its name", () => {
  assert.equal(written(cutoff, 1234.5), "1235 Hz");
  assert.equal(written(cutoff, 440), "440.0 Hz");
  assert.equal(written(param({}), null), "–");
  assert.equal(written(param({ unit: "chord" }), 21), "Am");
  assert.equal(written(param({ unit: "chord" }), -1), "none");
});

test("chords are 0 to 23, major before minor", () => {
  assert.deepEqual([0, 1, 11, 12, 23, 24, -1, "C"].map(chordName), ["C", "D♭", "B", "Cm", "Bm", "", "", ""]);
});

test("a macro is written and typed as what it sets, or as a percent where it drives several", () => {
  const level = param({ low: -60, high: 12, unit: "dB" });
  const drive = (of: Declared, low: number, high: number, curve = 1) =>
    param({ drives: { macro: "m", node: "n", low, high, curve, of } });
  assert.equal(written(drive(level, -40, 6), 0.8), "-3.2 dB");
  assert.equal(written(drive(cutoff, 200, 20000), 0.5), "2000 Hz");
  assert.equal(written(drive(param({ kind: "switch" }), 0, 1), 1), "on");
  assert.equal(written(param({ drives: null }), 0.267), "27 %");
  for (const one of [drive(level, -40, 6, 2), drive(cutoff, 8000, 100), param({ drives: null })])
    for (const now of [0, 0.3, 1]) assert.ok(Math.abs(fromShown(one, shownOf(one, now)) - now) < 0.001);
  assert.equal(fromShown(drive(level, -40, 6), 99), 1);
});
