// The page's rooms: lessons, the instrument, clips, the code editor, files, the library. One is shown at a time, the sound goes on in all.
import { type Signal, signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

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

/** Closes what is open with Escape, a press outside of it, or another room. `within`: selects it and its button. */
export function useClosing(opened: Signal<boolean>, within: string): void {
  // before it is drawn: a press at once counts
  useLayoutEffect(() => {
    if (!opened.value) return;
    const outside = ({ target }: Event) => (target as Element).closest(within) || (opened.value = false);
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      opened.value = false;
      event.stopPropagation();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", pressed, true);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", pressed, true);
    };
  }, [opened.value]);
  useEffect(() => {
    opened.value = false;
  }, [room.value]);
}

const EDGE = 8; // pixels between the window's edge and what opens over the page

/** Keeps what opens below the header inside the window: moved aside, and no longer than there is room below its top. */
export function useInside<T extends HTMLElement>(): RefObject<T | null> {
  const box = useRef<T>(null);
  useLayoutEffect(() => {
    const place = () => {
      const { style } = box.current!;
      style.translate = "";
      const { left, right, top } = box.current!.getBoundingClientRect();
      style.translate = `${Math.max(EDGE - left, Math.min(0, innerWidth - EDGE - right))}px`;
      style.maxHeight = `${innerHeight - EDGE - top}px`;
    };
    place();
    addEventListener("resize", place);
    // what stands beside it grows, and moves it
    const beside = new ResizeObserver(place);
    for (const one of document.querySelectorAll("header, header > *")) beside.observe(one);
    return () => {
      removeEventListener("resize", place);
      beside.disconnect();
    };
  }, []);
  return box;
}
