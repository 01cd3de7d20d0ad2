"""What happens in the page, by a script that runs in it before its own: when its meters and its sound rise."""

from __future__ import annotations

import json
import time
from typing import Any

from antiphon_bench.chromium import BrowserTab, Chromium

PROBE = """(() => {
  // the wall clock, as the bench has it
  const wall = () => (performance.timeOrigin + performance.now()) / 1000;
  const probe = (window.probe = { sound: 0, pixel: 0, first: 0, ready: 0, arm: () => (probe.sound = probe.pixel = 0) });
  const FRAMES = 4096;
  const samples = new Float32Array(FRAMES);
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    // what goes to the loudspeaker goes to an analyser too
    if (to instanceof AudioDestinationNode) {
      probe.analyser = new AnalyserNode(this.context, { fftSize: FRAMES });
      connect.call(this, probe.analyser);
    }
    return connect.call(this, to, ...rest);
  };
  setInterval(() => {
    if (!probe.analyser || probe.sound) return;
    const now = wall();
    probe.analyser.getFloatTimeDomainData(samples);
    const at = samples.findIndex((sample) => Math.abs(sample) > ONSET);
    // a sound from the first sample on has begun before
    if (at > 0 || (at === 0 && !probe.first)) {
      probe.sound = now - (FRAMES - at) / probe.analyser.context.sampleRate;
      probe.first ||= probe.sound;
      probe.output = probe.analyser.context.outputLatency;
    }
  }, 5);
  const frame = () => {
    requestAnimationFrame(frame);
    if (!probe.ready && document.querySelector(".node")) probe.ready = performance.now();
    if (probe.pixel) return;
    // set by the page in the frame before this one, which is on the screen now
    const bar = document.querySelector('.level[data-node=NODE] i');
    const scale = /scaleX\\(([0-9.]+)\\)/.exec(bar?.style.transform ?? "");
    if (scale && Number(scale[1]) > LEVEL) probe.pixel = wall();
  };
  requestAnimationFrame(frame);
})()"""
ONSET = 0.02
"""Of full scale."""
LEVEL = 0.667
"""Of the length of a meter that spans 60 dB: -20 dB."""
INTERACTIVE = "performance.getEntriesByType('navigation')[0].domInteractive"


def open_page(browser: Chromium, port: int, node: str) -> BrowserTab:
    """A tab with the page, watched from its first script on, its output `node` unheard as yet."""
    tab = browser.tab()
    tab.size(1440, 900)
    script = PROBE.replace("ONSET", str(ONSET)).replace("LEVEL", str(LEVEL)).replace("NODE", json.dumps(node)[1:-1])
    tab.call("Page.enable")
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=script)
    tab.go(f"http://127.0.0.1:{port}/")
    return tab


def listen(tab: BrowserTab) -> None:
    """Presses **Listen** as soon as it is there."""
    tab.until("!!document.querySelector('.listen button.call')")
    tab.run("document.querySelector('.listen button.call').click()")
    tab.until("!!probe.analyser")


def load_times(browser: Chromium, port: int, count: int) -> list[dict[str, float]]:
    """Milliseconds from the start of the navigation, of `count` tabs without and with the kept files."""
    rows = []
    for _ in range(count):
        tab = open_page(browser, port, "out")
        for kept in (False, True):
            tab.until("window.probe && probe.ready > 0")
            times = {"interactive": tab.run(INTERACTIVE), "patch": tab.run("probe.ready"), "kept": float(kept)}
            rows.append(times)
            if not kept:
                tab.run("navigator.serviceWorker.ready.then(() => true)")
                tab.until("caches.keys().then(names => names.length === 1)")
                tab.run("probe.ready = 0")
                tab.call("Page.reload")
                time.sleep(0.2)
        browser.close_tabs()
    return rows


def rise(tab: BrowserTab, seconds: float) -> dict[str, Any]:
    """What the page has seen since `probe.arm()`, once both have risen; what has not within `seconds` is 0."""
    deadline = time.monotonic() + seconds
    while True:
        found = dict(
            tab.run(
                "({sound: probe.sound, pixel: probe.pixel, output: probe.output ?? 0, "
                "buffer: antiphon.report()?.fill ?? 0})"
            )
        )
        if (found["sound"] and found["pixel"]) or time.monotonic() > deadline:
            return found
        time.sleep(0.02)
