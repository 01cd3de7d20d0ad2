// The chord and the key that a node of the patch reports, as parameters in the unit "chord".
import { computed } from "@preact/signals";
import { chords, graph, value } from "../model";
import { chordName } from "./scale";

const MOST = 64;

/** The first node's; of its parameters in that unit the first is the chord, the second the key, others come next. */
export const chordNow = computed(() => {
  for (const node of graph.value?.nodes ?? []) {
    const found = node.params.filter((param) => param.readonly && param.unit === "chord");
    if (!found.length) continue;
    const [chord, key, ...next] = found.map((param) => chordName(value(`/node/${node.name}/${param.name}`).value));
    return { chord: chord ?? "", key: key ?? "", next: next.filter(Boolean) };
  }
  return { chord: "", key: "", next: [] };
});

/** Keeps the chords of the last seconds; called with every frame. */
export function noteChords(): void {
  const name = chordNow.peek().chord;
  if ((chords[chords.length - 1]?.name ?? "") === name) return;
  chords.push({ name, at: performance.now() });
  if (chords.length > MOST) chords.shift();
}

/** The chord that sounds, those to come and the key. */
export function Harmony() {
  const { chord, key, next } = chordNow.value;
  if (!chord) return null;
  return (
    <p class="chord">
      {chord}
      {next.length > 0 && <small>then {next.join(" ")}</small>}
      {key && <small>in {key}</small>}
    </p>
  );
}
