"""The memory between the engine and listeners: what is read is what was written, and what was not is known."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.taps import Taps

from antiphon.cli.running.starting import server_log
from antiphon.kernel.errors import FileError
from antiphon.kernel.graph.io_nodes import IN_NUMBER, OUT_NUMBER
from antiphon.kernel.io.tap_memory import TapMemory, TapShape
from antiphon.web.page.routes import TapReader

BLOCK, CHANNELS = 64, 2


def plan(**outs: np.ndarray) -> Any:
    """Stands for a plan whose nodes have these outputs: that of node 7 is `n7`."""
    return SimpleNamespace(hosts={int(name[1:]): SimpleNamespace(outs=(out,)) for name, out in outs.items()})


def tapped(node: int = OUT_NUMBER, channels: int = CHANNELS) -> tuple[TapMemory, Taps, TapReader]:
    """A memory of 16 slots, and both ends of its first ring, of that node."""
    made = TapMemory.create(TapShape(48000, BLOCK, channels, 16))
    made.words[0] = node
    return made, Taps(made), TapReader(made, 0)


def noise(seed: int, channels: int = CHANNELS) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((channels, BLOCK)).astype(np.float32)


def samples(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.float32).reshape(-1, CHANNELS, BLOCK)


def test_a_reader_gets_the_blocks_of_its_node_in_order() -> None:
    (made, taps, _), x = tapped(), noise(1)
    made.words[1], made.words[3] = 7, IN_NUMBER
    taps.put(100, x, x, None)
    readers = [TapReader(made, tap) for tap in (0, 1, 3)]
    assert [reader.read(64)[1] for reader in readers] == [0, 0, 0]
    outs, mono = [noise(10 + n) for n in range(5)], [noise(20 + n, 1) for n in range(5)]
    taps.put(101, x, noise(3), None)  # may have been under way when the reader began
    for n in range(5):
        taps.put(102 + n, x, outs[n], plan(n7=mono[n]))
    first, count, data = readers[0].read(64)
    assert (first, count) == (102, 5)
    np.testing.assert_array_equal(samples(data), outs)
    first, count, data = readers[1].read(3)
    assert (first, count) == (102, 3)
    np.testing.assert_array_equal(samples(data), np.repeat(mono[:3], CHANNELS, axis=1), "mono goes to all channels")
    assert readers[1].read(64)[:2] == (105, 2)
    np.testing.assert_array_equal(samples(readers[2].read(1)[2])[0], x)
    assert [reader.missed for reader in readers] == [0, 0, 0]


def test_a_late_reader_knows_what_it_missed() -> None:
    _, taps, reader = tapped()
    outs = [noise(n) for n in range(41)]
    for n, out in enumerate(outs):
        taps.put(n, out, out, None)
    first, count, data = reader.read(64)
    assert (first, count, reader.missed) == (25, 16, 24)
    np.testing.assert_array_equal(samples(data), outs[25:])


def test_a_node_that_is_gone_is_a_gap_and_no_old_sound() -> None:
    (_, taps, reader), x = tapped(3), noise(1)
    there = plan(n3=x)
    for block in range(40):
        taps.put(block, x, x, there if block < 30 or block > 35 else None)
        if block == 10:
            assert reader.read(64)[:2] == (1, 10)
    assert reader.read(64)[:2] == (24, 6)
    assert reader.read(64)[:2] == (36, 4)
    assert reader.missed == 13, "11 to 23 were overwritten; the node's absence is not counted"


def test_more_channels_than_the_stream_has_are_left_out_and_missing_ones_are_silent() -> None:
    _, taps, reader = tapped(2, 3)
    for block, channels in enumerate((3, 4, 2)):
        taps.put(block, noise(1, 3), noise(1, 3), plan(n2=noise(5, channels)))
    _, count, data = reader.read(8)
    got = np.frombuffer(data, np.float32).reshape(count, 3, BLOCK)
    np.testing.assert_array_equal(got[0], noise(5, 4)[:3])
    np.testing.assert_array_equal(got[1][:2], noise(5, 2))
    assert not got[1][2].any()


def test_a_block_that_is_overwritten_while_the_reader_comes_to_it_is_missed() -> None:
    (made, taps, reader), x = tapped(), noise(1)
    for n in range(8):
        taps.put(n, x, x, None)
    made.tags[4] = 4 + 16 + 1  # the engine is a ring ahead in this slot alone
    assert reader.read(64)[:2] == (1, 3)
    assert reader.read(64)[:2] == (5, 3)
    assert reader.missed == 1


def test_a_block_that_is_overwritten_while_it_is_copied_is_missed() -> None:
    (made, taps, reader), x = tapped(), noise(1)
    for n in range(4):
        taps.put(n, x, x, None)
    before = iter([2, 0, 3, 3, 4, 4])  # tags at both ends of each copy: the engine has begun with the first slot
    made.tags = type("Tags", (), {"__getitem__": lambda _self, _slot: next(before)})()
    first, count, _ = reader.read(64)
    assert (first, count, reader.missed) == (2, 2, 1)


STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} "


SCRIPT = """
import logging, subprocess, sys
from antiphon.cli.running.starting import server_log
from antiphon.kernel.errors import EngineError
from antiphon.kernel.runtime import console

CHILD = (
    "import logging as g; from antiphon.kernel.io.log_lines import log_lines as l; l(); "
    "g.getLogger('antiphon').info('c')"
)
try:
    with server_log(sys.argv[1], "info"):
        console.say("a warning")
        console.write_output("ready")
        subprocess.run([sys.executable, "-c", CHILD + "; g.getLogger('other').info('no')"], check=True)
        raise EngineError("why it ended")
except EngineError:
    console.say("after it")
"""
FULL = """
import sys
from antiphon.cli.running.starting import server_log
from antiphon.kernel.io import log_lines
from antiphon.kernel.runtime import console

log_lines.MAX_BYTES = 100
with server_log(sys.argv[1], "info"):
    for number in range(7):
        console.say(f"line {number} " + "x" * 100)
        log_lines.rotate()
        console.say("short")
        log_lines.rotate()
"""


def ran(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True)


def test_everything_of_all_processes_is_in_the_file_with_time_and_level(tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    done = ran(SCRIPT, str(file))
    assert (done.stdout, done.stderr) == ("ready\n", "antiphon: after it\n")
    lines = file.read_text().splitlines()
    assert all(re.match(STAMP, line) for line in lines)
    assert [re.sub(f"^{STAMP}", "", line) for line in lines] == [
        "WARNING antiphon: a warning",
        "INFO antiphon: ready",
        "INFO antiphon: c",
        "ERROR antiphon: why it ended",
    ]
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_a_file_standard_error_has_time_and_level_above_the_least() -> None:
    said = ran(SCRIPT, "").stderr.splitlines()
    assert [re.sub(f"^{STAMP}", "", line) for line in said] == [
        "WARNING antiphon: a warning",
        "INFO antiphon: c",
        "antiphon: after it",
    ]
    only_errors = ran(SCRIPT.replace('"info"', '"error"'), "").stderr
    assert only_errors == "antiphon: after it\n"


def test_a_full_log_is_copied_away_and_the_oldest_copy_goes(tmp_path: Path) -> None:
    ran(FULL, str(tmp_path / "server.log"))
    copies = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert sorted(copies) == ["server.log", *(f"server.log.{n}" for n in range(1, 6))]
    assert "line 6" in copies["server.log.1"]
    assert "line 2" in copies["server.log.5"]
    assert copies["server.log"].count("short") == 1


def test_what_cannot_be_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileError, match="--log: cannot write"):
        server_log(str(tmp_path / "none" / "x.log"), "info").__enter__()
    assert capfd.readouterr().err == "", "the command line says it"
