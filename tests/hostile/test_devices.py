"""A device, a library or a port that is missing or taken: one sentence, at once."""

import socket
from pathlib import Path

import pytest
from tests.hostile.conftest import Antiphon

from antiphon.kernel.errors import UsageError
from antiphon.kernel.io import listening
from antiphon.kernel.runtime.settings import ServeSettings

# Nothing of the kind is there, whatever this machine has: no server of that name, no such device.
NOWHERE = {"JACK_DEFAULT_SERVER": "antiphon-no-such-server", "JACK_NO_START_SERVER": "1"}
FREE = ("--osc-port", "0", "--http-port", "0")
BROKEN = """
import ctypes.util, sys

def missing(name, real=ctypes.util.find_library):
    return None if name in ("portaudio", "jack") else real(name)

ctypes.util.find_library = missing


class NoBundled:
    def find_spec(self, name, path=None, target=None):
        if name == "_sounddevice_data":
            raise ImportError(name)


sys.meta_path.insert(0, NoBundled())
"""


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--audio", "jack"), "JACK"),
        (("--audio", "portaudio", "--output", "no such device"), "no such device"),
        (("--audio", "portaudio", "--input", "no such device"), "no such device"),
        (("--output", "no such device"), "no such device"),
        (("--input", "no such device"), "no such device"),
        (("--audio", "headless", "--output", "no such device"), "headless has no devices"),
        (("--audio", "headless", "--input", "no such device"), "headless has no devices"),
    ],
)
def test_a_missing_device(antiphon: Antiphon, options: tuple[str, ...], word: str) -> None:
    assert word in antiphon("serve", *FREE, *options, env=NOWHERE).sentence


def test_a_jack_server_with_the_name_of_our_client(antiphon: Antiphon) -> None:
    said = antiphon("serve", *FREE, "--audio", "jack", env={"JACK_DEFAULT_SERVER": "antiphon"}).sentence
    assert "start jackd with another name (-n)" in said


@pytest.mark.parametrize(("audio", "package"), [("portaudio", "libportaudio2"), ("jack", "jackd2")])
def test_a_missing_library(antiphon: Antiphon, tmp_path: Path, audio: str, package: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    said = antiphon("serve", *FREE, "--audio", audio, env={"PYTHONPATH": str(tmp_path)}).sentence
    assert f"apt-get install {package}" in said


def test_a_free_port_is_free_for_udp_and_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 0: the one UDP got may be somebody's TCP port, then it is another."""
    refusals = iter([True, True, False])
    bind = listening._bind

    def sometimes(sock: socket.socket, host: str, port: int, kind: str, option: str) -> None:
        if kind == "TCP" and option == "--osc-port" and next(refusals, False):
            raise UsageError(f"TCP port {port} is taken")
        bind(sock, host, port, kind, option)

    monkeypatch.setattr(listening, "_bind", sometimes)
    udp, tcp, http = listening.open_sockets(ServeSettings(osc_port=0, http_port=0))
    with udp, tcp, http:
        assert udp.getsockname()[1] == tcp.getsockname()[1]


def test_a_taken_http_port_is_named_whatever_ports_osc_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """OSC's free ports are found anew for each try; HTTP's port was given, and no try changes that it is taken."""
    bind = listening._bind

    def osc_has_none(sock: socket.socket, host: str, port: int, kind: str, option: str) -> None:
        if kind == "TCP" and option == "--osc-port":
            raise UsageError(f"TCP port {port} is taken")
        bind(sock, host, port, kind, option)

    monkeypatch.setattr(listening, "_bind", osc_has_none)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"TCP port {port} is taken .*--http-port"):
            listening.open_sockets(ServeSettings(osc_port=0, http_port=port))


@pytest.mark.parametrize("kind", ["udp", "tcp", "http"])
def test_a_taken_port(antiphon: Antiphon, kind: str) -> None:
    with socket.socket(type=socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as held:
        held.bind(("127.0.0.1", 0))
        if kind != "udp":
            held.listen()
        port = str(held.getsockname()[1])
        option = "--http-port" if kind == "http" else "--osc-port"
        other = ("--osc-port", "0") if kind == "http" else ("--http-port", "0")
        said = antiphon("serve", "--audio", "headless", option, port, *other).sentence
    assert port in said
    assert option in said
