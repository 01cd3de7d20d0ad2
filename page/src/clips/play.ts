// The clips that play: a little ahead of the beat what is due is sent by /at, so that it begins on its sample.
import { effect, signal } from "@preact/signals";
import { kits, live, performSet, sounds, stop as stopScript } from "../code/store";
import { send, silenced } from "../link";
import { beatNow, bpm, graph, playing, status } from "../model";
import {
  A_BEAT,
  type Cell,
  type Clip,
  COLUMNS,
  drumsFirst,
  MOST_ROWS,
  MOST_STEPS,
  nextBar,
  ROWS,
  read,
  repeats,
  SLOTS,
  type Steps,
  stepsDue,
  written,
} from "./model";

const TICK_MS = 80;
const LEAD = 0.3; // seconds ahead of the beat
const LEAD_HIDDEN = 1.6; // timers of a page that is not seen come once a second
const GATE = 0.8; // of a step, of notes
const CUT = 50; // the choke group of the first column
const KEY = "clips";

interface Column {
  /** The row that plays, and the beat at which it began; -1 for none. */
  row: number;
  from: number;
  /** The row that is launched at a beat, -1 to stop; null where nothing is. */
  next: { row: number; at: number } | null;
}
const idle = (): Column => ({ row: -1, from: 0, next: null });

/** One column more than the grid has: the pattern that is edited, by itself. */
export const columns = signal<Column[]>(Array.from({ length: COLUMNS + 1 }, idle));
export const grid = signal<Cell[]>(Array.from({ length: COLUMNS * ROWS }, () => null));
export const patterns = signal<Steps[]>(Array.from({ length: SLOTS }, () => ({ node: "", rows: [] })));
/** The pattern that is edited. */
export const slot = signal(0);

function restore(): void {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as { grid?: unknown[]; patterns?: Steps[] };
    grid.value = grid.value.map((_, place) => read(kept.grid?.[place]));
    patterns.value = patterns.value.map((none, place) => {
      const one = kept.patterns?.[place];
      if (!one || !Array.isArray(one.rows)) return none;
      const rows = one.rows.slice(0, MOST_ROWS).map(({ what, on }) => ({ what, on: on.slice(0, MOST_STEPS) }));
      return { node: String(one.node), rows };
    });
  } catch {
    localStorage.removeItem(KEY);
  }
}
restore();
effect(() => localStorage.setItem(KEY, JSON.stringify({ grid: grid.value.map(written), patterns: patterns.value })));

export function bar(): number {
  return Number(status.value.bar ?? 4);
}

/** Steps of a pattern: a bar. */
export function count(): number {
  return Math.min(MOST_STEPS, Math.round(bar() * A_BEAT));
}

function clipOf(column: number, row: number): Cell {
  if (row < 0) return null;
  return column === COLUMNS ? { kind: "steps", slot: row } : (grid.value[row * COLUMNS + column] ?? null);
}

let sent = 0; // beat before which all was sent

/** Launches a row of a column at the next bar line; -1 stops what plays there. A beat that stands is started. */
export function launch(column: number, row: number): void {
  if (row >= 0 && !playing.peek()) send("/transport/play");
  const at = nextBar(Math.max(beatNow(), sent) + 0.05, bar());
  columns.value = columns.value.map((one, place) => {
    if (place !== column || (row < 0 && one.row < 0)) return place === column ? { ...one, next: null } : one;
    return { ...one, next: { row, at } };
  });
  const clip = clipOf(column, row);
  // the server has them begin at the bar itself
  if (clip?.kind === "script") void performSet(clip.name, bar());
  else if (clipOf(column, columns.value[column]!.row)?.kind === "script" && live.value?.playing) void stopScript();
}

export function stopAll(): void {
  columns.value.forEach((_, column) => launch(column, -1));
}

/** A sound or a note at a beat. */
function at(beat: number, node: string, what: string | number): void {
  if (typeof what === "string") return send("/at", beat, `/node/${node}/play`, "s", what);
  send("/at", beat, "/note/on", what, 100, 1, node);
  send("/at", beat + GATE / A_BEAT, "/note/off", what, 0, 1, node);
}

function emit(clip: Clip, column: number, begin: number, from: number, to: number): void {
  if (clip.kind === "steps") {
    const steps = patterns.value[clip.slot]!;
    for (const [beat, what] of stepsDue(steps, count(), Math.max(from, begin), to)) at(beat, steps.node, what);
  } else if (clip.kind === "sound") {
    const length = bar() * Math.max(1, clip.bars);
    const fit = clip.bars ? ["beats", length] : [];
    for (const beat of repeats(begin, length, from, to))
      send("/at", beat, `/node/${clip.node}/play`, "s", clip.sound, "cut", CUT + column, ...fit);
  } else if (clip.kind === "scene" && from <= begin && begin < to) send("/at", begin, "/scene/recall", clip.number);
}

/** Ends a sound that would ring on. */
function cut(clip: Cell, column: number, beat: number): void {
  if (clip?.kind === "sound")
    send("/at", beat, `/node/${clip.node}/play`, "s", clip.sound, "gain", 0, "cut", CUT + column);
}

function tick(): void {
  const now = beatNow();
  const until = now + ((document.hidden ? LEAD_HIDDEN : LEAD) * bpm.value) / 60;
  // the beat was set back, or forth
  if (sent > until + 1 || sent < now - 1) sent = now;
  if (!playing.value || until <= sent) return;
  let changed = false;
  const next = columns.value.map((one, column) => {
    let { row, from } = one;
    const switches = one.next && one.next.at < until ? one.next : null;
    const playingClip = clipOf(column, row);
    if (playingClip) emit(playingClip, column, from, sent, switches ? switches.at : until);
    if (!switches) return one;
    changed = true;
    ({ row, at: from } = switches);
    cut(playingClip, column, from);
    const begun = clipOf(column, row);
    if (begun) emit(begun, column, from, from, until);
    return { row, from, next: null };
  });
  sent = until;
  if (changed) columns.value = next;
}
setInterval(tick, TICK_MS);
effect(() => {
  if (silenced.value) columns.value = columns.peek().map(idle);
});

/** The nodes that take notes, kits first. */
export function takers(): string[] {
  const all = graph.value?.nodes.filter((one) => one.inputs.some((port) => port.kind === "events")) ?? [];
  // of a sampler whose sounds are not read yet it is not known what its rows are
  const known = all.filter((one) => one.type !== "sampler" || sounds.value[one.name]).map((one) => one.name);
  return [...known.filter((one) => kits.value[one]), ...known.filter((one) => !kits.value[one])];
}

const SCALE = [0, 3, 5, 7, 10, 12, 15, 17];

/** The rows that a node's pattern begins with: its sounds, else notes of a pentatonic scale from C3 up. */
export function rowsFor(node: string): Steps["rows"] {
  const names = kits.value[node];
  const rows = names?.length ? drumsFirst(names) : SCALE.map((step) => 48 + step).reverse();
  return rows.slice(0, MOST_ROWS).map((what) => ({ what, on: [] }));
}

/** The pattern that is edited as the patch can play it: its rows for a node, those of another kit are begun anew. */
export function edited(): Steps {
  const mine = patterns.value[slot.value]!;
  const nodes = takers();
  const node = nodes.includes(mine.node) ? mine.node : (nodes[0] ?? "");
  return mine.node === node && mine.rows.length ? mine : { node, rows: node ? rowsFor(node) : [] };
}

export function put(next: Steps): void {
  patterns.value = patterns.value.map((one, place) => (place === slot.value ? next : one));
}

/** Sets a step of the pattern that is edited, or clears it. */
export function toggle(line: number, step: number): void {
  const { node, rows } = edited();
  const on = Array.from({ length: count() }, (_, place) => Boolean(rows[line]?.on[place]) !== (place === step));
  put({ node, rows: rows.map((one, at) => (at === line ? { ...one, on } : one)) });
}
