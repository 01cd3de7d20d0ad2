// The jobs: how far each is, what it said, and what can be done with its result.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { filesToPads } from "../clips/own";
import { download, request, shortSize } from "./api";
import { beatsOfBar, stamp, written } from "./heard";
import { listen, load, loadStems } from "./sound";
import { chosen, clock, files, forget, HEARD, isNotes, type Job, jobs, left, nameOf, repeat, stemsOf } from "./state";

const SLOW = 20; // seconds in which a job on a machine with time for it has begun
const ALMOST = 0.99; // share behind which nobody can say how long the rest takes
const UNCHANGED = "unchanged: "; // as the server says of a result that is its source
const STATES = { waiting: "waits", done: "done", failed: "failed", cancelled: "cancelled" };

export function Jobs() {
  return (
    <section class="column jobs" aria-label="Jobs">
      <h2>Jobs</h2>
      {!jobs.value.length && (
        <p class="soft">What is run is listed here with its result. It goes on when this page is closed.</p>
      )}
      <ol aria-label="Jobs, newest first">
        {jobs.value.map((job) => (
          <Row key={job.id} job={job} />
        ))}
      </ol>
    </section>
  );
}

function Row({ job }: { job: Job }) {
  const source = job.file ? nameOf(job.file) : "";
  const over = job.state !== "waiting" && job.state !== "running";
  const first = job.results[0];
  const stems = stemsOf(job);
  const sound = first && !isNotes(first.name) && !stems.length;
  const there =
    files.value.some((one) => one.id === job.file) ||
    jobs.value.some((one) => one.id === job.file && one.results.length);
  const what = `${job.name}${source ? ` on ${source}` : ""}`;
  return (
    <li class={`job ${job.state}`} data-job={job.id}>
      <div class="job-head">
        <span>
          <b>{job.name}</b>
          {source && (
            <small>
              {" "}
              on <bdi>{source}</bdi>
            </small>
          )}
        </span>
        <small class="job-state" title={job.summary} role={over ? undefined : "status"}>
          {how(job)}
        </small>
        {job.state === "running" && (left.value[job.id] === undefined || job.progress > ALMOST) && (
          <Since started={job.started} begun={job.progress > 0} />
        )}
        <button
          class="small"
          aria-label={over ? `Forget ${what} and its results` : `Cancel ${what}`}
          title={over ? "Forget it and its results" : "Cancel"}
          onClick={() => void forget(job)}>
          {over ? "×" : "Cancel"}
        </button>
      </div>
      {job.state === "running" && (
        <progress max={1} value={job.progress || undefined} aria-label={`Progress of ${what}`} />
      )}
      {job.error && <p class="bad">{job.error[0]!.toUpperCase() + job.error.slice(1)}</p>}
      {job.summary.includes(UNCHANGED) && <p>{job.summary.slice(job.summary.indexOf(UNCHANGED))}</p>}
      {Object.keys(job.params).length > 0 && (
        <small class="job-params">
          {Object.entries(job.params)
            .map(([name, value]) => `${name} ${shown(value)}`)
            .join(", ")}
        </small>
      )}
      {job.results.some((one) => one.name === HEARD) && <Heard job={job} />}
      {over && (
        <div class="job-tools">
          {stems.length > 0 && (
            <button aria-label={`Mix the stems of ${source}`} onClick={() => void loadStems(job, stems)}>
              Mix
            </button>
          )}
          {sound && source && there && !isNotes(source) && (
            <button
              aria-label={`Compare ${source} with the result of ${job.name}`}
              onClick={() => void load(job.file, job.id)}>
              A/B
            </button>
          )}
          {sound && (!source || !there || isNotes(source)) && (
            <button aria-label={`Listen to the result of ${what}`} onClick={() => void listen(job.id)}>
              Listen
            </button>
          )}
          {job.results.map((one, at) => (
            <button
              key={one.name}
              title={one.name}
              onClick={() =>
                void download(
                  `/api/jobs/${job.id}/result/${encodeURIComponent(one.name)}`,
                  at || stems.length ? one.name : nameOf(job.id),
                )
              }>
              Download{at || stems.length ? ` ${one.name}` : ""} <small>{shortSize(one.bytes)}</small>
            </button>
          ))}
          {first && (
            <button
              aria-pressed={chosen.value.has(job.id)}
              title="The next run works on this result"
              onClick={() => (chosen.value = new Set(chosen.value.has(job.id) ? [] : [job.id]))}>
              Run on it
            </button>
          )}
          {sound && (
            <button title="A pad of Clips then plays it" onClick={() => void filesToPads([job.id])}>
              To a pad
            </button>
          )}
          <button onClick={() => void repeat(job)}>Repeat</button>
        </div>
      )}
    </li>
  );
}

interface Music {
  tempo: number | null;
  beats: number[] | null;
  downbeats: number[] | null;
  meter?: string | null;
  key: string | null;
  chords: [number, number, string][] | null;
}

/** What was heard in a song: tempo, key, beats of a bar, and its chords by time. */
function Heard({ job }: { job: Job }) {
  const found = useSignal<Music | null>(null);
  useEffect(() => {
    void request<Music>("GET", `/api/jobs/${job.id}/result/${HEARD}`).then((one) => (found.value = one));
  }, [job.id]);
  if (!found.value) return null;
  const { tempo, key, chords, meter } = found.value;
  const bar = beatsOfBar(found.value.beats ?? [], found.value.downbeats ?? []);
  const sounding = (chords ?? []).filter(([, , name]) => name !== "N");
  return (
    <div class="heard">
      <dl>
        <dt>Tempo</dt>
        <dd>{tempo ? `${tempo.toFixed(1)} bpm` : "no steady beat was heard"}</dd>
        <dt>Key</dt>
        <dd>{key ?? "not sure enough to name one"}</dd>
        <dt>Bar</dt>
        <dd>{meter ?? (bar ? `${bar} beats` : "not heard")}</dd>
      </dl>
      {sounding.length > 0 ? (
        <ol class="chords" aria-label="Chords by time" tabIndex={0}>
          {sounding.map(([from, , name]) => (
            <li key={from}>
              <small>{stamp(from)}</small> <b>{written(name)}</b>
            </li>
          ))}
        </ol>
      ) : (
        <p class="soft">No chords were heard.</p>
      )}
    </div>
  );
}

/** How long a job has run, as long as nobody can say how long it takes. */
function Since({ started, begun }: { started: number; begun: boolean }) {
  const ran = () => Math.max(0, Math.floor(Date.now() / 1000 - started));
  const now = useSignal(ran());
  useEffect(() => {
    const timer = setInterval(() => (now.value = ran()), 1000);
    return () => clearInterval(timer);
  }, [started]);
  return (
    <small aria-hidden="true">
      for {now.value < 10 ? `${now.value} s` : clock(now.value)}
      {!begun && now.value > SLOW && "; this machine has much else to do"}
    </small>
  );
}

function shown(value: unknown): string {
  if (typeof value === "object" && value && "file" in value) return nameOf(String(value.file));
  return typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value);
}

function how(job: Job): string {
  if (job.state === "running") {
    const rest = left.value[job.id];
    if (!job.progress) return job.stage || "starting";
    if (job.progress > ALMOST) return "almost done";
    return `${(100 * job.progress).toFixed(0)} %${rest === undefined ? "" : `, ${clock(rest)} left`}`;
  }
  const before = jobs.value.find((one) => one.state === "running");
  if (job.state === "waiting" && before)
    return `waits for ${before.name}${before.file ? ` of ${nameOf(before.file)}` : ""}`;
  return job.state === "done" && job.started ? `done in ${clock(job.ended - job.started)}` : STATES[job.state];
}
