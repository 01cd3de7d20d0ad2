"""The chord networks as they are trained: what they learn from, and the same answers in numpy."""

from pathlib import Path

import numpy as np
import pytest

from antiphon_accompany.files.offline import melody_of
from antiphon_accompany.harmony import live_network
from antiphon_accompany.harmony.network import FEATURE_COUNT, ChordNetwork
from antiphon_models.accompany import synthetic

torch = pytest.importorskip("torch")


def drawn(network):
    torch.manual_seed(1)
    made = network().eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def test_numpy_plays_what_torch_trains() -> None:
    from antiphon_models.accompany import networks

    made = drawn(networks.ChordTraining)
    rows = np.random.default_rng(1).random((150, FEATURE_COUNT)).astype(np.float32)
    with torch.no_grad():
        taught = made(torch.from_numpy(rows)[None], torch.ones(1, 150, dtype=torch.bool)).softmax(-1)[0].numpy()
    plays = ChordNetwork({name: tensor.detach().numpy() for name, tensor in made.state_dict().items()})
    np.testing.assert_allclose(plays.chances(rows), taught, atol=1e-5)


def test_numpy_plays_live_what_torch_trains() -> None:
    from antiphon_models.accompany import networks

    made = drawn(networks.LiveChordTraining)
    rows = np.random.default_rng(1).random((40, live_network.FEATURE_COUNT)).astype(np.float32)
    with torch.no_grad():
        taught = made(torch.from_numpy(rows)[None], None).softmax(-1)[0].numpy()
    plays = live_network.LiveChordNetwork({name: array.detach().numpy() for name, array in made.state_dict().items()})
    states = [np.zeros((1, units), np.float32) for units in (live_network.FIRST, live_network.SECOND)]
    past = np.concatenate((np.zeros((live_network.NEAR - 1, live_network.FEATURE_COUNT), np.float32), rows))
    for beat in range(40):
        found = plays.step(past[beat : beat + live_network.NEAR].reshape(1, -1), states)
        np.testing.assert_allclose(found[0], taught[beat], atol=1e-5)


def test_live_rows_are_what_is_known_when_a_beat_begins() -> None:
    from antiphon_models.accompany import networks

    song = next(synthetic.songs(1, 1))
    made = networks.live_rows(networks.song_rows(song)["rows"])
    start = song.meter * -(-song.first // song.meter) - song.first
    notes = [note._replace(start=note.start + start, end=note.end + start) for note in song.melody]
    melody = melody_of(notes, len(song.beats) + start)
    for beat in range(1, len(song.beats)):
        np.testing.assert_allclose(made[beat], live_network.beat_row(melody, beat + start, song.meter), atol=1e-6)


@pytest.mark.parametrize("name", ["HarmonyRecipe", "LiveHarmonyRecipe"])
def test_a_few_steps_learn_songs_relative_to_their_keys(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from antiphon_models.accompany import networks
    from antiphon_models.learning.recipe import TrainingJob

    drawn_songs = list(synthetic.songs(1, 4))
    monkeypatch.setattr(networks, "songs", lambda data, digits: iter(drawn_songs))
    for song in drawn_songs:
        tonic = song.key % 12 if song.key < 12 else (song.key + 3) % 12
        assert networks.song_rows(song)["tonic"] == tonic
    recipe = getattr(networks, name)()
    recipe.prepare(TrainingJob(tmp_path, tmp_path, 1, torch.device("cpu"), lambda line: None))
    assert all((a == b).all() for a, b in zip(recipe.batch(3), recipe.batch(3), strict=True))
    torch.manual_seed(1)
    network = recipe.network()
    before = recipe.validate(network.eval())["nats"]
    descent = torch.optim.Adam(network.train().parameters(), 3e-3)
    for step in range(6):
        descent.zero_grad()
        loss, _ = recipe.loss(network, recipe.batch(step))
        loss.backward()
        descent.step()
    assert recipe.validate(network.eval())["nats"] < before - 0.2
