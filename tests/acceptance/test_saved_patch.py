"""A patch saved while it plays is swapped in, a bad one leaves the last good one playing; scenes on a real server."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.waiting import play_for, until

from antiphon_bench.rig import ServerProcess

GOOD = 'format = 1\n[nodes.gain]\ngain = {gain}\n[wires]\n"in" = "gain"\n"gain" = "out"\n'


def gain(server: ServerProcess) -> float:
    return float(server.ask("/node/gain/gain")[1][0])


def test_what_is_saved_is_swapped_in_what_is_bad_is_not_and_a_scene_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.format(gain=0.5))
    with ServerProcess("--audio", "headless", "--patch", str(path)) as server:
        assert gain(server) == 0.5
        path.write_text(GOOD.format(gain=0.25))
        until(lambda: gain(server) == 0.25, 8.0, "the saved one plays")
        path.write_text("format = 1\n[nodes.gain]\ngian = 3\n")
        until(lambda: "gian" in server.standard_error(), 8.0, "the bad one is told with its key")
        assert gain(server) == 0.25
        # as editors do: another file takes its place
        other = tmp_path / "mine.toml.part"
        other.write_text(GOOD.format(gain=0.75))
        other.replace(path)
        until(lambda: gain(server) == 0.75, 8.0, "and on it goes")
        # a scene is stored, recalled and morphed to
        server.send("/node/gain/gain", 0.25)
        assert server.ask("/scene/store", 1) == ("/done", ["/scene/store", 1])
        server.send("/node/gain/gain", 1.0)
        server.sync()
        server.send("/scene/recall", 1)
        assert gain(server) == 0.25
        answer, (address, said) = server.ask("/scene/recall", 9)
        assert (answer, address) == ("/fail", "/scene/recall")
        assert "there is no scene 9; there are: 1" in said
        assert server.ask("/scene/recall", 1, -1.0)[0] == "/fail"
        # control killed: the scene is there still
        os.kill(server.pids()["control"], signal.SIGKILL)
        until(lambda: alive(server), 5.0, "control is back")
        server.send("/node/gain/gain", 1.0)
        server.send("/scene/recall", 1, 2.0, 1.0)
        until(lambda: gain(server) == 0.25, 3.0, "on the next beat")
        assert server.ask("/patch/save", "mine")[0] == "/done"
        (saved,) = server.home.rglob("mine.toml")
        assert '"gain.gain" = 0.25' in saved.read_text()
        # what is of a node that has gone is passed over
        server.send("/node/remove", "gain")
        server.sync()
        failed = server.status()["osc_failed"]
        server.send("/scene/recall", 1)
        server.sync()
        assert server.status()["osc_failed"] == failed


def alive(server: ServerProcess) -> bool:
    try:
        return bool(server.ask("/node/gain/gain", timeout=0.5))  # one that control's end took is asked again
    except (OSError, ValueError):
        return False


HELD = """format = 1
[nodes.pad]
type = "synth"
instrument = "pad"
[nodes.level]
type = "gain"
gain = 0.7
[nodes.limiter]
{more}
[wires]
{wires}
"""
PLAIN = HELD.format(more="", wires='"pad" = "level"\n"level" = "limiter"\n"limiter" = "out"')
LONGER = HELD.format(
    more='[nodes.echo]\ntype = "delay"\nwet = 0.3\n[nodes.soft]\ntype = "filter"\ncutoff = 4000',
    wires='"pad" = "soft"\n"soft" = "level"\n"level" = "echo"\n"echo" = "limiter"\n"limiter" = "out"',
)


@pytest.mark.real  # no block is missed
def test_a_chord_sounds_on_through_saves_that_put_nodes_before_and_behind_it(tmp_path: Path) -> None:
    path, out = tmp_path / "held.toml", tmp_path / "out.wav"
    path.write_text(PLAIN)
    with ServerProcess("--audio", "headless", "--ahead", "16", "--patch", str(path), "--record", str(out)) as server:
        until(lambda: server.status()["synth"] is not None, 10.0, "the synth")
        for note in (45, 52, 57):
            server.send("/note/on", note, 100)
        play_for(server, 1.5)
        begun = round(server.ask("/ping")[1][-1] * 48000)
        for number in range(8):
            path.write_text(PLAIN if number % 2 else LONGER)
            nodes = 3 if number % 2 else 5
            until(lambda: len(server.ask("/node/list")[1]) == 2 * nodes, 8.0, "the saved one plays")  # noqa: B023
            play_for(server, 0.3)
        ended = round(server.ask("/ping")[1][-1] * 48000)
        assert server.status()["missed_blocks"] == 0
    heard, _ = soundfile.read(out, dtype="float32", always_2d=True)
    heard = heard[begun:ended]
    pieces = heard[: len(heard) // 2400 * 2400].reshape(-1, 2400, 2)
    levels = 10 * np.log10(np.mean(pieces**2, axis=(1, 2)) + 1e-12)
    assert levels.min() > -45
    assert np.ptp(levels) < 15, "it sounds on"
    jumps = np.abs(np.diff(heard, 2, axis=0)).max(axis=1)
    usual = np.percentile(jumps, 99)
    assert jumps.max() < 6 * usual, "and nothing clicks"
