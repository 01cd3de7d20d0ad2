// The patch is edited: nodes added, moved and removed, wires made and cut, undone, and saved as a patch of one's own.

import { signal, useSignal } from "@preact/signals";
import type { Plugin } from "../api";
import { ask, send } from "../link";
import { graph, type Node, node, type Port, say, selected, status } from "../model";
import { Options } from "../options";

const types = signal<Plugin[]>([]);
const adding = signal(false);
/** The other pairs of output channels, and the cue. */
const BUSES = [3, 5, 7, 9, 11, 13, 15].map((first) => `out.${first}-${first + 1}`).concat("out.cue");
const ENDS = new Set(["in", "out"]);

async function openAdding(): Promise<void> {
  adding.value = !adding.value;
  if (adding.value) types.value = (await ask("/api/plugins")) ?? [];
}

/** A name for a new node of a type that no node has: echo, echo2, echo3. */
export function freeName(type: string): string {
  const taken = new Set(graph.value?.nodes.map((one) => one.name));
  const reserved = new Set(["add", "remove", "move", "connect", "disconnect", "list", "in", "out"]);
  for (let number = 1; ; number++) {
    const name = number > 1 || reserved.has(type) ? `${type}${number}` : type;
    if (!taken.has(name)) return name;
  }
}

function add(type: string): void {
  const name = freeName(type);
  const after = selected.value === "out" ? [] : [selected.value || "in"];
  send("/node/add", type, name, ...after);
  adding.value = false;
  // it is chosen once the new plan plays and the graph is read again
  const chosen = graph.subscribe((now) => {
    if (now?.nodes.some((one) => one.name === name)) {
      selected.value = name;
      queueMicrotask(() => chosen());
    }
  });
}

function save(): void {
  const name = prompt("Save the patch as", graph.value?.patch.toLowerCase() ?? "");
  if (name) {
    send("/patch/save", name);
    say(`The patch is saved as ${name}, unless a message here says why not.`, false);
  }
}

export function Tools() {
  const search = useSignal("");
  const found = types.value.filter((one) =>
    `${one.name} ${one.doc}`.toLowerCase().includes(search.value.toLowerCase()),
  );
  return (
    <div class="tools">
      <span class="group">
        <button aria-expanded={adding.value} onClick={() => void openAdding()}>
          Add…
        </button>
        <button onClick={() => send("/patch/undo")}>Undo</button>
        <button onClick={() => send("/patch/redo")}>Redo</button>
        <button onClick={save}>Save…</button>
      </span>
      {status.value.hint && <small class="hint">{String(status.value.hint)}</small>}
      {adding.value && (
        <div
          class="types"
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              adding.value = false;
              event.stopPropagation();
            }
          }}>
          <input
            aria-label="Search what can be added"
            placeholder={selected.value === "out" ? "Search" : `Search; it comes after ${selected.value}`}
            ref={(field) => field?.focus()}
            value={search.value}
            onInput={(event) => (search.value = event.currentTarget.value)}
            onKeyDown={(event) => event.key === "Enter" && found[0] && add(found[0].name)}
          />
          <ul>
            {found.map((one) => (
              <li key={one.name}>
                <button onClick={() => add(one.name)}>
                  <b>{one.name}</b> <small>{one.doc}</small>
                </button>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

function fits(from: Port["kind"], to: Port["kind"]): boolean {
  return from === to;
}

/** What an output of a node can be wired to: ports of its kind, and parameters where it is a control signal. */
function targets(source: Node): [string, string][] {
  const all: [string, string][] = [];
  const outputs: Port[] = source.name === "in" ? [{ name: "in", kind: "audio", midi: 0 }] : source.outputs;
  for (const output of outputs) {
    const from = source.name === "in" ? "in" : `${source.name}.${output.name}`;
    for (const one of graph.value?.nodes ?? []) {
      if (one.name === source.name || one.name === "in") continue;
      if (one.name === "out") {
        if (output.kind === "audio") for (const to of ["out", ...BUSES]) all.push([from, to]);
        continue;
      }
      for (const input of one.inputs) if (fits(output.kind, input.kind)) all.push([from, `${one.name}.${input.name}`]);
      if (output.kind === "control") {
        for (const param of one.params) {
          if (param.kind === "float" && !param.readonly && !param.restart)
            all.push([from, `${one.name}.${param.name}`]);
        }
      }
    }
  }
  return all;
}

function plain(end: string): string {
  return /^(in|out)\.\1$/.test(end) ? end.split(".")[0]! : end;
}

/** The wires of the chosen node, and what can be done with the node itself. */
export function Wires() {
  const here = node.value;
  if (!here) return null;
  const wires = graph.value?.wires.filter((wire) => wire.some((end) => end.split(".")[0] === here.name)) ?? [];
  const taken = new Set(wires.map(([from, to]) => `${plain(from)} ${plain(to)}`));
  const free = here.name === "out" ? [] : targets(here).filter(([from, to]) => !taken.has(`${from} ${to}`));
  const others = graph.value?.nodes.filter((one) => one.name !== here.name && one.name !== "out") ?? [];
  return (
    <div class="wires">
      <h2>Wires</h2>
      <ul>
        {wires.map(([from, to]) => (
          <li key={`${from} ${to}`}>
            <span>
              {plain(from)} → {plain(to)}
            </span>
            <button
              aria-label={`Cut the wire from ${plain(from)} to ${plain(to)}`}
              onClick={() => send("/node/disconnect", plain(from), plain(to))}>
              Cut
            </button>
          </li>
        ))}
      </ul>
      {free.length > 0 && (
        <select
          aria-label={`Wire ${here.name} to`}
          value=""
          onChange={(event) => {
            const [from, to] = event.currentTarget.value.split(" ");
            event.currentTarget.value = "";
            if (from && to) send("/node/connect", from, to);
          }}>
          <option value="">Wire it to…</option>
          <Options of={free.map(([from, to]) => [`${from} ${to}`, `${from} → ${to}`])} />
        </select>
      )}
      {!ENDS.has(here.name) && (
        <span class="group">
          <select
            aria-label={`Move ${here.name} behind`}
            value=""
            onChange={(event) => {
              const after = event.currentTarget.value;
              event.currentTarget.value = "";
              if (after) send("/node/move", here.name, after);
            }}>
            <option value="">Move behind…</option>
            <Options of={others.map((one) => one.name)} />
          </select>
          <button onClick={() => send(`/node/${here.name}/reset`)}>Reset</button>
          <button onClick={() => send("/node/remove", here.name)}>Remove</button>
        </span>
      )}
    </div>
  );
}
