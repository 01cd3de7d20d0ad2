// The node that follows the player: how sure it is of the beat, and the player's place in its score.
import { computed } from "@preact/signals";
import { graph, playing, status, value } from "../model";

const has = (name: string) => (one: { readonly: boolean; name: string }) => one.readonly && one.name === name;

/** Name of the patch's first node that follows a player, "" without one. */
export const follower = computed(() => graph.value?.nodes.find((one) => one.params.some(has("sureness")))?.name ?? "");
/** What it reports under a name, as a number. */
export const reported = (name: string) => Number(value(`/node/${follower.value}/${name}`).value ?? 0);
const named = computed(() => follower.value !== "" && status.value.leads === follower.value);
/** Whether it leads the clock. */
export const leading = computed(() => named.value && playing.value);
/** Whether the clock stands until it leads. */
export const waiting = computed(() => named.value && !playing.value);
/** Whether the clock, which it leads, goes on by itself. */
export const coasting = computed(() => {
  const its = (name: string) => value(`/node/${follower.value}/${name}`).value;
  return !named.value && its("state") === "coasting" && its("drive") === "beat" && Boolean(its("on"));
});
/** Whether it follows a score, whose bars count. */
export const scored = computed(() => follower.value !== "" && Boolean(value(`/node/${follower.value}/score`).value));
/** How sure it is, 0 to 1; 1 where the clock follows none. */
export const sure = computed(() => (named.value ? reported("sureness") : coasting.value ? 0 : 1));

/** Whether a note is a beat of the player that such a node found. */
export function isBeat(one: { node: string; part: string }): boolean {
  return one.part === "notes" && one.node === follower.peek();
}
