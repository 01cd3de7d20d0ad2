// This browser's microphone, or a file, as the server's input.
import { computed, signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { dropped } from "./clips/own";
import { STOPPED, watch } from "./context";
import { dragged } from "./library/model";
import { open, send, set } from "./link";
import { say, status, value } from "./model";
import { room, useClosing, useInside } from "./rooms";

export type Source = "off" | "starting" | "microphone" | "file" | "stopped";
export const source = signal<Source>("off");
/** Whether something louder than the noise of a room has come from it. */
export const sounded = signal(false);
const QUIET = 0.004; // RMS of a piece, -48 dB
const named = signal("");
const opened = signal(false);
/** Opens the menu of the input. */
export const chooseInput = () => (opened.value = true);
const MUTE = "/node/in/mute";
/** Whether the server's input is muted. */
export const muted = computed(() => Boolean(value(MUTE).value));
const BACKLOG = 100_000; // bytes that wait in the browser, above which pieces are left out: a quarter of a second

let context: AudioContext | null = null;
let stream: MediaStream | null = null;
let socket: WebSocket | null = null;
let unwatch = () => {};
let closed: Promise<unknown> = Promise.resolve(); // of the last socket: the server takes one at a time

export function endInput(): void {
  unwatch();
  unwatch = () => {};
  const last = socket;
  if (last && last.readyState !== WebSocket.CLOSED) {
    closed = new Promise((done) => last.addEventListener("close", done));
    last.close();
  }
  stream?.getTracks().forEach((track) => track.stop());
  void context?.close();
  context = stream = socket = null;
  source.value = "off";
  sounded.value = false;
}

/** Starts to send what `make` gives, a microphone's stream or a file's node. */
async function begin(
  kind: "microphone" | "file",
  make: (context: AudioContext) => Promise<AudioNode | MediaStream>,
): Promise<void> {
  endInput();
  source.value = "starting";
  const rate = Number(status.value.engine?.rate ?? 48000);
  const made = (options: AudioContextOptions) =>
    (context = new AudioContext({ latencyHint: "interactive", ...options }));
  let mine: AudioContext | null = null;
  try {
    mine = made({ sampleRate: rate });
    if (!mine.audioWorklet)
      throw new Error("sound is sent from secure pages alone: open the page by https, or on the machine itself");
    let from = await make(mine);
    if (from instanceof MediaStream) {
      const heard = from;
      if (context !== mine) return heard.getTracks().forEach((track) => track.stop());
      stream = heard;
      try {
        from = mine.createMediaStreamSource(heard);
      } catch (error) {
        // some browsers take a microphone in contexts of its own rate alone; the sender makes the engine's of it
        if ((error as Error).name !== "NotSupportedError") throw error;
        void mine.close();
        mine = made({});
        from = mine.createMediaStreamSource(heard);
      }
    }
    await mine.audioWorklet.addModule("/page/player.js");
    await closed;
    if (context !== mine) return;
    const sender = new AudioWorkletNode(mine, "antiphon-sender", { numberOfOutputs: 0, processorOptions: { rate } });
    from.connect(sender);
    const to = open("/api/input");
    socket = to;
    sender.port.onmessage = (event: MessageEvent<{ samples: Float32Array; channels: number }>) => {
      if (to.readyState !== WebSocket.OPEN || to.bufferedAmount > BACKLOG) return;
      const { samples, channels } = event.data;
      if (!sounded.peek()) sounded.value = Math.hypot(...samples) > QUIET * Math.sqrt(samples.length);
      const bytes = new Uint8Array(4 + samples.byteLength);
      new DataView(bytes.buffer).setUint32(0, channels, true);
      bytes.set(new Uint8Array(samples.buffer), 4);
      to.send(bytes);
    };
    to.onclose = (event) => {
      if (socket !== to) return;
      say(event.code >= 4000 ? event.reason : "The sound to the server was cut; start it again.");
      endInput();
    };
    await mine.resume();
    if (socket !== to) return;
    source.value = kind;
    returning = false;
    const stops = { muted: false, halted: false };
    const changed = (which: keyof typeof stops, now: boolean) => {
      stops[which] = now;
      const stopped = stops.muted || stops.halted;
      if (stopped && source.value === kind) say(stops.muted ? MUTED : STOPPED);
      source.value = stopped ? "stopped" : kind;
    };
    unwatch = watch(mine, (stopped) => changed("halted", stopped));
    for (const track of stream?.getTracks() ?? []) {
      track.onmute = () => setTimeout(() => track.muted && socket === to && changed("muted", true), MUTED_MS);
      track.onunmute = () => socket === to && changed("muted", false);
      track.onended = () => socket === to && gone();
    }
  } catch (error) {
    if (mine && context !== mine) return;
    endInput();
    returning = kind === "microphone" && (returning || (error as Error).name === "NotFoundError");
    say(`${kind === "file" ? "The file" : "The microphone"} cannot be sent: ${why(error as Error)}`);
  }
}

const MUTED = "The system has muted the microphone; its sound goes on when it is free again.";
const MUTED_MS = 1000; // a pause that is shorter is not worth a word
const REASONS: Record<string, string> = {
  NotAllowedError: "this browser does not allow it to this page; allow it in the browser's bar of addresses.",
  NotFoundError: "none is plugged in; it starts by itself when one is.",
  NotReadableError: "another program holds it; close that, and start it again.",
};

function why(error: Error): string {
  return REASONS[error.name] ?? error.message;
}

/** A microphone that was unplugged, or taken away from this page: another one is tried, or waited for. */
function gone(): void {
  endInput();
  say("The microphone is gone: it was unplugged, or this page may no longer use it.");
  returning = true;
  void microphone();
}

/** Whether a microphone that was lost is waited for; ended by a choice of another input, or of none. */
let returning = false;
navigator.mediaDevices?.addEventListener("devicechange", () => {
  if (returning && source.value === "off") void microphone();
});
void navigator.permissions?.query({ name: "microphone" as PermissionName }).then(
  (now) =>
    now.addEventListener("change", () => {
      if (returning && source.value === "off" && now.state === "granted") void microphone();
    }),
  () => undefined, // a browser that tells nothing of it
);

function end(): void {
  returning = false;
  endInput();
}

export function microphone(): Promise<void> {
  // plain sound: what improves speech in calls takes music apart
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  named.value = "microphone";
  return begin("microphone", async () => {
    if (!navigator.mediaDevices)
      throw new Error("browsers open it on secure pages alone: by https, or on the machine itself");
    return navigator.mediaDevices.getUserMedia({ audio: plain });
  });
}

export function playFile(file: File): Promise<void> {
  return begin("file", async (context) => {
    const buffer = await context.decodeAudioData(await file.arrayBuffer()).catch(() => {
      throw new Error(`the browser cannot read ${file.name} as sound`);
    });
    const player = context.createBufferSource();
    player.buffer = buffer;
    player.loop = true;
    player.start(context.currentTime + 0.1);
    named.value = file.name;
    return player;
  });
}

/** A file, or a loop of the library, that is dropped on the page becomes the input; on Clips it goes to a pad. */
export function acceptDrops(): void {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    if (room.value === "Clips") return void dropped(event);
    const file = event.dataTransfer?.files[0];
    if (file) void playFile(file).then(() => tellDropped(file.name));
    else void dragged(event.dataTransfer).then((track) => track && playFile(track));
  });
}

/** What became of a file that was dropped, and what keeps it. */
function tellDropped(name: string): void {
  if (source.value !== "file" || named.value !== name) return;
  const what = `${name} is the server’s input now, again and again; “File on” above ends it.`;
  say(`${what} To keep it among your sounds, drop it in Files and press “Into the library”.`, false, false, "Files");
}

/** Opens the server's input again, where it is muted: by a panic, by its start, or in the mixer. */
export function Unmute() {
  return muted.value ? (
    <button class="unmute" title="The server's input is muted. Softly first!" onClick={() => set(MUTE, false)}>
      Unmute input
    </button>
  ) : null;
}

/** Whether a microphone hears what is played: kept for the sound device. */
export function Ears() {
  const headphones = status.value.headphones;
  if (headphones === undefined) return null;
  return (
    <span class="group" role="group" aria-label="What plays the output">
      <button
        aria-pressed={headphones}
        title="No microphone hears what is played"
        onClick={() => send("/headphones", 1)}>
        Headphones
      </button>
      <button
        aria-pressed={!headphones}
        title="What they play is taken out of the microphone, for a patch that listens to it and does not play it"
        onClick={() => send("/headphones", 0)}>
        Loudspeakers
      </button>
    </span>
  );
}

function Menu({ file }: { file: () => void }) {
  return (
    <span class="menu" ref={useInside<HTMLSpanElement>()} onClick={() => (opened.value = false)}>
      <button onClick={() => void microphone()}>Microphone</button>
      <button onClick={file}>File…</button>
      <small>
        <span class="by-mouse">or drop a file in Instrument. </span>Use headphones; without them, press Loudspeakers
        first.
      </small>
      <Ears />
    </span>
  );
}

export function InputMenu() {
  const field = useRef<HTMLInputElement>(null);
  const on = source.value !== "off";
  useClosing(opened, ".input");
  return (
    <span class="group input">
      <button
        aria-pressed={on}
        aria-expanded={opened.value}
        onClick={() => (on ? end() : (opened.value = !opened.value))}
        title={
          on
            ? `${named.value} is sent to the server's input; a press ends it`
            : "This browser's microphone or a file as the server's input"
        }>
        {{ off: "Input", starting: "…", microphone: "Mic on", file: "File on", stopped: "Input stopped" }[source.value]}
      </button>
      {opened.value && !on && <Menu file={() => field.current?.click()} />}
      <input
        ref={field}
        type="file"
        accept="audio/*"
        hidden
        aria-label="A sound file as input"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) void playFile(file);
          event.currentTarget.value = "";
        }}
      />
    </span>
  );
}
