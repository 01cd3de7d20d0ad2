// The page's connection: what changes comes in, OSC messages go out; reconnected when it is lost.
import { signal } from "@preact/signals";
import {
  bpm, clock, endNotes, graph, learning, log, meters, noteOff, noteOn, patches, playing, say, takeGraph, takeStatus,
  value, type Value,
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

function token(): string {
  const match = /token=([0-9a-f]{32})/.exec(location.hash);
  if (match) {
    sessionStorage.setItem("token", match[1]!);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token") ?? "";
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

export async function ask<T>(path: string): Promise<T | null> {
  const known = token();
  const headers: Record<string, string> = { Accept: "application/json" };
  if (known) headers.Authorization = `Bearer ${known}`;
  try {
    const answer = await fetch(path, { headers });
    if (answer.status === 401 || answer.status === 403) connection.value = "token";
    return answer.ok ? ((await answer.json()) as T) : null;
  } catch {
    return null;
  }
}

let reading = false;
let again = false;
export async function readGraph(): Promise<void> {
  again = true;
  if (reading) return;
  reading = true;
  while (again) {
    again = false;
    const next = await ask<NonNullable<typeof graph.value>>("/api/graph");
    if (next) takeGraph(next);
  }
  reading = false;
}

export function connect(): void {
  connection.value = "connecting";
  socket?.close();
  const mine = open("/api/feed");
  socket = mine;
  mine.onopen = () => {
    connection.value = "open";
    retry = 200;
    void readGraph();
    void ask<typeof patches.value>("/api/patches").then((list) => list && (patches.value = list));
  };
  mine.onmessage = (event) => take(JSON.parse(event.data as string));
  mine.onclose = () => {
    if (socket !== mine) return;
    socket = null;
    meters.clear();
    endNotes();
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

function flush(): void {
  flushing = 0;
  for (const [address, args] of waiting) send(address, ...args);
  waiting.clear();
}

export function panic(): void {
  send("/panic");
  endNotes();
  say("Panic: what sounded is cut, what was scheduled is dropped.", false);
}

interface Frame {
  values?: Record<string, Value>;
  meters?: Record<string, [number, number]>;
  events?: [string, ...Value[]][];
  status?: Record<string, unknown>;
  reply?: [string, ...Value[]];
  lost?: number;
  again?: boolean;
  dropped?: number;
}

/** What rooms do with parts of a frame that are theirs, by the part's name. */
export const parts = new Map<string, (part: unknown) => void>();

function take(frame: Frame): void {
  const now = performance.now();
  if (frame.meters) {
    for (const [name, [peak, rms]] of Object.entries(frame.meters)) meters.set(name, { peak, rms, at: now });
  }
  if (frame.values) {
    for (const [address, next] of Object.entries(frame.values)) {
      if (now - (moved.get(address) ?? -1e9) > QUIET_MS) value(address).value = next;
      else later.set(address, next);
    }
  }
  if (frame.status) takeStatus(frame.status);
  for (const [name, part] of Object.entries(frame)) parts.get(name)?.(part);
  for (const event of frame.events ?? []) happened(event);
  if (frame.reply) answered(frame.reply);
  if (frame.again) {
    lost.value += 1;
    say(`This page was too slow: ${frame.dropped} messages to it were dropped, and it read the state again.`);
    void readGraph();
  }
}

function answered([address, ...args]: [string, ...Value[]]): void {
  if (address === "/fail") say(`${args[1]}`);
  else if (address === "/pong") roundTrip.value = performance.now() - Number(args[0]);
  else if (address === "/done") {
    if (String(args[0]).startsWith("/scene")) say("The scene is stored.", false);
    void readGraph();
  }
}

function happened([address, ...args]: [string, ...Value[]]): void {
  switch (address) {
    case "/note/on":
      if (Number(args[1]) > 0) noteOn(Number(args[0]), Number(args[1]), String(args[3] ?? ""));
      else noteOff(Number(args[0]), String(args[3] ?? ""));
      break;
    case "/note/off":
      noteOff(Number(args[0]), String(args[3] ?? ""));
      break;
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
      void readGraph();
      break;
    case "/patch/failed":
    case "/patch/warning":
      say(String(args[0]));
      break;
    case "/node/state":
      if (args[2]) say(`${args[0]} is ${args[1]}: ${args[2]}`, args[1] !== "running");
      void readGraph();
      break;
    case "/engine/state":
      say(`The engine was started again (${args[0]}).`);
      void readGraph();
      break;
    case "/learned":
      learning.value = "";
      say(`${args[1]} of ${args[2]} moves ${args[0]} now.`, false);
      break;
    case "/late":
      say(`${args[0]} came ${(Number(args[1]) * 1000).toFixed(0)} ms after its time.`);
      break;
    case "/clip":
      say("The input is clipped: turn it down at the source.");
      break;
  }
}

setInterval(() => {
  const now = performance.now();
  for (const [address, next] of later) {
    if (now - (moved.get(address) ?? -1e9) <= QUIET_MS) continue;
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
