import assert from "node:assert/strict";
import { test } from "node:test";
import type { Explained } from "../src/api";
import { banks, found, languageOf, sliderOf, tried, withTried, writtenValue } from "../src/code/words";

function word(name: string, doc = "", group = ""): Explained {
  return { names: [name], group, doc, example: "" };
}

test("words are found by their names first, then by what they do", () => {
  const all = [word("stutter", "fast"), word("fastcat"), word("hurry"), word("fast", "Plays it faster.")];
  const names = (search: string) => found(all, search).map((one) => one.names[0]);
  assert.deepEqual(names("Fast"), ["fast", "fastcat", "stutter"]);
  assert.deepEqual(names("faster"), ["fast"]);
  assert.deepEqual(names("none"), []);
  assert.equal(found(all, " ").length, 4);
});

test("an example is played as the track try, one that is no pattern is not", () => {
  assert.equal(tried('s("bd*4").rev()'), 'track("try", s("bd*4").rev())');
  assert.equal(tried('track("beat", s("bd*4"))'), 'track("try", s("bd*4"))');
  for (const other of ['node("echo").feedback = 0.4', '@on_level("in", above=-30)', "sine.segment(8)", ""])
    assert.equal(tried(other), "", other);
});

test("a program of another language is told from a live script", () => {
  for (const one of ['$: s("bd*4")', "let a = 3", 'stack(s("bd"), s("hh"))', "setcpm(30)", "x => x.rev()", "// tune"])
    assert.equal(languageOf(one), "Strudel", one);
  assert.equal(languageOf('setcps 0.5\nd1 $ sound "bd"'), "Tidal");
  for (const one of ['track("a", s("bd"))', "if beat:\n    tempo(120)\nelse:\n    x()", "drums = 3", "a text"])
    assert.equal(languageOf(one), "", one);
});

test("what is tried stands once, at the end of the text", () => {
  const first = withTried("", 'track("try", s("bd"))');
  assert.equal(first.text, 'from antiphon.live import *\n\ntrack("try", s("bd"))\n');
  const next = withTried(`${first.text}`, 'track("try", s("sd"))');
  assert.equal(next.text, 'from antiphon.live import *\n\ntrack("try", s("sd"))\n');
  assert.equal(next.text.slice(next.at).trim(), 'track("try", s("sd"))');
});

test("sounds stand in their banks", () => {
  assert.deepEqual(banks(["bd", "tr909_bd", "cp", "tr909_sd", "_x"]), [
    ["", ["bd", "cp", "_x"]],
    ["tr909", ["tr909_bd", "tr909_sd"]],
  ]);
});

test("a call of slider with plain numbers has its value, ends and place; another has none", () => {
  assert.deepEqual(sliderOf("slider(.5, 0, 1)"), { value: 0.5, low: 0, high: 1, from: 7, to: 9 });
  assert.deepEqual(sliderOf("slider( -3 , -12, 12)"), { value: -3, low: -12, high: 12, from: 8, to: 10 });
  assert.deepEqual(sliderOf("slider(0.25)"), { value: 0.25, low: 0, high: 1, from: 7, to: 11 });
  for (const other of ["slider(x)", "slider()", "slider(2, 0, 1)", "slider(0, 1, 1)", 'slider("1")', "slider(1, 0"])
    assert.equal(sliderOf(other), null, other);
});

test("a value is written as finely as its slider moves, and within it", () => {
  assert.equal(writtenValue(0.12345, 0, 1), "0.12");
  assert.equal(writtenValue(1234.56, 20, 8000), "1235");
  assert.equal(writtenValue(9, 0, 1), "1");
  assert.equal(writtenValue(-5.55, -12, 12), "-5.5");
});
