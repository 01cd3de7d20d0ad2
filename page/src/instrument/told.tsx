// What nodes tell the player in words: whose turn it is, what they wait for.
import { graph, value } from "../model";

const TURNS: Record<string, string> = {
  you: "Your turn",
  machine: "It answers: listen",
  nobody: "Begin when you like",
};
/** Their first choice says that there is nothing to tell. */
const NAMES = ["waits", "label"];

/** The choices that nodes report, in words; `turn` is told in large type. */
export function Told() {
  const all = (graph.value?.nodes ?? []).flatMap((node) =>
    node.params
      .filter((one) => one.readonly && one.kind === "choice" && (one.name === "turn" || NAMES.includes(one.name)))
      .map((param) => ({ node, param, now: String(value(`/node/${node.name}/${param.name}`).value ?? param.default) })),
  );
  const turns = (mode: string, name: string) => name !== "turn" || mode === "trade";
  return (
    <div class="told" role="status">
      {all
        .filter(({ node, param }) => turns(String(value(`/node/${node.name}/mode`).value ?? "trade"), param.name))
        .filter(({ param, now }) => param.name === "turn" || now !== param.default)
        .map(({ node, param, now }) => (
          <p key={`${node.name} ${param.name}`} class={param.name === "turn" ? `turn is-${now}` : ""}>
            {param.name === "turn" ? (TURNS[now] ?? now) : `${node.name} ${param.name}: ${now}`}
          </p>
        ))}
    </div>
  );
}
