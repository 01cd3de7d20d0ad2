"""The quark, by sclang itself, against a real server."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.clients.conftest import QUARK, Run
from tests.noteclick_home import PATCH, noteclick_home
from tests.waiting import play_for

from antiphon_bench.rig import ServerProcess

pytestmark = pytest.mark.real
HERE = Path(__file__).parent
RATE = 48000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return noteclick_home(tmp_path)


def in_time(sclang: Run, home: Path, file: Path, *args: str) -> tuple[str, np.ndarray]:
    """What sclang posted and what was recorded of a run in which nothing was late; the test fails after five others.

    A machine that stands still for longer than the latency makes events late; what is measured needs one that does not.
    """
    options = ("--audio", "headless", "--patch", str(home / "keys.toml"), "--record", str(home / "out.wav"))
    for _ in range(5):
        (home / "out.wav").unlink(missing_ok=True)
        with ServerProcess(*options, home=home) as server:
            posted = sclang(file, *args, port=server.osc)
            status = server.status()
        if not status["late"] and not status["missed_blocks"]:
            return posted, soundfile.read(home / "out.wav", dtype="float32", always_2d=True)[0].T
        print(f"again: {status['late']} events late, {status['missed_blocks']} blocks missed")
    pytest.fail(f"late in each of five runs: {posted}")


def test_what_the_quark_sends_and_what_its_help_says(sclang: Run) -> None:
    posted = sclang(QUARK / "Tests" / "run.scd", "TestAntiphonMessages", "TestAntiphonHelp")
    assert " failed 0" in posted, posted
    assert int(posted.split("ANTIPHON-TESTS passed ")[1].split()[0]) >= 85


def test_the_quark_against_a_server(sclang: Run, tmp_path: Path) -> None:
    with ServerProcess("--audio", "headless", "--patch", "keys", home=tmp_path) as server:
        posted = sclang(QUARK / "Tests" / "run.scd", "TestAntiphonServer", port=server.osc)
    assert " failed 0" in posted, posted
    assert int(posted.split("ANTIPHON-TESTS passed ")[1].split()[0]) >= 40


def test_a_pattern_falls_on_its_samples(sclang: Run, home: Path) -> None:
    """Onsets and ends of a Pbind 0.2 s ahead, as recorded: each on its sample, none lost, none late."""
    count, tempo, latency = 60, 8.0, 0.2
    posted, (clicks, held) = in_time(sclang, home, HERE / "pattern.scd", str(count), str(tempo), str(latency))
    assert "PLAYED late 0 told 0 failures 0 left 0 dropped 0" in posted, posted
    at = np.flatnonzero(np.abs(clicks) > 0.01)
    durs = np.resize([0.5, 0.25, 0.3, 0.45, 0.7], count) / tempo
    on = np.concatenate([[0.0], np.cumsum(durs)[:-1]])
    wanted = np.sort(np.concatenate([on, on + 0.6 * durs])) * RATE
    assert len(at) == 2 * count, "each note begins once and ends once"
    loud = np.abs(clicks[at])
    assert np.all(loud[0::2] < 0.14)
    assert np.all(loud[1::2] > 0.14), "beginnings and ends take turns"
    off = at - wanted
    off -= np.round(np.median(off))
    print(f"{len(at)} events, at most {np.max(np.abs(off)):.3f} samples off")
    assert np.max(np.abs(off)) <= 1.0
    assert held[-1] == 0.0, "nothing sounds at the end"


@pytest.mark.untimed
def test_notes_end_when_sclang_ends(sclang: Run, home: Path) -> None:
    options = ("--audio", "headless", "--patch", str(home / "keys.toml"), "--record", str(home / "out.wav"))
    with ServerProcess(*options, home=home) as server:
        sclang(HERE / "leaving.scd", port=server.osc)
        server.sync()
        play_for(server, 0.5)
        server.sync()
    held = soundfile.read(home / "out.wav", dtype="float32", always_2d=True)[0].T[1]
    assert np.max(held) > 0.025
    assert not np.any(held[-RATE // 4 :]), "they ended before the server did"


@pytest.mark.untimed
def test_the_quark_installs(sclang: Run, tmp_path: Path) -> None:
    """As the manual says: Quarks.install with the folder, and its classes are there from the next start on."""
    install, look = tmp_path / "install.scd", tmp_path / "look.scd"
    install.write_text(f'Quarks.install("{QUARK}"); 0.exit;')
    look.write_text('"THERE %".format(Antiphon.local(4499).place).postln; 0.exit;')
    assert "Antiphon installed" in sclang(install, quark=False)
    assert "THERE 127.0.0.1:4499" in sclang(look)


def test_antiphons_beat_goes_with_the_clock_of_sclang(sclang: Run, home: Path) -> None:
    """The metronome's clicks, led by a TempoClock whose tempo changes twice, beside notes on that clock's beats."""
    more = '[nodes.m]\ntype = "metronome"\nbar = 0\n'
    wires = '"k" = "m"\n"m" = "out"\n'
    (home / "keys.toml").write_text(PATCH.replace("[wires]", f"{more}[wires]").replace('"k" = "out"\n', wires))
    _, (left, right) = in_time(sclang, home, HERE / "lead.scd")
    notes = np.flatnonzero(left - right > 0.02)
    notes = notes[left[notes] - right[notes] < 0.14]  # without the ends
    ticks = np.flatnonzero(right > 0.3)
    ticks = ticks[np.diff(ticks, prepend=-RATE) > RATE // 100]
    assert len(notes) == 16
    off = np.array([ticks[np.argmin(np.abs(ticks - at))] - at for at in notes])
    print("clicks less notes, in samples:", off.tolist())
    # a processor sees one tempo in a block: the beat on which it changes is placed within that block by one of the two
    changes = np.isin(np.arange(16), [4, 9])
    assert np.max(np.abs(off[~changes])) <= 1
    assert np.max(np.abs(off[changes])) < 256


def test_sclangs_own_server_object_reaches_what_the_manual_says(sclang: Run, tmp_path: Path) -> None:
    with ServerProcess("--audio", "headless", "--patch", "keys", home=tmp_path) as server:
        posted = sclang(HERE / "asserver.scd", port=server.osc).splitlines()
    assert "RUNNING true" in posted, posted
    assert "SYNCED true" in posted
    assert "RATE 48000.0 NODES 3 LOAD true" in posted
    assert "LEVEL -7.0" in posted
    assert "WET 0.25" in posted, "its bundles are scheduled"
    assert "FAILED /g_freeAll" in posted, "what it cannot do is answered"
    assert any(line.startswith("FAILED") and "/" not in line for line in posted), "a command by its number, too"
