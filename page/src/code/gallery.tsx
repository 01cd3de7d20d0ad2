// The sets that ship, each with a picture of what its tracks play.
import { signal } from "@preact/signals";
import drawn from "./drawn.json";
import { editor, live, openSet, run, sets } from "./store";

const KEY = "code-gallery";
/** Open in a browser that has not closed it. */
export const gallery = signal(localStorage.getItem(KEY) !== "closed");

export function showGallery(on: boolean): void {
  gallery.value = on;
  localStorage.setItem(KEY, on ? "open" : "closed");
}

/** A row a track: how much it plays in each part of the set. */
function Picture({ rows }: { rows: string[] }) {
  const tall = 10; // units of a row
  return (
    <svg
      viewBox={`0 0 ${rows[0]?.length ?? 1} ${tall * rows.length || 1}`}
      preserveAspectRatio="none"
      aria-hidden="true">
      {rows.map((row, line) => (
        <path
          key={line}
          class={line % 2 ? "cool" : "warm"}
          d={[...row].map((one, at) => `M${at} ${tall * (line + 1)}v-${one}h.8v${one}z`).join("")}
        />
      ))}
    </svg>
  );
}

async function begin(name: string, play: boolean): Promise<void> {
  showGallery(false);
  await openSet(name);
  if (play) await run("all", true);
}

export function Gallery() {
  const shipped = sets.value.filter((one) => !one.own);
  if (!shipped.length) return null;
  return (
    <section class="gallery" aria-label="Sets that ship">
      <ul>
        {shipped.map(({ name, line }) => (
          <li key={name}>
            <button class="open" title={line} onClick={() => void begin(name, false)}>
              <Picture rows={(drawn as Record<string, string[]>)[name] ?? []} />
              <b>{name}</b>
              <small>{line}</small>
            </button>
            <button
              class="call"
              aria-label={`Play ${name}`}
              disabled={!live.value?.on || !editor.value}
              onClick={() => void begin(name, true)}>
              ▶
            </button>
          </li>
        ))}
      </ul>
      <button class="close" aria-label="Close the sets" onClick={() => showGallery(false)}>
        ×
      </button>
    </section>
  );
}
