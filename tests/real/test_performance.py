"""A performance played through on a real server by OSC, MIDI, HTTP and the page, and its recording measured.

ANTIPHON_PERFORMANCE=600 plays ten minutes; without it 16 s.
"""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.chromium import BINARY, Chromium, Tab
from tests.real.conftest import Jackd
from tests.real.keyboard import Keyboard
from tests.waiting import play_for, until

from antiphon.signal.loudness import LoudnessMeter
from antiphon_bench.rig import ServerProcess

pytestmark = [pytest.mark.real, pytest.mark.executed]
SECONDS = float(os.environ.get("ANTIPHON_PERFORMANCE", "16"))
PHRASE = 2.0
"""Seconds from one change to the next."""
PATCHES = ("band", "pads", "dub", "band", "squelch")


class Performer:
    """Plays a server by all ways in. The same actions in each run."""

    def __init__(self, server: ServerProcess, keys: Keyboard, home: Path) -> None:
        self.server, self.keys = server, keys
        self.token = next(home.rglob("token")).read_text().strip()
        self.dice = random.Random(7)
        self.captured: list[str] = []
        self.tab: Tab | None = None

    def answered(self, address: str, *args: object) -> list[object]:
        """Asks by OSC; a refusal fails the test."""
        said, values = self.server.ask(address, *args, timeout=30.0)
        assert said != "/fail", (address, args, values)
        return values

    def post(self, path: str, body: object) -> int:
        """The status of a request with the token."""
        return self.server.request("POST", path, body)[0]

    def beats(self) -> None:
        """A bar of drums and a line, dated by beats ahead of the clock."""
        now = float(self.server.status()["beat"])
        for step in range(8):
            at = now + 1.0 + step / 2
            if step % 4 == 0:
                self.server.send("/at", at, "/note/on", 36, 110, 1)
            note = self.dice.choice((45, 52, 57, 60, 64, 69))
            self.server.send("/at", at, "/note/on", note, 60 + 10 * (step % 4), 1)
            self.server.send("/at", at + 0.4, "/note/off", note, 0, 1)

    def keyboard(self) -> None:
        """A chord and a knob of a MIDI controller."""
        for note in (57, 60, 64):
            self.keys.send(0x90, note, 90)
        self.keys.send(0xB0, 74, self.dice.randrange(40, 127))
        for note in (57, 60, 64):
            self.keys.send(0x80, note, 0, after=12000)

    def macros(self) -> None:
        names = [node for node in self.graph() if node["name"] == "macro"]
        for param in names[0]["params"][:3] if names else ():
            self.server.send(f"/macro/{param['name']}", self.dice.uniform(0.3, 0.7), 1.0)
        self.server.sync()

    def mixer(self) -> None:
        nodes = [node["name"] for node in self.graph() if any(p["kind"] == "audio" for p in node["outputs"])]
        strips = [name for name in nodes if name not in ("in", "out", "limiter")]
        assert strips, (nodes, self.server.status())
        name = self.dice.choice(strips)
        self.server.send(f"/node/{name}/mute", 1)
        assert self.answered(f"/node/{name}/mute") == [1]
        self.server.send(f"/node/{name}/mute", 0)
        assert self.post("/api/osc", {"address": "/node/out/gain", "args": [self.dice.uniform(-3.0, 0.0)]}) < 300

    def scenes(self) -> None:
        self.answered("/scene/store", 9)
        self.server.send("/scene/recall", 1, 2.0)
        self.server.sync()
        self.server.send("/scene/recall", 9)

    def capture(self) -> None:
        if float(self.server.status()["beat"]) > 12.0:
            self.captured.append(str(self.answered("/capture", 1)[0]))

    def open_page(self, chromium: Chromium) -> None:
        """The room Clips, with a clip of claps."""
        self.tab = chromium.tab()
        self.tab.size(1440, 900)
        self.tab.go(f"http://127.0.0.1:{self.server.http}/#token={self.token}&room=clips")
        self.tab.until("!!document.querySelector('.clips .choice select option[value=\"sound/0/drums/cp\"]')", 300.0)
        self.tab.run(
            "(() => { const s = document.querySelector('.clips .choice > select'); s.value = 'sound/0/drums/cp';"
            " s.dispatchEvent(new Event('change', {bubbles: true})) })()"
        )
        self.tab.until("!!document.querySelector('.clip.is-sound')")

    def page(self) -> None:
        """Launches the clip or ends it, where the patch has it, captures by F9, stops the beat and starts it."""
        if self.tab is None:
            return
        self.tab.run("document.querySelector('.clip.is-sound')?.click()")
        self.tab.run("document.activeElement?.blur()")
        for key, code, number in (("F9", "F9", 120), (" ", "Space", 32), (" ", "Space", 32)):
            for kind in ("keyDown", "keyUp"):
                self.tab.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number)
        self.tab.until("antiphon.connection() === 'open'", 300.0)

    def load(self, number: int) -> None:
        name = PATCHES[number % len(PATCHES)]
        assert self.answered("/patch/load", name) == ["/patch/load", name]

    def panic(self) -> None:
        self.server.send("/panic")
        self.server.sync()

    def graph(self) -> list[dict[str, object]]:
        return list(self.server.request("GET", "/api/graph")[1]["nodes"])


@pytest.fixture
def stage(jackd: Jackd, tmp_path: Path) -> Iterator[Performer]:
    options = ("--audio", "headless", "--patch", "band", "--midi", "--record", str(tmp_path / "out.wav"))
    with ServerProcess(*options, home=tmp_path, env={"JACK_DEFAULT_SERVER": jackd.name}) as server:
        until(lambda: "antiphon" in server.status()["midi"]["ports"], 5.0, "the port antiphon")
        with Keyboard("stage", "antiphon-midi:antiphon") as keys:
            performer = Performer(server, keys, tmp_path)
            if not BINARY:
                yield performer
                return
            with Chromium() as chromium:
                performer.open_page(chromium)
                yield performer


@pytest.mark.timeout(600 + 3 * SECONDS)
def test_a_performance_is_played_through(stage: Performer, tmp_path: Path) -> None:
    actions: tuple[Callable[[], object], ...] = (stage.macros, stage.capture, stage.mixer, stage.scenes, stage.page)
    for phrase in range(round(SECONDS / PHRASE)):
        stage.beats()
        stage.keyboard()
        actions[phrase % len(actions)]()
        if phrase % 6 == 4:
            stage.load(phrase // 6 + 1)
        play_for(stage.server, PHRASE)
    stage.panic()
    play_for(stage.server, 3.0)
    status = stage.server.status()
    stage.server.stop()
    sound, rate = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    assert status["engine"]["restarts"] == 0
    assert not [node for node in status["nodes"] if node.get("state") == "failed"]
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() <= 1.0
    # of all of it: silence before the browser is open, and on a busy machine between phrases, is not counted
    assert -30.0 < LoudnessMeter.of(np.ascontiguousarray(sound.T), rate) < -10.0
    loud = np.abs(sound[: len(sound) // rate * rate]).reshape(-1, rate * sound.shape[1]).max(axis=1)
    # a busy machine takes longer from phrase to phrase, and is silent there
    assert (loud > 1e-4).sum() > 0.65 * SECONDS, "mostly it sounds"
    assert np.abs(sound[-rate:]).max() < 1e-3, "a panic ends everything"
    assert stage.captured
    for path in stage.captured:
        assert soundfile.info(path).duration > 1.0
