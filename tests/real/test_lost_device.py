"""jackd ends while a served engine plays on it, and comes back. Alone here: no other jackd may run meanwhile."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.real.conftest import NAME, _wait_for, alone
from tests.waiting import until

from antiphon.kernel.supervisor.jack_server import properties, remove_stale_database
from antiphon_bench.rig import ServerProcess

pytestmark = [pytest.mark.real, pytest.mark.executed]


@pytest.fixture(autouse=True)
def only_jackd() -> Iterator[None]:
    with alone():
        yield


def test_when_jackd_ends_the_software_clock_plays_on_until_it_is_back(tmp_path: Path) -> None:
    command = ["jackd", "-r", "-n", NAME, "-d", "dummy", "-r", "48000", "-p", "256"]
    env = {"JACK_DEFAULT_SERVER": NAME}

    def started() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JACK_DEFAULT_SERVER", NAME)
            _wait_for(process)
        return process

    jackd = started()
    try:
        with ServerProcess("--audio", "jack", "--patch", "through", "--muted", env=env, home=tmp_path) as server:
            server.send("/node/gain/gain", 0.25)
            server.sync()
            jackd.terminate()
            jackd.communicate(timeout=10)
            until(lambda: server.status()["engine"]["driver"] == "headless", 3.0, "the software clock")
            until(lambda: server.status()["engine"]["state"] == "running", 2.0, "engine running")
            assert server.ask("/node/gain/gain")[1] == [0.25]
            jackd = started()
            until(lambda: server.status()["engine"]["driver"] == "jack", 10.0, "JACK again")
            until(lambda: server.status()["engine"]["state"] == "running", 3.0, "engine running")
            assert server.ask("/node/gain/gain")[1] == [0.25]
            remove_stale_database()
            assert properties().is_dir(), "of a server that runs"
            jackd.kill()
            jackd.wait()
            remove_stale_database()
            assert not properties().exists(), "of a killed one, locked perhaps"
    finally:
        jackd.kill()
        jackd.communicate(timeout=10)
