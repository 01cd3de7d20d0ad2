// Hints of patches in the words of the page: what a hint writes as OSC or as a command is a button, a control or a room.
import { noteName } from "./instrument/scale";
import { macros } from "./model";

/** A hint for the page. */
export function onPage(hint: string): string {
  return hint
    .replace(/\(`antiphon [^)]*\)/g, "in the room Code")
    .replace(/`\/([^`]+)`/g, (_, message: string) => said(message))
    .replaceAll("`", "");
}

function said(message: string): string {
  const [address = "", ...given] = message.split(" ");
  const [room, name = "", param = ""] = address.split("/");
  if (room === "scene") return `scene ${given[0]}`;
  if (room === "note") return `the note ${Number(given[0]) ? noteName(Number(given[0])) : given[0]}`;
  if (param === "play") return `the pad ${given[1]}`;
  if (room === "macro") return [macros.value.find((one) => one.name === name)?.label ?? name, ...given].join(" ");
  if (room === "node") return [name === param ? name : `${name} ${param}`, ...given].join(" ");
  return [...address.split("/"), ...given].join(" ");
}
