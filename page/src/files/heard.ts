// What was heard in a song, in the words of the card.

/** Beats of most bars; 0 where none is whole. */
export function beatsOfBar(beats: number[], downbeats: number[]): number {
  const firsts = downbeats.map((at) => beats.findIndex((beat) => Math.abs(beat - at) < 0.02)).filter((at) => at >= 0);
  const counts = new Map<number, number>();
  firsts.slice(1).forEach((at, n) => counts.set(at - firsts[n]!, (counts.get(at - firsts[n]!) ?? 0) + 1));
  return [...counts].sort((one, other) => other[1] - one[1])[0]?.[0] ?? 0;
}

const KINDS: Record<string, string> = {
  maj: "",
  min: "m",
  maj7: "maj7",
  min7: "m7",
  "7": "7",
  dim: "dim",
  aug: "aug",
  sus2: "sus2",
  sus4: "sus4",
  hdim7: "m7b5",
  dim7: "dim7",
  maj6: "6",
  min6: "m6",
  minmaj7: "m(maj7)",
};

/** A chord as one writes it: "A:min" is Am; its bass, a degree of it, is left out. */
export function written(label: string): string {
  const [root = "", kind = ""] = label.split("/")[0]!.split(":");
  return root + (KINDS[kind] ?? kind);
}

/** A moment of a song: "1:04.5". */
export function stamp(seconds: number): string {
  const tenths = Math.round(10 * seconds);
  const rest = tenths % 600;
  return `${Math.floor(tenths / 600)}:${String(Math.floor(rest / 10)).padStart(2, "0")}.${rest % 10}`;
}
