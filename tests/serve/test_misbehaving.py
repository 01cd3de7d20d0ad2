"""A stranger's processor raises, gives NaN, hangs or crashes in a live server: it is passed by, and the rest plays."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.serve.test_plugin_versions import held
from tests.waiting import play_for, until

from antiphon_bench.rig import ServerProcess

RATE = 48000
INIT = """
from antiphon.kernel.contract.hookspecs import hookimpl


@hookimpl
def antiphon_processors(register):
    register("rogue", "rogue.processor:Rogue", "Misbehaves on demand.")
"""
PROCESSOR = """
import os
import time
from pathlib import Path

import numpy as np

from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.processor import Processor


class Rogue(Processor):
    params = (
        Param("act", "choice", "behave", choices=("behave", "raise", "nan", "slow", "hang", "crash")),
        Param("prepare", "choice", "behave", choices=("behave", "crash", "crash_later"), restart=True),
    )

    def prepare(self, spec):
        self.latency = 100
        prepare, tried = self.settings["prepare"], Path(__file__).with_suffix(".tried")
        if prepare == "crash" or (prepare == "crash_later" and tried.exists()):
            os.abort()
        if prepare == "crash_later":
            tried.touch()

    def process(self, io):
        act = io.value("act")
        np.multiply(io.audio_in[0], 0.5, out=io.audio_out[0])
        if act == "raise":
            raise RuntimeError("on purpose")
        if act == "nan":
            io.audio_out[0][0, 0] = np.nan
        if act == "slow":
            time.sleep(0.1)
        if act == "hang":
            while True:
                pass
        if act == "crash":
            os.abort()
"""


def install(home: Path) -> None:
    """Puts the plugin into a server's home."""
    folder = home / "data" / "plugins" / "rogue"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(INIT)
    (folder / "processor.py").write_text(PROCESSOR)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    install(tmp_path)
    patch = tmp_path / "rogue.toml"
    patch.write_text('format = 1\nname = "Rogue"\n[nodes.rogue]\n[wires]\n"in" = "rogue"\n"rogue" = "out"\n')
    soundfile.write(tmp_path / "in.wav", np.full((RATE, 2), 0.4, np.float32), RATE)
    with ServerProcess("--audio", "headless", "--patch", str(patch), "--input", str(tmp_path / "in.wav"),
                "--record", str(tmp_path / "out.wav"), home=tmp_path) as running:  # fmt: skip
        yield running


def node(server: ServerProcess) -> dict[str, str]:
    return server.status()["nodes"][0]


def until_failed(server: ServerProcess, seconds: float) -> dict[str, str]:
    found: dict[str, str] = {}

    def failed() -> bool:
        found.update(node(server))
        return found["state"] == "failed"

    until(failed, seconds, "the node has failed")
    return found


def behaves(server: ServerProcess) -> None:
    server.send("/node/rogue/act", "behave")
    server.sync(1)
    server.send("/node/rogue/reset")
    server.sync(2)
    until(lambda: node(server)["state"] == "running", 5.0, "it is tried again")
    play_for(server, 0.1)


def test_a_failing_processor_is_passed_by_named_and_tried_again(server: ServerProcess, tmp_path: Path) -> None:
    assert server.ask("/node/rogue/act")[1] == ["behave"]
    play_for(server, 0.1)
    for act, reason in (("raise", "on purpose"), ("nan", "NaN")):
        server.send("/node/rogue/act", act)
        assert reason in until_failed(server, 5.0)["reason"]
        play_for(server, 0.1)
        behaves(server)
    # one that was too slow for a while is back without being asked for
    server.send("/node/rogue/act", "slow")
    assert re.search(r"it is tried again in \d+ s", until_failed(server, 5.0)["reason"])
    server.send("/node/rogue/act", "behave")
    until(lambda: node(server)["state"] == "running", 5.0, "it is tried again")
    until(lambda: "rogue is back" in server.standard_error(), 1.0, "that is said")
    play_for(server, 0.2)
    server.stop()
    sound, _ = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    assert np.isfinite(sound).all()
    processed, dry = (pytest.approx(level, abs=2e-3) for level in (0.2, 0.4))
    assert held(sound[: -RATE // 50, 0]) == [processed, dry] * 3 + [processed]


def test_a_processor_that_takes_the_engine_down_is_passed_by_in_the_next(server: ServerProcess) -> None:
    for restarts, act in enumerate(("crash", "hang"), 1):
        before = server.pids()["engine"]
        server.send("/node/rogue/act", act)
        assert "engine" in until_failed(server, 8.0)["reason"]
        assert server.ask("/ping", 1)[1][0] == 1
        assert server.pids()["engine"] != before
        assert server.status()["engine"]["restarts"] == restarts
        behaves(server)
