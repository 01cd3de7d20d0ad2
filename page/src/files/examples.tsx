// Three sounds that ship, and what can be done with each by one click; the result is heard beside its source.
import { signal } from "@preact/signals";
import { headers } from "./api";
import { load, loadStems, place, play, seek, setRegion, side } from "./sound";
import { ended, files, forget, newestOf, sent, stemsOf, submit } from "./state";
import { wav } from "./wav";

type Step = [path: string, body?: Record<string, unknown>];
export interface Example {
  title: string;
  of: string;
  sound: string;
  /** What is made of the sound before it is sent. */
  make?: (data: ArrayBuffer) => Promise<File>;
  /** Each works on the result of the one before. */
  steps: Step[];
}
const EXAMPLES: Example[] = [
  { title: "Clean this", of: "a voice in noise", sound: "voice.ogg", make: noisy, steps: [["/api/run/denoise"]] },
  { title: "Take this apart", of: "a band", sound: "band.flac", steps: [["/api/run/stems", { stems: true }]] },
  {
    title: "Make this hum a piano",
    of: "a hummed tune",
    sound: "hum.flac",
    steps: [["/api/run/hum"], ["/api/run/soundfont"]],
  },
  { title: "A band under it", of: "a hummed tune", sound: "hum.flac", steps: [["/api/render/answer"]] },
];
const FIRST = 4; // seconds of a patch that are made and looped while the whole is made
export const NOISY = "voice in noise.wav";
const busy = signal("");
const problem = signal("");

/** The voice in a noise like that of a fan, the same each time. */
export async function noisy(data: ArrayBuffer): Promise<File> {
  const sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(data);
  const samples = sound.getChannelData(0);
  let seed = 1;
  let low = 0;
  for (let n = 0; n < samples.length; n++) {
    seed = (seed * 16807) % 2147483647;
    low += 0.3 * (seed / 1073741823.5 - 1 - low);
    samples[n]! += 0.14 * low;
  }
  return new File([wav(sound, samples.length)], NOISY);
}

async function given({ sound, make }: Example): Promise<string> {
  const name = make ? NOISY : sound;
  const there = newestOf(name);
  if (there) return there;
  const answer = await fetch(`/api/examples/${sound}`, { headers: headers() });
  if (!answer.ok) throw new Error("the server does not give its sounds");
  const data = await answer.arrayBuffer();
  return sent(make ? await make(data) : new File([data], name));
}

/** Has all steps done and plays the result; gives its job. Throws the sentence of what failed. */
export async function made(example: Example): Promise<string> {
  const source = await given(example);
  let file = source;
  const heard = load(source).then(play); // until the result is there
  for (const [path, body] of example.steps) {
    const patch = path.startsWith("/api/render/");
    const first = patch ? await ended(await submit(path, { file, ...body, seconds: FIRST, later: true })) : null;
    await heard;
    if (first?.state === "done") {
      await load(source, first.id);
      setRegion([0, FIRST]);
      await play();
    }
    const job = await ended(await submit(path, { file, ...body, later: true }));
    const at = first ? place() : 0;
    if (job.state !== "done") throw new Error(job.error || "it was cancelled");
    file = job.id;
    const stems = stemsOf(job);
    if (stems.length) await loadStems(job, stems);
    else if (path === example.steps.at(-1)![0]) await load(source, job.id);
    if (!first) continue;
    seek(at);
    void forget(first);
  }
  if (example.steps.length) side.value = "B";
  await play();
  return file;
}

async function start(example: Example): Promise<void> {
  if (busy.value) return;
  busy.value = example.title;
  problem.value = "";
  try {
    await made(example);
  } catch (error) {
    problem.value = (error as Error).message;
  }
  busy.value = "";
}

export function Examples() {
  return (
    <details class="examples" open={!files.value.length || Boolean(busy.value)}>
      <summary>Try it with sounds that are here</summary>
      <ul>
        {EXAMPLES.map((one) => (
          <li key={one.title}>
            <button disabled={Boolean(busy.value)} onClick={() => void start(one)}>
              <b>{one.title}</b>
              <small>{busy.value === one.title ? "as it is; the result plays as soon as it is made" : one.of}</small>
            </button>
          </li>
        ))}
      </ul>
      {problem.value && (
        <p class="bad" role="alert">
          {problem.value}
        </p>
      )}
    </details>
  );
}
