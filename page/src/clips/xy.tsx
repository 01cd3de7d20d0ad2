// A pad whose two directions move two parameters.
import { computed, effect, signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { fromPlace, toPlace, written } from "../instrument/scale";
import { set } from "../link";
import { graph, macros, type Param, value } from "../model";
import { Options } from "../options";

const STEP = 0.02; // of the range, by an arrow key
const KEY = "xy";
const NONE = new Set(["bypass", "mute"]);

/** The parameters that a pad can move, by `node.param`. */
export const movable = computed(() => {
  const all = new Map<string, { address: string; param: Param }>();
  for (const param of macros.value) all.set(`macro.${param.name}`, { address: `/node/macro/${param.name}`, param });
  for (const node of graph.value?.nodes ?? [])
    for (const param of node.params)
      if (param.kind === "float" && !param.readonly && !param.restart && !NONE.has(param.name))
        all.set(`${node.name}.${param.name}`, { address: `/node/${node.name}/${param.name}`, param });
  return all;
});
const chosen = signal<[string, string]>(["", ""]);
try {
  const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
  if (Array.isArray(kept)) chosen.value = [String(kept[0] ?? ""), String(kept[1] ?? "")];
} catch {
  localStorage.removeItem(KEY);
}
effect(() => localStorage.setItem(KEY, JSON.stringify(chosen.value)));

const LIKELY = ["x", "y", "cutoff", "brightness", "tone", "feedback", "mix", "depth", "size", "gain", "level"];

/** The two parameters: those that were chosen where the patch has them, else macros, a map's place, or what changes the sound. */
function axes(): [string, string] {
  const names = [...movable.value.keys()];
  const likely = [
    ...names.filter((one) => one.startsWith("macro.")),
    ...LIKELY.flatMap((end) => names.filter((one) => one.endsWith(`.${end}`))),
    ...names,
  ];
  const first = movable.value.has(chosen.value[0]) ? chosen.value[0] : (likely[0] ?? "");
  const second = movable.value.has(chosen.value[1]) ? chosen.value[1] : (likely.find((one) => one !== first) ?? "");
  return [first, second];
}

/** What a parameter is called on the page: a macro's label, else its node and name. */
function label(name: string): string {
  const { param } = movable.value.get(name)!;
  return param.label ?? name.replace(".", " ");
}

export function XY() {
  const held = useRef(new Set<number>());
  const names = axes();
  const ends = names.map((name) => movable.value.get(name));
  const [x, y] = ends;
  if (!x || !y) return null;
  const now = [x, y].map(({ address, param }) => Number(value(address).value ?? param.default));
  const places = [toPlace(x.param, now[0]!), toPlace(y.param, now[1]!)];
  const move = (px: number, py: number) => {
    set(x.address, fromPlace(x.param, px));
    set(y.address, fromPlace(y.param, py));
  };
  const under = (event: PointerEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    move((event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height);
  };
  const [right, up] = [label(names[0]), label(names[1])];
  const said = `${right} ${written(x.param, now[0])}, ${up} ${written(y.param, now[1])}`;
  return (
    <div class="xy">
      <div class="group">
        {names.map((name, axis) => (
          <label key={axis}>
            <small>{axis ? "up" : "right"}</small>
            <select
              aria-label={axis ? "Parameter upwards" : "Parameter to the right"}
              value={name}
              onChange={(event) => {
                const next: [string, string] = [names[0], names[1]];
                next[axis] = event.currentTarget.value;
                chosen.value = next;
              }}>
              <Options of={[...movable.value.keys()].map((one) => [one, label(one)])} />
            </select>
          </label>
        ))}
      </div>
      <div
        class="xy-pad"
        role="slider"
        tabIndex={0}
        aria-label={`${right} and ${up}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(100 * places[0]!)}
        aria-valuetext={said}
        onPointerDown={(event) => {
          if (event.button) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          held.current.add(event.pointerId);
          under(event);
        }}
        onPointerMove={(event) => held.current.has(event.pointerId) && under(event)}
        onPointerUp={(event) => held.current.delete(event.pointerId)}
        onPointerCancel={(event) => held.current.delete(event.pointerId)}
        onKeyDown={(event) => {
          const by = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
          if (!by) return;
          event.preventDefault();
          event.stopPropagation();
          move(places[0]! + STEP * by[0]!, places[1]! + STEP * by[1]!);
        }}>
        <i class="line-x" style={{ left: `${100 * places[0]!}%` }} />
        <i class="line-y" style={{ bottom: `${100 * places[1]!}%` }} />
        <i class="dot" style={{ left: `${100 * places[0]!}%`, bottom: `${100 * places[1]!}%` }} />
        <span style={places[1]! > 0.5 ? { bottom: ".4rem" } : { top: ".4rem" }}>{said}</span>
      </div>
    </div>
  );
}
