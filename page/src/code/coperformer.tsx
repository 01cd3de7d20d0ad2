// The co-performer and rehearsals: what waits is shown with its picture before it lands; a script is judged unheard.
import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Coperformer, Proposed } from "../api";
import { parts, send, token } from "../link";
import { editor, live, ownersAnswer, printed } from "./store";

const BARS = 4;
const state = signal<Coperformer | null>(null);
const picture = signal<ImageBitmap | null>(null);
const rehearsing = signal(false);

parts.set("coperformer", (part) => (state.value = part as Coperformer));
effect(() => {
  const waiting = state.value?.waiting;
  picture.value = null;
  if (waiting) void readPicture(waiting.id);
});

async function readPicture(id: string): Promise<void> {
  const headers = { Authorization: `Bearer ${token()}` };
  const answer = await fetch(`/api/mcp/proposals/${id}/picture`, { headers }).catch(() => null);
  // drawn, not an image of its own address: the page shows images of this server alone
  if (answer?.ok && state.value?.waiting?.id === id) picture.value = await createImageBitmap(await answer.blob());
}

/** Has the script judged unheard, beside what plays; the verdict stands below the text. */
async function rehearse(): Promise<void> {
  const script = editor.value?.text();
  if (script === undefined || rehearsing.value) return;
  rehearsing.value = true;
  try {
    let found = await ownersAnswer<Proposed>(() => void rehearse(), "POST", "/api/mcp/propose", {
      script,
      bars: BARS,
      own: true,
    });
    while (found?.state === "rehearsing") {
      found = await ownersAnswer<Proposed>(() => void rehearse(), "GET", `/api/mcp/proposals/${found.id}`);
    }
    if (found) printed.value = verdict(found);
  } finally {
    rehearsing.value = false;
  }
}

function verdict({ ok, why, figures }: Proposed): string[] {
  const bars = figures.bars as number[] | undefined;
  const levels = bars ? [`${bars.map((one) => one.toFixed(0)).join(" ")} LUFS a bar`] : [];
  const said = ok ? `Rehearsed ${BARS} bars: it can be played.` : "Rehearsed: it is better not played as it is.";
  return [said, ...why, ...levels, ...((figures.remarks as string[] | undefined) ?? [])];
}

export function Rehearse() {
  return (
    <button
      disabled={!live.value?.on || rehearsing.value}
      title={`Judges ${BARS} bars of it beside what plays, unheard`}
      onClick={() => void rehearse()}>
      {rehearsing.value ? "Rehearses…" : "Rehearse"}
    </button>
  );
}

/** The performer's switches, once an assistant has come, and what waits for Land or Veto. */
export function CoperformerPanel() {
  const now = state.value;
  if (!now) return null;
  return (
    <section class="off coperformer" aria-label="Co-performer">
      <label>
        Co-performer{" "}
        <select value={now.mode} onChange={(event) => send(`/mcp/${event.currentTarget.value}`)}>
          <option value="on">lands what was rehearsed</option>
          <option value="ask">asks each time</option>
          <option value="hold">holds</option>
          <option value="off">off</option>
        </select>
      </label>{" "}
      {now.landed > 0 && <button onClick={() => send("/mcp/undo")}>Undo its change</button>}
      <Locks locked={now.locked} />
      {now.waiting && (
        <div role="status">
          <p>
            <button class="call" onClick={() => send("/mcp/land")}>
              Land
            </button>{" "}
            <button onClick={() => send("/mcp/veto")}>Veto</button>
          </p>
          <pre>{now.waiting.diff}</pre>
          {picture.value && <Picture bitmap={picture.value} />}
        </div>
      )}
    </section>
  );
}

/** Tracks and loops whose notes the co-performer may not change. */
function Locks({ locked }: { locked: string[] }) {
  const names = new Set([...(live.value?.tracks ?? []).map(([name]) => name), ...locked]);
  return (
    <details>
      <summary>Locked tracks: {locked.join(", ") || "none"}</summary>
      {[...names].map((name) => (
        <label key={name}>
          <input
            type="checkbox"
            checked={locked.includes(name)}
            onChange={(event) => send(event.currentTarget.checked ? "/mcp/lock" : "/mcp/unlock", name)}
          />{" "}
          {name}{" "}
        </label>
      ))}
    </details>
  );
}

function Picture({ bitmap }: { bitmap: ImageBitmap }) {
  const place = useRef<HTMLCanvasElement>(null);
  useEffect(() => place.current?.getContext("2d")?.drawImage(bitmap, 0, 0), [bitmap]);
  const { width, height } = bitmap;
  return <canvas ref={place} width={width} height={height} role="img" aria-label="Spectrogram of its rehearsal" />;
}
