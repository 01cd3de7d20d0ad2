import assert from "node:assert/strict";
import { test } from "node:test";
import { beatsOfBar, stamp, written } from "../src/files/heard";

test("the beats of most bars are those between their first beats", () => {
  const beats = Array.from({ length: 20 }, (_, n) => n / 2);
  assert.equal(beatsOfBar(beats, [0.5, 2, 3.5, 5.5]), 3);
  assert.equal(beatsOfBar(beats, [0.5]), 0);
  assert.equal(beatsOfBar([], []), 0);
});

test("chords and moments are written as one writes them", () => {
  assert.deepEqual(["A:min", "F:maj7", "Eb:maj/3", "G:7"].map(written), ["Am", "Fmaj7", "Eb", "G7"]);
  assert.deepEqual([0, 9.96, 64.5].map(stamp), ["0:00.0", "0:10.0", "1:04.5"]);
});
