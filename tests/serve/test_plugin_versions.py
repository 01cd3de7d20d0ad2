"""A plugin that is saved while it plays: its new version is used from a bar line on, or the one before plays on."""

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.waiting import play_for, until

from antiphon_bench.rig import ServerProcess

RATE, BLOCK = 48000, 256
TEMPO = 240.0
BAR = 4 * 60.0 / TEMPO
FADE = 0.05
LEVEL = 0.4
NEAR = 1e-4
"""Levels nearer than this are one level."""
UNSEEN = round(NEAR * FADE * RATE / (LEVEL * 0.5 * (0.125 - 0.0625))) + 1
"""Frames until the slowest fade of these tests is further than NEAR from where it began."""

INIT = """
from antiphon.api import hookimpl

@hookimpl
def antiphon_processors(register):
    register("louder", "louder.processor:Louder", "A gain.")
"""
PROCESSOR = """
import numpy as np
from antiphon.api import Param, Processor

class Louder(Processor):
    params = (Param("by", default=1.0, low=0.0, high=2.0),)

    def prepare(self, spec):
        self.blocks = np.zeros(1)

    def save_state(self):
        return {"blocks": self.blocks}

    def load_state(self, state):
        self.blocks[:] = state["blocks"]

    def process(self, io):
        self.blocks += 1
        np.multiply(io.audio_in[0], FACTOR * float(io.value("by")), out=io.audio_out[0])
"""


def write(home: Path, factor: str = "0.5", text: str = PROCESSOR, name: str = "processor.py") -> None:
    folder = home / "data" / "plugins" / "louder"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "new").write_text(text.replace("FACTOR", factor))
    os.replace(folder / "new", folder / name)  # the server looks at it at any moment


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    write(tmp_path)
    write(tmp_path, text=INIT, name="__init__.py")
    patch = tmp_path / "louder.toml"
    patch.write_text(
        f'format = 1\nname = "Louder"\ntempo = {TEMPO}\n[nodes.louder]\n[wires]\n"in" = "louder"\n"louder" = "out"\n'
    )
    soundfile.write(tmp_path / "in.wav", np.full((RATE, 2), LEVEL, np.float32), RATE, subtype="FLOAT")
    with ServerProcess("--audio", "headless", "--block", str(BLOCK), "--ahead", "16", "--patch", str(patch), "--input",
                str(tmp_path / "in.wav"), "--record", str(tmp_path / "out.wav"), home=tmp_path) as running:  # fmt: skip
        yield running


def refused(server: ServerProcess) -> str:
    return "".join(entry["reason"] for entry in server.status()["plugins_failed"] if entry["name"] == "louder")


def recorded(server: ServerProcess, home: Path) -> np.ndarray:
    """The first channel, without the first and the last 20 ms, in which the sound fades."""
    server.stop()
    sound = soundfile.read(home / "out.wav", dtype="float32", always_2d=True)[0][:, 0]
    begin = int(np.flatnonzero(sound)[0]) + RATE // 50
    return np.concatenate([np.zeros(begin, np.float32), sound[begin : -RATE // 20]])


def loaded(server: ServerProcess, count: int) -> None:
    until(lambda: server.standard_error().count("its new version plays") == count, 20.0, "the new version plays")


def onset(sound: np.ndarray, before: float, after: float) -> int:
    """The first frame of the crossfade from one level to another, which rises or falls steadily and once."""
    at = int(np.flatnonzero(np.isclose(sound, before, atol=NEAR))[-1]) + 1
    end = at + round(FADE * RATE)
    later = sound[end : end + RATE // 10]
    assert held(later) == [pytest.approx(after, abs=NEAR)]
    fade = sound[at - 1 : end]
    # a block that a busy machine has missed is silent in the recording
    steps = np.diff(fade)[(fade[1:] != 0.0) & (fade[:-1] != 0.0)] * np.sign(after - before)
    assert steps.min() > -1e-5
    assert steps.max() < 2.0 * abs(after - before) / (end - at)
    return at


def held(sound: np.ndarray) -> list[float]:
    """The levels one after another that stay, not those of fades, as there are behind blocks that were missed."""
    levels = np.round(sound, 5)
    begins = np.flatnonzero(np.diff(levels, prepend=-1.0))
    stays = levels[begins][np.diff(begins, append=len(levels)) > 100]
    stays = stays[stays != 0.0]
    return [float(level) for level in stays[np.flatnonzero(np.diff(stays, prepend=0.0))]]


def test_a_saved_plugin_plays_from_the_next_bar_on_with_values_and_state(server: ServerProcess, tmp_path: Path) -> None:
    server.send("/node/louder/by", 0.5)
    server.sync(1)
    play_for(server, 0.2)
    write(tmp_path, "0.25")
    loaded(server, 1)
    assert server.ask("/node/louder/by")[1] == [0.5]
    play_for(server, 0.3)
    # the state: had the blocks been counted from 0, the factor would be 2.0
    write(tmp_path, f"(0.125 if self.blocks[0] > {0.2 * RATE / BLOCK} else 2.0)")
    loaded(server, 2)
    play_for(server, 0.3)
    # other parameters: the node has another number, and the values that they can have
    more = PROCESSOR.replace("high=2.0),", 'high=3.0), Param("more", default=1.0, low=0.0, high=1.0),')
    write(tmp_path, "0.0625", more)
    loaded(server, 3)
    assert server.ask("/node/louder/by")[1] == [0.5]
    assert server.ask("/node/louder/more")[1] == [1.0]
    play_for(server, 0.3)
    missed = server.status()["missed_blocks"]
    sound = recorded(server, tmp_path)
    levels = [LEVEL * 0.5 * factor for factor in (0.5, 0.25, 0.125, 0.0625)]
    onsets = [onset(sound, before, after) for before, after in pairwise(levels)]
    for one, next_one in pairwise(onsets):
        bars = (next_one - one) / (BAR * RATE)
        # a bar line is somewhere in its block, and a fade is first seen some frames after it has begun; a block that a
        # busy machine has missed at a bar line makes the change a block late
        assert abs(bars - round(bars)) * BAR * RATE <= (1 + missed) * BLOCK + UNSEEN, (bars, missed)


WRONG = {
    "a syntax error": ("x = = 1\n" + PROCESSOR, "SyntaxError: invalid syntax (processor.py, line 1)"),
    "it raises at import": ("import nothing_of_that_name\n" + PROCESSOR, "of_that_name' (processor.py, line 1)"),
    "it raises in process": (
        PROCESSOR.replace("self.blocks += 1", "self.blocks += self.absent"),
        "'absent' (processor.py, line 18)",
    ),
    "a wrong declaration": (PROCESSOR.replace("default=1.0", "default=7.0"), "not 7 (processor.py, line 5)"),
    "its state cannot be loaded": (
        PROCESSOR.replace('state["blocks"]', 'state["other"]'),
        "KeyError: 'other' (processor.py, line 15)",
    ),
    "another output than is wired": (
        PROCESSOR.replace("Processor\n", "Port, Processor\n", 1).replace(
            "    par", "    outputs = (Port('o'),)\n    par"
        ),
        "no output port 'out'",
    ),
}


def test_a_version_that_fails_is_reported_and_the_one_before_plays_on(server: ServerProcess, tmp_path: Path) -> None:
    play_for(server, 0.2)
    for what, (text, place) in WRONG.items():
        write(tmp_path, "0.25", text)
        until(lambda place=place: place in refused(server), 20.0, what)
        assert "louder" in server.standard_error()
        assert [n["state"] for n in server.status()["nodes"]] == ["running"]
    play_for(server, 0.1)
    write(tmp_path, "0.5 ")
    loaded(server, 1)
    assert refused(server) == ""
    sound = recorded(server, tmp_path)
    assert held(sound) == [pytest.approx(LEVEL * 0.5, abs=NEAR)]


def test_a_new_plugin_is_there_without_a_restart(server: ServerProcess, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "plugins" / "softer"
    folder.mkdir()
    (folder / "processor.py").write_text(PROCESSOR.replace("FACTOR", "0.1").replace("Louder", "Softer"))
    (folder / "__init__.py").write_text(INIT.replace("louder", "softer").replace("Louder", "Softer"))
    until(lambda: "softer: the new plugin is there" in server.standard_error(), 20.0, "the new plugin is there")
    server.send("/node/add", "softer", "softer", "louder")
    until(lambda: {n["type"] for n in server.status()["nodes"]} == {"louder", "softer"}, 20.0, "both play")
    assert server.ask("/node/softer/by")[1] == [1.0]
    play_for(server, 0.3)
    # the web process reads of the node by itself
    value = "/node/softer/by?VALUE"
    until(lambda: server.request("GET", value) == (200, {"VALUE": [1.0]}), 20.0, "its value is there by HTTP")
    before = server.pids()
    for process in ("control", "engine"):
        os.kill(before[process], signal.SIGKILL)
        until(lambda process=process: server.pids()[process] not in (0, before[process]), 20.0, f"another {process}")
    until(lambda: {n["state"] for n in server.status()["nodes"]} == {"running"}, 20.0, "it plays both")
    play_for(server, 0.5)
    sound = recorded(server, tmp_path)
    assert held(sound)[-1] == pytest.approx(LEVEL * 0.5 * 0.1, abs=NEAR)
