"""Notes by OSC to a real server are heard at their sample, survive a storm, and are played again as they were."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import noteclick
from tests.acceptance.test_kept_sets import again
from tests.noteclick_home import noteclick_home
from tests.waiting import play_for, until

from antiphon_bench.rig import ServerProcess, bundle, message, ntp

RATE = 48000
GAP = 293
"""Prime to the block, so that every offset in it is met."""
NOTES = 300
CHORDS = 60


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the plugin in it and a patch that plays it."""
    return noteclick_home(tmp_path)


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        yield made


def server(home: Path, *options: str) -> ServerProcess:
    # a busy machine misses fewer blocks with a longer buffer
    given = ("--audio", "headless", "--ahead", "16", "--patch", str(home / "keys.toml"))
    return ServerProcess(*given, *options, home=home)


def recorded(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


def test_timetagged_notes_are_heard_at_their_sample(home: Path, sock: socket.socket) -> None:
    with server(home, "--record", str(home / "out.wav")) as live:
        start, before = time.time() + 2.0, live.status()["missed_blocks"]
        for n in range(NOTES):
            note = message("/note/on" if n % 2 == 0 else "/note/off", 60 + n % 7, 100, 1 + n % 16, "k")
            sock.sendto(bundle(ntp(start, n * GAP, RATE), note), ("127.0.0.1", live.osc))
        play_for(live, max(0.0, start + NOTES * GAP / RATE - time.time()))
        live.sync()
        status = live.status()
    y, missed = recorded(home / "out.wav")[0], status["missed_blocks"] - before
    # a note in a block that a busy machine missed is late, and lies in the rise of the sound behind that block
    found = np.flatnonzero(y > 0.04)
    assert np.isin(found - found[0], np.arange(NOTES) * GAP).all()
    assert max(status["late"], NOTES - len(found)) <= missed
    for n in () if missed else (0, 1, 150, NOTES - 1):
        kind, value = ("on", 100 / 127) if n % 2 == 0 else ("off", 0.0)
        assert y[found[n]] == pytest.approx(noteclick.click(kind, 60 + n % 7, value, 1 + n % 16), abs=1e-5)


@pytest.mark.parametrize(("late", "keys"), [(0.0, 120), (0.005, 40)])
def test_a_chord_now_or_late_begins_at_one_sample(home: Path, sock: socket.socket, late: float, keys: int) -> None:
    with server(home, "--block", "64", "--record", str(home / "out.wav")) as live:
        live.send("/node/k/level", 0.01)
        chord = [message("/note/on", key, 100) for key in range(keys)]
        live.sync(1)
        for n in range(CHORDS):
            sock.sendto(bundle(ntp(time.time() - late) if late else 1, *chord), ("127.0.0.1", live.osc))
            live.sync(n + 2)
            begun = live.ask("/beat")[1][0]
            until(lambda at=begun: live.ask("/beat")[1][0] > at + 0.01, 5.0, "5 ms have sounded")
        missed = live.status()["missed_blocks"]
    # a block that a busy machine misses takes a chord along; one whose notes fell on two samples would be counted twice
    assert CHORDS - missed <= np.count_nonzero(recorded(home / "out.wav")[0]) <= CHORDS


def test_a_cleared_schedule_leaves_no_note_hanging_and_a_panic_is_silence(home: Path, sock: socket.socket) -> None:
    with server(home, "--record", str(home / "out.wav")) as live:
        # in one bundle: two messages may fall on two blocks
        both = bundle(1, message("/note/on", 60, 100), message("/note/on", 61, 100))
        sock.sendto(both, ("127.0.0.1", live.osc))
        sock.sendto(bundle(ntp(time.time() + 600), message("/note/off", 60)), ("127.0.0.1", live.osc))
        live.sync(1)
        live.send("/clearSched")
        live.sync(2)
        play_for(live, 0.1)
        live.send("/panic")
        live.sync(3)
        play_for(live, 0.1)
        assert live.status()["scheduled"] == 0
    y = np.round(recorded(home / "out.wav")[1], 4)
    # levels that stay: not those of fades, of the panic and behind blocks that a busy machine missed
    begins = np.flatnonzero(np.diff(y, prepend=-1.0))
    stays = y[begins][np.diff(begins, append=len(y)) > 100]
    heard = stays[stays != 0.0]
    levels = heard[np.flatnonzero(np.diff(heard, prepend=0.0))]
    assert levels.tolist() == [pytest.approx(0.02), pytest.approx(0.01)]
    assert not y[-2000:].any()


def test_a_storm_of_5000_notes_loses_none_and_is_played_again(home: Path, sock: socket.socket) -> None:
    with server(home, "--session", str(home / "set")) as live:
        sock.connect(("127.0.0.1", live.osc))
        live.send("/node/k/level", 0.02)
        live.sync(1)
        notes = [message("/note/on", n % 128, 1 + n % 127, 1 + n // 128 % 16) for n in range(5000)]
        begun = ntp(time.time() + 2.0)
        # half of them for one sample, half at once
        for first in range(0, 2500, 500):
            sock.send(bundle(begun, *notes[first : first + 500]))
        for first in range(2500, 5000, 200):
            for note in notes[first : first + 200]:
                sock.send(note)
            live.sync(2)  # a socket has room for some hundreds that a busy machine has not read yet
        sock.send(message("/cc", 64, 1))
        sock.send(message("/bend", -0.25))
        until(lambda: live.status()["scheduled"] == 0, 5.0, "all notes due")
        live.send("/clearSched")
        live.send("/note/off", 5, 0, 1)
        sock.send(bundle(ntp(time.time() + 0.05), message("/note/on", 5, 90, 1)))
        live.sync(3)
        play_for(live, 0.2)
        status = live.status()
    assert status["schedule_dropped"] == status["commands_dropped"] == status["osc_dropped"] == 0
    heard, played = again(home / "set", home / "again.wav", home)
    assert np.array_equal(heard, played)
    lines = [json.loads(line) for line in (home / "set" / "session.jsonl").open()]
    events = [line for line in lines if line.get("op") in ("note_on", "note_off", "control", "bend")]
    assert [sum(line["op"] == op for line in events) for op in ("note_on", "control", "bend")] == [5001, 1, 1]
