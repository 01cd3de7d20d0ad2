// The script in the editor, what the server says of it, and how it is asked: without preact, so that it can be read alone.
import { computed, effect, signal, untracked } from "@preact/signals";
import type { Explained, Fault, Live, LiveSet, Translated } from "../api";
import { delay, listening } from "../audio";
import { arrived, ask, forgetToken, keysCame, lacksToken, open, parts, send, sentence, token } from "../link";
import { beatNow, bpm, graph, type Param, patches, say, status, value } from "../model";
import type { Vocabulary } from "./complete";
import type { Editor, What } from "./editor";
import { languageOf, tried, withTried } from "./words";

type LiveState = Omit<Live, "fault"> & { fault: Required<Fault> | null };

const FIRST = `from antiphon.live import *

patch("band")
tempo(122)
track("kick", s("bd*4"))
track("hats", s("[~ hh]*4 [hh hh oh hh]", gain="[0.6 0.3]*4"))
track("bass", note(scale("a1 minor", "0 ~ [0 7] ~ 0 [~ 5] 3 4"), legato=0.8), on="bass")
`;
const DRAFT = "code/";
const BEATS = 4;

export const live = signal<LiveState | null>(null);
export const sets = signal<LiveSet[]>([]);
export const name = signal(localStorage.getItem("code-name") ?? "untitled");
/** The text as it was opened or saved; what differs is a draft in this browser. */
export const saved = signal("");
export const text = signal("");
export const unsaved = computed(() => text.value !== saved.value);
/** What is wanted once the token is known; null where it is not asked for. */
export const wanted = signal<(() => void) | null>(null);
export const refusal = signal("");
export const printed = signal<string[]>([]);
export const editor = signal<Editor | null>(null);
/** The editor of the room Learn, which is lit beside this one. */
export const lessonEditor = signal<Editor | null>(null);

export const me = sessionStorage.getItem("code-by") ?? Math.random().toString(36).slice(2, 10);
sessionStorage.setItem("code-by", me);
/** What `antiphon live` plays beside the page's scripts; null for nothing. */
export const terminal = computed(
  () => (status.value.terminal ?? null) as { name: string; tracks: string[]; printed: string[] } | null,
);
let accepted = false;
effect(() => {
  if (!terminal.value) accepted = false;
});

/** Whether a script may sound beside a terminal's set: asked once for each. */
function mayJoin(): boolean {
  const other = terminal.value?.name ?? "";
  const said = `A terminal plays ${other}. What you run plays beside it; a patch that it names takes the place of this one.`;
  if (other && !accepted && !confirm(`${said} Run it?`)) return false;
  accepted = other !== "";
  return true;
}
const words = signal<Omit<Vocabulary, "nodes" | "patches" | "sounds"> | null>(null);
/** Names of sounds, by the samplers of the patch. */
export const sounds = signal<Record<string, string[]>>({});
export const reference = signal<Explained[]>([]);

interface Answer {
  status: number;
  tokenless?: boolean;
  data: Record<string, unknown>;
}

async function request(method: string, path: string, body?: unknown): Promise<Answer> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const data = answer.status === 204 ? {} : ((await answer.json()) as Record<string, unknown>);
    return { status: answer.status, tokenless: lacksToken(answer), data };
  } catch {
    return { status: 0, data: { error: "the server does not answer" } };
  }
}

/** As `request`, but where the token is missing or wrong it is asked for, and `again` is called once it was typed. */
async function asOwner(again: () => void, method: string, path: string, body?: unknown): Promise<Answer | null> {
  if (!token()) {
    refusal.value = "";
    wanted.value = again;
    return null;
  }
  const answer = await request(method, path, body);
  if (answer.tokenless) {
    forgetToken();
    refusal.value = String(answer.data.error ?? "");
    wanted.value = again;
    return null;
  }
  return answer;
}

/** The answer to a request that needs the token; null where it was refused, which is said. */
export async function ownersAnswer<T>(
  again: () => void,
  method: string,
  path: string,
  body?: unknown,
): Promise<T | null> {
  const answer = await asOwner(again, method, path, body);
  return !answer || wrong(answer) ? null : (answer.data as T);
}

effect(() => {
  if (keysCame.value) untracked(goOn);
});

function goOn(): void {
  const next = wanted.peek();
  if (!next) return;
  wanted.value = null;
  (lessonEditor.peek() ?? editor.peek())?.focus();
  next();
}

function wrong(answer: Answer): boolean {
  if (answer.status >= 200 && answer.status < 300) return false;
  say(sentence(String(answer.data.error ?? `the server answered ${answer.status}`)));
  return true;
}

// ---- run and stop

/** Beats at whose multiples what is run begins; kept in this browser. */
export const quantum = signal(Number(localStorage.getItem("code-quantum") ?? 1));
quantum.subscribe((beats) => localStorage.setItem("code-quantum", String(beats)));
const MINE = "code-versions";
const KEPT_VERSIONS = 8;
/** Versions that this browser ran, whose errors are shown here. */
const mine = signal<number[]>(JSON.parse(sessionStorage.getItem(MINE) ?? "[]"));
/** Whether the text is as it was run last: what was wrong with it then may be mended since. */
const asRun = signal(true);
export const fault = computed(() => {
  const found = live.value?.fault ?? null;
  return found && asRun.value && mine.value.includes(found.version) ? found : null;
});

/** Runs the script or a part of it; from the top it begins on a bar at its first, and what plays ends there. */
export async function run(what: What, top = false): Promise<void> {
  const one = editor.value;
  if (!one || !live.value?.on || !mayJoin()) return;
  const version = Math.floor(Math.random() * Number.MAX_SAFE_INTEGER) + 1;
  const part = one.part(what, live.value.playing ? live.value.version : 0);
  const body = { text: part.doc.toString(), version, name: plain(name.value), by: me, quantum: quantum.value, top };
  one.ran(version, part);
  mine.value = [...mine.value, version].slice(-KEPT_VERSIONS);
  sessionStorage.setItem(MINE, JSON.stringify(mine.value));
  asRun.value = true;
  printed.value = [];
  const answer = await asOwner(() => void run(what, top), "POST", "/api/live/eval", body);
  if (!answer || wrong(answer) || what === "all") return;
  // the part that waits has its sliders where they were when it was run
  for (const { place, value } of one.sliders(version)) if (place !== null) slide(version, place, value);
}

const moves = new Map<string, { version: number; place: number; value: number }>();
let moving = false;

/** Moves a slider of a version; of several moves before the server has answered the last counts. */
function slide(version: number, place: number, value: number): void {
  moves.set(`${version} ${place}`, { version, place, value });
  if (moving || !token()) return;
  moving = true;
  void (async () => {
    for (const [key, body] of moves) {
      moves.delete(key);
      wrong(await request("POST", "/api/live/slider", body));
    }
    moving = false;
  })();
}

/** A slider of the text was moved. */
export function slid(at: number, value: number): void {
  const [one, now] = [editor.value, live.value];
  if (!one || !now?.on) return;
  // what was run last is not in `now` before the server has said so
  for (const version of new Set([now.version, now.tried, mine.value.at(-1) ?? 0])) {
    const place = version ? one.origin(version, at) : null;
    if (place !== null) slide(version, place, value);
  }
}

/** Silences a track or loop, or plays it alone, for all versions until it is said otherwise. */
export async function hear(which: "muted" | "soloed", track: string): Promise<void> {
  const now = live.value;
  if (!now) return;
  const names = now[which].includes(track) ? now[which].filter((one) => one !== track) : [...now[which], track];
  const body = { muted: now.muted, soloed: now.soloed, [which]: names };
  const answer = await asOwner(() => void hear(which, track), "POST", "/api/live/tracks", body);
  if (answer && !wrong(answer)) live.value = { ...live.value!, [which]: names };
}

/** Plays an example: as the track `try`, a line at the end of the text, which is run alone. */
export function tryOut(example: string): void {
  const [one, line] = [editor.value, tried(example)];
  if (!one || !line) return;
  const { text: next, at } = withTried(one.text(), line);
  one.write(next, at);
  void run("line");
}

/** A program of another language that was pasted and stands in the text; "" for none. */
export const pasted = signal("");

const PASTE = ["POST", "/api/live/paste"] as const;
/** The translation of what was pasted, which begins before it is wanted: a process starts for it. */
let translating: Promise<Answer> | undefined;

export function paste(program: string): void {
  pasted.value = languageOf(program) && program;
  translating = pasted.value && token() ? request(...PASTE, { text: program }) : undefined;
}

/** Puts a live script in the place of the program that was pasted. */
export async function translate(): Promise<void> {
  const program = pasted.value;
  const begun = await translating;
  translating = undefined;
  const done = begun?.status === 200 ? begun : null;
  const answer = done ?? (await asOwner(() => void translate(), ...PASTE, { text: program }));
  if (!answer || wrong(answer) || !editor.value || !pasted.value) return;
  const { text: made, left_out: left } = answer.data as unknown as Translated;
  const now = editor.value.text();
  const at = now.indexOf(program);
  if (at < 0) return;
  editor.value.write(`${now.slice(0, at)}${made}${now.slice(at + program.length)}`, at);
  say(left ? `Left out, each with its reason in the text: ${left}.` : "All of it is translated.", false);
}

export async function stop(): Promise<void> {
  const answer = await asOwner(() => void stop(), "POST", "/api/live/stop");
  if (answer) wrong(answer);
}

/** A name as the server takes it with a script that is run. */
export function plain(given: string): string {
  return given.replace(/[^ -~]/g, "?").slice(0, 80);
}

/** The bar of a beat, as the header counts bars. */
export function bar(beat: number): number {
  return Math.floor(beat / BEATS) + 1;
}

// ---- open, save, and drafts of what was not saved

function keep(): void {
  localStorage.setItem("code-name", name.value);
  const key = DRAFT + name.value;
  try {
    if (unsaved.value) localStorage.setItem(key, text.value);
    else localStorage.removeItem(key);
  } catch {
    say("This browser keeps no more drafts: save the script.");
  }
}

export function changed(next: string): void {
  text.value = next;
  if (!next.includes(pasted.value)) pasted.value = "";
  asRun.value = false;
  keep();
}

async function fetched(which: string): Promise<string | null> {
  const found = await ask<{ text: string }>(`/api/live/sets/${encodeURIComponent(which)}`);
  return found?.text ?? null;
}

function show(which: string, original: string, shown: string): void {
  name.value = which;
  saved.value = original;
  text.value = shown;
  pasted.value = "";
  editor.value?.show(shown);
  asRun.value = false;
  keep();
}

export async function openSet(which: string): Promise<void> {
  const original = await fetched(which);
  if (original === null) {
    say(`The script ${which} cannot be read.`);
    return;
  }
  show(which, original, localStorage.getItem(DRAFT + which) ?? original);
}

export function revert(): void {
  show(name.value, saved.value, saved.value);
}

export function fresh(): void {
  let which = "untitled";
  for (let number = 2; sets.value.some((one) => one.name === which) || localStorage.getItem(DRAFT + which); number++) {
    which = `untitled${number}`;
  }
  show(which, "", FIRST);
}

export async function save(): Promise<void> {
  const known = sets.value.find((one) => one.name === name.value);
  if (!known?.own) return saveAs();
  await write(name.value, true);
}

export async function saveAs(): Promise<void> {
  const shipped = sets.value.some((one) => one.name === name.value && !one.own);
  const given = prompt("Save the script as", shipped ? `my-${name.value}` : name.value)?.trim();
  if (given) await write(given, false);
}

async function write(which: string, replace: boolean): Promise<void> {
  const content = text.value;
  const path = `/api/live/sets/${encodeURIComponent(which)}`;
  const now = live.value;
  const version = now?.playing && now.by === me && now.name === plain(name.value) ? now.version : 0;
  const answer = await asOwner(() => void write(which, replace), "PUT", path, { text: content, replace, version });
  if (!answer) return;
  if (answer.status === 409 && sets.value.some((one) => one.name === which && one.own)) {
    if (confirm(`Replace your script ${which}? The one before is kept as ${which}~.`)) await write(which, true);
    return;
  }
  if (wrong(answer)) return;
  if (which !== name.value) localStorage.removeItem(DRAFT + name.value);
  name.value = which;
  saved.value = content;
  keep();
  say(`The script is saved as ${which}.`, false);
  await readSets();
}

export async function readSets(): Promise<void> {
  sets.value = (await ask<LiveSet[]>("/api/live/sets")) ?? sets.value;
}

/** Shows the script that another browser runs. */
export async function showRunning(): Promise<void> {
  const answer = await asOwner(() => void showRunning(), "GET", "/api/live/script");
  if (!answer || wrong(answer)) return;
  const { name: which, text: shown, version } = answer.data as { name: string; text: string; version: number };
  const original = (await fetched(which || "untitled")) ?? "";
  show(which || "untitled", original, shown);
  ran(version);
}

function ran(version: number): void {
  const one = editor.value;
  if (one) one.ran(version, one.part("all", 0));
}

/** Performs a script that ships or was saved, from the next multiple of `beats` on. */
export async function performSet(which: string, beats: number): Promise<void> {
  if (!mayJoin()) return;
  const found = await fetched(which);
  if (found === null) return say(`The script ${which} cannot be read.`);
  const version = Math.floor(Math.random() * Number.MAX_SAFE_INTEGER) + 1;
  mine.value = [...mine.value, version].slice(-KEPT_VERSIONS);
  const body = { text: found, version, name: plain(which), by: me, quantum: beats };
  const answer = await asOwner(() => void performSet(which, beats), "POST", "/api/live/eval", body);
  if (answer) wrong(answer);
  else say("Scripts need your token once: run one in the room Code.");
}

/** Reads the names of the sounds of the patch's samplers. */
export async function readSounds(): Promise<void> {
  sounds.value = (await ask<Record<string, string[]>>("/api/live/sounds")) ?? sounds.value;
}
/** Those whose sounds are struck, not played in pitches: the kits. */
export const kits = computed(() =>
  Object.fromEntries(Object.entries(sounds.value).filter(([node]) => value(`/node/${node}/pads`).value !== "pitch")),
);
/** The samplers of the patch and their libraries, as a text. */
export const samplers = computed(() =>
  (graph.value?.nodes ?? [])
    .filter((one) => one.type === "sampler")
    .map((one) => `${one.name} ${value(`/node/${one.name}/library`).value}`)
    .join(),
);
/** The samplers of the patch that play a folder of the library. */
export const playersOf = (library: string) =>
  (graph.value?.nodes ?? [])
    .filter((one) => one.type === "sampler" && value(`/node/${one.name}/library`).value === library)
    .map((one) => one.name);

/** Has samplers read a folder again, which has a new sound. */
export function reread(library: string): void {
  for (const name of playersOf(library)) send(`/node/${name}/library`, library);
  void readSounds();
}
effect(() => {
  if (samplers.value) void arrived.then(readSounds);
  else sounds.value = {};
});
// a capture is a sound of the samplers whose library is captures
parts.set("reply", (part) => (part as [string])[0] === "/capture.reply" && reread("captures"));

// ---- edited together

/** The names of the others who edit this text; null while it is this page's alone. */
export const together = signal<string[] | null>(null);

/** Edits the script together with other pages, or by itself again. */
export async function share(): Promise<void> {
  const one = editor.value;
  if (!one) return;
  if (together.value) {
    one.leave();
    together.value = null;
    return;
  }
  if (!token()) {
    refusal.value = "";
    wanted.value = () => void share();
    return;
  }
  const given = prompt("Your name, for the others who edit", localStorage.getItem("code-me") ?? "")?.trim();
  if (!given) return;
  localStorage.setItem("code-me", given);
  one.share(() => open("/api/live/shared"), given, {
    people: (names) => together.value && (together.value = names),
    joined(now) {
      together.value ??= [];
      changed(now);
      void recognise();
    },
    ended(reason) {
      one.leave();
      together.value = null;
      if (reason) say(sentence(reason));
      else void whyNotShared();
    },
  });
}

/** The answer to a plain request says why there is no WebSocket, which browsers keep to themselves. */
async function whyNotShared(): Promise<void> {
  const answer = await asOwner(() => void share(), "GET", "/api/live/shared");
  if (answer && (answer.status === 426 || !wrong(answer)))
    say(sentence("the script is not shared: the server does not answer"));
}

// ---- the room opens

let entered = false;

export async function enterRoom(): Promise<void> {
  live.value = await ask<LiveState>("/api/live");
  void readSounds();
  if (entered) return;
  entered = true;
  await readSets();
}

let read = false;
/** Reads the words that an editor completes and explains: the server's first answer takes it half a second. */
export async function readWords(): Promise<void> {
  if (read) return;
  read = true;
  const found = await ask("/api/live/words");
  if (found) {
    const { words: all, changes, nodes, scales, chords } = found;
    words.value = { words: all, changes, nodeWords: nodes, scales, chords };
    reference.value = found.reference;
  } else read = false;
}

/** The text that the editor begins with: a draft, the script that was open last, or a first one. */
export async function firstText(): Promise<string> {
  const draft = localStorage.getItem(DRAFT + name.value);
  const original = sets.value.some((one) => one.name === name.value) ? await fetched(name.value) : null;
  saved.value = original ?? "";
  text.value = draft ?? original ?? FIRST;
  return text.value;
}

/** Knows the places of a script that this text is, as after the page was read again. */
export async function recognise(): Promise<void> {
  const one = editor.value;
  if (!one || !live.value?.playing || one.knows(live.value.version) || !token()) return;
  const { status, data } = await request("GET", "/api/live/script");
  if (status === 200 && data.text === one.text()) ran(Number(data.version));
}

function range(param: Param): string {
  if (param.kind === "switch") return "0 or 1";
  if (param.kind === "choice") return param.choices.join(", ");
  if (param.kind !== "float" && param.kind !== "int") return "";
  return `${param.low} to ${param.high}${param.unit ? ` ${param.unit}` : ""}`;
}

export function vocabulary(): Vocabulary {
  const nodes = (graph.value?.nodes ?? []).map((node) => ({
    name: node.name,
    doc: node.doc,
    params: node.params
      .filter((one) => !one.readonly)
      .map((one) => ({ name: one.name, doc: one.doc, range: range(one) })),
  }));
  return {
    ...(words.value ?? { words: [], changes: [], nodeWords: [], scales: [], chords: [] }),
    sounds: [...new Set(Object.values(sounds.value).flat())].sort(),
    patches: patches.value.map((one) => one.name),
    nodes,
  };
}

// ---- what the server reports

parts.set("live", (part) => {
  // whether scripts are taken from here the feed does not say, for it is the same for all pages
  live.value = { on: false, start: "", ...live.value, ...(part as Partial<LiveState>) } as LiveState;
  if (!live.value.playing) for (const one of [editor, lessonEditor]) one.value?.dark();
});
parts.set("steps", (part) => {
  const open = [editor.value, lessonEditor.value].filter((one) => one !== null);
  if (!open.length) return;
  const now = performance.now();
  const beat = beatNow();
  const pace = 60000 / bpm.value;
  const late = listening.value === "off" ? 0 : delay.value * 1000;
  const steps = (part as [number, number, number[], string][]).map(([at, length, places, track]) => {
    const from = now + (at - beat) * pace + late;
    hit(track, from);
    return { from, until: from + Math.max(SHORTEST_MS, length * pace * SHARE), places };
  });
  for (const one of open) one.light(steps);
});
/** When tracks and loops have played, or will at once, in milliseconds of the page's clock, by their names. */
export const hits = new Map<string, number[]>();
const MOST_HITS = 64;
const MOST_TRACKS = 512;
function hit(track: string, at: number): void {
  const known = hits.get(track) ?? [];
  if (!known.length && hits.size >= MOST_TRACKS) hits.clear();
  known.push(at);
  if (known.length > MOST_HITS) known.shift();
  hits.set(track, known);
}

/** What a track will play: the beat, its length, the track, and a sound's name or a note's number. */
export type Coming = [number, number, string, string | number];
export const coming: { events: Coming[] } = { events: [] };
parts.set("coming", (part) => {
  const [from, events] = part as [number?, Coming[]?];
  // what was foreseen before is still to come up to there
  const before = coming.events.filter(([beat, length]) => beat < (from ?? 0) && beat + length > beatNow() - 2);
  coming.events = events ? [...before, ...events] : [];
});
const SHORTEST_MS = 90; // a step that is lit for less is not seen
const SHARE = 0.9; // of a step's length, so that two equal ones in a row are two
const PRINTED = 6;
parts.set("said", (part) => {
  const lines = (part as string[]).filter((line) => !line.startsWith("plays from bar"));
  const all = [...printed.value, ...lines];
  printed.value = all.filter((line, place) => line !== all[place - 1]).slice(-PRINTED);
});
