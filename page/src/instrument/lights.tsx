// The patch's lights: its fixtures in their colours, its looks, and the blackout.
import { effect, signal } from "@preact/signals";
import { connection, heard, send } from "../link";
import { graph, type Value } from "../model";
import { room } from "../rooms";

interface Fixture {
  name: string;
  place: string;
  channels: string[];
  values: number[];
}

const FAST_MS = 100;
const SLOW_MS = 1000;
const CELLS = 16;
/** What each channel adds to the colour of its lamp; what is not named here is no colour. */
const COLOURS: Record<string, [number, number, number]> = {
  red: [1, 0, 0],
  green: [0, 1, 0],
  blue: [0, 0, 1],
  white: [1, 1, 1],
  amber: [1, 0.75, 0],
};
const DIMMERS = ["dimmer", "level", "intensity"];

const fixtures = signal<Fixture[]>([]);
const looks = signal<string[]>([]);
const look = signal("");
const dark = signal(false);
/** How many fixtures the patch has; of many, the first are shown. */
const count = signal(0);
let timer = 0;

function ask(): void {
  clearTimeout(timer);
  if (document.hidden) timer = window.setTimeout(ask, SLOW_MS);
  else send("/lights/shown");
}

heard.set("/lights/list.reply", ([, , ...names]) => (looks.value = names.map(String)));
heard.set("/lights/shown.reply", ([shown, off, many, ...told]: Value[]) => {
  look.value = String(shown);
  dark.value = Boolean(off);
  count.value = Number(many);
  fixtures.value = Array.from({ length: told.length / 5 }, (_, place) => {
    const [name, universe, channel, names, values] = told.slice(5 * place).map(String);
    return {
      name: name!,
      place: `universe ${universe}, channel ${channel}`,
      channels: names!.split(" "),
      values: values!.split(" ").map(Number),
    };
  });
  clearTimeout(timer);
  if (count.value) timer = window.setTimeout(ask, room.value === "Instrument" ? FAST_MS : SLOW_MS);
});
// another patch, or another rig of it
effect(() => {
  if (connection.value !== "open" || !graph.value) return;
  send("/lights/list");
  ask();
});

/** Colours of a fixture's lamps: one of all its colours, or one for each channel. */
export function cells({ channels, values }: Pick<Fixture, "channels" | "values">): string[] {
  const grey = (value: number) => `rgb(${value}, ${value}, ${value})`;
  if (!channels.some((name) => name in COLOURS)) return values.slice(0, CELLS).map(grey);
  const dimmed = channels.findIndex((name) => DIMMERS.includes(name));
  const mixed = [0, 1, 2].map((part) =>
    channels.reduce((sum, name, at) => sum + (COLOURS[name]?.[part] ?? 0) * values[at]!, 0),
  );
  const share = dimmed < 0 ? 1 : values[dimmed]! / 255;
  return [`rgb(${mixed.map((part) => Math.round(share * Math.min(255, part))).join(", ")})`];
}

export function Blackout() {
  if (!count.value) return null;
  return (
    <button
      class="blackout"
      aria-pressed={dark.value}
      title="All lights dark, or on again"
      onClick={() => {
        send("/lights/blackout", dark.value ? 0 : 1);
        ask();
      }}>
      Blackout
    </button>
  );
}

export function Lights() {
  if (!count.value) return null;
  return (
    <div class="lights">
      <h2>Lights</h2>
      <div class="pads">
        {looks.value.map((name) => (
          <button
            key={name}
            class="stored"
            aria-pressed={name === look.value}
            onClick={() => send("/lights/look", name)}>
            {name}
          </button>
        ))}
      </div>
      <ul>
        {fixtures.value.map((one) => (
          <li
            key={one.name}
            title={`${one.place}: ${one.channels.map((name, at) => `${name} ${one.values[at]}`).join(", ")}`}>
            <span class="lamps" aria-hidden="true">
              {cells(one).map((background, at) => (
                <i key={at} style={{ background }} />
              ))}
            </span>
            <small>{one.name}</small>
          </li>
        ))}
      </ul>
      {count.value > fixtures.value.length && (
        <small class="soft">and {count.value - fixtures.value.length} more</small>
      )}
    </div>
  );
}
