import assert from "node:assert/strict";
import { test } from "node:test";
import { told } from "../src/instrument/told";
import { graph, value } from "../src/model";

const choice = (name: string, readonly: boolean, first: string) => ({ name, kind: "choice", readonly, default: first });

test("whose turn it is is told in trade alone, and what a node waits for where it waits", () => {
  const answer = [choice("mode", false, "trade"), choice("turn", true, "nobody")];
  const band = [choice("waits", true, "no"), choice("style", false, "pop")];
  graph.value = {
    patch: "",
    nodes: [
      { name: "answer", params: answer },
      { name: "band", params: band },
    ],
  } as never;
  value("/node/answer/mode").value = "trade";
  assert.deepEqual(told(), [{ key: "answer turn", turn: "turn is-nobody", text: "Begin when you like" }]);
  value("/node/answer/turn").value = "machine";
  value("/node/band/waits").value = "chord";
  assert.deepEqual(
    told().map((one) => one.text),
    ["It answers: listen", "band waits: chord"],
  );
  value("/node/answer/mode").value = "continue";
  assert.deepEqual(
    told().map((one) => one.text),
    ["band waits: chord"],
  );
});
