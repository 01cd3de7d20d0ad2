// Requests of this room: with the token where one is known, and asking for it where the server wants it.
import { effect, signal } from "@preact/signals";
import { forgetToken, keysCame, lacksToken, token } from "../link";
import { say } from "../model";

/** Why the token is asked for; "" while it is not. */
export const asked = signal("");
let waiting: (() => void)[] = [];

function goOn(): void {
  asked.value = "";
  const again = waiting;
  waiting = [];
  again.forEach((one) => one());
}

effect(() => {
  if (keysCame.value) goOn();
});

function given(): Promise<void> {
  if (!asked.value) return Promise.resolve();
  return new Promise((resolve) => waiting.push(resolve));
}

export function headers(): Record<string, string> {
  const known = token();
  return known ? { Authorization: `Bearer ${known}` } : {};
}

/** The sentence of a refusal. */
function sentence(text: string, status: number): string {
  try {
    return String((JSON.parse(text) as { error: string }).error);
  } catch {
    return status ? `the server answered ${status}` : "the server does not answer";
  }
}

/** Whether the token is missing or wrong; then the page asks for it, and the request goes out again. */
function locked(challenged: boolean, status: number, text: string, used: string): boolean {
  if (!challenged) return false;
  if (token() && token() !== used) return true; // another was given meanwhile
  forgetToken();
  asked.value =
    status === 401
      ? "Recordings, and work on files, are their owner’s, so the page needs its key."
      : sentence(text, status);
  return true;
}

/** Asks the server; null where it refuses, which is said in the log and by `refused`. */
export async function request<T>(
  method: string,
  path: string,
  body?: unknown,
  refused: (why: string, status: number) => void = (why) => say(why),
): Promise<T | null> {
  for (;;) {
    const used = token();
    try {
      const answer = await fetch(path, {
        method,
        headers: { Accept: "application/json", ...headers() },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const text = await answer.text();
      if (answer.ok) return (text ? JSON.parse(text) : {}) as T;
      if (!locked(lacksToken(answer), answer.status, text, used)) {
        refused(sentence(text, answer.status), answer.status);
        return null;
      }
    } catch {
      refused(sentence("", 0), 0);
      return null;
    }
    await given();
  }
}

export interface Sending {
  done: Promise<string>; // "" or why not
  cancel: () => void;
}

/** Sends a file's bytes as they are read from the disk; fetch cannot say how far it is. */
export function send(path: string, file: File, progress: (share: number) => void): Sending {
  let running: XMLHttpRequest | null = null;
  let ended = false;
  const once = () =>
    new Promise<[number, string, boolean]>((resolve) => {
      const mine = new XMLHttpRequest();
      running = mine;
      mine.open("POST", path);
      for (const [name, value] of Object.entries(headers())) mine.setRequestHeader(name, value);
      mine.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
      mine.onload = () => resolve([mine.status, mine.responseText, !!mine.getResponseHeader("WWW-Authenticate")]);
      mine.onerror = mine.onabort = () => resolve([0, "", false]);
      mine.send(file);
    });
  const all = async () => {
    for (;;) {
      if (ended) return "cancelled";
      const used = token();
      const [status, text, challenged] = await once();
      if (ended) return "cancelled";
      if (status >= 200 && status < 300) return "";
      if (!locked(challenged, status, text, used)) return sentence(text, status);
      await given();
    }
  };
  return {
    done: all(),
    cancel: () => {
      ended = true;
      running?.abort();
    },
  };
}

/** The bytes of a file on the server. */
export async function bytes(
  path: string,
  progress: (share: number) => void,
  signal: AbortSignal,
): Promise<ArrayBuffer> {
  const answer = await fetch(path, { headers: headers(), signal });
  if (!answer.ok || !answer.body) throw new Error(sentence(await answer.text(), answer.status));
  const length = Number(answer.headers.get("Content-Length") ?? 0);
  const whole = new Uint8Array(length);
  let at = 0;
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    whole.set(value, at);
    at += value.length;
    progress(length ? at / length : 0);
  }
  return whole.buffer;
}

/** The bytes of what its owner alone may read, of which a message says that they come, and why not; null then. */
export async function fetched(path: string, name = ""): Promise<Blob | null> {
  try {
    for (;;) {
      const used = token();
      const answer = await fetch(path, { headers: headers() });
      if (answer.ok) {
        const all = Number(answer.headers.get("Content-Length"));
        const then = name ? "the browser saves it as soon as it is whole" : "it plays as soon as it is whole";
        say(`${name || "The recording"} is fetched${all ? `, ${shortSize(all)}` : ""}; ${then}.`, false);
        return await answer.blob();
      }
      const text = await answer.text();
      if (!locked(lacksToken(answer), answer.status, text, used)) {
        say(sentence(text, answer.status));
        return null;
      }
      await given();
    }
  } catch {
    say(`${name || "The recording"} was not fetched: the connection broke; try again.`);
    return null;
  }
}

/** Saves a result. Where reading needs the token, by HTTPS or as an owner, a link would not send it. */
export async function download(path: string, name: string, owner = location.protocol === "https:"): Promise<void> {
  const link = document.createElement("a");
  link.download = name;
  if (owner) {
    const found = await fetched(path, name);
    if (!found) return;
    link.href = URL.createObjectURL(found);
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } else link.href = path;
  link.click();
}

export function shortSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
