"""Scenes on a real server: stored, recalled, morphed to, on a beat, saved with the patch, kept over a crash."""

import os
import signal

from tests.waiting import until

from antiphon_bench.rig import ServerProcess


def value(server: ServerProcess, address: str) -> float:
    return float(server.ask(address)[1][0])


def test_a_scene_is_stored_recalled_and_morphed_to() -> None:
    with ServerProcess("--audio", "headless", "--patch", "through") as server:
        server.send("/node/gain/gain", 0.25)
        assert server.ask("/scene/store", 1) == ("/done", ["/scene/store", 1])
        server.send("/node/gain/gain", 1.0)
        server.sync()
        server.send("/scene/recall", 1)
        assert value(server, "/node/gain/gain") == 0.25
        answer, (address, said) = server.ask("/scene/recall", 9)
        assert (answer, address) == ("/fail", "/scene/recall")
        assert "there is no scene 9; there are: 1" in said
        assert server.ask("/scene/recall", 1, -1.0)[0] == "/fail"
        # control killed: the scene is there still
        os.kill(server.pids()["control"], signal.SIGKILL)
        until(lambda: alive(server), 5.0, "control is back")
        server.send("/node/gain/gain", 1.0)
        server.send("/scene/recall", 1, 2.0, 1.0)
        until(lambda: value(server, "/node/gain/gain") == 0.25, 3.0, "on the next beat")
        assert server.ask("/patch/save", "mine")[0] == "/done"
        (saved,) = server.home.rglob("mine.toml")
        assert '"gain.gain" = 0.25' in saved.read_text()
        # what is of a node that has gone is passed over
        server.send("/node/remove", "gain")
        server.sync()
        failed = server.status()["osc_failed"]
        server.send("/scene/recall", 1)
        server.sync()
        assert server.status()["osc_failed"] == failed


def alive(server: ServerProcess) -> bool:
    try:
        return bool(server.ask("/node/gain/gain", timeout=0.5))  # one that control's end took is asked again
    except (OSError, ValueError):
        return False
