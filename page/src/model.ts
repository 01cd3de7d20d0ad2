// What the server says of the patch, and the page's copies of values, meters and events.

import { batch, computed, type Signal, signal } from "@preact/signals";
import type * as api from "./api";
import type { Room } from "./rooms";

export type Value = number | string | boolean | null;
export type Kind = api.Param["kind"];
/** What a parameter is; one without an end, for which JSON has no number, has no slider. */
export interface Declared extends Omit<api.Param, "low" | "high"> {
  low: number;
  high: number;
  /** Of a macro: the parameter that it drives, and its values at both ends; null where it drives several. */
  drives?: (Omit<api.Drive, "param"> & { of: Declared }) | null;
}
/** A parameter of a node, as the server sent it. */
export interface Param extends Declared {
  value: Value;
  /** Of a macro: what people read, its label or its name. */
  label?: string;
}
export type Port = api.Port;
export interface Node extends Omit<api.Node, "params"> {
  params: Param[];
}
export interface Graph extends Omit<api.Graph, "nodes"> {
  nodes: Node[];
}
export interface Entry {
  id: number;
  at: Date;
  text: string;
  bad: boolean;
  /** Kept among the messages, and shown nowhere else. */
  quiet: boolean;
  /** The room in which what it tells of is found. */
  room?: Room;
  /** What may be done about it: a button's name and what that does. */
  act?: Act;
  /** Said by the server unasked, so no answer to a press. */
  unasked?: boolean;
}
export type Act = readonly [string, () => void];
export interface Note {
  note: number;
  velocity: number;
  node: string;
  /** The part of the node that it is of, where the node has several. */
  part: string;
  played: boolean; // asked of the node, not emitted by it
  from: number;
  to: number; // 0 while it sounds
}
/** A note that was asked for and begins, or with velocity 0 ends, at a beat to come. */
export interface Ahead {
  beat: number;
  note: number;
  velocity: number;
  channel: number;
  node: string;
}
/** What a MIDI controller is mapped to; port "" is the patch's or the set list's own. */
export interface Mapping {
  address: string;
  control: string;
  port: string;
}
export interface Machine {
  ip: string;
  state: "held" | "approved";
  seconds: number | null;
  messages: number;
  subscriptions: number;
}
// deno-lint-ignore no-explicit-any
export type Status = Record<string, any>;

export const graph = signal<Graph | null>(null);
export const status = signal<Status>({});
/** Beats of a bar. */
export const barBeats = computed(() => Number(status.value.bar ?? 4));
/** What the server records of its output, and since when in seconds of the epoch; null where it does not. */
export const recording = computed<{ name: string; since: number } | null>(() => status.value.recording ?? null);
/** The same of the set as tracks. */
export const tracks = computed<{ name: string; since: number } | null>(() => status.value.recording_tracks ?? null);
/** The names of what is recorded. */
export const recorded = computed(() => `${recording.value?.name ?? ""} ${tracks.value?.name ?? ""}`);
export const selected = signal("");
export const log = signal<Entry[]>([]);
export const patches = signal<api.Patch[]>([]);
export const learning = signal("");
export const mappings = signal<Mapping[]>([]);
export const machines = signal<Machine[]>([]);
export const sets = signal<string[]>([]);
/** The cue that was sent last, and when: pads light up by it. */
export const cued = signal({ name: "", at: 0 });

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

/** The share of a block's time that each node takes in the engine, by name. */
export const loads = computed(
  () =>
    new Map<string, number>(
      (status.value.nodes ?? []).map((one: { name: string; load?: number }) => [one.name, one.load ?? 0]),
    ),
);
/** The patch's macros: parameters of the node `macro`, which is in no graph. */
export const macros = signal<Param[]>([]);
export const node = computed(() => graph.value?.nodes.find((one) => one.name === selected.value) ?? null);
export const takesNotes = computed(
  () => graph.value?.nodes.some((one) => one.inputs.some((port) => port.kind === "events")) ?? false,
);

const NOTICE_MS = 6000;
/** Milliseconds for which a message is shown: longer where there is a button to reach. */
export const shownFor = (one: Entry) => (one.room || one.act ? 3 : 1) * NOTICE_MS;
/** What is shown at a moment: the last answer, and the last of what was said unasked. */
export function notices(now: number): Entry[] {
  const fresh = log.value.filter((one) => !one.quiet && now - one.at.getTime() < shownFor(one));
  return [fresh.find((one) => !one.unasked), fresh.find((one) => one.unasked)].filter((one) => one !== undefined);
}
let entries = 0;
export function say(text: string, bad = true, quiet = false, room?: Room, more?: Pick<Entry, "act" | "unasked">): void {
  const last = log.value[0];
  if (last && last.text === text && Date.now() - last.at.getTime() < 3000) return;
  log.value = [{ id: ++entries, at: new Date(), text, bad, quiet, room, ...more }, ...log.value].slice(0, MAX_ENTRIES);
}

/** Of each kind of what the server says unasked, when it was said last. */
const told = new Map<string, number>();

/** Says what nobody asked for, beside an answer to a press: once, and again after `pause` ms without its kind. */
export function tell(kind: string, text: string, bad: boolean, pause: number, act?: Act): void {
  const again = Date.now() - (told.get(kind) ?? -pause) < pause;
  told.set(kind, Date.now());
  if (!again || !log.value.some((one) => one.text === text)) say(text, bad, again, undefined, { act, unasked: true });
}

/** What a macro drives, where that is one parameter. */
function drivesOf({ nodes, drives }: Graph, macro: string): Declared["drives"] {
  const drive = drives.find((one) => one.macro === macro);
  const of = nodes.find((one) => one.name === drive?.node)?.params.find((one) => one.name === drive?.param);
  return drive && of ? { ...drive, of } : null;
}

/** Takes a graph that was read. `newer`: whether what is shown of an address was set here after it was asked for. */
export function takeGraph(next: Graph, newer: (address: string) => boolean = () => false): void {
  // what a node that is gone began is never ended by it
  const same = graph.peek()?.patch === next.patch;
  for (const one of notes) {
    const there = same && (!one.node || next.nodes.some((other) => other.name === one.node));
    if (one.to === 0 && !there) one.to = performance.now();
  }
  batch(() => {
    for (const one of next.nodes) {
      for (const param of one.params) {
        const address = `/node/${one.name}/${param.name}`;
        if (!newer(address)) value(address).value = param.value;
      }
    }
    macros.value = (next.nodes.find((one) => one.name === "macro")?.params ?? []).map((one) => ({
      ...one,
      drives: drivesOf(next, one.name),
      label: one.doc.endsWith(".") ? one.name : one.doc, // a sentence says nothing of this macro, a label does
    }));
    graph.value = next = { ...next, nodes: next.nodes.filter((one) => one.name !== "macro") };
    if (!next.nodes.some((one) => one.name === selected.value)) {
      // what plays notes says more of a patch than a filter before it
      const shown = next.nodes.filter((one) => one.name !== "in" && one.name !== "out");
      const player = shown.find((one) => one.inputs.some((port) => port.kind === "events"));
      selected.value = (player ?? shown[0] ?? next.nodes[0])?.name ?? "";
    }
  });
}

/** Blocks missed in the last minute: a count since the start frightens for a whole set. */
export const missedLately = signal(0);
const MINUTE_MS = 60_000;
let missedBefore: { at: number; count: number }[] = [];

function countMissed(count: number, at: number): void {
  if (count < (missedBefore.at(-1)?.count ?? 0)) missedBefore = []; // a new engine
  missedBefore.push({ at, count });
  while (missedBefore.length > 1 && at - missedBefore[1]!.at >= MINUTE_MS) missedBefore.shift();
  missedLately.value = count - missedBefore[0]!.count;
}

export function takeStatus(next: Status): void {
  batch(() => {
    countMissed(Number(next.missed_blocks ?? 0), performance.now());
    status.value = next;
    bpm.value = Number(next.tempo ?? bpm.value);
    playing.value = Boolean(next.playing);
    clock.beat = Number(next.beat ?? 0);
    clock.at = performance.now();
  });
}

/** Chords that nodes reported, and since when; "" for none. */
export const chords: { name: string; at: number }[] = [];
/** Notes to come, in order of their beats. */
export const ahead: Ahead[] = [];
const MAX_AHEAD = 2000;
const NOW_BEATS = 0.02; // a note this near is not to come

/** The part of a node by the MIDI channel of what it emits: the output of that channel. */
export function partOf(node: string, channel: number): string {
  const ports = graph.peek()?.nodes.find((one) => one.name === node)?.outputs;
  return ports?.find((port) => port.midi === channel && port.midi > 0)?.name ?? "";
}

export function noteOn(note: number, velocity: number, node: string, played = false, channel = 1): void {
  const part = played ? "" : partOf(node, channel);
  noteOff(note, node, played, part);
  notes.push({ note, velocity, node, part, played, from: performance.now(), to: 0 });
  if (notes.length > MAX_NOTES) notes.splice(0, notes.length - MAX_NOTES);
}

/** Takes a note that a node is to play. */
export function noteAt(one: Ahead): void {
  if (!playing.peek() || one.beat <= beatNow() + NOW_BEATS) return begin(one);
  if (ahead.length >= MAX_AHEAD) ahead.shift();
  let place = ahead.length;
  while (place > 0 && ahead[place - 1]!.beat > one.beat) place--;
  ahead.splice(place, 0, one);
}

function begin(one: Ahead): void {
  if (one.velocity) noteOn(one.note, one.velocity, one.node, true);
  else noteOff(one.note, one.node, true);
}

/** Begins and ends the notes whose beat has come; called with every frame and every message. */
export function passBeat(): void {
  const beat = beatNow();
  while (ahead.length && ahead[0]!.beat <= beat) begin(ahead.shift()!);
}

export function noteOff(note: number, node: string, played = false, part = ""): void {
  for (let place = notes.length - 1; place >= 0; place--) {
    const one = notes[place]!;
    if (one.note === note && one.node === node && one.part === part && one.played === played && one.to === 0) {
      one.to = performance.now();
      return;
    }
  }
}

export function endNotes(): void {
  for (const one of notes) if (one.to === 0) one.to = performance.now();
}
