// A strip for each node that makes sound, for the input and the output; and the capture of what they played last.
import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { send, set } from "../link";
import { graph, type Node, type Param, selected, value } from "../model";
import { Field } from "./controls";
import { Learn, Mapped } from "./learn";
import { useMeters } from "./meters";

const LEVELS = ["level", "gain"];
const PANS = ["pan", "place"];
const BARS = [1, 2, 4, 8, 16];
const bars = signal(4);
/** The node that sounds alone, and what was muted before. */
const solo = signal<{ name: string; muted: Set<string> } | null>(null);

const mute = (name: string) => `/node/${name}/mute`;

/** The nodes with a strip: what makes sound of no other sound, and the server's own ends. */
function strips(nodes: Node[]): Node[] {
  const audio = (ports: Node["inputs"]) => ports.some((port) => port.kind === "audio");
  return nodes.filter((one) => one.name === "in" || one.name === "out" || (audio(one.outputs) && !audio(one.inputs)));
}

function setSolo(name: string, all: Node[]): void {
  const tracks = all.filter((one) => one.name !== "out").map((one) => one.name);
  const muted = solo.value?.muted ?? new Set(tracks.filter((one) => value(mute(one)).value));
  const again = solo.value?.name === name;
  for (const one of tracks) set(mute(one), again ? muted.has(one) : one !== name);
  solo.value = again ? null : { name, muted };
}

const CUE = "out.cue";

/** Whether the player listens to a node before it is in the mix; this is a wire of the patch. */
function cued(name: string): boolean {
  return !!graph.value?.wires.some(([from, to]) => to === CUE && from.split(".")[0] === name);
}

/** Keeps the last bars of the node that is chosen, else of the output. */
export function capture(): void {
  send(
    "/capture",
    bars.value,
    strips(graph.value?.nodes ?? []).some((one) => one.name === selected.value) ? selected.value : "out",
  );
}

export function Mixer() {
  const box = useRef<HTMLDivElement>(null);
  useMeters(box);
  const all = strips(graph.value?.nodes ?? []);
  const kept = all.some((one) => one.name === selected.value) ? selected.value : "out";
  const pressed = `/capture ${bars.value} ${kept}`;
  return (
    <div class="mixer" ref={box}>
      <h2>Mixer</h2>
      {all.map((one) => (
        <Strip key={one.name} node={one} all={all} />
      ))}
      <span class="group">
        <button title="F9: writes what sounded into the library's folder captures" onClick={capture}>
          Capture
        </button>
        <select
          aria-label="Bars that are captured"
          value={String(bars.value)}
          onChange={(event) => (bars.value = Number(event.currentTarget.value))}>
          {BARS.map((one) => (
            <option key={one} value={String(one)}>
              {one === 1 ? "the last bar" : `the last ${one} bars`}
            </option>
          ))}
        </select>
        <small>of {kept}</small>
        <Learn address={pressed} name="this capture" />
        <Mapped address={pressed} name="this capture" />
      </span>
    </div>
  );
}

function Strip({ node, all }: { node: Node; all: Node[] }) {
  const named = (names: string[]): Param | undefined =>
    names.map((name) => node.params.find((one) => one.name === name && !one.readonly)).find(Boolean);
  const [level, pan] = [named(LEVELS), named(PANS)];
  const silent = Boolean(value(mute(node.name)).value);
  const alone = solo.value?.name === node.name;
  return (
    <div class="strip" role="group" aria-label={node.name}>
      <button class="name" aria-pressed={selected.value === node.name} onClick={() => (selected.value = node.name)}>
        {node.name}
      </button>
      <button aria-label={`Mute ${node.name}`} aria-pressed={silent} onClick={() => set(mute(node.name), !silent)}>
        M
      </button>
      {node.name !== "out" && (
        <>
          <button aria-label={`${node.name} alone`} aria-pressed={alone} onClick={() => setSolo(node.name, all)}>
            S
          </button>
          <button
            aria-label={`Cue ${node.name}`}
            title="Cue: in the headphones alone, before its mute"
            aria-pressed={cued(node.name)}
            onClick={() => send(cued(node.name) ? "/node/disconnect" : "/node/connect", node.name, CUE)}>
            C
          </button>
        </>
      )}
      <span class="level" data-node={node.name} aria-hidden="true">
        <i />
      </span>
      {[level, pan].map(
        (param) =>
          param && (
            <Field
              key={param.name}
              param={param}
              now={value(`/node/${node.name}/${param.name}`).value}
              change={(next) => set(`/node/${node.name}/${param.name}`, next)}
              fire={() => {}}
            />
          ),
      )}
    </div>
  );
}
