"""Libraries nobody would make on purpose: a sentence for each bad file, and the rest plays."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.each import each
from tests.waiting import until

from antiphon.api import AntiphonError, FileError, PluginError
from antiphon.api.jobs import FileJob
from antiphon_loops.arrange import LoopRequest
from antiphon_loops.jobs import run
from antiphon_loops.library import analyse, ready
from antiphon_loops.live import ArrangementWorker
from antiphon_loops.maker import MaterialMaker
from antiphon_loops.tests.conftest import render

RATE = 44100


def noise(seconds: float, rate: int = RATE, channels: int = 1, seed: int = 1) -> np.ndarray:
    """Struck twice a second: noise that dies away."""
    t = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(seed)
    return (rng.uniform(-0.5, 0.5, (channels, len(t))) * np.exp(-(t % 0.5) * 12)).T


def test_each_bad_file_is_a_sentence_and_the_rest_plays(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "loops"
    folder.mkdir()
    good = noise(4.0)
    soundfile.write(folder / "good.wav", good, RATE)
    data = (folder / "good.wav").read_bytes()
    soundfile.write(folder / "silent.wav", np.zeros(RATE * 3), RATE)
    soundfile.write(folder / "constant.wav", np.full(RATE * 3, 0.4), RATE)
    soundfile.write(folder / "single.wav", np.ones(1), RATE)
    soundfile.write(folder / "none.wav", np.zeros(0), RATE)
    soundfile.write(folder / "huge.wav", np.zeros(8000 * 660, np.int16), 8000)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("not a sound\n" * 50)
    (folder / "cut.wav").write_bytes(data[: len(data) // 3])
    (folder / "header.wav").write_bytes(data[:44])
    (folder / "line\nbreak.wav").write_bytes(b"RIFF")
    broken = good.astype(np.float32)
    broken[1000:1010] = np.nan
    soundfile.write(folder / "nan.wav", broken, RATE, subtype="FLOAT")
    os.mkfifo(folder / "pipe.wav")
    (folder / "folder.wav").mkdir()
    bad = ("silent", "constant", "single", "none", "huge", "empty", "text", "cut", "header", "break", "nan", "pipe")
    run(
        FileJob(
            "loops", folder, tmp_path / "out.wav", {"bars": 2, "bpm": 120.0}, beside={"analysis": tmp_path / "out.json"}
        )
    )
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("antiphon: ")]
    assert len(said) == len(bad), said
    for name in bad:
        assert sum(f"{name}.wav" in line for line in said) == 1, (name, said)
    assert not any(str(tmp_path) in line for line in said)
    with pytest.raises(PluginError, match="no loop in"):
        render(folder / "folder.wav", {"bars": 1}, RATE)
    sound, _ = soundfile.read(tmp_path / "out.wav")
    assert sound.shape == (RATE * 4, 2)
    assert np.abs(sound).max() > 0.05


@each("rate, channels", [(8000, 1), (44100, 8), (192000, 2)])
def test_any_rate_and_number_of_channels_is_played(tmp_path: Path, rate: int, channels: int):
    soundfile.write(tmp_path / "x.wav", noise(2.0, rate, channels), rate)
    sound = render(tmp_path, {"bars": 1, "bpm": 110.0}, 48000)
    assert 0.05 < np.abs(sound).max() <= 1.0


def test_what_has_no_beat_is_said_to_have_none_and_is_trusted_last(tmp_path: Path):
    rng = np.random.default_rng(1)
    t = np.arange(RATE * 5 + 333) / RATE
    for name, sound in (("rain", 0.1 * rng.standard_normal(len(t))), ("drone", 0.3 * np.sin(1382 * t))):
        soundfile.write(tmp_path / f"{name}.wav", sound, RATE)
    soundfile.write(tmp_path / "beat.wav", noise(4.0), RATE)
    found = analyse(tmp_path)
    assert {x.file: x.tempo_sure > 0 for x in found.loops} == {"beat.wav": True, "drone.wav": False, "rain.wav": False}
    assert [d.split()[0] for d in found.tempo_remarks] == ["drone.wav", "rain.wav"]


def test_a_folder_that_is_gone_leaves_what_was_read(library: Path, tmp_path: Path):
    shutil.copytree(library, tmp_path / "loops")
    maker = MaterialMaker(tmp_path / "loops", *ready(tmp_path / "loops"), 48000)
    first = maker.make(LoopRequest(110.0, bars=4, seed=1))
    shutil.rmtree(tmp_path / "loops")
    again = maker.make(LoopRequest(104.0, bars=4, seed=1))
    assert {c.loop.file for c in again.plan.choices} & {c.loop.file for c in first.plan.choices}
    fresh = MaterialMaker(tmp_path / "loops", maker._loops, maker._rules, 48000)
    with pytest.raises(FileError, match="can be read any more"):
        fresh.make(LoopRequest(110.0))


def test_live_a_library_without_a_loop_is_told_and_tried_again(analysed: tuple[Path, Path], tmp_path: Path):
    (tmp_path / "x.wav").write_text("no")
    preparer = ArrangementWorker(tmp_path, 48000)
    try:
        preparer.ask(3, LoopRequest(110.0, bars=2))
        until(lambda: preparer.problem, 120.0, "a problem is told")
        assert "there is no loop" in preparer.problem
        assert not preparer.busy
        shutil.copy(analysed[0] / "a.wav", tmp_path / "y.wav")
        preparer.restart()
        preparer.ask(4, LoopRequest(110.0, bars=2))
        made: list = []
        until(lambda: made.extend(preparer.take() or ()) or made, 120.0, "there is material")
        assert (made[0], len(made[1].tracks)) == (4, 1)
        (tmp_path / "y.wav").unlink()
        preparer.ask(5, LoopRequest(90.0, bars=2))
        until(preparer.take, 120.0, "what was read is kept")
    finally:
        preparer.close()


def test_a_rule_that_makes_no_sense_is_a_sentence(library: Path, tmp_path: Path):
    shutil.copytree(library, tmp_path / "loops")
    (tmp_path / "loops" / "rules.toml").write_text("chance = 'much'\n")
    with pytest.raises(AntiphonError, match="'chance': takes a number"):
        render(tmp_path / "loops", {"bars": 1}, 44100)
