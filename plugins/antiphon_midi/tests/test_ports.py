"""Which ports are opened, by which library, and what a callback may leave behind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mido
import pytest

from antiphon.api import EngineError, UsageError
from antiphon_midi.devices import ports as midi_ports
from antiphon_midi.devices.libraries import MAX_HELD, Inbox, connected_addresses
from antiphon_midi.devices.ports import Ports, check_choice, make_backend, stable
from antiphon_midi.tests import fake_mido


@pytest.fixture
def bell() -> Iterator[int]:
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    yield fd
    os.close(fd)


def test_a_port_keeps_its_name_from_one_plugging_in_to_the_next() -> None:
    assert stable(["nano:nano 1 20:0", "nano:nano 1 24:0", "a2j:nano (capture)", "x 3"]) == {
        "nano:nano 1 20:0": "nano:nano 1",
        "nano:nano 1 24:0": "nano:nano 1 (2)",
        "a2j:nano (capture)": "a2j:nano (capture)",
        "x 3": "x 3",
    }


ALSA = """Client info
  cur  clients : 4
Client  20 : "nano" [Kernel]
  Port   0 : "nano 1" (RWeX)
    Connecting To: 128:0
Client 128 : "antiphon-midi" [User Legacy]
  Port   0 : "antiphon" (-We-) [In]
    Connected From: 20:0[real:0], 129:1
Client 130 : "antiphon-midi" [User Legacy]
  Port   0 : "listens" (-We-)
    Connected From: 21:0
Client 131 : "other" [User Legacy]
  Port   0 : "antiphon" (-We-)
    Connected From: 22:0
"""


def test_what_somebody_connected_to_the_virtual_input_is_known() -> None:
    assert connected_addresses(ALSA, "antiphon-midi", "antiphon") == {"20:0", "129:1"}
    assert connected_addresses("", "antiphon-midi", "antiphon") == set()


def test_a_backend_of_mido_is_taken_from_the_environment(bell: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDO_BACKEND", "antiphon_midi.tests.fake_mido")
    ports = Ports("test", virtual=True, outputs=["gear"])
    found = ports.look()
    assert ports.backend is not None
    assert (ports.backend.name, found.opened, found.outputs_opened) == (
        "fake_mido",
        ["antiphon", "fake keys"],
        ["fake gear"],
    )
    assert fake_mido.opened["antiphon"].virtual
    fake_mido.opened["fake keys"].callback(mido.Message("note_on", note=60, velocity=1))  # type: ignore[misc]
    ((port, ns, data),) = ports.take(10)
    assert (port, data) == ("fake keys", bytes((0x90, 60, 1)))
    assert ns > 0
    ports.send(bytes((0x80, 60, 64)))
    assert fake_mido.sent == [mido.Message("note_off", note=60)]
    with pytest.raises(OSError, match="no such port"):
        ports.backend.open_input("none")
    ports.close()
    assert all(port.closed for name, port in fake_mido.opened.items())


def test_what_a_callback_leaves_is_bounded_and_counted(bell: int) -> None:
    inbox = Inbox(bell)
    for _ in range(MAX_HELD // 1000 + 5):
        inbox.put(bytes(1000))
    assert inbox.dropped == 5
    assert sum(len(data) for _, data in inbox.queue) <= MAX_HELD
    inbox.take()
    inbox.put(bytes(1000))
    assert inbox.dropped == 5
    assert os.eventfd_read(bell) == MAX_HELD // 1000 + 1


@pytest.mark.parametrize("choice", ["mido.backends.rtmidi/NONE", "mido.backends.rtmidi/"])
def test_a_choice_there_cannot_be_is_refused(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDO_BACKEND", choice)
    if choice.endswith("/"):
        check_choice()
        return
    with pytest.raises(UsageError, match="LINUX_ALSA, UNIX_JACK"):
        check_choice()


def test_a_library_that_is_missing_is_one_sentence(bell: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDO_BACKEND", "no_such_module")
    with pytest.raises(EngineError, match="MIDI needs no_such_module"):
        make_backend("x", bell, "")
    ports = Ports("x", virtual=True)
    assert ports.look().opened == []
    assert "no_such_module" in ports.trouble
    ports.close()


def test_without_a_sequencer_linux_takes_jack(bell: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIDO_BACKEND", raising=False)
    monkeypatch.setattr(midi_ports, "SEQUENCER", "/nonexistent")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "antiphon-no-such-server")
    with pytest.raises(EngineError, match="JACK"):
        make_backend("x", bell, "")


def test_alsa_without_a_sequencer_says_so(bell: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rtmidi", reason="python-rtmidi is missing: pip install python-rtmidi")
    if os.path.exists(midi_ports.SEQUENCER):
        pytest.skip("this machine has ALSA's sequencer: nothing to refuse")
    monkeypatch.setenv("MIDO_BACKEND", "mido.backends.rtmidi/LINUX_ALSA")
    with pytest.raises(EngineError, match="LINUX_ALSA cannot be had"):
        make_backend("x", bell, "")


def test_nobody_who_asks_for_no_midi_loads_a_library_of_it() -> None:
    run = (
        "import sys, antiphon.kernel.control.process, antiphon.files.midifile;"
        "import antiphon_midi.input.ports_input, antiphon_midi.devices.libraries;"
        "assert not {'mido', 'rtmidi', 'jack', 'llvmlite'} & set(sys.modules)"
    )
    path = os.pathsep.join(str(Path(__file__).parents[3] / part) for part in ("server", "plugins"))
    subprocess.run([sys.executable, "-c", run], check=True, env={**os.environ, "PYTHONPATH": path}, timeout=300)
