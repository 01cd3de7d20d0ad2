// The set list: its patches in order, one click to each; edited and saved here.

import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { send } from "../link";
import { graph, patches, sets, status } from "../model";
import { Options } from "../options";

interface Edit {
  name: string;
  patches: string[];
}
const edit = signal<Edit | null>(null);

function change(listed: string[]): void {
  edit.value = { ...edit.value!, patches: listed };
}

function moved(listed: string[], from: number, by: number): string[] {
  const next = [...listed];
  const [one] = next.splice(from, 1);
  next.splice(from + by, 0, one!);
  return next;
}

function Editor({ draft }: { draft: Edit }) {
  const rows = useRef<HTMLOListElement>(null);
  const { name, patches: listed } = draft;
  const move = (place: number, by: number) => {
    change(moved(listed, place, by));
    // the focus goes with the row, so that it can be moved on by the same key
    setTimeout(() => rows.current?.children[place + by]?.querySelector<HTMLElement>(by < 0 ? ".up" : ".down")?.focus());
  };
  return (
    <>
      <ol ref={rows}>
        {listed.map((one, place) => (
          <li key={`${place} ${one}`}>
            <span dir="auto">{one}</span>
            <button class="up" aria-label={`Move ${one} up`} disabled={!place} onClick={() => move(place, -1)}>
              ↑
            </button>
            <button
              class="down"
              aria-label={`Move ${one} down`}
              disabled={place === listed.length - 1}
              onClick={() => move(place, 1)}>
              ↓
            </button>
            <button
              aria-label={`Take ${one} out of the set`}
              disabled={listed.length < 2}
              onClick={() => change(listed.filter((_, other) => other !== place))}>
              ×
            </button>
          </li>
        ))}
      </ol>
      <select
        aria-label="Add a patch to the set"
        value=""
        onChange={(event) => {
          if (event.currentTarget.value) change([...listed, event.currentTarget.value]);
          event.currentTarget.value = "";
        }}>
        <option value="">Add a patch…</option>
        <Options of={patches.value.map((patch) => patch.name)} />
      </select>
      <span class="group">
        <input
          aria-label="Name of the set list"
          value={name}
          maxLength={100}
          onInput={(event) => (edit.value = { ...draft, name: event.currentTarget.value })}
        />
        <button
          disabled={!name.trim()}
          onClick={() => {
            send("/set/save", name.trim(), ...listed);
            edit.value = null;
          }}>
          Save
        </button>
        <button onClick={() => (edit.value = null)}>Cancel</button>
      </span>
    </>
  );
}

export function SetList() {
  const set = status.value.set as { file: string; name: string; place: number; patches: string[] } | null | undefined;
  const draft = edit.value;
  const here = graph.value?.patch ?? "";
  return (
    <div class="setlist">
      <h2>
        Set list
        {set && !draft && (
          <span>
            {set.name}, {set.place} of {set.patches.length}
          </span>
        )}
      </h2>
      {draft ? (
        <Editor draft={draft} />
      ) : (
        <>
          {set && (
            <ol>
              {set.patches.map((one, place) => (
                <li key={`${place} ${one}`}>
                  <button
                    aria-current={set.place === place + 1 ? "true" : undefined}
                    onClick={() => send("/set/go", place + 1)}>
                    <small>{place + 1}</small> {one}
                  </button>
                </li>
              ))}
            </ol>
          )}
          <span class="group">
            <button
              onClick={() =>
                (edit.value = {
                  name: set?.file ?? "my set",
                  patches: set ? [...set.patches] : [here || patches.value[0]?.name || ""],
                })
              }>
              {set ? "Edit" : "New"}
            </button>
            {sets.value.length > 0 && (
              <select
                aria-label="Load a set list"
                value=""
                onChange={(event) => {
                  if (event.currentTarget.value) send("/set/load", event.currentTarget.value);
                  event.currentTarget.value = "";
                }}>
                <option value="">Load…</option>
                <Options of={sets.value} />
              </select>
            )}
          </span>
        </>
      )}
    </div>
  );
}
