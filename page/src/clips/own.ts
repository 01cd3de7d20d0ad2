// Any sound of the library on a pad: the sampler that plays its folder is found, or added to the patch.
import { signal } from "@preact/signals";
import { playersOf, readSounds, reread, sounds } from "../code/store";
import { request } from "../files/api";
import { sent } from "../files/state";
import { freeName } from "../instrument/edit";
import { ask, send } from "../link";
import { say } from "../model";
import { enter } from "../rooms";
import { COLUMNS, ROWS } from "./model";
import { chooseBeside, once, padAt } from "./play";

const LONGEST = 40; // letters of a sound's name, which is part of its clip's

/** Names of sounds, by the folder of the library; "" is the kit that ships. */
export const folders = signal<Record<string, string[]>>({});
/** The node whose pads are shown, and the place of the grid for which a sound is looked for; -1 for none. */
export const struck = signal("");
export const wanted = signal(-1);

export async function readFolders(): Promise<void> {
  folders.value = (await ask<Record<string, string[]>>("/api/live/folders")) ?? folders.value;
}

/** The sampler of the patch that plays a folder; one that is added goes to the output. */
async function player(library: string): Promise<string> {
  const [there] = playersOf(library);
  if (there) return there;
  const name = freeName(/^[a-z][a-z0-9_]*$/.test(library) ? library : library ? "sounds" : "kit");
  send("/node/add", "sampler", name);
  if (library) send(`/node/${name}/library`, library);
  send("/node/connect", name, "out");
  await once(() => playersOf(library).includes(name));
  return name;
}

interface PlayedAs {
  library: string;
  s: string;
  n: number;
}

/** Puts a sound on a place of the grid, or on the first free one. */
export async function toPad({ library, s, n }: PlayedAs, at = wanted.value): Promise<void> {
  wanted.value = -1;
  const node = await player(library);
  await Promise.all([readSounds(), readFolders()]);
  if (s.length > LONGEST) return say(`${s} has too long a name for a pad: at most ${LONGEST} letters.`);
  const named = n ? `${s}:${n}` : s;
  if (!sounds.value[node]?.includes(s)) return say(`A pad cannot play ${s}: export it as WAV, FLAC, OGG or MP3.`);
  const places = Array.from({ length: ROWS * COLUMNS }, (_, place) => place);
  const place = at >= 0 ? at : (places.find((one) => !padAt(one)) ?? -1);
  struck.value = node;
  if (place < 0) return say(`${named} is among the pads below; the grid has no free place.`, false, false, "Clips");
  await chooseBeside(place, `sound/0/${node}/${named}`);
  say(`${named} is on a pad. A press plays it from the next bar on.`, false, false, "Clips");
}

/** Puts files or results on pads; they are kept in the folder `files` of the library. */
export async function filesToPads(ids: string[], at = -1): Promise<void> {
  for (const id of ids) {
    const found = await request<{ kept: string }>("POST", `/api/files/${id}/keep`);
    if (!found) return;
    reread("files");
    await toPad({ library: "files", s: found.kept.replace(/\.[^.]*$/, ""), n: 0 }, at);
    at = -1;
  }
  void request("POST", "/api/library/analyse", {});
}

export async function trackToPad(id: number | string): Promise<void> {
  const found = await request<PlayedAs>("POST", `/api/library/tracks/${id}/keep`);
  if (!found) return;
  const back = wanted.value >= 0;
  await toPad(found);
  if (back) enter("Clips");
}

/** What is dropped on the room Clips, at a pad or beside them. */
export async function dropped(event: DragEvent): Promise<void> {
  const pad = (event.target as Element).closest<HTMLElement>("[data-place]");
  let at = Number(pad?.dataset.place ?? -1);
  const given = [...(event.dataTransfer?.files ?? [])];
  for (const { name } of given) say(`${name} is sent to the server…`, false);
  for (const file of given) {
    const [, stem = "", ending = ""] = /^(.*?)(\.[^.]*)?$/.exec(file.name)!;
    try {
      await filesToPads([await sent(new File([file], stem.slice(0, LONGEST) + ending))], at);
    } catch (error) {
      say(`${file.name} is on no pad: ${(error as Error).message}`);
    }
    at = -1;
  }
}
