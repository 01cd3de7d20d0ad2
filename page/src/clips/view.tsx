// The room Clips: a grid of what is launched on the bar, a step sequencer, pads and a pad for two parameters.
import { signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { kits, readSets, sets } from "../code/store";
import { Macros } from "../instrument/controls";
import { noteName } from "../instrument/scale";
import { beatNow, graph, playing } from "../model";
import { A_BEAT, COLUMNS, ROWS, read, SLOTS, title, written } from "./model";
import { Pads } from "./pads";
import { columns, count, edited, grid, launch, patterns, put, rowsFor, slot, stopAll, takers, toggle } from "./play";
import { XY } from "./xy";

const editing = signal(false);
const BARS = [0, 1, 2, 4, 8, 16];

export function Clips() {
  useEffect(() => void readSets(), []);
  const samplers = Object.keys(kits.value);
  const pads = useSignal("");
  const shown = samplers.includes(pads.value) ? pads.value : samplers[0];
  return (
    <main class="clips" aria-label="Clips" tabIndex={-1}>
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
              <select aria-label="Whose sounds" value={shown} onChange={(e) => (pads.value = e.currentTarget.value)}>
                {samplers.map((one) => (
                  <option key={one} value={one}>
                    {one}
                  </option>
                ))}
              </select>
            )}
          </h2>
          <Pads node={shown} />
        </section>
      )}
    </main>
  );
}

function Grid() {
  return (
    <>
      <h2>
        Clips
        <button aria-pressed={editing.value} onClick={() => (editing.value = !editing.value)}>
          {editing.value ? "Done" : "Edit"}
        </button>
        <button onClick={stopAll}>Stop all</button>
      </h2>
      <div class="grid">
        {Array.from({ length: ROWS }, (_, row) => [
          ...Array.from({ length: COLUMNS }, (_, column) => <Pad key={`${row} ${column}`} row={row} column={column} />),
          <button
            key={`row ${row}`}
            class="row"
            aria-label={`Launch row ${row + 1}`}
            title="Launches the row"
            onClick={() => {
              for (let column = 0; column < COLUMNS; column++)
                if (grid.value[row * COLUMNS + column]) launch(column, row);
            }}>
            ▶
          </button>,
        ])}
        {Array.from({ length: COLUMNS }, (_, column) => (
          <button key={column} class="row" aria-label={`Stop column ${column + 1}`} onClick={() => launch(column, -1)}>
            ■
          </button>
        ))}
      </div>
    </>
  );
}

function Pad({ row, column }: { row: number; column: number }) {
  const place = row * COLUMNS + column;
  const clip = grid.value[place] ?? null;
  const state = columns.value[column]!;
  if (editing.value || !clip) return <Choice place={place} />;
  const on = state.row === row;
  const waits = state.next?.row === row || (on && state.next !== null);
  return (
    <button
      class={`clip is-${clip.kind}${on ? " on" : ""}${waits ? " waits" : ""}`}
      aria-pressed={on}
      title={on ? "Stops at the next bar" : "Plays from the next bar on"}
      onClick={() => launch(column, on && !state.next ? -1 : row)}>
      {title(clip)}
      <small>{clip.kind === "sound" ? `${clip.node}${clip.bars ? `, ${clip.bars} bars` : ""}` : clip.kind}</small>
    </button>
  );
}

/** What a place of the grid holds, as choices. */
function Choice({ place }: { place: number }) {
  const clip = grid.value[place] ?? null;
  const put = (text: string) => (grid.value = grid.value.map((one, at) => (at === place ? read(text) : one)));
  const bars = clip?.kind === "sound" ? clip.bars : 0;
  return (
    <span class="clip choice">
      <select
        aria-label={`Clip ${place + 1}`}
        value={written(clip)}
        onChange={(event) => put(event.currentTarget.value)}>
        <option value="">–</option>
        {clip && <option value={written(clip)}>{title(clip)}</option>}
        <optgroup label="Patterns">
          {Array.from({ length: SLOTS }, (_, one) => (
            <option key={one} value={`steps/${one}`}>
              Pattern {"ABCD"[one]}
            </option>
          ))}
        </optgroup>
        {Object.entries(kits.value).map(([node, names]) => (
          <optgroup key={node} label={node}>
            {names.map((name) => (
              <option key={name} value={`sound/${bars}/${node}/${name}`}>
                {name}
              </option>
            ))}
          </optgroup>
        ))}
        <optgroup label="Scenes">
          {(graph.value?.scenes ?? []).map((one) => (
            <option key={one} value={`scene/${one}`}>
              Scene {one}
            </option>
          ))}
        </optgroup>
        <optgroup label="Scripts">
          {sets.value.map((one) => (
            <option key={one.name} value={`script/${one.name}`}>
              {one.name}
            </option>
          ))}
        </optgroup>
      </select>
      {clip?.kind === "sound" && (
        <select
          aria-label={`Length of clip ${place + 1}`}
          value={String(bars)}
          onChange={(event) => put(written({ ...clip, bars: Number(event.currentTarget.value) }))}>
          {BARS.map((one) => (
            <option key={one} value={String(one)}>
              {one ? `${one} bar${one > 1 ? "s" : ""}` : "as it is"}
            </option>
          ))}
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
  const alone = columns.value[COLUMNS]!;
  const plays = alone.next ? alone.next.row === slot.value : alone.row === slot.value;
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
  if (!node) return <p class="soft">The patch has no node that takes notes.</p>;
  return (
    <>
      <h2>
        Steps
        {patterns.value.map((_, place) => (
          <button key={place} aria-pressed={slot.value === place} onClick={() => (slot.value = place)}>
            {"ABCD"[place]}
          </button>
        ))}
        <select
          aria-label="Which node plays the pattern"
          value={node}
          onChange={(event) => put({ node: event.currentTarget.value, rows: rowsFor(event.currentTarget.value) })}>
          {nodes.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
        <button
          aria-pressed={plays}
          title="By itself, from the next bar on"
          onClick={() => {
            put(now);
            launch(COLUMNS, plays ? -1 : slot.value);
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
