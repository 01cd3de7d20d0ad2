"""The training on a handful of sounds made here, and both networks: many hops at once are what hop by hop gives."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")

from antiphon_denoise.bands import BINS
from antiphon_denoise.learned import AUTOENCODER, MASK, NO_NOISE, UNITS, first_bins, unit_of_bin
from antiphon_denoise.tests import sounds

ROOT = Path(__file__).parents[4]
RATE = 48000


def material(folder: Path) -> None:
    """Two sounds of every kind in each part, marked as all there."""
    from antiphon_models.denoise.training.material import KINDS, VERSION

    folder.mkdir()
    for n, part in enumerate(("train", "valid")):
        for k, kind in enumerate(KINDS):
            for number in range(2):
                seed = 100 * n + 10 * k + number
                make = sounds.melody if number else sounds.voice
                sound = sounds.white(RATE, 0.1, seed)[0] if kind == "noise" else make(RATE, 1.0, seed)
                soundfile.write(folder / f"{part}-{kind}-{number:03d}.ogg", sound, RATE, format="OGG")
    (folder / "material.json").write_text(f'{{"version": {VERSION}, "seed": 5}}')


@pytest.fixture(scope="module")
def sounds_of_training(tmp_path_factory):
    """What all recipes train on, made once; they keep what they prepare beside a copy of it."""
    folder = tmp_path_factory.mktemp("sounds") / "material"
    material(folder)
    return folder


@pytest.fixture(scope="module", params=["mask", "file", "gate", "confidence"])
def recipe(request, tmp_path_factory, sounds_of_training):
    """A recipe on few sounds and short ones; that of confidence on two files of training and two of validation."""
    from antiphon_models.denoise.training import confidence, recipe as recipes
    from antiphon_models.denoise.training.gate import GateRecipe
    from antiphon_models.learning.recipe import TrainingJob

    few = {"frames": 220, "items": {"cpu": 2}}
    kind, small = {
        "mask": (recipes.MaskRecipe, few),
        "file": (recipes.FileMaskRecipe, few),
        "gate": (GateRecipe, few),
        "confidence": (confidence.ConfidenceRecipe, {"frames": 220, "files": (2, 2), "items": 3}),
    }[request.param]
    made = type("Small", (kind,), small)()
    folder = shutil.copytree(sounds_of_training, tmp_path_factory.mktemp("training") / "material")
    with pytest.MonkeyPatch.context() as fewer:
        fewer.setattr(recipes, "VALID_ITEMS", 3)
        fewer.setattr(confidence, "FIRST_UNSEEN_FILE", {"train": 1, "valid": 1})
        made.prepare(TrainingJob(folder, folder, 5, torch.device("cpu"), lambda line: None))
        yield made


def test_a_batch_is_what_seed_and_step_say_and_nothing_else(recipe):
    first, other = recipe.batch(7), recipe.batch(8)
    torch.manual_seed(99)
    np.random.default_rng(99).random(3)
    again = recipe.batch(7)
    assert [part.numpy().tobytes() for part in first] == [part.numpy().tobytes() for part in again]
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("recipe", ["mask", "file", "gate"], indirect=True)
def test_what_is_mixed_is_the_clean_sound_and_noise_at_its_distance(recipe):
    found = 0
    for step in range(8):
        mixed, clean, gap, _, snr, _ = recipe.batch(step)
        assert bool(torch.isfinite(mixed).all())
        for row in range(len(mixed)):
            own = float(clean[row].square().mean())
            if own < 1e-9:
                assert bool((gap[row] == 1.0).all())
                continue
            rest = float((mixed[row] - clean[row]).square().mean())
            assert 10.0 * np.log10(own / rest) == pytest.approx(float(snr[row]), abs=0.1)
            found += 1
    assert found > 4


def learns(recipe, rate: float, *logged: str) -> None:
    """Two steps lower the loss of their batch; `logged`: what is told of it."""
    torch.manual_seed(1)
    network, batch = recipe.network(), recipe.batch(3)
    optimiser = torch.optim.Adam(network.parameters(), rate)
    losses = []
    for _ in range(3):
        torch.manual_seed(2)
        value, said = recipe.loss(network, batch)
        assert bool(torch.isfinite(value))
        assert set(logged) <= set(said)
        optimiser.zero_grad()
        value.backward()
        assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in network.parameters())
        optimiser.step()
        losses.append(float(value.detach()))
    assert losses[-1] < losses[0]


def test_the_loss_is_a_number_and_falls_along_its_gradient(recipe):
    learns(recipe, 3e-3, "gain", "harmed", "pauses")


def test_validation_gives_the_score_first(recipe):
    with torch.inference_mode():
        figures = recipe.validate(recipe.network().eval())
    assert next(iter(figures)) == "score"
    assert {"gain", "harmed", "pure", "pauses"} <= set(figures)
    assert np.isfinite(figures["gain"])


CONFIDENCE = pytest.mark.parametrize("recipe", ["confidence"], indirect=True)


@CONFIDENCE
def test_examples_tell_the_error_of_the_masks_own_gains(recipe):
    """By the sums of an example, what the mask leaves is what it leaves of the sound, but for the overlap of frames."""
    from antiphon_models.denoise.training.confidence import errors

    every = recipe._train
    alone = torch.tensor([0.0, 1.0, 0.0, 0.0]).expand(*every.statistics.shape[:3], 4)
    dry = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand_as(alone)
    noise = every.statistics[..., 0]
    torch.testing.assert_close(errors(every.statistics, dry), noise)
    noisy = (every.snr < 40.0) & ~every.silent
    left, before = (errors(every.statistics, shares).sum((1, 2)) for shares in (alone, dry))
    ratio = 10.0 * torch.log10(every.own / before)
    torch.testing.assert_close(ratio[noisy], every.snr[noisy], atol=1.5, rtol=0.0)
    assert bool((left > 0.0).all())


@CONFIDENCE
def test_the_confidence_recipe_goes_on_from_its_examples(recipe):
    said: list[str] = []
    recipe._job.material.joinpath("examples", "train-0001.npz").unlink()
    recipe.prepare(replace(recipe._job, say=said.append))
    assert any("making 8 examples" in line for line in said)


def test_material_of_another_version_is_made_anew(tmp_path, monkeypatch):
    from antiphon_models.denoise.training import material as m

    monkeypatch.setattr(m, "pieces", lambda data: iter([("train-song-000", lambda rnd: sounds.melody(RATE, 0.5))]))
    (tmp_path / "material.json").write_text('{"version": 1, "seed": 5}')
    soundfile.write(tmp_path / "train-song-000.ogg", np.zeros(100, np.float32), RATE, format="OGG")
    m.make(tmp_path, tmp_path, 5, lambda line: None)
    made = (tmp_path / "train-song-000.ogg").stat()
    assert soundfile.info(tmp_path / "train-song-000.ogg").frames > 1000
    # what was stopped halfway goes on
    (tmp_path / "material.json").unlink()
    m.make(tmp_path, tmp_path, 5, lambda line: None)
    assert (tmp_path / "train-song-000.ogg").stat().st_mtime_ns == made.st_mtime_ns


def test_parts_share_no_song_clip_loop_shot_voice_or_stretch(tmp_path):
    from antiphon_models.denoise.training import sounds

    def touch(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    for n in range(1, 41):
        touch(tmp_path / "pop909" / f"{n:03d}" / f"{n:03d}.mid")
    for name in ("rain", "dog"):
        for fold in "1234":
            for n in range(4):
                touch(tmp_path / "esc10" / name / f"{fold}-{n}.ogg")
    for name in (*sounds.TEST_LOOPS, *sounds.VALID_LOOPS, "loop_a", "loop_b", *sounds.TEST_SHOTS, "bd_a"):
        touch(tmp_path / "sonicpi" / f"{name}.flac")
    for name in (*sounds.TEST_TRACKS, "song"):
        touch(tmp_path / "tracks" / f"{name}.ogg")
    for listed in (sounds.songs, sounds.clips, sounds.loops, sounds.shots):
        train, valid, test = (set(listed(tmp_path, part)) for part in ("train", "valid", "test"))
        assert train
        assert test
        assert not train & valid
        assert not train & test
        assert not valid & test
    assert not any(path.name.startswith("4-") for part in ("train", "valid") for path in sounds.clips(tmp_path, part))
    ends = [sounds.tracks(tmp_path, part)[-1] for part in ("train", "valid", "test")]
    assert [(first, last) for _, first, last in ends] == [(0.0, 0.6), (0.6, 0.7), (0.7, 1.0)]
    assert {path.stem for path, _, _ in sounds.tracks(tmp_path, "train")} == {"song"}
    assert not set(sounds.VARIANTS["train"]) & set(sounds.VARIANTS["test"])
    assert not set(sounds.VARIANTS["valid"]) & set(sounds.VARIANTS["test"])


def test_examples_of_the_floor_are_made_by_their_numbers(sounds_of_training):
    """What the mask takes of the noise is no more than both its power and that of what is taken allow."""
    from antiphon_models.denoise.training.recipe_floor import FloorExamples

    records = {kind: sorted(sounds_of_training.glob(f"train-{kind}-*.ogg")) for kind in ("song", "solo")}
    clips = sorted(sounds_of_training.glob("train-noise-*.ogg"))
    made, again = (FloorExamples(records, sounds_of_training, clips, 1).make(n) for n in (range(5), [3]))
    assert all(np.array_equal(made[name][3], again[name][0]) for name in made)
    noise, both, taken, _ = made["S"].swapaxes(0, 1)
    assert (both**2 <= 1.001 * noise * taken + 1e-12).all()
    assert ((made["snr"] > 90) == (noise.sum(1) == 0)).all()


HOPS = 210
"""More than the floor's four blocks."""


@pytest.fixture(scope="module", params=[MASK, AUTOENCODER], ids=lambda info: info.name)
def model(request):
    from antiphon.networks.torch_network import load as load_network

    return load_network(request.param.torch_worker("cpu"), torch.device("cpu"))


@pytest.fixture(scope="module")
def heard():
    """Log powers of noise that comes and goes; learned noise never, from the start, from hop 100 on."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(3, HOPS, 2, UNITS, generator=generator) - 7.0
    # one of them far louder than full scale: its floors begin from above too
    x[1] += 20.0
    x[:, :, 0] += 4.0 * torch.sin(torch.arange(HOPS) / 17.0)[None, :, None]
    x[0, :, 1] = NO_NOISE
    x[2, :100, 1] = NO_NOISE
    return x


def by_hop(model, x):
    state, said = model.start(len(x)), []
    with torch.inference_mode():
        for hop in x.unbind(1):
            gain, state = model.step(hop, state)
            said.append(gain[:, 0])
    return torch.stack(said, 1)


def test_a_slot_alone_is_the_same(model, heard):
    together = by_hop(model, heard[:, :60])
    for row in range(3):
        assert float((by_hop(model, heard[row : row + 1, :60])[0] - together[row]).abs().max()) < 1e-5


def test_every_bin_has_its_unit_and_every_unit_its_bins():
    units, first = unit_of_bin(), first_bins()
    assert len(units) == BINS
    assert (np.diff(units) >= 0).all()
    assert set(units) == set(range(UNITS))
    assert (units[first] == np.arange(UNITS)).all()


def test_the_mask_of_files_begins_as_the_mask_and_looks_at_what_comes(heard):
    from antiphon.networks.torch_network import load as load_network
    from antiphon_models.denoise.network.mask import FileMaskNetwork

    mask, file = load_network(MASK.torch_worker("cpu"), torch.device("cpu")), FileMaskNetwork().eval()
    x = heard[:2].clone()
    with torch.inference_mode():
        file.begin(mask, 0.0)
        assert float((file(x[..., 0, :], x[..., 1, :]) - mask(x[..., 0, :], x[..., 1, :])).abs().max()) < 1e-5
        file.begin(mask)
        before = file(x[..., 0, :], x[..., 1, :])
        # as far from the mask backwards as forwards
        turned = file(x[..., 0, :].flip(1), x[..., 1, :].flip(1)).flip(1)
        assert float((before - turned).abs().max()) < 1e-4
        x[:, 150:, 0] += 4.0
        assert float((file(x[..., 0, :], x[..., 1, :]) - before)[:, 100:150].abs().max()) > 0.01
