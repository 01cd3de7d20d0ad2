"""The page that loads hydra, in Chromium, with a library of the test's own in hydra's place."""

import time
from collections.abc import Iterator

import pytest
from tests.chromium import Chromium, Tab, needs_chromium

from antiphon_bench.rig import ServerProcess

pytestmark = [pytest.mark.real, pytest.mark.untimed, needs_chromium]

LIBRARY = "class Hydra { constructor({ canvas }) { this.canvas = canvas; } }"
SKETCH = """
let last = 0;
const step = () => {
  const whole = Math.floor(beat());
  const at = performance.timeOrigin + performance.now();
  if (whole !== last) parent.postMessage({ kind: "mark", beat: whole, at, bpm: bpm() }, "*");
  last = whole;
  setTimeout(step, 5);
};
step();
try { localStorage.x = 1; } catch { parent.postMessage({ kind: "said", text: "no storage" }, "*"); }
fetch("/api/status").catch(() => parent.postMessage({ kind: "refused" }, "*"));
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Tab]]:
    home = tmp_path_factory.mktemp("home")
    with (
        ServerProcess("--audio", "headless", "--patch", "through", home=home, wait=120.0) as server,
        Chromium() as browser,
    ):
        tab = browser.tab()
        tab.go(f"http://127.0.0.1:{server.http}/plugins/lights/hydra")
        tab.until("document.querySelector('textarea')?.value")
        yield server, tab


def test_a_sketch_has_the_server_s_beat_and_nothing_else_of_it(shown: tuple[ServerProcess, Tab]) -> None:
    server, tab = shown
    tab.run(f"localStorage.setItem(LIBRARY, {LIBRARY!r})")
    tab.reload()
    tab.until("document.querySelector('output')?.value === 'osc is not defined'")  # the sketch that it begins with
    tab.run("marks = []; refused = 0; addEventListener('message', ({ data }) => data.kind === 'mark' ? "
            "marks.push([data.beat, data.at, data.bpm]) : data.kind === 'refused' && refused++)")  # fmt: skip
    tab.run(f"sketch.value = {SKETCH!r}; form.requestSubmit()")
    tab.until("marks.length >= 6 && refused")
    beat, now = float(server.ask("/beat")[1][0]), 1e3 * time.time()
    last = tab.run("marks").pop()
    assert last[2] == pytest.approx(120.0)
    assert last[0] + (now - last[1]) * last[2] / 60000 == pytest.approx(beat, abs=0.2)
    assert tab.run("said.value") == "no storage"
    assert tab.run("localStorage.getItem(SKETCH)") == SKETCH


def test_a_file_that_is_no_hydra_is_named(shown: tuple[ServerProcess, Tab]) -> None:
    _, tab = shown
    tab.run("localStorage.setItem(LIBRARY, 'let a = 1')")
    tab.reload()
    tab.until("document.querySelector('output')?.value.startsWith('This file defines no Hydra')")
