import assert from "node:assert/strict";
import { test } from "node:test";
import { follower, isBeat, leading, sure, waiting } from "../src/instrument/follower";
import { told } from "../src/instrument/told";
import { graph, playing, status, value } from "../src/model";

const params = (...names: string[]) => names.map((name) => ({ name, readonly: true }));

test("the lights are as sure as the node that leads, and certain where the clock is its own", () => {
  // deno-lint-ignore no-explicit-any
  graph.value = { nodes: [{ name: "ears", params: params("tempo", "sureness"), outputs: [] }], wires: [] } as any;
  value("/node/ears/sureness").value = 0.4;
  assert.equal(follower.value, "ears");
  status.value = { leads: "" };
  assert.equal(sure.value, 1);
  status.value = { leads: "ears" };
  assert.equal(sure.value, 0.4);
  status.value = { leads: "another" };
  assert.equal(sure.value, 1);
});

test("the lights fade while the clock that it drives goes on by itself", () => {
  status.value = { leads: "" };
  value("/node/ears/state").value = "coasting";
  value("/node/ears/drive").value = "beat";
  value("/node/ears/on").value = true;
  assert.equal(sure.value, 0);
  value("/node/ears/on").value = false;
  assert.equal(sure.value, 1);
  value("/node/ears/on").value = true;
  value("/node/ears/state").value = "waiting";
  assert.equal(sure.value, 1);
});

test("a beat that stands for a node waits for the player, in words too", () => {
  status.value = { leads: "ears" };
  playing.value = false;
  assert.deepEqual([leading.value, waiting.value], [false, true]);
  assert.deepEqual(
    told().map((one) => one.text),
    ["The beat waits for you: play"],
  );
  status.value = { leads: "" };
  assert.ok(!waiting.value);
  assert.deepEqual(
    told().map((one) => one.text),
    ["The beat is stopped"],
  );
  status.value = { leads: "ears" };
  playing.value = true;
  assert.deepEqual([leading.value, waiting.value, told().length], [true, false, 0]);
});

test("beats that it found are no notes of the roll, those of other parts are", () => {
  assert.ok(isBeat({ node: "ears", part: "notes" }));
  assert.ok(!isBeat({ node: "ears", part: "" }));
  assert.ok(!isBeat({ node: "keys", part: "notes" }));
});
