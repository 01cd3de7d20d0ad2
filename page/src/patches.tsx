// The patches, chosen by a search, or by what one has: a voice, keys, a guitar, a file, nothing.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { onPage } from "./hints";
import { send } from "./link";
import { graph, patches, status } from "./model";

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

function List() {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    field.current?.focus();
    const outside = ({ target }: PointerEvent) => {
      if (!(target as Element).closest(".patch")) opened.value = false;
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, []);
  const wanted = words.value.toLowerCase();
  const groups = have.value && HAVE[have.value];
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
    <div
      class="patches"
      role="group"
      aria-label="Patches"
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        opened.value = false;
        event.stopPropagation();
      }}>
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
            aria-pressed={have.value === one}
            onClick={() => (have.value = have.value === one ? "" : one)}>
            {one}
          </button>
        ))}
      </div>
      <ul>
        {found.map((one) => (
          <li key={one.name}>
            <button
              aria-current={one.name.toLowerCase() === graph.value?.patch.toLowerCase() ? "true" : undefined}
              onClick={() => load(one.name)}>
              <b>{one.name}</b> <small>{onPage(one.line)}</small>
            </button>
          </li>
        ))}
        {!found.length && <li class="soft">No patch is called so.</li>}
      </ul>
    </div>
  );
}

/** The patch that plays, and the way to others. */
export function Patch() {
  const set = status.value.set;
  return (
    <span class="group patch">
      {set && (
        <button aria-label="Previous patch of the set" onClick={() => send("/set/previous")}>
          ‹
        </button>
      )}
      <button
        class="chosen"
        title="Choose a patch"
        aria-expanded={opened.value}
        onClick={() => (opened.value = !opened.value)}>
        {graph.value?.patch || "no patch"}
      </button>
      {set && (
        <button aria-label="Next patch of the set" onClick={() => send("/set/next")}>
          ›
        </button>
      )}
      {opened.value && <List />}
    </span>
  );
}
