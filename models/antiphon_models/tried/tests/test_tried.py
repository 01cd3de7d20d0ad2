"""Each training of what was tried: a few steps on made-up material lower its loss, and it has a row of figures."""

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

from antiphon_latent.decoder import PartialDecoder
from antiphon_latent.partials import FRAMES, ROW
from antiphon_models.latent import training
from antiphon_models.latent.material import Notes
from antiphon_models.learning.recipe import TrainingJob
from antiphon_models.tried import autoencoder, capsules, gan, textures, wavenet


@pytest.fixture
def job(tmp_path) -> TrainingJob:
    return TrainingJob(tmp_path, tmp_path, 3, torch.device("cpu"), lambda line: None, False, tmp_path)


def losses(recipe, count=4):
    """The losses of the batch of one step, before each of some steps of descent; and figures after them."""
    torch.manual_seed(1)
    network = recipe.network()
    descent = torch.optim.Adam(network.parameters(), recipe.rate)
    found = []
    for _ in range(count):
        torch.manual_seed(2)
        loss, logged = recipe.loss(network, recipe.batch(5))
        assert all(np.isfinite(float(value)) for value in logged.values())
        descent.zero_grad()
        loss.backward()
        descent.step()
        found.append(float(loss.detach()))
    with torch.no_grad():
        figures = recipe.validate(network)
    assert figures
    assert all(np.isfinite(value) for value in figures.values())
    assert recipe.said()["licence"]
    return found, recipe.arrays(network)


@pytest.mark.parametrize("recipe", [autoencoder.NoteAutoencoderRecipe, gan.GANRecipe])
def test_a_decoder_of_notes_is_one_that_latent_plays(job, monkeypatch, recipe):
    rng = np.random.default_rng(1)
    count = 90
    level = -40.0 + 20.0 * rng.standard_normal((count, FRAMES, ROW)).astype(np.float32)
    numbers = [rng.uniform(low, high, count).astype(np.float32) for low, high in ((40, 80), (0.2, 1.0))]
    notes = Notes(level, np.ones(level.shape, bool), *numbers, np.arange(count) % 18)
    monkeypatch.setattr(autoencoder, "by_font", lambda folder, say: notes)
    made = recipe()
    made.prepare(job)
    assert len(made.batch(1)[0]) == training.BATCH
    found, arrays = losses(made)
    assert found[-1] < found[0]
    played = PartialDecoder(arrays).notes(np.zeros((1, 8)), np.array([60.0]), np.array([0.7]))
    assert played.shape == (1, FRAMES, ROW)


def test_capsules_code_a_reference(job, monkeypatch):
    rng = np.random.default_rng(1)
    sounds = [(0.1 * rng.standard_normal((3, 8 * capsules.RATE))).astype(np.float32) for _ in range(2)]
    monkeypatch.setattr(capsules, "VALIDATION_SHARE", 2)
    monkeypatch.setattr(capsules.material, "make", lambda *args: [0, 1])
    monkeypatch.setattr(capsules.material, "load", lambda path: sounds[path])
    monkeypatch.setattr(capsules, "REFERENCE", 128)
    recipe = capsules.CapsulesRecipe()
    recipe.prepare(job)
    found, _ = losses(recipe)
    assert found[-1] < found[0]
    code = recipe.network().code(torch.rand(2, 96, capsules.INPUTS), torch.ones(2, 96))
    assert code.shape == (2, capsules.CODE)
    parts = code.view(2, capsules.PARTS, -1).norm(dim=2)
    assert bool((parts < 1.0).all())


def test_wavenet_learns_codes_and_draws_sound(job, monkeypatch):
    sounds = [np.stack([0.3 * np.sin(np.arange(3 * wavenet.MADE) * 0.01 * n)] * 3).astype(np.float32) for n in (1, 2)]
    monkeypatch.setattr(wavenet.material, "make", lambda *args: [0, 1])
    monkeypatch.setattr(wavenet.material, "load", lambda path: sounds[path])
    monkeypatch.setattr(wavenet, "SAMPLES", 1500)
    recipe = wavenet.WaveNetRecipe()
    recipe.prepare(job)
    codes = np.arange(256, dtype=np.uint8)
    assert (wavenet.mu_law(wavenet.linear(codes)) == codes).all()
    found, _ = losses(recipe, 2)
    assert found[-1] < found[0]
    assert np.abs(wavenet.generate(recipe.network(), 50)).max() <= 1.0


def test_a_texture_comes_nearer_to_its_reference_and_is_heard(job, monkeypatch, tmp_path):
    rng = np.random.default_rng(1)
    rain = 0.003 * rng.standard_normal(3 * textures.RATE)
    for at in rng.integers(0, len(rain) - 2000, 90):
        rain[at : at + 2000] += 0.2 * np.exp(-np.arange(2000) / 400) * np.sin(np.arange(2000) * 0.7)
    soundfile.write(tmp_path / "rain.wav", rain, textures.RATE)
    monkeypatch.setattr(textures, "ROUNDS", 4)
    recipe = textures.TexturesRecipe()
    recipe.prepare(job)
    found, arrays = losses(recipe, 12)
    assert found[-1] < 0.7 * found[0]
    monkeypatch.setattr(textures, "read_weights", lambda name, folder: arrays)
    textures.main(tmp_path, tmp_path / "out.wav")
    assert abs(len(soundfile.read(tmp_path / "out.wav")[0]) - len(rain)) < textures.SIZE
