// Pads that send cues to live scripts, each with a MIDI note or controller of its own where one was learned.
import { computed, effect, signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { send, unlearn } from "../link";
import { cued, mappings } from "../model";
import { Learn, Mapped } from "./learn";

const MOST = 32;
const LIT_MS = 250;
const CUE = "/cue ";

function stored(): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem("cues") ?? "[]");
    return Array.isArray(found) ? found.map(String).slice(0, MOST) : [];
  } catch {
    return [];
  }
}

const own = signal<string[]>(stored());
const names = computed(() => {
  const mapped = mappings.value
    .filter((one) => one.address.startsWith(CUE))
    .map((one) => one.address.slice(CUE.length));
  return [...new Set([...own.value, ...mapped])].slice(0, MOST);
});

function add(name: string): void {
  if (name && !own.value.includes(name)) own.value = [...own.value, name].slice(-MOST);
}

effect(() => localStorage.setItem("cues", JSON.stringify(own.value)));
// a cue that another page, a pad or a script sent has a pad here too
effect(() => add(cued.value.name));

function Pad({ name }: { name: string }) {
  const [lit, setLit] = useState(false);
  const { name: last, at } = cued.value;
  useEffect(() => {
    if (last !== name) return;
    setLit(true);
    const timer = setTimeout(() => setLit(false), LIT_MS);
    return () => clearTimeout(timer);
  }, [last === name ? at : 0]);
  const address = CUE + name;
  return (
    <li class="cue">
      <button
        class={lit ? "pad lit" : "pad"}
        dir="auto"
        onPointerDown={() => send("/cue", name)}
        title={`Send the cue ${name}`}
        onKeyDown={(event) => (event.key === "Enter" || event.key === " ") && !event.repeat && send("/cue", name)}>
        {name}
      </button>
      <Learn address={address} name={`the cue ${name}`} />
      <button
        class="learn"
        aria-label={`Remove the pad ${name}`}
        title="Remove this pad"
        onClick={() => {
          if (mappings.value.some((one) => one.address === address)) unlearn(address);
          own.value = own.value.filter((one) => one !== name);
        }}>
        ×
      </button>
      <Mapped address={address} name={`the cue ${name}`} />
    </li>
  );
}

export function Cues() {
  const field = useRef<HTMLInputElement>(null);
  return (
    <div class="cues">
      <h2>Cues</h2>
      {names.value.length > 0 && (
        <ul>
          {names.value.map((name) => (
            <Pad key={name} name={name} />
          ))}
        </ul>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          add(field.current!.value.trim());
          field.current!.value = "";
        }}>
        <input ref={field} aria-label="Name of a cue" placeholder="Name of a cue" maxLength={100} autocomplete="off" />
        <button>Add</button>
      </form>
    </div>
  );
}
