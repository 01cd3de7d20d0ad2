"""The GAN of bars: phrases of songs, what it draws, and a few steps of its training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from antiphon_models.answer.gan import BATCH, BarsGANRecipe, symbols
from antiphon_models.answer.gan_figures import draw_phrases, gan_piece, phrase_separation, place_by_place
from antiphon_models.answer.phrases import NONE, PITCHES, SLOTS, figures, phrases_of
from antiphon_models.learning.recipe import TrainingJob
from antiphon_models.material.part_songs import PartChord, PartNote, PartSong


def song(key: int = 2) -> PartSong:
    """Sixteen bars of a scale in D with triads below."""
    scale = (0, 2, 4, 5, 7, 9, 11, 12)
    tune = [PartNote(float(n), n + 1.0, 62 + scale[n % 8]) for n in range(64)]
    low = [PartNote(4.0 * n, 4.0 * n + 4.0, pitch) for n in range(16) for pitch in (38, 62, 66, 69)]
    return PartSong("a", "train", 4, 0, 100.0, key, {"melody": tune, "chords": low}, [PartChord(0.0, 64.0, "D:maj")])


def test_phrases_are_in_one_key() -> None:
    found = np.stack(list(phrases_of(song())))
    assert found.shape == (6, SLOTS, 2 + PITCHES)
    told = figures(found)
    assert told["notes"] == 4.0
    assert told["in_key"] == 1.0
    assert told["struck"] == pytest.approx(3.0)
    assert told["bass"] == pytest.approx(1.0)
    assert (found[0, 4::4, 0] != NONE).all()


def test_it_draws_phrases_and_pieces_by_seed() -> None:
    network = BarsGANRecipe().network().eval()
    one, again, other = (draw_phrases(network, 4, seed) for seed in (1, 1, 2))
    assert one.shape == (4, SLOTS, 2 + PITCHES)
    assert (one == again).all()
    assert (one != other).any()
    piece = gan_piece(network, 6, 14, 1)
    assert all(0 <= note.slot < 96 and 0 < note.pitch < 128 for note in piece)


def test_a_forest_tells_noise_from_songs() -> None:
    human = np.concatenate([np.stack(list(phrases_of(song())))] * 8)
    assert phrase_separation(human, place_by_place(human, 48, 1)) > 0.9


def test_a_few_steps_change_both_halves(tmp_path: Path) -> None:
    human = np.concatenate([np.stack(list(phrases_of(song())))] * 8)
    for split in ("train", "valid"):
        np.save(tmp_path / f"{split}.npy", human)
    recipe = BarsGANRecipe()
    recipe.prepare(TrainingJob(tmp_path, tmp_path, 1, torch.device("cpu"), lambda line: None))
    torch.manual_seed(1)
    network = recipe.network()
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    descent = torch.optim.Adam(network.parameters(), 1e-3)
    for step in range(2):
        batch = recipe.batch(step)
        assert batch[0].shape == (BATCH, SLOTS, 2 * (PITCHES + 1) + PITCHES)
        assert (recipe.batch(step)[0] == batch[0]).all()
        loss, _ = recipe.loss(network, batch)
        descent.zero_grad()
        loss.backward()
        descent.step()
    changed = {name: bool((weight != before[name]).any()) for name, weight in network.named_parameters()}
    assert all(done for name, done in changed.items() if name.endswith("weight"))
    with torch.inference_mode():
        assert recipe.validate(network)["score"] < 0.0
        assert symbols(network.generator(2)).dtype == np.uint8
