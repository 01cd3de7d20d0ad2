import assert from "node:assert/strict";
import { test } from "node:test";
import { drumsFirst, nextBar, read, repeats, type Steps, stepsDue, title, written } from "../src/clips/model";

const BEAT: Steps = {
  node: "drums",
  rows: [
    { what: "bd", on: [true, false, false, false, true] },
    { what: 60, on: [true] },
  ],
};

test("steps sound on their beats, each once however they are asked for", () => {
  assert.deepEqual(stepsDue(BEAT, 16, 0, 4), [
    [0, "bd"],
    [0, 60],
    [1, "bd"],
  ]);
  const pieces = [0, 0.13, 0.9, 1, 1.25, 3.99, 4, 4.3, 5.5].flatMap((from, at, all) =>
    all[at + 1] === undefined ? [] : stepsDue(BEAT, 16, from, all[at + 1]!),
  );
  assert.deepEqual(pieces, stepsDue(BEAT, 16, 0, 5.5));
  assert.deepEqual(stepsDue(BEAT, 12, 3, 3.1), [
    [3, "bd"],
    [3, 60],
  ]);
});

test("a sound begins again after its length, from where it was launched", () => {
  assert.deepEqual(repeats(4, 8, 0, 21), [4, 12, 20]);
  assert.deepEqual(repeats(4, 8, 12, 12.5), [12]);
  assert.deepEqual(repeats(4, 8, 12.1, 20), []);
});

test("what is launched begins on a bar line, at once on one", () => {
  assert.equal(nextBar(7.2, 4), 8);
  assert.equal(nextBar(8, 4), 8);
  assert.equal(nextBar(8.1, 3), 9);
});

test("the drums of a kit stand before its other sounds", () => {
  assert.deepEqual(drumsFirst(["acid", "bd", "cp", "lofi_bd", "sd"]), ["bd", "sd", "cp", "acid", "lofi_bd"]);
});

test("a clip is kept as a text, and another text is none", () => {
  for (const text of ["steps/2", "scene/0", "script/my set", "sound/4/drums/a/b", "sound/0/loops/amen"])
    assert.equal(written(read(text)), text);
  for (const text of [
    "",
    "steps/9",
    "sound/4/drums",
    "sound/x/drums/bd",
    "sound/999/drums/bd",
    "scene/x",
    null,
    "other/1",
  ])
    assert.equal(read(text), null, String(text));
  assert.equal(title(read("steps/2")!), "Pattern C");
  assert.equal(title(read("scene/3")!), "Scene 3");
  assert.equal(title(read("sound/4/drums/bd")!), "bd");
});
