// The types of the HTTP API. tools/page_types.py makes them of its OpenAPI document: make page.

export interface Approved {
  approved: string;
  kept: boolean;
}

export interface CaptureBody {
  bars: number;
  node?: string;
  name?: string;
}

export interface Captured {
  path: string;
}

export interface ChosenSounds {
  matches: Record<string, unknown>[];
  left_out?: number;
}

export interface Classified {
  duration: number;
  labels: [string, number][] | null;
}

export interface Classifier {
  name: string;
  labels: string[];
  shortest: number;
  quantities: Quantity[];
  problem: string;
}

export interface Coperformer {
  mode: string;
  locked: string[];
  waiting: Proposed | null;
  landed: number;
}

export interface Drive {
  macro: string;
  node: string;
  param: string;
  low: number;
  high: number;
  curve: number;
}

export interface Edit {
  first: number;
  last: number;
  text: string;
}

export interface Error {
  error: string;
}

export interface EvaluateBody {
  text: string;
  version: number;
  name?: string;
  by?: string;
  quantum?: number;
  top?: boolean;
}

export interface Explained {
  names: string[];
  group: string;
  doc: string;
  example: string;
}

export interface Fault {
  line?: number;
  sentence?: string;
  picture?: string;
  version?: number;
}

export interface File {
  id: string;
  name: string;
  bytes: number;
  created: number;
}

export interface Finding {
  name: string;
  label: string;
  value: number | string;
  unit: string;
}

export interface FitMatches {
  matches: FitTrack[];
}

export interface FitTrack {
  path: string;
  duration: number | null;
  score: number;
  why: string[];
  title: string | null;
  artist: string | null;
  album: string | null;
  genre: string | null;
  id?: number;
}

export interface Fits {
  file?: string | number | null;
  count?: number;
  node?: string;
}

export interface Forgot {
  forgot: string;
  kept: boolean;
}

export interface FoundSounds {
  matches: Record<string, unknown>[];
}

export interface Graph {
  patch: string;
  nodes: Node[];
  wires: [string, string][];
  scenes: number[];
  scene_names: Record<string, unknown>;
  drives: Drive[];
}

export interface Health {
  health: string;
}

export interface HearBody {
  node?: string;
  bars?: number;
}

export interface Heard {
  muted: string[];
  soloed: string[];
}

export interface HeardSound {
  node: string;
  beats: number;
  seconds: number;
  loudness: number;
  peak: number;
  bands: Record<string, unknown>;
  onsets: number[];
  key: string | null;
  chords: [number, number, string][];
  tempo: number | null;
  notes: [number, number, number, number][];
  music: string;
  picture?: string;
}

export interface Job {
  id: string;
  command: "live" | "render" | "run";
  name: string;
  file: string;
  params: Record<string, unknown>;
  state: "cancelled" | "done" | "failed" | "running" | "waiting";
  progress: number;
  stage: string;
  error: string;
  summary: string;
  created: number;
  started: number;
  ended: number;
  results: Result[];
}

export interface Kept {
  kept: string;
}

export interface LandBody {
  id: string;
  quantum?: number;
  trusted?: boolean;
}

export interface Lesson {
  path: string;
  name: string;
  title: string;
  patch: string;
  task: string;
  kind: "events" | "file" | "loudness" | "onsets" | "osc" | "parameter";
  start: string;
  solution: string;
  hint: string;
  why: string;
  controls: string[];
  keys: boolean;
  sound: string;
  work: Work[];
  steps: LessonStep[];
}

export interface LessonPath {
  path: string;
  title: string;
  lessons: Lesson[];
}

export interface LessonStep {
  title: string;
  text: string;
}

export interface ListRequest {
  bad?: boolean;
}

export interface ListedSounds {
  files: Record<string, unknown>[];
}

export interface Live {
  on: boolean;
  start: string;
  playing: boolean;
  reading: boolean;
  silent: boolean;
  version: number;
  tried: number;
  begins: number;
  origin: number;
  name: string;
  by: string;
  fault: Fault | null;
  tracks: [string, string, boolean][];
  muted: string[];
  soloed: string[];
}

export interface LiveSet {
  name: string;
  line: string;
  bars: number;
  own: boolean;
}

export interface LiveSetText {
  name: string;
  own: boolean;
  text: string;
}

export interface MachineBody {
  ip: string;
}

export interface Map {
  tracks: MapTrack[];
  artists: MapArtist[];
  genres: MapGenre[];
  unplaced: number;
  placed: boolean;
  placing: boolean;
}

export interface MapArtist {
  name: string;
  genre: string;
  x: number;
  y: number;
  tracks: number;
  nearest: string[];
}

export interface MapGenre {
  name: string;
  x: number;
  y: number;
  tracks: number;
}

export interface MapTrack {
  id: number;
  path: string;
  title: string;
  artist: string;
  genre: string;
  x: number;
  y: number;
}

export interface Matches {
  matches: Track[];
  left_out: number;
}

export interface NamedFileBody {
  file: string;
}

export interface Next {
  count?: number;
  after?: string | number | null;
  like?: (string | number)[] | string | number;
  skip?: (string | number)[] | string | number;
  dislike?: (string | number)[] | string | number;
  all?: boolean;
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

export interface NodeParam {
  name: string;
  kind: "choice" | "file" | "float" | "int" | "switch" | "text" | "trigger";
  default: number | string | boolean | null;
  low: number | null;
  high: number | null;
  unit: string;
  warp: "linear" | "log";
  choices: string[];
  restart: boolean;
  readonly: boolean;
  doc: string;
  value: number | string | boolean | null;
}

export interface OscBody {
  address: string;
  args?: (number | string | boolean)[];
}

export interface Overview {
  seconds: number;
  rate: number;
  channels: number;
  peaks: number[];
  notes: number;
}

export interface Param {
  name: string;
  kind: "choice" | "file" | "float" | "int" | "switch" | "text" | "trigger";
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

export interface PasteBody {
  text: string;
}

export interface Patch {
  name: string;
  line: string;
  hint: string;
  group: string;
  from: string;
}

export interface Phone {
  addresses: PhoneAddress[];
}

export interface PhoneAddress {
  host: string;
  url: string;
  rows: string[];
}

export interface Placing {
  placing: boolean;
}

export interface PlayedAs {
  library: string;
  s: string;
  n: number;
}

export interface Plugin {
  name: string;
  doc: string;
  plugin: string;
  inputs: Port[];
  outputs: Port[];
  needs: string[];
  splits: string[];
  params: Param[];
}

export interface Port {
  name: string;
  kind: "asset" | "audio" | "control" | "events";
  midi: number;
}

export interface ProposeBody {
  script?: string;
  lines?: Edit[];
  params?: Record<string, unknown>;
  scene?: number;
  bars?: number;
  trusted?: boolean;
  own?: boolean;
}

export interface Proposed {
  id: string;
  state: string;
  ok: boolean;
  why: string[];
  figures: Record<string, unknown>;
  bars: number;
  diff: string;
}

export interface Quantity {
  name: string;
  kind: string;
  unit: string;
  doc: string;
}

export interface Recording {
  name: string;
  bytes: number;
  tracks: number;
  capture: boolean;
  ended: number;
  seconds: number;
  mix: number;
  small: string;
}

export interface Render {
  format?: "wav" | "flac" | "ogg" | "mp3" | "opus" | "aiff" | "aif" | "au" | "m4a";
  seconds?: number;
  file?: string;
  rate?: number;
  limit?: boolean;
  later?: boolean;
}

export interface RenderLive {
  format?: "wav" | "flac" | "ogg" | "mp3" | "opus" | "aiff" | "aif" | "au" | "m4a";
  bars?: number;
  midi?: boolean;
  file?: string;
  rate?: number;
  limit?: boolean;
  later?: boolean;
}

export interface Result {
  name: string;
  bytes: number;
}

export interface Run {
  file?: string;
  rate?: number;
  limit?: boolean;
  later?: boolean;
  params?: Record<string, unknown>;
  format?: "wav" | "flac" | "ogg" | "mp3" | "opus" | "aiff" | "aif" | "au" | "m4a" | "mid";
  midi?: boolean;
  analysis?: boolean;
  report?: boolean;
  picture?: boolean;
  roll?: boolean;
  stems?: boolean;
  tail?: number;
}

export interface Said {
  said: string;
}

export interface SaveBody {
  text: string;
  replace?: boolean;
  version?: number;
}

export interface Saved {
  name: string;
  own: boolean;
}

export interface SayBody {
  text: string;
}

export interface Script {
  name: string;
  text: string;
  version: number;
  by: string;
}

export interface SearchRequest {
  words?: string[];
  key?: string;
  tempo?: string;
  tag?: string[];
  kind?: string;
  sure?: number | null;
  all?: boolean;
}

export interface Sent {
  sent: string;
}

export interface ShowRequest {
  file: string;
}

export interface ShownSound {
  path: string;
  duration: number | null;
  title: string | null;
  artist: string | null;
  album: string | null;
  genre: string | null;
  tempo: unknown;
  tempo_confidence: unknown;
  key: unknown;
  key_confidence: unknown;
  kind: unknown;
  kind_confidence: unknown;
  loudness: number | null;
  problem: string | null;
  missing: boolean;
  rate: number | null;
  channels: number | null;
  tags: Record<string, unknown>;
  analyses: Record<string, unknown>;
}

export interface SimilarRequest {
  file: string;
  count?: number;
}

export interface Sketch {
  name: string;
  nodes: string[][];
  wires: string[][];
}

export interface SliderBody {
  version: number;
  place: number;
  value: number;
}

export interface Stopped {
  stopped: boolean;
}

export interface Sung {
  text: string;
  word: number;
  line: number;
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

export interface TracksBody {
  muted?: string[];
  soloed?: string[];
}

export interface Translated {
  text: string;
  left_out: number;
}

export interface Tried {
  passed: boolean;
  answer: string;
  came: string[];
}

export interface TryBody {
  text?: string;
  job?: string;
}

export interface Version {
  version: number;
}

export interface Word {
  name: string;
  signature: string;
  doc: string;
}

export interface Words {
  words: Word[];
  changes: Word[];
  nodes: Word[];
  scales: string[];
  chords: string[];
  reference: Explained[];
}

export interface Work {
  title: string;
  jobs: string[];
  body: Record<string, unknown>;
}

export interface Get {
  "/api/health": Health;
  "/api/status": Record<string, unknown>;
  "/api/graph": Graph;
  "/api/syllables": Sung[];
  "/api/patches": Patch[];
  "/api/patches/sketches": Sketch[];
  "/api/plugins": Plugin[];
  [path: `/api/plugins/${string}`]: Plugin;
  "/api/surfaces": Record<string, unknown>;
  "/api/phone": Phone;
  "/api/openapi.json": Record<string, unknown>;
  "/api/files": File[];
  [path: `/api/files/${string}`]: File;
  [path: `/api/files/${string}/overview`]: Overview;
  "/api/jobs": Job[];
  [path: `/api/jobs/${string}`]: Job;
  [path: `/api/jobs/${string}/overview`]: Overview;
  "/api/live": Live;
  "/api/live/script": Script;
  "/api/live/words": Words;
  "/api/live/sounds": Record<string, unknown>;
  "/api/live/folders": Record<string, unknown>;
  "/api/live/sets": LiveSet[];
  [path: `/api/live/sets/${string}`]: LiveSetText;
  "/api/recordings": Recording[];
  "/api/lessons": LessonPath[];
  [path: `/api/lessons/${string}/${string}/heard`]: Tried;
  "/api/library/map": Map;
  [path: `/api/library/tracks/${string}/findings`]: Finding[];
  "/api/mcp": Coperformer;
  [path: `/api/mcp/proposals/${string}`]: Proposed;
  "/api/classify": Classifier[];
}

export interface Post {
  "/api/surfaces/approve": { takes: MachineBody; answers: Approved };
  "/api/surfaces/forget": { takes: MachineBody; answers: Forgot };
  "/api/osc": { takes: OscBody; answers: null };
  "/api/capture": { takes: CaptureBody; answers: Captured };
  "/api/panic": { takes: null; answers: Sent };
  "/api/files": { takes: Blob; answers: File };
  [path: `/api/files/${string}/keep`]: { takes: null; answers: Kept };
  [path: `/api/run/${string}`]: { takes: Run; answers: Job };
  [path: `/api/render/${string}`]: { takes: Render; answers: Job };
  [path: `/api/live/sets/${string}/render`]: { takes: RenderLive; answers: Job };
  [path: `/api/jobs/${string}/repeat`]: { takes: null; answers: Job };
  "/api/live/eval": { takes: EvaluateBody; answers: Version };
  "/api/live/paste": { takes: PasteBody; answers: Translated };
  "/api/live/stop": { takes: null; answers: Stopped };
  "/api/live/slider": { takes: SliderBody; answers: Version };
  "/api/live/tracks": { takes: TracksBody; answers: Heard };
  [path: `/api/lessons/${string}/${string}/check`]: { takes: TryBody; answers: Tried };
  "/api/library/map": { takes: null; answers: Placing };
  "/api/library/analyse": { takes: null; answers: Placing };
  [path: `/api/library/tracks/${string}/keep`]: { takes: null; answers: PlayedAs };
  "/api/mcp/propose": { takes: ProposeBody; answers: Proposed };
  "/api/mcp/land": { takes: LandBody; answers: Proposed };
  "/api/mcp/undo": { takes: null; answers: Proposed };
  "/api/mcp/say": { takes: SayBody; answers: Said };
  "/api/mcp/hear": { takes: HearBody; answers: HeardSound };
  [path: `/api/classify/${string}`]: { takes: Blob; answers: Classified };
  "/api/library/list": { takes: ListRequest; answers: ListedSounds };
  "/api/library/show": { takes: ShowRequest; answers: ShownSound };
  "/api/library/search": { takes: SearchRequest; answers: ChosenSounds };
  "/api/library/similar": { takes: SimilarRequest; answers: FoundSounds };
  "/api/library/fits": { takes: Fits; answers: FitMatches };
  "/api/library/next": { takes: Next; answers: Matches };
}

export interface Put {
  [path: `/api/live/sets/${string}`]: { takes: SaveBody; answers: Saved };
}

export interface Delete {
  [path: `/api/files/${string}`]: { takes: null; answers: null };
  [path: `/api/jobs/${string}`]: { takes: null; answers: Job };
}
