import assert from "node:assert/strict";
import { test } from "node:test";
import { ChangeSet, EditorState } from "@codemirror/state";
import { alone, partOf, reach } from "../src/code/parts";

const SET = `from antiphon.live import *
patch("band")

track("kick", s("bd*4"))
track("hats", s("hh*8"))

@loop
def bass():
    play(36)

    sleep(1)
`;

function at(doc: string, text: string, until = text): EditorState {
  const selection = { anchor: doc.indexOf(text), head: doc.indexOf(until) + until.length };
  return EditorState.create({ doc, selection });
}

function reached(text: string, what: "block" | "line", until = text): string {
  const state = at(SET, text, until);
  const { from, to } = reach(state, what);
  return state.sliceDoc(from, to);
}

test("a line is the statement at the cursor, a block the lines around it", () => {
  assert.equal(reached("hh*8", "line"), 'track("hats", s("hh*8"))');
  assert.equal(reached("hh*8", "block"), 'track("kick", s("bd*4"))\ntrack("hats", s("hh*8"))');
  assert.equal(reached("sleep", "line"), "@loop\ndef bass():\n    play(36)\n\n    sleep(1)");
  assert.equal(reached("sleep", "block"), "@loop\ndef bass():\n    play(36)\n\n    sleep(1)");
  assert.equal(reached("kick", "line", "hats"), 'track("kick", s("bd*4"))\ntrack("hats", s("hh*8"))');
});

test("of a version that plays a part alone is changed, and the rest waits", () => {
  const now = SET.replace("bd*4", "bd*8").replace("hh*8", "oh*2").replace("play(36)", "play(40)");
  const before = EditorState.create({ doc: SET });
  const change = (from: string, insert: string) =>
    ChangeSet.of({ from: SET.indexOf(from), to: SET.indexOf(from) + from.length, insert }, SET.length);
  const one = change("bd*4", "bd*8");
  const two = change("hh*8", "oh*2").map(one);
  const three = change("play(36)", "play(40)").map(one).map(two);
  const changes = one.compose(two).compose(three);
  assert.equal(changes.apply(before.doc).toString(), now);
  const state = at(now, "oh*2");
  const part = partOf(before.doc, changes, reach(state, "line"));
  assert.equal(part.doc.toString(), SET.replace("hh*8", "oh*2"));
  assert.equal(part.changes.apply(part.doc).toString(), now);
});

test("what is added at the end is a part, and a statement that is taken out waits", () => {
  const before = EditorState.create({ doc: SET });
  const added = '\ntrack("clap", s("cp"))\n';
  const gone = 'track("kick", s("bd*4"))\n';
  const from = SET.indexOf(gone);
  const changes = ChangeSet.of(
    [
      { from: SET.length, insert: added },
      { from, to: from + gone.length },
    ],
    SET.length,
  );
  const now = changes.apply(before.doc).toString();
  const part = partOf(before.doc, changes, reach(at(now, "cp"), "block"));
  assert.equal(part.doc.toString(), SET + added);
  assert.equal(part.changes.apply(part.doc).toString(), now);
});

test("a statement that is broken takes none behind it along", () => {
  const broken = `kick = s("bd [\n${SET}`;
  const state = at(broken, "hh*8");
  const { from, to } = reach(state, "line");
  assert.equal(state.sliceDoc(from, to), 'track("hats", s("hh*8"))');
});

test("where nothing plays a part has the names and settings it needs", () => {
  const state = at(SET, "hh*8");
  const part = alone(state, reach(state, "line"));
  const text = part.doc.toString();
  assert.ok(text.startsWith('from antiphon.live import *\npatch("band")\n'));
  assert.ok(text.includes("hats") && !text.includes("kick") && !text.includes("bass"));
  assert.equal(part.changes.apply(part.doc).toString(), SET);
});
