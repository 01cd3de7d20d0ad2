// This browser's microphone, or a file, as the server's input.
import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { dragged } from "./library/model";
import { open } from "./link";
import { say, status } from "./model";

export type Source = "off" | "starting" | "microphone" | "file";
export const source = signal<Source>("off");
const named = signal("");
const opened = signal(false);
const BACKLOG = 100_000; // bytes that wait in the browser, above which pieces are left out: a quarter of a second

let context: AudioContext | null = null;
let stream: MediaStream | null = null;
let socket: WebSocket | null = null;
let closed: Promise<unknown> = Promise.resolve(); // of the last socket: the server takes one at a time

export function endInput(): void {
  const last = socket;
  if (last && last.readyState !== WebSocket.CLOSED) {
    closed = new Promise((done) => last.addEventListener("close", done));
    last.close();
  }
  stream?.getTracks().forEach((track) => track.stop());
  void context?.close();
  context = stream = socket = null;
  source.value = "off";
}

/** Starts to send what `make` connects to the sender. */
async function begin(kind: Source, make: (context: AudioContext) => Promise<AudioNode>): Promise<void> {
  endInput();
  source.value = "starting";
  let mine: AudioContext | null = null;
  try {
    mine = new AudioContext({
      latencyHint: "interactive",
      sampleRate: Number(status.value.engine?.rate ?? 48000),
    });
    context = mine;
    if (!mine.audioWorklet)
      throw new Error("sound is sent from secure pages alone: open the page by https, or on the machine itself");
    await mine.audioWorklet.addModule("/page/player.js");
    const from = await make(mine);
    await closed;
    const heard = from instanceof MediaStreamAudioSourceNode ? from.mediaStream : null;
    if (context !== mine) return heard?.getTracks().forEach((track) => track.stop());
    stream = heard;
    const sender = new AudioWorkletNode(mine, "antiphon-sender", { numberOfOutputs: 0 });
    from.connect(sender);
    const to = open("/api/input");
    socket = to;
    sender.port.onmessage = (event: MessageEvent<{ samples: Float32Array; channels: number }>) => {
      if (to.readyState !== WebSocket.OPEN || to.bufferedAmount > BACKLOG) return;
      const { samples, channels } = event.data;
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
    if (socket === to) source.value = kind;
  } catch (error) {
    if (mine && context !== mine) return;
    endInput();
    say(`${kind === "file" ? "The file" : "The microphone"} cannot be sent: ${(error as Error).message}`);
  }
}

export function microphone(): Promise<void> {
  return begin("microphone", async (context) => {
    if (!navigator.mediaDevices)
      throw new Error("browsers open it on secure pages alone: by https, or on the machine itself");
    // plain sound: what improves speech in calls takes music apart
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    named.value = "microphone";
    return context.createMediaStreamSource(await navigator.mediaDevices.getUserMedia({ audio: plain }));
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

/** A file, or a loop of the library, that is dropped anywhere on the page becomes the input. */
export function acceptDrops(): void {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) void playFile(file);
    else void dragged(event.dataTransfer).then((track) => track && playFile(track));
  });
}

export function InputMenu() {
  const field = useRef<HTMLInputElement>(null);
  const on = source.value !== "off";
  return (
    <span class="group input">
      <button
        aria-pressed={on}
        aria-expanded={opened.value}
        onClick={() => (on ? endInput() : (opened.value = !opened.value))}
        title={
          on
            ? `${named.value} is sent to the server's input; a click ends it`
            : "This browser's microphone or a file as the server's input"
        }>
        {source.value === "microphone" ? "Mic on" : source.value === "file" ? "File on" : on ? "…" : "Input"}
      </button>
      {opened.value && !on && (
        <span
          class="menu"
          onClick={() => (opened.value = false)}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              opened.value = false;
              event.stopPropagation();
            }
          }}>
          <button onClick={() => void microphone()}>Microphone</button>
          <button onClick={() => field.current?.click()}>File…</button>
          <small>or drop a file anywhere. Use headphones: the microphone hears the loudspeaker.</small>
        </span>
      )}
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
