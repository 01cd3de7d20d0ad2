// Which MIDI controller moves what: learned by a click, shown, and cleared by another.
import { learn, unlearn } from "../link";
import { learning, type Mapping, mappings } from "../model";

/** "cc 21 1" as it is shown: "CC 21, channel 1". */
export function written(control: string): string {
  const [kind, number, channel] = control.split(" ");
  return `${kind === "cc" ? "CC" : kind} ${number}${channel ? `, channel ${channel}` : ""}`;
}

export function mappingsOf(address: string): Mapping[] {
  // a patch names a parameter "node.param", which comes as an address too
  return mappings.value.filter((one) => one.address === address);
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
        on ? "Move a MIDI control now, or click again to leave it" : `Learn: move a MIDI control and it moves ${name}`
      }
      aria-label={`Learn a MIDI control for ${name}`}>
      {mapped ? "•" : "◦"}
    </button>
  );
}

export function Mapped({ address, name }: { address: string; name: string }) {
  const on = learning.value === address;
  const found = mappingsOf(address);
  if (!on && !found.length) return null;
  return (
    <small class="mapping">
      {on && <em>Move a MIDI control.</em>}
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
