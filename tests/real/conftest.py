"""A dummy jackd for the tests on real parts: one server name, so that no dead server keeps more than one slot."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from tests.waiting import BUSY, until

from antiphon.kernel.runtime.platform import end_before_exec
from antiphon.kernel.runtime.processes.forked import run_forked
from antiphon.kernel.supervisor.jack_server import remove_stale_database

PIPEWIRE = os.environ.get("ANTIPHON_TEST_PIPEWIRE", "")
"""Folder for PipeWire's socket: its daemon then stands in for jackd (`test_pipewire`); "" otherwise."""
PIPEWIRE_CONF = """
context.properties = {{
    core.daemon = true core.name = pipewire-0
    default.clock.rate = {rate} default.clock.quantum = {period}
    default.clock.min-quantum = {period} default.clock.max-quantum = {period}
}}
context.spa-libs = {{ audio.convert.* = audioconvert/libspa-audioconvert  support.* = support/libspa-support }}
context.modules = [
    {{ name = libpipewire-module-protocol-native }} {{ name = libpipewire-module-metadata }}
    {{ name = libpipewire-module-spa-node-factory }} {{ name = libpipewire-module-client-node }}
    {{ name = libpipewire-module-access }} {{ name = libpipewire-module-adapter }}
    {{ name = libpipewire-module-link-factory }}
]
context.objects = [
    {{ factory = metadata args = {{ metadata.name = default }} }}
    {{ factory = spa-node-factory args = {{
        factory.name = support.node.driver node.name = Dummy-Driver node.group = pipewire.dummy
        priority.driver = 20000 }} }}
    {{ factory = adapter args = {{
        factory.name = support.null-audio-sink node.name = system media.class = Audio/Sink
        audio.position = [ FL FR ] adapter.auto-port-config = {{ mode = dsp monitor = true position = preserve }} }} }}
]
"""
NAME = os.environ.get("ANTIPHON_TEST_JACK", "antiphon-test")
PERIOD = 256
PATIENCE = 60.0


@dataclass(frozen=True)
class Jackd:
    """A running server. period: frames.  env: what a process needs in order to find it."""

    name: str
    rate: int
    period: int
    pid: int

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "JACK_DEFAULT_SERVER": self.name}


@pytest.fixture(scope="module")
def jackd(request: pytest.FixtureRequest) -> Iterator[Jackd]:
    """jackd with its dummy driver; indirect parametrisation gives the period, or (rate, period) and options.

    This process and its children find it by JACK_DEFAULT_SERVER.
    """
    asked = getattr(request, "param", PERIOD)
    rate, period, *options = asked if isinstance(asked, tuple) else (48000, asked)
    if shutil.which("jackd") is None:
        pytest.skip("jackd is missing: sudo apt-get install jackd2")
    command = ["jackd", "-r", "-n", NAME, *options, "-d", "dummy", "-r", str(rate), "-p", str(period)]
    if PIPEWIRE:
        conf = Path(PIPEWIRE) / f"{rate}-{period}.conf"
        conf.write_text(PIPEWIRE_CONF.format(rate=rate, period=period))
        command = ["pipewire", "-c", str(conf)]
    with pytest.MonkeyPatch.context() as patch, alone(), tempfile.TemporaryFile() as log:
        patch.setenv("JACK_DEFAULT_SERVER", NAME)
        remove_stale_database()
        # not a pipe: jackd stops for good when nobody reads what it says of xruns
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, preexec_fn=end_before_exec
        )
        try:
            _wait_for(server, log)
            yield Jackd(NAME, rate, period, server.pid)
        finally:
            # a killed server leaves its place in the machine's table of eight taken
            server.terminate()
            try:
                server.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


@contextmanager
def alone() -> Iterator[None]:
    """Another run of these tests on this machine, with the same server name, waits until this one is done."""
    with (Path(tempfile.gettempdir()) / f"{NAME}-{os.getuid()}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _wait_for(server: subprocess.Popen[bytes], log: IO[bytes] | None = None) -> None:
    """Until the server named `NAME` answers; fails the test when it ends or stays silent."""

    def answers() -> object:
        if server.poll() is not None:
            said = b""
            if log is not None:
                log.seek(0)
                said = log.read()[-500:]
            pytest.fail(f"jackd ended with {server.returncode}: {said.decode(errors='replace')}")
        # in a process of its own: with a server that hangs JACK's library never returns
        return run_forked(_answers, PATIENCE, 64).answer

    until(answers, PATIENCE / BUSY, "jackd answers")


def _answers() -> bool:
    import jack

    try:
        jack.Client("antiphon-wait", no_start_server=True).close()
    except jack.JackError:
        return False
    return True
