// The player's place in the score that a node follows.
import { send } from "../link";
import { reported, scored } from "./follower";
import { noteName } from "./scale";

const AROUND = [-1, 0, 1, 2, 3, 4]; // bars beside the present one that a click goes to
const TIMES = ["first", "second", "third"]; // that a bar is played
const NEXT = ["next1", "next2", "next3"];

/** Bar, beat and coming notes of the score, and the bars around: a click goes there. */
export function Place() {
  if (!scored.value) return null;
  const bar = reported("place");
  const next = NEXT.map(reported).filter(Boolean).map(noteName).join(" ");
  const bars = AROUND.map((by) => Math.max(bar, 2) + by);
  const [beat, pass] = [reported("beat"), reported("pass")];
  return (
    <p class="place" aria-label="Place in the score">
      <strong>{bar ? `bar ${bar}${beat ? `, beat ${beat}` : ""}` : "before the first bar"}</strong>
      {pass > 0 && <em>{TIMES[pass - 1] ?? `${pass}th`} time</em>}
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
