// Which MIDI controller moves what: learned by a click, shown, and cleared by another; and the address by OSC.
import { useSignal } from "@preact/signals";
import { learn, unlearn } from "../link";
import { type Declared, learning, type Mapping, mappings, status } from "../model";

/** "cc 21 1" as it is shown: "CC 21, channel 1". */
export function written(control: string): string {
  const [kind, number, channel] = control.split(" ");
  return `${kind === "cc" ? "CC" : kind} ${number}${channel ? `, channel ${channel}` : ""}`;
}

export function mappingsOf(address: string): Mapping[] {
  // a patch names a parameter "node.param", which comes as an address too
  return mappings.value.filter((one) => one.address === address);
}

/** Where OSC moves a parameter: a number by its place from 0 to 1, as faders send. */
export function oscOf(node: string, param: Declared): string {
  if (node === "macro") return `/macro/${param.name}`;
  const place = (param.kind === "float" || param.kind === "int") && param.high !== null && param.low !== null;
  return `/node/${node}/${param.name}${place ? "/norm" : ""}`;
}

export function Learn({ address, name }: { address: string; name: string }) {
  const on = learning.value === address;
  const mapped = mappingsOf(address).length > 0;
  return (
    <button
      class={mapped ? "learn mapped" : "learn"}
      aria-pressed={on}
      onClick={() => learn(address)}
      title={
        on
          ? "Move a MIDI control now, or press this again to leave it"
          : `MIDI and OSC: learns a MIDI control for ${name}, and shows its OSC address`
      }
      aria-label={`Learn a MIDI control for ${name}`}>
      {mapped ? "•" : "◦"}
    </button>
  );
}

/** An OSC address, and a button that copies it. */
function Osc({ address }: { address: string }) {
  const copied = useSignal(false);
  const copy = () => void navigator.clipboard?.writeText(address).then(() => (copied.value = true));
  return (
    <span class="osc">
      OSC needs no learning: <code>{address}</code>
      {/\/(norm|macro\/[^/]+)(?=$)/.test(address) && " from 0 to 1"}
      <button onClick={copy}>{copied.value ? "Copied" : "Copy"}</button>
    </span>
  );
}

export function Mapped({ address, name, osc = address }: { address: string; name: string; osc?: string }) {
  const on = learning.value === address;
  const found = mappingsOf(address);
  if (!on && !found.length) return null;
  return (
    <small class="mapping">
      {on && (
        <em>
          {status.value.midi ? "Move a MIDI control." : "MIDI is off: end the server and start "}
          {!status.value.midi && <code>antiphon serve --midi</code>}
        </em>
      )}
      {on && <Osc address={osc} />}
      {found.map((one) => (
        <span key={`${one.control} ${one.port}`}>
          {written(one.control)}
          {one.port ? `, ${one.port}` : ", by the patch"}
          {one.port && (
            <button aria-label={`Clear the MIDI control of ${name}`} title="Clear" onClick={() => unlearn(address)}>
              ×
            </button>
          )}
        </span>
      ))}
    </small>
  );
}
