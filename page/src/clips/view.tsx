// The room Clips: a grid of what is launched on the bar, a step sequencer, pads and a pad for two parameters.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { played } from "../audio";
import { kits, readSets, readSounds, sets } from "../code/store";
import { asked } from "../files/api";
import { Token } from "../files/view";
import { Macros } from "../instrument/controls";
import { noteName } from "../instrument/scale";
import { send } from "../link";
import { beatNow, graph, playing, takesNotes, value } from "../model";
import { Options } from "../options";
import { enter } from "../rooms";
import { A_BEAT, type Clip, COLUMNS, ROWS, read, SLOTS, title, written } from "./model";
import { folders, readFolders, struck, toPad, wanted } from "./own";
import { Pads, Unheard } from "./pads";
import {
  choose,
  chooseBeside,
  clipAt,
  count,
  edited,
  fill,
  launch,
  launchRow,
  nothing,
  padAt,
  playState,
  put,
  record,
  recording,
  slot,
  stopAll,
  stopColumn,
  takers,
  toggle,
} from "./play";
import { XY } from "./xy";

const editing = signal(false);
const length = signal(2); // bars of a recording
const BARS = [0, 1, 2, 4, 8, 16];

export function Clips() {
  useEffect(() => {
    void readSets();
    void readSounds();
    void readFolders();
  }, []);
  const samplers = Object.keys(kits.value).filter((one) => kits.value[one]?.length);
  const shown = samplers.includes(struck.value) ? struck.value : samplers[0];
  return (
    <main class="clips" aria-label="Clips" tabIndex={-1}>
      {asked.value && <Token />}
      <section class="clips-grid" aria-label="Grid of clips">
        <Grid />
      </section>
      <section class="clips-xy" aria-label="Macros and two parameters">
        <Macros />
        <h2>XY</h2>
        <XY />
      </section>
      <section class="clips-steps" aria-label="Step sequencer">
        <Sequencer />
      </section>
      {shown && (
        <section class="clips-pads" aria-label="Pads">
          <h2>
            Pads
            {samplers.length > 1 && (
              <select aria-label="Whose sounds" value={shown} onChange={(e) => (struck.value = e.currentTarget.value)}>
                <Options of={samplers} />
              </select>
            )}
          </h2>
          {played.value && <Unheard />}
          <Pads node={shown} />
        </section>
      )}
    </main>
  );
}

const called = (clip: Clip) => title(clip, graph.value?.scene_names);
const titled = (names: string[]) => names.map((one) => [one, called(read(one)!)] as const);
const LENGTHS = BARS.map((one) => [String(one), one ? `${one} bar${one > 1 ? "s" : ""}` : "as it is"] as const);

function Grid() {
  return (
    <>
      <h2>
        Clips
        <button
          aria-pressed={editing.value}
          onClick={() => {
            fill(); // what is offered can be changed too
            editing.value = !editing.value;
          }}>
          {editing.value ? "Done" : "Edit"}
        </button>
        <button onClick={stopAll}>Stop all</button>
        <button
          aria-pressed={Boolean(recording())}
          title="Notes and knobs, from the next bar on"
          onClick={() => record(length.value)}>
          Record
        </button>
        <select
          aria-label="Bars of a recording"
          value={String(length.value)}
          onChange={(event) => (length.value = Number(event.currentTarget.value))}>
          <Options of={LENGTHS.slice(1)} />
        </select>
      </h2>
      <p class="soft">
        A pad plays from the next bar on: a beat, a sound, a scene or a script.
        <span class="by-mouse"> Drop sounds of yours on it.</span>{" "}
        {!padAt(0) && nothing.value && (
          <button class="call" onClick={() => send("/patch/load", "band", 0.3)}>
            Load the patch band
          </button>
        )}
      </p>
      <div class="grid">
        {Array.from({ length: ROWS }, (_, row) => [
          ...Array.from({ length: COLUMNS }, (_, column) => <Pad key={`${row} ${column}`} row={row} column={column} />),
          <button
            key={`row ${row}`}
            class="row"
            aria-label={`Launch row ${row + 1}`}
            title="Launches the row"
            onClick={() => launchRow(row)}>
            ▶
          </button>,
        ])}
        {Array.from({ length: COLUMNS }, (_, column) => (
          <button key={column} class="row" aria-label={`Stop column ${column + 1}`} onClick={() => stopColumn(column)}>
            ■
          </button>
        ))}
      </div>
    </>
  );
}

function Pad({ row, column }: { row: number; column: number }) {
  const place = row * COLUMNS + column;
  const clip = padAt(place);
  if (editing.value || !clip) return <Choice place={place} />;
  const { on, waits, plays } = playState(clip);
  return (
    <button
      class={`clip is-${clip.kind}${on ? " on" : ""}${waits ? " waits" : ""}`}
      data-place={place}
      aria-pressed={on}
      title={on ? "Stops at the next bar" : "Plays from the next bar on"}
      onClick={() => {
        fill();
        launch(clip, !plays);
      }}>
      {called(clip)}
      <small>{clip.kind === "sound" ? `${clip.node}${clip.bars ? `, ${clip.bars} bars` : ""}` : clip.kind}</small>
    </button>
  );
}

const FOLDERS: Record<string, string> = { "": "Kit that ships", files: "Your files", captures: "Captures" };

/** The folders of the library that no kit of the patch plays, with their sounds. */
function others(): [string, string[]][] {
  const played = new Set(Object.keys(kits.value).map((node) => value(`/node/${node}/library`).value));
  return Object.entries(folders.value).filter(([library]) => !played.has(library));
}

/** What a place of the grid holds, as choices. */
function Choice({ place }: { place: number }) {
  const clip = clipAt(place);
  const bars = clip?.kind === "sound" ? clip.bars : 0;
  return (
    <span class="clip choice" data-place={place}>
      <select
        aria-label={`Clip ${place + 1}`}
        value={written(clip)}
        onChange={({ currentTarget: field }) => {
          const [kind, library = "", ...s] = field.value.split("/");
          if (kind === "find") {
            wanted.value = place;
            enter("Library");
          } else if (kind === "own") void toPad({ library, s: s.join("/"), n: 0 }, place);
          else void chooseBeside(place, field.value);
          field.value = written(clipAt(place));
        }}>
        <option value="">+</option>
        <option value="find">Search the library…</option>
        {clip && <option value={written(clip)}>{called(clip)}</option>}
        <optgroup label="Patterns">
          <Options of={titled(Array.from({ length: SLOTS }, (_, one) => `steps/${one}`))} />
        </optgroup>
        {Object.entries(kits.value).map(
          ([node, names]) =>
            names.length > 0 && (
              <optgroup key={node} label={node}>
                <Options of={titled(names.map((name) => `sound/${bars}/${node}/${name}`))} />
              </optgroup>
            ),
        )}
        {others().map(([library, names]) => (
          <optgroup key={library} label={FOLDERS[library] ?? library}>
            <Options of={names.map((name) => [`own/${library}/${name}`, name])} />
          </optgroup>
        ))}
        <optgroup label="Scenes">
          <Options of={titled((graph.value?.scenes ?? []).map((one) => `scene/${one}`))} />
        </optgroup>
        <optgroup label="Scripts">
          <Options of={titled(sets.value.map((one) => `script/${one.name}`))} />
        </optgroup>
      </select>
      {clip?.kind === "sound" && (
        <select
          aria-label={`Length of clip ${place + 1}`}
          value={String(bars)}
          onChange={(event) => choose(place, written({ ...clip, bars: Number(event.currentTarget.value) }))}>
          <Options of={LENGTHS} />
        </select>
      )}
    </span>
  );
}

function Sequencer() {
  const box = useRef<HTMLDivElement>(null);
  const steps = count();
  const nodes = takers();
  const now = edited();
  const { node } = now;
  const pattern = read(`steps/${slot.value}`);
  const { plays } = playState(pattern);
  useEffect(() => {
    let frame = 0;
    let before = -1;
    const draw = () => {
      const step = playing.peek() ? ((Math.floor(beatNow() * A_BEAT) % steps) + steps) % steps : -1;
      if (step !== before) {
        for (const one of box.current?.querySelectorAll("[data-step]") ?? [])
          one.toggleAttribute("data-now", Number((one as HTMLElement).dataset.step) === step);
        before = step;
      }
      frame = requestAnimationFrame(draw);
    };
    draw();
    return () => cancelAnimationFrame(frame);
  }, [steps, slot.value]);
  if (!node)
    return (
      <p class="soft">
        {takesNotes.value
          ? "The sounds are read…"
          : "Nothing here plays notes: choose a patch that does, as band or keys."}
      </p>
    );
  return (
    <>
      <h2>
        Steps
        {[..."ABCD"].map((letter, place) => (
          <button key={place} aria-pressed={slot.value === place} onClick={() => (slot.value = place)}>
            {letter}
          </button>
        ))}
        <select
          aria-label="Which node plays the pattern"
          value={node}
          onChange={(event) => put({ node: event.currentTarget.value, rows: [] })}>
          <Options of={nodes} />
        </select>
        <button
          aria-pressed={plays}
          title="By itself, from the next bar on"
          onClick={() => {
            if (!plays) put(now);
            launch(pattern, !plays);
          }}>
          {plays ? "■" : "▶"}
        </button>
        <button onClick={() => put({ node, rows: now.rows.map((row) => ({ ...row, on: [] })) })}>Clear</button>
      </h2>
      <div class="steps" ref={box} style={{ "--steps": String(steps) }}>
        {now.rows.map((row, line) => [
          <b key={`name ${line}`}>{typeof row.what === "number" ? noteName(row.what) : row.what}</b>,
          ...Array.from({ length: steps }, (_, step) => (
            <button
              key={`${line} ${step}`}
              data-step={step}
              class={step % A_BEAT ? "" : "beat-step"}
              aria-label={`${row.what}, step ${step + 1}`}
              aria-pressed={Boolean(row.on[step])}
              onClick={() => toggle(line, step)}
            />
          )),
        ])}
      </div>
    </>
  );
}
