// A strip for each node that makes sound, for the input and the output; and the capture of what they played last.

import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { send, set } from "../link";
import { bpm, type Graph, graph, type Node, type Param, selected, value } from "../model";
import { Options } from "../options";
import { Field } from "./controls";
import { Learn, Mapped, oscOf } from "./learn";
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

/** The sends of a node: gains that what comes from it passes beside another way on, as to an echo or a room. */
export function sends(patch: Graph, name: string): Node[] {
  const ways = (from: string) =>
    patch.wires.filter(([end]) => end.split(".")[0] === from).map(([, end]) => end.split(".")[0]!);
  const found = new Set<string>();
  const passed = new Set([name]);
  for (const one of passed) {
    const next = ways(one);
    for (const to of next) {
      const gain = patch.nodes.find((node) => node.name === to)?.type === "gain";
      if (gain && next.length > 1) found.add(to);
      else passed.add(to);
    }
  }
  return patch.nodes.filter((one) => found.has(one.name));
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
        <button title="F9: keeps what sounded last, as a file in the library's folder captures" onClick={capture}>
          Capture
        </button>
        <select
          aria-label="Bars that are captured"
          value={String(bars.value)}
          onChange={(event) => (bars.value = Number(event.currentTarget.value))}>
          <Options
            of={BARS.map((one) => [
              String(one),
              `last ${one === 1 ? "bar" : `${one} bars`}, ${Math.round((one * 240) / bpm.value)} s`,
            ])}
          />
        </select>
        <small>of {kept}</small>
        <Learn address={pressed} name="this capture" />
        <Mapped address={pressed} name="this capture" />
      </span>
    </div>
  );
}

/** The strip of the output alone. */
export function Output() {
  const box = useRef<HTMLDivElement>(null);
  useMeters(box);
  const out = graph.value?.nodes.find((one) => one.name === "out");
  return <div ref={box}>{out && <Strip node={out} all={[]} />}</div>;
}

function Fader({ node, param }: { node: Node; param: Param }) {
  const address = `/node/${node.name}/${param.name}`;
  return (
    <Field
      param={param}
      osc={oscOf(node.name, param)}
      now={value(address).value}
      change={(next) => set(address, next)}
      fire={() => {}}
    />
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
      <button
        class="name"
        dir="auto"
        aria-pressed={selected.value === node.name}
        onClick={() => (selected.value = node.name)}>
        {node.name}
      </button>
      <button
        aria-label={`Mute ${node.name}`}
        title="Mute"
        aria-pressed={silent}
        onClick={() => set(mute(node.name), !silent)}>
        M
      </button>
      {node.name !== "out" && (
        <>
          <button
            aria-label={`${node.name} alone`}
            title="Solo"
            aria-pressed={alone}
            onClick={() => setSolo(node.name, all)}>
            S
          </button>
          <button
            aria-label={`Cue ${node.name}`}
            title="Cue: heard in the headphones alone, also while it is muted"
            aria-pressed={cued(node.name)}
            onClick={() => send(cued(node.name) ? "/node/disconnect" : "/node/connect", node.name, CUE)}>
            C
          </button>
        </>
      )}
      <span class="level" data-node={node.name} aria-hidden="true">
        <i />
      </span>
      {[level, pan].map((param) => param && <Fader key={param.name} node={node} param={param} />)}
      {sends(graph.value!, node.name).map((one) => (
        <span key={one.name} class="send">
          <small>{one.name}</small>
          <Fader node={one} param={one.params.find(({ name }) => name === "gain")!} />
        </span>
      ))}
    </div>
  );
}
