// Taps: the sound of nodes, streamed by the server. Each keeps its last samples for the drawings; one is played.
import { computed, signal } from "@preact/signals";
import { STOPPED, watch } from "./context";
import { hangUp, open } from "./link";
import { say, status } from "./model";

const HEADER = 32;
// on the machine itself bytes cost nothing; over a network 16 bits are half of them
const FORMAT = ["127.0.0.1", "localhost", "[::1]"].includes(location.hostname) ? "" : "&format=int16";
const HISTORY = 16384; // frames that a tap keeps for drawings; a power of two

export interface Report {
  rms: number;
  fill: number;
  target: number;
  gaps: number;
  ratio: number;
}
export const listening = signal<"off" | "starting" | "on" | "stopped">("off");
/** Whether nobody hears what sounds: the server has no sound card, and the page does not play. */
export const unheard = computed(() => listening.value === "off" && status.value.engine?.driver === "headless");
/** Whether something was played by hand here. */
export const played = signal(false);
export const volume = signal(0.8);
export const report = signal<Report | null>(null);
/** Seconds from the engine's block to the loudspeaker, as far as the browser knows. */
export const delay = signal(0);
/** Blocks and messages that were lost on the way here, so far. */
export const missing = signal(0);

let context: AudioContext | null = null;
let gain: GainNode | null = null;
let unwatch = () => {};
let wentOn = -Infinity; // when sound that had stopped went on
const PRESS_MS = 700; // within which a press of Go on ends, which made it go on as it began
let sink: ((samples: Float32Array, channels: number) => void) | null = null;
let heard: Tap | null = null;

/** A node's stream. */
export class Tap {
  /** The last samples, mono, as a ring; `at` is where the next goes. */
  readonly history = new Float32Array(HISTORY);
  at = 0;
  rate = 48000;
  frames = 0;
  private socket: WebSocket | null = null;
  private closed = false;
  private lost = 0;

  constructor(readonly node: string) {
    this.open();
  }

  close(): void {
    this.closed = true;
    hangUp(this.socket);
    if (heard === this) heard = null;
  }

  private open(): void {
    const socket = open(`/api/sound?node=${encodeURIComponent(this.node)}${FORMAT}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.take(event.data as ArrayBuffer);
    socket.onclose = (event) => {
      if (this.closed) return;
      if (event.code >= 4000) say(event.reason);
      setTimeout(() => this.closed || this.open(), event.code >= 4000 ? 5000 : 1000);
    };
    this.socket = socket;
  }

  private take(data: ArrayBuffer): void {
    const head = new DataView(data, 0, HEADER);
    const word = (place: number) => head.getUint32(4 * place, true);
    const [rate, block, channels, blocks] = [word(0), word(1), word(2), word(3)];
    const lost = word(6) + word(7);
    if (lost > this.lost) missing.value += lost - this.lost;
    this.lost = lost;
    this.rate = rate;
    const frames = blocks * block;
    const narrow = data.byteLength - HEADER < 4 * frames * channels;
    const planar = narrow ? new Int16Array(data, HEADER) : new Float32Array(data, HEADER);
    const scale = narrow ? 1 / 32767 : 1;
    const samples = new Float32Array(frames * channels);
    for (let piece = 0; piece < blocks; piece++) {
      for (let channel = 0; channel < channels; channel++) {
        const from = (piece * channels + channel) * block;
        let to = piece * block * channels + channel;
        for (let frame = 0; frame < block; frame++, to += channels) samples[to] = scale * planar[from + frame]!;
      }
    }
    for (let frame = 0; frame < frames; frame++) {
      let sum = 0;
      for (let channel = 0; channel < channels; channel++) sum += samples[frame * channels + channel]!;
      this.history[this.at] = sum / channels;
      this.at = (this.at + 1) & (HISTORY - 1);
    }
    this.frames += frames;
    if (heard === this && sink) sink(samples, channels);
  }

  /** Copies the last `into.length` samples. */
  last(into: Float32Array): void {
    const start = this.at - into.length;
    for (let place = 0; place < into.length; place++) into[place] = this.history[(start + place) & (HISTORY - 1)]!;
  }
}

/** The tap that is drawn, and played while `listening` is on. */
export const shown = signal<Tap | null>(null);

export function show(node: string): void {
  if (shown.value?.node === node) return;
  shown.value?.close();
  const next = new Tap(node);
  shown.value = next;
  if (listening.value !== "off") heard = next;
}

export async function listen(): Promise<void> {
  if (performance.now() - wentOn < PRESS_MS) return;
  if (listening.value === "stopped") return (stop(), listen()); // where a touch did not help, a new context does
  if (listening.value !== "off") return stop();
  listening.value = "starting";
  if (!shown.value) show("out");
  try {
    const mine = new AudioContext({
      latencyHint: "interactive",
      sampleRate: Number(status.value.engine?.rate ?? 48000),
    });
    context = mine;
    gain = mine.createGain();
    gain.gain.value = volume.value;
    gain.connect(mine.destination);
    sink = mine.audioWorklet ? await worklet(mine, gain) : scheduled(mine, gain);
    await mine.resume();
    if (context !== mine) return;
    heard = shown.value;
    listening.value = "on";
    unwatch = watch(mine, (stopped) => {
      listening.value = stopped ? "stopped" : "on";
      if (!stopped) wentOn = performance.now();
      else if (!document.hidden) say(STOPPED);
    });
    mine.addEventListener("error", () => context === mine && (stop(), void listen())); // its device is gone
  } catch (error) {
    stop();
    say(`The browser cannot play: ${(error as Error).message}`);
  }
}

export function stop(): void {
  unwatch();
  unwatch = () => {};
  heard = null;
  sink = null;
  void context?.close();
  context = null;
  report.value = null;
  listening.value = "off";
}

export function setVolume(next: number): void {
  volume.value = next;
  if (gain && context) gain.gain.setTargetAtTime(next, context.currentTime, 0.02);
}

async function worklet(context: AudioContext, out: AudioNode): Promise<NonNullable<typeof sink>> {
  await context.audioWorklet.addModule("/page/player.js");
  const player = new AudioWorkletNode(context, "antiphon-player", { numberOfInputs: 0, outputChannelCount: [2] });
  player.port.onmessage = (event: MessageEvent<Report>) => {
    report.value = event.data;
    delay.value = event.data.fill + context.baseLatency + (context.outputLatency || 0);
  };
  player.connect(out);
  return (samples, channels) => player.port.postMessage({ samples, channels }, [samples.buffer]);
}

/** Without an AudioWorklet, which browsers allow on secure pages alone: each piece is a buffer with a time to begin. */
function scheduled(context: AudioContext, out: AudioNode): NonNullable<typeof sink> {
  const target = 0.12;
  let next = 0;
  let gaps = 0;
  return (samples, channels) => {
    const frames = samples.length / channels;
    const buffer = context.createBuffer(channels, frames, context.sampleRate);
    for (let channel = 0; channel < channels; channel++) {
      const into = buffer.getChannelData(channel);
      for (let frame = 0; frame < frames; frame++) into[frame] = samples[frame * channels + channel]!;
    }
    const now = context.currentTime;
    if (next < now || next > now + 0.5) {
      gaps += next > 0 ? 1 : 0;
      next = now + target;
    }
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(out);
    source.start(next);
    next += frames / context.sampleRate;
    const fill = next - now;
    report.value = { rms: 0, fill, target, gaps, ratio: 1 };
    delay.value = fill + context.baseLatency + (context.outputLatency || 0);
  };
}
