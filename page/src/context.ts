// Sound that the system stops (a call, the lock screen, a device that is gone) goes on at a touch or at the return.

export const STOPPED = "The system has stopped this page's sound. It goes on when you touch the page.";

/** Where a context's clock has been, and since when it stands. */
export interface Watched {
  time: number;
  since: number;
}
const STANDS_MS = 1500;
const LOOK_MS = 500;

/** Whether a context plays nothing: as it says, or since its clock stands though it says that it runs. */
export function stands(state: string, time: number, now: number, before: Watched): boolean {
  if (time !== before.time) Object.assign(before, { time, since: now });
  return state !== "running" || now - before.since > STANDS_MS;
}

/** Watches a context until the function that it returns is called; `told` hears of each change. */
export function watch(context: AudioContext, told: (stopped: boolean) => void): () => void {
  const before: Watched = { time: -1, since: performance.now() };
  let stopped = false;
  const look = () => {
    if (context.state === "closed") return;
    const now = stands(context.state, context.currentTime, performance.now(), before);
    if (now !== stopped) told((stopped = now));
  };
  const go = () => {
    if (!stopped || document.hidden || context.state === "closed") return;
    // a clock that stands in a context that says it runs begins again after a pause
    const first = context.state === "running" ? context.suspend() : Promise.resolve();
    before.since = performance.now();
    void first.then(() => context.resume()).then(look, () => undefined);
  };
  const timer = setInterval(() => {
    // a page in the background has late timers, and a clock that is read seldom
    if (document.hidden && context.state === "running") before.since = performance.now();
    look();
  }, LOOK_MS);
  const touches = ["pointerup", "touchend", "keydown", "pageshow", "focus"];
  for (const one of touches) addEventListener(one, go, true);
  document.addEventListener("visibilitychange", go);
  navigator.mediaDevices?.addEventListener("devicechange", go);
  context.addEventListener("statechange", look);
  return () => {
    clearInterval(timer);
    for (const one of touches) removeEventListener(one, go, true);
    document.removeEventListener("visibilitychange", go);
    navigator.mediaDevices?.removeEventListener("devicechange", go);
    context.removeEventListener("statechange", look);
  };
}
