// The page's connection: what changes comes in, OSC messages go out; reconnected when it is lost.
import { signal } from "@preact/signals";
import type { Get } from "./api";
import {
  type Act,
  ahead,
  beatNow,
  bpm,
  clock,
  cued,
  endNotes,
  type Graph,
  graph,
  learning,
  log,
  type Machine,
  type Mapping,
  machines,
  mappings,
  meters,
  noteAt,
  noteOff,
  noteOn,
  partOf,
  passBeat,
  patches,
  playing,
  say,
  sets,
  status,
  takeGraph,
  takeStatus,
  tell,
  type Value,
  value,
} from "./model";

export type Connection = "connecting" | "open" | "lost" | "token";
export const connection = signal<Connection>("connecting");
/** Milliseconds from a message to control's answer, by /ping. */
export const roundTrip = signal(0);
export const lost = signal(0);

const QUIET_MS = 400; // after a move of our own, echoes of that address are older than what the hand does
let socket: WebSocket | null = null;
let retry = 200;
const moved = new Map<string, number>();
const waiting = new Map<string, Value[]>();
const later = new Map<string, Value>(); // values that came while a hand moved the control
let flushing = 0;

const KEY = "page-key";

/** Takes a secret out of the address, and gives it, "" for none; the room stays. */
function secretOf(name: string): string {
  const rest = new URLSearchParams(location.hash.slice(1));
  const secret = rest.get(name) ?? "";
  if (!/^[0-9a-f]{32}$/.test(secret)) return "";
  rest.delete(name);
  history.replaceState(null, "", rest.size ? `#${rest}` : location.pathname);
  return secret;
}

/** Exchanges the secret of the address that the owner opened for the page's key, which is kept as long as it counts. */
export async function exchangeSecret(then: () => void): Promise<void> {
  const secret = secretOf("open");
  // without an older key, which may be refused, the page is read meanwhile: on the machine itself that needs none
  const waits = secret !== "" && token() !== "";
  if (!waits) then();
  if (!secret) return;
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  const body = JSON.stringify({ secret });
  const answer = await fetch("/api/page/open", { method: "POST", headers, body }).catch(() => null);
  const data = (await answer?.json().catch(() => ({}))) as { key?: string; error?: string } | undefined;
  if (answer?.ok && data?.key) localStorage.setItem(KEY, data.key);
  else if (!token()) say(sentence(data?.error ?? "the server does not answer"));
  if (waits) then();
}

/** Counts the keys that were typed here, or came by another page of this browser, which the owner opened. */
export const keysCame = signal(0);
/** Takes a token that was typed: all that waits for one goes on. */
export function giveToken(text: string): void {
  sessionStorage.setItem("token", text);
  keysCame.value++;
}
addEventListener("storage", (event) => event.key === KEY && event.newValue && keysCame.value++);

/** A refusal as a sentence of its own. */
export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** Whether a request was refused for its token alone: what else is refused would be with any. */
export function lacksToken(answer: Response): boolean {
  return answer.headers.has("WWW-Authenticate");
}

export function forgetToken(): void {
  sessionStorage.removeItem("token");
  localStorage.removeItem(KEY);
}

export function token(): string {
  const given = secretOf("token");
  if (given) sessionStorage.setItem("token", given);
  return sessionStorage.getItem("token") ?? localStorage.getItem(KEY) ?? "";
}

export function useToken(text: string): void {
  sessionStorage.setItem("token", text);
  connect();
}

export function open(path: string): WebSocket {
  const known = token();
  const at = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
  return new WebSocket(at, known ? ["antiphon", `token.${known}`] : ["antiphon"]);
}

/** Closes a WebSocket; one that still connects once it is open, or browsers write a warning. */
export function hangUp(one: WebSocket | null): void {
  if (one?.readyState === WebSocket.CONNECTING) one.onopen = () => one.close();
  else one?.close();
}

/** What a GET answers, by the types of the API; null where there is no answer, or a refusal. */
export async function ask<P extends keyof Get>(path: P): Promise<Get[P] | null>;
export async function ask<T>(path: string): Promise<T | null>;
export async function ask<T>(path: string): Promise<T | null> {
  const known = token();
  const headers: Record<string, string> = { Accept: "application/json" };
  if (known) headers.Authorization = `Bearer ${known}`;
  try {
    const answer = await fetch(path, { headers });
    if (lacksToken(answer)) connection.value = "token";
    return answer.ok ? ((await answer.json()) as T) : null;
  } catch {
    return null;
  }
}

/** Sends a request that changes something; a refusal is shown in words. Returns whether it was done. */
export async function post(path: string, body: unknown): Promise<boolean> {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token()}` },
      body: JSON.stringify(body),
    });
    if (!answer.ok) say(String(((await answer.json()) as { error?: string }).error ?? answer.status));
    return answer.ok;
  } catch {
    say("The server does not answer; try again.");
    return false;
  }
}

let seenChanges = -1;
export async function readMachines(): Promise<void> {
  const found = await ask<{ machines: Machine[] }>("/api/surfaces");
  if (found) machines.value = found.machines;
}

/** The arguments of /learn and /unlearn: a cue is named by a second one, a capture has its bars and its node. */
const LATE_PAUSE_MS = 30_000;
const PASSED_SECONDS = 1; // later than a busy machine or network makes a message
const MAX_REFUSED = 20; // kinds within the pause
let lateSaid = 0;
let refusedSaid = new Map<string, number>();

function learned(address: string): Value[] {
  const [what, bars, ...node] = address.split(" ");
  if (what === "/capture") return [what, Number(bars), ...node];
  return address.startsWith("/cue ") ? ["/cue", address.slice(5)] : [address];
}

/** The next MIDI controller that moves is mapped to the address, or no longer where that is being learned. */
export function learn(address: string): void {
  const off = learning.value === address;
  if (status.value.midi) send(off ? "/unlearn" : "/learn", ...learned(address));
  learning.value = off ? "" : address;
}

export function unlearn(address: string): void {
  send("/unlearn", ...learned(address));
}

let listsAsked = false;
function readLists(): void {
  if (status.value.midi) send("/learn/list");
  send("/set/list");
}

let reading = false;
let again = false;
export async function readGraph(): Promise<void> {
  again = true;
  if (reading) return;
  reading = true;
  while (again) {
    again = false;
    const asked = performance.now();
    const next = await ask("/api/graph");
    if (next) takeGraph(next as Graph, (address) => movedSince(address, asked - QUIET_MS));
  }
  reading = false;
}

let arrive: () => void;
/** Once the first frame of the feed has come. */
export const arrived = new Promise<void>((then) => (arrive = then));
let begins = true; // the next frame is the first of a connection

export function connect(): void {
  // it stays "lost" until the server is back: what says so would blink with every attempt
  if (connection.value !== "lost") connection.value = "connecting";
  hangUp(socket);
  const mine = open("/api/feed");
  socket = mine;
  begins = true;
  if (!graph.value) void readGraph(); // beside the connection; what changes until that is open is read again
  mine.onopen = () => {
    connection.value = "open";
    retry = 200;
    listsAsked = false;
    seenChanges = -1;
  };
  mine.onmessage = (event) => take(JSON.parse(event.data as string));
  mine.onclose = () => {
    if (socket !== mine) return;
    socket = null;
    meters.clear();
    endNotes();
    if (connection.value === "token") return;
    if (connection.value === "open") say("The server does not answer; the page tries again.");
    connection.value = "lost";
    void ask("/api/status").then(() => {
      if (connection.value !== "token") setTimeout(connect, (retry = Math.min(4000, retry * 1.6)));
    });
  };
}

/** Sends an OSC message at once. */
export function send(address: string, ...args: Value[]): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify([address, ...args]));
}

/** Sets a parameter: shown at once, and sent with the next frame; of several moves in a frame the last counts. */
export function set(address: string, next: Value): void {
  value(address).value = next;
  moved.set(address, performance.now());
  later.delete(address);
  waiting.set(address, [typeof next === "boolean" ? Number(next) : next]);
  if (!flushing) flushing = requestAnimationFrame(flush);
}

/** Whether a control of that address was moved here at that time or later. */
function movedSince(address: string, at: number): boolean {
  return (moved.get(address) ?? -Infinity) >= at;
}

function flush(): void {
  flushing = 0;
  for (const [address, args] of waiting) send(address, ...args);
  waiting.clear();
}

/** How often panic was pressed here. */
export const panics = signal(0);
/** Goes up with every panic, wherever it comes from: what plays in this browser by itself stops with it. */
export const silenced = signal(0);

/** Within it the server says of a panic of this page that there was one: what began since goes on. */
const ECHO_MS = 2000;
let echoes: number[] = [];

export function panic(): void {
  send("/node/in/mute", 1); // first: a howl that made somebody press it would rise again
  send("/panic");
  if (connection.value === "open") echoes.push(performance.now() + ECHO_MS);
  ahead.length = 0;
  panics.value += 1;
  silenced.value += 1;
  endNotes();
  say("Panic: what sounded and what was to come is cut, and the input is muted until you unmute it.", false);
}

interface Frame {
  values?: Record<string, Value>;
  meters?: Record<string, [number, number]>;
  events?: [string, ...Value[]][];
  notes?: [number, number, number, number, string][];
  status?: Record<string, unknown>;
  reply?: [string, ...Value[]];
  lost?: number;
  again?: boolean;
  dropped?: number;
}

function late(what: string, seconds: number): string {
  if (seconds <= PASSED_SECONDS)
    return `${what} came ${(seconds * 1000).toFixed(0)} ms late: the machine or the network is busy.`;
  const beat = beatNow();
  const meant = beat - (seconds * bpm.value) / 60;
  return `${what} took effect at once, as its time had passed ${seconds.toFixed(1)} s ago: beat ${meant.toFixed(0)}, when the beat was ${beat.toFixed(0)}.`;
}

/** What rooms do with messages that are theirs, by the address. */
export const heard = new Map<string, (args: Value[]) => void>();
/** What rooms do with parts of a frame that are theirs, by the part's name. */
export const parts = new Map<string, (part: unknown) => void>();

function take(frame: Frame): void {
  const now = performance.now();
  if (begins) {
    begins = false;
    arrive();
    void readGraph();
    void ask("/api/patches").then((list) => list && (patches.value = list));
  }
  if (frame.meters) {
    for (const [name, [peak, rms]] of Object.entries(frame.meters)) meters.set(name, { peak, rms, at: now });
  }
  if (frame.values) {
    for (const [address, next] of Object.entries(frame.values)) {
      if (movedSince(address, now - QUIET_MS)) later.set(address, next);
      else value(address).value = next;
    }
  }
  if (frame.status) {
    takeStatus(frame.status);
    if (!listsAsked) readLists();
    listsAsked = true;
    const changes = Number(frame.status.surface_changes ?? 0);
    if (frame.status.lan && changes !== seenChanges) void readMachines();
    seenChanges = changes;
  }
  passBeat();
  for (const [beat, note, velocity, channel, node] of frame.notes ?? [])
    noteAt({ beat, note, velocity, channel, node });
  for (const [name, part] of Object.entries(frame)) parts.get(name)?.(part);
  for (const event of frame.events ?? []) happened(event);
  if (frame.reply) answered(frame.reply);
  if (frame.again) {
    lost.value += 1;
    say(`This browser was too slow and missed ${frame.dropped} messages; it has read again how things stand.`, false);
    void readGraph();
  }
}

/** Counts what was captured, for who lists it. */
export const kept = signal(0);

function answered([address, ...args]: [string, ...Value[]]): void {
  heard.get(address)?.(args);
  if (address === "/fail" && /^\/lights\/(list|shown)$/.test(String(args[0]))) return; // without that plugin
  if (address === "/fail" || address === "/remark") say(`${args[1]}`, address === "/fail");
  else if (address === "/learn/list.reply") {
    const found: Mapping[] = [];
    for (let at = 0; at + 2 < args.length; at += 3) {
      found.push({ address: String(args[at]), control: String(args[at + 1]), port: String(args[at + 2]) });
    }
    mappings.value = found;
  } else if (address === "/set/list.reply") sets.value = args.map(String);
  else if (address === "/capture.reply") {
    kept.value += 1;
    say(
      `Captured: ${String(args[0]).split("/").pop()}. It is in Files, under Recordings, and a sampler whose library is captures plays it.`,
      false,
      false,
      "Files",
    );
  } else if (address === "/pong") roundTrip.value = performance.now() - Number(args[0]);
  else if (address === "/done") {
    if (String(args[0]).startsWith("/clip")) return;
    if (String(args[0]).startsWith("/scene")) say("The scene is stored.", false);
    if (args[0] === "/audio/device")
      say(`The sound device is ${args[1]}: ${Number(args[2]) / 1000} kHz, ${args[3]} frames.`, false);
    if (args[0] === "/record/tracks/start")
      say("It records the mix, and each track by itself. The same button ends it; ■ stops only the beat.", false);
    if (args[0] === "/record/tracks/stop")
      say("It is recorded: you hear and save it in Files, under Recordings.", false, false, "Files");
    if (args[0] === "/headphones")
      say(
        args[1]
          ? "The input is passed as it comes: no microphone hears headphones."
          : "What the loudspeakers play is taken out of the input, for a patch that listens to it and does not play it.",
        false,
      );
    if (args[0] === "/set/save") say(`The set list ${args[1]} is saved.`, false);
    if (String(args[0]).startsWith("/set/")) send("/set/list");
    void readGraph();
  }
}

const CLIP_PAUSE_MS = 10_000; // without one, after which a next one is worth a word again
const STATE_PAUSE_MS = 120_000; // the same of a state that a node is in again
const MUTED_MS = 1200;
const GUARD = "howl_guard";

/** Mutes the input for as long as a guard takes to begin anew. */
const muteShortly: Act = [
  "Mute it for a second",
  () => {
    set("/node/in/mute", true);
    setTimeout(() => set("/node/in/mute", false), MUTED_MS);
  },
];

function happened([address, ...args]: [string, ...Value[]]): void {
  heard.get(address)?.(args);
  switch (address) {
    case "/note/on":
    case "/note/off": {
      const [note, velocity, channel, node] = [
        Number(args[0]),
        Number(args[1]),
        Number(args[2]),
        String(args[3] ?? ""),
      ];
      if (velocity > 0 && address === "/note/on") noteOn(note, velocity, node, false, channel);
      else noteOff(note, node, false, partOf(node, channel));
      break;
    }
    case "/beat":
      clock.beat = Number(args[0]);
      clock.at = performance.now();
      playing.value = true;
      break;
    case "/tempo":
      clock.beat = clock.beat + (playing.value ? ((performance.now() - clock.at) / 60000) * bpm.value : 0);
      clock.at = performance.now();
      bpm.value = Number(args[0]);
      break;
    case "/patch/loaded":
      say(`The patch ${args[0]} plays.`, false);
      if (status.value.midi) send("/learn/list");
      void readGraph();
      break;
    case "/patch/failed":
    case "/patch/warning":
      say(String(args[0]));
      break;
    case "/node/state":
      if (args[2]) {
        const [name, state] = [String(args[0]), String(args[1])];
        const well = state === "running";
        const said = well ? `${name}: ${args[2]}` : `${name} is ${state}: ${args[2]}`;
        tell(`${name} ${state}`, said, !well, STATE_PAUSE_MS, well && name === GUARD ? muteShortly : undefined);
      }
      void readGraph();
      break;
    case "/engine/state":
      say("The sound stopped for a moment and was started again.");
      void readGraph();
      break;
    case "/learned":
      learning.value = "";
      say(`${args[1]} of ${args[2]} moves ${args[0]} now.`, false);
      send("/learn/list");
      break;
    case "/unlearned":
      send("/learn/list");
      break;
    case "/cue":
      cued.value = { name: String(args[0]), at: performance.now() };
      break;
    case "/panic":
      echoes = echoes.filter((until) => performance.now() < until);
      if (echoes.shift() === undefined) silenced.value += 1;
      ahead.length = 0;
      endNotes();
      break;
    case "/clearSched":
      ahead.length = 0;
      endNotes();
      break;
    case "/set/at":
      if (status.value.set) status.value = { ...status.value, set: { ...status.value.set, place: Number(args[1]) } };
      break;
    case "/late":
      if (Date.now() - lateSaid < LATE_PAUSE_MS) break; // on a busy machine each note of a bar is
      lateSaid = Date.now();
      say(late(String(args[0] || "A message"), Number(args[1])), false, true);
      break;
    case "/refused":
      refusedSaid = new Map([...refusedSaid].filter(([, at]) => Date.now() - at < LATE_PAUSE_MS));
      if (refusedSaid.has(`${args[0]} ${args[1]}`) || refusedSaid.size >= MAX_REFUSED) break;
      refusedSaid.set(`${args[0]} ${args[1]}`, Date.now());
      say(`${args[0]} from ${args[2]} was refused: ${args[1]}.`, true, true);
      break;
    case "/clip":
      tell(address, "The input is too loud: turn it down at its source.", true, CLIP_PAUSE_MS);
      break;
  }
}

setInterval(() => {
  const now = performance.now();
  for (const [address, next] of later) {
    if (movedSince(address, now - QUIET_MS)) continue;
    later.delete(address);
    value(address).value = next;
  }
}, 100);

export function clearLog(): void {
  log.value = [];
}

setInterval(() => {
  if (connection.value === "open" && !document.hidden) send("/ping", performance.now());
}, 2000);
