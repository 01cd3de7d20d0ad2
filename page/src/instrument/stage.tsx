// What is played on a stage: macros, scenes, cues, mutes, levels and the beat, large; on a phone macros, scenes and XY.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { XY } from "../clips/xy";
import { Tracks } from "../code/beside";
import { enterRoom } from "../code/store";
import { Beat } from "../header";
import { Macros } from "./controls";
import { Cues } from "./cues";
import { Scenes } from "./side";

const PHONE = matchMedia("(max-width: 760px)");
/** Whether there is room for one view alone. */
export const narrow = signal(PHONE.matches);
PHONE.addEventListener("change", () => (narrow.value = PHONE.matches));

export function Stage() {
  useEffect(() => void enterRoom(), []);
  return (
    <main class="on-stage" aria-label="Stage" tabIndex={-1}>
      <section class="now" aria-label="Beat and scenes">
        <Beat />
        <Scenes />
        {!narrow.value && <Cues />}
      </section>
      <section aria-label="Macros">
        <Macros />
        {narrow.value && <XY />}
      </section>
      {!narrow.value && (
        <section class="levels" aria-label="Tracks and levels">
          <Tracks />
        </section>
      )}
    </main>
  );
}
