// The node that follows the player: how sure it is of the beat, and the player's place in its score.
import { computed } from "@preact/signals";
import { send } from "../link";
import { graph, status, value } from "../model";
import { noteName } from "./scale";

const AROUND = [-1, 0, 1, 2, 3, 4]; // bars beside the present one that a click goes to
const NEXT = ["next1", "next2", "next3"];

const has = (name: string) => (one: { readonly: boolean; name: string }) => one.readonly && one.name === name;

/** Name of the patch's first node that follows a player, "" without one. */
export const follower = computed(() => graph.value?.nodes.find((one) => one.params.some(has("sureness")))?.name ?? "");
const reported = (name: string) => Number(value(`/node/${follower.value}/${name}`).value ?? 0);
/** How sure it is, 0 to 1; 1 where the clock has nobody to follow. */
export const sure = computed(() => (follower.value && status.value.leads ? reported("sureness") : 1));

/** Whether a note is a beat of the player that such a node found. */
export function isBeat(one: { node: string; part: string }): boolean {
  return one.part === "notes" && one.node === follower.peek();
}

/** Bar, beat and coming notes of the score, and the bars around: a click goes there. */
export function Place() {
  const name = follower.value;
  if (!name || !value(`/node/${name}/score`).value) return null;
  const bar = reported("place");
  const next = NEXT.map(reported).filter(Boolean).map(noteName).join(" ");
  const bars = AROUND.map((by) => Math.max(bar, 2) + by);
  return (
    <p class="place" aria-label="Place in the score">
      <strong>{bar ? `bar ${bar}, beat ${reported("beat")}` : "before the first bar"}</strong>
      {next && <small>then {next}</small>}
      {bars.map((one) => (
        <button
          key={one}
          aria-current={one === bar ? "location" : undefined}
          title={`Goes to bar ${one}`}
          onClick={() => send("/follow/go", one)}>
          {one}
        </button>
      ))}
    </p>
  );
}
