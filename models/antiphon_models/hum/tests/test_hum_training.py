"""The training of `hum`'s networks on a few sounds made here: steps, losses, validation."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from antiphon_models.denoise.tests.test_training import learns

TUNE = (60, 64, 67, 72, 71, 67)


def material(folder):
    """A second or four of every kind in each part, marked as complete."""
    from antiphon_models.hum import corpus
    from antiphon_models.hum.corpus import hum_notes
    from antiphon_models.material.singing import SecondsNote
    from antiphon_models.material.styles import SingingStyle

    folder.mkdir()
    for part in ("train", "valid"):
        rng = np.random.default_rng(len(part))
        for kind in corpus.KINDS:
            path = folder / f"{part}-{kind}-000.ogg"
            if kind not in corpus.NOTE_KINDS:
                noise = (0.1 * rng.standard_normal(corpus.RATE)).astype(np.float32)
                corpus.write(
                    path, corpus.TrainingClip(kind, noise, np.zeros((0, 3), np.float32), np.zeros(0, np.int16))
                )
                continue
            notes = [SecondsNote(0.3 + 0.4 * n, 0.6 + 0.4 * n, pitch, 0.7) for n, pitch in enumerate(TUNE)]
            sound, hertz = hum_notes(notes, SingingStyle(), rng, corpus.RATE)
            rows = np.array([[n.start, n.end, n.pitch] for n in notes], np.float32)
            cents = np.where(hertz > 0, 6900 + 1200 * np.log2(np.maximum(hertz, 1.0) / 440.0), 0).astype(np.int16)
            corpus.write(path, corpus.TrainingClip(kind, sound, rows, cents))
        (folder / f"{part}.made").touch()


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    from antiphon_models.learning.recipe import TrainingJob

    folder = tmp_path_factory.mktemp("training") / "material"
    material(folder)
    return TrainingJob(folder, folder, 5, torch.device("cpu"), lambda line: None)


@pytest.fixture(scope="module")
def recipe(job):
    """The recipe, whose batches have as many rows as show what is shown here."""
    from antiphon_models.hum import training as recipe

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "ROWS", 4)
        made = recipe.HumRecipe()
        made.prepare(job)
        yield made


def test_two_steps_lower_the_loss_of_their_batch(recipe):
    learns(recipe, 2e-3)
    assert all(np.isfinite(float(part)) for part in recipe.loss(recipe.network(), recipe.batch(3))[1].values())


def test_a_batch_depends_on_seed_and_step_alone(recipe):
    first = recipe.batch(7)
    np.random.default_rng(99).random(3)
    assert [part.numpy().tobytes() for part in first] == [part.numpy().tobytes() for part in recipe.batch(7)]


def test_validation_gives_f1_first(recipe):
    with torch.inference_mode():
        figures = recipe.validate(recipe.network().eval())
    assert next(iter(figures)) == "f1"
    assert all(np.isfinite(value) for value in figures.values())
