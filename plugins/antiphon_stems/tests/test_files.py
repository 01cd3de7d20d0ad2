"""`antiphon run stems`: files by the command, measured."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon_models.learning.user_commands import command
from antiphon_stems.grids import FILE, STEMS
from antiphon_stems.splitting import Splitter, StemMasks, refine

RATE = 22050
RNG = np.random.default_rng(4)


def song(path: Path, seconds: float = 2.0) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    x = 0.3 * np.sin(2 * np.pi * 70 * t) + 0.1 * np.sin(2 * np.pi * 700 * t)
    x += 0.3 * RNG.standard_normal(len(t)) * np.exp(-((t % 0.5) / 0.02))
    sound = np.stack([x, 0.7 * x], axis=1).astype(np.float32)
    soundfile.write(path, sound, RATE, "FLOAT")
    return sound


def read(path: Path) -> np.ndarray:
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == RATE
    return np.asarray(sound)


@pytest.mark.parametrize("mode", ["mode=learned", "mode=hpss", "by=own"])
def test_one_stem_all_but_one_and_the_sum(tmp_path: Path, mode: str) -> None:
    sound = song(tmp_path / "song.wav")

    def out(*options: str) -> np.ndarray:
        command("run", "stems", tmp_path / "song.wav", tmp_path / "out.wav", "--force", "-p", mode, *options)
        return read(tmp_path / "out.wav")

    bass, rest = out("--only", "bass"), out("--without", "bass")
    np.testing.assert_allclose(bass + rest, sound, atol=1e-5)
    two, others = (
        out(*(word for name in ("bass", "drums") for word in (which, name))) for which in ("--only", "--without")
    )
    np.testing.assert_allclose(two - bass, out("--only", "drums"), atol=1e-5)
    np.testing.assert_allclose(two + others, sound, atol=1e-5)
    np.testing.assert_allclose(out(), sound, atol=1e-5)
    np.testing.assert_allclose(out("-p", "bass=0"), rest, atol=1e-5)
    np.testing.assert_allclose(out("-p", "solo=bass"), bass, atol=1e-5)
    if mode == "mode=hpss":  # what the network gives of such tones is not stated; the card measures music
        share = np.abs(np.fft.rfft(bass[:, 0])) / np.abs(np.fft.rfft(sound[:, 0]))
        assert share[140] > 0.6
        assert share[1400] < 0.2


@pytest.mark.parametrize("blocks", [[1], [700, 40000, 3], [5000] * 30])
def test_any_length_and_any_blocks_come_back_whole(blocks: list[int]) -> None:
    """Stretches join without a seam, whatever the shares are: here they follow the power of a frame."""

    def shares(power: np.ndarray, side: np.ndarray) -> np.ndarray:
        first = power / (power + 1e-3)
        return np.stack([first, 0.5 * (1 - first), 0.25 * (1 - first), 0.25 * (1 - first)]).astype(np.float32)

    rate = 2000
    sound = RNG.standard_normal((2, sum(blocks))).astype(np.float32)
    pieces = np.split(sound, np.cumsum(blocks)[:-1], axis=1)
    made = np.concatenate(list(Splitter(rate, 2, StemMasks(shares)).split(pieces)), axis=2)
    assert made.shape == (4, *sound.shape)
    np.testing.assert_allclose(made.sum(axis=0), sound, atol=1e-5)
    one = np.concatenate(list(Splitter(rate, 2, StemMasks(shares)).split([sound])), axis=2)
    np.testing.assert_allclose(made, one, atol=1e-4)


def test_memory_does_not_grow_with_length() -> None:
    """What is given out keeps up with what came in, but for two stretches."""
    splitter, rate, given, taken = Splitter(2000, 1, StemMasks(_even)), 2000, 0, 0
    behind = []

    def blocks():
        nonlocal taken
        for _ in range(80):
            taken += rate
            yield np.zeros((1, rate), np.float32)

    for stems in splitter.split(blocks()):
        given += stems.shape[2]
        behind.append(taken - given)
    assert given == taken
    assert max(behind) <= 2 * StemMasks.core * round(FILE.hop * rate / 44100) + 2 * rate


def _even(power: np.ndarray, side: np.ndarray) -> np.ndarray:
    return np.full((len(STEMS), *power.shape), 0.25, np.float32)


def test_places_in_the_stereo_image_help() -> None:
    """Of two sources at different places rough shares become good ones; of one channel they stay as they are."""
    sources = (RNG.standard_normal((2, 200, 20)) + 1j * RNG.standard_normal((2, 200, 20))) * np.exp(
        RNG.standard_normal((2, 200, 20))
    )
    stems = np.array([[1.0, 0.2], [0.3, 1.0]])[:, :, None, None] * sources[:, None]
    mix = stems.sum(axis=0).astype(np.complex64)
    shares = np.abs(sources) / np.abs(sources).sum(axis=0)
    shares = (0.15 + 0.7 * shares).astype(np.float32)

    def error(made: np.ndarray) -> float:
        return float(np.sum(np.abs(made - stems) ** 2))

    made = refine(mix, shares)
    assert error(made) < 0.2 * error(shares[:, None] * mix)
    np.testing.assert_allclose(made.sum(axis=0), mix, atol=1e-3)
    np.testing.assert_allclose(refine(mix[:1], shares), shares[:, None] * mix[:1])
