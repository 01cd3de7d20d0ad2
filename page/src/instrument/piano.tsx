// A piano for fingers, mouse and the computer's keyboard.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { played } from "../audio";
import { Pads, Unheard } from "../clips/pads";
import { kits } from "../code/store";
import { send } from "../link";
import { graph, takesNotes } from "../model";
import { Options } from "../options";

/** Places on the keyboard, which every layout has, by the letters of the American one. */
const ROWS = [..."AWSEDFTGYHUJKOLP"].map((letter) => `Key${letter}`).concat("Semicolon");
/** What this keyboard's layout has at a place, where the browser tells. */
const layout = signal<ReadonlyMap<string, string> | null>(null);
const told = (navigator as { keyboard?: { getLayoutMap?(): Promise<ReadonlyMap<string, string>> } }).keyboard;
void told?.getLayoutMap?.().then(
  (map) => (layout.value = map),
  () => undefined, // in a frame of another page it is refused
);

/** The letter on the key at a place. */
export function letterAt(code: string, map = layout.value): string {
  return (map?.get(code) || (code === "Semicolon" ? ";" : code.slice("Key".length))).toUpperCase();
}

const SHARP = new Set([1, 3, 6, 8, 10]);
const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
const base = signal(60);
const target = signal("");
const velocity = signal(96);
const sounding = signal<ReadonlySet<number>>(new Set());
const keys = new Map<string, number>();
/** What is shown for a node with pads; null for pads where every node that takes notes has them. */
const padsWanted = signal<boolean | null>(null);

function play(note: number): void {
  if (note < 0 || note > 127 || sounding.value.has(note)) return;
  played.value = true;
  sounding.value = new Set(sounding.value).add(note);
  send("/note/on", note, velocity.value, 1, ...(target.value ? [target.value] : []));
}

function end(note: number): void {
  if (!sounding.value.has(note)) return;
  const left = new Set(sounding.value);
  left.delete(note);
  sounding.value = left;
  send("/note/off", note, 0, 1, ...(target.value ? [target.value] : []));
}

function endAll(): void {
  for (const note of sounding.value) end(note);
  keys.clear();
}

/** A key of the computer's keyboard; returns whether it is one of the piano's. */
export function key(event: KeyboardEvent, down: boolean): boolean {
  if (!takesNotes.value || event.ctrlKey || event.metaKey) return false;
  const octave = { KeyZ: -12, KeyX: 12 }[event.code];
  if (down && octave && !event.repeat) {
    endAll();
    base.value = Math.min(108, Math.max(0, base.value + octave));
    return true;
  }
  const at = ROWS.indexOf(event.code);
  if (at < 0) return false;
  if (!down) {
    const note = keys.get(event.code);
    keys.delete(event.code);
    if (note !== undefined) end(note);
  } else if (!event.repeat) {
    keys.set(event.code, base.value + at);
    play(base.value + at);
  }
  return true;
}

window.addEventListener("blur", endAll);

export function Piano() {
  const box = useRef<HTMLDivElement>(null);
  const fingers = useRef(new Map<number, number>());
  useEffect(() => {
    const up = (event: PointerEvent) => {
      const note = fingers.current.get(event.pointerId);
      fingers.current.delete(event.pointerId);
      if (note !== undefined) end(note);
    };
    window.addEventListener("pointerup", up);
    window.addEventListener("pointercancel", up);
    return () => {
      window.removeEventListener("pointerup", up);
      window.removeEventListener("pointercancel", up);
    };
  }, []);
  const under = (event: PointerEvent) => {
    const found = document.elementFromPoint(event.clientX, event.clientY)?.closest<HTMLElement>("[data-note]");
    return found ? Number(found.dataset.note) : null;
  };
  const touch = (event: PointerEvent, begin: boolean) => {
    if (!begin && !fingers.current.has(event.pointerId)) return;
    if (begin) (event.target as HTMLElement).releasePointerCapture?.(event.pointerId);
    const note = under(event);
    const before = fingers.current.get(event.pointerId);
    if (note === before || note === null) return;
    if (before !== undefined) end(before);
    fingers.current.set(event.pointerId, note);
    play(note);
    event.preventDefault();
  };
  const takers = graph.value?.nodes.filter((one) => one.inputs.some((port) => port.kind === "events")) ?? [];
  const samplers = takers.filter((one) => kits.value[one.name]?.length).map((one) => one.name);
  const padded = target.value ? samplers.find((one) => one === target.value) : samplers[0];
  const pads = padded && (padsWanted.value ?? (Boolean(target.value) || samplers.length === takers.length));
  const first = base.value;
  const all = Array.from({ length: 25 }, (_, n) => first + n).filter((note) => note <= 127);
  const white = all.filter((note) => !SHARP.has(note % 12));
  return (
    <section class={pads ? "piano with-pads" : "piano"} data-view="Play" aria-label={pads ? "Pads" : "Piano"}>
      {played.value && <Unheard />}
      <span class="piano-side">
        <span class="group">
          {!pads && (
            <>
              <button
                aria-label={`An octave down (${letterAt("KeyZ")})`}
                onClick={() => (base.value = Math.max(0, base.value - 12))}>
                −
              </button>
              <small>C{first / 12 - 1}</small>
              <button
                aria-label={`An octave up (${letterAt("KeyX")})`}
                onClick={() => (base.value = Math.min(108, base.value + 12))}>
                +
              </button>
            </>
          )}
          {padded && (
            <button class="which" aria-pressed={Boolean(pads)} onClick={() => (padsWanted.value = !pads)}>
              Pads
            </button>
          )}
        </span>
        <select
          aria-label="Which node plays"
          value={target.value}
          onChange={(event) => (target.value = event.currentTarget.value)}>
          <option value="">all nodes</option>
          <Options of={takers.map((one) => one.name)} />
        </select>
        <label>
          <small>velocity {velocity.value}</small>
          <input
            type="range"
            min="1"
            max="127"
            value={velocity.value}
            onInput={(event) => (velocity.value = Number(event.currentTarget.value))}
          />
        </label>
      </span>
      {pads && <Pads node={padded} />}
      <div
        class="keys"
        hidden={Boolean(pads)}
        ref={box}
        onPointerDown={(event) => touch(event, true)}
        onPointerMove={(event) => touch(event, false)}>
        {all.map((note) => {
          const sharp = SHARP.has(note % 12);
          const before = white.filter((one) => one < note).length;
          const code = ROWS[note - first];
          const letter = code && letterAt(code);
          const name = `${NAMES[note % 12]}${Math.floor(note / 12) - 1}`;
          const style = sharp
            ? { left: `${(before / white.length) * 100}%`, width: `${62 / white.length}%` }
            : { left: `${(before / white.length) * 100}%`, width: `${100 / white.length}%` };
          return (
            <button
              key={note}
              tabIndex={-1}
              data-note={note}
              style={style}
              aria-label={letter ? `${name} (${letter})` : name}
              class={`${sharp ? "sharp" : "natural"}${sounding.value.has(note) ? " down" : ""}`}>
              {letter && <kbd>{letter}</kbd>}
            </button>
          );
        })}
      </div>
    </section>
  );
}
