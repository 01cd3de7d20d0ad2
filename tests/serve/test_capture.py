"""The last bars of a node, written from what is always kept, and played at once."""

import json
import re
import time
from pathlib import Path

import numpy as np
import soundfile
from click.testing import CliRunner
from tests.acceptance.test_kept_sets import RATE, noise
from tests.waiting import until

from antiphon.cli.commands import application
from antiphon.testing import sound as audio
from antiphon_bench.rig import ServerProcess
from antiphon_library.catalogue import Catalogue
from antiphon_library.records import FileEntry, FileState, SoundIdentity
from antiphon_library.tests.conftest import without_shipped

PATCH = """
format = 1
tempo = 240

[nodes.half]
type = "gain"
gain = 0.5

[nodes.drums]
type = "sampler"
library = "kit"

[wires]
"in" = "half"
"half" = "out"
"drums" = "out"
"""


def ask(server: ServerProcess, *args: object) -> Path:
    address, answer = server.ask("/capture", *args)
    assert address == "/capture.reply", answer
    return Path(answer[0])


def read(path: Path) -> np.ndarray:
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == RATE
    return np.asarray(sound)


def sounded(part: np.ndarray, whole: np.ndarray) -> None:
    """Checks that a capture is a part of the recording, in which a block that came too late is silent."""
    block = 256
    heard = np.flatnonzero(np.all(whole != 0.0, axis=1))
    # where noise is equal in two frames one after the other, the rest is too, or it is elsewhere
    for begin in range(0, len(part) - block, block):
        near = heard[np.all(np.abs(whole[heard] - part[begin]) < 1e-6, axis=1)]
        for at in near[(near >= begin) & (near < len(whole) - block)]:
            if np.allclose(whole[at : at + 64], part[begin : begin + 64], atol=1e-6):
                there = whole[at - begin : at - begin + len(part)]
                played = np.any(there != 0.0, axis=1)
                # the file is played again and again: where it missed blocks says which time this is
                if np.mean(played) > 0.05 and np.allclose(part[: len(there)][played], there[played], atol=2e-7):
                    return
    raise AssertionError("it was not recorded so")


def fitting_now(server: ServerProcess, home: Path) -> None:
    """What goes with the last bars, by the command and by HTTP; and a library without a loop says so."""
    words = ["library", "fits", "--live", "--osc-port", str(server.osc), "--json"]
    without_shipped(home / "data" / "library")
    none = CliRunner().invoke(application(words), words)
    assert (none.exit_code, "library analyse" in str(none.exception)) == (1, True)
    rows = {
        "near": {"loop_bpm": 240.0, "loop_chroma": [], "loop_pattern": [1.0, 0.0] * 8},
        "far": {"loop_bpm": 300.0, "loop_chroma": [], "loop_pattern": [1.0, 0.0] * 8},
    }
    sure = {"loop_confidence": 0.9, "loop_tempo_sure": 0.9}
    with Catalogue(home / "data" / "library") as catalogue:
        for name, row in rows.items():
            sound = SoundIdentity(name, 4.0, 44100, 2)
            catalogue.put(FileEntry(f"/loops/{name}.wav".encode(), FileState(1, 1), name, sound, {}))
            catalogue.put_results(name, {"loop": (5, {**row, **sure}, "")})
    found = CliRunner().invoke(application(words), words)
    assert found.exit_code == 0, found.output
    by_command = json.loads(found.stdout)["matches"]
    shown = CliRunner().invoke(application(words[:-1]), words[:-1])
    # what is .00 is not listed in words; with many missed blocks that may be all
    assert re.search(r"/loops/near\.wav  |^nothing fits$", shown.stdout, re.MULTILINE), (shown.stdout, shown.exception)
    assert [Path(row["path"]).stem for row in by_command] == ["near", "far"]
    assert by_command[1]["why"][0] == "tempo unknown", "noise has none"
    (match,) = server.request("POST", "/api/library/fits", {"count": 1, "node": "half"})[1]["matches"]
    assert (Path(match["path"]).stem, match["why"][0]) == ("near", "tempo unknown")
    assert not list((home / "data" / "library" / "captures").glob(".fits*"))


def test_the_last_bars_are_what_sounded_and_play_at_once(tmp_path: Path) -> None:
    (tmp_path / "page.toml").write_text(PATCH)
    (tmp_path / "data/library/kit/bd").mkdir(parents=True)
    audio.write(tmp_path / "data/library/kit/bd/a.wav", audio.clicks([0], 64))
    source, record = noise(tmp_path / "in.wav"), tmp_path / "all.wav"
    options = ("--audio", "headless", "--patch", str(tmp_path / "page.toml"), "--input", str(source))
    with ServerProcess(*options, "--record", str(record), home=tmp_path) as server:
        address, answer = server.ask("/capture", 16)
        assert address == "/fail", "it has just begun"
        assert re.match("of 16 bars|no whole bar is kept yet", answer[1])
        begun = server.ask("/beat")[1][0]  # before, the patch's tempo did not count
        until(lambda: server.ask("/beat")[1][0] > begun + 13, 30.0, "three bars have sounded")
        recorded = server.status()["recording"]
        assert recorded["name"] == "all.wav"
        assert 0 <= time.time() - recorded["since"] < 600
        words = ["osc", "--osc-port", str(server.osc), "/capture", "2"]
        made = CliRunner().invoke(application(words), words)
        assert made.exit_code == 0, made.output
        two = read(Path(made.stdout.split()[-1].strip('"')))
        node = ask(server, 1, "half", "riff")
        assert node == tmp_path / "data" / "library" / "captures" / "riff.wav"
        for args, why in (
            ((1, "half", "riff"), "there is a 'riff.wav' already"),
            ((200,), "bars"),
            ((0,), "bars"),
            ((1, "hlf"), "did you mean half"),
            ((1, "half", "../../x"), "name"),
        ):
            address, answer = server.ask("/capture", *args)
            assert address == "/fail", answer
            assert why in answer[1]
        # at once as a sound of a sampler
        server.send("/node/drums/library", "captures")
        until(lambda: server.ask("/node/drums/loaded")[1] == [2], 20.0, "the sampler has it")
        _, kept = server.request("POST", "/api/capture", {"bars": 1, "node": "in", "name": "web"})
        assert Path(kept["path"]) == node.with_name("web.wav")
        fitting_now(server, tmp_path)
    whole = read(record)
    bar = RATE  # of four beats at 240 a minute
    assert len(two) == 2 * bar
    assert len(read(node)) == len(read(node.with_name("web.wav"))) == bar
    assert np.abs(two).max() > 0.1
    for part in (two, read(node)):
        sounded(part, whole)
