// Sound of one rate as sound of another, piece by piece: a windowed sinc between the frames.

const HALF = 16; // frames on either side of a place
const STEPS = 512; // of the table between two frames

/** Takes frames of `from` Hz, interleaved, and gives those of `to` Hz; late by `HALF` frames. */
export class Resampler {
  private readonly table: Float32Array;
  private readonly step: number;
  private kept: Float32Array;
  private at = 0; // the next frame's place in `kept`

  constructor(
    from: number,
    to: number,
    readonly channels: number,
  ) {
    this.step = from / to;
    const cut = Math.min(1, to / from) * 0.96; // of what both rates can hold, with room for the slope
    this.table = Float32Array.from({ length: HALF * STEPS + 2 }, (_, n) => {
      const x = n / STEPS;
      if (x >= HALF) return 0;
      const window = 0.42 + 0.5 * Math.cos((Math.PI * x) / HALF) + 0.08 * Math.cos((2 * Math.PI * x) / HALF);
      return x ? (window * Math.sin(Math.PI * cut * x)) / (Math.PI * x) : cut;
    });
    this.kept = new Float32Array(2 * HALF * channels);
    this.at = HALF;
  }

  take(samples: Float32Array): Float32Array {
    const { channels, step, table } = this;
    const all = new Float32Array(this.kept.length + samples.length);
    all.set(this.kept);
    all.set(samples, this.kept.length);
    const frames = all.length / channels;
    const count = Math.max(0, Math.ceil((frames - HALF - this.at) / step));
    const made = new Float32Array(count * channels);
    for (let frame = 0; frame < count; frame++) {
      const place = this.at + frame * step;
      const first = Math.floor(place) - HALF + 1;
      for (let tap = 0; tap < 2 * HALF; tap++) {
        const far = Math.abs(place - first - tap) * STEPS;
        const near = Math.floor(far);
        const weight = table[near]! + (far - near) * (table[near + 1]! - table[near]!);
        for (let channel = 0; channel < channels; channel++)
          made[frame * channels + channel]! += weight * (all[(first + tap) * channels + channel] ?? 0);
      }
    }
    const next = this.at + count * step;
    const gone = Math.floor(next) - HALF;
    this.kept = all.slice(gone * channels);
    this.at = next - gone;
    return made;
  }
}
