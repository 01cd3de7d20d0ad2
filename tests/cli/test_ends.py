"""How files of sound end: with their tail, and never on a step."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Command
from tests.each import each

from antiphon.kernel.contract.block import Samples
from antiphon.offline.file_ends import DECAY, Decay, choose_tail, fade_end
from antiphon.testing import sound as audio

ECHO = 'format = 1\n[nodes.echo]\ntype = "delay"\ntime = 0.25\nfeedback = 0.5\n[wires]\n"in" = "echo"\n"echo" = "out"\n'


def ends_softly(y: Samples) -> bool:
    return audio.peak(y[:, -24:]) < 1e-3


@pytest.mark.parametrize("plugin", ["gain", "denoise", "width"])
def test_run_keeps_the_end_of_a_sound_that_is_cut(antiphon: Command, tmp_path: Path, plugin: str) -> None:
    # three plucks, the last of which still sounds when the file is cut
    time = np.arange(72_000) / audio.RATE
    x = sum(audio.sine(220.0 * k, 1.5, channels=2) / k for k in range(1, 7)) * np.exp(-3 * (time % 0.5)) * 0.5
    audio.write(tmp_path / "in.wav", np.asarray(x, np.float32), subtype="FLOAT")
    assert antiphon("run", plugin, "in.wav", "out.wav").code == 0
    y = audio.read(tmp_path / "out.wav")[0]
    assert np.abs(y[:, -960:] - x[:, -960:]).max() < 0.03 * audio.peak(x), "its last 20 ms, to -30 dB"


def test_run_and_render_fade_what_has_not_ended(antiphon: Command, tmp_path: Path) -> None:
    x = audio.sine(441.3, 0.5, channels=2)
    audio.write(tmp_path / "in.wav", x, subtype="FLOAT")
    assert antiphon("run", "delay", "in.wav", "run.wav", "-p", "wet=0", "--tail", "0").code == 0
    assert antiphon("render", "through", "--in", "in.wav", "--out", "render.wav").code == 0
    for name in ("run.wav", "render.wav"):
        y = audio.read(tmp_path / name)[0]
        assert y.shape == x.shape
        assert ends_softly(y)
        assert np.array_equal(y[:, :-960], x[:, :-960]), "20 ms before the end"
        assert np.abs(np.diff(y[0, -960:])).max() < 1.1 * np.abs(np.diff(x[0])).max(), "no step where it begins"


def test_what_has_ended_by_itself_is_left_as_it_is(antiphon: Command, tmp_path: Path) -> None:
    x = audio.sine(440.0, 0.5)
    x[:, -24:] = 0.0
    audio.write(tmp_path / "in.wav", x, subtype="FLOAT")
    assert antiphon("run", "gain", "in.wav", "out.wav").code == 0
    assert np.array_equal(audio.read(tmp_path / "out.wav")[0], x)


@each("pieces", [1, 7, 960, 5000])
@each("frames", [1, 2, 100, 959, 4000])
def test_a_fade_is_the_same_in_blocks_of_any_size(frames: int, pieces: int) -> None:
    x = np.full((2, frames), 0.5, np.float32)

    def blocks() -> Iterator[Samples]:
        held = np.zeros((2, pieces), np.float32)
        for at in range(0, frames, pieces):
            n = min(pieces, frames - at)
            held[:, :n] = x[:, at : at + n]
            yield held[:, :n]

    y = np.concatenate([part.copy() for part in fade_end(blocks(), 48000, 0.02)], axis=1)
    whole = np.concatenate(list(fade_end([x], 48000, 0.02)), axis=1)
    assert np.array_equal(y, whole)
    assert y.shape == x.shape
    length = min(960, frames // 2)
    assert np.array_equal(y[:, : frames - length], x[:, : frames - length])
    assert frames == 1 or y[0, -1] == 0.0


def test_an_echo_is_heard_to_its_end(antiphon: Command, tmp_path: Path) -> None:
    x = audio.clicks([23_000], 24_000, height=0.5)
    audio.write(tmp_path / "in.wav", x, subtype="FLOAT")
    (tmp_path / "echo.toml").write_text(ECHO)
    assert antiphon("run", "delay", "in.wav", "run.wav", "-p", "time=0.25", "-p", "feedback=0.5").code == 0
    assert antiphon("render", "echo.toml", "--in", "in.wav", "--out", "render.wav").code == 0
    # 0.5, 0.25, … 0.00195 is the ninth, the next is below -60 dB
    at = [23_000 + 12_000 * n for n in range(1, 10)]
    for name in ("run.wav", "render.wav"):
        y = audio.read(tmp_path / name)[0]
        # the last is the last frame there is, and faded
        assert audio.onsets(y, threshold=1e-3) == at[:-1]
        assert y.shape[1] == at[-1] + 1


def test_a_tail_ends_after_ten_seconds(antiphon: Command, tmp_path: Path) -> None:
    audio.write(tmp_path / "in.wav", np.full((1, 4800), 0.5, np.float32), subtype="FLOAT")
    assert antiphon("run", "delay", "in.wav", "out.wav", "-p", "time=0.05", "-p", "feedback=0.98").code == 0
    y = audio.read(tmp_path / "out.wav")[0]
    assert y.shape == (1, 4800 + 480_000)
    assert ends_softly(y)
    assert audio.peak(y[:, -4800:-2400]) > 1e-3


@pytest.mark.parametrize("fade", ["0.02", "0"])
def test_what_goes_on_for_ever_ends_with_a_bar_and_fades_over_it(antiphon: Command, tmp_path: Path, fade: str) -> None:
    """Bars of 3 s, of which the fourth ends last within 10 s of the input's end."""
    audio.write(tmp_path / "in.wav", np.zeros((2, 120_000), np.float32), subtype="FLOAT")
    tone = '[nodes.tone]\nfrequency = 340.0\nlevel = 0.1\n[nodes.echo]\ntype = "delay"\ntime = 0.25\nfeedback = 0.0\n'
    (tmp_path / "tone.toml").write_text(
        f'format = 1\ntempo = 80\n{tone}[wires]\n"tone" = ["out", "echo"]\n"echo" = "out"\n'
    )
    line = ("--in", "in.wav", "--out", "out.wav", "--fade", fade)
    assert antiphon("render", "tone.toml", *line).code == 0
    y = audio.read(tmp_path / "out.wav")[0]
    bar = 144_000
    assert y.shape[1] == 4 * bar
    whole = audio.level(y[:, 2 * bar : 3 * bar])
    quarters = [audio.level(y[:, at : at + 6000]) - whole for at in (3 * bar - 6000, int(3.5 * bar), 4 * bar - 6000)]
    wanted = [0.0, 20 * np.log10(0.5), -50.0] if fade != "0" else [0.0, 0.0, 0.0]
    assert quarters == pytest.approx(wanted, abs=1.0 if fade == "0" else 6.0)
    assert ends_softly(y) == (fade != "0")


@pytest.mark.parametrize(("tail", "frames"), [("0", 24_000), ("0.5", 48_000)])
def test_a_tail_that_is_asked_for_is_that_long(antiphon: Command, tmp_path: Path, tail: str, frames: int) -> None:
    audio.write(tmp_path / "in.wav", audio.noise(24_000), subtype="FLOAT")
    (tmp_path / "echo.toml").write_text(ECHO)
    assert antiphon("run", "delay", "in.wav", "run.wav", "--tail", tail).code == 0
    assert antiphon("render", "echo.toml", "--in", "in.wav", "--out", "render.wav", "--tail", tail).code == 0
    line = ("--in", "in.wav", "--out", "both.wav", "--seconds", "0.5", "--tail", tail)
    assert antiphon("render", "echo.toml", *line).code == 0
    for name in ("run.wav", "render.wav", "both.wav"):
        y = audio.read(tmp_path / name)[0]
        assert y.shape[1] == frames
        assert ends_softly(y)


def test_seconds_say_how_long_it_is_and_what_has_no_tail_gets_none(antiphon: Command, tmp_path: Path) -> None:
    audio.write(tmp_path / "in.wav", audio.noise(24_000), subtype="FLOAT")
    (tmp_path / "echo.toml").write_text(ECHO)
    assert antiphon("render", "echo.toml", "--in", "in.wav", "--out", "a.wav", "--seconds", "0.4").code == 0
    assert antiphon("run", "denoise", "in.wav", "b.wav").code == 0
    assert audio.read(tmp_path / "a.wav")[0].shape[1] == 19_200
    assert audio.read(tmp_path / "b.wav")[0].shape[1] == 24_000


def test_a_pause_is_no_end() -> None:
    x = audio.clicks([10, 3000], 4000, height=0.01)
    decay = Decay(1e-3)
    parts = [part.copy() for at in range(0, 4000, 256) for part in decay.take(x[:, at : at + 256])]
    assert np.array_equal(np.concatenate(parts, axis=1), x[:, :3001])
    assert choose_tail(None, sounds_on=True) == DECAY
