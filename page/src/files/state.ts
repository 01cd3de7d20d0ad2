// The lists of files and jobs, what is chosen of them, and what can be run. Changes of jobs come by a WebSocket.
import { computed, signal } from "@preact/signals";
import type * as api from "../api";
import { ask, hangUp, open } from "../link";
import { type Declared, say } from "../model";
import { request, type Sending, send } from "./api";

export type Stored = api.File;
export type Overview = api.Overview;
export type Job = api.Job;
export interface Plugin extends Omit<api.Plugin, "params"> {
  params: Declared[];
}
export interface Entry {
  name: string;
  line: string;
  bars?: number;
}
export interface Upload {
  key: number;
  batch: number; // of all that were sent at once
  file: File;
  progress: number;
  error: string;
  sending: Sending | null;
}

export const files = signal<Stored[]>([]);
export const jobs = signal<Job[]>([]);
export const uploads = signal<Upload[]>([]);
export const overviews = signal<Record<string, Overview | string>>({});
/** Identifiers of the files, or of the job whose result, the next run works on. */
export const chosen = signal<ReadonlySet<string>>(new Set());
export const plugins = signal<Plugin[]>([]);
export const patches = signal<Entry[]>([]);
export const sets = signal<Entry[]>([]);
/** Seconds left of each running job, as far as one can say. */
export const left = signal<Record<string, number>>({});

const MIDI = /\.(midi?|kar|rmi)$/i;
// READ_SUFFIXES of the server
const SOUNDS =
  "wav flac ogg mp3 opus aiff aif au m4a w64 caf oga mp2 mp4 m4v mov mkv webm m4b mka 3gp 3g2 aac ac3 eac3 amr ape avi " +
  "dff dsf dts flv m2ts mlp mpc mpg mpeg mts thd tta wma wmv wv";
const SOUND = new RegExp(`\\.(${SOUNDS.replaceAll(" ", "|")})$`, "i");
export const ACCEPT = [...SOUNDS.split(" "), "mid", "midi", "kar", "rmi"].map((ending) => `.${ending}`).join(",");
const LATER_MS = 5000;
const AT_ONCE = 2; // files that are sent at a time; the server takes four of all browsers

/** The plugin that states tempo, key and chords of a sound, and the result in which it does. */
export const KNOWING = "listen";
export const HEARD = "analysis.json";

export const isNotes = (name: string) => MIDI.test(name);

/** What a file, or a job's first result, is called. */
export function nameOf(id: string): string {
  const file = files.value.find((one) => one.id === id);
  if (file) return file.name;
  const job = jobs.value.find((one) => one.id === id);
  if (!job) return id ? "a file that was removed" : "";
  const before = nameOf(job.file).replace(/\.[^.]*$/, "");
  const ending = /\.[^.]*$/.exec(job.results[0]?.name ?? "")?.[0] ?? "";
  return `${before} ${job.name}`.trim() + ending;
}

export function contentOf(id: string): string {
  return files.value.some((one) => one.id === id) ? `/api/files/${id}/content` : `/api/jobs/${id}/result`;
}

/** The results of a job that took a song apart, by their stems; empty for any other. */
export function stemsOf(job: Job): { name: string; path: string }[] {
  const names = plugins.value.find((one) => one.name === job.name)?.splits ?? [];
  const found = names.filter((name) => job.results.some((one) => one.name === `${name}.wav`));
  return found.map((name) => ({ name, path: `/api/jobs/${job.id}/result/${name}.wav` }));
}

export const sources = computed(() => [...chosen.value].map((id) => ({ id, name: nameOf(id) })));

export function choose(id: string, on: boolean): void {
  // a result is worked on alone: choosing files leaves it
  const next = new Set([...chosen.value].filter((one) => files.value.some((file) => file.id === one)));
  if (on) next.add(id);
  else next.delete(id);
  chosen.value = next;
}

export async function readLists(): Promise<void> {
  const [stored, done] = await Promise.all([ask<Stored[]>("/api/files"), ask<Job[]>("/api/jobs")]);
  if (stored) files.value = stored;
  if (done) jobs.value = done;
  const known = new Set([...files.value.map((one) => one.id), ...jobs.value.map((one) => one.id)]);
  if ([...chosen.value].some((id) => !known.has(id)))
    chosen.value = new Set([...chosen.value].filter((id) => known.has(id)));
  void look();
}

let looking = false;
/** Reads the overviews of files that have none, one after the other. */
async function look(): Promise<void> {
  if (looking) return;
  looking = true;
  for (;;) {
    const next = files.value.find((one) => !(one.id in overviews.value));
    if (!next || !socket) break;
    let why = "";
    let later = false;
    const found = await request<Overview>("GET", `/api/files/${next.id}/overview`, undefined, (text, status) => {
      why = text;
      later = status === 0 || status >= 500; // the machine is busy, or the server is being started again
    });
    if (later) await new Promise((resolve) => setTimeout(resolve, LATER_MS));
    else overviews.value = { ...overviews.value, [next.id]: found ?? why };
  }
  looking = false;
}

export async function readChoices(): Promise<void> {
  const [first, second, third] = await Promise.all([
    ask<Plugin[]>("/api/plugins"),
    ask<Entry[]>("/api/patches"),
    ask<Entry[]>("/api/live/sets"),
  ]);
  if (first) plugins.value = first;
  if (second) patches.value = second;
  if (third) sets.value = third;
}

let socket: WebSocket | null = null;
const seen = new Map<string, { at: number; progress: number }>();

/** Follows jobs until the function that it returns is called. */
export function follow(): () => void {
  let open_ = true;
  const connect = () => {
    if (!open_) return;
    const mine = open("/");
    socket = mine;
    mine.onopen = () => {
      mine.send(JSON.stringify({ COMMAND: "LISTEN", DATA: "/api/jobs" }));
      void readLists();
    };
    mine.onmessage = (event) => {
      if (typeof event.data !== "string") return;
      const { COMMAND, DATA } = JSON.parse(event.data) as { COMMAND: string; DATA: Job };
      if (COMMAND === "FILES") void readLists();
      else if (COMMAND === "JOB") take(DATA);
    };
    mine.onclose = () => setTimeout(connect, 1500);
  };
  connect();
  void readChoices();
  return () => {
    open_ = false;
    hangUp(socket);
    socket = null;
  };
}

function take(job: Job): void {
  const rest = jobs.value.some((one) => one.id === job.id);
  jobs.value = rest ? jobs.value.map((one) => (one.id === job.id ? job : one)) : [job, ...jobs.value];
  const now = performance.now() / 1000;
  if (job.state !== "running") {
    seen.delete(job.id);
    const { [job.id]: _, ...others } = left.value;
    left.value = others;
    return;
  }
  const first = seen.get(job.id);
  if (!first) seen.set(job.id, { at: now, progress: job.progress });
  else if (job.progress > first.progress + 0.01 && now > first.at + 1) {
    const speed = (job.progress - first.progress) / (now - first.at);
    left.value = { ...left.value, [job.id]: (1 - job.progress) / speed };
  }
}

let keys = 0;
let batches = 0;
/** The choice that uploads made, and of which batch: what was chosen by hand stays. */
let own: { batch: number; chosen: ReadonlySet<string> } | null = null;
export function upload(list: Iterable<File>): void {
  const batch = ++batches;
  const added = [...list].map((file) => ({
    key: ++keys,
    batch,
    file,
    progress: 0,
    sending: null,
    error:
      MIDI.test(file.name) || SOUND.test(file.name)
        ? ""
        : "no sound, video or MIDI file: .wav, .flac, .ogg, .mp3, .m4a, .mp4, .webm, .mid and the like",
  }));
  uploads.value = [...uploads.value, ...added];
  sendNext();
}

function change(key: number, to: Partial<Upload>): void {
  uploads.value = uploads.value.map((one) => (one.key === key ? { ...one, ...to } : one));
}

export function drop(key: number): void {
  uploads.value.find((one) => one.key === key)?.sending?.cancel();
  uploads.value = uploads.value.filter((one) => one.key !== key);
}

function sendNext(): void {
  const busy = uploads.value.filter((one) => one.sending && !one.error).length;
  const next = uploads.value.find((one) => !one.sending && !one.error);
  if (!next || busy >= AT_ONCE) return;
  const sending = send(`/api/files?name=${encodeURIComponent(next.file.name)}`, next.file, (progress) =>
    change(next.key, { progress }),
  );
  change(next.key, { sending });
  void sending.done.then(async (why) => {
    if (why && why !== "cancelled") change(next.key, { error: why });
    else {
      if (!why) await readLists();
      const newest = why ? "" : newestOf(next.file.name);
      const { batch } = next;
      if (newest && (!chosen.value.size || (own?.batch === batch && own.chosen === chosen.value))) {
        choose(newest, true);
        own = { batch, chosen: chosen.value };
      }
      uploads.value = uploads.value.filter((one) => one.key !== next.key);
    }
    sendNext();
  });
  sendNext();
}

export const newestOf = (name: string) => files.value.filter((one) => one.name === name).at(-1)?.id ?? "";

/** Sends a file; gives its identifier, and throws the sentence of a refusal. */
export async function sent(file: File): Promise<string> {
  const why = await send(`/api/files?name=${encodeURIComponent(file.name)}`, file, () => {}).done;
  if (why) throw new Error(why);
  await readLists();
  return newestOf(file.name);
}

export async function remove(ids: Iterable<string>): Promise<void> {
  for (const id of ids) await request("DELETE", `/api/files/${id}`);
  await readLists();
}

/** Puts sounds into the library, which adds and analyses them. */
export async function keep(ids: string[]): Promise<void> {
  const names: string[] = [];
  for (const id of ids) {
    const found = await request<{ kept: string }>("POST", `/api/files/${id}/keep`);
    if (!found) return;
    names.push(found.kept);
  }
  if (!(await request("POST", "/api/library/analyse", {}))) return;
  const which = names.length === 1 ? `${names[0]} is` : `${names.length} files are`;
  say(
    `${which} in the library now, in its folder “files”; Library finds what is there by name once it is analysed.`,
    false,
  );
}

export async function forget(job: Job): Promise<void> {
  if (await request("DELETE", `/api/jobs/${job.id}`)) await readLists();
}

export async function repeat(job: Job): Promise<void> {
  const next = await request<Job>("POST", `/api/jobs/${job.id}/repeat`, {});
  if (next) take(next);
}

/** Begins a job; throws the sentence of a refusal. */
export async function submit(path: string, body: unknown): Promise<Job> {
  let said = "";
  const job = await request<Job>("POST", path, body, (why) => (said = why));
  if (!job) throw new Error(said);
  take(job);
  return job;
}

/** A job once it is over. */
export function ended({ id }: Job): Promise<Job> {
  return new Promise((resolve) => {
    const stop = jobs.subscribe((all) => {
      const job = all.find((one) => one.id === id);
      if (!job || job.state === "waiting" || job.state === "running") return;
      queueMicrotask(() => stop());
      resolve(job);
    });
  });
}

export async function run(path: string, body: unknown, refused: (why: string) => void): Promise<boolean> {
  const next = await request<Job>("POST", path, body, refused);
  if (next) take(next);
  return next !== null;
}

export function clock(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
