import { signal, useSignal } from "@preact/signals";
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { report, show, shown } from "./audio";
import { Clips } from "./clips/view";
import { live, stop, text } from "./code/store";
import { Code } from "./code/view";
import { Files } from "./files/view";
import { Clock, Header, OwnInput, startOrStop } from "./header";
import { acceptDrops, microphone } from "./input";
import { install } from "./install";
import { Controls } from "./instrument/controls";
import { Cues } from "./instrument/cues";
import { Sound } from "./instrument/drawings";
import { Lights } from "./instrument/lights";
import { Lyrics } from "./instrument/lyrics";
import { capture, Mixer } from "./instrument/mixer";
import { PatchGraph } from "./instrument/patch";
import { key, Piano } from "./instrument/piano";
import { Place } from "./instrument/place";
import { Roll } from "./instrument/roll";
import { SetList } from "./instrument/setlist";
import { Log, Scenes, Server } from "./instrument/side";
import { narrow, Stage } from "./instrument/stage";
import { Surfaces } from "./instrument/surfaces";
import { Told, told } from "./instrument/told";
import { keysWanted } from "./lessons/state";
import { Learn } from "./lessons/view";
import { Library } from "./library/view";
import { arrived, connect, connection, exchangeSecret, panic, panics, send, useToken } from "./link";
import {
  ahead,
  type Entry,
  graph,
  meters,
  notes,
  notices,
  recording,
  shownFor,
  status,
  takesNotes,
  tracks,
} from "./model";
import { enter, room } from "./rooms";
import { stage } from "./theme";
import { TokenForm } from "./token";

const TABS = ["Patch", "Controls", "Sound", "Desk", "Play"] as const;
const tab = signal<(typeof TABS)[number]>("Patch");

function Instrument() {
  return (
    <>
      {(narrow.value ? tab.value === "Play" : stage.value) ? (
        <Stage />
      ) : (
        <main>
          <PatchGraph />
          <Sound />
          <Controls />
          <Roll>
            {!narrow.value && <Told />}
            <Place />
            <Lyrics />
          </Roll>
          <section class="side" data-view="Desk" aria-label="Scenes and server">
            <Mixer />
            <Scenes />
            <Cues />
            <Lights />
            <SetList />
            <Surfaces />
            <Server />
            <Log />
          </section>
        </main>
      )}
      {takesNotes.value && <Piano />}
      <nav class="tabs" aria-label="Views">
        {TABS.map((name) => (
          <button key={name} aria-pressed={tab.value === name} onClick={() => (tab.value = name)}>
            {name}
          </button>
        ))}
      </nav>
    </>
  );
}

const VIEWS = { Learn, Instrument, Clips, Code, Files, Library };

function App() {
  if (connection.value === "token")
    return (
      <main class="token">
        <h1>Antiphon</h1>
        <TokenForm why="This server is open to the network, so it needs its token." take={useToken} />
      </main>
    );
  const View = VIEWS[room.value];
  return (
    <div class="app" data-tab={tab.value} data-room={room.value}>
      <Header />
      <Away />
      <View />
      <Notice />
    </div>
  );
}

const TYPING = 0.72; // of the window: where less is left, a keyboard stands there

function Away() {
  const lost = connection.value === "lost";
  return (
    <p class="away" role="alert">
      {lost && `The server at ${location.host} does not answer. The page connects by itself as soon as it is back.`}
    </p>
  );
}

/** What goes on without a message: a script that plays, what is recorded, else what the patch is played with. */
function Now() {
  const script = live.value?.playing && room.value !== "Code";
  const on = tracks.value ?? recording.value;
  return (
    <div class="now">
      {script && (
        <>
          <button aria-label="Stop the script" onClick={() => void stop()}>
            ■
          </button>
          <p>
            The script <bdi>{live.value?.name}</bdi> plays.
          </p>
        </>
      )}
      {!script && room.value === "Instrument" && (
        <>
          {OwnInput() ?? (narrow.value && !told().length && <p class="soft">{status.value.hint}</p>)}
          {narrow.value && <Told />}
        </>
      )}
      {on && (
        <button
          class="rec"
          title={`${tracks.value ? "The mix and its tracks are" : "All that sounds is"} recorded; Files has it`}
          onClick={() => enter("Files")}>
          <i aria-hidden="true">●</i> {tracks.value ? "Recording" : "All is recorded"} <Clock since={on.since} />
        </button>
      )}
    </div>
  );
}

const closed = new Set<number>();

/** The last messages for a while, in a place of their own below the room: nothing moves when they come and go. */
function Notice() {
  const drawn = useSignal(0);
  drawn.value;
  const now = Date.now();
  const shown = connection.value === "lost" ? [] : notices(now).filter((one) => !closed.has(one.id));
  const ends = Math.min(...shown.map((one) => one.at.getTime() + shownFor(one)));
  useEffect(() => {
    if (!shown.length) return;
    const timer = setTimeout(() => (drawn.value += 1), ends - now + 1);
    return () => clearTimeout(timer);
  }, [ends]);
  const close = (one: Entry) => {
    closed.add(one.id);
    drawn.value += 1;
  };
  return (
    <div class="foot">
      <Now />
      <div class="toast" role="status">
        {shown.map((one) => (
          <p key={one.id} class={one.bad ? "bad" : ""} dir="auto">
            <span>{one.text}</span>
            {one.room && one.room !== room.value && <button onClick={() => enter(one.room!)}>{one.room}</button>}
            {one.act && <button onClick={() => (one.act![1](), close(one))}>{one.act[0]}</button>}
            <button aria-label="Close the message" onClick={() => close(one)}>
              ×
            </button>
          </p>
        ))}
      </div>
    </div>
  );
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.matches("input, textarea, select") || target.isContentEditable);
}

document.addEventListener("keydown", (event) => {
  const act = { F12: panic, F9: capture }[event.key];
  if (act && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    if (!event.repeat) act();
    return;
  }
  if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  const pressed = event.target instanceof HTMLElement && event.target.matches("button, [role=slider], summary");
  if (event.key === " " && !pressed) {
    event.preventDefault();
    if (!event.repeat) startOrStop();
  } else if ((room.value === "Instrument" || keysWanted.value) && key(event, true)) event.preventDefault();
});
document.addEventListener("keyup", (event) => {
  if (!typing(event.target)) key(event, false);
});
// a button keeps the focus after a click, and space would press it again
document.addEventListener("click", (event) => {
  if (event.detail > 0 && event.target instanceof HTMLElement) event.target.closest("button")?.blur();
});

// what a phone's keyboard leaves of the window is the page's height, so that what stands at its bottom stays in sight
let tallest = 0;
let wide = 0;
window.visualViewport?.addEventListener("resize", () => {
  const { height, scale } = window.visualViewport!;
  if (scale !== 1) return;
  if (innerWidth !== wide) tallest = 0; // turned
  wide = innerWidth;
  tallest = Math.max(tallest, innerHeight, height);
  document.documentElement.style.setProperty("--seen", `${height}px`);
  document.documentElement.toggleAttribute("data-typing", height < TYPING * tallest);
});

// for tests and for curious people at the console
Object.assign(window, {
  antiphon: {
    send,
    microphone,
    report: () => report.value,
    connection: () => connection.value,
    panics: () => panics.value,
    tap: () => shown.value?.node,
    /** The peak of the last samples of what is shown; -1 before there are as many. */
    heard() {
      const last = new Float32Array(4096);
      if ((shown.value?.frames ?? 0) < last.length) return -1;
      shown.value?.last(last);
      return Math.max(...last.map(Math.abs));
    },
    wires: () => graph.value?.wires.map((wire) => wire.join(" ")) ?? [],
    notes: () => notes.map(({ note, node, played, to }) => ({ note, node, played, sounds: to === 0 })),
    ahead: () => ahead.map(({ beat, note, velocity, node }) => ({ beat, note, velocity, node })),
    script: () => text.value,
    level: (name: string) => meters.get(name)?.peak ?? 0,
  },
});

void exchangeSecret(connect);
render(<App />, document.getElementById("app")!);
acceptDrops();
// what the first screen does without waits until it has what it shows, or there is nothing that would come
const LATEST_MS = 3000;
const there = Promise.race([arrived, new Promise((then) => setTimeout(then, LATEST_MS))]);
void there.then(() => shown.value || show("out"));
void install(there);
