// Stage mode: black and larger, kept in this browser.
import { effect, signal } from "@preact/signals";

/** Whether fingers press what is shown: a field that takes the focus would call a keyboard over it. */
export const byTouch = matchMedia("(pointer: coarse)").matches;

export const stage = signal(localStorage.getItem("stage") === "1");
export function toggleStage(): void {
  stage.value = !stage.value;
}
effect(() => {
  document.documentElement.toggleAttribute("data-stage", stage.value);
  localStorage.setItem("stage", stage.value ? "1" : "0");
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
