// What is played on a stage: macros, scenes, cues, mutes, levels and the beat, large; on a phone macros, scenes and XY.
import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { XY } from "../clips/xy";
import { Tracks } from "../code/beside";
import { enterRoom } from "../code/store";
import { Beat } from "../header";
import { Unmute } from "../input";
import { send } from "../link";
import { status, tracksSince } from "../model";
import { Macros } from "./controls";
import { Cues } from "./cues";
import { Blackout } from "./lights";
import { Output } from "./mixer";
import { Scenes } from "./side";
import { Told } from "./told";

const PHONE = matchMedia("(max-width: 760px), (max-height: 480px)");
/** Whether there is room for one view alone. */
export const narrow = signal(PHONE.matches);
PHONE.addEventListener("change", () => (narrow.value = PHONE.matches));

/** On a phone: whether the tracks, and the button that records them, stand where the XY pad does. */
const tracks = signal(false);

/** That the tracks are recorded, and for how long as far as this page knows. */
function Running() {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  if (!status.value.recording_tracks) return null;
  const seconds = Math.max(0, Math.floor((now.value - tracksSince.value) / 1000));
  return (
    <span class="running">
      <i aria-hidden="true">●</i>{" "}
      {seconds >= 0 && `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`}
    </span>
  );
}

/** Records the set as tracks, or ends them. */
function Record() {
  const on = Boolean(status.value.recording_tracks);
  return (
    <button
      title="Each strip, the input and the output in a file of its own, with projects for studios"
      aria-pressed={on}
      onClick={() => send(on ? "/record/tracks/stop" : "/record/tracks/start")}>
      {on ? "End the tracks" : "Record tracks"} {!narrow.value && <Running />}
    </button>
  );
}

export function Stage() {
  useEffect(() => void enterRoom(), []);
  return (
    <main class="on-stage" aria-label="Stage" tabIndex={-1}>
      <section class="now" aria-label="Beat and scenes">
        <Beat />
        <Told />
        <Scenes />
        {!narrow.value && <Cues />}
        {!narrow.value && <Record />}
      </section>
      <section aria-label="Macros">
        <Macros />
        {narrow.value && tracks.value && (
          <div class="levels">
            <Tracks />
            <Record />
          </div>
        )}
        {narrow.value && !tracks.value && <XY />}
      </section>
      {narrow.value ? (
        <section class="hand" aria-label="Output">
          <button aria-pressed={tracks.value} onClick={() => (tracks.value = !tracks.value)}>
            Tracks <Running />
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
