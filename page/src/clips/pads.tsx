// The sounds of a sampler as pads for fingers.
import { useSignal } from "@preact/signals";
import { kits } from "../code/store";
import { send } from "../link";

const MOST = 32;
const LIT_MS = 120;

/** The pads of a node; where it is struck nearer to a pad's top, it sounds louder. */
export function Pads({ node }: { node: string }) {
  const lit = useSignal("");
  const strike = (name: string, gain: number) => {
    send(`/node/${node}/play`, "s", name, "velocity", Math.round(40 + 87 * gain));
    lit.value = name;
    setTimeout(() => lit.value === name && (lit.value = ""), LIT_MS);
  };
  return (
    <div class="drum-pads">
      {(kits.value[node] ?? []).slice(0, MOST).map((name) => (
        <button
          key={name}
          class={lit.value === name ? "lit" : ""}
          onPointerDown={(event) => {
            const box = event.currentTarget.getBoundingClientRect();
            event.preventDefault();
            strike(name, 1 - Math.min(1, Math.max(0, (event.clientY - box.top) / box.height)));
          }}
          onKeyDown={(event) => (event.key === "Enter" || event.key === " ") && !event.repeat && strike(name, 0.7)}>
          {name}
        </button>
      ))}
    </div>
  );
}
