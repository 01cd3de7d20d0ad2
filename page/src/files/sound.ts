// Two sounds, A and B, played at the same time and sample: a switch is a crossfade between their gains, so the place
// stays and there is no gap.
import { computed, effect, signal } from "@preact/signals";
import { STOPPED, watch } from "../context";
import { silenced } from "../link";
import { say } from "../model";
import { bytes } from "./api";
import { clock, contentOf, isNotes, type Job, nameOf, overviews } from "./state";
import { wav } from "./wav";

const FADE = 0.01; // seconds of a switch, long enough for no click, too short to be heard as one
const EDGE = 0.006; // seconds in which sound begins and ends
const LONGEST = 12 * 60; // seconds: both sounds lie decoded in the browser's memory, 46 MB a minute
const GATE = 0.001; // RMS below which a piece counts as silence, -60 dB

export type Side = "A" | "B";
export const SIDES = ["A", "B"] as const;
export interface Loaded {
  id: string;
  name: string;
  buffer: AudioBuffer;
  /** Seconds of the sound itself; the buffer has silence behind the shorter one. */
  seconds: number;
  /** RMS of what is no silence. */
  level: number;
  /** What it is mixed of, each by its fader. */
  stems?: { name: string; buffer: AudioBuffer }[];
}
/** The faders of the stems, 0 to 2, by name. */
export const faders = signal<Record<string, number>>({});
export const pair = signal<{ A: Loaded; B: Loaded | null } | null>(null);
/** What is being loaded, and why the last could not be. */
export const loading = signal<{ name: string; share: number } | null>(null);
export const refusal = signal("");
export const side = signal<Side>("A");
export const matched = signal(true);
export const playing = signal(false);
export const looped = signal(true);
export const region = signal<[number, number] | null>(null);
export const length = computed(() => pair.value?.A.buffer.duration ?? 0);

let context: AudioContext | null = null;
let master: AnalyserNode | null = null;
const gains: Partial<Record<Side, GainNode>> = {};
let stemGains: [string, GainNode][] = [];
let take: { sources: AudioBufferSourceNode[]; edges: GainNode[] } | null = null;
let began = { at: 0, from: 0 };
let resting = 0; // the place while nothing plays
let aborting: AbortController | null = null;

function audio(): AudioContext {
  if (context) return context;
  context = new AudioContext();
  watch(context, (stopped) => stopped && playing.value && say(STOPPED));
  master = context.createAnalyser();
  master.connect(context.destination);
  for (const name of SIDES) {
    gains[name] = context.createGain();
    gains[name]!.connect(master);
  }
  return context;
}

function levelOf(buffer: AudioBuffer): number {
  const step = Math.round(buffer.sampleRate * 0.4);
  let sum = 0;
  let pieces = 0;
  for (let at = 0; at < buffer.length; at += step) {
    let power = 0;
    const end = Math.min(buffer.length, at + step);
    for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
      const samples = buffer.getChannelData(channel);
      for (let n = at; n < end; n++) power += samples[n]! * samples[n]!;
    }
    const mean = power / (end - at) / buffer.numberOfChannels;
    if (mean > GATE * GATE) {
      sum += mean;
      pieces += 1;
    }
  }
  return pieces ? Math.sqrt(sum / pieces) : 0;
}

async function decoded(id: string, path = contentOf(id), name = nameOf(id)): Promise<Loaded> {
  if (isNotes(name)) throw new Error(`${name} has notes, no sound; render a patch or run an instrument over it`);
  const known = overviews.value[id];
  if (typeof known === "object" && known.seconds > LONGEST) {
    throw new Error(`${name} lasts ${clock(known.seconds)}; the player takes ${LONGEST / 60} minutes, so download it`);
  }
  loading.value = { name, share: 0 };
  const data = await bytes(path, (share) => (loading.value = { name, share }), aborting!.signal);
  const buffer = await audio()
    .decodeAudioData(data)
    .catch(() => {
      throw new Error(`this browser cannot play ${name}; run with another format, or download it`);
    });
  if (buffer.duration > LONGEST)
    throw new Error(
      `${name} lasts ${clock(buffer.duration)}; the player takes ${LONGEST / 60} minutes, so download it`,
    );
  return { id, name, buffer, seconds: buffer.duration, level: levelOf(buffer) };
}

/** The same sound with silence behind it: loops of both then have the same length. */
function padded(one: Loaded, frames: number): Loaded {
  const { buffer } = one;
  if (buffer.length >= frames) return one;
  const longer = new AudioBuffer({
    length: frames,
    numberOfChannels: buffer.numberOfChannels,
    sampleRate: buffer.sampleRate,
  });
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    longer.copyToChannel(buffer.getChannelData(channel), channel);
  }
  return { ...one, buffer: longer };
}

/** Loads a sound, or two to compare, and shows the one that is new. */
export async function load(a: string, b = ""): Promise<void> {
  close();
  const mine = (aborting = new AbortController());
  refusal.value = "";
  try {
    const first = await decoded(a);
    const second = b ? await decoded(b) : null;
    if (mine.signal.aborted) return;
    const frames = Math.max(first.buffer.length, second?.buffer.length ?? 0);
    pair.value = { A: padded(first, frames), B: second && padded(second, frames) };
    side.value = second ? "B" : "A";
  } catch (error) {
    if (!mine.signal.aborted) refusal.value = (error as Error).message;
  }
  if (aborting === mine) loading.value = null;
}

/** Loads a sound and plays it. */
export async function listen(id: string): Promise<void> {
  await load(id);
  if (pair.value?.A.id === id) await play();
}

/** Loads the stems of a song beside it, as one sound that is mixed by the faders. */
export async function loadStems(job: Job, stems: { name: string; path: string }[]): Promise<void> {
  close();
  const mine = (aborting = new AbortController());
  refusal.value = "";
  try {
    const parts: Loaded[] = [];
    for (const one of stems) parts.push(await decoded(job.id, one.path, one.name));
    const first = await decoded(job.file).catch(() => null); // the song may have been removed
    if (mine.signal.aborted) return;
    const frames = Math.max(first?.buffer.length ?? 0, ...parts.map((one) => one.buffer.length));
    const even = parts.map((one) => ({ name: one.name, buffer: padded(one, frames).buffer }));
    faders.value = Object.fromEntries(even.map((one) => [one.name, 1]));
    const buffer = summed(even, () => 1);
    const seconds = parts[0]!.seconds;
    const mix = { id: job.id, name: `${nameOf(job.file)}, mix`, buffer, seconds, level: levelOf(buffer), stems: even };
    pair.value = first ? { A: padded(first, frames), B: mix } : { A: mix, B: null };
    matched.value = false;
    side.value = first ? "B" : "A";
  } catch (error) {
    if (!mine.signal.aborted) refusal.value = (error as Error).message;
  }
  if (aborting === mine) loading.value = null;
}

function summed(stems: NonNullable<Loaded["stems"]>, gain: (name: string) => number): AudioBuffer {
  const { length, numberOfChannels, sampleRate } = stems[0]!.buffer;
  const whole = new AudioBuffer({ length, numberOfChannels, sampleRate });
  for (let channel = 0; channel < numberOfChannels; channel++) {
    const to = whole.getChannelData(channel);
    for (const { name, buffer } of stems) {
      const factor = gain(name);
      const from = buffer.getChannelData(Math.min(channel, buffer.numberOfChannels - 1));
      for (let n = 0; n < length; n++) to[n]! += factor * from[n]!;
    }
  }
  return whole;
}

/** The mix as its faders are, a WAV file of 32-bit floats. */
export function mixFile(one: Loaded): Blob {
  const whole = summed(one.stems!, (name) => faders.value[name] ?? 1);
  return wav(whole, Math.round(one.seconds * whole.sampleRate));
}

export function close(): void {
  aborting?.abort();
  pause();
  resting = 0;
  region.value = null;
  pair.value = null;
  loading.value = null;
  refusal.value = "";
}

/** The gain of a side, so that both are as loud as the softer one. */
export function gainOf(name: Side): number {
  const now = pair.value;
  if (!now?.B || !matched.value || !now.A.level || !now.B.level) return 1;
  return Math.min(1, now[name === "A" ? "B" : "A"]!.level / now[name]!.level);
}

/** The place in seconds. */
export function place(): number {
  if (!take || !context) return resting;
  const at = began.from + Math.max(0, context.currentTime - began.at);
  const [from, to] = looped.value && region.value ? region.value : [0, length.value];
  if (!looped.value || at < to) return Math.min(at, length.value);
  return from + ((at - from) % (to - from));
}

function ramp(gain: AudioParam, to: number, now: number, seconds: number): void {
  gain.cancelScheduledValues(now);
  gain.setValueAtTime(gain.value, now);
  gain.linearRampToValueAtTime(to, now + seconds);
}

function end(): void {
  if (!take || !context) return;
  const { sources, edges } = take;
  const now = context.currentTime;
  for (const { gain } of edges) ramp(gain, 0, now, EDGE);
  for (const source of sources) {
    source.onended = null;
    source.stop(now + EDGE);
  }
  take = null;
}

function begin(from: number): void {
  const now = pair.value;
  if (!now) return;
  const running = audio();
  const loop: [number, number] = region.value ?? [0, length.value];
  if (looped.value && (from < loop[0] || from >= loop[1])) from = loop[0];
  if (from >= length.value) from = 0;
  const at = running.currentTime + 0.01;
  const mine: NonNullable<typeof take> = { sources: [], edges: [] };
  stemGains = [];
  for (const name of SIDES) {
    const one = now[name];
    if (!one) continue;
    const edge = running.createGain();
    edge.connect(gains[name]!);
    edge.gain.setValueAtTime(0, at);
    edge.gain.linearRampToValueAtTime(1, at + EDGE);
    mine.edges.push(edge);
    for (const part of one.stems ?? [{ name: "", buffer: one.buffer }]) {
      const source = running.createBufferSource();
      const fader = running.createGain();
      source.buffer = part.buffer;
      source.loop = looped.value;
      [source.loopStart, source.loopEnd] = loop;
      fader.gain.value = part.name ? (faders.value[part.name] ?? 1) : 1;
      source.connect(fader).connect(edge);
      if (part.name) stemGains.push([part.name, fader]);
      source.start(at, from);
      mine.sources.push(source);
    }
  }
  take = mine;
  began = { at, from };
  mine.sources[0]!.onended = () => {
    take = null;
    resting = 0;
    playing.value = false;
  };
}

export async function play(): Promise<void> {
  if (!pair.value) return;
  await audio().resume();
  end();
  begin(resting);
  playing.value = true;
}

export function pause(): void {
  if (!playing.value) return;
  resting = place();
  end();
  playing.value = false;
}

export function toggle(): void {
  if (playing.value) pause();
  else void play();
}

export function seek(to: number): void {
  resting = Math.min(Math.max(0, to), Math.max(0, length.value - 0.001));
  if (!playing.value) return;
  end();
  begin(resting);
}

export function setRegion(next: [number, number] | null): void {
  const at = place();
  region.value = next && next[1] - next[0] > 0.02 ? next : null;
  resting = at;
  if (playing.value) seek(at);
}

export function setLooped(on: boolean): void {
  const at = place();
  looped.value = on;
  if (playing.value) seek(at);
}

export function flip(): void {
  if (pair.value?.B) side.value = side.value === "A" ? "B" : "A";
}

effect(() => {
  const sounding = side.value;
  for (const name of SIDES) {
    const level = name === sounding ? gainOf(name) : 0;
    if (context && gains[name]) ramp(gains[name]!.gain, level, context.currentTime, FADE);
  }
});

effect(() => {
  for (const [name, gain] of stemGains) {
    if (context) ramp(gain.gain, faders.value[name] ?? 1, context.currentTime, FADE);
  }
  faders.value; // where nothing plays yet
});

// panic is for everything that sounds here
effect(() => {
  if (silenced.value) pause();
});

/** What plays, measured behind both gains, for tests and for curious people at the console. */
export function measured() {
  const samples = new Float32Array(master?.fftSize ?? 0);
  master?.getFloatTimeDomainData(samples);
  const rms = Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / Math.max(1, samples.length));
  let clock: number;
  let at: number;
  do {
    // the audio thread moves the clock, also while a script runs
    clock = context?.currentTime ?? 0;
    at = place();
  } while (context && context.currentTime !== clock);
  return {
    playing: playing.value,
    side: side.value,
    place: at,
    clock,
    length: length.value,
    rms,
    region: region.value,
  };
}
