// Lessons: which one is open, what was learned, and how a try is run and checked. Progress stays in this browser.
import { computed, signal } from "@preact/signals";
import type { Lesson, LessonPath, Tried } from "../api";
import { lessonEditor, live, me, ownersAnswer } from "../code/store";
import { request } from "../files/api";
import { made, NOISY, noisy } from "../files/examples";
import { sounded, source } from "../input";
import { ask, send } from "../link";
import { graph, say, status } from "../model";
import { room } from "../rooms";

const AT = "learn-at";
const DONE = "learn-done";
const DRAFT = "learn/";
const SECONDS = 6;
const PARAMETER_MS = 700;

export const paths = signal<LessonPath[]>([]);
const at = signal(localStorage.getItem(AT) ?? "");
export const done = signal<ReadonlySet<string>>(new Set(JSON.parse(localStorage.getItem(DONE) ?? "[]") as string[]));
/** What the last check said; null before one, and after the text was changed. */
export const answer = signal<Tried | null>(null);
export const busy = signal("");

export const keyOf = (one: Lesson) => `${one.path}/${one.name}`;
const all = computed(() => paths.value.flatMap((one) => one.lessons));
export const lesson = computed(() => all.value.find((one) => keyOf(one) === at.value) ?? null);
/** The lesson behind the one that is open, in its path. */
export const next = computed(() => {
  const one = lesson.value;
  const row = paths.value.find((path) => path.path === one?.path)?.lessons ?? [];
  return row[row.findIndex((other) => other.name === one?.name) + 1] ?? null;
});
export const keysWanted = computed(() => room.value === "Learn" && !!lesson.value?.keys);

let reading = false;
export async function readLessons(): Promise<void> {
  if (reading || paths.value.length) return;
  reading = true;
  paths.value = (await ask<LessonPath[]>("/api/lessons")) ?? [];
  reading = false;
}

export function open(one: Lesson | null): void {
  at.value = one ? keyOf(one) : "";
  localStorage.setItem(AT, at.value);
  answer.value = null;
}

export function draftOf(one: Lesson): string {
  return localStorage.getItem(DRAFT + keyOf(one)) ?? one.start;
}

export function changed(text: string): void {
  answer.value = null;
  const one = lesson.value;
  if (!one) return;
  if (text === one.start) localStorage.removeItem(DRAFT + keyOf(one));
  else localStorage.setItem(DRAFT + keyOf(one), text);
}

function take(one: Lesson, said: Tried): void {
  if (lesson.value !== one) return;
  answer.value = said;
  if (!said.passed || done.value.has(keyOf(one))) return;
  done.value = new Set([...done.value, keyOf(one)]);
  localStorage.setItem(DONE, JSON.stringify([...done.value]));
}

/** Versions that were run here. */
const versions = new Set<number>();
/** The fault of a script that was run here, where its editor shows it. */
export const fault = computed(() => {
  const found = live.value?.fault ?? null;
  return found && versions.has(found.version) ? found : null;
});

/** Plays the script of the lesson, and has it checked. */
export async function run(): Promise<void> {
  const [one, editor] = [lesson.value, lessonEditor.value];
  if (!one || !editor || busy.value) return;
  const version = Math.floor(Math.random() * Number.MAX_SAFE_INTEGER) + 1;
  const text = editor.text();
  editor.ran(version, editor.part("all", 0));
  versions.add(version);
  busy.value = "Listening…";
  try {
    const again = () => void run();
    const body = { text, version, name: `lesson ${one.name}`, by: me, quantum: 1 };
    const [played, said] = await Promise.all([
      ownersAnswer(again, "POST", "/api/live/eval", body),
      ownersAnswer<Tried>(again, "POST", `/api/lessons/${keyOf(one)}/check`, { text }),
    ]);
    if (played && said) take(one, said);
  } finally {
    busy.value = "";
  }
}

/** Puts a line of the text into the editor, in place of the one of the same track or node, and plays it. */
export function put(line: string): void {
  const editor = lessonEditor.value;
  if (!editor) return;
  const head = /^\s*(?:track\("\w+"|node\("\w+"\)\.\w+)/.exec(line)?.[0];
  const lines = editor.text().trimEnd().split("\n");
  const place = head ? lines.findIndex((one) => one.startsWith(head)) : -1;
  lines.splice(place < 0 ? lines.length : place, place < 0 ? 0 : 1, line);
  editor.write(`${lines.join("\n")}\n`, lines.slice(0, place < 0 ? -1 : place + 1).join("\n").length);
  void run();
}

/** Loads the patch of the lesson, where another one plays. */
export function begin(): void {
  const one = lesson.value;
  if (one && graph.value?.patch.toLowerCase() !== one.patch) send("/patch/load", one.patch, 0.3);
}

/** Does one of the works that the lesson offers, and has the result checked. */
export async function work(title: string): Promise<void> {
  const one = lesson.value;
  const chosen = one?.work.find((other) => other.title === title);
  if (!one || !chosen || busy.value) return;
  busy.value = "You hear it as it is; the result plays as soon as it is made.";
  answer.value = null;
  try {
    const own = one.sound === NOISY ? { sound: "voice.ogg", make: noisy } : { sound: one.sound };
    const job = await made({ title, of: "", ...own, steps: chosen.jobs.map((path) => [path, chosen.body]) });
    const said = await request<Tried>("POST", `/api/lessons/${keyOf(one)}/check`, { job });
    if (said) take(one, said);
  } catch (error) {
    say(`It was not made: ${(error as Error).message}.`);
  }
  busy.value = "";
}

const SESSION = ["osc", "loudness", "onsets", "parameter"];
export const listens = (one: Lesson) => SESSION.includes(one.kind);

/** Whether what it hears is of the learner: without a sound card the server plays a voice to itself. */
export function hears(one: Lesson): boolean {
  const own = source.value === "microphone" || source.value === "file";
  return !one.sound || one.kind === "parameter" || (own && sounded.value) || status.value.engine?.driver !== "headless";
}

/** Listens to the server until the lesson is done, or another one is opened; gives what ends it. */
export function follow(one: Lesson): () => void {
  let on = listens(one);
  let of = ""; // whose voice the last request heard
  void (async () => {
    while (on) {
      if (!hears(one)) {
        await new Promise((then) => setTimeout(then, PARAMETER_MS));
        continue;
      }
      const seconds = one.kind === "parameter" ? 0 : SECONDS;
      const anew = one.sound !== "" && source.value !== of; // what another voice began does not count
      of = source.value;
      const path = `/api/lessons/${keyOf(one)}/heard?seconds=${seconds}${anew ? "&anew=true" : ""}`;
      const said = await ask<Tried>(path).catch(() => null);
      if (!on) return;
      if (seconds && one.sound && source.value !== of) continue;
      if (said) take(one, said);
      if (said?.passed) return;
      if (!seconds || !said) await new Promise((then) => setTimeout(then, PARAMETER_MS));
    }
  })();
  return () => {
    on = false;
  };
}
