// The question for the token: why it is asked, what to do on the server's own machine, and a field for who has it.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { giveToken } from "./link";

const OWN = /^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);

interface Asked {
  why: string;
  take?: (token: string) => void;
  kind?: string;
  cancel?: () => void;
}

export function TokenForm({ why, take = giveToken, kind = "ask", cancel }: Asked) {
  const field = useRef<HTMLInputElement>(null);
  const empty = useSignal(false);
  useEffect(() => field.current?.focus(), []);
  return (
    <form
      class={kind}
      onSubmit={(event) => {
        event.preventDefault();
        const given = field.current!.value.trim();
        empty.value = !given;
        if (given) take(given);
      }}>
      <p role="alert">
        {why}{" "}
        {OWN ? (
          <>
            In a terminal of this machine, type <code>antiphon page</code>: it opens the page with its key, and what you
            began here goes on.
          </>
        ) : (
          <>
            On the machine that runs Antiphon, type <code>antiphon qr</code> in a terminal and scan the code that it
            shows: it opens this page with its key.
          </>
        )}
      </p>
      <label title="The file token in the configuration folder of the server's machine">
        Or its token <input ref={field} type="password" autocomplete="off" aria-label="Token" />
      </label>
      <span class="group">
        <button class="call">Go on</button>
        {cancel && (
          <button type="button" onClick={cancel}>
            Not now
          </button>
        )}
      </span>
      {empty.value && (
        <p class="bad" role="alert">
          No token is typed. It stands in the file <code>token</code> of Antiphon’s configuration folder, on the machine
          that runs Antiphon.
        </p>
      )}
    </form>
  );
}
