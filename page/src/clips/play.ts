// The server's clips as the page shows them, and what it asks of them.
import { computed, effect, signal } from "@preact/signals";
import { kits, live, performSet, sounds, stop as stopScript } from "../code/store";
import { connection, heard, send } from "../link";
import { barBeats, graph, say, type Value } from "../model";
import {
  A_BEAT,
  type Cell,
  COLUMNS,
  content,
  drumsFirst,
  eventSteps,
  MOST_ROWS,
  MOST_STEPS,
  ROWS,
  read,
  type Steps,
  stepEvents,
  written,
} from "./model";

const ECHO_MS = 500; // what the server says of a pattern so soon after it was changed here is that change
const TAKE_STEP = 0.25;

interface State {
  /** As /clip/state has it: armed, recording, queued, playing, ending, stopped. */
  state: string;
  beats: number;
  place: number;
}
export const clips = signal<Record<string, State>>({});
/** The events of the patterns, by their clips' names. */
const patterns = signal<Record<string, string[]>>({});
/** The pattern that is edited, and the nodes that play patterns without a step. */
export const slot = signal(0);
const nodes = signal<Record<number, string>>({});
let changed = -ECHO_MS;

function told([name, state, , beats, place]: Value[]): void {
  const { [String(name)]: before, ...others } = clips.value;
  if (state === "gone" && before?.state === "recording")
    say(
      `Nothing was played, so ${name} is not kept: a clip holds notes and knobs. Of a voice, Capture in Instrument keeps the sound.`,
      false,
    );
  const one = { state: String(state), beats: Number(beats), place: Number(place) };
  clips.value = state === "gone" ? others : { ...others, [String(name)]: one };
  if (read(String(name))?.kind !== "steps" || performance.now() - changed < ECHO_MS) return;
  if (state === "gone") patterns.value = { ...patterns.value, [String(name)]: [] };
  else send("/clip/get", name!);
}

heard.set("/clip/state", told);
heard.set("/clip/get.reply", ([name, , , ...events]) => {
  patterns.value = { ...patterns.value, [String(name)]: events.map(String) };
});
heard.set("/clip/list.reply", (args) => {
  clips.value = {};
  for (let at = 0; at < args.length; at += 5) told(args.slice(at, at + 5));
});
effect(() => {
  if (connection.value === "open") send("/clip/list");
});

export function bar(): number {
  return barBeats.value;
}

/** Steps of a pattern: a bar. */
export function count(): number {
  return Math.min(MOST_STEPS, Math.round(bar() * A_BEAT));
}

/** The clip at a place of the grid; null for none. */
export function clipAt(place: number): Cell {
  return read(Object.keys(clips.value).find((name) => clips.value[name]!.place === place) ?? "");
}

function inColumn(column: number): Cell[] {
  return Array.from({ length: ROWS }, (_, row) => clipAt(row * COLUMNS + column));
}

/** Whether a clip plays, whether it waits for the bar line, and whether it plays from there on. */
export function playState(clip: Cell): { on: boolean; waits: boolean; plays: boolean } {
  const state = clips.value[written(clip)]?.state ?? "";
  const on = ["playing", "ending", "recording"].includes(state);
  const waits = ["queued", "ending", "armed"].includes(state);
  return { on, waits, plays: on !== waits };
}

/** Launches a clip at the next bar line, or stops it there. */
export function launch(clip: Cell, play: boolean): void {
  if (!clip) return;
  const place = clips.value[written(clip)]?.place ?? -1;
  const script = place >= 0 && inColumn(place % COLUMNS).some((one) => one?.kind === "script" && playState(one).on);
  send(play ? "/clip/play" : "/clip/stop", written(clip));
  if (play && clip.kind === "script") void performSet(clip.name, bar());
  else if (script && live.value?.playing) void stopScript();
}

export function launchRow(row: number): void {
  fill();
  for (let column = 0; column < COLUMNS; column++) launch(padAt(row * COLUMNS + column), true);
}

export function stopColumn(column: number): void {
  for (const one of inColumn(column)) if (playState(one).plays) launch(one, false);
}

export function stopAll(): void {
  for (let column = 0; column < COLUMNS; column++) stopColumn(column);
  send("/clip/stop");
}

/** Records a new clip, or ends the recording. */
export function record(bars: number): void {
  const running = recording();
  let number = 1;
  while (clips.value[`take ${number}`]) number++;
  if (running) send("/clip/stop", running);
  else fill(); // the first take would take what an empty grid offers away
  if (!running) send("/clip/record", `take ${number}`, bars, TAKE_STEP, "knobs");
}

export function recording(): string {
  return Object.keys(clips.value).find((name) => /armed|recording/.test(clips.value[name]!.state)) ?? "";
}

/** Puts a clip at a place of the grid, in place of what is there; a pattern's steps are kept. */
export function choose(place: number, text: string): void {
  const before = clipAt(place);
  const next = read(text);
  if (before?.kind === "steps") store(written(before), -1);
  else if (before && written(before) !== text) send("/clip/delete", written(before));
  if (next?.kind === "steps") store(text, place);
  else if (next) {
    const [beats, events] = content(next, bar(), place);
    send("/clip/put", text, beats, place, ...events);
  }
}

export function once(ready: () => boolean): Promise<void> {
  return new Promise((then) => {
    const stop = effect(() => {
      if (!ready()) return;
      then();
      queueMicrotask(() => stop());
    });
  });
}

/** Puts a clip at a place; what an empty grid offers stays beside it. */
export async function chooseBeside(place: number, text: string): Promise<void> {
  const comes = !clipAt(place) && padAt(place);
  fill();
  if (comes) await once(() => clipAt(place) !== null);
  choose(place, text);
}

function store(name: string, place = clips.value[name]?.place ?? -1): void {
  send("/clip/put", name, bar(), place, ...(patterns.value[name] ?? []));
}

/** The nodes that take notes, kits first. */
export function takers(): string[] {
  const all = graph.value?.nodes.filter((one) => one.inputs.some((port) => port.kind === "events")) ?? [];
  // of a sampler whose sounds are not read yet it is not known what its rows are
  const known = all.filter((one) => one.type !== "sampler" || sounds.value[one.name]).map((one) => one.name);
  return [...known.filter((one) => kits.value[one]), ...known.filter((one) => !kits.value[one])];
}

const BEAT: Record<string, number[]> = { bd: [0, 6, 8], sd: [4, 12], cp: [12], hh: [2, 6, 10, 14], oh: [14] };
const TUNE = [0, 3, 6, 10, 12]; // steps on which a row after the other plays

/** What an empty grid offers of what the patch can play: a pattern of its kit or keys, and its scenes. */
const offered = computed<Cell[]>(() => {
  const cells: Cell[] = edited().node ? [{ kind: "steps", slot: 0 }, null, null, null] : [];
  const scenes = (graph.value?.scenes ?? []).slice(0, COLUMNS);
  return nothing.value ? [...cells, ...scenes.map((number) => ({ kind: "scene", number }) as Cell)] : [];
});

/** What a place of the grid holds, or offers. */
export function padAt(place: number): Cell {
  return clipAt(place) ?? offered.value[place] ?? null;
}

/** Puts on an empty grid what it offers. */
export function fill(): void {
  const cells = offered.value;
  if (!cells.length) return;
  slot.value = 0;
  const { node, rows } = edited();
  const kit = rows.some((row) => typeof row.what === "string" && BEAT[row.what]);
  const plays = (what: string | number, line: number, step: number) =>
    kit ? Boolean(BEAT[what]?.includes(step)) : TUNE[rows.length - 1 - line] === step;
  if (node && !patterns.value["steps/0"]?.length)
    put({
      node,
      rows: rows.map((row, line) => ({
        ...row,
        on: Array.from({ length: count() }, (_, step) => plays(row.what, line, step)),
      })),
    });
  for (const [place, cell] of cells.entries()) if (cell) choose(place, written(cell));
}

/** Whether no clip stands on the grid. */
export const nothing = computed(() => !Object.values(clips.value).some((one) => one.place >= 0));

const SCALE = [0, 3, 5, 7, 10, 12, 15, 17];

/** The pattern that is edited: the rows of its node, its sounds or notes of a pentatonic scale from C3 up. */
export function edited(): Steps {
  const { node: mine, on } = eventSteps(patterns.value[`steps/${slot.value}`] ?? []);
  const all = takers();
  const node = [mine, nodes.value[slot.value] ?? "", all[0] ?? ""].find((one) => all.includes(one)) ?? "";
  if (!node) return { node, rows: [] };
  const names = kits.value[node];
  const usual = names?.length ? drumsFirst(names) : SCALE.map((step) => 48 + step).reverse();
  const whats = [...new Set([...usual.slice(0, MOST_ROWS), ...(node === mine ? on.keys() : [])])];
  return { node, rows: whats.map((what) => ({ what, on: (node === mine && on.get(what)) || [] })) };
}

export function put(next: Steps): void {
  const name = `steps/${slot.value}`;
  changed = performance.now();
  nodes.value = { ...nodes.value, [slot.value]: next.node };
  patterns.value = { ...patterns.value, [name]: stepEvents(next, count()) };
  store(name);
}

/** Sets a step of the pattern that is edited, or clears it. */
export function toggle(line: number, step: number): void {
  const { node, rows } = edited();
  const on = Array.from({ length: count() }, (_, place) => Boolean(rows[line]?.on[place]) !== (place === step));
  put({ node, rows: rows.map((one, at) => (at === line ? { ...one, on } : one)) });
}
