import assert from "node:assert/strict";
import { test } from "node:test";
import { onPage } from "../src/hints";
import { macros } from "../src/model";

test("a hint names on the page what is there: scenes, macros, controls, keys, pads, rooms", () => {
  for (const [written, shown] of [
    ["Hum; `/scene/recall 3 8` is pop, and `/macro/click 1` counts.", "Hum; scene 3 is pop, and click 1 counts."],
    ["Turn `/node/drive/drive` (cc 1), `/node/band/style bossa`.", "Turn drive (cc 1), band style bossa."],
    ["Tap `/node/loop/pedal` (cc 64); `/tempo 60` is slow.", "Tap loop pedal (cc 64); tempo 60 is slow."],
    ["Type into `lyrics`, or send `/note/on 60 100`.", "Type into lyrics, or send the note C4."],
    ["`/node/drums/play s cp pan 0.2` is one clap.", "the pad cp is one clap."],
    ["Write a script (`antiphon live set.py`).", "Write a script in the room Code."],
  ] as const)
    assert.equal(onPage(written), shown);
  macros.value = [{ name: "company", label: "the band" } as never];
  assert.equal(onPage("Turn `/macro/company 1` up."), "Turn the band 1 up.");
});
