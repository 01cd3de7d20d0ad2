// The service worker: keeps the page's built files, so that the page opens at once, and also while the server is away.
//
// It keeps those files alone, each by its digest; data and the API pass by it. A new build is a new text of this file:
// the browser compares it whenever the page is opened, fetches the new files beside the old, and the next load has them.
declare const FILES: Record<string, string>; // addresses and their digests (build.mjs)
declare const BUILD: string; // digest of them all

interface LateEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends LateEvent {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}
interface Scope {
  addEventListener(kind: "install" | "activate", done: (event: LateEvent) => void): void;
  addEventListener(kind: "fetch", done: (event: FetchEvent) => void): void;
  skipWaiting(): Promise<void>;
}
const scope = self as unknown as Scope;
const PREFIX = "antiphon-page-";
const KEPT = `${PREFIX}${BUILD}`;
const SHELL = "/page/index.html";

async function fill(): Promise<void> {
  const kept = await caches.open(KEPT);
  for (const [path, digest] of Object.entries(FILES)) {
    // a file of another build than this one's is refused by the browser, and the next load tries again
    const answer = await fetch(path, { integrity: digest, cache: "no-store", credentials: "omit" });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    await kept.put(path, answer);
  }
}

async function drop(): Promise<void> {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== KEPT) await caches.delete(name);
}

async function answer(path: string, request: Request): Promise<Response> {
  const kept = await caches.open(KEPT);
  return (await kept.match(path)) ?? fetch(request);
}

scope.addEventListener("install", (event) => event.waitUntil(fill().then(() => scope.skipWaiting())));
scope.addEventListener("activate", (event) => event.waitUntil(drop()));
scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin || url.search) return;
  const path = request.mode === "navigate" && url.pathname === "/" ? SHELL : url.pathname;
  if (path in FILES) event.respondWith(answer(path, request));
});

export {}; // a module of its own, whose names no other file sees
