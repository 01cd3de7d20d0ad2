import assert from "node:assert/strict";
import { test } from "node:test";
import { type Graph, noteOn, notes, takeGraph, value } from "../src/model";

function graph(patch: string, ...names: string[]): Graph {
  const nodes = names.map((name) => ({ name, inputs: [], outputs: [], params: [] }));
  return { patch, nodes, wires: [] } as unknown as Graph;
}

test("notes of a node that is gone end, and all with another patch", () => {
  takeGraph(graph("one", "hum", "keys"));
  noteOn(60, 90, "hum");
  noteOn(62, 90, "keys");
  noteOn(64, 90, "", true);
  const open = () => notes.filter((one) => one.to === 0).map((one) => one.note);
  takeGraph(graph("one", "keys"));
  assert.deepEqual(open(), [62, 64]);
  takeGraph(graph("two", "keys"));
  assert.deepEqual(open(), []);
});

test("a graph that was asked for before a button was pressed does not take the press back", () => {
  const read = graph("one", "keys");
  read.nodes[0]!.params = [
    { name: "mute", value: false },
    { name: "gain", value: 0.5 },
  ] as Graph["nodes"][0]["params"];
  value("/node/keys/mute").value = true;
  takeGraph(read, (address) => address === "/node/keys/mute");
  assert.deepEqual([value("/node/keys/mute").value, value("/node/keys/gain").value], [true, 0.5]);
});
