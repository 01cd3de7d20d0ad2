// The sounds of a sampler as pads for fingers.
import { useSignal } from "@preact/signals";
import { listen, played, unheard } from "../audio";
import { kits } from "../code/store";
import { send } from "../link";
import { drumsFirst } from "./model";

const PAGE = 16; // pads at a time
const LIT_MS = 120;
const LONG = 7; // letters from which a name is written smaller

/** What one plays and nobody hears is said, with the button that plays it here. */
export function Unheard() {
  return (
    unheard.value && (
      <p class="unheard">
        This page is silent.{" "}
        <button class="call" onClick={() => void listen()}>
          Listen
        </button>{" "}
        plays here what you do.
      </p>
    )
  );
}

/** The pads of a node; where it is struck nearer to a pad's top, it sounds louder. */
export function Pads({ node }: { node: string }) {
  const lit = useSignal("");
  const page = useSignal(0);
  const all = drumsFirst(kits.value[node] ?? []);
  const pages = Math.ceil(all.length / PAGE);
  const now = Math.min(page.value, Math.max(0, pages - 1));
  const strike = (name: string, gain: number) => {
    send(`/node/${node}/play`, "s", name, "velocity", Math.round(40 + 87 * gain));
    played.value = true;
    lit.value = name;
    setTimeout(() => lit.value === name && (lit.value = ""), LIT_MS);
  };
  return (
    <div class="drum-pads">
      {all.slice(now * PAGE, (now + 1) * PAGE).map((name) => (
        <button
          key={name}
          class={`${lit.value === name ? "lit" : ""}${name.length > LONG ? " long" : ""}`}
          onPointerDown={(event) => {
            const box = event.currentTarget.getBoundingClientRect();
            event.preventDefault();
            strike(name, 1 - Math.min(1, Math.max(0, (event.clientY - box.top) / box.height)));
          }}
          onKeyDown={(event) => (event.key === "Enter" || event.key === " ") && !event.repeat && strike(name, 0.7)}>
          {name}
        </button>
      ))}
      {pages > 1 && (
        <button class="more" title="The next pads" onClick={() => (page.value = (now + 1) % pages)}>
          {now + 1} of {pages} ›
        </button>
      )}
    </div>
  );
}
