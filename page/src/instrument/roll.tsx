// The notes as a piano roll: what sounded, what is to come, bars, chords.

import type { ComponentChildren } from "preact";
import { ahead, barBeats, beatNow, bpm, chords, graph, notes, passBeat, playing, value } from "../model";
import { colours } from "../theme";
import { Harmony, noteChords } from "./chords";
import { type Draw, text, useDrawing } from "./drawings";
import { isBeat, scored } from "./follower";

const PAST = 6; // seconds left of now
const FUTURE = 2; // right of it
const FOOT = 16; // pixels for chords
const TINTS = ["#7b9fe8", "#c08ae0", "#d9a441", "#77b255"]; // of the second node that plays, the third, …

// notes to come as parameters that are read: the note, the beat at which it begins, and whether that is from now on
const PLANS: [string, string, boolean][] = [
  ["next", "beat", false],
  ["next1", "ahead1", true],
  ["next2", "ahead2", true],
  ["next3", "ahead3", true],
];

interface Bar {
  note: number;
  velocity: number;
  node: string;
  part: string;
  from: number;
  to: number;
  kind: "emitted" | "played" | "ahead";
}

/** The notes to come, each from its beginning to its end where that is known. */
function comes(now: number): Bar[] {
  const length = 60000 / bpm.peek();
  const beat = beatNow();
  const at = (other: number) => now + (other - beat) * length;
  const bars: Bar[] = [];
  for (const one of ahead) {
    if (one.velocity) {
      bars.push({
        note: one.note,
        velocity: one.velocity,
        node: one.node,
        part: "",
        from: at(one.beat),
        to: at(one.beat + 0.25),
        kind: "ahead",
      });
      continue;
    }
    const open = bars.find(
      (bar) => bar.note === one.note && bar.node === one.node && bar.to === bar.from + 0.25 * length,
    );
    if (open) open.to = at(one.beat);
  }
  // what a node that improvises is going to play, and the player by a score
  for (const { name, params } of graph.peek()?.nodes ?? []) {
    for (const [note, begins, fromNow] of PLANS) {
      if (![note, begins].every((wanted) => params.some((one) => one.readonly && one.name === wanted))) continue;
      const number = Number(value(`/node/${name}/${note}`).peek());
      const start = Number(value(`/node/${name}/${begins}`).peek()) + (fromNow ? beat : 0);
      if (fromNow ? number === 0 : start <= beat) continue;
      bars.push({
        note: number,
        velocity: 100,
        node: name,
        part: "",
        from: at(start),
        to: at(start + 0.25),
        kind: "ahead",
      });
    }
  }
  return bars;
}

const roll: Draw = (area, width, height, now) => {
  passBeat();
  noteChords();
  const ink = colours();
  area.clearRect(0, 0, width, height);
  const here = (width * PAST) / (PAST + FUTURE);
  const x = (time: number) => here + ((time - now) / (PAST * 1000)) * here;
  const tall = height - FOOT;
  if (playing.peek()) {
    const beat = beatNow();
    const length = 60000 / bpm.peek();
    const bar = barBeats.peek();
    area.fillStyle = ink.soft;
    for (let one = Math.ceil(beat - (PAST * 1000) / length); one <= beat + (FUTURE * 1000) / length; one++) {
      const place = x(now + (one - beat) * length);
      area.strokeStyle = ink.line;
      area.globalAlpha = one % bar === 0 ? 1 : 0.4;
      area.beginPath();
      area.moveTo(place, 0);
      area.lineTo(place, tall);
      area.stroke();
      if (one % bar === 0 && !scored.peek()) text(area, String(one / bar + 1), place + 3, 11);
    }
    area.globalAlpha = 1;
  }
  area.fillStyle = ink.warm;
  area.fillRect(here, 0, 1, tall);
  // the player's beats, beside the lines of the machine's
  for (const one of notes) if (isBeat(one) && now - one.from < PAST * 1000) area.fillRect(x(one.from) - 1, 0, 3, 9);
  drawChords(area, x, width, height, now);
  const sounded: Bar[] = notes
    .filter((one) => !isBeat(one) && (one.to === 0 || now - one.to < PAST * 1000))
    .map((one) => ({ ...one, to: one.to || now, kind: one.played ? "played" : "emitted" }));
  const visible = [...sounded, ...comes(now).filter((one) => x(one.from) < width)];
  area.fillStyle = ink.soft;
  if (!visible.length) {
    text(area, "Notes: what is played, heard and to come", 8, tall / 2);
    return;
  }
  let low = 128;
  let high = 0;
  for (const one of visible) {
    low = Math.min(low, one.note);
    high = Math.max(high, one.note);
  }
  const middle = (low + high) / 2;
  const span = Math.max(24, high - low + 4);
  const row = tall / span;
  const y = (note: number) => tall / 2 - (note - middle + 0.5) * row;
  for (let c = Math.ceil((middle - span / 2) / 12) * 12; c <= middle + span / 2; c += 12) {
    area.strokeStyle = ink.line;
    area.beginPath();
    area.moveTo(0, y(c) + row);
    area.lineTo(width, y(c) + row);
    area.stroke();
    text(area, `C${c / 12 - 1}`, 4, y(c) + row - 3);
  }
  const named = (one: Pick<Bar, "node" | "part">) => (one.part ? `${one.node} ${one.part}` : one.node);
  const names = [...new Set(visible.filter((one) => one.kind === "emitted").map(named))].sort();
  const tint = (one: Pick<Bar, "node" | "part" | "kind">) => {
    if (one.kind !== "emitted") return ink.warm;
    const place = names.indexOf(named(one));
    return place ? TINTS[(place - 1) % TINTS.length]! : ink.cool;
  };
  for (const one of visible) {
    const from = Math.max(0, x(one.from));
    const to = Math.min(width, x(one.to));
    area.beginPath();
    area.roundRect(from, y(one.note), Math.max(3, to - from), Math.max(3, row - 1), 2);
    area.fillStyle = area.strokeStyle = tint(one);
    if (one.kind === "ahead") {
      area.globalAlpha = 0.25;
      area.fill();
      area.globalAlpha = 1;
      area.stroke();
    } else {
      area.globalAlpha = 0.35 + 0.65 * (one.velocity / 127);
      area.fill();
    }
  }
  area.globalAlpha = 1;
  // whose notes they are, in their colours, right of the chords
  let right = width - 8;
  for (const name of [...(visible.some((one) => one.kind !== "emitted") ? [""] : []), ...names].reverse()) {
    area.fillStyle = name ? tint({ node: name, part: "", kind: "emitted" }) : ink.warm;
    text(area, name || "played", right, height - 4, "right", true);
    right -= area.measureText(name || "played").width + 10;
  }
};

function drawChords(
  area: CanvasRenderingContext2D,
  x: (time: number) => number,
  width: number,
  height: number,
  now: number,
) {
  const ink = colours();
  let right = width;
  for (let place = chords.length - 1; place >= 0; place--) {
    const { name, at } = chords[place]!;
    const from = x(at);
    if (name && right - from > 22) {
      area.fillStyle = place === chords.length - 1 ? ink.ink : ink.soft;
      text(area, name, Math.max(2, from), height - 4);
    }
    right = from;
    if (now - at > PAST * 1000) break;
  }
}

export function Roll({ children }: { children?: ComponentChildren }) {
  const canvas = useDrawing(roll);
  return (
    <section class="roll" data-view="Play" aria-label="Notes">
      <canvas ref={canvas} role="img" aria-label="Notes of the last seconds and of the next" />
      <Harmony />
      {children}
    </section>
  );
}
