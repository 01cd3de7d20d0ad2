// Stage mode: black and larger, kept in this browser.
import { computed, effect, signal } from "@preact/signals";
import { enter, room } from "./rooms";

/** Whether fingers press what is shown: a field that takes the focus would call a keyboard over it. */
export const byTouch = matchMedia("(pointer: coarse)").matches;

const wanted = signal(localStorage.getItem("stage") === "1");
/** Whether the page is for a stage: lessons are read, and stay as they are. */
export const stage = computed(() => wanted.value && room.value !== "Learn");
/** From the lessons it goes to what is played on a stage. */
export function toggleStage(): void {
  wanted.value = !stage.value;
  if (room.value === "Learn") enter("Instrument");
}
effect(() => {
  document.documentElement.toggleAttribute("data-stage", stage.value);
  localStorage.setItem("stage", wanted.value ? "1" : "0");
  palette = null;
});

const COLOURS = ["ink", "soft", "line", "warm", "cool", "raised"] as const;
export type Palette = Record<(typeof COLOURS)[number], string>;
let palette: Palette | null = null;
/** The colours of the style sheet, for canvases. */
export function colours(): Palette {
  if (palette) return palette;
  const style = getComputedStyle(document.documentElement);
  const all = COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]);
  palette = Object.fromEntries(all) as Palette;
  return palette;
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (palette = null));
