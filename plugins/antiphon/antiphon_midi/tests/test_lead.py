"""The server leads other instruments by a MIDI clock."""

import ctypes
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from antiphon.api.backends.intrinsics import compile_all
from antiphon.api.backends.transports import SetTempo, SetTransport
from antiphon.web import control_status
from antiphon_midi import messages as midi
from antiphon_midi.clock import ClockLeader
from antiphon_midi.jack import DATED_AT, WORDS, MidiSlot, midi_process
from antiphon_midi.ports import Ports
from antiphon_midi.tests.clock_rig import LAG, RATE, ClockServer
from antiphon_midi.tests.midi_rig import FakeMidi, MidiStage, staged

BEAT = 24
Sent = list[tuple[int, bytes]]


class Lead:
    """A leader on a server in virtual time, with one output that dates messages."""

    def __init__(self, *, dated: bool = True, playing: bool = True) -> None:
        self.server = ClockServer(clock="lead")
        self.server.map.playing = playing
        self.fake = FakeMidi()
        self.fake.dated, self.fake.sinks = dated, ["gear"]
        self.ports = Ports("test", virtual=False, outputs=["gear", "more"], make=self.fake.make)
        self.ports.look()
        self.leader = ClockLeader(self.server, self.ports)

    def run(self, seconds: float, turn: float | None = None) -> None:
        """Time passes; the leader is called as it asks for, or each `turn` seconds."""
        end = self.server.ns + round(seconds * 1e9)
        while self.server.ns < end:
            delay = self.leader.step()
            # a timer of the event loop is late by a fraction of a millisecond
            delay = max(delay, 1e-4) if turn is None else turn
            self.server.until(min(end, self.server.ns + round(delay * 1e9)))

    def take(self, port: str = "gear") -> Sent:
        """What was sent to the port since the last call, with its times."""
        sent = [(ns, m) for ns, (name, m) in zip(self.fake.dates, self.fake.sent, strict=True) if name == port]
        self.fake.sent.clear()
        self.fake.dates.clear()
        return sent


@pytest.fixture
def lead() -> Iterator[Lead]:
    made = Lead()
    yield made
    made.ports.close()


def ticks(sent: Sent) -> list[int]:
    return [ns for ns, message in sent if message == bytes((midi.TICK,))]


def other(sent: Sent) -> list[bytes]:
    return [message for _, message in sent if message != bytes((midi.TICK,))]


def off(lead: Lead, ns: int) -> float:
    """Seconds from the sample whose beat is a whole tick to the tick at `ns`, less the constant."""
    sample = lead.server.sample_at(ns) - LAG * RATE
    place = lead.server.map.beat_at(round(sample)) * BEAT
    return (place - round(place)) * 60.0 / (BEAT * lead.server.map.tempo_at(round(sample)))


def test_every_tick_is_dated_for_its_sample_however_late_the_process_is(lead: Lead) -> None:
    lead.run(4.0)
    found = ticks(lead.take())
    assert len(found) in range(190, 196)
    assert max(abs(off(lead, ns)) for ns in found[2:]) < 2.5e-5
    lead.run(4.0, turn=0.045)
    assert max(abs(off(lead, ns)) for ns in ticks(lead.take())) < 2.5e-5
    assert (lead.leader.leaps, lead.leader.late) == (0, 0)


def test_start_comes_before_the_tick_of_beat_nought_and_stop_ends_it(lead: Lead) -> None:
    lead.server.map.playing = False
    lead.run(1.0)
    sent = lead.take()
    assert other(sent) == []
    assert len(ticks(sent)) in range(47, 53), "ticks go on while the beat stands"
    lead.server.do(SetTransport(True, 0.0), "somebody")
    lead.run(1.0)
    sent = lead.take()
    start = [m for _, m in sent].index(bytes((midi.START,)))
    assert other(sent) == [bytes((midi.START,))]
    after = ticks(sent[start:])
    begun = lead.server.done[-1][0]
    for number, ns in enumerate(after[3:], 3):
        assert lead.server.sample_at(ns) == pytest.approx(begun + LAG * RATE + number * 1000, abs=1.5)
    lead.server.do(SetTransport(False, None), "somebody")
    lead.run(0.5)
    sent = lead.take()
    assert other(sent) == [bytes((midi.STOP,))]
    assert [ns for ns, _ in sent] == sorted(ns for ns, _ in sent)


def test_from_another_beat_the_position_and_continue_come_on_a_sixteenth(lead: Lead) -> None:
    lead.server.map.playing = False
    lead.run(0.2)
    lead.take()
    lead.server.do(SetTransport(True, 100.1), "somebody")
    lead.run(1.0)
    sent = lead.take()
    # 100.25 beats are 401 sixteenths, 3 * 128 + 17
    assert other(sent) == [bytes((midi.POSITION, 17, 3)), bytes((midi.CONTINUE,))]
    at = [m for _, m in sent].index(bytes((midi.CONTINUE,)))
    sample = lead.server.sample_at(sent[at + 1][0]) - LAG * RATE
    assert lead.server.map.beat_at(round(sample)) == pytest.approx(100.25, abs=2e-4)


@pytest.mark.parametrize(("moved", "beat"), [(True, None), (False, 8.0), (False, 16.0)])
def test_continue_comes_right_before_the_tick_of_its_beat(lead: Lead, moved: bool, beat: float | None) -> None:
    lead.run(0.2)
    lead.server.do(SetTransport(False, None), "somebody")
    lead.run(0.5)
    lead.take()
    if moved:
        lead.server.do(SetTransport(None, 8.0), "somebody")
        lead.run(0.1)
        assert other(lead.take()) == [bytes((midi.POSITION, 32, 0))], "at once, while the clock stands"
    lead.server.do(SetTransport(True, beat), "somebody")
    lead.run(0.5)
    sent = lead.take()
    position = [] if moved else [bytes((midi.POSITION, *divmod(round(beat or 0) * 4, 128)[::-1]))]
    assert other(sent) == [*position, bytes((midi.CONTINUE,))]
    at = [m for _, m in sent].index(bytes((midi.CONTINUE,)))
    assert sent[at + 1][1] == bytes((midi.TICK,))
    begun = lead.server.done[-1][0]
    for number, ns in enumerate(ticks(sent[at:])[3:], 3):
        assert lead.server.sample_at(ns) == pytest.approx(begun + LAG * RATE + number * 1000, abs=1.5)


def test_a_clock_stopped_at_another_beat_says_which(lead: Lead) -> None:
    lead.run(0.2)
    lead.take()
    lead.server.do(SetTransport(False, 8.0), "somebody")
    lead.run(0.2)
    assert other(lead.take()) == [bytes((midi.STOP,)), bytes((midi.POSITION, 32, 0))]


def test_a_beat_that_is_moved_sends_the_gear_there(lead: Lead) -> None:
    lead.run(1.0)
    lead.take()
    lead.server.do(SetTransport(None, 32.0), "somebody")
    lead.run(1.0)
    sent = lead.take()
    assert other(sent) == [bytes((midi.STOP,)), bytes((midi.POSITION, 0, 1)), bytes((midi.CONTINUE,))]
    assert max(abs(off(lead, ns)) for ns in ticks(sent)[-20:]) < 2.5e-5
    assert lead.leader.leaps == 1


@pytest.mark.parametrize("after", [240.0, 60.0, 125.0])
def test_a_change_of_tempo_loses_no_tick(lead: Lead, after: float) -> None:
    lead.run(1.0)
    lead.server.do(SetTempo(after), "somebody")
    lead.run(3.0)
    sent = lead.take()
    assert other(sent) == [bytes((midi.START,))]
    assert lead.leader.leaps == 0
    found = ticks(sent)
    last = round((lead.server.map.beat_at(round(lead.server.sample_at(found[-1]) - LAG * RATE))) * BEAT)
    assert len(found) - 1 == last
    assert max(abs(off(lead, ns)) for ns in found[-20:]) < 2.5e-5


def test_an_output_that_comes_later_is_brought_in_alone(lead: Lead) -> None:
    lead.run(1.0)
    lead.take()
    lead.fake.sinks = ["gear", "more"]
    lead.ports.look()
    lead.run(1.0)
    old, new = [], []
    for ns, (name, message) in zip(lead.fake.dates, lead.fake.sent, strict=True):
        (old if name == "gear" else new).append((ns, message))
    assert other(old) == []
    assert [m[0] for m in other(new)] == [midi.POSITION, midi.CONTINUE]
    at = [m for _, m in new].index(bytes((midi.CONTINUE,)))
    sample = lead.server.sample_at(new[at + 1][0]) - LAG * RATE
    sixteenths = new[at - 1][1][1] | new[at - 1][1][2] << 7
    assert lead.server.map.beat_at(round(sample)) * 4 == pytest.approx(sixteenths, abs=1e-3)


def test_without_dates_a_tick_is_sent_when_it_is_due() -> None:
    lead = Lead(dated=False)
    seen: list[int] = []
    end = lead.server.ns + 2_000_000_000
    while lead.server.ns < end:
        before = len(lead.fake.sent)
        delay = lead.leader.step()
        seen += [lead.server.ns] * (len(lead.fake.sent) - before)
        lead.server.until(lead.server.ns + round(max(delay, 1e-4) * 1e9))
    assert len(seen) in range(94, 100)
    assert max(abs(off(lead, ns)) for ns in seen[4:]) < 2e-4
    lead.ports.close()


def test_a_process_that_was_held_up_sends_what_is_missing_or_the_place(lead: Lead) -> None:
    lead.run(1.0)
    lead.take()
    lead.server.until(lead.server.ns + 200_000_000)
    lead.run(0.5)
    sent = lead.take()
    assert other(sent) == []
    assert len(ticks(sent)) in range(32, 36)
    assert lead.leader.late in range(5, 9)
    lead.server.until(lead.server.ns + 2_000_000_000)
    lead.run(0.5)
    assert [m[0] for m in other(lead.take())] == [midi.STOP, midi.POSITION, midi.CONTINUE]


def test_without_an_output_nothing_is_sent_and_at_the_end_gear_is_stopped(lead: Lead) -> None:
    lead.run(0.5)
    lead.take()
    lead.fake.sinks = []
    lead.ports.look()
    lead.run(0.5)
    assert lead.take() == []
    assert lead.leader.status()["state"] == "waiting"
    lead.fake.sinks = ["gear"]
    lead.ports.look()
    lead.run(0.5)
    assert lead.leader.status()["state"] == "running"
    assert lead.leader.status()["summary"] == "120.00 bpm, to 1 MIDI output"
    lead.take()
    lead.leader.close()
    assert other(lead.take()) == [bytes((midi.STOP,))]


@pytest.fixture
async def leading(tmp_path: Path, home: Path) -> AsyncIterator[MidiStage]:
    async with staged(tmp_path / "state", there=["keys 20:0"], outputs=["gear"], clock="lead") as made:
        yield made


async def test_the_server_sends_a_clock_to_its_outputs(leading: MidiStage) -> None:
    live = leading
    live.fake.sinks = ["gear in"]
    await live.look()
    leader = live.midi.clock
    assert isinstance(leader, ClockLeader)
    for _ in range(100):
        live.engine.beat += 0.002
        await live.move(0.001)
        leader.step()
    status = control_status.status(live.app)["midi"]["clock"]
    assert (status["mode"], status["state"]) == ("lead", "running")
    assert status["ticks"] > 3
    assert ("gear in", bytes((midi.TICK,))) in live.fake.sent


def test_the_callback_puts_a_dated_message_at_its_frame_or_leaves_it_for_a_later_cycle() -> None:
    compile_all()
    words = (ctypes.c_int64 * WORDS)()
    written: list[tuple[int, int, bytes]] = []
    now = 7_000_000_000

    def put(buffer: int, frame: int, data: int, size: int) -> int:
        written.append((buffer, frame, ctypes.string_at(data, size)))
        return 0

    def clock(_kind: int, at: int) -> int:
        ctypes.c_int64.from_address(at).value, ctypes.c_int64.from_address(at + 8).value = divmod(now, 10**9)
        return 0

    kind = ctypes.CFUNCTYPE
    i64 = ctypes.c_int64
    functions = {
        MidiSlot.CLOCK: kind(i64, i64, i64)(clock),
        MidiSlot.BUFFER: kind(i64, i64, i64)(lambda port, _frames: port),
        MidiSlot.COUNT: kind(i64, i64)(lambda _buffer: 0),
        MidiSlot.CLEAR: kind(i64, i64)(lambda _buffer: 0),
        MidiSlot.EVENT_PUT: kind(i64, i64, i64, i64, i64)(put),
        MidiSlot.TIME: kind(i64)(lambda: 0),
        MidiSlot.CYCLE_TIMES: kind(i64, i64, i64, i64, i64, i64)(lambda *_: 0),
    }
    for place, function in functions.items():
        words[place] = ctypes.cast(function, ctypes.c_void_p).value or 0
    words[MidiSlot.RATE], words[MidiSlot.OUTS + 2] = RATE, 99
    for n, (ahead, byte) in enumerate(((-5_000_000, 0xFA), (1_000_000, 0xF8), (5_300_000, 0xFC), (5_400_000, 0xFB))):
        words[DATED_AT + 2 * n] = 2 << 32 | 1 << 24 | byte
        words[DATED_AT + 2 * n + 1] = now + ahead
        words[MidiSlot.DATED_WRITE] += 2
    state = ctypes.addressof(words)
    midi_call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(midi_process.address)
    midi_call(256, state)
    # 256 frames last 5.33 ms
    assert written == [(99, 0, b"\xfa"), (99, 48, b"\xf8"), (99, 254, b"\xfc")]
    now += 256 * 10**9 // RATE
    midi_call(256, state)
    assert written[3:] == [(99, 3, b"\xfb")]
    assert words[MidiSlot.DATED_READ] == words[MidiSlot.DATED_WRITE]
