// The levels of nodes as bars, wherever they stand.
import { useEffect } from "preact/hooks";
import { meters } from "../model";

const FALL_DB = 24; // a second
const FLOOR_DB = -60;

/** Moves the meters once a frame: up at once, down slowly, without asking Preact. */
export function useMeters(box: { current: HTMLDivElement | null }): void {
  useEffect(() => {
    const levels = new Map<string, number>();
    let frame = 0;
    let last = performance.now();
    const draw = (now: number) => {
      const fall = (FALL_DB * (now - last)) / 1000;
      last = now;
      for (const bar of box.current?.querySelectorAll<HTMLElement>(".level") ?? []) {
        const name = bar.dataset.node!;
        const meter = meters.get(name);
        const peak = meter ? 20 * Math.log10(Math.max(meter.peak, 1e-4)) : FLOOR_DB;
        const before = levels.get(name) ?? FLOOR_DB;
        const level = Math.max(FLOOR_DB, peak, before - fall);
        if (level !== before || !levels.has(name)) {
          levels.set(name, level);
          (bar.firstChild as HTMLElement).style.transform = `scaleX(${(level - FLOOR_DB) / -FLOOR_DB})`;
          bar.toggleAttribute("data-hot", level > -3);
        }
      }
      frame = requestAnimationFrame(draw);
    };
    frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, []);
}
