// The types of the HTTP API. tools/page_types.py makes them of its OpenAPI document: make page.

export interface Error {
  error: string;
}

export interface File {
  id: string;
  name: string;
  bytes: number;
  created: number;
}

export interface Job {
  id: string;
  command: "run" | "render" | "live";
  name: string;
  file: string;
  params: Record<string, unknown>;
  state: "waiting" | "running" | "done" | "failed" | "cancelled";
  progress: number;
  error: string;
  summary: string;
  created: number;
  started: number;
  ended: number;
  results: { name: string; bytes: number }[];
}

export interface Port {
  name: string;
  kind: "audio" | "control" | "events" | "asset";
}

export interface Param {
  name: string;
  kind: "float" | "int" | "switch" | "choice" | "text" | "file" | "trigger";
  default: number | string | boolean | null;
  low: number | null;
  high: number | null;
  unit: string;
  warp: "linear" | "log";
  choices: string[];
  restart: boolean;
  readonly: boolean;
  doc: string;
}

export interface NodeParam extends Param {
  value: number | string | boolean | null;
}

export interface Node {
  name: string;
  type: string;
  number: number;
  state: string;
  reason: string;
  doc: string;
  inputs: Port[];
  outputs: Port[];
  params: NodeParam[];
}

export interface Graph {
  patch: string;
  nodes: Node[];
  wires: [string, string][];
  scenes: number[];
}

export interface Plugin {
  name: string;
  doc: string;
  plugin: string;
  inputs: Port[];
  outputs: Port[];
  needs: string[];
  params: Param[];
}

export interface Overview {
  seconds: number;
  rate: number;
  channels: number;
  peaks: number[];
  notes: number;
}

export interface LiveSet {
  name: string;
  line: string;
  bars: number;
  own: boolean;
}

export interface Track {
  id: number;
  path: string;
  duration: number | null;
  score: number;
  title: string | null;
  artist: string | null;
  album: string | null;
  genre: string | null;
}

export interface Map {
  tracks: { id: number; path: string; title: string; artist: string; genre: string; x: number; y: number }[];
  artists: { name: string; genre: string; x: number; y: number; tracks: number; nearest: string[] }[];
  genres: { name: string; x: number; y: number; tracks: number }[];
  unplaced: number;
  placed: boolean;
  placing: boolean;
}

export interface Classifier {
  name: string;
  labels: string[];
  shortest: number;
  quantities: { name: string; kind: string; unit: string; doc: string }[];
  problem: string;
}

export interface Patch {
  name: string;
  line: string;
  hint: string;
  group: string;
  from: string;
}

export interface Get {
  "/api/health": { health: string };
  "/api/status": Record<string, unknown>;
  "/api/openapi.json": Record<string, unknown>;
  "/api/graph": Graph;
  "/api/patches": Patch[];
  "/api/plugins": Plugin[];
  [path: `/api/plugins/${string}`]: Plugin;
  "/api/surfaces": Record<string, unknown>;
  "/api/phone": { addresses: { host: string; url: string; rows: string[] }[] };
  "/api/files": File[];
  [path: `/api/files/${string}`]: File;
  [path: `/api/files/${string}/overview`]: Overview;
  "/api/jobs": Job[];
  [path: `/api/jobs/${string}`]: Job;
  [path: `/api/jobs/${string}/overview`]: Overview;
  "/api/classify": Classifier[];
  "/api/library/map": Map;
  "/api/live": { on: boolean; start: string; playing: boolean; reading: boolean; silent: boolean; version: number; tried: number; begins: number; name: string; by: string; fault: { line?: number; sentence?: string; picture?: string; version?: number } | null };
  "/api/live/script": { name: string; text: string; version: number; by: string };
  "/api/live/words": { words: { name: string; signature: string; doc: string }[]; changes: { name: string; signature: string; doc: string }[]; nodes: { name: string; signature: string; doc: string }[]; scales: string[]; chords: string[] };
  "/api/live/sounds": Record<string, unknown>;
  "/api/live/sets": LiveSet[];
  [path: `/api/live/sets/${string}`]: { name: string; own: boolean; text: string };
}

export interface Post {
  "/api/surfaces/approve": { takes: { ip: string }; answers: { approved: string; kept: boolean } };
  "/api/surfaces/forget": { takes: { ip: string }; answers: { forgot: string; kept: boolean } };
  "/api/osc": { takes: { address: string; args?: (number | string | boolean)[] }; answers: null };
  "/api/panic": { takes: null; answers: { sent: string } };
  "/api/files": { takes: Blob; answers: File };
  [path: `/api/run/${string}`]: { takes: { file: string; params?: Record<string, unknown>; format?: "wav" | "flac" | "ogg" | "mp3" | "opus" | "aiff" | "aif" | "au" | "mid"; midi?: boolean; analysis?: boolean; report?: boolean; picture?: boolean; tail?: number }; answers: Job };
  [path: `/api/render/${string}`]: { takes: { file?: string; format?: "wav" | "flac" | "ogg" | "mp3" | "opus" | "aiff" | "aif" | "au"; seconds?: number }; answers: Job };
  [path: `/api/live/sets/${string}/render`]: { takes: { file?: string; format?: "wav" | "flac" | "ogg" | "mp3" | "opus" | "aiff" | "aif" | "au"; bars?: number; midi?: boolean }; answers: Job };
  [path: `/api/jobs/${string}/repeat`]: { takes: null; answers: Job };
  [path: `/api/classify/${string}`]: { takes: Blob; answers: { duration: number; labels: [string, number][] | null } };
  "/api/library/map": { takes: null; answers: { placing: boolean } };
  "/api/library/next": { takes: { count?: number; after?: string | number; like?: unknown; skip?: unknown; dislike?: unknown }; answers: { matches: Track[] } };
  "/api/live/eval": { takes: { text: string; version: number; name?: string; by?: string }; answers: { version: number } };
  "/api/live/stop": { takes: null; answers: { stopped: boolean } };
}

export interface Put {
  [path: `/api/live/sets/${string}`]: { takes: { text: string; replace?: boolean }; answers: { name: string; own: boolean } };
}

export interface Delete {
  [path: `/api/files/${string}`]: { takes: null; answers: null };
  [path: `/api/jobs/${string}`]: { takes: null; answers: Job };
}
