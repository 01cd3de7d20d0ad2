// The patch as a graph: nodes in columns from the input to the output, wires between them, a meter in each.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { show, shown } from "../audio";
import { type Graph, graph, loads, type Node, selected } from "../model";
import { Tools } from "./edit";
import { useMeters } from "./meters";

interface Place {
  column: number;
  row: number;
}

/** A column and a row for each node: no wire goes backwards where the patch has no cycle, and few cross. */
export function layout(patch: { nodes: { name: string }[]; wires: (readonly string[])[] }): Layout {
  const names = ["in", ...patch.nodes.map((one) => one.name).filter((name) => name !== "in" && name !== "out"), "out"];
  const order = new Map(names.map((name, place) => [name, place]));
  const wires = patch.wires
    .map(([from, to]) => [from!.split(".")[0]!, to!.split(".")[0]!] as const)
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
  const at = new Map(full.flatMap((one, place) => one.map((name) => [name, place] as const)));
  // a wire over several columns has a lane in each of them, so that it passes no node
  const routes = new Map<string, string[]>();
  const links: [string, string][] = [];
  for (const [from, to] of new Map(wires.map((wire) => [wire.join(" "), wire])).values()) {
    if (!at.has(from) || !at.has(to)) continue;
    const lanes: string[] = [];
    for (let place = at.get(from)! + 1; place < at.get(to)!; place++) {
      const lane = `${from} ${to} ${place}`;
      full[place]!.push(lane);
      lanes.push(lane);
    }
    routes.set(`${from} ${to}`, lanes);
    [from, ...lanes].forEach((end, place) => links.push([end, lanes[place] ?? to]));
  }
  const row = new Map<string, number>();
  const size = (name: string) => (name.includes(" ") ? LANE : 1);
  const height = Math.max(...full.map((one) => one.reduce((sum, name) => sum + size(name), 0)));
  for (let pass = 0; pass < 4; pass++) {
    // from left to right by what comes before, and back by what follows
    const back = pass % 2 === 1;
    for (const one of back ? [...full].reverse() : full) {
      const wanted = (name: string) => {
        const near = links.filter((link) => link[back ? 0 : 1] === name).map((link) => row.get(link[back ? 1 : 0]));
        const known = near.filter((other) => other !== undefined);
        return known.length
          ? known.reduce((sum, other) => sum + other, 0) / known.length
          : (row.get(name) ?? order.get(name) ?? 0);
      };
      const keys = new Map(one.map((name) => [name, wanted(name)]));
      one.sort((first, second) => keys.get(first)! - keys.get(second)!);
      let next = (height - one.reduce((sum, name) => sum + size(name), 0)) / 2;
      for (const name of one) {
        row.set(name, next + size(name) / 2);
        next += size(name);
      }
    }
  }
  const places = new Map<string, Place>();
  full.forEach((one, place) => one.forEach((name) => places.set(name, { column: place, row: row.get(name)! - 0.5 })));
  return { places, routes };
}

export interface Layout {
  /** Of nodes, and of the lanes of wires. */
  places: Map<string, Place>;
  /** The lanes of each wire, by `from to`. */
  routes: Map<string, string[]>;
}

const LANE = 0.35; // height of a wire's lane, of a node's
const WIDTH = 108;
const HEIGHT = 58;
const GAP_X = 30;
const GAP_Y = 18;
const EDGE = 12;
const LEAST_ZOOM = 0.5; // below it is scrolled

function kindOf(patch: Graph, from: string, to: string): string {
  const [name, port] = from.split(".");
  const source = patch.nodes.find((one) => one.name === name);
  const [dest, end] = to.split(".");
  const target = patch.nodes.find((one) => one.name === dest);
  if (!target?.inputs.some((port) => port.name === end) && target?.params.some((param) => param.name === end))
    return "control";
  return source?.outputs.find((one) => one.name === port)?.kind ?? "audio";
}

export function PatchGraph() {
  const patch = graph.value;
  const box = useRef<HTMLDivElement>(null);
  const down = useSignal(false);
  const room = useSignal({ width: 900, height: 400 });
  useMeters(box);
  useEffect(() => {
    const element = box.current!; // the observer may report once more after the room was left, when the ref is null
    const watch = new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = element;
      if (!element.isConnected) return;
      down.value = width < 480;
      room.value = { width, height };
    });
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  const { places, routes } = patch
    ? layout(patch)
    : { places: new Map<string, Place>(), routes: new Map<string, string[]>() };
  const at = (place: Place) =>
    down.value
      ? { x: EDGE + place.row * (WIDTH + GAP_Y), y: EDGE + place.column * (HEIGHT + 30) }
      : { x: EDGE + place.column * (WIDTH + GAP_X), y: EDGE + place.row * (HEIGHT + GAP_Y) };
  const all = [...places.values()].map(at);
  const width = Math.max(0, ...all.map((one) => one.x)) + WIDTH + EDGE;
  const height = Math.max(0, ...all.map((one) => one.y)) + HEIGHT + EDGE;
  const zoom = Math.max(LEAST_ZOOM, Math.min(1, room.value.width / width, room.value.height / height));
  const seen = useSignal({ left: 0, top: 0 });
  const out = [...places].filter(([name]) => !name.includes(" ")).map(([name, place]) => ({ name, ...at(place) }));
  const ends = { x: (seen.value.left + room.value.width) / zoom, y: (seen.value.top + room.value.height) / zoom };
  const hidden = out.filter(({ x, y }) => x + WIDTH > ends.x + EDGE || y + HEIGHT > ends.y + EDGE);
  return (
    <section class="patch-graph" data-view="Patch" aria-label="Patch">
      <Tools />
      <div
        class="canvas"
        ref={box}
        onScroll={({ currentTarget: { scrollLeft: left, scrollTop: top } }) => (seen.value = { left, top })}>
        {patch && (
          <div class="space" style={{ width: `${width}px`, height: `${height}px`, zoom: String(zoom) }}>
            <svg width={width} height={height} aria-hidden="true">
              {patch.wires.map(([from, to]) => {
                const [start, end] = [from.split(".")[0]!, to.split(".")[0]!];
                const path = [start, ...(routes.get(`${start} ${end}`) ?? []), end].map((name) => places.get(name));
                if (path.some((place) => !place)) return null;
                return (
                  <path
                    key={`${from} ${to}`}
                    class={kindOf(patch, from, to)}
                    d={curve(
                      path.map((place) => at(place!)),
                      down.value,
                    )}
                  />
                );
              })}
            </svg>
            {patch.nodes
              .filter((one) => places.has(one.name))
              .map((one) => (
                <Box key={one.name} node={one} {...at(places.get(one.name)!)} />
              ))}
          </div>
        )}
      </div>
      {hidden.length > 0 && (
        <button
          class="hidden-nodes"
          onClick={() =>
            box.current!.scrollTo(Math.max(...hidden.map((one) => one.x)), Math.max(...hidden.map((one) => one.y)))
          }>
          {hidden.length} more:{" "}
          {hidden
            .slice(0, 3)
            .map((one) => one.name)
            .join(", ")}
          {hidden.length > 3 ? " …" : ""}
        </button>
      )}
    </section>
  );
}

interface Point {
  x: number;
  y: number;
}

/** A path from box to box through the lanes between them; it is straight within a lane. */
function curve(path: Point[], down: boolean): string {
  let made = "";
  path.slice(1).forEach((b, place) => {
    const a = path[place]!;
    const [x, y, u, v] = down
      ? [a.x + WIDTH / 2, a.y + HEIGHT, b.x + WIDTH / 2, b.y]
      : [a.x + WIDTH, a.y + HEIGHT / 2, b.x, b.y + HEIGHT / 2];
    const bend = Math.max(12, Math.abs(down ? v - y : u - x) / 2);
    made += place ? `L${x} ${y}` : `M${x} ${y}`;
    made += down ? `C${x} ${y + bend} ${u} ${v - bend} ${u} ${v}` : `C${x + bend} ${y} ${u - bend} ${v} ${u} ${v}`;
  });
  return made;
}

function Box({ node, x, y }: { node: Node; x: number; y: number }) {
  const here = selected.value === node.name;
  const heard = shown.value?.node === node.name;
  const sounds = node.name === "in" || node.name === "out" || node.outputs.some((port) => port.kind !== "events");
  return (
    <div
      class={`node${here ? " here" : ""}${node.state !== "running" ? " bad" : ""}${sounds ? " sounds" : ""}`}
      style={{ transform: `translate(${x}px, ${y}px)`, width: `${WIDTH}px`, height: `${HEIGHT}px` }}>
      <button
        class="name"
        aria-pressed={here}
        title={`${node.type}: ${node.doc}${node.reason ? `\n${node.state}: ${node.reason}` : ""}`}
        onClick={() => (selected.value = node.name)}>
        <b dir="auto">{node.name}</b>
        <small>{node.state === "running" ? (node.type === node.name ? " " : node.type) : node.state}</small>
        <Load name={node.name} />
      </button>
      {sounds && (
        <button
          class="ear"
          aria-pressed={heard}
          aria-label={`Hear and see ${node.name}`}
          title="Hear and see this node"
          onClick={() => show(heard ? "out" : node.name)}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M3 6v4h2.5L9 13V3L5.5 6zM11 5.5a3.5 3.5 0 0 1 0 5M12.5 3.5a6 6 0 0 1 0 9" />
          </svg>
        </button>
      )}
      {sounds && (
        <i class="level" data-node={node.name} aria-hidden="true">
          <i />
        </i>
      )}
    </div>
  );
}

const SHOWN_LOAD = 0.0005; // of a block's time

/** The share of a block's time that a node takes. */
function Load({ name }: { name: string }) {
  const load = loads.value.get(name) ?? 0;
  if (load < SHOWN_LOAD) return null;
  const percent = 100 * load;
  return (
    <em class={load > 0.5 ? "share bad" : "share"} title="Share of the time there is that it takes">
      {percent.toFixed(percent < 10 ? 1 : 0)} %
    </em>
  );
}
