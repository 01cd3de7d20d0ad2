import assert from "node:assert/strict";
import { test } from "node:test";
import { content, drumsFirst, eventSteps, read, type Steps, stepEvents, title, written } from "../src/clips/model";

const BEAT: Steps = {
  node: "drums",
  rows: [
    { what: "bd", on: [true, false, false, false, true] },
    { what: 60, on: [true] },
  ],
};

test("a pattern is its events, and back", () => {
  const events = [
    "0 /node/drums/play s bd",
    "0 /note/on 60 100 1 drums",
    "0.2 /note/off 60 0 1 drums",
    "1 /node/drums/play s bd",
  ];
  assert.deepEqual(stepEvents(BEAT, 16), events);
  const { node, on } = eventSteps(events);
  assert.equal(node, "drums");
  assert.deepEqual([...on.keys()], ["bd", 60]);
  assert.deepEqual(
    [0, 1, 4].map((step) => Boolean(on.get("bd")![step])),
    [true, false, true],
  );
  const named: Steps = { node: "d", rows: [{ what: "808", on: [false, true] }] };
  assert.deepEqual(stepEvents(named, 16), ['0.25 /node/d/play s "808"']);
  assert.ok(eventSteps(stepEvents(named, 16)).on.get("808")![1]);
});

test("a sound is played once a bar, or over its bars, in the choke group of its column", () => {
  const [sound, fitted, scene] = ["sound/0/drums/cp", "sound/2/loops/my break", "scene/3"].map((one) => read(one)!);
  assert.deepEqual(content(sound!, 4, 5), [4, ["0 /node/drums/play s cp cut 51"]]);
  assert.deepEqual(content(fitted!, 3, 0), [6, ['0 /node/loops/play s "my break" cut 50 beats 6']]);
  assert.deepEqual(content(read("sound/0/d/bd:2")!, 4, 0), [4, ["0 /node/d/play s bd n 2 cut 50"]]);
  assert.deepEqual(content(scene!, 4, 0), [0, ["0 /scene/recall 3"]]);
});

test("the drums of a kit stand before its other sounds", () => {
  assert.deepEqual(drumsFirst(["acid", "bd", "cp", "lofi_bd", "sd"]), ["bd", "sd", "cp", "acid", "lofi_bd"]);
});

test("a clip has a name by which it is known again, and another name is a take", () => {
  for (const text of ["steps/2", "scene/0", "script/my set", "sound/4/drums/a/b", "sound/0/loops/amen"])
    assert.equal(written(read(text)), text);
  for (const text of ["steps/9", "sound/4/drums", "sound/x/drums/bd", "sound/999/drums/bd", "scene/x", "take 1"])
    assert.deepEqual(read(text), { kind: "take", name: text });
  assert.equal(read(""), null);
  assert.equal(title(read("steps/2")!), "Pattern C");
  assert.equal(title(read("scene/3")!), "Scene 3");
  assert.equal(title(read("scene/3")!, { 3: "a canon" }), "a canon");
  assert.equal(title(read("sound/4/drums/bd")!), "bd");
});
