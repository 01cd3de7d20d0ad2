// The reference beside the editor, its sounds and the sliders of a text: what is found, tried, drawn. Without state.

import type { Explained } from "../api";

/** The words that a search finds: by their names first, by the beginning of one, then by what they do. */
export function found(all: Explained[], search: string): Explained[] {
  const wanted = search.trim().toLowerCase();
  if (!wanted) return all;
  const rank = (one: Explained) => {
    const names = one.names.map((name) => name.toLowerCase());
    if (names.includes(wanted)) return 0;
    if (names.some((name) => name.startsWith(wanted))) return 1;
    if (names.some((name) => name.includes(wanted))) return 2;
    return `${one.group} ${one.doc}`.toLowerCase().includes(wanted) ? 3 : 4;
  };
  return all
    .map((one) => ({ one, at: rank(one) }))
    .filter(({ at }) => at < 4)
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}

const PLAYED = /\b(?:s|n|note|sound)\(/;

/** The line that plays an example, as the track `try`; "" for one that is no pattern of sounds or notes. */
export function tried(example: string): string {
  if (example.startsWith("track(")) return example.replace(/^track\(\s*"[^"]*"/, 'track("try"');
  if (!PLAYED.test(example) || /^(?:@|node\(|play\(|once\()/.test(example) || /^\w+ = /.test(example)) return "";
  return `track("try", ${example})`;
}

/** A text with a line that stands in place of the last one of `try`, at its end; and where the line begins. */
export function withTried(text: string, line: string): { text: string; at: number } {
  const begin = /^\s*from antiphon\.live import/m.test(text) ? text : `from antiphon.live import *\n${text}`;
  const kept = begin
    .split("\n")
    .filter((one) => !one.startsWith('track("try"'))
    .join("\n")
    .trimEnd();
  return { text: `${kept}\n\n${line}\n`, at: kept.length + 2 };
}

const TIDAL = /^\s*(?:d\d+\s*\$|hush$)/m;
const STRUDEL = /^\s*(?:\/\/|[\w$]+: *\w+[.(]|(?:const|let|samples|setcp[sm]|stack|arrange)\b)|=>|`/m;

/** The language of a program that is no live script: Strudel, Tidal, or "". */
export function languageOf(program: string): string {
  if (/\bantiphon\b|\btrack\(/.test(program)) return "";
  return TIDAL.test(program) ? "Tidal" : STRUDEL.test(program) ? "Strudel" : "";
}

/** The names of sounds by their banks: `tr909_bd` is of the bank tr909; those without a bank come first. */
export function banks(names: string[]): [string, string[]][] {
  const made = new Map<string, string[]>();
  for (const name of names) {
    const bank = /^([^_]+)_./.exec(name)?.[1] ?? "";
    made.set(bank, [...(made.get(bank) ?? []), name]);
  }
  return [...made].sort(([a], [b]) => a.localeCompare(b));
}

export interface SliderCall {
  value: number;
  low: number;
  high: number;
  /** Where the value stands in the text of the call. */
  from: number;
  to: number;
}

const NUMBER = String.raw`\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*`;
const CALL = new RegExp(`^slider\\(${NUMBER}(?:,${NUMBER}(?:,${NUMBER})?)?\\)$`);

/** What a call of `slider` with plain numbers draws; null for another text. */
export function sliderOf(text: string): SliderCall | null {
  const match = CALL.exec(text);
  if (!match) return null;
  const [value, low, high] = [match[1], match[2] ?? "0", match[3] ?? "1"].map(Number) as [number, number, number];
  if (!(low <= value && value <= high && low < high)) return null;
  const from = text.indexOf(match[1]!, "slider(".length);
  return { value, low, high, from, to: from + match[1]!.length };
}

/** A slider's value as it is written into the text. */
export function writtenValue(value: number, low: number, high: number): string {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(high - low)));
  return String(Number(Math.min(high, Math.max(low, value)).toFixed(Math.min(6, digits))));
}
