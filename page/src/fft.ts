// Magnitudes of a real signal: a radix-2 FFT in place, with a Hann window.
export class Spectrum {
  readonly bins: Float32Array;
  private readonly re: Float32Array;
  private readonly im: Float32Array;
  private readonly window: Float32Array;
  private readonly cos: Float32Array;
  private readonly sin: Float32Array;

  constructor(readonly size: number) {
    this.bins = new Float32Array(size / 2);
    this.re = new Float32Array(size);
    this.im = new Float32Array(size);
    this.window = Float32Array.from({ length: size }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / size));
    this.cos = Float32Array.from({ length: size / 2 }, (_, n) => Math.cos((2 * Math.PI * n) / size));
    this.sin = Float32Array.from({ length: size / 2 }, (_, n) => Math.sin((2 * Math.PI * n) / size));
  }

  /** Fills `bins` with the levels in dB: a sine of full scale is 0. */
  run(samples: Float32Array): Float32Array {
    const { size, re, im, cos, sin, bins } = this;
    const bits = Math.log2(size);
    for (let n = 0; n < size; n++) {
      let to = 0;
      for (let bit = 0; bit < bits; bit++) to |= ((n >> bit) & 1) << (bits - 1 - bit);
      re[to] = samples[n]! * this.window[n]!;
      im[to] = 0;
    }
    for (let half = 1; half < size; half *= 2) {
      const stride = size / (2 * half);
      for (let start = 0; start < size; start += 2 * half) {
        for (let n = 0; n < half; n++) {
          const a = start + n;
          const b = a + half;
          const c = cos[n * stride]!;
          const s = sin[n * stride]!;
          const x = re[b]! * c + im[b]! * s;
          const y = im[b]! * c - re[b]! * s;
          re[b] = re[a]! - x;
          im[b] = im[a]! - y;
          re[a] = re[a]! + x;
          im[a] = im[a]! + y;
        }
      }
    }
    const scale = 4 / size;
    for (let n = 0; n < size / 2; n++) bins[n] = 20 * Math.log10(Math.hypot(re[n]!, im[n]!) * scale + 1e-9);
    return bins;
  }
}
