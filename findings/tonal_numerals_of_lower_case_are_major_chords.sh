#!/usr/bin/env bash
# Package: tonal 6.5.1 (npm), Progression.fromRomanNumerals, Chord.get.
# One would expect: numerals of lower case are minor, as harmony is taught: ii V I in C is D minor, G, C, and iv is F
#   minor; what cannot be read is refused.
# What happens: ii, iii, vi and iv give D, E, A and F, which are major chords; nothing is said. With the quality
#   written out ("IIm", "ivm") they are minor. And "Cø7", half-diminished as charts have it, gives a chord without
#   notes, where "Cm7b5" and "C-7" are read.
# Why it matters: progressions from textbooks and generators sound wrong in each minor chord.
# Source: measured; its page writes "IIm7".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund tonal@6.5.1
cat >run.cjs <<'END'
const { Progression, Chord } = require("tonal");
const chords = Progression.fromRomanNumerals("C", ["I", "ii", "iii", "iv", "vi", "IIm", "viio"]);
const half = Chord.get("C\u00f87").notes;
console.log(chords, "D:", Chord.get(chords[1]).notes, "C\u00f87:", half, "Cm7b5:", Chord.get("Cm7b5").notes);
const major = chords.slice(1, 5).join() === "D,E,F,A" && Chord.get("D").notes.join() === "D,F#,A";
if (!(major && chords[5] === "Dm" && half.length === 0 && Chord.get("Cm7b5").notes.length === 4)) process.exit(1);
END
node run.cjs
