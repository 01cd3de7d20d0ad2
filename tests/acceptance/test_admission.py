"""A patch that would not fit is refused before it is swapped in; what played before plays on."""

from pathlib import Path

import pytest
from tests.waiting import until

from antiphon_bench import swap
from antiphon_bench.rig import ServerProcess

PLUGIN = """
import os
import time

from antiphon.kernel.contract.hookspecs import hookimpl
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.processor import Processor


class Busy(Processor):
    params = (Param("ms", default=0.1, low=0.0, high=50.0, restart=True), Param("die", "switch", False, restart=True))

    def process(self, io):
        if self.settings["die"]:
            os.abort()
        until = time.thread_time_ns() + int(self.settings["ms"] * 1e6)
        while time.thread_time_ns() < until:
            pass
        io.audio_out[0][:] = io.audio_in[0]


@hookimpl
def antiphon_processors(register):
    register("busy", Busy, "Burns so many ms a block.")
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "plugins" / "busy"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(PLUGIN)
    return tmp_path


def nodes(server: ServerProcess) -> list[str]:
    return [node["name"] for node in server.status()["nodes"]]


def test_what_does_not_fit_or_would_crash_is_refused_and_changes_nothing(home: Path) -> None:
    with ServerProcess("--audio", "headless", "--patch", "through", home=home) as server:
        server.send("/node/add", "busy", "burn", "in")
        server.sync()
        before = server.status()["engine"]["pid"]
        answer, (address, said) = server.ask("/node/burn/ms", 9.0)
        assert (answer, address) == ("/fail", "/node/burn/ms")
        assert "of a block of 5.33 ms: burn 9" in said
        status = server.status()
        assert status["engine"]["pid"] == before
        assert "burn" in nodes(server)
        assert status["load_weighed"] < 0.2
        assert server.ask("/node/burn/ms") == ("/node/burn/ms", [pytest.approx(0.1)])
        # nearly a whole block is let in, and said
        server.send("/node/burn/ms", 4.3)
        until(lambda: "of a block" in server.status()["warning"], 15.0, "the warning stands in the status")
        # one that would crash does it in its trial
        before = server.status()
        answer, (_, said) = server.ask("/node/burn/die", 1)
        assert answer == "/fail"
        assert "did not survive its trial" in said
        assert "SIGABRT" in said
        after = server.status()
        assert (after["engine"]["pid"], after["engine"]["restarts"]) == (before["engine"]["pid"], 0)


TRIES = 3


@pytest.mark.real
def test_swaps_leave_no_click_in_the_recording() -> None:
    # a block that a busy machine missed is heard as a click too: such a run says nothing of the swaps
    for _ in range(TRIES):
        found = swap.loading(30, seed=3)
        if not found["missed"]:
            break
    assert found["found"] == swap.PLANTED, "the detector hears what is planted"
    assert found["clicks"] == 0, found
