// What is run: a plugin, a patch or a live set, its parameters as controls made from the declarations.

import { computed, signal } from "@preact/signals";
import { Field } from "../instrument/controls";
import type { Declared, Value } from "../model";
import { Options } from "../options";
import { type Entry, files, isNotes, KNOWING, type Plugin, patches, plugins, run, sets, sources } from "./state";

const KINDS = ["Tool", "Patch", "Script"] as const;
const kind = signal<(typeof KINDS)[number]>("Tool");
const names = signal<Record<string, string>>({ Tool: "denoise", Patch: "demo", Script: "bells" });
/** What was set, by plugin and parameter; what is missing has its default. */
const given = signal<Record<string, Record<string, Value | { file: string }>>>({});
const format = signal("");
const seconds = signal("");
const bars = signal("");
const midi = signal(false);
const apart = signal(true);
const problem = signal("");
const busy = signal(false);

const HOST = new Set(["bypass", "mute"]);
const MOST = 5; // parameters in sight
const MOST_LETTERS = 60; // of what stands behind a name
const FORMATS = ["wav", "flac", "ogg", "mp3"];

const fits = (plugin: Plugin) => {
  const has = (ports: { kind: string }[], wanted: string) => ports.some((port) => port.kind === wanted);
  const notes = sources.value.some((one) => isNotes(one.name));
  const sound = sources.value.some((one) => !isNotes(one.name));
  const gives = has(plugin.outputs, "audio") || has(plugin.outputs, "events");
  const takesSound = has(plugin.inputs, "audio");
  const takesNotes = has(plugin.inputs, "events");
  return gives && (takesSound || takesNotes) && (!notes || takesNotes) && (!sound || takesSound);
};
/** Plugins by what one wants of a sound; those without a place here change it. */
const WANTS: [title: string, names: string[]][] = [
  ["Clean it", ["denoise", "gate"]],
  ["Take it apart", ["stems"]],
  ["Its notes", ["hum"]],
  ["Know it", ["listen", "classify", "identify", "tuner", "meter", "follow"]],
];
const PLACED = new Set(WANTS.flatMap(([, names]) => names));
const offered = computed<{ name: string; line: string; bars?: number }[]>(() => {
  if (kind.value === "Tool") return plugins.value.filter(fits).map(({ name, doc }) => ({ name, line: doc }));
  return kind.value === "Patch" ? patches.value : sets.value;
});
/** A name and what it does, in as many words as stand beside it in the list. */
function titled(name: string, line: string): string {
  const [head = "", ...rest] = line.replace(/\.$/, "").split(": ");
  const said = head.toLowerCase() === name ? rest.join(": ") : head;
  const cut = said.lastIndexOf(" ", MOST_LETTERS);
  const short = said.length > MOST_LETTERS ? `${said.slice(0, cut).replace(/[,;.]$/, "")}…` : said;
  return short ? `${name} – ${short[0]!.toLowerCase()}${short.slice(1)}` : name;
}

function Listed({ of }: { of: { name: string; line: string }[] }) {
  return <Options of={of.map((one) => [one.name, titled(one.name, one.line)] as const)} />;
}

const picked = computed(() => offered.value.find((one) => one.name === names.value[kind.value]) ?? offered.value[0]);
const plugin = computed(() =>
  kind.value === "Tool" ? plugins.value.find((one) => one.name === picked.value?.name) : undefined,
);
const givesSound = computed(() => !plugin.value || plugin.value.outputs.some((port) => port.kind === "audio"));

/** Has tempo, key and chords of what is chosen heard, at once. */
async function know(): Promise<void> {
  problem.value = "";
  busy.value = true;
  for (const { id } of sources.value)
    if (!(await run(`/api/run/${KNOWING}`, { file: id, analysis: true }, (why) => (problem.value = why)))) break;
  busy.value = false;
}

async function start(): Promise<void> {
  const name = picked.value?.name;
  if (!name || busy.value) return;
  problem.value = "";
  busy.value = true;
  const place = encodeURIComponent(name);
  const path = {
    Tool: `/api/run/${place}`,
    Patch: `/api/render/${place}`,
    Script: `/api/live/sets/${place}/render`,
  }[kind.value];
  const each: (string | undefined)[] = sources.value.length ? sources.value.map((one) => one.id) : [undefined];
  for (const file of each) {
    const body: Record<string, unknown> = { ...(file ? { file } : {}) };
    if (format.value && givesSound.value) body.format = format.value;
    if (kind.value === "Tool") body.params = given.value[name] ?? {};
    if (kind.value === "Tool" && name === KNOWING) body.analysis = true;
    if (plugin.value?.splits.length && apart.value) {
      body.stems = true;
      delete body.format;
    }
    if (kind.value === "Patch" && (seconds.value || !file))
      body.seconds = Number(seconds.value.replace(",", ".")) || 10;
    if (kind.value === "Script") {
      if (bars.value) body.bars = Number(bars.value.replace(",", "."));
      if (midi.value) body.midi = true;
    }
    if (!(await run(path, body, (why) => (problem.value = why)))) break;
  }
  busy.value = false;
}

export function Work() {
  const now = picked.value;
  const count = sources.value.length;
  const missing = kind.value === "Tool" && !count;
  return (
    <section class="column work" aria-label="Run something on files">
      <h2>Run</h2>
      <p class="on">
        {count === 0 ? (
          kind.value === "Tool" ? (
            "Choose a file first."
          ) : (
            "On no file: it plays by itself."
          )
        ) : (
          <>
            {kind.value === "Script" ? "It hears" : "On"}{" "}
            {sources.value.slice(0, 3).map((one, at) => (
              <b key={one.id}>
                {at ? ", " : ""}
                <bdi>{one.name}</bdi>
              </b>
            ))}
            {count > 3 ? ` and ${count - 3} more` : ""}
          </>
        )}
      </p>
      {count > 0 && !sources.value.some((one) => isNotes(one.name)) && (
        <button class="know" disabled={busy.value} onClick={() => void know()}>
          Know this: tempo, key, chords
        </button>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void start();
        }}>
        <div class="kinds" role="group" aria-label="What to run">
          {KINDS.map((one) => (
            <button
              type="button"
              key={one}
              aria-pressed={kind.value === one}
              onClick={() => {
                kind.value = one;
                problem.value = "";
              }}>
              {one}
            </button>
          ))}
        </div>
        <select
          class="what"
          aria-label={kind.value}
          value={now?.name ?? ""}
          onChange={(event) => {
            names.value = { ...names.value, [kind.value]: event.currentTarget.value };
            problem.value = "";
          }}>
          {kind.value === "Tool" ? (
            [...WANTS, ["Change it", null] as const].map(([title, names]) => {
              const some = names
                ? names.flatMap((name) => offered.value.filter((one) => one.name === name))
                : offered.value.filter((one) => !PLACED.has(one.name));
              return some.length > 0 && <optgroup key={title} label={title} children={<Listed of={some} />} />;
            })
          ) : (
            <Listed of={offered.value} />
          )}
        </select>
        {now && <p class="line">{now.line}</p>}
        {plugin.value && <Params plugin={plugin.value} />}
        <div class="options">
          {kind.value === "Patch" && (
            <label>
              Seconds{" "}
              <input
                inputMode="decimal"
                value={seconds.value}
                placeholder={count ? "as the file" : "10"}
                onInput={(event) => (seconds.value = event.currentTarget.value)}
              />
            </label>
          )}
          {kind.value === "Script" && (
            <label>
              Bars{" "}
              <input
                inputMode="decimal"
                value={bars.value}
                placeholder={String((now as Entry | undefined)?.bars ?? 16)}
                onInput={(event) => (bars.value = event.currentTarget.value)}
              />
            </label>
          )}
          {plugin.value && plugin.value.splits.length > 0 && (
            <label>
              <input
                type="checkbox"
                checked={apart.value}
                onChange={(event) => (apart.value = event.currentTarget.checked)}
              />{" "}
              a file for each: {plugin.value.splits.join(", ")}
            </label>
          )}
          {givesSound.value && !(plugin.value?.splits.length && apart.value) && (
            <label>
              Format{" "}
              <select value={format.value} onChange={(event) => (format.value = event.currentTarget.value)}>
                <option value="">{kind.value === "Tool" ? "as the file" : "wav"}</option>
                <Options of={FORMATS} />
              </select>
            </label>
          )}
          {kind.value === "Script" && (
            <label>
              <input
                type="checkbox"
                checked={midi.value}
                onChange={(event) => (midi.value = event.currentTarget.checked)}
              />{" "}
              its notes as MIDI too
            </label>
          )}
        </div>
        {problem.value && (
          <p class="bad" role="alert">
            {problem.value}
          </p>
        )}
        <div class="run-bar">
          <button class="call run" disabled={missing || busy.value || !now}>
            {count > 1 ? `Run on ${count} files` : "Run"}
          </button>
        </div>
      </form>
    </section>
  );
}

const TELLING = [
  "mode",
  "style",
  "instrument",
  "amount",
  "threshold",
  "drive",
  "mix",
  "time",
  "cutoff",
  "gain",
  "level",
];

/** What a parameter is worth a place in sight: those whose names tell, others as they are declared, then what fires. */
function weight({ name, kind }: Declared): number {
  const at = TELLING.indexOf(name);
  return at >= 0 ? at : kind === "trigger" || name === "wet" ? TELLING.length + 1 : TELLING.length;
}

function Params({ plugin }: { plugin: Plugin }) {
  const mine = given.value[plugin.name] ?? {};
  const change = (param: Declared, next: Value | { file: string } | undefined) => {
    const { [param.name]: _, ...rest } = mine;
    const plain = next === undefined || next === param.default;
    given.value = { ...given.value, [plugin.name]: plain ? rest : { ...rest, [param.name]: next } };
  };
  const own = plugin.params.filter((param) => !param.readonly && !HOST.has(param.name));
  const shown = [...own].sort((one, other) => weight(one) - weight(other));
  // one that was set stays in sight
  const first = shown.length > MOST + 1 ? shown.filter((param, at) => at < MOST || param.name in mine) : shown;
  const rest = shown.filter((param) => !first.includes(param));
  const list = (some: Declared[]) => (
    <div class="params">
      {some.map((param) => (
        <div class="control" key={`${plugin.name}.${param.name}`}>
          <span class="label" title={param.doc}>
            {param.name}
          </span>
          {param.kind === "file" ? (
            <FileChoice
              param={param}
              now={mine[param.name]}
              needed={plugin.needs.includes(param.name)}
              change={(next) => change(param, next)}
            />
          ) : param.kind === "trigger" ? (
            <Moment param={param} now={mine[param.name]} change={(next) => change(param, next)} />
          ) : (
            <Field
              param={param}
              now={(mine[param.name] as Value) ?? param.default}
              change={(next) => change(param, next)}
              fire={() => undefined}
            />
          )}
          <span />
          <small class="doc" title={param.doc}>
            {param.doc}
          </small>
        </div>
      ))}
    </div>
  );
  return (
    <>
      {list(first)}
      {rest.length > 0 && (
        <details>
          <summary>{rest.length} more</summary>
          {list(rest)}
        </details>
      )}
      {Object.keys(mine).length > 0 && (
        <button type="button" class="small" onClick={() => (given.value = { ...given.value, [plugin.name]: {} })}>
          Defaults
        </button>
      )}
    </>
  );
}

interface Choice<T> {
  param: Declared;
  now: unknown;
  change: (next: T | undefined) => void;
}

/** A parameter that takes a file: one of those on the server. */
function FileChoice({ param, now, needed, change }: Choice<{ file: string }> & { needed: boolean }) {
  const id = typeof now === "object" && now ? (now as { file: string }).file : "";
  return (
    <select
      aria-label={param.name}
      value={id}
      onChange={(event) => change(event.currentTarget.value ? { file: event.currentTarget.value } : undefined)}>
      <option value="">{needed ? "choose a file" : "none"}</option>
      <Options of={files.value.map((one) => [one.id, one.name])} />
    </select>
  );
}

/** A trigger: the second at which it fires, or none. */
function Moment({ param, now, change }: Choice<number>) {
  return (
    <input
      class="text"
      inputMode="decimal"
      aria-label={`${param.name}: seconds at which it happens`}
      placeholder="never, or at a second: 0.5"
      value={typeof now === "number" ? String(now) : ""}
      onBlur={(event) => {
        const at = Number(event.currentTarget.value.replace(",", "."));
        change(event.currentTarget.value.trim() && at >= 0 ? at : undefined);
      }}
    />
  );
}
