"""The command line given nonsense: one sentence on one line of standard error, no usage box, exit code 2, in time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.hostile.conftest import LIMIT, Antiphon
from tests.waiting import complaints, until

NONSENSE = """
serve extra
serve --audio tape
serve --block many
serve --osc-port 70000
serve --osc-port 4400 --http-port 4400
serve --surface nowhere
serve --surface no.such.host.invalid:9000 --audio headless
serve --allow everyone --audio headless --osc-port 0 --http-port 0
serve --patch nosuch --audio headless --osc-port 0 --http-port 0
serve --input nosuch.wav --audio headless
serve --input . --audio headless
serve --input - --audio headless
serve --record nosuch/x.wav --audio headless
bench
bench nosuch
approve
""".strip().splitlines()


@pytest.mark.parametrize("line", NONSENSE)
def test_nonsense_is_refused_in_a_sentence(antiphon: Antiphon, folder: Path, line: str) -> None:
    said = antiphon(*line.split()).sentence
    assert len(said) > 20
    assert "╭" not in said
    assert "Usage" not in said
    assert not [p.name for p in folder.iterdir() if p.name.startswith(("out.", ".antiphon"))]


TOO_LONG = "x" * 5000


@pytest.mark.parametrize(
    "line",
    [
        ("serve", "--audio", "headless", "--patch", f"{TOO_LONG}.toml", "--osc-port", "0", "--http-port", "0"),
        ("serve", "--audio", "headless", "--session", TOO_LONG, "--osc-port", "0", "--http-port", "0"),
        ("run", "gain", "ok.wav", f"{TOO_LONG}.wav"),
        ("render", "through", "--in", "ok.wav", "--out", "out.wav", "--events", TOO_LONG),
        ("replay", TOO_LONG, "out.wav"),
    ],
)
def test_names_that_are_too_long(antiphon: Antiphon, line: tuple[str, ...]) -> None:
    assert antiphon(*line).sentence


@pytest.mark.parametrize(("what", "delay"), [("serve", 0.3), ("run", 0.15), ("render", 0.6), ("replay", 0.15)])
def test_ctrl_c_at_any_moment(folder: Path, tmp_path: Path, what: str, delay: float) -> None:
    """No traceback, no process left, nothing half written. A server that is ready has used .4 s, and uses no more."""
    long = str(folder / "long.wav")
    if not Path(long).exists():
        import numpy as np
        import soundfile

        soundfile.write(long, np.zeros((48000 * 60, 2), np.float32), 48000)
        (folder / "set").mkdir()
        (folder / "set" / "session.jsonl").write_text(
            '{"session": 2, "rate": 48000, "block": 256, "channels": 2, "sample": 0}\n'
        )
        os.link(long, folder / "set" / "input.wav")
    lines = {
        "serve": ["serve", "--audio", "headless", "--osc-port", "0", "--http-port", "0", "--patch", "bench8"],
        "run": ["run", "denoise", long, "out.wav"],
        "render": ["render", "bench8", "--in", long, "--out", "out.wav"],
        "replay": ["replay", str(folder / "set"), "out.wav"],
    }
    home = folder / "home"  # that of the others too, with declarations in its cache
    work = tmp_path / "work"
    work.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "antiphon", *lines[what]],
        cwd=work,
        env={**os.environ, "ANTIPHON_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that the signal reaches all of it, as from a terminal, and not us
    )
    # the moment is what is tested, of its own work: on a busy machine the interpreter has not begun with ours by then
    until(lambda: process.poll() is not None or spent(process.pid) >= delay, LIMIT, "it works")
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=2 * LIMIT)
    assert complaints(said) in ("", "antiphon: stopped; no incomplete file was left\n")
    assert not leftover(process.pid)
    if process.returncode:
        # stopped behind its last write it has left the whole, never a part
        import soundfile

        assert [soundfile.info(str(left)).frames for left in work.iterdir()] in ([], [48000 * 60])


def spent(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def leftover(group: int) -> list[int]:
    """The processes of a process group."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                fields = (place / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(place.name))
    return found
