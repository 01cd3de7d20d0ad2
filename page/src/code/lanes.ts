// What the tracks of a script play in the next bars: a lane for each, its notes by pitch, its sounds by name.
import type { Draw } from "../instrument/drawings";
import { text } from "../instrument/drawings";
import { barBeats, beatNow, playing } from "../model";
import { colours } from "../theme";
import { type Coming, coming, live } from "./store";

const PAST = 1; // beats left of now
const FUTURE = 8;
const TINTS = ["#d9a441", "#7b9fe8", "#77b255", "#c08ae0", "#e0836b", "#5fb8b0"];

/** The rows of a lane: its sounds' names in their order, or its lowest and highest note. */
export function rowOf(events: Coming[]): (what: string | number) => number {
  const numbers = events.map(([, , , what]) => what).filter((what) => typeof what === "number");
  const names = [...new Set(events.map(([, , , what]) => what).filter((what) => typeof what === "string"))].sort();
  const low = Math.min(...numbers);
  const span = Math.max(...numbers) - low || 1;
  return (what) =>
    typeof what === "number"
      ? numbers.length && span > 0
        ? (what - low) / span
        : 0
      : names.indexOf(what) / Math.max(1, names.length - 1);
}

export const lanes: Draw = (area, width, height) => {
  const ink = colours();
  area.clearRect(0, 0, width, height);
  const beat = beatNow();
  const x = (at: number) => ((at - beat + PAST) / (PAST + FUTURE)) * width;
  const bar = barBeats.peek();
  for (let one = Math.ceil(beat - PAST); one <= beat + FUTURE; one++) {
    area.strokeStyle = ink.line;
    area.globalAlpha = one % bar === 0 ? 1 : 0.4;
    area.beginPath();
    area.moveTo(x(one), 0);
    area.lineTo(x(one), height);
    area.stroke();
  }
  area.globalAlpha = 1;
  const now = live.peek();
  const tracks = now?.playing ? now.tracks.filter(([, , loop]) => !loop).map(([name]) => name) : [];
  area.fillStyle = ink.soft;
  if (!tracks.length) {
    text(area, "What the tracks play in the next bars", 8, height / 2);
    return;
  }
  const silent = (name: string) => now!.muted.includes(name) || (now!.soloed.length > 0 && !now!.soloed.includes(name));
  const tall = height / tracks.length;
  tracks.forEach((name, place) => {
    const events = coming.events.filter(([, , track]) => track === name);
    const row = rowOf(events);
    const thick = Math.max(2, Math.min(7, tall / 4));
    const top = place * tall;
    area.fillStyle = TINTS[place % TINTS.length]!;
    for (const [at, length, , what] of events) {
      if (at + length < beat - PAST || at > beat + FUTURE) continue;
      area.globalAlpha = silent(name) ? 0.15 : at <= beat && at + length > beat && playing.peek() ? 1 : 0.6;
      const y = top + 2 + (1 - row(what)) * (tall - thick - 4);
      const long = typeof what === "number" ? x(at + length) - x(at) - 1 : Math.min(6, x(at + length) - x(at) - 1);
      area.beginPath();
      area.roundRect(x(at), y, Math.max(2, long), thick, 2);
      area.fill();
    }
    area.globalAlpha = 1;
    area.strokeStyle = ink.line;
    area.beginPath();
    area.moveTo(0, top + tall);
    area.lineTo(width, top + tall);
    area.stroke();
    area.fillStyle = ink.soft;
    if (tall > 9) text(area, name, width - 4, top + Math.min(tall - 2, 11), "right", true);
  });
  area.fillStyle = ink.warm;
  area.fillRect(x(beat), 0, 1, height);
};
