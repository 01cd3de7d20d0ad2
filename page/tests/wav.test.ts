import assert from "node:assert/strict";
import { test } from "node:test";
import { wav } from "../src/files/wav";

test("a WAV file of floats holds the frames that are asked for, channels side by side", async () => {
  const data = [new Float32Array([0.5, -0.25, 9]), new Float32Array([1.5, 0, 9])];
  const sound = { numberOfChannels: 2, sampleRate: 44100, getChannelData: (n: number) => data[n]! };
  const file = new DataView(await wav(sound as never, 2).arrayBuffer());
  const text = (at: number) => String.fromCharCode(...[0, 1, 2, 3].map((n) => file.getUint8(at + n)));
  assert.deepEqual([text(0), text(8), text(12), text(38), text(50)], ["RIFF", "WAVE", "fmt ", "fact", "data"]);
  assert.equal(file.getUint32(4, true), file.byteLength - 8);
  assert.deepEqual([file.getUint16(20, true), file.getUint16(22, true), file.getUint32(24, true)], [3, 2, 44100]);
  assert.deepEqual([file.getUint32(28, true), file.getUint16(32, true), file.getUint16(34, true)], [352800, 8, 32]);
  assert.equal(file.getUint32(54, true), 16);
  assert.deepEqual(
    [0, 1, 2, 3].map((n) => file.getFloat32(58 + 4 * n, true)),
    [0.5, 1.5, -0.25, 0],
  );
});
