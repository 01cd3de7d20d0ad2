import assert from "node:assert/strict";
import { test } from "node:test";
import { tempoOf } from "../src/tempo";

test("a tempo is typed with a point or a comma, with its unit or without", () => {
  for (const [typed, tempo] of [
    ["120", 120],
    [" 90,5 ", 90.5],
    ["133.25 bpm", 133.25],
    ["10", 10],
    ["999", 999],
  ] as const)
    assert.equal(tempoOf(typed), tempo);
});

test("what is no tempo, or none that the server takes, is null", () => {
  for (const typed of ["fast", "", " ", "0", "-90", "9", "9999", "1e2", "0x50", "Infinity", "12 0"])
    assert.equal(tempoOf(typed), null, typed);
});
