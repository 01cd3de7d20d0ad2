// The patches, chosen by a search, or by what one has: a voice, keys, a guitar, a file, nothing.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Sketch } from "./api";
import { layout } from "./instrument/patch";
import { ask, send } from "./link";
import { graph, patches, status } from "./model";
import { useClosing, useInside } from "./rooms";
import { byTouch } from "./theme";

const FADE = 0.3; // seconds from one patch to the next
/** Groups of patches by what one plays them with. */
const HAVE = {
  "a voice": ["voice"],
  "keys or pads": ["keys", "rhythm"],
  "a guitar": ["guitar", "effects"],
  "a file": ["effects", "voice"],
  nothing: ["loops", "space"],
};
const have = signal<keyof typeof HAVE | "">("");
const opened = signal(false);
const words = signal("");
const KEY = "sketches";
/** The pictures, by name. Drawing them takes a busy server seconds, so the last ones are kept in this browser. */
const sketches = signal(byName(JSON.parse(localStorage.getItem(KEY) ?? "[]") as Sketch[]));

function byName(all: Sketch[]): ReadonlyMap<string, Sketch> {
  return new Map(all.map((one) => [one.name, one]));
}

async function readSketches(): Promise<void> {
  const found = await ask<Sketch[]>("/api/patches/sketches");
  if (!found) return;
  sketches.value = byName(found);
  localStorage.setItem(KEY, JSON.stringify(found));
}

/** What a box does, for its colour: it hears, it plays, or it answers; others change the sound. */
const DOES: Record<string, string> = {};
for (const [what, types] of Object.entries({
  hears: "hum listen follow follower identify classify stems denoise gate tuner meter",
  plays: "synth sampler loops looper tone click metronome latent mosaic transfer freeze sing soundfont pyo dirt",
  answers: "accompany answer",
}))
  for (const type of types.split(" ")) DOES[type] = what;
const ACROSS = 15;
const DOWN = 9;

/** A patch as a small picture: from what it hears at the left to what is heard at the right. */
function Picture({ of }: { of: Sketch | undefined }) {
  if (!of) return <svg class="sketch" aria-hidden="true" />;
  const { places, routes } = layout({ nodes: of.nodes.map(([name]) => ({ name: name! })), wires: of.wires });
  const at = (name: string) => [places.get(name)!.column * ACROSS, places.get(name)!.row * DOWN] as const;
  const types = new Map(of.nodes as [string, string][]);
  const ends = [...places.values()];
  const [wide, high] = [Math.max(...ends.map((one) => one.column)), Math.max(...ends.map((one) => one.row))];
  return (
    <svg class="sketch" viewBox={`-6 -5 ${wide * ACROSS + 12} ${high * DOWN + 10}`} aria-hidden="true">
      {[...routes].map(([wire, lanes]) => {
        const [from, to] = wire.split(" ") as [string, string];
        return <polyline key={wire} points={[from, ...lanes, to].map((name) => at(name).join()).join(" ")} />;
      })}
      {[...places.keys()]
        .filter((name) => !name.includes(" "))
        .map((name) => {
          const [x, y] = at(name);
          if (name === "in" || name === "out") return <circle key={name} cx={x} cy={y} r="4" class={name} />;
          return <rect key={name} x={x - 5} y={y - 3} width="10" height="6" rx="1.5" class={DOES[types.get(name)!]} />;
        })}
    </svg>
  );
}

function List() {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (!byTouch) field.current?.focus();
    void readSketches();
    return () => {
      words.value = "";
    };
  }, []);
  const wanted = words.value.toLowerCase();
  // a search looks through all
  const groups = !wanted && have.value && HAVE[have.value];
  const found = patches.value.filter(
    (one) =>
      `${one.name} ${one.line} ${one.group}`.toLowerCase().includes(wanted) && (!groups || groups.includes(one.group)),
  );
  const load = (name: string) => {
    send("/patch/load", name, FADE);
    opened.value = false;
    words.value = "";
  };
  return (
    <div class="patches" role="group" aria-label="Patches" ref={useInside<HTMLDivElement>()}>
      <input
        type="search"
        aria-label="Search the patches"
        placeholder={`Search ${patches.value.length} patches`}
        ref={field}
        value={words.value}
        onInput={(event) => (words.value = event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && found[0] && load(found[0].name)}
      />
      <div class="chips" role="group" aria-label="What you have">
        <small>I have</small>
        {(Object.keys(HAVE) as (keyof typeof HAVE)[]).map((one) => (
          <button
            key={one}
            aria-pressed={!wanted && have.value === one}
            onClick={() => {
              have.value = !wanted && have.value === one ? "" : one;
              words.value = "";
            }}>
            {one}
          </button>
        ))}
      </div>
      <small class="legend">
        <i class="hears" /> hears <i class="plays" /> plays <i /> changes the sound
      </small>
      <ul>
        {found.map((one) => (
          <li key={one.name}>
            <button
              aria-current={one.name.toLowerCase() === graph.value?.patch.toLowerCase() ? "true" : undefined}
              onClick={() => load(one.name)}>
              <Picture of={sketches.value.get(one.name)} />
              <span>
                <b dir="auto">{one.name}</b> <small>{one.line.replaceAll("`", "")}</small>
              </span>
            </button>
          </li>
        ))}
        {!found.length && patches.value.length > 0 && <li class="soft">No patch has this name.</li>}
      </ul>
    </div>
  );
}

/** A button to the previous patch of the set, or to the next. */
export function SetStep({ to }: { to: "previous" | "next" }) {
  const back = to === "previous";
  return (
    <button aria-label={`${back ? "Previous" : "Next"} patch of the set`} onClick={() => send(`/set/${to}`)}>
      {back ? "‹" : "›"}
    </button>
  );
}

/** The patch that plays, and the way to others. */
export function Patch() {
  const set = status.value.set;
  useClosing(opened, ".patch");
  return (
    <span class="group patch">
      {set && <SetStep to="previous" />}
      <button
        class="chosen"
        dir="auto"
        title="Choose a patch"
        aria-expanded={opened.value}
        onClick={() => (opened.value = !opened.value)}>
        {graph.value?.patch || "no patch"}
      </button>
      {set && <SetStep to="next" />}
      {opened.value && <List />}
    </span>
  );
}
