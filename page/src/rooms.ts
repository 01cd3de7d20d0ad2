// The page's rooms: the instrument, clips, the code editor, files, the library. One is shown at a time, the sound goes on in all.
import { signal } from "@preact/signals";

export const ROOMS = ["Instrument", "Clips", "Code", "Files", "Library"] as const;
export type Room = (typeof ROOMS)[number];

function named(): Room {
  const name = new URLSearchParams(location.hash.slice(1)).get("room");
  return ROOMS.find((one) => one.toLowerCase() === name) ?? "Instrument";
}

export const room = signal<Room>(named());

export function enter(name: Room): void {
  room.value = name;
  history.replaceState(null, "", name === "Instrument" ? location.pathname : `#room=${name.toLowerCase()}`);
}
