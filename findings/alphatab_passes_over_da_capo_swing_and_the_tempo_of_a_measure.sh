#!/usr/bin/env bash
# Package: @coderline/alphatab 1.8.4 (npm), ScoreLoader and MidiFileGenerator; midi-file 1.2.4 reads the result.
# One would expect: of a MusicXML file the sounding instructions are played: <sound tempo="50"/> between two notes,
#   <sound dacapo="yes"/> with <sound fine="yes"/>, and <swing>. Repeats and endings of the same reader are.
# What happens: a tempo is taken only from a <sound> inside a <direction>; one that stands in the measure itself, which
#   the format has too, changes nothing: the piece plays at 120. Da capo al fine ends at the last bar, and swing is straight.
# Why it matters: practice players show the right page and play another form and speed; nothing is said.
# Source: MusicXML 4.0, element sound (its parents are direction, measure content); measured.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund @coderline/alphatab@1.8.4 midi-file@1.2.4
cat >run.cjs <<'END'
const at = require("@coderline/alphatab");
const { parseMidi } = require("midi-file");
const note = (step, duration) => `<note><pitch><step>${step}</step><octave>4</octave></pitch><duration>${duration}</duration></note>`;
const direct = (words, sound) => `<direction><direction-type><words>${words}</words></direction-type>${sound}</direction>`;
const start = "<attributes><divisions>4</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>";
function play(...measures) {
  const body = measures.map((m, i) => `<measure number="${i + 1}">${i ? "" : start}${m}</measure>`).join("");
  const list = '<part-list><score-part id="P1"><part-name>x</part-name></score-part></part-list>';
  const text = `<?xml version="1.0"?><score-partwise version="4.0">${list}<part id="P1">${body}</part></score-partwise>`;
  const settings = new at.Settings();
  const score = at.importer.ScoreLoader.loadScoreFromBytes(Buffer.from(text), settings);
  const file = new at.midi.MidiFile();
  new at.midi.MidiFileGenerator(score, settings, new at.midi.AlphaSynthMidiFileHandler(file, true)).generate();
  const midi = parseMidi(Buffer.from(file.toBinary()));
  const found = { tempi: [], keys: [], beats: [] };
  for (const track of midi.tracks) {
    let tick = 0;
    for (const event of track) {
      tick += event.deltaTime;
      if (event.type === "setTempo") found.tempi.push(Math.round(60e6 / event.microsecondsPerBeat));
      if (event.type === "noteOn" && event.velocity) {
        found.keys.push(event.noteNumber);
        found.beats.push(tick / midi.header.ticksPerBeat);
      }
    }
  }
  return found;
}
const inside = play(direct("slow", '<sound tempo="50"/>') + note("C", 16));
const alone = play('<sound tempo="50"/>' + note("C", 16));
const capo = play(note("C", 16), note("D", 16) + direct("Fine", '<sound fine="yes"/>'), note("E", 16) + direct("D.C. al Fine", '<sound dacapo="yes"/>'));
const swing = "<sound><swing><first>2</first><second>1</second><swing-type>eighth</swing-type></swing></sound>";
const swung = play(direct("Swing", swing) + note("C", 2) + note("D", 2) + note("E", 12));
console.log("tempo in a direction", inside.tempi, "in the measure", alone.tempi, "da capo al fine", capo.keys, "swung eighths at", swung.beats);
const right = inside.tempi.includes(50) && !alone.tempi.includes(50) && alone.tempi.includes(120);
if (!(right && capo.keys.join() === "60,62,64" && swung.beats.slice(0, 3).join() === "0,0.5,1")) process.exit(1);
END
node run.cjs
