"""Strudel's own packages, from npm, play a real server by `.osc()`: in Node, and in a page in Chromium."""

import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from tests.chromium import Chromium, needs_chromium
from tests.tidal import RelayedEvent, frames_patch, onset_errors
from tests.waiting import play_for, until

from antiphon_bench.rig import ServerProcess

pytestmark = pytest.mark.real
PACKAGES = ("@strudel/core@1.2", "@strudel/osc@1.3", "@strudel/mini@1.2", "esbuild@0.25")
LIBRARY = """
export * from "@strudel/core"; export * from "@strudel/osc"; export { mini } from "@strudel/mini";
"""
PLAY = """
async function play(strudel, program, count) {
  const sent = [], own = WebSocket.prototype.send;
  WebSocket.prototype.send = function (text) { sent.push([text, Date.now()]); return own.call(this, text); };
  strudel.setStringParser(strudel.mini);
  const { s, stack } = strudel;
  const options = { getTime: () => performance.now() / 1000, defaultOutput: () => {}, setInterval, clearInterval };
  const repl = strudel.repl(options);
  repl.setCps(4);
  await repl.setPattern(eval(program).osc(), true);
  while (sent.length < count) await new Promise((done) => setTimeout(done, 50));
  repl.stop();
  await new Promise((done) => setTimeout(done, 2000));
  return sent;
}
"""
NODE = """
import { WebSocket } from "ws";
globalThis.WebSocket = WebSocket;
const strudel = await import("./strudel.mjs");
const sent = await play(strudel, process.argv[2], Number(process.argv[3]));
process.stdout.write("\\n" + JSON.stringify(sent), () => process.exit(0));
"""
PAGE = """<!doctype html><script type="module">
import * as strudel from "./strudel.mjs";
window.play = (program, count) => play(strudel, program, count);
window.ready = true;
"""
NOTES = 's("bd*16, [sn cp]*8, <hh arpy>(3,8)")'
CONTROLS = """s("bd*16").n("0 1").speed("1 -1").gain(1).pan(.2).cut(1).legato(.5).begin(0).end(.9).room(.3).size(.5)
  .delay(.4).delaytime(.25).delayfeedback(.3).cutoff(300).resonance(.2).hcutoff(100).hresonance(.1).bandf(500)
  .bandq(2).shape(.3).crush(8).coarse(2).vowel("a").accelerate(.5).attack(.001).hold(.2).release(.01).unit("c")
  .loop(2).overgain(.1).octave(5).nudge(.01).orbit(1)"""


@pytest.fixture(scope="module")
def strudel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages, as one module `strudel.mjs`."""
    if shutil.which("npm") is None:
        pytest.skip("Node and npm are not installed")
    folder = tmp_path_factory.mktemp("strudel")
    (folder / "package.json").write_text("{}")
    npm = ("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES)
    subprocess.run(npm, cwd=folder, check=True, timeout=300)
    # esbuild's binary is a package of its own, so that it needs no script
    (folder / "library.mjs").write_text(LIBRARY)
    bundle = ("npx", "esbuild", "library.mjs", "--bundle", "--format=esm", "--log-level=error", "--outfile=strudel.mjs")
    subprocess.run(bundle, cwd=folder, check=True, timeout=60)
    (folder / "play.mjs").write_text(NODE + PLAY)
    (folder / "index.html").write_text(PAGE + PLAY + "</script>")
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    patch = frames_patch(tmp_path)
    options = ("--audio", "headless", "--patch", str(patch), "--strudel", "--record", str(tmp_path / "out.wav"))
    with ServerProcess(*options, home=tmp_path) as running:
        until(lambda: running.ask("/node/orbit0/loaded")[1][0] >= 5, 20.0, "the sounds are read")
        yield running


class Pages(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, as a page's own server has them."""

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        return "text/javascript" if str(path).endswith(".mjs") else super().guess_type(path)

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


def in_node(strudel: Path, program: str, count: int) -> list[RelayedEvent]:
    command = ("node", "play.mjs", program, str(count))
    ran = subprocess.run(command, cwd=strudel, capture_output=True, text=True, check=True, timeout=120)
    return events(json.loads(ran.stdout.splitlines()[-1]))


def in_chromium(strudel: Path, program: str, count: int) -> list[RelayedEvent]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, directory=str(strudel))) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        with Chromium() as chromium:
            tab = chromium.tab()
            tab.go(f"http://localhost:{pages.server_address[1]}/")
            tab.until("window.ready === true")
            tab.run(f"play({json.dumps(program)}, {count}).then((sent) => (window.sent = sent)), 0")
            tab.until("window.sent !== undefined", 90.0)
            sent = tab.run("window.sent")
        pages.shutdown()
    return events(sent)


def events(sent: Sequence[tuple[str, float]]) -> list[RelayedEvent]:
    found = []
    for text, at in sent:
        message = json.loads(text)
        assert message["address"] == "/dirt/play"
        args, due = message["args"], message["timestamp"]
        fields = dict(zip(args[::2], args[1::2], strict=True))
        found.append(RelayedEvent(round(due * 1e6), (due - at) / 1000.0, fields))
    return found


def settled(server: ServerProcess, count: int) -> dict[str, object]:
    until(lambda: server.status()["dirt"]["received"] >= count, 20.0, "all events have come")
    until(lambda: server.status()["scheduled"] == 0, 20.0, "all events have sounded")
    play_for(server, 0.3)
    return server.status()


@needs_chromium
@pytest.mark.live
@pytest.mark.parametrize("client", [in_node, in_chromium])
def test_five_hundred_events_sound_on_the_frames_of_their_time_stamps(client, strudel: Path, server, tmp_path) -> None:
    sent = client(strudel, NOTES, 500)
    status = settled(server, len(sent))
    server.stop()
    figures = status["dirt"]
    assert (figures["received"], figures["played"], figures["refused"]) == (len(sent), len(sent), 0)
    assert (figures["ignored"], figures["unknown"], figures["turned_away"]) == ({}, {}, 0)
    errors = onset_errors(tmp_path / "out.wav", sent)
    assert errors.off <= status["late"], errors
    if status["missed_blocks"] == 0 and min(event.lead for event in sent) > 0.03:
        assert (errors.exact, status["late"]) == (True, 0), errors


def test_every_control_of_superdirt_is_read(strudel: Path, server: ServerProcess) -> None:
    sent = in_node(strudel, CONTROLS, 20)
    figures = settled(server, len(sent))["dirt"]
    assert len(sent[0].fields) > 34
    assert (figures["played"], figures["refused"], figures["ignored"]) == (len(sent), 0, {})
