// The page as an app: the service worker, where the browser has one, and what it says of updates.
import { effect } from "@preact/signals";
import { connection } from "./link";
import { say } from "./model";

const ADDRESS = "/page/worker.js";

/**
 * Installs it once the first screen is there. Browsers allow it on secure pages alone: on the machine itself, or by
 * HTTPS with a certificate that they trust.
 */
export async function install(there: Promise<unknown>): Promise<void> {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  // at once: the browser looks for a newer worker by itself
  if (workers.controller)
    workers.addEventListener("controllerchange", () => say("There is a newer page: the next load has it.", false));
  await there;
  try {
    const kept = await workers.register(ADDRESS, { scope: "/" });
    // a page that stays open for days looks for a newer one whenever the server is back
    let open = false; // at first as well: a worker that is registered already looks for no newer one
    effect(() => {
      const now = connection.value === "open";
      if (now && !open) void kept.update().catch(() => undefined);
      open = now;
    });
  } catch {
    // without it the page works as before, while the server is there
  }
}
