// Hints of patches in the words of the page: what a hint writes as OSC is on the page as a button, a macro or a control.

const LEVELS = new Set(["gain", "on", "amount", "level"]);

/** A hint for the page. macros: names of the patch's, which are shown first. */
export function onPage(hint: string, macros: readonly string[]): string {
  return hint.replace(/`\/([^`]+)`/g, (_, message: string) => said(message, macros)).replaceAll("`", "");
}

function said(message: string, macros: readonly string[]): string {
  const [address = "", ...given] = message.split(" ");
  const [room, name = "", param = ""] = address.split("/");
  if (room === "scene") return `scene ${given[0]}`;
  if (room === "note") return `the note ${given[0]}`;
  if (room !== "node") return [...address.split("/").filter((part) => part !== "macro"), ...given].join(" ");
  const macro = macros.find((one) => one === param || (one === name && LEVELS.has(param)));
  return [macro ?? (name === param ? name : `${name} ${param}`), ...given].join(" ");
}
