// Machines of the network: approved and revoked by a click; a QR code that opens this page on a phone.
import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { download } from "../files/api";
import { ask, post, readMachines } from "../link";
import { graph, type Machine, machines, say, status } from "../model";

interface Address {
  host: string;
  url: string;
  rows: string[];
}
const codes = signal<Address[] | null>(null);
const busy = signal("");

async function decide(one: Machine): Promise<void> {
  busy.value = one.ip;
  const word = one.state === "held" ? "approve" : "forget";
  await post(`/api/surfaces/${word}`, { ip: one.ip });
  await readMachines();
  busy.value = "";
}

function age(one: Machine): string {
  if (one.state === "held") {
    const ago = one.seconds! < 60 ? `${one.seconds} s` : `${Math.round(one.seconds! / 60)} min`;
    return `sent ${one.messages} ${one.messages === 1 ? "message" : "messages"}, the last ${ago} ago`;
  }
  const until = one.seconds === null ? "from the start" : `for ${(one.seconds / 3600).toFixed(1)} h`;
  return `approved ${until}${one.subscriptions ? `, ${one.subscriptions} listening` : ""}`;
}

export function Surfaces() {
  const lan = Boolean(status.value.lan);
  const held = machines.value.filter((one) => one.state === "held").length;
  return (
    <div class="surfaces">
      <h2>
        Phones and controllers {held > 0 && <span class="bad">{held} to approve</span>}
        {lan && <button onClick={() => void open()}>Phone…</button>}
      </h2>
      {!lan && (
        <p class="soft">
          Only the machine that runs Antiphon may play. To open it to phones and controllers such as TouchOSC, end the
          server (Ctrl+C in its terminal) and start <code>antiphon serve --lan</code> in its place.
        </p>
      )}
      <p class="soft">OSC goes to port {String(status.value.osc_port ?? "…")}.</p>
      <button title="The faders, keys and feedback of this patch: open the file on the tablet" onClick={layout}>
        Download a TouchOSC layout
      </button>
      {lan && !machines.value.length && <p class="soft">No other machine has sent anything yet.</p>}
      <ul aria-live="polite">
        {machines.value.map((one) => (
          <li key={one.ip} class={one.state}>
            <span>
              <b>{one.ip}</b>
              <small>{age(one)}</small>
            </span>
            <button
              disabled={busy.value === one.ip}
              onClick={() => void decide(one)}
              aria-label={`${one.state === "held" ? "Approve" : "Revoke"} ${one.ip}`}>
              {one.state === "held" ? "Approve" : "Revoke"}
            </button>
          </li>
        ))}
      </ul>
      {codes.value && <Codes found={codes.value} />}
    </div>
  );
}

/** Saves the layout of the patch that plays. */
function layout(): void {
  const file = `${graph.value?.patch.toLowerCase()}.tosc`;
  void download(`/api/surfaces/${encodeURIComponent(file)}`, file);
}

async function open(): Promise<void> {
  const found = await ask<{ addresses: Address[] }>("/api/phone");
  if (found?.addresses.length) codes.value = found.addresses;
  else say("This machine has no address on a network; connect it, and start the server again.");
}

function Codes({ found }: { found: Address[] }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="codes" aria-label="This page on a phone" onClose={() => (codes.value = null)}>
      <p>Scan it on the same network; the phone will ask about the certificate, which is this server's own.</p>
      <p class="bad">The code holds the token: who has it may do everything here.</p>
      {found.map((one) => (
        <figure key={one.host}>
          <Code rows={one.rows} label={`QR code of the page at ${one.host}`} />
          <figcaption>{one.host}</figcaption>
        </figure>
      ))}
      <button onClick={() => dialog.current?.close()}>Close</button>
    </dialog>
  );
}

const BORDER = 4; // light modules around a code, by its standard

function Code({ rows, label }: { rows: string[]; label: string }) {
  const size = rows.length + 2 * BORDER;
  const dark = rows
    .flatMap((row, y) => [...row].map((one, x) => (one === "1" ? `M${x + BORDER} ${y + BORDER}h1v1h-1z` : "")))
    .join("");
  return (
    <svg viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={dark} fill="#000" />
    </svg>
  );
}
