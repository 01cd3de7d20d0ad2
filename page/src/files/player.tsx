// A and B in one player: waveforms and spectrograms above each other, one cursor, one loop region.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { eachFrame } from "../frames";
import { colours, stage } from "../theme";
import { download } from "./api";
import { extremes, spectrogram } from "./pictures";
import {
  close,
  faders,
  flip,
  gainOf,
  type Loaded,
  length,
  loading,
  looped,
  matched,
  measured,
  mixFile,
  pair,
  place,
  playing,
  refusal,
  region,
  SIDES,
  type Side,
  seek,
  setLooped,
  setRegion,
  side,
  toggle,
} from "./sound";
import { clock, contentOf } from "./state";

const STEP = 1; // seconds of an arrow key, a tenth of it with Shift
const DRAG = 6; // pixels after which a press is a drag
const TITLE = "Space plays, A and B switch, L loops, I and O set the region's ends, arrows move.";

Object.assign(window, { antiphonPlayer: measured });

function time(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;
}

export function Player() {
  const box = useRef<HTMLElement>(null);
  const now = pair.value;
  if (!now) return <Empty />;
  const pressed = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // a button's own Space presses it, and a fader has arrows, Home and End of its own
    const own = event.key === " " ? "button, input" : /^(Arrow|Home|End)/.test(event.key) ? "input" : "";
    if (own && (event.target as HTMLElement).matches(own)) return event.stopPropagation();
    const step = STEP * (event.shiftKey ? 0.1 : 1);
    const at = place();
    const keys: Record<string, () => void> = {
      " ": toggle,
      a: () => (side.value = "A"),
      b: () => now.B && (side.value = "B"),
      x: flip,
      l: () => setLooped(!looped.value),
      m: () => (matched.value = !matched.value),
      i: () => setRegion([at, region.value && region.value[1] > at ? region.value[1] : length.value]),
      o: () => setRegion([region.value && region.value[0] < at ? region.value[0] : 0, at]),
      ArrowLeft: () => seek(at - step),
      ArrowRight: () => seek(at + step),
      Home: () => seek(region.value?.[0] ?? 0),
      End: () => seek(length.value),
      Delete: () => setRegion(null),
      Backspace: () => setRegion(null),
    };
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    if (!event.repeat || event.key.startsWith("Arrow")) act();
    event.preventDefault();
    event.stopPropagation(); // Space starts and stops the beat elsewhere, and letters are the piano's keys
  };
  return (
    <section
      class="player"
      ref={box}
      tabIndex={0}
      aria-label={`Player. ${TITLE}`}
      onKeyDown={pressed}
      // after a click Space is to play and pause, not to stop the beat, so the player keeps the focus
      onClick={(event) => event.detail > 0 && !(event.target as HTMLElement).closest("input") && box.current!.focus()}>
      <Bar now={now} />
      <Faders one={now.B ?? now.A} />
      <Pictures now={now} />
      <p class="keys-help">{TITLE}</p>
    </section>
  );
}

function Empty() {
  const now = loading.value;
  return (
    <section class="player empty" aria-label="Player">
      {now ? (
        <p role="status">
          Loading <bdi>{now.name}</bdi> <progress max={1} value={now.share} aria-label={`Loading ${now.name}`} />
        </p>
      ) : refusal.value ? (
        <p class="bad" role="alert">
          {refusal.value[0]!.toUpperCase() + refusal.value.slice(1)}.
        </p>
      ) : (
        <p class="soft">Listen to a file, or compare a result with its source: both are shown and played here.</p>
      )}
    </section>
  );
}

function Bar({ now }: { now: { A: Loaded; B: Loaded | null } }) {
  const shown = useRef<HTMLSpanElement>(null);
  const draw = () => {
    const text = time(place());
    if (shown.current && shown.current.textContent !== text) shown.current.textContent = text;
  };
  useEffect(() => eachFrame(draw), []);
  const here = now[side.value] ?? now.A;
  return (
    <div class="bar">
      <button class="play" aria-label={playing.value ? "Pause" : "Play"} onClick={toggle}>
        {playing.value ? "❚❚" : "▶"}
      </button>
      {now.B && (
        <span class="sides" role="group" aria-label="Which one sounds">
          {SIDES.map((name) => (
            <button
              key={name}
              class={`side-${name}`}
              aria-pressed={side.value === name}
              onClick={() => (side.value = name)}>
              <b>{name}</b> <span>{name === "A" ? "source" : "result"}</span>
            </button>
          ))}
        </span>
      )}
      <span class="time">
        <b ref={shown} />
        <span> / {time(length.value)}</span>
      </span>
      {now.B && (
        <button
          aria-pressed={matched.value}
          title="The louder one is turned down to the level of the other"
          onClick={() => (matched.value = !matched.value)}>
          Same level
        </button>
      )}
      <button aria-pressed={looped.value} onClick={() => setLooped(!looped.value)}>
        Loop
      </button>
      {region.value && (
        <button class="region-text" title="Remove the region" onClick={() => setRegion(null)}>
          {clock(region.value[1] - region.value[0])} from {time(region.value[0])} ×
        </button>
      )}
      <span class="end">
        {!here.stems && (
          <button onClick={() => void download(contentOf(here.id), here.name)}>
            Download {now.B ? side.value : ""}
          </button>
        )}
        <button aria-label="Close the player" onClick={close}>
          ×
        </button>
      </span>
    </div>
  );
}

/** A fader for each stem; the mix is saved as they are. */
function Faders({ one }: { one: Loaded }) {
  if (!one.stems) return null;
  const set = (name: string, value: number) => (faders.value = { ...faders.value, [name]: value });
  return (
    <div class="bar faders" role="group" aria-label="Stems">
      {one.stems.map(({ name }) => (
        <label key={name} title="Pressed twice, it is set to 1">
          {name}{" "}
          <input
            type="range"
            min="0"
            max="2"
            step="0.01"
            value={faders.value[name] ?? 1}
            onInput={(event) => set(name, Number(event.currentTarget.value))}
            onDblClick={() => set(name, 1)}
          />{" "}
          <small>{(faders.value[name] ?? 1).toFixed(2)}</small>
        </label>
      ))}
      <button onClick={() => save(mixFile(one), `${one.name.replace(/\.[^.]*, mix$/, "")} mix.wav`)}>Save mix</button>
    </div>
  );
}

function save(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function Pictures({ now }: { now: { A: Loaded; B: Loaded | null } }) {
  const box = useRef<HTMLDivElement>(null);
  const cursor = useRef<HTMLElement>(null);
  const from = useRef<{ x: number; at: number; moved: boolean } | null>(null);
  const draw = () => {
    const share = length.peek() ? place() / length.peek() : 0;
    if (cursor.current) cursor.current.style.transform = `translateX(${share * box.current!.clientWidth}px)`;
  };
  useEffect(() => eachFrame(draw), []);
  const at = (event: PointerEvent) => {
    const place = box.current!.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - place.left) / place.width)) * length.value;
  };
  const loop = region.value;
  return (
    <div
      class="pictures"
      ref={box}
      onPointerDown={(event) => {
        if (event.button) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        from.current = { x: event.clientX, at: at(event), moved: false };
      }}
      onPointerMove={(event) => {
        const start = from.current;
        if (!start || (!start.moved && Math.abs(event.clientX - start.x) < DRAG)) return;
        start.moved = true;
        const to = at(event);
        region.value = [Math.min(start.at, to), Math.max(start.at, to)];
      }}
      onPointerUp={(event) => {
        const start = from.current;
        from.current = null;
        if (!start) return;
        if (start.moved) setRegion(region.value);
        else seek(at(event));
      }}
      onPointerCancel={() => (from.current = null)}
      onDblClick={() => setRegion(null)}>
      {SIDES.map((name) => now[name] && <Strip key={now[name]!.id} name={name} one={now[name]!} />)}
      {loop && (
        <i
          class="region"
          style={{
            left: `${(100 * loop[0]) / length.value}%`,
            width: `${(100 * (loop[1] - loop[0])) / length.value}%`,
          }}
        />
      )}
      <i class="cursor" ref={cursor} />
    </div>
  );
}

function Strip({ name, one }: { name: Side; one: Loaded }) {
  const wave = useRef<HTMLCanvasElement>(null);
  const picture = useRef<HTMLCanvasElement>(null);
  const width = useSignal(0);
  const scheme = useSignal(0);
  const look = stage.value;
  useEffect(() => {
    const watch = new ResizeObserver(() => (width.value = wave.current?.clientWidth ?? 0));
    watch.observe(wave.current!);
    return () => watch.disconnect();
  }, []);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const again = () => (scheme.value += 1);
    dark.addEventListener("change", again);
    return () => dark.removeEventListener("change", again);
  }, []);
  useEffect(() => {
    if (width.value) draw(wave.current!, one.buffer, name, width.value);
  }, [width.value, one, look, scheme.value]);
  useEffect(() => {
    if (!width.value) return;
    return spectrogram(
      one.buffer,
      picture.current!,
      Math.min(1600, width.value),
      Math.max(48, picture.current!.clientHeight),
    );
  }, [width.value, one]);
  const gain = gainOf(name);
  return (
    <div class={`lane side-${name}`} data-on={side.value === name ? "" : undefined}>
      <span class="lane-name">
        <b>{name}</b> <bdi>{one.name}</bdi>
        {gain < 0.995 ? `, ${(20 * Math.log10(gain)).toFixed(1)} dB` : ""}
      </span>
      <canvas class="wave" ref={wave} role="img" aria-label={`Waveform of ${one.name}`} />
      <canvas class="spectrogram" ref={picture} role="img" aria-label={`Spectrogram of ${one.name}, 40 Hz to 18 kHz`} />
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, buffer: AudioBuffer, name: Side, width: number): void {
  const height = canvas.clientHeight;
  const scale = Math.min(2, devicePixelRatio);
  canvas.width = width * scale;
  canvas.height = height * scale;
  const area = canvas.getContext("2d")!;
  area.scale(scale, scale);
  const ink = colours();
  const found = extremes(buffer, width);
  const most = found.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0.02);
  const y = (value: number) => (height / 2) * (1 - (value / most) * 0.94);
  area.fillStyle = name === "A" ? ink.cool : ink.warm;
  for (let x = 0; x < width; x++) {
    const top = y(found[2 * x + 1]!);
    area.fillRect(x, top, 1, Math.max(1, y(found[2 * x]!) - top));
  }
}
