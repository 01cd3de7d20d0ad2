// What the page's clips are to the server, and back. Without state, so that tests need no browser.

/** A row of a pattern: a sound's name or a note's number, and the steps on which it plays. */
export interface Row {
  what: string | number;
  on: boolean[];
}
export interface Steps {
  node: string;
  rows: Row[];
}
/** What the page makes clips of: the text of one is its name in the server. A take has a name of its own. */
export type Clip =
  | { kind: "steps"; slot: number }
  | { kind: "sound"; node: string; sound: string; bars: number }
  | { kind: "script"; name: string }
  | { kind: "scene"; number: number }
  | { kind: "take"; name: string };
export type Cell = Clip | null;

export const SLOTS = 4;
export const COLUMNS = 4;
export const ROWS = 4;
export const MOST_ROWS = 8;
export const MOST_STEPS = 32;
export const A_BEAT = 4; // steps
const GATE = 0.2; // beats, of notes
const CUT = 50; // the choke group of the first column

/** A word of an event: in quotes where it has spaces or could be read as a number. */
function word(text: string): string {
  return /^[^\s"]+$/.test(text) && Number.isNaN(Number(text)) ? text : `"${text}"`;
}

/** The events of a pattern. */
export function stepEvents({ node, rows }: Steps, count: number): string[] {
  const found: [number, string][] = [];
  for (const { what, on } of rows)
    for (let step = 0; step < count; step++) {
      const beat = step / A_BEAT;
      if (!on[step]) continue;
      if (typeof what === "string") found.push([beat, `/node/${node}/play s ${word(what)}`]);
      else found.push([beat, `/note/on ${what} 100 1 ${node}`], [beat + GATE, `/note/off ${what} 0 1 ${node}`]);
    }
  return found.sort(([a], [b]) => a - b).map(([beat, message]) => `${beat} ${message}`);
}

/** The steps that a pattern's events are: their node, and by what plays the steps on which it does. */
export function eventSteps(events: string[]): { node: string; on: Map<string | number, boolean[]> } {
  const on = new Map<string | number, boolean[]>();
  let node = "";
  for (const event of events) {
    const [beat, address = "", ...args] = event.match(/"[^"]*"|[^\s"]+/g) ?? [];
    const play = /^\/node\/(.+)\/play$/.exec(address);
    if (!play && address !== "/note/on") continue;
    const what = play ? (args[1] ?? "").replaceAll('"', "") : Number(args[0]);
    node = play ? play[1]! : (args[3] ?? "");
    const steps = on.get(what) ?? [];
    steps[Math.round(Number(beat) * A_BEAT)] = true;
    on.set(what, steps);
  }
  return { node, on };
}

/** Length in beats and events of a clip that is put at a place. */
export function content(clip: Clip, bar: number, place: number): [number, string[]] {
  if (clip.kind === "scene") return [0, [`0 /scene/recall ${clip.number}`]];
  if (clip.kind !== "sound") return [bar, []];
  const length = bar * Math.max(1, clip.bars);
  const fit = clip.bars ? ` beats ${length}` : "";
  const [, s = "", n] = /^(.*?)(?::(\d+))?$/.exec(clip.sound)!; // as Tidal writes the third of several: bd:2
  const which = `s ${word(s)}${n ? ` n ${n}` : ""}`;
  return [length, [`0 /node/${clip.node}/play ${which} cut ${CUT + (place % COLUMNS)}${fit}`]];
}

const DRUMS = ["bd", "sd", "cp", "rs", "hh", "oh", "lt", "mt", "ht", "cb", "rd", "cr"];

/** Names of sounds, the drums of a kit first. */
export function drumsFirst(names: string[]): string[] {
  return [...DRUMS.filter((one) => names.includes(one)), ...names.filter((one) => !DRUMS.includes(one))];
}

/** A clip's name in the server, and back; null for none. */
export function written(clip: Cell): string {
  if (!clip) return "";
  if (clip.kind === "steps") return `steps/${clip.slot}`;
  if (clip.kind === "scene") return `scene/${clip.number}`;
  if (clip.kind === "script") return `script/${clip.name}`;
  return clip.kind === "take" ? clip.name : `sound/${clip.bars}/${clip.node}/${clip.sound}`;
}

export function read(text: string): Cell {
  const [kind, first = "", ...rest] = text.split("/");
  const number = Number(first);
  if (!text) return null;
  if (kind === "steps" && number >= 0 && number < SLOTS) return { kind, slot: number };
  if (kind === "scene" && number >= 0) return { kind, number };
  if (kind === "script" && first) return { kind, name: [first, ...rest].join("/") };
  if (kind !== "sound" || !(number >= 0 && number <= 64) || !rest[0] || !rest[1]) return { kind: "take", name: text };
  return { kind, bars: number, node: rest[0], sound: rest.slice(1).join("/") };
}

/** What a clip is called on its pad. scenes: the names of those that have one, by number. */
export function title(clip: Clip, scenes: Record<string, unknown> = {}): string {
  if (clip.kind === "steps") return `Pattern ${"ABCD"[clip.slot]}`;
  if (clip.kind === "scene") return String(scenes[clip.number] ?? "") || `Scene ${clip.number}`;
  return clip.kind === "sound" ? clip.sound : clip.name;
}
