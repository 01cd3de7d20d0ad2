"""`bench pictures`: when a page with hydra shows a beat, in headless Chromium, beside the beat that is heard."""

import json
import os
import time
from pathlib import Path
from typing import Any

from antiphon.api import UsageError
from antiphon_bench.chromium import BINARY, BrowserTab, Chromium
from antiphon_bench.lights import ASK_SECONDS, BeatLine, heard_ns
from antiphon_bench.rig import ServerProcess, finish, percentiles, table

GRAPHICS = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""WebGL computed by the processor: a machine for benches has no other."""
SIZE = 480, 270
CLOCK_MS = 1.0
"""Error of the line of beats, and of the browser's clock, that counts as none."""
TAKE_SECONDS = 2.0
LINE_BEATS = 60.0
"""Beats before and after one by whose answers it is placed."""
SKETCH = """
osc(20, 0.1, 1.2).rotate(() => beat() / 16).scale(() => 1 + 0.4 * pulse() * level("out")).out();
let seen = -1, before = 0;
const step = () => {
  const now = performance.now(), whole = Math.floor(beat());
  if (whole !== seen && seen >= 0)
    parent.postMessage({ kind: "shown", beat: whole, at: performance.timeOrigin + now, frame: now - before }, "*");
  [seen, before] = [whole, now];
  requestAnimationFrame(step);
};
requestAnimationFrame(step);
"""
LISTEN = """shown = []; addEventListener("message", ({ data }) =>
  data.kind === "shown" && shown.push([data.beat, data.at, data.frame]))"""


def main(seconds: float, library: Path) -> None:
    if not BINARY or not library.is_file():
        raise UsageError("bench pictures takes Chromium, and by --out the file hydra-synth.js, which is not bundled")
    line = BeatLine()
    shown: list[tuple[float, float, float]] = []
    with (
        ServerProcess("--audio", "headless", "--patch", "through", wait=300.0) as server,
        Chromium(*GRAPHICS) as browser,
    ):
        tab = _sketched(browser.tab(), server.http, library.read_text())
        until, take = time.monotonic() + seconds, 0.0
        while time.monotonic() < until:
            line.ask(server)
            if time.monotonic() > take:
                take = time.monotonic() + TAKE_SECONDS
                wall = time.time_ns() - time.monotonic_ns()
                shown += [(beat, 1e6 * at - wall, frame) for beat, at, frame in tab.run("shown.splice(0)")]
            time.sleep(ASK_SECONDS)
        heard = heard_ns(server.status()["engine"])
    late = [(at - heard - line.due(beat, LINE_BEATS)) / 1e6 for beat, at, _ in shown]
    frames = [frame for *_, frame in shown]
    result: dict[str, Any] = {
        "beats": len(late),
        "first_late": min(late),
        "late": percentiles(late),
        "frame": percentiles(frames),
        "within": sum(-CLOCK_MS <= one <= frame + CLOCK_MS for one, frame in zip(late, frames, strict=True))
        / len(late),
        "repeated": len(late) - len({beat for beat, *_ in shown}),
        "load": os.getloadavg()[1],
    }
    table(
        f"A page with hydra for {seconds:g} s: ms after the beat is heard until a frame shows it",
        ("beats", "earliest", "p50", "p99", "max", "frame p50", "p99", "within one frame", "shown twice", "load"),
        [
            (result["beats"], result["first_late"], *result["late"].values(), result["frame"]["p50"],
             result["frame"]["p99"], result["within"], result["repeated"], result["load"])
        ],
    )  # fmt: skip
    finish("pictures", {**result, "seconds": seconds})


def _sketched(tab: BrowserTab, port: int, library: str) -> BrowserTab:
    """The page, with the library and the sketch as its owner would have chosen and typed them, once it shows beats."""
    tab.size(*SIZE)
    tab.go(f"http://127.0.0.1:{port}/plugins/lights/hydra")
    tab.until("document.querySelector('textarea')?.value")
    tab.run(f"localStorage.setItem(LIBRARY, {json.dumps(library)}); localStorage.setItem(SKETCH, {json.dumps(SKETCH)})")
    tab.reload()
    tab.run(LISTEN)
    tab.until("shown.length > 3")
    return tab
