// The room Files: files, what is run on them, the jobs, and the player that compares source and result.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { TokenForm } from "../token";
import { asked } from "./api";
import { Jobs } from "./jobs";
import { FileList } from "./list";
import { Player } from "./player";
import { close } from "./sound";
import { follow, upload } from "./state";
import { Work } from "./work";

export function Files() {
  const over = useSignal(false);
  useEffect(() => {
    const end = follow();
    return () => {
      end();
      close();
    };
  }, []);
  return (
    <main
      class={`files${over.value ? " over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={(event) => event.target === event.currentTarget && (over.value = false)}
      onDrop={(event) => {
        event.preventDefault();
        event.stopPropagation(); // elsewhere on the page a file that is dropped becomes the input
        over.value = false;
        upload(event.dataTransfer?.files ?? []);
      }}>
      {asked.value && <Token />}
      <div class="columns">
        <FileList />
        <Work />
        <Jobs />
      </div>
      <Player />
    </main>
  );
}

/** On this machine only what changes something needs the token, so the page asks for it when it is needed. */
export function Token() {
  return <TokenForm why={asked.value[0]!.toUpperCase() + asked.value.slice(1).replace(/\.?$/, ".")} />;
}
