"""Which ports are opened, by which library; ports and processes that go, hostile bytes: what sounds is ended."""

import os
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import mido
import pytest
from tests.control.fake_engine import FakeEngine, FakeTime
from tests.control.test_notes import events
from tests.sources import PYTHONPATH
from tests.waiting import comes

from antiphon.api import EngineError, UsageError
from antiphon.web import control_status
from antiphon_midi import ports as midi_ports
from antiphon_midi.libraries import MAX_HELD, Inbox, connected_addresses
from antiphon_midi.ports import Ports, check_mido_backend, make_backend, stable
from antiphon_midi.tests import fake_mido
from antiphon_midi.tests.midi_rig import K, MidiStage, panics_of, staged


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
        check_mido_backend()
        return
    with pytest.raises(UsageError, match="LINUX_ALSA, UNIX_JACK"):
        check_mido_backend()


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


def test_nobody_who_asks_for_no_midi_loads_a_library_of_it() -> None:
    run = (
        "import sys, antiphon.kernel.control.process, antiphon.files.scores.midifile;"
        "import antiphon_midi.ports_input, antiphon_midi.libraries;"
        "assert not {'mido', 'rtmidi', 'jack', 'llvmlite'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", run], check=True, env={**os.environ, "PYTHONPATH": PYTHONPATH}, timeout=300)


ENDED = [("off", K, 60, 0.0, 1), ("off", K, 64, 0.0, 2), ("control", K, 64, 0.0, 1), ("bend", K, 0, 0.0, 3)]
HELD = (0x90, 60, 1, 0x91, 64, 1, 0x90, 61, 1, 0x80, 61, 0, 0xB0, 64, 127, 0xE2, 0, 0)


async def unplug(live: MidiStage) -> None:
    live.fake.there = []
    await live.look()


async def replug(live: MidiStage) -> None:
    live.fake.broken.add("keys 20:0")
    await live.look()


async def system_goes(live: MidiStage) -> None:
    live.fake.gone = True
    await live.look()


async def falls_silent(live: MidiStage) -> None:
    live.midi._voices["keys"].last_received -= 1.0
    live.midi._check_active_sensing()
    await live.settle()


@pytest.mark.parametrize("loss", [unplug, replug, system_goes, falls_silent])
async def test_what_a_port_has_sounding_ends_with_it(
    live: MidiStage, loss: Callable[[MidiStage], Awaitable[None]]
) -> None:
    await live.play(0x90, 50, 1)
    await live.play(*HELD, 0xFE, port="keys 20:0")
    await loss(live)
    await live.move(0.1)
    first = [("off", K, 50, 0.0, 1)] if loss is system_goes else []
    assert [done[:-1] for done in events(live)] == first + ENDED
    if loss is not falls_silent:
        await loss(live)
        await live.move(0.1)
        assert events(live) == []


async def test_all_notes_off_is_for_its_channel_and_a_reset_of_controllers_for_its_pedal(live: MidiStage) -> None:
    await live.play(*HELD)
    await live.play(0xB1, 123, 0)
    await live.move(0.1)
    live.engine.applied.clear()
    await live.play(0xB0, 121, 0)
    await live.move(0.1)
    assert [done[:-1] for done in events(live)] == [("control", K, 64, 0.0, 1), ("bend", K, 0, 0.0, 1)]
    panics = panics_of(live)
    await live.play(0xB0, 123, 0)
    await live.move(0.1)
    assert [done[:-1] for done in events(live)] == [("off", K, 60, 0.0, 1)]
    assert panics == [], "a sequencer that stops cuts no other's sound"


async def test_all_sound_off_cuts_its_channel_alone(live: MidiStage) -> None:
    panics = panics_of(live)
    await live.play(*HELD)
    await live.play(0xB1, 120, 0)
    await live.move(0.1)
    assert [done[:-1] for done in events(live)] == [
        ("control", K, 64, 0.0, 2), ("off", K, 64, 0.0, 2), ("control", K, 120, 0.0, 2)
    ]  # fmt: skip
    assert panics == []
    await live.play(0xB0, 123, 0)
    await live.move(0.1)
    assert [done[:-1] for done in events(live)] == [("off", K, 60, 0.0, 1)], "the other channel's note was still held"


async def test_a_reset_of_the_system_is_a_panic(live: MidiStage) -> None:
    panics = panics_of(live)
    await live.play(*HELD)
    await live.play(0xFF)
    assert len(panics) == 1
    await unplug(live)
    await live.move(0.1)
    assert events(live) == [], "nothing of the port sounds any more that would have to be ended"


async def test_a_note_on_its_way_when_its_port_goes_is_ended_after_it_began(live: MidiStage) -> None:
    before = live.midi.received
    live.fake.put("keys 20:0", 0x90, 60, 1, ns=live.time.monotonic())
    await comes(lambda: live.midi.received > before, "the note has come")
    await unplug(live)
    await live.move(0.1)
    assert [done[0] for done in events(live)] == ["on", "off"]


async def test_the_ports_asked_for_and_no_others(tmp_path: Path, home: Path) -> None:
    async with staged(
        tmp_path / "state", virtual=False, there=["A keys", "b", "pads"], inputs=["KEYS", "none such"]
    ) as live:
        told = control_status.status(live.app)["midi"]
        assert told["ports"] == ["A keys"]
        assert told["trouble"] == "there is no MIDI input like 'none such' now; there are: A keys, b, pads"
        live.fake.refuse, live.fake.there = "more keys", ["A keys", "more keys"]
        await live.look()
        assert control_status.status(live.app)["midi"]["ports"] == ["A keys"]
        live.fake.refuse = ""
        await live.look()
        assert control_status.status(live.app)["midi"]["ports"] == ["A keys", "more keys"]


async def test_hostile_bytes_harm_nobody(live: MidiStage) -> None:
    noise = random.Random(3)
    for _ in range(40):
        await live.play(*noise.randbytes(500))
    for _ in range(12):
        await live.play(0xF0, *bytes(200_000), port="keys 20:0")
        await live.play(*bytes(200_000), port="keys 20:0")
        assert live.midi._voices["keys"].parser.buffered_bytes <= 1 << 20
    await live.move(1.0)
    events(live)
    assert ("on", K, 60, 1.0, 1) in await live.play(0xFF, 0x90, 60, 127)
    assert await live.client().ask("/ping") != []
    assert control_status.status(live.app)["midi"]["malformed"] > 100


async def test_notes_of_a_control_process_that_was_killed_are_ended_by_the_next(tmp_path: Path, home: Path) -> None:
    engine = FakeEngine(FakeTime())
    async with staged(tmp_path / "state", engine) as first:
        await first.play(*HELD)
        kept = (tmp_path / "state" / "transport-midi-notes.bin").read_bytes()
    assert sum(kept) == 2
    assert not any((tmp_path / "state" / "transport-midi-notes.bin").read_bytes()), "a good end leaves nothing"
    (tmp_path / "state" / "transport-midi-notes.bin").write_bytes(kept)
    engine.applied.clear()
    async with staged(tmp_path / "state", engine) as second:
        assert control_status.status(second.app)["midi"]["refused"] == 0
        assert not any((tmp_path / "state" / "transport-midi-notes.bin").read_bytes())
