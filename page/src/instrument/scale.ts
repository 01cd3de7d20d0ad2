// Between a parameter's value, its place on a slider and its text. Without state, so that tests need no browser.
import type { Declared } from "../model";

const NAMES = ["C", "D♭", "D", "E♭", "E", "F", "G♭", "G", "A♭", "A", "B♭", "B"];

/** 0 to 11 is C to B major, 12 to 23 minor; anything else is none. */
export function chordName(number: unknown): string {
  const place = typeof number === "number" ? Math.round(number) : -1;
  return place >= 0 && place < 24 ? NAMES[place % 12]! + (place < 12 ? "" : "m") : "";
}

/** A note's name, 60 is C4. */
export function noteName(note: number): string {
  return `${NAMES[note % 12]}${Math.floor(note / 12) - 1}`;
}

/** A value's place in its range, 0 to 1, by the parameter's warp. */
export function toPlace(param: Declared, now: number): number {
  const { low, high } = param;
  if (high <= low) return 0;
  const at = param.warp === "log" && low > 0 ? Math.log(now / low) / Math.log(high / low) : (now - low) / (high - low);
  return Math.min(1, Math.max(0, at));
}

/** The value at a place of the range, rounded to what a slider can mean. */
export function fromPlace(param: Declared, place: number): number {
  const at = Math.min(1, Math.max(0, place));
  const { low, high } = param;
  const now = param.warp === "log" && low > 0 ? low * (high / low) ** at : low + at * (high - low);
  if (param.kind === "int") return Math.round(now);
  const digits = Math.max(0, 4 - Math.ceil(Math.log10(Math.max(1e-9, Math.abs(now) || high - low))));
  return Number(now.toFixed(Math.min(6, digits)));
}

/** A number as it is shown and typed: what a macro sets where it drives one parameter, else its percent. */
export function shownOf({ drives }: Declared, now: number): number {
  if (drives === undefined) return now;
  if (drives === null) return 100 * now;
  const [low, high] = [toPlace(drives.of, drives.low), toPlace(drives.of, drives.high)];
  return fromPlace(drives.of, low + (high - low) * now ** drives.curve);
}

/** The value of what is typed as `shownOf` gives it. */
export function fromShown({ drives }: Declared, typed: number): number {
  if (drives === undefined) return typed;
  const ends = drives === null ? [0, 100] : [toPlace(drives.of, drives.low), toPlace(drives.of, drives.high)];
  const at = drives === null ? typed : toPlace(drives.of, typed);
  const share = (at - ends[0]!) / (ends[1]! - ends[0]! || 1);
  return Math.min(1, Math.max(0, share)) ** (1 / (drives?.curve ?? 1));
}

/** The unit of `shownOf`. */
export const shownUnit = ({ unit, drives }: Declared) => (drives === undefined ? unit : drives ? drives.of.unit : "%");

/** A number with four digits, or by so many fewer. */
function digits(now: number, fewer: number): string {
  const size = Math.abs(now);
  const after = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 || size === 0 ? 2 : 3;
  const text = now.toFixed(Math.max(0, after - fewer));
  return Number(text) === 0 ? text.replace("-", "") : text;
}

const unitOf = ({ unit }: Declared, text: string) => (unit ? `${text} ${unit}` : text);

/** A value as text, with its unit. */
export function written(param: Declared, now: unknown): string {
  const { drives } = param;
  if (drives !== undefined && typeof now === "number") {
    if (drives?.of.kind === "switch") return shownOf(param, now) < 0.5 ? "off" : "on";
    const shown = shownOf(param, now);
    if (!drives) return `${shown.toFixed(0)} %`;
    return unitOf(drives.of, drives.of.kind === "int" ? String(Math.round(shown)) : digits(shown, 1));
  }
  if (param.unit === "chord") return chordName(now) || "none";
  if (typeof now !== "number") return now === null || now === undefined ? "–" : String(now);
  return unitOf(param, param.kind === "int" ? String(Math.round(now)) : digits(now, 0));
}
