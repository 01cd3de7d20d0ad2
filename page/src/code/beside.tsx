// Beside the editor: the tracks that play, the reference, the sounds; below them what comes, and the sound.
import { effect, signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { useDrawing, wave } from "../instrument/drawings";
import { useMeters } from "../instrument/meters";
import { Mixer } from "../instrument/mixer";
import { send } from "../link";
import { lanes } from "./lanes";
import { editor, hear, hits, kits, live, reference, samplers, terminal, tryOut } from "./store";
import { banks, found, tried } from "./words";

const WIDE = 1000; // pixels from which there is room beside the text
const TABS = { Tracks, Words, Sounds };
const tab = signal<keyof typeof TABS>("Tracks");
export const beside = signal((localStorage.getItem("code-beside") ?? String(innerWidth >= WIDE)) === "true");
effect(() => localStorage.setItem("code-beside", String(beside.value)));
const search = signal("");
const SHOWN = 80; // words at a time
const LIT_MS = 50; // in which a track's meter is full
const FALL_DB = 170; // a second, of its 60

export function Beside() {
  const roll = useDrawing(lanes);
  const scope = useDrawing(wave);
  const Shown = TABS[tab.value];
  return (
    <aside class="beside" aria-label="Beside the editor">
      <nav class="beside-tabs">
        {(["Tracks", "Words", "Sounds"] as const).map((name) => (
          <button key={name} aria-pressed={tab.value === name} onClick={() => (tab.value = name)}>
            {name}
          </button>
        ))}
      </nav>
      <div class="beside-body">
        <Shown />
      </div>
      <div class="beside-roll">
        <canvas ref={roll} role="img" aria-label="What the tracks play in the next bars" />
      </div>
      <div class="beside-scope">
        <canvas ref={scope} role="img" aria-label="Waveform" />
      </div>
    </aside>
  );
}

/** The tracks and loops of the script that plays, then the mixer. */
export function Tracks() {
  const box = useRef<HTMLUListElement>(null);
  const struck = (bar: HTMLElement, now: number) =>
    Number(hits.get(bar.dataset.track!)?.some((at) => at <= now && now - at < LIT_MS));
  useMeters(box, struck, FALL_DB);
  const { tracks, muted, soloed } = { tracks: [], muted: [], soloed: [], ...live.value };
  const other = terminal.value;
  return (
    <>
      {other && (
        <ul class="tracks" aria-label={`Tracks of ${other.name}, which a terminal plays`}>
          {other.tracks.map((name) => (
            <li key={name} dir="auto">
              {name}
            </li>
          ))}
        </ul>
      )}
      {tracks.length ? (
        <ul class="tracks" ref={box}>
          {tracks.map(([name, on, loop]) => (
            <li key={name} class={muted.includes(name) || (soloed.length && !soloed.includes(name)) ? "mute" : ""}>
              <button
                class="name"
                title="Goes to its line"
                onClick={() => {
                  const lines = editor.value?.text().split("\n") ?? [];
                  const line = lines.findIndex((one) => one.includes(`"${name}"`) || one.includes(`def ${name}(`));
                  editor.value?.focus(line + 1);
                }}>
                <bdi>{name}</bdi> <small>{on || (loop ? "loop" : "")}</small>
              </button>
              {(["muted", "soloed"] as const).map((which) => (
                <button
                  key={which}
                  aria-label={which === "muted" ? `Mute ${name}` : `${name} alone`}
                  title={which === "muted" ? "Mute" : "Solo"}
                  aria-pressed={(which === "muted" ? muted : soloed).includes(name)}
                  onClick={() => void hear(which, name)}>
                  {which === "muted" ? "M" : "S"}
                </button>
              ))}
              <span class="level" data-track={name} aria-hidden="true">
                <i />
              </span>
            </li>
          ))}
        </ul>
      ) : (
        !other && <p class="soft">Run a script: its tracks and loops stand here, each with mute and solo.</p>
      )}
      <Mixer />
    </>
  );
}

function Words() {
  const all = found(reference.value, search.value);
  return (
    <>
      <input
        aria-label="Search the words"
        placeholder={`Search ${reference.value.length} words`}
        value={search.value}
        onInput={(event) => (search.value = event.currentTarget.value)}
      />
      <ul class="words">
        {all.slice(0, SHOWN).map((one) => (
          <li key={one.names.join()}>
            <code>{one.names.join(", ")}</code> <small>{one.group}</small>
            <p>{one.doc.replaceAll("`", "")}</p>
            {one.example && (
              <p class="example">
                <code>{one.example}</code>
                {tried(one.example) && (
                  <button
                    disabled={!live.value?.on}
                    title="Plays it as the track try, a line at the end of the text"
                    onClick={() => tryOut(one.example)}>
                    Try
                  </button>
                )}
                <button
                  aria-label={`Insert the example of ${one.names[0]}`}
                  onClick={() => editor.value?.insert(one.example, one.example)}>
                  Insert
                </button>
              </p>
            )}
          </li>
        ))}
      </ul>
      {all.length > SHOWN && <p class="soft">{all.length - SHOWN} more: search for them.</p>}
      {!all.length && search.value && <p class="soft">No word of that name; antiphon words says which are not here.</p>}
    </>
  );
}

function Sounds() {
  const all = Object.entries(kits.value);
  if (!all.length)
    return (
      <p class="soft">
        {samplers.value
          ? "The sounds are read…"
          : 'The patch has no sampler: patch("band") and patch("pads") have one.'}
      </p>
    );
  return (
    <>
      {all.map(([node, names]) => (
        <div key={node} class="kit">
          {banks(names).map(([bank, some]) => (
            <div key={bank}>
              <h2>
                {node} {bank && <small>bank("{bank}")</small>}
              </h2>
              {some.map((name) => (
                <button
                  key={name}
                  title="Plays it, and puts it at the cursor; with Shift it only plays"
                  onClick={(event) => {
                    send(`/node/${node}/play`, "s", name);
                    if (!event.shiftKey) editor.value?.insert(name, `s("${name}")`);
                  }}>
                  {bank ? name.slice(bank.length + 1) : name}
                </button>
              ))}
            </div>
          ))}
        </div>
      ))}
    </>
  );
}
