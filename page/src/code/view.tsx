// The room Code: live scripts are edited, run on the bar, and followed while they play.
import { signal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { beatNow } from "../model";
import { TokenForm } from "../token";
import { Beside, beside } from "./beside";
import { CoperformerPanel, Rehearse } from "./coperformer";
import type { mount } from "./editor";
import { Gallery, gallery, showGallery } from "./gallery";
import {
  bar,
  changed,
  editor,
  enterRoom,
  fault,
  firstText,
  fresh,
  live,
  me,
  name,
  openSet,
  paste,
  pasted,
  plain,
  printed,
  quantum,
  readWords,
  recognise,
  refusal,
  revert,
  run,
  save,
  saveAs,
  sets,
  share,
  showRunning,
  slid,
  stop,
  terminal,
  text,
  together,
  translate,
  unsaved,
  vocabulary,
  wanted,
} from "./store";
import { languageOf } from "./words";

const EDITOR: string = "/page/code.js"; // no literal in the import, so that it stays a file of its own
const failed = signal("");

async function load(room: HTMLElement): Promise<void> {
  const [{ mount: made }] = (await Promise.all([import(EDITOR), enterRoom()])) as [{ mount: typeof mount }, void];
  const first = await firstText();
  editor.value ??= made(first, {
    run: (what) => void run(what),
    stop: () => void stop(),
    save: () => void save(),
    leave: () => document.querySelector<HTMLElement>(".after-editor")?.focus(),
    changed,
    pasted: paste,
    vocabulary,
    slid,
  });
  room.append(editor.value.dom);
  await recognise();
  void readWords();
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
    editor.value?.fault(fault.value?.version ?? 0, fault.value);
  });
  return (
    <main class="code" aria-label="Code" tabIndex={-1}>
      <Tools />
      {live.value && !live.value.on && <Off />}
      {wanted.value && <Token />}
      {pasted.value && <Pasted />}
      <CoperformerPanel />
      {gallery.value && <Gallery />}
      <div class="code-desk">
        <div class="editor" ref={place}>
          {failed.value && <p class="bad">{failed.value}</p>}
        </div>
        <span class="after-editor" tabIndex={-1} />
        {beside.value && <Beside />}
      </div>
      <Status />
      <Keys />
    </main>
  );
}

function Tools() {
  const on = !!live.value?.on;
  const named = (own: boolean) =>
    sets.value.filter((one) => one.own === own).map((one) => <option key={one.name}>{one.name}</option>);
  const known = sets.value.some((one) => one.name === name.value);
  return (
    <div class="code-tools">
      <span class="group">
        <button class="call" disabled={!on} title="Ctrl or ⌘ with Enter" onClick={() => void run("all")}>
          Run
        </button>
        <button
          disabled={!on}
          title="Alt with Enter: the lines around the cursor. Shift with Enter: the statement there"
          onClick={() => void run("block")}>
          Block
        </button>
      </span>
      <button
        disabled={!on}
        title="Plays the script from its first bar, beginning on the next bar line"
        onClick={() => void run("all", true)}>
        Top
      </button>
      <Rehearse />
      <button
        disabled={!on || !(live.value?.playing || live.value?.reading)}
        title="Ctrl or ⌘ with ."
        onClick={() => void stop()}>
        Stop
      </button>
      <select
        aria-label="Script"
        dir="auto"
        value={name.value}
        onChange={(event) => void openSet(event.currentTarget.value)}>
        {!known && <option>{name.value}</option>}
        {sets.value.some((one) => one.own) && <optgroup label="Yours">{named(true)}</optgroup>}
        <optgroup label="Shipped">{named(false)}</optgroup>
      </select>
      <span class="group">
        <button
          aria-pressed={gallery.value}
          title="The sets that ship, with pictures"
          onClick={() => showGallery(!gallery.value)}>
          Sets
        </button>
        <button onClick={fresh}>New</button>
        <button title="Ctrl or ⌘ with S" disabled={!unsaved.value} onClick={() => void save()}>
          Save
        </button>
        <button onClick={() => void saveAs()}>Save as…</button>
        {unsaved.value && known && <button onClick={revert}>Revert</button>}
      </span>
      <span class="group">
        <select
          aria-label="When it begins"
          value={String(quantum.value)}
          onChange={(event) => (quantum.value = Number(event.currentTarget.value))}>
          <option value="1">on the beat</option>
          <option value="0">on the bar</option>
          <option value="16">on four bars</option>
        </select>
      </span>
      <button
        aria-pressed={beside.value}
        title="Tracks, words and sounds beside the editor"
        onClick={() => (beside.value = !beside.value)}>
        Beside
      </button>
      <button
        aria-pressed={together.value !== null}
        title="Edit this script together with other pages of this server"
        onClick={() => void share()}>
        Share
      </button>
      {together.value && (
        <small class="together">
          {together.value.length ? `with ${together.value.join(", ")}` : "nobody else yet"}
        </small>
      )}
      {unsaved.value && text.value && <small class="draft">not saved, kept in this browser</small>}
    </div>
  );
}

const SIGNS = [...'"[]<>*~()'];

/** What keyboards of phones hide, and Run, below the thumbs. */
function Keys() {
  const stay = (event: PointerEvent) => event.preventDefault(); // the keyboard of the phone stays open
  return (
    <div class="code-keys" role="group" aria-label="Signs">
      {SIGNS.map((sign) => (
        <button key={sign} tabIndex={-1} onPointerDown={stay} onClick={() => editor.value?.type(sign)}>
          {sign}
        </button>
      ))}
      <button class="call" disabled={!live.value?.on} onPointerDown={stay} onClick={() => void run("all")}>
        Run
      </button>
    </div>
  );
}

function Off() {
  return (
    <p class="off" role="note">
      No script is run from here: {live.value?.start.replaceAll("`", "")}. You can read and edit.
    </p>
  );
}

function Pasted() {
  return (
    <p class="off" role="status">
      This is {languageOf(pasted.value)}. <button onClick={() => void translate()}>Translate</button>{" "}
      <button onClick={() => (pasted.value = "")}>Leave it</button>
    </p>
  );
}

export function Token() {
  return (
    <TokenForm
      kind="ask owner"
      why={
        refusal.value
          ? `Not taken: ${refusal.value}.`
          : "A script is a program that runs with your rights, so the page needs its key."
      }
      cancel={() => (wanted.value = null)}
    />
  );
}

function Status() {
  const now = live.value;
  const other = terminal.value;
  if (!now || !(now.on || other)) return null;
  const lines = [...(other?.printed ?? []), ...printed.value];
  const wrong = fault.value;
  // a script that is shared is that of all who share it
  const mine = now.by === me || together.value !== null;
  // what is run has a name of ASCII, the text here its own
  const title = (mine && now.name === plain(name.value) ? name.value : now.name) || "a script";
  return (
    <div class="code-status">
      <p role="status">
        {wrong && (
          <button class="fault" onClick={() => editor.value?.focus(wrong.line)}>
            {wrong.line ? `Line ${wrong.line}: ` : ""}
            {wrong.sentence}
          </button>
        )}
        {wrong && now.playing && (
          <span>{wrong.version === now.version ? "The rest plays on." : "The last good version plays on."}</span>
        )}
        {other && <span class="other">A terminal plays {other.name}.</span>}
        {!other && !now.playing && !now.reading && !wrong && (
          <span class="soft">
            Nothing plays.{" "}
            <span class="by-mouse">Ctrl or ⌘ with Enter runs the script, Alt with Enter the lines here.</span>
          </span>
        )}
        {now.reading && <span>Reading it…</span>}
        {now.playing && !now.reading && (
          <span class={mine ? "" : "other"}>
            {mine ? <bdi>{title}</bdi> : `Another browser runs ${title}; it`}
            <Begins beat={now.begins} />
            {now.silent && " It is silent since the panic: run it again."}
          </span>
        )}
        {now.playing && !mine && <button onClick={() => void showRunning()}>Show it</button>}
      </p>
      {lines.length > 0 && <pre aria-label="Printed">{lines.join("\n")}</pre>}
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
