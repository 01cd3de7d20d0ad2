// The patch as a graph: nodes in columns from the input to the output, wires between them, a meter in each.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { show, shown } from "./audio";
import { Tools } from "./edit";
import { graph, meters, selected, type Graph, type Node } from "./model";

interface Place {
  column: number;
  row: number;
}

/** A column and a row for each node: no wire goes backwards where the patch has no cycle, and few cross. */
export function layout(patch: Graph): Map<string, Place> {
  const names = ["in", ...patch.nodes.map((one) => one.name).filter((name) => name !== "in" && name !== "out"), "out"];
  const order = new Map(names.map((name, place) => [name, place]));
  const wires = patch.wires
    .map(([from, to]) => [from.split(".")[0]!, to.split(".")[0]!] as const)
    .filter(([from, to]) => order.has(from) && order.has(to) && order.get(from)! < order.get(to)!);
  const used = new Set(patch.wires.flat().map((end) => end.split(".")[0]!));
  const column = new Map(names.map((name) => [name, 0]));
  for (const name of names) {
    for (const [from, to] of wires) if (from === name) column.set(to, Math.max(column.get(to)!, column.get(name)! + 1));
  }
  // a source stands right before what it feeds
  for (const name of [...names].reverse()) {
    const next = wires.filter(([from]) => from === name).map(([, to]) => column.get(to)!);
    if (next.length && !wires.some(([, to]) => to === name) && name !== "in") column.set(name, Math.min(...next) - 1);
  }
  if (!used.has("in")) names.splice(names.indexOf("in"), 1);
  column.set("out", Math.max(1, ...names.filter((name) => name !== "out").map((name) => column.get(name)! + 1)));
  const columns: string[][] = [];
  for (const name of names) (columns[column.get(name)!] ??= []).push(name);
  const full = columns.filter((one) => one?.length);
  const row = new Map<string, number>();
  const height = Math.max(...full.map((one) => one.length));
  full.forEach((one, place) => {
    const wanted = (name: string) => {
      const before = wires.filter(([, to]) => to === name).map(([from]) => row.get(from)).filter((at) => at !== undefined);
      return before.length ? before.reduce((sum, at) => sum + at!, 0) / before.length : order.get(name)!;
    };
    if (place) one.sort((a, b) => wanted(a) - wanted(b));
    one.forEach((name, at) => row.set(name, at + (height - one.length) / 2));
  });
  const places = new Map<string, Place>();
  full.forEach((one, place) => one.forEach((name) => places.set(name, { column: place, row: row.get(name)! })));
  return places;
}

const WIDTH = 108;
const HEIGHT = 58;
const GAP_X = 30;
const GAP_Y = 18;
const EDGE = 12;
const LEAST_ZOOM = 0.7; // below it is scrolled

function kindOf(patch: Graph, from: string, to: string): string {
  const [name, port] = from.split(".");
  const source = patch.nodes.find((one) => one.name === name);
  const [dest, end] = to.split(".");
  const target = patch.nodes.find((one) => one.name === dest);
  if (target?.params.some((param) => param.name === end)) return "control";
  return source?.outputs.find((one) => one.name === port)?.kind ?? "audio";
}

export function PatchGraph() {
  const patch = graph.value;
  const box = useRef<HTMLDivElement>(null);
  const down = useSignal(false);
  const room = useSignal({ width: 900, height: 400 });
  useMeters(box);
  useEffect(() => {
    const fit = () => {
      const { clientWidth: width, clientHeight: height } = box.current!;
      down.value = width < 620;
      room.value = { width, height };
    };
    const watch = new ResizeObserver(fit);
    if (box.current) watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const places = patch ? layout(patch) : new Map<string, Place>();
  const at = (place: Place) =>
    down.value
      ? { x: EDGE + place.row * (WIDTH + GAP_Y), y: EDGE + place.column * (HEIGHT + 30) }
      : { x: EDGE + place.column * (WIDTH + GAP_X), y: EDGE + place.row * (HEIGHT + GAP_Y) };
  const all = [...places.values()].map(at);
  const width = Math.max(0, ...all.map((one) => one.x)) + WIDTH + EDGE;
  const height = Math.max(0, ...all.map((one) => one.y)) + HEIGHT + EDGE;
  const zoom = Math.max(LEAST_ZOOM, Math.min(1, room.value.width / width, Math.max(0.8, room.value.height / height)));
  return (
    <section class="patch-graph" data-view="Patch" aria-label="Patch">
      <Tools />
      <div class="canvas" ref={box}>
        {patch && (
          <div class="space" style={{ width: `${width}px`, height: `${height}px`, zoom: String(zoom) }}>
            <svg width={width} height={height} aria-hidden="true">
              {patch.wires.map(([from, to]) => {
                const a = places.get(from.split(".")[0]!);
                const b = places.get(to.split(".")[0]!);
                return a && b && <path key={`${from} ${to}`} class={kindOf(patch, from, to)} d={curve(at(a), at(b), down.value)} />;
              })}
            </svg>
            {patch.nodes.filter((one) => places.has(one.name)).map((one) => (
              <Box key={one.name} node={one} {...at(places.get(one.name)!)} />
            ))}
          </div>
        )}
      </div>
    </section>
  );
}

function curve(a: { x: number; y: number }, b: { x: number; y: number }, down: boolean): string {
  if (down) {
    const [x, y, u, v] = [a.x + WIDTH / 2, a.y + HEIGHT, b.x + WIDTH / 2, b.y];
    const bend = Math.max(16, Math.abs(v - y) / 2);
    return `M${x} ${y}C${x} ${y + bend} ${u} ${v - bend} ${u} ${v}`;
  }
  const [x, y, u, v] = [a.x + WIDTH, a.y + HEIGHT / 2, b.x, b.y + HEIGHT / 2];
  const bend = Math.max(24, Math.abs(u - x) / 2);
  return `M${x} ${y}C${x + bend} ${y} ${u - bend} ${v} ${u} ${v}`;
}

function Box({ node, x, y }: { node: Node; x: number; y: number }) {
  const here = selected.value === node.name;
  const heard = shown.value?.node === node.name;
  const sounds = node.name === "in" || node.name === "out" || node.outputs.some((port) => port.kind !== "events");
  return (
    <div
      class={`node${here ? " here" : ""}${node.state !== "running" ? " bad" : ""}${sounds ? " sounds" : ""}`}
      style={{ transform: `translate(${x}px, ${y}px)`, width: `${WIDTH}px`, height: `${HEIGHT}px` }}
    >
      <button
        class="name"
        aria-pressed={here}
        title={`${node.type}: ${node.doc}${node.reason ? `\n${node.state}: ${node.reason}` : ""}`}
        onClick={() => (selected.value = node.name)}
      >
        <b>{node.name}</b>
        <small>{node.state === "running" ? (node.type === node.name ? " " : node.type) : node.state}</small>
      </button>
      {sounds && (
        <button class="ear" aria-pressed={heard} aria-label={`Hear and see ${node.name}`} title="Hear and see this node"
          onClick={() => show(heard ? "out" : node.name)}>
          <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 6v4h2.5L9 13V3L5.5 6zM11 5.5a3.5 3.5 0 0 1 0 5M12.5 3.5a6 6 0 0 1 0 9" /></svg>
        </button>
      )}
      {sounds && <i class="level" data-node={node.name} aria-hidden="true"><i /></i>}
    </div>
  );
}

const FALL_DB = 24; // a second
const FLOOR_DB = -60;

/** Moves the meters once a frame: up at once, down slowly, without asking Preact. */
function useMeters(box: { current: HTMLDivElement | null }): void {
  useEffect(() => {
    const levels = new Map<string, number>();
    let frame = 0;
    let last = performance.now();
    const draw = (now: number) => {
      const fall = (FALL_DB * (now - last)) / 1000;
      last = now;
      for (const bar of box.current?.querySelectorAll<HTMLElement>(".level") ?? []) {
        const name = bar.dataset.node!;
        const meter = meters.get(name);
        const peak = meter ? 20 * Math.log10(Math.max(meter.peak, 1e-4)) : FLOOR_DB;
        const before = levels.get(name) ?? FLOOR_DB;
        const level = Math.max(FLOOR_DB, peak, before - fall);
        if (level !== before || !levels.has(name)) {
          levels.set(name, level);
          (bar.firstChild as HTMLElement).style.transform = `scaleX(${(level - FLOOR_DB) / -FLOOR_DB})`;
          bar.toggleAttribute("data-hot", level > -3);
        }
      }
      frame = requestAnimationFrame(draw);
    };
    frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, []);
}
