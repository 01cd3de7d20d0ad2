"""A served engine on a real (dummy) jackd: it plays, and survives its own death."""

import os
import signal
from pathlib import Path

import pytest
from tests.real.conftest import Jackd
from tests.waiting import until

from antiphon.kernel.supervisor import watchdog
from antiphon_bench.rig import ServerProcess

pytestmark = [pytest.mark.real, pytest.mark.executed]


@pytest.mark.parametrize("audio", ["jack", "portaudio", "auto"])
def test_it_plays_on_jack(jackd: Jackd, tmp_path: Path, audio: str) -> None:
    # told, since a busy machine chooses more
    options = "--audio", audio, "--ahead", "2", "--patch", "through", "--muted"
    with ServerProcess(*options, env=jackd.env, home=tmp_path) as server:
        before = server.status()
        assert before["engine"]["driver"] == ("jack" if audio == "auto" else audio)
        until(lambda: server.status()["blocks"] > before["blocks"] + 100, 5.0, "a hundred blocks")
        status = server.status()
        assert status["latency"]["ring"] == 2 * jackd.period
        assert server.ask("/node/in/mute")[1] == [1]


def test_a_canceller_stands_in_front_of_a_microphone_unless_there_are_headphones(jackd: Jackd, tmp_path: Path) -> None:
    options = "--audio", "jack", "--patch", "concerto", "--muted"
    with ServerProcess(*options, env=jackd.env, home=tmp_path) as server:
        assert server.ask("/node/list")[1][:2] == ["echo_cancel", "echo_cancel"]
        server.ask("/patch/load", "through")
        assert server.ask("/node/list")[1] == ["gain", "gain"], "another program's tones are no howl"
    with ServerProcess(*options, "--headphones", env=jackd.env, home=tmp_path) as server:
        assert "echo_cancel" not in server.ask("/node/list")[1]


def test_a_guard_stands_in_front_of_a_sound_cards_input_that_is_played(jackd: Jackd, tmp_path: Path) -> None:
    options = "--audio", "portaudio", "--patch", "through", "--muted"
    with ServerProcess(*options, env=jackd.env, home=tmp_path) as server:
        assert server.ask("/node/list")[1] == ["howl_guard", "howl_guard", "gain", "gain"]


def test_headphones_are_remembered_for_the_device(jackd: Jackd, tmp_path: Path) -> None:
    options = "--audio", "jack", "--patch", "concerto", "--muted"
    with ServerProcess(*options, env=jackd.env, home=tmp_path) as server:
        assert server.ask("/headphones") == ("/headphones", [0, "jack"])
        assert server.ask("/headphones", 1) == ("/done", ["/headphones", 1])
        until(lambda: "echo_cancel" not in server.ask("/node/list")[1], 10.0, "no canceller")
    with ServerProcess(*options, env=jackd.env, home=tmp_path) as server:
        assert "echo_cancel" not in server.ask("/node/list")[1]
        server.ask("/headphones", 0)
        until(lambda: "echo_cancel" in server.ask("/node/list")[1], 10.0, "the canceller")


def test_a_killed_engine_comes_back_on_jack(jackd: Jackd, tmp_path: Path) -> None:
    with ServerProcess("--audio", "jack", "--patch", "through", "--muted", env=jackd.env, home=tmp_path) as server:
        server.send("/node/gain/gain", 0.5)
        server.sync()
        pid = server.pids()["engine"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: server.status()["engine"]["pid"] != pid, 2.0, "another engine")
        until(lambda: server.status()["engine"]["state"] == "running", 2.0, "engine running")
        assert server.ask("/node/gain/gain")[1] == [0.5]


def test_a_control_that_hangs_is_replaced_and_nothing_is_missed(tmp_path: Path) -> None:
    with ServerProcess("--audio", "headless", "--patch", "through", home=tmp_path) as server:
        server.send("/node/gain/gain", 0.5)
        server.sync()
        before = server.pids()
        os.kill(before["control"], signal.SIGSTOP)

        def replaced() -> bool:
            try:
                return server.ask("/node/gain/gain", timeout=0.3)[1] == [0.5]
            except OSError:
                return False

        until(replaced, watchdog.CONTROL_HANG_SECONDS + 8.0, "another control")
        after = server.pids()
        assert after["control"] != before["control"]
        assert after["engine"] == before["engine"]
        assert "control has not turned for" in server.standard_error()
