// The question for the token: why it is asked, what to do on the server's own machine, and a field for who has it.
import { useEffect, useRef } from "preact/hooks";

const OWN = /^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);

interface Asked {
  why: string;
  take: (token: string) => void;
  kind?: string;
  cancel?: () => void;
}

export function TokenForm({ why, take, kind = "ask", cancel }: Asked) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <form
      class={kind}
      onSubmit={(event) => {
        event.preventDefault();
        const given = field.current!.value.trim();
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
            On the server’s machine <code>antiphon qr</code> shows a code that opens this page with it.
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
    </form>
  );
}
