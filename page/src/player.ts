// The audio thread: plays samples that come over the network in pieces, out of a buffer that absorbs their jitter.
//
// It reads at a rate that differs from 1 by at most half a percent, so that the buffer stays near its target although
// the two clocks differ. Where it runs empty the sound fades out, and fades in once the target is reached again; the
// target grows then, and shrinks after a while without such a gap.
import { Resampler } from "./resample";

declare const sampleRate: number;
declare function registerProcessor(name: string, made: unknown): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

const SECONDS = 2; // of the ring
const LEAST = 0.03; // seconds of the target
const MOST = 0.4;
const STEP = 0.015; // by which the target grows at a gap
const CALM = 20; // seconds without a gap after which it shrinks
const PULL = 0.005; // greatest deviation of the rate from 1
const FADE = 0.004; // seconds

class Player extends AudioWorkletProcessor {
  private ring = new Float32Array(0);
  private size = 0;
  private channels = 0;
  private written = 0; // frames
  private at = 0; // frame being read, with its fraction
  private target = 0.06;
  private level = 0; // of the fade
  private filling = true;
  private gaps = 0;
  private calm = 0;
  private fill = 0; // smoothed, in frames
  private sum = 0;
  private frames = 0;

  constructor() {
    super();
    this.port.onmessage = (event: MessageEvent<{ samples: Float32Array; channels: number }>) =>
      this.take(event.data.samples, event.data.channels);
  }

  /** Appends frames, interleaved. */
  private take(samples: Float32Array, channels: number): void {
    if (channels !== this.channels) {
      this.channels = channels;
      this.size = Math.round(SECONDS * sampleRate);
      this.ring = new Float32Array(this.size * channels);
      this.written = this.at = 0;
      this.filling = true;
    }
    const frames = samples.length / channels;
    const start = this.written % this.size;
    const first = Math.min(frames, this.size - start);
    this.ring.set(samples.subarray(0, first * channels), start * channels);
    if (first < frames) this.ring.set(samples.subarray(first * channels), 0);
    this.written += frames;
    const fill = this.written - this.at;
    // a page that was not run for a while gets all at once: go on near its end
    if (fill > (this.target + 0.25) * sampleRate) this.restart();
  }

  private restart(): void {
    this.at = Math.max(0, this.written - Math.round(this.target * sampleRate));
    this.fill = this.target * sampleRate;
    this.level = 0;
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const out = outputs[0]!;
    const length = out[0]!.length;
    const goal = this.target * sampleRate;
    const now = this.written - this.at;
    if (this.filling && now >= goal && this.channels > 0) {
      this.filling = false;
      this.restart();
    }
    this.fill += 0.01 * (now - this.fill);
    const ratio = 1 + Math.max(-PULL, Math.min(PULL, (0.02 * (this.fill - goal)) / goal));
    const step = 1 / (FADE * sampleRate);
    for (let frame = 0; frame < length; frame++) {
      // the last frames fade out, so that an empty buffer is no click
      const left = this.written - 3 - this.at;
      const wanted = this.filling ? 0 : Math.max(0, Math.min(1, left * step));
      this.level += Math.max(-step, Math.min(step, wanted - this.level));
      const place = Math.floor(this.at);
      const part = this.at - place;
      for (let channel = 0; channel < out.length; channel++) {
        const sample = this.filling || left < 0 ? 0 : this.level * this.between(place, part, channel);
        out[channel]![frame] = sample;
        this.sum += sample * sample;
      }
      if (!this.filling && left >= 0) this.at += ratio;
      else if (!this.filling) {
        this.filling = true;
        this.gaps += 1;
        this.calm = 0;
        this.target = Math.min(MOST, this.target + STEP);
      }
    }
    this.frames += length;
    this.calm += length / sampleRate;
    if (this.calm > CALM) {
      this.calm = 0;
      this.target = Math.max(LEAST, this.target - STEP / 3);
    }
    if (this.frames >= sampleRate / 10) {
      const rms = Math.sqrt(this.sum / (this.frames * out.length));
      this.port.postMessage({ rms, fill: now / sampleRate, target: this.target, gaps: this.gaps, ratio });
      this.sum = this.frames = 0;
    }
    return true;
  }

  /** A sample between two frames, by a cubic through four (Catmull-Rom). */
  private between(place: number, part: number, channel: number): number {
    const n = this.channels;
    const c = Math.min(channel, n - 1);
    const size = this.size;
    const a = this.ring[((place - 1 + size) % size) * n + c]!;
    const b = this.ring[(place % size) * n + c]!;
    const d = this.ring[((place + 1) % size) * n + c]!;
    const e = this.ring[((place + 2) % size) * n + c]!;
    const slope = 0.5 * (d - a);
    const next = 0.5 * (e - b);
    const q = 2 * (b - d) + slope + next;
    const r = 3 * (d - b) - 2 * slope - next;
    return ((q * part + r) * part + slope) * part + b;
  }
}

const CHUNK = 384; // frames of a message to the server: 8 ms at 48 kHz, below its limit of 4096 bytes

/** Passes on what comes in, interleaved, in pieces of `CHUNK` frames of the rate that is wanted. */
class Sender extends AudioWorkletProcessor {
  private readonly rate: number;
  private resampler: Resampler | null = null;
  private chunk = new Float32Array(0);
  private at = 0;
  private channels = 0;

  constructor(options: { processorOptions: { rate: number } }) {
    super();
    this.rate = options.processorOptions.rate;
  }

  process(inputs: Float32Array[][]): boolean {
    const input = inputs[0]!;
    const channels = Math.min(2, input.length);
    if (!channels) return true;
    if (channels !== this.channels) {
      this.channels = channels;
      this.chunk = new Float32Array(CHUNK * channels);
      this.at = 0;
      this.resampler = this.rate === sampleRate ? null : new Resampler(sampleRate, this.rate, channels);
    }
    const frames = input[0]!.length;
    let samples: Float32Array = new Float32Array(frames * channels);
    for (let frame = 0, at = 0; frame < frames; frame++)
      for (let channel = 0; channel < channels; channel++) samples[at++] = input[channel]![frame]!;
    if (this.resampler) samples = this.resampler.take(samples);
    for (const sample of samples) {
      this.chunk[this.at++] = sample;
      if (this.at === this.chunk.length) {
        this.port.postMessage({ samples: this.chunk, channels }, [this.chunk.buffer]);
        this.chunk = new Float32Array(CHUNK * channels);
        this.at = 0;
      }
    }
    return true;
  }
}

registerProcessor("antiphon-player", Player);
registerProcessor("antiphon-sender", Sender);
