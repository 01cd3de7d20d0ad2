// The room "Library": the map of what there is, a search, what is selected, what comes next.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { trackToPad } from "../clips/own";
import { asked } from "../files/api";
import { Token } from "../files/view";
import { enter } from "../rooms";
import { TokenForm } from "../token";
import { MapCanvas } from "./map";
import {
  analyse,
  artists,
  captured,
  choose,
  DRAGGED,
  findings,
  fitNow,
  fitting,
  following,
  genres,
  hear,
  load,
  map,
  placeAnew,
  playing,
  problem,
  search,
  selection,
  signalTrack,
  stop,
  type Track,
  tokenNeeded,
  tracks,
} from "./model";

const words = signal("");
const FILES = 6; // captures that are found
const LISTED = 40; // tracks of an artist or a genre that are listed

function Search() {
  const hits = search(words.value);
  const wanted = words.value.trim().toLowerCase();
  const files = captured.value.filter((name) => `captures ${name}`.toLowerCase().includes(wanted)).slice(0, FILES);
  const take = (number: number) => {
    const hit = hits[number];
    if (!hit) return;
    choose(hit.choice);
    words.value = "";
  };
  return (
    <div class="search">
      <input
        type="search"
        value={words.value}
        placeholder="Search: kick, bass, a title, an artist"
        aria-label="Search the library"
        onInput={(event) => (words.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") take(0);
          if (event.key === "Escape") words.value = "";
        }}
      />
      {words.value.trim() && (
        <ul aria-label="Found">
          {hits.map((hit, number) => (
            <li key={`${hit.detail} ${hit.label} ${number}`}>
              <button onClick={() => take(number)}>
                {hit.label} <small>{hit.detail}</small>
              </button>
            </li>
          ))}
          {files.map((name) => (
            <li key={name}>
              <button onClick={() => enter("Files")}>
                {name} <small>captured: it is in Files</small>
              </button>
            </li>
          ))}
          {!hits.length && !files.length && (
            <li class="soft">
              Nothing here has that name. To add a sound of yours, choose it in Files and press “Into the library”.
              <button onClick={() => enter("Files")}>Open Files</button>
            </li>
          )}
        </ul>
      )}
    </div>
  );
}

function HearButton({ id, title }: { id: number | undefined; title: string }) {
  const here = id !== undefined && playing.value === id;
  return (
    <button
      class="hear"
      aria-label={`${here ? "Stop" : "Play"} ${title}`}
      aria-pressed={here}
      onClick={() => (here ? stop() : id !== undefined && void hear(id))}>
      {here ? "■" : "▶"}
    </button>
  );
}

function ToPad({ id }: { id: number }) {
  return (
    <button title="A pad of Clips then plays it" onClick={() => void trackToPad(id)}>
      To a pad
    </button>
  );
}

function Line({ track }: { track: Track }) {
  return (
    <li>
      <HearButton id={track.id} title={track.title} />
      <button class="name" onClick={() => choose({ kind: "track", id: track.id })}>
        <bdi>{track.title}</bdi> <small dir="auto">{track.artist}</small>
      </button>
      <ToPad id={track.id} />
    </li>
  );
}

function Names({ names }: { names: string[] }) {
  return (
    <div class="chips">
      {names.map((name) => (
        <button key={name} onClick={() => choose({ kind: "artist", name })}>
          {name}
        </button>
      ))}
    </div>
  );
}

function Lines({ title, list }: { title: string; list: Track[] }) {
  return (
    <>
      <h2>{title}</h2>
      <ol class="lines">
        {list.slice(0, LISTED).map((track) => (
          <Line key={track.id} track={track} />
        ))}
      </ol>
      {list.length > LISTED && <small>and {list.length - LISTED} more</small>}
    </>
  );
}

function TrackCard({ id }: { id: number }) {
  const track = tracks.value.get(id);
  if (!track) return null;
  const here = playing.value === id;
  return (
    <div class="card">
      <div class="title">
        <h2>{track.title}</h2>
      </div>
      <p class="links">
        {track.artist && <button onClick={() => choose({ kind: "artist", name: track.artist })}>{track.artist}</button>}
        {track.genre && <button onClick={() => choose({ kind: "genre", name: track.genre })}>{track.genre}</button>}
      </p>
      <span class="group">
        <button class="call" onClick={() => (here ? stop() : void hear(id))}>
          {here ? "Stop" : "Play"}
        </button>
        <ToPad id={id} />
        <button onClick={() => void signalTrack(id, "like")}>Like</button>
        <button onClick={() => void signalTrack(id, "skip")}>Skip</button>
        <button onClick={() => void signalTrack(id, "dislike")}>Dislike</button>
        <button onClick={() => void signalTrack(id, "after")}>Next</button>
      </span>
      <dl>
        {findings.value.map(({ name, label, value, unit }) => (
          <div key={name}>
            <dt>{label}</dt>
            <dd>{typeof value === "number" ? `${Number(value.toPrecision(3))} ${unit}` : value}</dd>
          </div>
        ))}
      </dl>
      <small class="path">{track.path}</small>
    </div>
  );
}

function Selected() {
  const chosen = selection.value;
  if (!chosen) {
    if (!map.value?.tracks.length) return null;
    return (
      <p class="soft">Sounds that are alike stand side by side. Press a point to play it, or type a name above.</p>
    );
  }
  if (chosen.kind === "track") return <TrackCard id={chosen.id} />;
  const all = map.value?.tracks ?? [];
  if (chosen.kind === "genre") {
    const inside = (map.value?.artists ?? []).filter((artist) => artist.genre === chosen.name).slice(0, 24);
    return (
      <div class="card">
        <div class="title">
          <h2>{chosen.name}</h2>
          <p>{genres.value.get(chosen.name)?.tracks ?? 0} sounds</p>
        </div>
        <Names names={inside.map((artist) => artist.name)} />
        <Lines title="Sounds" list={all.filter((track) => track.genre === chosen.name)} />
      </div>
    );
  }
  const artist = artists.value.get(chosen.name);
  return (
    <div class="card">
      <div class="title">
        <h2>{chosen.name}</h2>
      </div>
      {artist?.genre && (
        <p class="links">
          <button onClick={() => choose({ kind: "genre", name: artist.genre })}>{artist.genre}</button>
        </p>
      )}
      {!!artist?.nearest.length && (
        <>
          <h2>Nearest</h2>
          <Names names={artist.nearest} />
        </>
      )}
      <Lines title="Sounds" list={all.filter((track) => track.artist === chosen.name)} />
    </div>
  );
}

const fitName = (one: (typeof fitting.value)[number]) => one.title ?? one.path.split("/").pop()!;

function Fitting() {
  return (
    <>
      <button title="Loops that go with the last four bars of the output" onClick={() => void fitNow()}>
        What fits now
      </button>
      {!!fitting.value.length && (
        <>
          <h2>Fits</h2>
          <ol class="lines" title="Drag one anywhere onto the page: it becomes the input, again and again">
            {fitting.value.map((one) => (
              <li
                key={one.path}
                draggable
                onDragStart={(event) => {
                  event.dataTransfer?.setData("text/plain", one.path);
                  event.dataTransfer?.setData(DRAGGED, String(one.id));
                }}>
                <HearButton id={one.id} title={fitName(one)} />
                <span class="fit">
                  {fitName(one)}
                  <small>
                    {one.score.toFixed(2)}, {one.why.join(", ")}
                  </small>
                </span>
                {one.id !== undefined && <ToPad id={one.id} />}
              </li>
            ))}
          </ol>
        </>
      )}
    </>
  );
}

function State() {
  const found = map.value;
  if (!found) return <p class="soft">{problem.value ? "" : "Reading the library…"}</p>;
  if (found.placing)
    return (
      <p class="soft" role="status">
        Sounds are analysed and placed; this takes a minute for an hour of sound.
      </p>
    );
  if (!found.tracks.length) {
    return (
      <p class="soft">
        {found.unplaced ? (
          <>{found.unplaced} sounds are here. Once they are analysed they stand on a map, near what sounds alike.</>
        ) : (
          <>
            Your sounds will stand on a map here, side by side where they sound alike, and <b>What fits now</b> will
            find the loops that go with what plays. Put sounds into it by <b>Into the library</b> in Files, then
          </>
        )}{" "}
        <button class="call" onClick={() => void analyse()}>
          Add and analyse
        </button>
      </p>
    );
  }
  return (
    <p class="soft state">
      {found.tracks.length} sounds{found.unplaced ? `, ${found.unplaced} more not analysed` : ""}
      {!found.placed && <button onClick={() => void placeAnew()}>Place by likeness</button>}
      <button
        title="What lies in the folder “library” of the server: what Files put into it, what was captured, and your own sound files there"
        onClick={() => void analyse()}>
        Add and analyse
      </button>
    </p>
  );
}

export function Library() {
  useEffect(() => {
    void load();
  }, []);
  const empty = map.value && !map.value.tracks.length;
  return (
    <main class={empty ? "library empty" : "library"} aria-label="Library">
      {!empty && <MapCanvas />}
      <div class="panel">
        {!empty && <Search />}
        {problem.value && (
          <p class="bad" role="alert">
            {problem.value}
          </p>
        )}
        {asked.value && <Token />}
        {tokenNeeded.value && <TokenForm why="This changes the library, so the page needs its key." />}
        <State />
        <Selected />
        {!empty && <Fitting />}
        {!!following.value.length && <Lines title="Next" list={following.value} />}
      </div>
    </main>
  );
}
