// The room Code: live scripts are edited, run on the bar, and followed while they play.
import { signal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { beatNow } from "../model";
import type { mount } from "./editor";
import {
  bar,
  changed,
  editor,
  enterRoom,
  firstText,
  fresh,
  live,
  me,
  name,
  openSet,
  printed,
  recognise,
  refusal,
  revert,
  run,
  save,
  saveAs,
  sets,
  showRunning,
  stop,
  text,
  unsaved,
  useOwnersToken,
  vocabulary,
  wanted,
} from "./store";

const EDITOR: string = "/page/code.js"; // no literal in the import, so that it stays a file of its own
const failed = signal("");

async function load(room: HTMLElement): Promise<void> {
  const [{ mount: made }] = (await Promise.all([import(EDITOR), enterRoom()])) as [{ mount: typeof mount }, void];
  const first = await firstText();
  editor.value ??= made(first, {
    run: () => void run(),
    stop: () => void stop(),
    save: () => void save(),
    leave: () => document.querySelector<HTMLElement>(".code")?.focus(),
    changed,
    vocabulary,
  });
  room.append(editor.value.dom);
  await recognise();
}

export function Code() {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const room = place.current!;
    if (editor.value) {
      room.append(editor.value.dom);
      editor.value.shown();
      void enterRoom();
    } else load(room).catch(() => (failed.value = "The editor cannot be loaded; read the page again."));
  }, []);
  useSignalEffect(() => {
    const now = live.value;
    editor.value?.fault(now?.fault?.version ?? 0, now?.fault ?? null);
  });
  return (
    <main class="code" aria-label="Code" tabIndex={-1}>
      <Tools />
      {live.value && !live.value.on && <Off />}
      {wanted.value && <Token />}
      <div class="editor" ref={place}>
        {failed.value && <p class="bad">{failed.value}</p>}
      </div>
      <Status />
    </main>
  );
}

function Tools() {
  const on = !!live.value?.on;
  const shipped = sets.value.filter((one) => !one.own);
  const own = sets.value.filter((one) => one.own);
  const known = sets.value.some((one) => one.name === name.value);
  return (
    <div class="code-tools">
      <button class="call" disabled={!on} title="Ctrl or ⌘ with Enter" onClick={() => void run()}>
        Run on the bar
      </button>
      <button
        disabled={!on || !(live.value?.playing || live.value?.reading)}
        title="Ctrl or ⌘ with ."
        onClick={() => void stop()}>
        Stop
      </button>
      <select aria-label="Script" value={name.value} onChange={(event) => void openSet(event.currentTarget.value)}>
        {!known && <option value={name.value}>{name.value}</option>}
        {own.length > 0 && (
          <optgroup label="Yours">
            {own.map((one) => (
              <option key={one.name} value={one.name}>
                {one.name}
              </option>
            ))}
          </optgroup>
        )}
        <optgroup label="Shipped">
          {shipped.map((one) => (
            <option key={one.name} value={one.name}>
              {one.name}
            </option>
          ))}
        </optgroup>
      </select>
      <span class="group">
        <button onClick={fresh}>New</button>
        <button title="Ctrl or ⌘ with S" disabled={!unsaved.value} onClick={() => void save()}>
          Save
        </button>
        <button onClick={() => void saveAs()}>Save as…</button>
        {unsaved.value && known && <button onClick={revert}>Revert</button>}
      </span>
      {unsaved.value && text.value && <small class="draft">not saved, kept in this browser</small>}
    </div>
  );
}

function Off() {
  return (
    <p class="off" role="note">
      This server evaluates no scripts. End it, and start it with <code>antiphon serve --live</code> on its machine;
      then what you run here plays. Until then you can read, edit and save.
    </p>
  );
}

function Token() {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <form
      class="owner"
      onSubmit={(event) => {
        event.preventDefault();
        const given = field.current!.value.trim();
        if (given) useOwnersToken(given);
      }}>
      <label>
        <span>
          {refusal.value
            ? `Not taken: ${refusal.value}.`
            : "A script is a program that runs with your rights, so this needs your token once."}{" "}
          It is in the file <code>token</code> of the configuration folder.
        </span>
        <input ref={field} type="password" autocomplete="off" aria-label="Token" />
      </label>
      <span class="group">
        <button class="call">Use it</button>
        <button type="button" onClick={() => (wanted.value = null)}>
          Not now
        </button>
      </span>
    </form>
  );
}

function Status() {
  const now = live.value;
  if (!now?.on) return null;
  const fault = now.fault;
  const mine = now.by === me;
  const title = now.name || "a script";
  return (
    <div class="code-status">
      <p role="status">
        {fault && (
          <button class="fault" onClick={() => editor.value?.focus(fault.line)}>
            {fault.line ? `Line ${fault.line}: ` : ""}
            {fault.sentence}
          </button>
        )}
        {fault && now.playing && (
          <span>{fault.version === now.version ? "The rest plays on." : "The last good version plays on."}</span>
        )}
        {!now.playing && !now.reading && !fault && (
          <span class="soft">Nothing plays. Ctrl or ⌘ with Enter runs the whole script on the next bar.</span>
        )}
        {now.reading && <span>It is read…</span>}
        {now.playing && !now.reading && (
          <span class={mine ? "" : "other"}>
            {mine ? title : `Another browser runs ${title}`}
            <Begins beat={now.begins} />
            {now.silent && " It is silent since the panic: run it again."}
          </span>
        )}
        {now.playing && !mine && <button onClick={() => void showRunning()}>Show it</button>}
      </p>
      {printed.value.length > 0 && <pre aria-label="Printed">{printed.value.join("\n")}</pre>}
    </div>
  );
}

/** When the version begins, and that it has begun. */
function Begins({ beat }: { beat: number }) {
  const at = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const write = () => {
      const left = Math.ceil(beat - beatNow());
      const said =
        left > 0
          ? ` begins at bar ${bar(beat)}, in ${left} ${left === 1 ? "beat" : "beats"}.`
          : ` plays since bar ${bar(beat)}.`;
      if (at.current && at.current.textContent !== said) at.current.textContent = said;
    };
    write();
    const timer = setInterval(write, 100);
    return () => clearInterval(timer);
  }, [beat]);
  return <span ref={at} aria-live="off" />;
}
