// What nodes tell the player in words: whose turn it is, what they wait for.
import { graph, playing, value } from "../model";
import { waiting } from "./follower";

const TURNS: Record<string, string> = {
  you: "Your turn",
  machine: "It answers: listen",
  nobody: "Begin when you like",
};
const TOLD = ["turn", "waits", "label"];
const TURN_TAKING = "trade"; // the mode of a node that has turns

interface Line {
  key: string;
  turn: string;
  text: string;
}

/** The choices that nodes report, in words; a first choice says that there is nothing to tell, but for turns. */
export function told(): Line[] {
  const stands = waiting.value ? "waits for you: play" : "is stopped";
  const lines: Line[] = playing.value ? [] : [{ key: "beat", turn: "", text: `The beat ${stands}` }];
  for (const { name, params } of graph.value?.nodes ?? []) {
    const now = (of: string) => String(value(`/node/${name}/${of}`).value ?? "");
    for (const param of params) {
      if (!param.readonly || param.kind !== "choice" || !TOLD.includes(param.name)) continue;
      const said = now(param.name) || String(param.default);
      const key = `${name} ${param.name}`;
      if (param.name !== "turn") said !== param.default && lines.push({ key, turn: "", text: `${key}: ${said}` });
      else if (now("mode") === TURN_TAKING) lines.push({ key, turn: `turn is-${said}`, text: TURNS[said] ?? said });
    }
  }
  return lines;
}

export function Told() {
  return (
    <div class="told" role="status">
      {told().map(({ key, turn, text }) => (
        <p key={key} class={turn}>
          {text}
        </p>
      ))}
    </div>
  );
}
