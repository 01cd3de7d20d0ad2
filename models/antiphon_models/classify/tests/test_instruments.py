"""What `instruments` is trained and measured on: takes that sound, mixes whose truth is by level, thresholds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from antiphon.api import UsageError
from antiphon.api.backends.models import ModelError, write_weights
from antiphon_classify.classifier import EXCERPT, MEL
from antiphon_models.classify import clips
from antiphon_models.classify.clips import LabeledClips
from antiphon_models.classify.instruments import material, testset, thresholds
from antiphon_models.classify.instruments.evaluation import FindingInstruments
from antiphon_models.classify.instruments.families import FAMILIES, LABELS, TUNED_DRUMS
from antiphon_models.classify.instruments.material import FamilySound, driven
from antiphon_models.classify.instruments.mixing import audible, draw_families, mix_families
from antiphon_models.classify.instruments.recipe import InstrumentsRecipe
from antiphon_models.classify.instruments.recording import RATE, simulate_recording
from antiphon_models.classify.instruments.sounds import HELD_PLAYER, TRAINED_PLAYERS, play_takes
from antiphon_models.classify.instruments.takes import SECONDS, SPACE, cut, draw_take
from antiphon_models.classify.network import TrainedClassifier
from antiphon_models.learning import needs
from antiphon_models.learning.evaluation import EvaluationRequest
from antiphon_models.learning.recipe import TrainingJob


def tone(hertz: float, seconds: float = SECONDS) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_sixteen_families_share_no_program() -> None:
    assert len(LABELS) == 16
    programs = [program for kind in FAMILIES.values() for program in kind.programs] + list(TUNED_DRUMS)
    assert len(programs) == len(set(programs))
    assert all(set(kind.held) < set(kind.programs) for kind in FAMILIES.values() if kind.held)


def test_takes_stay_within_five_seconds_and_their_range() -> None:
    rng = np.random.default_rng(1)
    for family, kind in FAMILIES.items():
        for program in kind.programs[:3] or (None,):
            take = draw_take(family, program, rng)
            assert take.notes
            assert all(0.0 <= start < end <= SECONDS + 0.4 for start, end, *_ in take.notes)
            if program is not None:
                low, high = kind.range_of(program)
                assert all(low - 12 <= number <= high + 12 for _, _, number, _ in take.notes)


def test_what_was_rendered_together_is_cut_apart() -> None:
    rate = 1000
    sound = np.zeros(round(3 * SPACE * rate), np.float32)
    for number in range(3):
        first = round(number * SPACE * rate)
        sound[first : first + 10] = number + 1.0
    parts = cut(sound, 3, rate)
    assert [part[0] for part in parts] == [1.0, 2.0, 3.0]
    assert all(len(part) == SECONDS * rate and part[10:].max() == 0.0 for part in parts)


@pytest.mark.skipif(bool(HELD_PLAYER.missing()), reason=f"not here: {', '.join(HELD_PLAYER.missing())}")
def test_a_soundfont_plays_bass_below_flute() -> None:
    found = list(play_takes(HELD_PLAYER, [("bass", 33), ("flute", 73), ("drums", None)], np.random.default_rng(2)))
    assert [label for label, *_ in found] == ["bass", "flute", "drums"]
    middles = []
    for _, _, sound in found:
        assert len(sound) == SECONDS * RATE
        power = np.abs(np.fft.rfft(sound)) ** 2
        middles.append(float((power * np.fft.rfftfreq(len(sound), 1 / RATE)).sum() / power.sum()))
    assert middles[0] < 400.0 < middles[1] < 3000.0


def test_the_player_held_out_is_none_of_the_trained() -> None:
    assert HELD_PLAYER not in TRAINED_PLAYERS


def test_a_missing_package_is_said_before_anything_is_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyworld", None)
    monkeypatch.setattr(testset, "players", list)
    monkeypatch.setattr(testset, "make_items", lambda *_: pytest.fail("something was rendered"))
    with pytest.raises(UsageError, match="instruments needs pyworld"), needs.explain_missing("instruments"):
        next(FindingInstruments().scores(EvaluationRequest(tmp_path, tmp_path)))


def test_a_family_twenty_decibels_below_a_mix_does_not_count() -> None:
    assert audible({"bass": 1.0, "flute": 0.011, "reed": 0.009, "none": 0.5}) == ["bass"]
    assert audible({"bass": 1.0, "flute": 0.02}) == ["bass", "flute"]


def test_a_mix_is_the_sum_of_its_parts_at_their_levels() -> None:
    parts = [("bass", tone(100.0)), ("flute", tone(2000.0))]
    for seed in range(4):
        mix, present = mix_families(parts, np.random.default_rng(seed))
        spectrum = np.abs(np.fft.rfft(mix)) ** 2
        bins = [round(hertz * len(mix) / RATE) for hertz in (100.0, 2000.0)]
        shares = spectrum[bins] / spectrum[bins].sum()
        assert present == [name for name, share in zip(("bass", "flute"), shares, strict=True) if share >= 0.01]


def test_families_of_a_mix_are_different_ones() -> None:
    rng = np.random.default_rng(3)
    for count in (1, 2, 5):
        assert all(len(set(draw_families(count, rng))) == count for _ in range(20))


def test_recordings_keep_length_and_peak() -> None:
    rng = np.random.default_rng(4)
    for _ in range(6):
        sound = simulate_recording(tone(440.0, 1.5), rng)
        assert len(sound) == round(1.5 * RATE)
        assert 0.05 < np.abs(sound).max() < 1.3
    assert np.array_equal(
        simulate_recording(tone(440.0, 1.5), np.random.default_rng(5)),
        simulate_recording(tone(440.0, 1.5), np.random.default_rng(5)),
    )


def test_a_guitar_driven_hard_has_more_harmonics() -> None:
    clean = tone(200.0)
    power = np.abs(np.fft.rfft(driven(clean, np.random.default_rng(6)))) ** 2
    third = round(600.0 * len(clean) / RATE)
    assert power[third - 3 : third + 4].sum() > 0.03 * power.sum()


def test_thresholds_follow_what_is_given() -> None:
    rng = np.random.default_rng(7)
    truth = rng.random((400, 2)) < 0.3
    logits = np.where(truth, 2.0, -2.0) + np.array([0.0, -2.5]) + rng.normal(0.0, 0.7, truth.shape)
    details = thresholds.choose(logits.astype(np.float32), truth)
    assert details["thresholds"][1] < details["thresholds"][0]
    present = thresholds.probabilities(logits.astype(np.float32), details) >= np.array(details["thresholds"])
    assert thresholds.macro_f1(present, truth) > 0.9
    assert thresholds.f1_of(np.zeros((3, 1), bool), np.zeros((3, 1), bool)).tolist() != [0.0]


def test_batches_are_mixed_of_solos_and_repeat(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    frames, size = EXCERPT + 20, len(LABELS)
    truth = np.repeat(np.eye(size, dtype=np.float32), 2, axis=0)
    mel = rng.normal(-40.0, 9.0, (len(truth), frames, MEL.bands)).astype(np.float16)
    solos = LabeledClips(mel, truth, np.ones(len(truth), np.int64))
    recipe = InstrumentsRecipe()
    recipe.train, recipe._mixes = solos, solos
    recipe._rows = {label: np.flatnonzero(truth[:, n]) for n, label in enumerate(LABELS)} | {"none": np.zeros(0, int)}
    recipe.job = TrainingJob(tmp_path, tmp_path, 1, torch.device("cpu"), print, further=True)
    assert recipe.batch(3)[0].shape == (recipe.size, EXCERPT, MEL.bands)
    recipe.job = TrainingJob(tmp_path, tmp_path, 1, torch.device("cpu"), print)
    excerpts, targets = recipe.batch(3)
    assert excerpts.shape == (recipe.size, EXCERPT // 2, MEL.bands)
    assert recipe.batch(recipe.steps - 1)[0].shape == (recipe.size, EXCERPT, MEL.bands)
    assert set(targets.unique().tolist()) == {0.0, 1.0}
    assert {1, 2, 3} <= set(targets.sum(dim=1).int().tolist())
    again, same = recipe.batch(3)
    assert torch.equal(excerpts, again)
    assert torch.equal(targets, same)


def test_what_is_chosen_on_is_alone_and_in_mixes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def silent(player: object, count: int, which: str, group: int, rng: object) -> list[FamilySound]:
        asked.append(which)
        return [FamilySound(label, tone(200.0 + 90.0 * n, 3.5), group) for n, label in enumerate(LABELS)]

    monkeypatch.setattr(material, "sounds_of", silent)
    monkeypatch.setattr(material, "voice", lambda voices, rng: tone(150.0, 3.5))
    monkeypatch.setattr(material, "CHOSEN_MIXES", 6)
    monkeypatch.setattr(material, "CHOSEN_SOLOS", len(TRAINED_PLAYERS))
    found = list(material.chosen_clips("trained", np.random.default_rng(10)))
    assert set(asked) == {"trained"}
    groups = [group for _, _, group in found]
    alone = len(TRAINED_PLAYERS) * len(LABELS)
    assert groups[:alone] == [1] * alone
    assert len(groups) == alone + 6
    assert min(groups[alone:]) > 1


def test_clips_of_several_files_follow_each_other(tmp_path: Path) -> None:
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for number, path in enumerate(paths):
        clips.write(path, [(np.full((EXCERPT + number, 2), float(number), np.float32), number, number)] * 2)
    found = clips.read(*paths)
    assert found.mel.shape == (4, EXCERPT, 2)
    assert found.targets.tolist() == found.groups.tolist() == found.mel[:, 0, 0].tolist() == [0, 0, 1, 1]


def test_a_training_begins_with_narrower_weights_and_refuses_wider_ones(tmp_path: Path) -> None:
    torch.manual_seed(11)
    recipe = InstrumentsRecipe()
    for channels, units in (((4, 4, 8, 8), 16), ((16, 32, 48, 64), 640)):
        arrays = TrainedClassifier(len(LABELS), channels, units).arrays()
        write_weights(recipe.weights, arrays, tmp_path, {"labels": list(LABELS)})
        if units < recipe.units:
            begun = recipe.network_of(tmp_path)
            assert isinstance(begun, TrainedClassifier)
            assert np.allclose(begun.arrays()["labels.weight"][:, :units], arrays["labels.weight"])
            assert len(begun.hidden.bias) == recipe.units
        else:
            with pytest.raises(ModelError, match="wider"):
                recipe.network_of(tmp_path)
