// The library as the page knows it: the map, what is selected and what plays, what comes next.
import { computed, effect, signal } from "@preact/signals";
import type { Finding, FitMatches, Map as LibraryMap, MapTrack, Matches } from "../api";
import { STOPPED, watch } from "../context";
import { ask, keysCame, lacksToken, token } from "../link";
import { say } from "../model";

export type { MapGenre as Group, MapTrack as Track } from "../api";

export type Kind = "like" | "skip" | "dislike";
export type Selection = { kind: "track"; id: number } | { kind: "artist" | "genre"; name: string } | null;

export const map = signal<LibraryMap | null>(null);
export const selection = signal<Selection>(null);
export const playing = signal<number | null>(null);
export const following = signal<MapTrack[]>([]);
export const fitting = signal<FitMatches["matches"]>([]);
/** What analyses found in the selected track. */
export const findings = signal<Finding[]>([]);
/** Names of what was captured: files that stand on the map once they are added. */
export const captured = signal<string[]>([]);
export const problem = signal("");
export const tokenNeeded = signal(false);
/** Where the map is to go: set by a search, read by the canvas. */
export const target = signal<{ x: number; y: number; close: boolean } | null>(null);

export const tracks = computed(() => new Map((map.value?.tracks ?? []).map((track) => [track.id, track])));
export const artists = computed(() => new Map((map.value?.artists ?? []).map((artist) => [artist.name, artist])));
export const genres = computed(() => new Map((map.value?.genres ?? []).map((genre) => [genre.name, genre])));
export const genreNumbers = computed(() => new Map((map.value?.genres ?? []).map((genre, n) => [genre.name, n])));

const POLL_MS = 2000;
let polling = 0;

export async function load(): Promise<void> {
  const found = await ask("/api/library/map");
  if (!found) {
    problem.value = "The server does not give the library's map.";
    return;
  }
  map.value = found;
  const kept = token() ? await ask("/api/recordings") : null;
  captured.value = (kept ?? []).filter((one) => one.capture).map((one) => one.name);
  clearTimeout(polling);
  if (found.placing) polling = window.setTimeout(() => void load(), POLL_MS);
}

function headers(): Record<string, string> {
  const known = token();
  return known ? { Authorization: `Bearer ${known}` } : {};
}

async function post<T>(path: string, body: unknown): Promise<T | null> {
  problem.value = "";
  try {
    const answer = await fetch(path, { method: "POST", headers: headers(), body: JSON.stringify(body) });
    if (lacksToken(answer)) {
      tokenNeeded.value = true;
      return null;
    }
    const data = await answer.json();
    tokenNeeded.value = false;
    if (answer.ok) return data as T;
    problem.value = String(data.error);
  } catch {
    problem.value = "The server does not answer.";
  }
  return null;
}

effect(() => {
  if (keysCame.value) tokenNeeded.value = false;
});

/** Has the sound files of the library's folder added and analysed, and placed. */
export async function analyse(): Promise<void> {
  if (await post("/api/library/analyse", {})) void load();
}

export async function placeAnew(): Promise<void> {
  if (await post("/api/library/map", {})) void load();
}

/** Says something of a track, and asks what comes next. */
export async function signalTrack(id: number, kind: Kind | "after"): Promise<void> {
  const found = await post<Matches>("/api/library/next", { [kind]: id, count: 8 });
  if (!found) return;
  following.value = found.matches.map(
    (one) =>
      tracks.value.get(one.id) ?? {
        id: one.id,
        path: one.path,
        title: one.title ?? one.path.split("/").pop()!,
        artist: one.artist ?? "",
        genre: "",
        x: NaN,
        y: NaN,
      },
  );
  if (kind !== "after" && kind !== "like" && playing.value === id && following.value[0])
    void hear(following.value[0].id);
}

/** Asks which loops go with the last bars of what sounds. */
export async function fitNow(): Promise<void> {
  const found = await post<FitMatches>("/api/library/fits", { count: 12 });
  if (found) fitting.value = found.matches;
}

export const DRAGGED = "application/x-antiphon-track";

/** The sound of a track that is dragged, as a file. */
export async function dragged(data: DataTransfer | null): Promise<File | null> {
  const id = data?.getData(DRAGGED);
  if (!id) return null;
  const answer = await fetch(`/api/library/tracks/${id}/sound`, { headers: headers() });
  return answer.ok ? new File([await answer.blob()], data!.getData("text/plain").split("/").pop()!) : null;
}

let context: AudioContext | null = null;
let source: AudioBufferSourceNode | null = null;
let wanted = 0;

export function stop(): void {
  wanted++;
  source?.stop();
  source = null;
  playing.value = null;
}

/** Plays an excerpt of a track. */
export async function hear(id: number): Promise<void> {
  stop();
  const mine = ++wanted;
  problem.value = "";
  playing.value = id;
  if (!context) {
    context = new AudioContext();
    watch(context, (stopped) => stopped && playing.value !== null && say(STOPPED));
  }
  void context.resume();
  try {
    const answer = await fetch(`/api/library/tracks/${id}/sound`, { headers: headers() });
    if (!answer.ok) throw new Error(String((await answer.json()).error));
    const sound = await context.decodeAudioData(await answer.arrayBuffer());
    if (mine !== wanted) return;
    source = new AudioBufferSourceNode(context, { buffer: sound });
    source.connect(context.destination);
    source.onended = () => mine === wanted && stop();
    source.start();
  } catch (error) {
    if (mine !== wanted) return;
    playing.value = null;
    problem.value = error instanceof Error ? error.message : "This cannot be played.";
  }
}

export function choose(next: Selection, go = true): void {
  selection.value = next;
  findings.value = [];
  if (next?.kind === "track") void find(next.id);
  const at =
    next === null
      ? null
      : next.kind === "track"
        ? tracks.value.get(next.id)
        : next.kind === "artist"
          ? artists.value.get(next.name)
          : genres.value.get(next.name);
  if (at && go) target.value = { x: at.x, y: at.y, close: next!.kind !== "genre" };
}

async function find(id: number): Promise<void> {
  const found = await ask(`/api/library/tracks/${id}/findings`);
  const now = selection.value;
  if (now?.kind === "track" && now.id === id) findings.value = found ?? [];
}

export interface Hit {
  label: string;
  detail: string;
  choice: Selection;
}
const MOST = 12;
/** Genres, artists and tracks whose names hold the words; those that begin with them first. */
export function search(text: string): Hit[] {
  const words = text.trim().toLowerCase();
  if (!words || !map.value) return [];
  const hits: { rank: number; hit: Hit }[] = [];
  const look = (name: string, base: number, hit: () => Hit) => {
    const at = name.toLowerCase().indexOf(words);
    if (at >= 0) hits.push({ rank: base + (at === 0 ? 0 : 10), hit: hit() });
  };
  for (const one of map.value.genres) {
    look(one.name, 0, () => ({ label: one.name, detail: "genre", choice: { kind: "genre", name: one.name } }));
  }
  for (const one of map.value.artists) {
    look(one.name, 1, () => ({ label: one.name, detail: "artist", choice: { kind: "artist", name: one.name } }));
  }
  for (const one of map.value.tracks) {
    if (hits.length > 400) break;
    look(one.title, 2, () => ({
      label: one.title,
      detail: one.artist || one.genre || "track",
      choice: { kind: "track", id: one.id },
    }));
  }
  return hits
    .sort((a, b) => a.rank - b.rank)
    .slice(0, MOST)
    .map((one) => one.hit);
}
