// The words that a node sings: the syllable that comes next is lit; a click goes to another, and the text can be typed.
import { computed, effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Sung } from "../api";
import { ask, send, set } from "../link";
import { graph, selected, value } from "../model";

const singers = computed(() =>
  (graph.value?.nodes ?? [])
    .filter((one) => one.params.some((param) => param.name === "lyrics"))
    .map((one) => one.name),
);
/** The node whose words are shown: the chosen one, else the first that sings. */
const singer = computed(() => (singers.value.includes(selected.value) ? selected.value : (singers.value[0] ?? "")));

/** The nodes that sing the words of this one, as a choir does: what is typed and clicked is for all of them. */
function together(node: string): string[] {
  const text = (one: string) => value(`/node/${one}/lyrics`).value;
  return singers.value.filter((one) => text(one) === text(node));
}

const sung = signal<Sung[]>([]);
const writing = signal(false);
effect(() => {
  const text = String(value(`/node/${singer.value}/lyrics`).value ?? "");
  if (text)
    void ask<Sung[]>(`/api/syllables?lyrics=${encodeURIComponent(text.replaceAll("\n", " / "))}`).then((found) => {
      // an answer that is late is of a text that has gone
      if (text === value(`/node/${singer.peek()}/lyrics`).peek()) sung.value = found ?? [];
    });
  else sung.value = [];
});

/** The lines of a text: of each the numbers of its syllables, which join to the word before where it is the same. */
export function linesOf(all: Sung[]): number[][] {
  const lines: number[][] = [];
  all.forEach(({ line }, place) => (lines[line] ??= []).push(place));
  return lines.filter(Boolean);
}

export function Lyrics() {
  const lit = useRef<HTMLButtonElement>(null);
  const node = singer.value;
  const next = Number(value(`/node/${node}/next`).value ?? 0);
  useEffect(() => lit.current?.scrollIntoView({ block: "nearest" }), [next, sung.value]);
  if (!node) return null;
  const address = `/node/${node}/lyrics`;
  const end = (text: string) => {
    writing.value = false;
    if (text !== String(value(address).value)) for (const one of together(node)) set(`/node/${one}/lyrics`, text);
  };
  if (writing.value)
    return (
      <textarea
        class="lyrics"
        aria-label={`What ${node} sings; a hyphen divides a word`}
        defaultValue={String(value(address).value ?? "").replaceAll(/\s*\/\s*/g, "\n")}
        ref={(field) => field?.focus()}
        onKeyDown={(event) => {
          if (event.key === "Escape") event.currentTarget.blur();
          event.stopPropagation();
        }}
        onBlur={(event) => end(event.currentTarget.value.trim().replaceAll(/\s*\n+\s*/g, " / "))}
      />
    );
  return (
    <div class="lyrics" role="group" aria-label={`What ${node} sings`}>
      <button onClick={() => (writing.value = true)}>Words…</button>
      {linesOf(sung.value).map((line, at) => (
        <p key={at}>
          {line.map((place) => {
            const one = sung.value[place]!;
            const joins = sung.value[place + 1]?.word === one.word && sung.value[place + 1]?.line === one.line;
            return (
              <button
                key={place}
                ref={place === next ? lit : undefined}
                class={place === next ? "syllable next" : "syllable"}
                aria-current={place === next}
                title="The next note sings this one"
                onClick={() => {
                  for (const one of together(node)) send(`/node/${one}/syllable`, place);
                }}>
                {one.text}
                {joins ? "-" : " "}
              </button>
            );
          })}
        </p>
      ))}
    </div>
  );
}
