"""`serve --strip-ports`: a JACK client of another program hears each strip, aligned, and their sum is the output."""

import threading
from pathlib import Path

import jack
import numpy as np
import pytest
from tests.waiting import until

from antiphon_bench.rig import ServerProcess

pytestmark = pytest.mark.real

SECONDS = 2.0
PATCH = """format = 1
[nodes.lead]
type = "tone"
frequency = 330.0
level = 0.1
[nodes.low]
type = "tone"
kind = "noise"
level = 0.1
[wires]
"lead" = "out"
"low" = "out"
"""


class Studio:
    """Records ports for some seconds, each cycle of all together."""

    def __init__(self, server: str, names: list[str]) -> None:
        self.client = jack.Client("studio", servername=server, no_start_server=True)
        self.ports = [self.client.inports.register(f"in_{n}") for n in range(len(names))]
        self.heard: list[np.ndarray] = []
        self.done = threading.Event()
        self.client.set_process_callback(self._process)
        self.client.activate()
        for name, port in zip(names, self.ports, strict=True):
            self.client.connect(name, port)

    def _process(self, frames: int) -> None:
        if len(self.heard) * frames >= SECONDS * self.client.samplerate:
            self.done.set()
            return
        self.heard.append(np.array([port.get_array() for port in self.ports]))

    def listen(self) -> np.ndarray:
        assert self.done.wait(60.0), "JACK stopped calling"
        self.client.close()
        return np.concatenate(self.heard, axis=1)


def ports_of(server: str) -> set[str]:
    client = jack.Client("looker", servername=server, no_start_server=True)
    try:
        return {port.name for port in client.get_ports(is_audio=True, is_output=True)}
    finally:
        client.close()


def test_a_studio_hears_each_strip_and_their_sum_is_the_output(jackd, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(PATCH)
    options = "--audio", "jack", "--strip-ports", "--patch", str(tmp_path / "p.toml")
    with ServerProcess(*options, home=tmp_path, wait=120.0, env=jackd.env) as server:
        wanted = {f"antiphon-strips:{name}" for name in ("lead_1", "lead_2", "low_1", "low_2")}
        until(lambda: wanted <= ports_of(jackd.name), 60.0, "ports of the strips")
        names = ["antiphon:out_1", "antiphon-strips:lead_1", "antiphon-strips:low_1"]
        out, lead, low = Studio(jackd.name, names).listen()
        # the strips come two blocks after the output, always as late
        late = 2 * jackd.period
        mixed = (lead + low)[late:].reshape(-1, jackd.period)
        assert np.abs(out).max() > 0.1
        same = np.abs(mixed - out[:-late].reshape(-1, jackd.period)).max(axis=1) < 1e-6
        # where JACK leaves a cycle out for the studio, the two cycles after it are of another delay
        assert same.mean() > 0.5, "all but what a stalling machine leaves out"
        spectrum = np.abs(np.fft.rfft(lead * np.hanning(len(lead))))
        assert round(np.argmax(spectrum) * 48000 / len(lead)) == pytest.approx(330, abs=2)
        server.send("/node/add", "tone", "more")
        server.send("/node/connect", "more", "out")
        server.sync(1)
        until(lambda: "antiphon-strips:more_1" in ports_of(jackd.name), 60.0, "a port of the new strip")
        assert wanted <= ports_of(jackd.name), "the others stay"


def test_strip_ports_need_jack(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="--strip-ports needs JACK"):
        ServerProcess("--audio", "headless", "--strip-ports", home=tmp_path, wait=60.0).start()
