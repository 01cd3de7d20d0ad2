// Patterns of steps and clips: what of them sounds between two beats. Without state, so that tests need no browser.

/** A row of a pattern: a sound's name or a note's number, and the steps on which it plays. */
export interface Row {
  what: string | number;
  on: boolean[];
}
export interface Steps {
  node: string;
  rows: Row[];
}
/** What is launched on the bar line, and repeats until it is stopped or another of its column is launched. */
export type Clip =
  | { kind: "steps"; slot: number }
  | { kind: "sound"; node: string; sound: string; bars: number }
  | { kind: "script"; name: string }
  | { kind: "scene"; number: number };
export type Cell = Clip | null;

export const SLOTS = 4;
export const COLUMNS = 4;
export const ROWS = 4;
export const MOST_ROWS = 8;
export const MOST_STEPS = 32;
export const A_BEAT = 4; // steps

/** The steps of a pattern that begin in [from, to), as beats and what they play; `count` steps repeat from beat 0 on. */
export function stepsDue(steps: Steps, count: number, from: number, to: number): [number, string | number][] {
  const found: [number, string | number][] = [];
  for (let step = Math.ceil(from * A_BEAT - 1e-9) + 0; step < to * A_BEAT - 1e-9; step++) {
    const place = ((step % count) + count) % count;
    for (const row of steps.rows) if (row.on[place]) found.push([step / A_BEAT, row.what]);
  }
  return found;
}

/** The beats in [from, to) at which something of a length begins again that began at a beat. */
export function repeats(begin: number, length: number, from: number, to: number): number[] {
  const found: number[] = [];
  for (let n = Math.max(0, Math.ceil((from - begin) / length - 1e-9)); begin + n * length < to - 1e-9; n++)
    found.push(begin + n * length);
  return found;
}

/** The next bar line that is not before a beat. */
export function nextBar(beat: number, bar: number): number {
  return Math.ceil(beat / bar - 1e-9) * bar;
}

const DRUMS = ["bd", "sd", "cp", "rs", "hh", "oh", "lt", "mt", "ht", "cb", "rd", "cr"];

/** Names of sounds, the drums of a kit first. */
export function drumsFirst(names: string[]): string[] {
  return [...DRUMS.filter((one) => names.includes(one)), ...names.filter((one) => !DRUMS.includes(one))];
}

/** A clip as a choice's value, and back; null for what is none. */
export function written(clip: Cell): string {
  if (!clip) return "";
  if (clip.kind === "steps") return `steps/${clip.slot}`;
  if (clip.kind === "scene") return `scene/${clip.number}`;
  if (clip.kind === "script") return `script/${clip.name}`;
  return `sound/${clip.bars}/${clip.node}/${clip.sound}`;
}

export function read(text: unknown): Cell {
  const [kind, first = "", ...rest] = String(text).split("/");
  const number = Number(first);
  if (kind === "steps" && number >= 0 && number < SLOTS) return { kind, slot: number };
  if (kind === "scene" && number >= 0) return { kind, number };
  if (kind === "script" && first) return { kind, name: [first, ...rest].join("/") };
  if (kind !== "sound" || !(number >= 0 && number <= 64) || !rest[0] || !rest[1]) return null;
  return { kind, bars: number, node: rest[0], sound: rest.slice(1).join("/") };
}

/** What a clip is called on its pad. */
export function title(clip: Clip): string {
  if (clip.kind === "steps") return `Pattern ${"ABCD"[clip.slot]}`;
  if (clip.kind === "scene") return `Scene ${clip.number}`;
  return clip.kind === "script" ? clip.name : clip.sound;
}
