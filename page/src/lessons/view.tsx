// The room Learn: paths of lessons, each with text, something that plays at once, and a check that listens.
import { signal, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Lesson } from "../api";
import { unheard } from "../audio";
import { Unheard } from "../clips/pads";
import type { mount } from "../code/editor";
import { enterRoom, lessonEditor, live, readWords, stop, vocabulary, wanted } from "../code/store";
import { Token } from "../code/view";
import { asked, headers } from "../files/api";
import { pair, pause, SIDES, side, playing as sounds } from "../files/sound";
import { follow as followFiles } from "../files/state";
import { Token as FilesToken } from "../files/view";
import { eachFrame } from "../frames";
import { endInput, microphone, playFile, source } from "../input";
import { Control } from "../instrument/controls";
import { useMeters } from "../instrument/meters";
import { Piano } from "../instrument/piano";
import { noteName } from "../instrument/scale";
import { arrived, connection, send } from "../link";
import { graph, macros, missedLately, notes, say, status, takesNotes } from "../model";
import {
  answer,
  begin,
  busy,
  changed,
  done,
  draftOf,
  fault,
  follow,
  hears,
  keyOf,
  lesson,
  listens,
  next,
  open,
  paths,
  put,
  readLessons,
  run,
  work,
} from "./state";

const EDITOR: string = "/page/code.js"; // as in the room Code
const lost = signal("");
/** Whom a path is for. */
const FOR: Record<string, string> = {
  code: "Type a line and hear it. No instrument is needed.",
  play: "Play the keys here, a guitar, or a voice: your own, or a recorded one.",
  files: "Begin with the sounds that are here, then use your own.",
  send: "From TouchOSC, Tidal, SuperCollider, Pure Data, Python, a keyboard.",
};

export function Learn() {
  useEffect(() => {
    void readLessons();
    void arrived.then(enterRoom);
  }, []);
  useSignalEffect(() => {
    if (connection.value === "open") void readLessons(); // of a server that was away before
  });
  const one = lesson.value;
  return (
    <main class="learn-room" aria-label="Learn" tabIndex={-1}>
      {one ? <Opened key={keyOf(one)} one={one} /> : <Paths />}
    </main>
  );
}

function Paths() {
  return (
    <section class="lesson-paths" aria-label="Lessons">
      <p class="lead">What do you come with? Each lesson takes some five minutes, and you hear all of it.</p>
      {!paths.value.length && <p class="soft">Reading the lessons…</p>}
      {paths.value
        .filter((path) => path.lessons.length)
        .map((path) => (
          <div key={path.path}>
            <h2>{path.title}</h2>
            <p class="soft">{FOR[path.path]}</p>
            <ol>
              {path.lessons.map((one) => (
                <li key={one.name}>
                  <button onClick={() => open(one)}>
                    <b>{one.title}</b>
                    {done.value.has(keyOf(one)) && (
                      <span class="tick" role="img" aria-label="done">
                        ✓
                      </span>
                    )}
                  </button>
                </li>
              ))}
            </ol>
          </div>
        ))}
    </section>
  );
}

function Opened({ one }: { one: Lesson }) {
  const shown = useSignal<"" | "hint" | "solution">("");
  const top = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    top.current?.focus();
    const ends = [follow(one), one.kind === "file" ? followFiles() : () => undefined];
    return () => {
      for (const end of ends) end();
    };
  }, []);
  const row = paths.value.find((path) => path.path === one.path)!;
  const place = row.lessons.findIndex((other) => other.name === one.name);
  const said = answer.value;
  const scripted = one.kind === "events";
  const silent = unheard.value && one.kind !== "file";
  const passed = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    if (said?.passed) passed.current?.scrollIntoView({ block: "nearest" });
  }, [said?.passed]);
  return (
    <>
      <section class="lesson-text" aria-label="Lesson">
        <p class="way">
          <button onClick={() => open(null)}>All lessons</button>{" "}
          <small>
            {row.title}, {place + 1} of {row.lessons.length}
          </small>
        </p>
        <h2 ref={top} tabIndex={-1}>
          {one.title}
        </h2>
        {one.steps.map((step) => (
          <article key={step.title}>
            <h3>{step.title}</h3>
            <Markdown text={step.text} scripted={scripted} />
          </article>
        ))}
      </section>
      <section class="lesson-desk" aria-label="Try it">
        <p class="task">
          <b>Your turn.</b> {one.task}
        </p>
        {silent && <Unheard />}
        {one.kind !== "file" && <Loudness of="out" name="What sounds" />}
        {scripted ? wanted.value && <Token /> : asked.value && <FilesToken />}
        {scripted ? <Script one={one} /> : <Desk one={one} />}
        <p class="group">
          <button aria-pressed={shown.value === "hint"} onClick={() => (shown.value = shown.value ? "" : "hint")}>
            Hint
          </button>
          {scripted && (
            <button
              aria-pressed={shown.value === "solution"}
              onClick={() => (shown.value = shown.value === "solution" ? "" : "solution")}>
              One solution
            </button>
          )}
          {said?.passed && (
            <button class="call" onClick={() => open(next.value)}>
              {next.value ? `Next: ${next.value.title}` : "The path is done"}
            </button>
          )}
        </p>
        <div class="lesson-said" role="status">
          {busy.value && <p>{busy.value}</p>}
          {(!said || (one.patch && !plays(one))) && listens(one) && (
            <p>
              {one.patch && !plays(one)
                ? `First load the patch ${one.patch}, by the button above.`
                : hears(one)
                  ? "It listens."
                  : source.value === "off"
                    ? "It listens once you have chosen a voice above."
                    : "Nothing has come from it yet. Sing nearer to the microphone, or louder."}
            </p>
          )}
          {said && (said.passed || !one.patch || plays(one) || !listens(one)) && (
            <p ref={passed} class={said.passed ? "right" : "other"}>
              <b>{said.passed ? "Right. " : listens(one) ? "So far: " : "Not yet. "}</b>
              {said.passed && silent && "You do not hear it yet: press Listen above. "}
              {said.answer}
            </p>
          )}
          {one.sound && source.value !== "off" && <HeardNotes />}
          {one.sound && missedLately.value > 0 && (
            <p class="bad">The sound has gaps, as this machine is busy: what it hears may be wrong.</p>
          )}
          {said && said.came.length > 0 && (
            <ul aria-label="What came">
              {said.came.map((text, place) => (
                <li key={place}>
                  <code>{text}</code>
                </li>
              ))}
            </ul>
          )}
          {shown.value === "hint" && <p>{one.hint}</p>}
          {shown.value === "solution" && <pre>{one.solution}</pre>}
        </div>
      </section>
      {one.keys && takesNotes.value && <Piano />}
    </>
  );
}

/** The script of a lesson: played and checked by one button. */
function Script({ one }: { one: Lesson }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let here = true;
    void import(EDITOR).then(
      ({ mount: made }: { mount: typeof mount }) => {
        if (!here) return;
        lessonEditor.value = made(draftOf(one), {
          run: () => void run(),
          stop: () => void stop(),
          save: () => undefined,
          leave: () => document.querySelector<HTMLElement>(".after-lesson")?.focus(),
          changed,
          pasted: () => undefined,
          vocabulary,
          slid: () => undefined,
        });
        place.current?.append(lessonEditor.value.dom);
        void readWords();
      },
      () => (lost.value = "The editor cannot be loaded; read the page again."),
    );
    return () => {
      here = false;
      lessonEditor.value = null;
    };
  }, []);
  useSignalEffect(() => {
    lessonEditor.value?.fault(fault.value?.version ?? 0, fault.value);
  });
  const off = live.value && !live.value.on;
  return (
    <>
      <div class="editor" ref={place}>
        {lost.value && <p class="bad">{lost.value}</p>}
      </div>
      <span class="after-lesson" tabIndex={-1} />
      {off && <p class="off">No script is run from here: {live.value?.start.replaceAll("`", "")}.</p>}
      <p class="group">
        <button
          class="call lesson-run"
          disabled={!live.value?.on || !lessonEditor.value}
          title="Ctrl or ⌘ with Enter"
          onClick={() => void run()}>
          Run
        </button>
        <button disabled={!live.value?.playing} title="Ctrl or ⌘ with ." onClick={() => void stop()}>
          Stop
        </button>
        <button
          onClick={() => {
            lessonEditor.value?.show(one.start);
            changed(one.start);
          }}>
          Begin anew
        </button>
      </p>
    </>
  );
}

const plays = (one: Lesson) => graph.value?.patch.toLowerCase() === one.patch;

/** A sound that ships, as what the server hears. */
async function sing(name: string): Promise<void> {
  const found = await fetch(`/api/examples/${name}`, { headers: headers() }).catch(() => null);
  if (!found?.ok) return say("The server did not send the sound; try again.");
  await playFile(new File([await found.arrayBuffer()], name));
}

/** How loud the input or the output is. */
function Loudness({ of, name }: { of: "in" | "out"; name: string }) {
  const box = useRef<HTMLSpanElement>(null);
  useMeters(box);
  return (
    <span class="loudness" ref={box}>
      <small>{name}</small>
      <span class="level" data-node={of}>
        <i />
      </span>
    </span>
  );
}

const NOTES = 8;

/** The last notes that the patch has heard in the input, by name. */
function HeardNotes() {
  const text = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const from = performance.now();
    return eachFrame(() => {
      const own = notes.filter((one) => !one.played && one.from > from && listener(one.node)).slice(-NOTES);
      const names = own.map((one) => noteName(one.note)).join(" ") || "no note yet";
      if (text.current && text.current.textContent !== names) text.current.textContent = names;
    });
  }, [source.value]);
  return (
    <p>
      It hears: <span ref={text} />
    </p>
  );
}

/** Whether a node makes notes of sound. */
function listener(name: string): boolean {
  const one = graph.peek()?.nodes.find((other) => other.name === name);
  return !!one?.inputs.some((port) => port.kind === "audio") && one.outputs.some((port) => port.kind === "events");
}

/** What is moved, played and sung in a lesson without a script. */
function Desk({ one }: { one: Lesson }) {
  const own = plays(one);
  const on = source.value !== "off";
  return (
    <>
      {one.kind !== "file" && one.patch && !own && (
        <p>
          <button class="call" onClick={begin}>
            Load the patch {one.patch}
          </button>
        </p>
      )}
      {one.kind !== "file" && one.patch && own && <p class="soft">The patch {one.patch} plays.</p>}
      {own && one.controls.length > 0 && (
        <div class="params" role="group" aria-label="Controls">
          {one.controls.map((address) => {
            const [, , name, param] = address.split("/");
            const found = graph.value?.nodes.find((node) => node.name === name);
            const of = name === "macro" ? macros.value : (found?.params ?? []);
            const declared = of.find((other) => other.name === param);
            const label = declared?.label ?? `${name} ${param}`;
            if (!declared) return null;
            const doc = declared.doc === label ? "" : declared.doc;
            return <Control key={address} node={name!} param={{ ...declared, label, doc }} />;
          })}
        </div>
      )}
      {one.sound && one.kind !== "file" && (
        <p class="group">
          <button disabled={on} onClick={() => void sing(one.sound)}>
            Play a recorded voice
          </button>
          <button disabled={on} onClick={() => void microphone()}>
            Use my microphone
          </button>
          {on && <button onClick={endInput}>End it</button>}
          {on && <Loudness of="in" name="You are" />}
          <small class="soft">
            Wear headphones, or your microphone hears the loudspeakers too.{" "}
            {status.value.headphones && <button onClick={() => send("/headphones", 0)}>No headphones</button>}
          </small>
        </p>
      )}
      {one.kind === "file" && (
        <p class="group">
          {one.work.map(({ title }) => (
            <button key={title} disabled={!!busy.value} onClick={() => void work(title)}>
              {title}
            </button>
          ))}
          {sounds.value && <button onClick={pause}>Stop</button>}
          {pair.value?.B &&
            !busy.value &&
            SIDES.map((each) => (
              <button key={each} aria-pressed={side.value === each} onClick={() => (side.value = each)}>
                {each === "A" ? "As it was" : "As it is now"}
              </button>
            ))}
        </p>
      )}
    </>
  );
}

/** Paragraphs with code and bold words, and blocks of code that can be tried or copied. */
function Markdown({ text, scripted }: { text: string; scripted: boolean }) {
  return (
    <>
      {text.split(/^```\w*\n([\s\S]*?)^```$/m).map((part, place) =>
        place % 2 ? (
          <Block key={place} text={part.trimEnd()} scripted={scripted} />
        ) : (
          part
            .split(/\n\s*\n/)
            .filter((one) => one.trim())
            .map((one) => <p key={one}>{inline(one)}</p>)
        ),
      )}
    </>
  );
}

function Block({ text, scripted }: { text: string; scripted: boolean }) {
  const copied = useSignal(false);
  const copy = () => void navigator.clipboard?.writeText(text).then(() => (copied.value = true));
  return (
    <div class="block">
      <pre>{text}</pre>
      {scripted ? (
        <button disabled={!live.value?.on} title="Puts it into the script and plays it" onClick={() => put(text)}>
          Try
        </button>
      ) : (
        <button onClick={copy}>{copied.value ? "Copied" : "Copy"}</button>
      )}
    </div>
  );
}

function inline(text: string) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*]+\*)/).map((part, place) => {
    if (place % 2 === 0) return part;
    if (part.startsWith("`")) return <code key={place}>{part.slice(1, -1)}</code>;
    return part.startsWith("**") ? <b key={place}>{part.slice(2, -2)}</b> : <em key={place}>{part.slice(1, -1)}</em>;
  });
}
