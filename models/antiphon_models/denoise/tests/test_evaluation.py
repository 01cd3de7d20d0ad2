"""The evaluation on files of one's own gives its table; what is made up for it is in tune."""

import importlib.util
import math
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import UsageError
from antiphon_denoise.tests import sounds
from antiphon_models.denoise import testset
from antiphon_models.denoise.evaluation import DenoiseEvaluation
from antiphon_models.learning.evaluation import EvaluationRequest, cells, table

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
RATE = 48000
SYSTEMS = ("nothing", "gate", "mask")


@pytest.fixture
def asked(tmp_path: Path) -> EvaluationRequest:
    """Two clean files, and a folder with one noise of fold 4."""
    clips = tmp_path / "data" / "esc10" / "rain"
    clips.mkdir(parents=True)
    soundfile.write(clips / "4-1.ogg", sounds.white(5 * RATE, 0.1)[0][: 2 * RATE], RATE)
    files = (tmp_path / "a.wav", tmp_path / "b.wav")
    for n, path in enumerate(files):
        soundfile.write(path, (sounds.melody, sounds.voice)[n](RATE, 6.0, n), RATE)
    return EvaluationRequest(tmp_path / "data", tmp_path, 1, 1, SYSTEMS, files, lambda line: None)


def test_files_give_a_table(asked: EvaluationRequest) -> None:
    found = cells(DenoiseEvaluation(), DenoiseEvaluation().scores(asked))
    means = {(cell.system, cell.measure): cell.mean for cell in found}
    assert {system for system, _ in means} == set(SYSTEMS)
    assert means["nothing", "gain"] == pytest.approx(0.0, abs=1e-9)
    assert means["nothing", "at 20 dB"] == pytest.approx(0.0, abs=1e-9)
    assert means["mask", "gain"] > means["gate", "gain"] > 0.0
    assert means["mask", "gain"] > 8.0
    assert math.isfinite(means["gate", "clean"])
    lines = "\n".join(table(DenoiseEvaluation(), found))
    for name in SYSTEMS:
        assert name in lines


def test_a_silent_file_and_a_folder_without_noises_are_refused(asked: EvaluationRequest, tmp_path: Path) -> None:
    from dataclasses import replace

    soundfile.write(tmp_path / "still.wav", np.zeros(RATE), RATE)
    with pytest.raises(UsageError, match="is silent; give a file with clean sound"):
        list(DenoiseEvaluation().scores(replace(asked, files=(tmp_path / "still.wav",))))
    (tmp_path / "bare" / "esc10").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds no clips of fold 4"):
        list(DenoiseEvaluation().scores(replace(asked, data=tmp_path / "bare")))


def test_without_the_data_it_measures_what_it_makes_itself(asked, tmp_path, monkeypatch) -> None:
    from dataclasses import replace

    from antiphon_models.denoise.training import sounds as makers
    from antiphon_models.learning.evaluation import choose_material

    said: list[str] = []
    for name in ("voice", "kit", "render"):
        make = sounds.melody if name == "render" else sounds.voice
        monkeypatch.setattr(makers, name, lambda *_, make=make, **__: make(RATE, 5.0, 3))
    alone = replace(
        asked, data=tmp_path / "nowhere", files=(), limit=3, say=said.append, systems=("nothing", "gate", "mask")
    )
    alone = choose_material(DenoiseEvaluation(), alone)
    assert said[0].startswith(f"there is no folder {tmp_path / 'nowhere'}, which would hold esc10/: measured on ")
    assert "voices of espeak-ng and notes of TimGM6mb by seed" in said[0]
    found = cells(DenoiseEvaluation(), DenoiseEvaluation().scores(alone))
    means = {(cell.system, cell.measure): cell.mean for cell in found}
    assert means["mask", "gain"] > means["gate", "gain"]
    assert {"clean", "pauses"} <= {measure for _, measure in means}
    assert means["nothing", "pauses"] == pytest.approx(0.0, abs=1e-9)
    assert means["mask", "pauses"] > 20.0


def test_the_computed_noises_have_their_colours_and_their_seed() -> None:
    made = testset.synthetic_noises(1)
    assert [name for name, _ in made] == ["white", "pink", "brown"] * 2
    assert not np.array_equal(made[0][1], made[3][1])
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(made, testset.synthetic_noises(1), strict=True))
    for (_, noise), fall in zip(made, (0.0, 3.01, 6.02), strict=False):
        power = np.abs(np.fft.rfft(noise)) ** 2
        octaves = [power[round(f * 5) : round(f * 10)].mean() for f in (250, 500, 1000, 2000)]
        steps = -10.0 * np.diff(np.log10(octaves))
        np.testing.assert_allclose(steps, fall, atol=0.5)


needs_scipy = pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="needs scipy, of the extra training")


def fundamental(sound, hertz):
    """How far the strongest line within a semitone of `hertz` stands above the median of that third of an octave."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    lines = np.fft.rfftfreq(len(sound), 1 / RATE)
    near = power[(lines > hertz / 1.06) & (lines < hertz * 1.06)].max()
    return near / np.median(power[(lines > hertz / 1.2) & (lines < hertz * 1.2)])


@needs_scipy
@pytest.mark.parametrize("seed", range(8))
def test_an_instrument_sounds_where_its_notes_are_and_at_their_pitch(seed):
    from antiphon_models.denoise.training.voices import VoiceNote, render_notes

    sound = render_notes([VoiceNote(0.5, 0.8, 57.0, 0.8)], 3.0, random.Random(seed))
    assert (sound.dtype, sound.shape) == (np.float32, (3 * RATE,))
    assert np.array_equal(sound, render_notes([VoiceNote(0.5, 0.8, 57.0, 0.8)], 3.0, random.Random(seed)))
    inside = sound[RATE // 2 : RATE * 13 // 10]
    assert np.sqrt(np.mean(inside**2)) > 20 * np.sqrt(np.mean(sound[: RATE // 4] ** 2))
    assert fundamental(inside, 220.0) > 30


@needs_scipy
def test_every_effect_changes_the_sound_and_not_its_length_and_leaves_silence_silent():
    from antiphon_models.denoise.training.material import EFFECTS

    rng = np.random.default_rng(1)
    sound = (np.sin(np.arange(2 * RATE) * 0.05) * np.linspace(1, 0, 2 * RATE) * 0.5).astype(np.float32)
    sound += 0.1 * rng.standard_normal(len(sound)).astype(np.float32)
    for effect in EFFECTS:
        made = effect(sound, random.Random(4))
        assert made.shape == sound.shape, effect
        assert np.isfinite(made).all(), effect
        assert np.abs(made - sound).max() > 0.01, effect
        assert not effect(np.zeros(RATE, np.float32), random.Random(4)).any(), effect
