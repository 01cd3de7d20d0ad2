// What the server says of the patch, and the page's copies of values, meters and events.
import { batch, computed, signal, type Signal } from "@preact/signals";

export type Value = number | string | boolean | null;
export type Kind = "float" | "int" | "switch" | "choice" | "text" | "file" | "trigger";
/** What a parameter is. */
export interface Declared {
  name: string;
  kind: Kind;
  default: Value;
  low: number;
  high: number;
  unit: string;
  warp: "linear" | "log";
  choices: string[];
  restart: boolean;
  readonly: boolean;
  doc: string;
}
/** A parameter of a node, as the server sent it. */
export interface Param extends Declared {
  value: Value;
}
export interface Port {
  name: string;
  kind: "audio" | "control" | "events" | "asset";
}
export interface Node {
  name: string;
  type: string;
  number: number;
  state: string;
  reason: string;
  doc: string;
  inputs: Port[];
  outputs: Port[];
  params: Param[];
}
export interface Graph {
  patch: string;
  nodes: Node[];
  wires: [string, string][];
  scenes: number[];
}
export interface Entry {
  id: number;
  at: Date;
  text: string;
  bad: boolean;
}
export interface Note {
  note: number;
  velocity: number;
  node: string;
  from: number;
  to: number; // 0 while it sounds
}
// deno-lint-ignore no-explicit-any
export type Status = Record<string, any>;

export const graph = signal<Graph | null>(null);
export const status = signal<Status>({});
export const selected = signal("");
export const log = signal<Entry[]>([]);
export const patches = signal<{ name: string; doc?: string; about?: string }[]>([]);
export const learning = signal("");

/** Peak and RMS of each node, with the time at which they came: read once a frame, so no signals. */
export const meters = new Map<string, { peak: number; rms: number; at: number }>();
/** Notes of the last seconds, oldest first. */
export const notes: Note[] = [];
const MAX_NOTES = 600;
const MAX_ENTRIES = 60;

const held = new Map<string, Signal<Value>>();

/** The signal with a parameter's value, by its address. */
export function value(address: string): Signal<Value> {
  let found = held.get(address);
  if (!found) held.set(address, (found = signal<Value>(null)));
  return found;
}

/** The beat, extrapolated between two reports: what the last one said, and when. */
export const clock = { beat: 0, at: 0 };
export const bpm = signal(120);
export const playing = signal(true);

export function beatNow(): number {
  const passed = playing.value ? ((performance.now() - clock.at) / 60000) * bpm.value : 0;
  return clock.beat + passed;
}

export const node = computed(() => graph.value?.nodes.find((one) => one.name === selected.value) ?? null);
export const takesNotes = computed(
  () => graph.value?.nodes.some((one) => one.inputs.some((port) => port.kind === "events")) ?? false,
);

let entries = 0;
export function say(text: string, bad = true): void {
  const last = log.value[0];
  if (last && last.text === text && Date.now() - last.at.getTime() < 3000) return;
  log.value = [{ id: ++entries, at: new Date(), text, bad }, ...log.value].slice(0, MAX_ENTRIES);
}

export function takeGraph(next: Graph): void {
  batch(() => {
    for (const one of next.nodes) {
      for (const param of one.params) value(`/node/${one.name}/${param.name}`).value = param.value;
    }
    graph.value = next;
    if (!next.nodes.some((one) => one.name === selected.value)) {
      selected.value = (next.nodes.find((one) => one.name !== "in" && one.name !== "out") ?? next.nodes[0])?.name ?? "";
    }
  });
}

export function takeStatus(next: Status): void {
  batch(() => {
    status.value = next;
    bpm.value = Number(next.tempo ?? bpm.value);
    playing.value = Boolean(next.playing);
    clock.beat = Number(next.beat ?? 0);
    clock.at = performance.now();
  });
}

export function noteOn(note: number, velocity: number, node: string): void {
  noteOff(note, node);
  notes.push({ note, velocity, node, from: performance.now(), to: 0 });
  if (notes.length > MAX_NOTES) notes.splice(0, notes.length - MAX_NOTES);
}

export function noteOff(note: number, node: string): void {
  for (let place = notes.length - 1; place >= 0; place--) {
    const one = notes[place]!;
    if (one.note === note && one.node === node && one.to === 0) {
      one.to = performance.now();
      return;
    }
  }
}

export function endNotes(): void {
  for (const one of notes) if (one.to === 0) one.to = performance.now();
}
