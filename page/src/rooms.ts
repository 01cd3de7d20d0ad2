// The page's rooms: lessons, the instrument, clips, the code editor, files, the library. One is shown at a time, the sound goes on in all.
import { signal } from "@preact/signals";

export const ROOMS = ["Learn", "Instrument", "Clips", "Code", "Files", "Library"] as const;
export type Room = (typeof ROOMS)[number];
const KNOWN = "page-known";

/** The room that the address names; a browser that has not been here begins with lessons. */
function named(): Room {
  const given = new URLSearchParams(location.hash.slice(1));
  const name = given.has("learn") ? "learn" : given.get("room");
  const fresh = localStorage.getItem(KNOWN) === null;
  return ROOMS.find((one) => one.toLowerCase() === name) ?? (fresh ? "Learn" : "Instrument");
}

export const room = signal<Room>(named());

export function enter(name: Room): void {
  room.value = name;
  localStorage.setItem(KNOWN, "1");
  const hash = name === "Learn" ? "#learn" : `#room=${name.toLowerCase()}`;
  history.replaceState(null, "", name === "Instrument" ? location.pathname : hash);
}
