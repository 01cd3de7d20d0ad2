// Waveform, spectrum and spectrogram of the tap.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { shown, type Tap } from "../audio";
import { Spectrum } from "../fft";
import { eachFrame } from "../frames";
import { colours } from "../theme";

const FRAMES = 4096;
const spectrum = new Spectrum(FRAMES);
const samples = new Float32Array(FRAMES);
const LOW_HZ = 30;
const HIGH_HZ = 18000;
const FLOOR_DB = -90;
const modes = ["spectrum", "spectrogram"] as const;
const mode = signal<(typeof modes)[number]>("spectrum");
/** Milliseconds of script of the last frames, for measurements: `antiphonFrames` of the window. */
const spent: number[] = ((window as unknown as { antiphonFrames: number[] }).antiphonFrames = []);

export type Draw = (area: CanvasRenderingContext2D, width: number, height: number, now: number) => void;

/** Draws into a canvas thirty times a second while it is visible. */
export function useDrawing(draw: Draw) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current!;
    const area = element.getContext("2d")!;
    let odd = false;
    return eachFrame((now) => {
      odd = !odd;
      const { clientWidth: width, clientHeight: height } = element;
      if (odd || !width || !height) return;
      const began = performance.now();
      const scale = Math.min(2, devicePixelRatio);
      if (element.width !== Math.round(width * scale) || element.height !== Math.round(height * scale)) {
        element.width = Math.round(width * scale);
        element.height = Math.round(height * scale);
      }
      area.setTransform(scale, 0, 0, scale, 0, 0);
      draw(area, width, height, now);
      spent.push(performance.now() - began);
      if (spent.length > 600) spent.splice(0, 300);
    });
  }, []);
  return canvas;
}

export function text(
  area: CanvasRenderingContext2D,
  said: string,
  x: number,
  y: number,
  align: CanvasTextAlign = "left",
  alone = false, // nothing that was drawn before shows through
) {
  area.font = "11px ui-sans-serif, system-ui, sans-serif";
  area.textAlign = align;
  if (alone) {
    const wide = area.measureText(said).width;
    area.clearRect((align === "right" ? x - wide : x) - 4, y - 9, wide + 8, 12);
  }
  area.fillText(said, x, y);
}

export const wave: Draw = (area, width, height) => {
  const ink = colours();
  area.clearRect(0, 0, width, height);
  area.strokeStyle = ink.line;
  area.beginPath();
  area.moveTo(0, height / 2);
  area.lineTo(width, height / 2);
  area.stroke();
  const tap = shown.peek();
  if (!tap) return;
  tap.last(samples);
  const view = 1600;
  // from a rise through zero on, so that a steady sound stands still
  let start = FRAMES - view;
  for (let n = FRAMES - view; n > 64; n--) {
    if (samples[n - 1]! < 0 && samples[n]! >= 0) {
      start = n;
      break;
    }
  }
  let peak = 0.05;
  for (let n = start; n < start + view; n++) peak = Math.max(peak, Math.abs(samples[n]!));
  const scale = (height / 2 - 4) / Math.max(peak, gain(peak));
  area.strokeStyle = ink.warm;
  area.lineWidth = 1.5;
  area.beginPath();
  for (let x = 0; x < width; x++) {
    const a = start + Math.floor((x / width) * view);
    const b = Math.max(a + 1, start + Math.floor(((x + 1) / width) * view));
    let low = Infinity;
    let high = -Infinity;
    for (let n = a; n < b; n++) {
      low = Math.min(low, samples[n]!);
      high = Math.max(high, samples[n]!);
    }
    area.lineTo(x, height / 2 - high * scale);
    if (b - a > 1) area.lineTo(x, height / 2 - low * scale);
  }
  area.stroke();
  area.lineWidth = 1;
  area.fillStyle = ink.soft;
  text(area, `${tap.node}  ${level(samples)}`, 6, 14);
  text(area, `${((view / tap.rate) * 1000).toFixed(0)} ms`, width - 6, height - 6, "right");
};

let shownPeak = 0.05;
/** The scale of the waveform: it follows a louder sound at once, a softer one slowly. */
function gain(peak: number): number {
  shownPeak = Math.max(peak, shownPeak * 0.98);
  return shownPeak;
}

function level(of: Float32Array): string {
  let sum = 0;
  for (const sample of of) sum += sample * sample;
  const db = 10 * Math.log10(sum / of.length + 1e-12);
  return db < -90 ? "silent" : `${db.toFixed(1)} dB`;
}

function binOf(place: number, rate: number): number {
  return (LOW_HZ * (HIGH_HZ / LOW_HZ) ** place * FRAMES) / rate;
}

/** The greatest level between two places of the logarithmic axis. */
function between(bins: Float32Array, from: number, to: number, rate: number): number {
  const a = binOf(from, rate);
  const b = binOf(to, rate);
  const first = Math.floor(a);
  if (b - a < 1) return bins[first]! + (a - first) * (bins[Math.min(first + 1, bins.length - 1)]! - bins[first]!);
  let most = -200;
  for (let bin = first; bin <= b && bin < bins.length; bin++) most = Math.max(most, bins[bin]!);
  return most;
}

const smooth = new Float32Array(4096).fill(FLOOR_DB);

function drawSpectrum(area: CanvasRenderingContext2D, width: number, height: number, tap: Tap): void {
  const ink = colours();
  area.clearRect(0, 0, width, height);
  area.fillStyle = ink.soft;
  area.strokeStyle = ink.line;
  for (const [hertz, name] of [
    [100, "100"],
    [1000, "1k"],
    [10000, "10k"],
  ] as const) {
    const x = (Math.log(hertz / LOW_HZ) / Math.log(HIGH_HZ / LOW_HZ)) * width;
    area.beginPath();
    area.moveTo(x, 0);
    area.lineTo(x, height);
    area.stroke();
    text(area, name, x + 4, height - 5);
  }
  const bins = spectrum.run(samples);
  area.beginPath();
  area.moveTo(0, height);
  for (let x = 0; x < width; x++) {
    const now = between(bins, x / width, (x + 1) / width, tap.rate);
    smooth[x] = Math.max(now, smooth[x]! - 1.6);
    area.lineTo(x, height * (1 - Math.max(0, Math.min(1, (smooth[x]! - FLOOR_DB) / -FLOOR_DB))));
  }
  area.lineTo(width, height);
  area.globalAlpha = 0.25;
  area.fillStyle = ink.cool;
  area.fill();
  area.globalAlpha = 1;
  area.strokeStyle = ink.cool;
  area.stroke();
}

function drawSpectrogram(area: CanvasRenderingContext2D, width: number, height: number, tap: Tap): void {
  const scale = area.getTransform().a;
  const step = 2;
  if (last !== "spectrogram") area.clearRect(0, 0, width, height);
  area.globalCompositeOperation = "copy";
  area.drawImage(
    area.canvas,
    step * scale,
    0,
    area.canvas.width - step * scale,
    area.canvas.height,
    0,
    0,
    width - step,
    height,
  );
  area.globalCompositeOperation = "source-over";
  const bins = spectrum.run(samples);
  for (let y = 0; y < height; y += 2) {
    const place = 1 - (y + 2) / height;
    const level = (between(bins, place, place + 2 / height, tap.rate) - FLOOR_DB) / -FLOOR_DB;
    const warm = Math.max(0, Math.min(1, level * 1.15));
    area.fillStyle = `hsl(${(265 + 135 * warm) % 360} ${55 + 40 * warm}% ${3 + 66 * warm ** 1.4}%)`;
    area.fillRect(width - step, y, step, 2);
  }
}

let last: string = mode.peek();
const frequencies: Draw = (area, width, height) => {
  const tap = shown.peek();
  if (!tap) return;
  tap.last(samples);
  if (mode.peek() === "spectrum") drawSpectrum(area, width, height, tap);
  else drawSpectrogram(area, width, height, tap);
  last = mode.peek();
};

export function Sound() {
  const first = useDrawing(wave);
  const second = useDrawing(frequencies);
  return (
    <section class="sound" data-view="Sound" aria-label={`Sound of ${shown.value?.node ?? ""}`}>
      <canvas ref={first} role="img" aria-label="Waveform" />
      <canvas ref={second} class={mode.value} role="img" aria-label={mode.value} />
      <span class="modes">
        {modes.map((name) => (
          <button key={name} aria-pressed={mode.value === name} onClick={() => (mode.value = name)}>
            {name}
          </button>
        ))}
      </span>
    </section>
  );
}
