// Asks the server for its beat, and tells the picture, which runs in a frame without an origin: what is loaded there
// reaches neither the server nor the key that this page has.
const [picture, form, file, sketch, said] = ["iframe", "form", "input", "textarea", "output"].map((name) =>
  document.querySelector(name),
);
const ASK_MS = 250;
const KEPT = 120; // the fastest of as many answers counts, of 30 s: that a clock drifts by 100 ppm is 3 ms
const MARGIN = 0.02; // beats by which an answer may be off the beat that is shown before the beat has jumped
const AWAY = "The server does not answer.";
const LIBRARY = "hydra-library";
const SKETCH = "hydra-sketch";
const FIRST = `osc(20, 0.1, 1.2)
  .rotate(() => beat() / 16)
  .scale(() => 1 + 0.4 * pulse() * level("out"))
  .out()
// beat(), bpm(), pulse(beats), level(node), look()`;

let answers = [];
let heard = 0; // seconds from a block's time until it is heard
let clock = { bpm: 120, playing: false };
const levels = {};

function tell(message) {
  picture.contentWindow.postMessage(message, "*");
}

function fastest() {
  return answers.reduce((one, other) => (other.trip < one.trip ? other : one), answers[0]);
}

/** Keeps an answer, and forgets those before where the beat has jumped: it was none of those between ask and answer. */
function hear(beat, asked, now) {
  const best = fastest();
  const since = (at) => best.beat + (clock.playing ? ((performance.timeOrigin + at - best.at) / 60000) * clock.bpm : 0);
  if (best && (beat < since(asked) - MARGIN || beat > since(now) + MARGIN)) answers = [];
  answers = [...answers, { trip: now - asked, at: performance.timeOrigin + (now + asked) / 2, beat }].slice(-KEPT);
}

/** Gives the picture the beat, at a time of the wall's clock in ms, and what else it asks for. */
function tellState() {
  const best = fastest();
  if (best) tell({ kind: "state", at: best.at + 1000 * heard, beat: best.beat, ...clock, levels });
}

function connect() {
  const key = sessionStorage.getItem("token") ?? localStorage.getItem("page-key");
  const socket = new WebSocket(
    `${location.origin.replace("http", "ws")}/api/feed`,
    key ? ["antiphon", `token.${key}`] : ["antiphon"],
  );
  let asked = 0; // when the question was sent that is not answered yet
  const ask = () => {
    if (socket.readyState !== WebSocket.OPEN || asked) return;
    asked = performance.now();
    socket.send('["/beat"]');
  };
  const timer = setInterval(ask, ASK_MS);
  socket.onmessage = ({ data }) => {
    const now = performance.now();
    const frame = JSON.parse(data);
    for (const [name, [peak]] of Object.entries(frame.meters ?? {})) levels[name] = Math.min(1, peak);
    if (frame.status) {
      const { engine, tempo, playing, lights } = frame.status;
      if (tempo !== clock.bpm || playing !== clock.playing) answers = [];
      clock = { bpm: tempo, playing, look: lights?.look ?? "" };
      heard = engine ? engine.block / engine.rate + 0.001 : 0;
    }
    if (frame.reply?.[0] === "/beat") {
      hear(frame.reply[1], asked, now);
      asked = 0;
    }
    tellState();
  };
  socket.onclose = () => {
    clearInterval(timer);
    answers = [];
    said.value = AWAY;
    setTimeout(connect, 1000);
  };
  socket.onopen = () => said.value === AWAY && (said.value = "");
}

function run() {
  localStorage.setItem(SKETCH, sketch.value);
  tell({ kind: "sketch", text: sketch.value });
}

file.onchange = async () => {
  const text = await file.files[0].text();
  tell({ kind: "library", text });
  try {
    localStorage.setItem(LIBRARY, text);
  } catch {
    said.value = "This browser keeps no file as large; choose it again next time.";
  }
};
sketch.value = localStorage.getItem(SKETCH) ?? FIRST;
sketch.onkeydown = (event) => event.key === "Enter" && event.ctrlKey && run();
form.onsubmit = (event) => (event.preventDefault(), run());
form.querySelector("[type=button]").onclick = () => document.documentElement.requestFullscreen();
addEventListener("message", ({ source, data }) => {
  if (source !== picture.contentWindow) return;
  if (data.kind === "said") said.value = String(data.text).slice(0, 200);
  if (data.kind === "loaded") run();
  if (data.kind === "ready" && localStorage.getItem(LIBRARY))
    tell({ kind: "library", text: localStorage.getItem(LIBRARY) });
});
picture.src = "hydra/canvas"; // now that its word that it is ready is listened for
connect();
