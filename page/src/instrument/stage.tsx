// What is played on a stage: macros, scenes, cues, mutes, levels and the beat, large; on a phone macros, scenes and XY.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { XY } from "../clips/xy";
import { Tracks } from "../code/beside";
import { enterRoom } from "../code/store";
import { Beat, Clock, Load } from "../header";
import { Unmute } from "../input";
import { send } from "../link";
import { bpm, tracks as recording, status } from "../model";
import { SetStep } from "../patches";
import { Harmony } from "./chords";
import { Macros } from "./controls";
import { Cues } from "./cues";
import { leading, scored } from "./follower";
import { Blackout } from "./lights";
import { Output } from "./mixer";
import { Place } from "./place";
import { Scenes } from "./side";
import { Told } from "./told";

const PHONE = matchMedia("(max-width: 760px), (max-height: 480px)");
/** Whether there is room for one view alone. */
export const narrow = signal(PHONE.matches);
PHONE.addEventListener("change", () => (narrow.value = PHONE.matches));

/** On a phone: whether the tracks stand where the XY pad does. */
const tracks = signal(false);

/** Records the set, the mix and its tracks, or ends it. */
function Record() {
  const on = recording.value;
  return (
    <button
      class="record"
      title="Keeps what you play from now on: the mix, and each strip and the input in a file of its own. Files has it"
      aria-pressed={!!on}
      onClick={() => send(on ? "/record/tracks/stop" : "/record/tracks/start")}>
      <i aria-hidden="true">●</i> {on ? "End " : "Record"}
      {on && <Clock since={on.since} />}
    </button>
  );
}

/** Where a node leads the clock by what is played: that the nearest beat begins a bar. */
function Downbeat() {
  if (!leading.value || scored.value) return null;
  return (
    <button
      title="The nearest beat begins a bar, where its bars are not yours"
      onClick={() => send("/follow/downbeat")}>
      Downbeat
    </button>
  );
}

/** The patch's place in the set, and which comes next; on a phone also the way there. */
function InSet() {
  const set = status.value.set as { place: number; patches: string[] } | null | undefined;
  if (!set) return null;
  const next = set.patches[set.place];
  return (
    <p class="in-set">
      {narrow.value && <SetStep to="previous" />}
      <span>
        {set.place} of {set.patches.length}
        {next ? ", then " : ", the last"}
        {next && <b dir="auto">{next}</b>}
      </span>
      {narrow.value && <SetStep to="next" />}
    </p>
  );
}

export function Stage() {
  useEffect(() => void enterRoom(), []);
  return (
    <main class="on-stage" aria-label="Stage" tabIndex={-1}>
      <section class="now" aria-label="Beat and scenes">
        {narrow.value && <InSet />}
        <div class="line">
          <Beat />
          {narrow.value && <span>{bpm.value.toFixed(0)} bpm</span>}
          <Harmony />
          {narrow.value && <Load />}
          <Downbeat />
        </div>
        <Place />
        {!narrow.value && <InSet />}
        {!narrow.value && <Told />}
        <Scenes />
        {!narrow.value && <Cues />}
        {!narrow.value && <Record />}
      </section>
      <section aria-label="Macros">
        <Macros />
        {narrow.value && tracks.value && (
          <div class="levels">
            <Tracks />
          </div>
        )}
        {narrow.value && !tracks.value && <XY />}
      </section>
      {narrow.value ? (
        <section class="hand" aria-label="Output">
          <Record />
          <button aria-pressed={tracks.value} onClick={() => (tracks.value = !tracks.value)}>
            Tracks
          </button>
          <Output />
          <Blackout />
          <Unmute />
        </section>
      ) : (
        <section class="levels" aria-label="Tracks and levels">
          <Tracks />
        </section>
      )}
    </main>
  );
}
