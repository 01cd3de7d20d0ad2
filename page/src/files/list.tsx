// The files: dropped or chosen, sent with progress, chosen for work, removed.
import { untracked, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Recording } from "../api";
import { filesToPads } from "../clips/own";
import { kept, keysCame, token } from "../link";
import { recorded, recording } from "../model";
import { asked, download, fetched, request, shortSize } from "./api";
import { Examples } from "./examples";
import { listen } from "./sound";
import {
  ACCEPT,
  choose,
  chosen,
  clock,
  drop,
  files,
  isNotes,
  keep,
  overviews,
  remove,
  type Stored,
  upload,
  uploads,
} from "./state";

export function FileList() {
  const field = useRef<HTMLInputElement>(null);
  const sure = useSignal(false);
  const list = useRef<HTMLUListElement>(null);
  const marked = files.value.filter((one) => chosen.value.has(one.id));
  const sounds = marked.filter((one) => !isNotes(one.name)).map((one) => one.id);
  const all = files.value.length > 0 && marked.length === files.value.length;
  const pressed = (event: KeyboardEvent) => {
    const boxes = [...list.current!.querySelectorAll<HTMLInputElement>("input")];
    const at = boxes.indexOf(event.target as HTMLInputElement);
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && boxes[at + by]) {
      const next = boxes[at + by]!;
      next.focus();
      if (event.shiftKey && boxes[at]?.checked) choose(next.value, true);
    } else if (event.key === "Delete" && marked.length) sure.value = true;
    else if (event.key === "a" && (event.ctrlKey || event.metaKey))
      chosen.value = new Set(files.value.map((one) => one.id));
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <section class="column list" aria-label="Files on the server">
      <h2>
        Files
        {files.value.length > 1 && (
          <label class="all">
            <input
              type="checkbox"
              checked={all}
              onChange={() => (chosen.value = new Set(all ? [] : files.value.map((one) => one.id)))}
            />{" "}
            all
          </label>
        )}
        {sounds.length > 0 && (
          <>
            <button
              class="small"
              title="Library then shows what is chosen here among its sounds, and finds it by name"
              onClick={() => void keep(sounds)}>
              Into the library
            </button>
            <button class="small" title="A pad of Clips then plays it" onClick={() => void filesToPads(sounds)}>
              To a pad
            </button>
          </>
        )}
        {marked.length > 0 && (
          <button
            class="small"
            onBlur={() => (sure.value = false)}
            onClick={() => {
              if (sure.value) void remove(marked.map((one) => one.id));
              sure.value = !sure.value;
            }}>
            {sure.value
              ? `Delete ${marked.length === 1 ? marked[0]!.name : `${marked.length} files`}: sure?`
              : "Delete"}
          </button>
        )}
      </h2>
      <button class="dropzone" onClick={() => field.current?.click()}>
        <b>Choose files</b>
        <span class="by-mouse"> or drop them here</span>
        <small>Sound or MIDI, 512 MB each at most</small>
      </button>
      <Examples />
      <input
        ref={field}
        type="file"
        multiple
        accept={ACCEPT}
        hidden
        aria-label="Files to send"
        onChange={(event) => {
          upload(event.currentTarget.files ?? []);
          event.currentTarget.value = "";
        }}
      />
      <ul class="uploads" aria-label="Files that are being sent">
        {uploads.value.map((one) => (
          <li key={one.key}>
            <span class="file-name" dir="auto">
              {one.file.name}
            </span>
            {one.error ? (
              <small class="bad" role="alert">
                {one.error}
              </small>
            ) : (
              <progress max={1} value={one.progress} aria-label={`Sending ${one.file.name}`} />
            )}
            <button
              class="small"
              aria-label={one.error ? `Dismiss ${one.file.name}` : `Cancel sending ${one.file.name}`}
              onClick={() => drop(one.key)}>
              ×
            </button>
          </li>
        ))}
      </ul>
      <ul class="stored" ref={list} onKeyDown={pressed} aria-label="Files">
        {[...files.value].reverse().map((one) => (
          <Row key={one.id} file={one} />
        ))}
      </ul>
      <Recordings />
    </section>
  );
}

const SHOWN = 12; // recordings that are listed before more are asked for

/** What the server recorded: its output, tracks, which come as one zip file, and what was captured. */
function Recordings() {
  const found = useSignal<Recording[] | null>(null);
  const all = useSignal(false);
  const now = recording.value;
  const locked = !token() && !asked.value;
  const read = async () => (found.value = await request<Recording[]>("GET", "/api/recordings"));
  useSignalEffect(() => {
    // what changes the list: a capture, a recording that begins or ends, a key that came
    [kept.value, keysCame.value, asked.value, recorded.value];
    if (token()) untracked(() => void read());
  });
  const shown = found.value?.slice(0, all.value ? undefined : SHOWN);
  return (
    <details class="recordings" open onToggle={(event) => event.currentTarget.open && token() && void read()}>
      <summary>Recordings{found.value?.length ? ` (${found.value.length})` : ""}</summary>
      {now && (
        <p class="recorded" role="status">
          <i aria-hidden="true">●</i> All that sounds is recorded since {hour(now.since)}, whether the beat runs or not.
          {found.value?.some((one) => one.name === now.name) && " It comes up to now, and goes on."} “Record” in
          Instrument, Play, makes a take of its own.
        </p>
      )}
      {locked && (
        <p class="soft">
          They are their owner’s. <button onClick={() => void read()}>Show them</button>
        </p>
      )}
      {found.value?.length === 0 && (
        <p class="soft">
          Nothing is recorded yet. “Capture” in Instrument keeps what has just sounded; “Record” is in the stage view:
          Stage above, or Play on a phone.
        </p>
      )}
      <ul>
        {shown?.map((one) => (
          <Recorded key={one.name} one={one} goesOn={one.name === now?.name} />
        ))}
      </ul>
      {found.value && shown && shown.length < found.value.length && (
        <button onClick={() => (all.value = true)}>All {found.value.length}</button>
      )}
    </details>
  );
}

const SMALL_BYTES = 20_000; // of a small file, a second
const TIMED = /^(.*?)-?\d{4}-\d\d-\d\d.*$/; // a name that is a time

/** A recording: heard in the page, or saved, the small file first. */
function Recorded({ one, goesOn }: { one: Recording; goesOn: boolean }) {
  const sound = useSignal("");
  const { name, bytes, tracks, capture, seconds, mix, small } = one;
  const path = `/api/recordings/${encodeURIComponent(name)}`;
  const plain = tracks ? name : name.replace(/\.[^.]*$/, "");
  const date = new Date((one.ended - seconds) * 1000);
  const when = date.toLocaleString([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  const of = TIMED.exec(name)?.[1];
  const word = tracks ? "Take" : capture ? `Captured ${of ?? ""}` : "Everything";
  const files: [string, string, string][] = []; // what each is called, where it is, the name that it is saved by
  if (small)
    files.push([`${small.toUpperCase()} ${shortSize(seconds * SMALL_BYTES)}`, "?form=small", `${plain}.${small}`]);
  if (mix) files.push([`WAV ${shortSize(mix)}`, "?form=mix", `${name}.wav`]);
  files.push([`${tracks ? "Tracks" : "WAV"} ${shortSize(bytes)}`, "", tracks ? `${name}.zip` : name]);
  const hear = async () => {
    const found = await fetched(`${path}?form=small`);
    if (found) sound.value = URL.createObjectURL(found);
  };
  useEffect(() => () => URL.revokeObjectURL(sound.value), [sound.value]);
  return (
    <li>
      {small && (
        <button class="small" aria-label={`Play ${name}`} onClick={() => void hear()}>
          ▶
        </button>
      )}
      <span class="file-name" dir="auto" title={name}>
        {of === undefined ? plain : word}, {when}
      </span>
      <small>
        {goesOn && "so far "}
        {seconds > 0 && clock(seconds)}
      </small>
      {sound.value && <audio controls autoplay src={sound.value} aria-label={name} />}
      <span class="group">
        <small>Save</small>
        {files.map(([text, form, saved], at) => (
          <button
            key={form}
            class="small"
            aria-label={`Download ${name}${at ? `: ${text}` : ""}`}
            onClick={() => void download(path + form, saved, true)}>
            {text}
          </button>
        ))}
      </span>
    </li>
  );
}

function hour(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function Row({ file }: { file: Stored }) {
  const known = overviews.value[file.id];
  const notes = isNotes(file.name);
  return (
    <li class={chosen.value.has(file.id) ? "chosen" : ""}>
      <label
        title="A click on the name chooses this one alone; its tick adds it to what is chosen"
        onClick={(event) => {
          if (event.target instanceof HTMLInputElement) return;
          event.preventDefault();
          chosen.value = new Set([file.id]);
        }}>
        <input
          type="checkbox"
          value={file.id}
          checked={chosen.value.has(file.id)}
          onChange={(event) => choose(file.id, event.currentTarget.checked)}
        />
        <span class="file-name" dir="auto" title={file.name}>
          {file.name}
        </span>
        {typeof known === "object" && known.peaks.length > 0 && <Peaks values={known.peaks} />}
        <small class={typeof known === "string" ? "bad" : ""}>
          {typeof known === "string"
            ? known
            : known
              ? `${clock(known.seconds)}, ${notes ? `${known.notes} notes` : known.channels === 1 ? "mono" : known.channels === 2 ? "stereo" : `${known.channels} channels`}, ${shortSize(file.bytes)}`
              : shortSize(file.bytes)}
        </small>
      </label>
      {!notes && (
        <button class="small" aria-label={`Listen to ${file.name}`} onClick={() => void listen(file.id)}>
          ▶
        </button>
      )}
    </li>
  );
}

function Peaks({ values }: { values: number[] }) {
  const most = Math.max(0.02, ...values);
  const path = values
    .map((one, at) => `M${at + 0.5} ${12 - (11 * one) / most}V${12 + (11 * one) / most + 0.4}`)
    .join("");
  return (
    <svg class="peaks" viewBox={`0 0 ${values.length} 24`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}
