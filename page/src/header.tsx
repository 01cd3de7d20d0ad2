// Transport, patch, load, listening, panic.

import { signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { delay, listen, listening, missing, report, setVolume, show, shown, volume } from "./audio";
import { eachFrame } from "./frames";
import { chooseInput, InputMenu, muted, source, Unmute } from "./input";
import { coasting, leading, reported, scored, sure, waiting } from "./instrument/follower";
import { Blackout } from "./instrument/lights";
import { connection, panic, send } from "./link";
import { barBeats, beatNow, bpm, graph, missedLately, playing, say, status } from "./model";
import { Options } from "./options";
import { Patch } from "./patches";
import { enter, ROOMS, room } from "./rooms";
import { FASTEST, SLOWEST, tempoOf } from "./tempo";
import { stage, toggleStage } from "./theme";

const TAPS = 8;
const MOST_LIGHTS = 8;
const PAUSE_MS = 2500; // after which tapping begins anew
let taps: number[] = [];

/** A tap of the tempo; where a node leads the clock, it chooses the octave of its beat. */
function tap(): void {
  if (leading.peek()) return send("/follow/tap");
  const now = performance.now();
  if (taps.length && now - taps[taps.length - 1]! > PAUSE_MS) taps = [];
  taps = [...taps, now].slice(-TAPS);
  if (taps.length > 1) {
    const tempo = (60000 * (taps.length - 1)) / (now - taps[0]!);
    send("/tempo", Math.round(Math.min(FASTEST, Math.max(SLOWEST, tempo)) * 10) / 10);
  }
}

function Tempo() {
  const typed = useSignal<string | null>(null);
  return (
    <label class="tempo">
      <input
        aria-label="Tempo in beats a minute"
        inputMode="decimal"
        value={typed.value ?? bpm.value.toFixed(1)}
        onFocus={(event) => event.currentTarget.select()}
        onInput={(event) => (typed.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") typed.value = null;
          if (event.key === "Enter" || event.key === "Escape") event.currentTarget.blur();
        }}
        onBlur={() => {
          const given = typed.value;
          typed.value = null;
          if (given === null) return;
          const tempo = tempoOf(given);
          if (tempo !== null) send("/tempo", tempo);
          else say(`"${given}" is no tempo: type ${SLOWEST} to ${FASTEST} beats a minute.`);
        }}
      />
      <span>bpm</span>
    </label>
  );
}

/** Bar and beat from 1: the score's as printed where one is followed, 0.0 before it; else the clock's. */
function barAndBeat(): [number, number] {
  if (scored.peek()) return [reported("place"), reported("beat")];
  const whole = Math.floor(beatNow());
  const of = barBeats.peek();
  return [Math.floor(whole / of) + 1, (((whole % of) + of) % of) + 1];
}

/** The bar and the beat that it is now, or that it waits; the lights fade where a node that leads is not sure of it, or
 * coasts. */
export function Beat() {
  const at = useRef<HTMLSpanElement>(null);
  const dots = useRef<HTMLSpanElement>(null);
  const bar = barBeats.value;
  const draw = () => {
    const [number, place] = barAndBeat();
    const text = waiting.peek() || !place ? "waits" : `${number}.${place}`;
    if (!at.current || at.current.textContent === text) return;
    at.current.textContent = text;
    [...dots.current!.children].forEach((dot, one) =>
      dot.toggleAttribute("data-on", one === place - 1 && playing.peek()),
    );
  };
  useEffect(() => eachFrame(draw), []);
  return (
    <span class="beat" aria-hidden="true">
      <span
        class="dots"
        ref={dots}
        style={{ opacity: 0.3 + 0.7 * sure.value }}
        title={
          waiting.value
            ? "The beat waits for you: play, or start it"
            : coasting.value
              ? "The beat goes on by itself until you play"
              : leading.value
                ? `With you: ${(sure.value * 100).toFixed(0)} % sure`
                : undefined
        }>
        {Array.from({ length: Math.min(bar, MOST_LIGHTS) }, (_, one) => (
          <i key={one} />
        ))}
      </span>
      <span
        ref={at}
        title={
          waiting.value
            ? "The beat waits for you: play, or start it"
            : scored.value
              ? "Bar and beat of the score"
              : "Bar and beat"
        }
      />
    </span>
  );
}

/** How long ago that was, in seconds of the epoch. */
export function Clock({ since }: { since: number }) {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.floor(now.value / 1000 - since));
  return (
    <span class="clock">
      {Math.floor(seconds / 60)}:{String(seconds % 60).padStart(2, "0")}
    </span>
  );
}

const NAMED: Record<string, string> = { out: "main", "out.cue": "cue" };

/** What Listen can play: the output, the cue, the pairs of channels that are wired, and each node that sounds. */
function sounding(): string[] {
  const now = graph.value;
  const pairs = now?.wires.map(([, to]) => to).filter((to) => /^out\.\d/.test(to)) ?? [];
  const nodes = now?.nodes.filter((one) => one.outputs.some((port) => port.kind === "audio")) ?? [];
  return [...new Set(["out", "out.cue", ...pairs.sort(), ...nodes.map((one) => one.name)])];
}

function Listen() {
  const on = listening.value !== "off";
  const now = report.value;
  return (
    <span class="group listen">
      <button
        class={on ? "call" : ""}
        aria-pressed={on}
        title={
          on
            ? "This page plays the sound; a press turns it off here"
            : "This page is silent; a press plays the sound here"
        }
        onClick={() => void listen()}>
        {{ off: "Listen", starting: "…", on: "Listening", stopped: "Go on" }[listening.value]}
      </button>
      {on && (
        <>
          <select
            aria-label="What Listen plays"
            value={shown.value?.node ?? "out"}
            onChange={(event) => show(event.currentTarget.value)}>
            <Options of={sounding().map((one) => [one, NAMED[one] ?? one])} />
          </select>
          <input
            type="range"
            min="0"
            max="1"
            step="0.01"
            aria-label="Volume in this browser"
            value={volume.value}
            onInput={(event) => setVolume(Number(event.currentTarget.value))}
          />
          <small
            title={`How late this loudspeaker is; so far ${now?.gaps ?? 0} gaps, ${missing.value} pieces lost on the way.`}>
            {now ? `${(delay.value * 1000).toFixed(0)} ms` : "…"}
          </small>
        </>
      )}
    </span>
  );
}

export function Load() {
  const now = status.value;
  const mean = Number(now.engine?.load_mean ?? 0);
  const peak = Number(now.engine?.load_peak ?? 0);
  const missed = missedLately.value;
  const state = connection.value === "open" ? String(now.engine?.state ?? "…") : "no connection";
  const gaps = `The sound had ${missed} gap${missed === 1 ? "" : "s"} in the last minute, as this machine had too much to do: end other programs. Instrument says more, under Server.`;
  const bad = connection.value !== "open" || (now.engine && now.engine.state !== "running");
  return (
    <span
      class="group load"
      title={`Sound keeps the machine ${(mean * 100).toFixed(1)} % busy, ${(peak * 100).toFixed(1)} % at most`}>
      <span class={bad ? "state bad" : "state"} role="status">
        {state}
      </span>
      <meter
        min={0}
        max={1}
        low={0.5}
        high={0.8}
        optimum={0.1}
        value={mean}
        aria-label="How busy sound keeps the machine"
      />
      <small>{(mean * 100).toFixed(0)} %</small>
      <button class="gaps" hidden={!missed} title={gaps} onClick={() => say(gaps)}>
        gaps
      </button>
    </span>
  );
}

/** Stops the beat until the player leads it, in a patch that has whom to wait for; pressed again, it waits no longer. */
function Wait() {
  if (!status.value.awaits) return null;
  return (
    <button
      class="wait"
      aria-pressed={waiting.value}
      title={
        waiting.value
          ? "The beat waits for you: play. Press, and it is stopped"
          : "Stops the beat until you play: it begins with the next song's notes"
      }
      onClick={() => send(waiting.value ? "/transport/stop" : "/transport/wait")}>
      Wait
    </button>
  );
}

/** Starts the beat, or stops it. */
export function startOrStop(): void {
  send(playing.value ? "/transport/stop" : "/transport/play");
}

const HOLD_MS = 250; // longer than a slip of the finger

/** Held, so that no slip ends a set; F12 does it at once. */
export function Panic() {
  const held = useSignal(0);
  const hold = () => {
    if (held.value) return;
    held.value = window.setTimeout(() => {
      held.value = -1;
      panic();
    }, HOLD_MS);
  };
  const release = () => {
    if (held.value > 0) {
      clearTimeout(held.value);
      say("Hold the button for panic, or press F12.", false);
    }
    held.value = 0;
  };
  const key = (event: KeyboardEvent) => event.key === "Enter" || event.key === " ";
  return (
    <button
      class="panic"
      title="Hold it, or press F12: what sounds is cut, and the input is muted"
      data-held={held.value !== 0 || undefined}
      onPointerDown={(event) => event.button === 0 && hold()}
      onPointerUp={release}
      onPointerLeave={release}
      onPointerCancel={release}
      onClick={(event) => event.detail === 0 && panic()} // by assistive technology, which presses and holds nothing
      onContextMenu={(event) => event.preventDefault()}
      onKeyDown={(event) => key(event) && (event.preventDefault(), hold())}
      onKeyUp={(event) => key(event) && (event.preventDefault(), release())}>
      Panic
    </button>
  );
}

/** On a phone: whether what is used seldom is shown below the rest. */
const opened = signal(false);

/** Of a patch that hears, on a server without a sound card: what its input is, and the way to another. */
export function OwnInput() {
  const hears = graph.value?.wires.some(([from]) => from.split(".")[0] === "in");
  const engine = status.value.engine;
  if (!hears || source.value !== "off" || engine?.driver !== "headless") return null;
  const what = engine.input ? `${engine.input}, again and again` : "none";
  return (
    <button
      title="What this patch hears; a press chooses this browser's microphone, or a file"
      onClick={() => {
        opened.value = true;
        chooseInput();
      }}>
      {engine.input && muted.value ? `Input, muted: ${engine.input}` : `Input: ${what}`}
    </button>
  );
}

export function Header() {
  return (
    <header data-more={opened.value || undefined}>
      <h1>Antiphon</h1>
      <nav class="rooms" aria-label="Rooms">
        {ROOMS.map((name) => (
          <button key={name} aria-current={room.value === name ? "page" : undefined} onClick={() => enter(name)}>
            {name}
          </button>
        ))}
      </nav>
      <Patch />
      <span class="group transport">
        <button
          aria-label={playing.value ? "Stop the beat" : "Start the beat"}
          aria-pressed={playing.value}
          title="Space"
          onClick={startOrStop}>
          {playing.value ? "■" : "▶"}
        </button>
        <Wait />
        <Tempo />
        <button onClick={tap}>Tap</button>
        <Beat />
      </span>
      <Load />
      <Unmute />
      <InputMenu />
      <Listen />
      <button
        class="more"
        aria-expanded={opened.value}
        aria-label="Tempo, input and load"
        onClick={() => (opened.value = !opened.value)}>
        ⋯
      </button>
      <button class="stage" aria-pressed={stage.value} title="Stage: black, with larger type" onClick={toggleStage}>
        Stage
      </button>
      <Blackout />
      <Panic />
    </header>
  );
}
