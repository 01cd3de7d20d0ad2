#!/usr/bin/env bash
# Package: midi-writer-js 3.2.1 (npm), NoteEvent, Track.setTempo; midi-file 1.2.4 reads the result.
# One would expect: as its page says, grace: "E4" puts a short note before the main one, and setTempo(50, 512) slows
#   down at tick 512.
# What happens: no grace note is in the file. The tempo stands where it was called: called first, at tick 0, so that
#   the whole piece runs at 50; called last, behind the last note. A note's own tick is obeyed.
# Why it matters: the piece has half the speed from its first bar on, or never slows down; nothing is said.
# Source: the package's page (tables of NoteEvent and setTempo, 3.2.1); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund midi-writer-js@3.2.1 midi-file@1.2.4
cat >run.cjs <<'END'
const Midi = require("midi-writer-js");
const { parseMidi } = require("midi-file");
function list(track) {
  const file = parseMidi(Buffer.from(new Midi.Writer(track).buildFile()));
  let tick = 0;
  const found = { notes: [], tempi: [] };
  for (const event of file.tracks.at(-1)) {
    tick += event.deltaTime;
    if (event.type === "noteOn") found.notes.push(`${event.noteNumber} at ${tick}`);
    if (event.type === "setTempo") found.tempi.push(`${60e6 / event.microsecondsPerBeat} at ${tick}`);
  }
  return found;
}
const quarter = (pitch, more = {}) => new Midi.NoteEvent({ pitch, duration: "4", ...more });
const grace = new Midi.Track();
grace.addEvent([quarter("C4"), quarter("D4", { grace: "E4" }), quarter("F4", { tick: 512 })]);
const before = new Midi.Track();
before.setTempo(100);
before.setTempo(50, 512);
before.addEvent([1, 2, 3, 4, 5, 6].map(() => quarter("C4")));
const after = new Midi.Track();
after.addEvent([1, 2, 3, 4, 5, 6].map(() => quarter("C4")));
after.setTempo(50, 512);
const seen = { grace: list(grace).notes, before: list(before).tempi, after: list(after).tempi };
console.log(seen);
const right = seen.grace.join() === "60 at 0,62 at 128,65 at 512" && seen.before.join() === "100 at 0,50 at 0";
if (!(right && seen.after.join() === "50 at 768")) process.exit(1);
END
node run.cjs
