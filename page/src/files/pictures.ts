// Waveform and spectrogram of a whole sound, a column for each pixel; the spectrogram is made in pieces of a few
// milliseconds, so that the page stays quick.
import { Spectrum } from "../fft";

const SIZE = 2048;
const LOW_HZ = 40;
const HIGH_HZ = 18000;
const FLOOR_DB = -95;
const BUDGET_MS = 5;

/** Least and greatest sample of each column, in turn. */
export function extremes(buffer: AudioBuffer, columns: number): Float32Array {
  const found = new Float32Array(2 * columns);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let column = 0; column < columns; column++) {
      const end = Math.max(
        Math.floor(((column + 1) / columns) * samples.length),
        Math.floor((column / columns) * samples.length) + 1,
      );
      let low = found[2 * column]!;
      let high = found[2 * column + 1]!;
      for (let n = Math.floor((column / columns) * samples.length); n < end; n++) {
        const one = samples[n] ?? 0;
        if (one < low) low = one;
        else if (one > high) high = one;
      }
      found[2 * column] = low;
      found[2 * column + 1] = high;
    }
  }
  return found;
}

/** Red, green and blue of 256 levels, from nearly black by violet to a warm white. */
const COLOURS = (() => {
  const table = new Uint8ClampedArray(256 * 3);
  for (let n = 0; n < 256; n++) {
    const level = n / 255;
    const hue = (265 + 135 * level) % 360;
    const light = 0.03 + 0.7 * level ** 1.4;
    const reach = (0.55 + 0.4 * level) * Math.min(light, 1 - light);
    [0, 8, 4].forEach((turn, place) => {
      const k = (turn + hue / 30) % 12;
      table[3 * n + place] = 255 * (light - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
    });
  }
  return table;
})();

/** Draws a spectrogram into a canvas of `columns` by `rows` pixels; the function that it returns ends it. */
export function spectrogram(buffer: AudioBuffer, canvas: HTMLCanvasElement, columns: number, rows: number): () => void {
  canvas.width = columns;
  canvas.height = rows;
  const area = canvas.getContext("2d")!;
  const spectrum = new Spectrum(SIZE);
  const window = new Float32Array(SIZE);
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
  const bin = (row: number) => (LOW_HZ * (HIGH_HZ / LOW_HZ) ** (1 - row / rows) * SIZE) / buffer.sampleRate;
  const ranges = Array.from({ length: rows }, (_, row) => {
    const first = Math.min(SIZE / 2 - 1, Math.floor(bin(row + 1)));
    return [first, Math.min(SIZE / 2 - 1, Math.max(first, Math.floor(bin(row))))] as const;
  });
  const strip = area.createImageData(1, rows);
  let column = 0;
  let frame = requestAnimationFrame(piece);
  function piece() {
    const end = performance.now() + BUDGET_MS;
    for (; column < columns && performance.now() < end; column++) draw();
    if (column < columns) frame = requestAnimationFrame(piece);
  }
  function draw() {
    const start = Math.round(((column + 0.5) / columns) * buffer.length) - SIZE / 2;
    window.fill(0);
    for (const samples of channels) {
      for (let n = Math.max(0, -start); n < SIZE && start + n < samples.length; n++)
        window[n]! += samples[start + n]! / channels.length;
    }
    const bins = spectrum.run(window);
    ranges.forEach(([from, to], row) => {
      let most = -200;
      for (let n = from; n <= to; n++) most = Math.max(most, bins[n]!);
      const level = Math.max(0, Math.min(255, Math.round((255 * (most - FLOOR_DB)) / -FLOOR_DB)));
      for (let place = 0; place < 3; place++) strip.data[4 * row + place] = COLOURS[3 * level + place]!;
      strip.data[4 * row + 3] = 255;
    });
    area.putImageData(strip, column, 0);
  }
  return () => cancelAnimationFrame(frame);
}
