// Scenes, what the server is doing, and messages in words.

import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { Ears } from "../input";
import { clearLog, connection, heard, lost, roundTrip, send } from "../link";
import { graph, log, status } from "../model";
import { Options } from "../options";
import { stage, toggleStage } from "../theme";

const SCENES = 8;
const storing = signal(false);
const beats = signal(0);

/** The scene that was recalled last, and the patch that it is of. */
const recalled = signal<[number, string] | null>(null);
heard.set("/scene/recalled", ([number]) => (recalled.value = [Number(number), graph.value?.patch ?? ""]));

export function Scenes() {
  const stored = new Set(graph.value?.scenes ?? []);
  // the numbers are those of /scene/recall; 0 is shown where it is stored
  const first = stored.has(0) ? 0 : 1;
  const named = (number: number) => String(graph.value?.scene_names[number] ?? "");
  const count = Math.max(SCENES, ...[...stored].map((number) => number + 1 - first));
  return (
    <div class="scenes">
      <h2>Scenes</h2>
      <div class="pads">
        {Array.from({ length: Math.min(32, count) }, (_, place) => place + first).map((number) => (
          <button
            key={number}
            class={stored.has(number) ? "stored" : ""}
            disabled={!storing.value && !stored.has(number)}
            title={named(number)}
            aria-pressed={recalled.value?.[0] === number && recalled.value[1] === graph.value?.patch}
            aria-label={`${storing.value ? "Store" : "Recall"} scene ${number}${named(number) && `, ${named(number)}`}`}
            onClick={() => {
              if (storing.value) send("/scene/store", number);
              else send("/scene/recall", number, beats.value);
              storing.value = false;
            }}>
            {number}
            {named(number) && <small>{named(number)}</small>}
          </button>
        ))}
      </div>
      <span class="group">
        <button aria-pressed={storing.value} onClick={() => (storing.value = !storing.value)}>
          {storing.value ? "Store where?" : "Store"}
        </button>
        <label>
          <select
            aria-label="Beats over which a scene is recalled"
            value={String(beats.value)}
            onChange={(event) => (beats.value = Number(event.currentTarget.value))}>
            <Options
              of={[0, 1, 2, 4, 8, 16].map((one) => [
                String(one),
                one ? `over ${one} beat${one === 1 ? "" : "s"}` : "at once",
              ])}
            />
          </select>
        </label>
      </span>
    </div>
  );
}

/** Another sound card, or clock, while the server plays: what it answers stands among the messages. */
function Device() {
  const name = useRef<HTMLInputElement>(null);
  const rate = useRef<HTMLSelectElement>(null);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const device = name.current!.value.trim();
        if (device) send("/audio/device", device, Number(rate.current!.value));
      }}>
      <input
        ref={name}
        list="devices"
        aria-label="Sound card"
        placeholder="Sound card: its name"
        title="Its number, or a part of its name, as `antiphon devices` lists them on the server's machine"
      />
      <datalist id="devices">
        <Options of={["headless", "jack", "portaudio"]} />
      </datalist>
      <select ref={rate} aria-label="Rate of the sound card">
        <Options
          of={[0, 44100, 48000, 96000].map((one) => [String(one), one ? `${one / 1000} kHz` : "as the server"])}
        />
      </select>
      <button>Use</button>
    </form>
  );
}

export function Server() {
  const now = status.value;
  const engine = now.engine ?? {};
  const latency = now.latency ?? {};
  const rate = Number(engine.rate ?? 48000);
  const frames = Number(latency.driver ?? 0) + Number(latency.ring ?? 0) + Number(latency.graph ?? 0);
  const workers: { node: string; model: string; state: string; load: number; misses: number; reason: string }[] =
    now.workers ?? [];
  const rows: [string, string, boolean][] = [
    ["sound by", `${engine.driver ?? "…"}, ${rate / 1000} kHz, ${engine.block ?? "…"} frames at a time`, false],
    ["sound card", `${engine.device ?? "…"}, ${Number(engine.device_rate ?? rate) / 1000} kHz`, false],
    ["delay", `${((frames / rate) * 1000).toFixed(1)} ms`, false],
    ["gaps, near misses", `${now.missed_blocks ?? 0}, ${now.late_blocks ?? 0}`, Number(now.missed_blocks) > 0],
    ["answers within", `${roundTrip.value.toFixed(1)} ms`, false],
    ["open pages, listening", `${now.pages ?? 0}, ${now.sound_streams ?? 0}`, false],
  ];
  for (const [name, label] of Object.entries<string>(now.counters ?? {}))
    if (label && now[name]) rows.push([label, String(now[name]), true]);
  const dropped = Number(now.sound_dropped ?? 0) + Number(now.page_dropped ?? 0) + lost.value;
  if (dropped) rows.push(["left out for slow pages", String(dropped), true]);
  if (now.synth)
    rows.push([
      `synth ${now.synth.backend}`,
      `${now.synth.state}, ${now.synth.misses} times late`,
      now.synth.misses > 0,
    ]);
  for (const worker of workers) {
    rows.push([
      `${worker.node} (${worker.model})`,
      `${worker.state}, ${(worker.load * 100).toFixed(0)} %, ${worker.misses} times late`,
      worker.misses > 0,
    ]);
  }
  return (
    <div class="server">
      <h2>Server</h2>
      <button class="stage" aria-pressed={stage.value} onClick={toggleStage}>
        Stage: black, larger type
      </button>
      <Device />
      <Ears />
      <dl>
        {rows.map(([name, said, bad]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class={bad ? "bad" : ""}>{said}</dd>
          </div>
        ))}
      </dl>
      {[
        now.trouble,
        now.warning,
        ...(now.plugins_failed ?? []).map((one: { name: string; reason: string }) => `${one.name}: ${one.reason}`),
      ]
        .filter(Boolean)
        .map((said: string) => (
          <p class="bad" key={said}>
            {said}
          </p>
        ))}
    </div>
  );
}

export function Log() {
  return (
    <div class="log">
      <h2>Messages {log.value.length > 0 && <button onClick={clearLog}>Clear</button>}</h2>
      <ol aria-live="polite">
        {log.value.map((one) => (
          <li key={one.id} class={one.bad ? "bad" : ""}>
            <time>{one.at.toTimeString().slice(0, 8)}</time> <bdi>{one.text}</bdi>
          </li>
        ))}
        {!log.value.length && (
          <li class="soft">
            {connection.value === "open" ? String(status.value.hint || "Nothing to report.") : "Connecting."}
          </li>
        )}
      </ol>
    </div>
  );
}
