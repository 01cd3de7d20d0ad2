// The levels of nodes as bars, wherever they stand.
import { useEffect } from "preact/hooks";
import { eachFrame } from "../frames";
import { meters } from "../model";

const FALL_DB = 24; // a second
const FLOOR_DB = -60;

/** The peak of a node's output. */
const peakOf = (bar: HTMLElement, _now: number) => meters.get(bar.dataset.node!)?.peak ?? 0;

/** Moves the meters once a frame: up at once, down slowly, without asking Preact. */
export function useMeters(box: { current: HTMLElement | null }, peak = peakOf, fallDb = FALL_DB): void {
  useEffect(() => {
    const levels = new WeakMap<HTMLElement, number>();
    let last = performance.now();
    return eachFrame((now) => {
      const fall = (fallDb * (now - last)) / 1000;
      last = now;
      for (const bar of box.current?.querySelectorAll<HTMLElement>(".level") ?? []) {
        const before = levels.get(bar) ?? FLOOR_DB;
        const level = Math.max(FLOOR_DB, 20 * Math.log10(Math.max(peak(bar, now), 1e-4)), before - fall);
        if (level !== before || !levels.has(bar)) {
          levels.set(bar, level);
          (bar.firstChild as HTMLElement).style.transform = `scaleX(${(level - FLOOR_DB) / -FLOOR_DB})`;
          bar.toggleAttribute("data-hot", level > -3);
        }
      }
    });
  }, []);
}
