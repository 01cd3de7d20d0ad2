"""`bench live`'s run with nine browsers at the page: five listen, four run scripts; the clicks of a fifth script."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from antiphon.performer.performing import Performing
from antiphon_bench.chromium import BINARY, BrowserTab, Chromium
from antiphon_bench.events import onsets
from antiphon_bench.report import percentiles
from antiphon_bench.rig import ServerProcess

LISTENERS, CODERS = 5, 4
PAUSE = 2.0
"""Seconds between two runs of one page."""
PATCH = """format = 1
[nodes.click]
[nodes.spare]
type = "gain"
[wires]
"click" = "out"
"""
"""Nothing is heard of `spare`, which the pages' scripts move."""
SCRIPT = """from antiphon.live import *\n
@loop(name="page{page}")
def body():
    for n in range(16):
        node("spare").gain = n / 16
        yield 1 / 8
# {turn}
"""
SLOW = 300.0
"""Seconds in which a page must open, on a machine that is busy with other work."""
COUNTS = ("late", "missed_blocks", "blocks", "page_dropped", "sound_dropped", "live_dropped")
_VERSION = "fetch('/api/live').then(answer => answer.json()).then(now => now.playing ? now.version : 0)"
_TYPE = "document.querySelector('.cm-content').focus(); document.execCommand('selectAll')"
_RUN = "document.querySelector('.code-tools .call').click()"


def run(
    script: str, compared: Callable[[NDArray[Any]], dict[str, int]], silent: Callable[..., None], seconds: float
) -> dict[str, Any]:
    """Plays the clicks of `script` while the browsers are at work; a row of figures, empty without Chromium.

    Args:
        script: One that plays clicks by the node `click`.
        compared: Counts the clicks of a recording.
        silent: Takes what the performance says.
        seconds: Length, once all pages are open.
    """
    if not BINARY:
        print("the browsers are left out: there is no Chromium")
        return {}
    with tempfile.TemporaryDirectory() as name, Chromium() as chromium:
        home = Path(name)
        path, out, patch = home / "set.py", home / "out.wav", home / "bench.toml"
        path.write_text(script.replace('patch("click")\n', ""))
        patch.write_text(PATCH)
        made = ("--audio", "headless", "--patch", str(patch), "--record", str(out), "--live")
        with ServerProcess(*made, home=home) as server:
            token = next(home.rglob("token")).read_text().strip()
            performing = Performing(str(path), silent, osc_port=server.osc)
            deadline = time.monotonic() + SLOW
            while not performing.player.playing:
                performing.turn()
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the script does not play within {SLOW:g} s")
            # a browser's answer takes its time, and the performance has to go on meanwhile
            with ThreadPoolExecutor(1) as hands:
                working = hands.submit(_at_work, chromium, server, token, seconds)
                while not working.done():
                    performing.turn()
            before, waits, after = working.result()
            performing.end()
        counts = {key: after.get(key, 0) - before.get(key, 0) for key in COUNTS}
        lost = sum(counts.pop(key) for key in COUNTS[3:])
        ways = percentiles(waits) if waits else {"p50": 0.0, "p99": 0.0}
        return {**compared(onsets(out)), **counts, "lost": lost, "runs": len(waits), **ways, "load": os.getloadavg()[0]}


def _opened(chromium: Chromium, port: int, token: str, room: str) -> BrowserTab:
    tab = chromium.tab()
    tab.size(1280, 800)
    tab.go(f"http://127.0.0.1:{port}/#token={token}&room={room}")
    tab.until("window.antiphon?.connection() === 'open'", SLOW)
    tab.until(
        "!!document.querySelector('.cm-content')" if room == "code" else "!!document.querySelector('.node')", SLOW
    )
    return tab


def _at_work(
    chromium: Chromium, server: ServerProcess, token: str, seconds: float
) -> tuple[dict[str, Any], list[float], dict[str, Any]]:
    """Opens the pages and has them work; the server's state once all are open, their waits, its state at the end."""
    coders = [_opened(chromium, server.http, token, "code") for _ in range(CODERS)]
    for _ in range(LISTENERS):
        _opened(chromium, server.http, token, "play").run("document.querySelector('.listen button').click()")
    before = server.status()
    return before, _coded(coders, seconds), server.status()


def _coded(coders: list[BrowserTab], seconds: float) -> list[float]:
    """The pages run their scripts in turn, each once at least; ms from each press until its version plays."""
    end, turn, waits = time.monotonic() + seconds, 0, list[float]()
    while time.monotonic() < end or turn < len(coders):
        tab, turn = coders[turn % len(coders)], turn + 1
        tab.run(_TYPE)
        tab.call("Input.insertText", text=SCRIPT.format(page=turn % len(coders), turn=turn))
        before = tab.run(_VERSION)
        pressed = time.monotonic()
        tab.run(_RUN)
        tab.until(f"{_VERSION}.then(version => ![0, {before}].includes(version))", SLOW)
        waits.append((time.monotonic() - pressed) * 1e3)
        time.sleep(max(0.0, pressed + PAUSE / len(coders) - time.monotonic()))
    return waits
