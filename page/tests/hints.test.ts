import assert from "node:assert/strict";
import { test } from "node:test";
import { onPage } from "../src/hints";

test("a hint names on the page what is there: scenes, macros, controls", () => {
  for (const [written, shown] of [
    ["Hum; `/scene/recall 3 8` is pop, and `/node/click/on 1` counts.", "Hum; scene 3 is pop, and click 1 counts."],
    ["Turn `/node/drive/drive` (cc 1).", "Turn drive (cc 1)."],
    ["Tap `/node/loop/pedal` (cc 64).", "Tap loop pedal (cc 64)."],
    ["Pull `/node/send/gain` to 0; `/tempo 60` is slow.", "Pull send to 0; tempo 60 is slow."],
    ["Type into `lyrics`, or send `/note/on 60 100`.", "Type into lyrics, or send the note 60."],
  ] as const)
    assert.equal(onPage(written, ["click", "loop", "send"]), shown);
});
