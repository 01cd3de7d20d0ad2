// A control for each parameter of the selected node, made from its declaration.

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { send, set } from "../link";
import { type Declared, graph, macros, type Node, node, type Param, selected, type Value, value } from "../model";
import { Options } from "../options";
import { Wires } from "./edit";
import { Learn, Mapped, oscOf } from "./learn";
import { fromPlace, fromShown, shownOf, shownUnit, toPlace, written } from "./scale";

const HOST = new Set(["bypass", "mute", "wet"]);

/** The patch's macros, where it has some. */
export function Macros() {
  if (!macros.value.length) return null;
  return (
    <div class="params macros" role="group" aria-label="Macros">
      {macros.value.map((param) => (
        <Control key={param.name} node="macro" param={param} />
      ))}
    </div>
  );
}

export function Controls() {
  const one = node.value;
  return (
    <section class="controls" data-view="Controls" aria-label="Controls">
      <Macros />
      <div class="chips" role="group" aria-label="Nodes">
        {graph.value?.nodes.map((other) => (
          <button
            key={other.name}
            aria-pressed={selected.value === other.name}
            onClick={() => (selected.value = other.name)}>
            {other.name}
          </button>
        ))}
      </div>
      {one && <NodeControls key={one.name} node={one} />}
      <Wires />
    </section>
  );
}

function NodeControls({ node }: { node: Node }) {
  const host = node.params.filter((param) => HOST.has(param.name));
  const own = node.params.filter((param) => !HOST.has(param.name));
  return (
    <>
      <div class="title">
        <h2>{node.name}</h2>
        <p>
          {node.type !== node.name && <b>{node.type}. </b>}
          {node.doc}
        </p>
        {node.reason && (
          <p class="bad">
            {node.state}: {node.reason}
          </p>
        )}
      </div>
      <div class="params">
        {[...own.filter((param) => !param.readonly), ...host, ...own.filter((param) => param.readonly)].map((param) => (
          <Control key={param.name} node={node.name} param={param} />
        ))}
      </div>
    </>
  );
}

export function Control({ node, param }: { node: string; param: Param }) {
  const address = `/node/${node}/${param.name}`;
  const named = param.label ?? param.name;
  const osc = oscOf(node, param);
  const learns = !param.readonly && !["text", "file"].includes(param.kind);
  return (
    <div class="control">
      <span class="label" title={`${param.doc} OSC: ${osc}`}>
        {named}
      </span>
      <Field
        param={{ ...param, name: named }}
        osc={osc}
        now={value(address).value}
        change={(next) => set(address, next)}
        fire={() => send(address, 1)}
      />
      {learns ? <Learn address={address} name={named} /> : <span />}
      <Mapped address={address} name={named} osc={osc} />
      <small class="doc" title={param.doc}>
        {param.doc}
        {param.restart ? " A short gap when changed." : ""}
      </small>
    </div>
  );
}

interface Shown {
  param: Declared;
  /** The address by OSC, where it has one. */
  osc?: string;
  now: Value;
  change: (next: Value) => void;
}

/** The control of a parameter: it shows `now`, and calls `change` with what is set, `fire` where a trigger is pressed. */
export function Field({ param, now, change, fire, osc }: Shown & { fire: () => void }) {
  if (param.readonly) return <output>{param.kind === "switch" ? (now ? "on" : "off") : written(param, now)}</output>;
  switch (param.kind) {
    case "float":
    case "int":
      return <Slider param={param} now={now} change={change} osc={osc} />;
    case "switch":
      return (
        <button
          class="switch"
          role="switch"
          aria-checked={Boolean(now)}
          aria-label={param.name}
          onClick={() => change(!now)}>
          <i />
        </button>
      );
    case "choice":
      return (
        <select
          aria-label={param.name}
          value={String(now ?? "")}
          onChange={(event) => change(event.currentTarget.value)}>
          <Options of={param.choices} />
        </select>
      );
    case "trigger":
      return (
        <button class="trigger" onClick={fire}>
          {param.name}
        </button>
      );
    default:
      return (
        <input
          class="text"
          aria-label={param.name}
          value={String(now ?? "")}
          spellcheck={false}
          onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
          onBlur={(event) => event.currentTarget.value !== String(now ?? "") && change(event.currentTarget.value)}
        />
      );
  }
}

function Slider({ param, now: given, change, osc }: Shown) {
  const now = Number(given ?? param.default);
  const typed = useSignal(false);
  const bar = useRef<HTMLDivElement>(null);
  const from = useRef<{ x: number; place: number } | null>(null);
  const place = toPlace(param, now);
  const steps = param.kind === "int" ? param.high - param.low : 100;
  const zero = param.low < 0 && param.high > 0 && -param.low < 2 * param.high ? toPlace(param, 0) : 0;

  const move = (event: PointerEvent) => {
    if (!from.current || !bar.current) return;
    const scale = event.shiftKey ? 0.1 : 1;
    const moved = ((event.clientX - from.current.x) / bar.current.clientWidth) * scale;
    from.current = { x: event.clientX, place: Math.min(1, Math.max(0, from.current.place + moved)) };
    const next = fromPlace(param, from.current.place);
    if (next !== now) change(next);
  };
  const pressed = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (by !== undefined) {
      const step = ((event.shiftKey && param.kind === "float" ? 0.1 : 1) / Math.min(steps, 100)) * by;
      const next =
        param.kind === "int" ? Math.min(param.high, Math.max(param.low, now + by)) : fromPlace(param, place + step);
      change(next);
    } else if (event.key === "Home") change(param.low);
    else if (event.key === "End") change(param.high);
    else if (event.key === "Delete" || event.key === "Backspace") change(param.default);
    else if (event.key === "Enter" || /^[0-9.-]$/.test(event.key)) typed.value = true;
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  if (typed.value)
    return (
      <Typed
        param={param}
        now={now}
        done={(next) => {
          typed.value = false;
          if (next !== null) change(next);
        }}
      />
    );
  return (
    <div
      ref={bar}
      class="slider"
      role="slider"
      tabIndex={0}
      aria-label={param.name}
      aria-valuemin={param.low}
      aria-valuemax={param.high}
      aria-valuenow={now}
      aria-valuetext={written(param, now)}
      title={`Drag, or double-click to type. Shift is finer, Delete the default.${osc ? ` OSC: ${osc}` : ""}`}
      onPointerDown={(event) => {
        if (event.button) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        from.current = { x: event.clientX, place };
      }}
      onPointerMove={move}
      onPointerUp={() => (from.current = null)}
      onPointerCancel={() => (from.current = null)}
      onDblClick={() => (typed.value = true)}
      onKeyDown={pressed}>
      <i class="bar" style={{ left: `${Math.min(zero, place) * 100}%`, width: `${Math.abs(place - zero) * 100}%` }} />
      <i class="thumb" style={{ left: `${place * 100}%` }} />
      <span>{written(param, now)}</span>
    </div>
  );
}

function Typed({ param, now, done }: { param: Declared; now: number; done: (next: number | null) => void }) {
  const ended = useRef(false);
  const end = (next: number | null) => {
    if (ended.current) return;
    ended.current = true;
    done(next !== null && Number.isFinite(next) ? fromShown(param, next) : null);
  };
  return (
    <input
      class="text"
      inputMode="decimal"
      aria-label={`${param.name}, ${shownOf(param, param.low)} to ${shownOf(param, param.high)} ${shownUnit(param)}`}
      ref={(field) => {
        if (field && document.activeElement !== field) {
          field.focus();
          field.select();
        }
      }}
      defaultValue={String(shownOf(param, now))}
      onKeyDown={(event) => {
        if (event.key === "Enter") end(Number(event.currentTarget.value.replace(",", ".")));
        if (event.key === "Escape") end(null);
      }}
      onBlur={(event) =>
        end(event.currentTarget.value.trim() === "" ? null : Number(event.currentTarget.value.replace(",", ".")))
      }
    />
  );
}
