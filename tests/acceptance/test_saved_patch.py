"""A patch saved while it plays is swapped in; a bad one leaves the last good one playing and says why."""

from __future__ import annotations

from pathlib import Path

from tests.waiting import until

from antiphon.bench.rig import Server

GOOD = 'format = 1\n[nodes.gain]\ngain = {gain}\n[wires]\n"in" = "gain"\n"gain" = "out"\n'


def gain(server: Server) -> float:
    return float(server.ask("/node/gain/gain")[1][0])


def test_what_is_saved_is_swapped_in_and_what_is_bad_is_not(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.format(gain=0.5))
    with Server("--audio", "headless", "--patch", str(path)) as server:
        assert gain(server) == 0.5
        path.write_text(GOOD.format(gain=0.25))
        until(lambda: gain(server) == 0.25, 8.0, "the saved one plays")
        path.write_text("format = 1\n[nodes.gain]\ngian = 3\n")
        until(lambda: "gian" in server.said(), 8.0, "the bad one is told with its key")
        assert gain(server) == 0.25
        # as editors do: another file takes its place
        other = tmp_path / "mine.toml.part"
        other.write_text(GOOD.format(gain=0.75))
        other.replace(path)
        until(lambda: gain(server) == 0.75, 8.0, "and on it goes")
        assert server.status()["missed_blocks"] == 0
