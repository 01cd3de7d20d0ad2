// Stage mode: black and larger, kept in this browser.
import { effect, signal } from "@preact/signals";

export const stage = signal(localStorage.getItem("stage") === "1");
export function toggleStage(): void {
  stage.value = !stage.value;
}
effect(() => {
  document.documentElement.toggleAttribute("data-stage", stage.value);
  localStorage.setItem("stage", stage.value ? "1" : "0");
  palette = null;
});

export interface Palette {
  ink: string;
  soft: string;
  line: string;
  warm: string;
  cool: string;
  raised: string;
}
let palette: Palette | null = null;
/** The colours of the style sheet, for canvases. */
export function colours(): Palette {
  if (palette) return palette;
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  palette = {
    ink: of("ink"),
    soft: of("soft"),
    line: of("line"),
    warm: of("warm"),
    cool: of("cool"),
    raised: of("raised"),
  };
  return palette;
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (palette = null));
