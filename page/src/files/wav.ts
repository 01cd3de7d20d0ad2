// WAV files of 32-bit floats.
const HEAD = 58; // bytes before the samples: RIFF, fmt with its extension, fact, data

/** The first frames of a sound. */
export function wav(
  sound: Pick<AudioBuffer, "numberOfChannels" | "sampleRate" | "getChannelData">,
  frames: number,
): Blob {
  const { numberOfChannels: channels, sampleRate: rate } = sound;
  const bytes = 4 * channels * frames;
  const head = new DataView(new ArrayBuffer(HEAD));
  const word = (at: number, text: string) => [...text].forEach((one, n) => head.setUint8(at + n, one.charCodeAt(0)));
  const numbers = (at: number, ...values: number[]) =>
    values.forEach((one, n) => head.setUint32(at + 4 * n, one, true));
  word(0, "RIFF");
  numbers(4, HEAD - 8 + bytes);
  word(8, "WAVEfmt ");
  numbers(16, 18, 3 | (channels << 16), rate, 4 * channels * rate, (4 * channels) | (32 << 16));
  word(38, "fact");
  numbers(42, 4, frames);
  word(50, "data");
  numbers(54, bytes);
  const samples = new Float32Array(channels * frames);
  for (let channel = 0; channel < channels; channel++) {
    const from = sound.getChannelData(channel);
    for (let n = 0; n < frames; n++) samples[n * channels + channel] = from[n]!;
  }
  return new Blob([head.buffer, samples], { type: "audio/wav" });
}
