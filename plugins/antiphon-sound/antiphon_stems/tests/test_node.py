"""The node as the host runs it, and the analysis `stems` in the library: measured."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.pairs import pairwise

from antiphon.api import Samples, StreamSpec
from antiphon.api.backends.analysis import Analysis, AnalysisRun, Quantity
from antiphon.kernel.contract.harness import Rendered
from antiphon.offline import analyses as registered
from antiphon.offline.analyses import analyse_file, analyses
from antiphon.testing import render
from antiphon_models.learning.user_commands import command
from antiphon_stems.grids import STEMS
from antiphon_stems.processor import Stems
from antiphon_stems.tests.test_files import read, song


class _Run(AnalysisRun):
    energy = 0.0

    def feed(self, block: np.ndarray) -> None:
        assert len(block) == 1
        self.energy += float((block.astype(np.float64) ** 2).sum())

    def result(self) -> dict[str, float]:
        return {"energy": self.energy}


class OfBass(Analysis):
    quantities = (Quantity("energy", "number"),)
    stem = "bass"

    def begin(self, rate: int, channels: int) -> AnalysisRun:
        return _Run()


class OfHorns(OfBass):
    stem = "horns"


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, np.ndarray]:
    """The stems that `antiphon run stems` writes of a song, in one channel, and the song."""
    sound = song(tmp_path / "song.wav")
    command("run", "stems", tmp_path / "song.wav", "--out-dir", tmp_path / "D")
    return {"song": sound.mean(1), **{name: read(tmp_path / f"D/{name}.wav").mean(1) for name in STEMS}}


def test_the_library_has_the_levels_of_the_stems(tmp_path: Path, parts: dict[str, np.ndarray]) -> None:
    text = command("library", "--root", tmp_path, "analyse", tmp_path / "song.wav", "--only", "stems", "--json")
    found = json.loads(text)
    for name in STEMS:
        below = 10 * np.log10(np.mean(parts[name] ** 2) / np.mean(parts["song"] ** 2))
        assert found[name] == pytest.approx(below, abs=0.01)


def test_an_analysis_is_given_the_stem_it_asks_for(
    tmp_path: Path, parts: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {**analyses(), "bassy": OfBass(), "horned": OfHorns()}
    monkeypatch.setattr(registered, "analyses", lambda: known)
    path = bytes(tmp_path / "song.wav")
    found = analyse_file(path, ["bassy", "loudness"])
    assert found["bassy"][1]["energy"] == pytest.approx(float((parts["bass"].astype(np.float64) ** 2).sum()), rel=1e-3)
    assert found["loudness"] == analyse_file(path, ["loudness"])["loudness"]
    refused = analyse_file(path, ["horned", "loudness"])
    assert "no stem 'horns'" in refused["horned"][2]
    assert refused["loudness"] == found["loudness"]


RATE = 48000


def music(seconds: float = 0.6, channels: int = 2) -> Samples:
    """A low tone, a chord, and clicks."""
    t = np.arange(round(seconds * RATE)) / RATE
    x = 0.2 * np.sin(2 * np.pi * 65 * t) + sum(0.05 * np.sin(2 * np.pi * f * t) for f in (440, 554, 659))
    noise = np.random.default_rng(3).standard_normal(len(t))
    x += 0.4 * noise * np.exp(-((t % 0.25) / 0.01))
    return np.stack([x * (1.0 - 0.2 * n) for n in range(channels)]).astype(np.float32)


def played(
    sound: Samples, rate: int = RATE, block: int = 256, blocks=None, events=(), **values
) -> tuple[int, Rendered]:
    processor = Stems()
    made = render(processor, StreamSpec(rate, block, len(sound)), sound, values, events, blocks)
    return processor.latency, made


@pytest.mark.parametrize(("mode", "latency", "rate"), pairwise(("learned", "hpss"), ("normal", "low"), (44100, 96000)))
def test_the_stems_add_up_to_the_input_after_the_latency(mode: str, latency: str, rate: int) -> None:
    sound = music()
    lag, made = played(sound, rate, mode=mode, latency=latency)
    assert lag <= (0.012 if latency == "low" else 0.028) * rate
    total = np.sum(made.audio[:4], axis=0)
    assert np.abs(total[:, lag:] - sound[:, :-lag]).max() < 1e-6
    assert not total[:, :lag].any()


@pytest.mark.parametrize(
    ("block", "latency", "frames"), [(256, "normal", 768), (64, "normal", 1152), (256, "low", 440), (64, "low", 440)]
)
def test_its_latency_is_no_more_than_the_card_says(block: int, latency: str, frames: int) -> None:
    assert played(music(0.1), 48000, block, latency=latency)[0] == frames


def test_the_network_plays_and_not_what_replaces_it() -> None:
    learned, medians = (played(music(), mode=mode)[1].audio for mode in ("learned", "hpss"))
    assert np.abs(learned[0] - medians[0]).max() > 0.01


def test_each_sound_is_loudest_in_its_stem() -> None:
    """By medians; what the network gives of such tones is not stated, the card measures music."""
    _, made = played(music(1.2), mode="hpss")
    drums, bass, _, other = (np.abs(np.fft.rfft(y[0, RATE // 2 :])) for y in made.audio[:4])
    low, chord = round(65 * 0.7), round(440 * 0.7)
    assert bass[low - 2 : low + 3].max() > 2 * max(drums[low - 2 : low + 3].max(), other[low - 2 : low + 3].max())
    assert other[chord - 2 : chord + 3].max() > 2 * drums[chord - 2 : chord + 3].max()
    wide = slice(round(4000 * 0.7), round(15000 * 0.7))
    assert np.sum(drums[wide] ** 2) > 4 * np.sum(other[wide] ** 2)


def test_gains_and_solo_act_on_their_stem() -> None:
    _, whole = played(music())
    _, made = played(music(), drums=0.5, bass=2.0)
    for n, factor in enumerate((0.5, 2.0, 1.0, 1.0)):
        np.testing.assert_allclose(made.audio[n], factor * whole.audio[n], atol=1e-6)
    _, alone = played(music(), events=[(RATE // 5, "solo", "bass")])
    late = slice(RATE // 5 + RATE // 50, None)
    np.testing.assert_array_equal(alone.audio[1], whole.audio[1])
    assert not any(alone.audio[n][:, late].any() for n in (0, 2, 3))


def test_levels_are_reported_and_modulate() -> None:
    """Of a full-scale low tone the bass is at the top, the drums are far below; a gain of 0 changes neither."""
    tone = np.sin(2 * np.pi * 60 * np.arange(RATE) / RATE)[None].astype(np.float32)
    _, made = played(tone, mode="hpss", bass=0.0)
    assert made.reports["bass_level"] == pytest.approx(0.95, abs=0.02)
    assert made.reports["drums_level"] < made.reports["bass_level"] - 0.3
    levels = dict(zip(STEMS, made.audio[4:], strict=True))
    assert levels["bass"][0, -1] == pytest.approx(made.reports["bass_level"], abs=0.02)
    assert np.abs(np.diff(levels["bass"][0])).max() < 0.01
    assert not played(np.zeros((1, 9000), np.float32))[1].reports["drums_level"]
