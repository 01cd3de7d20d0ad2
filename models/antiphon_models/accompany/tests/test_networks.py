"""The chord networks as they are trained: what they learn from, and the same answers in numpy."""

from pathlib import Path

import numpy as np
import pytest

from antiphon_accompany.files.offline import melody_of
from antiphon_accompany.harmony import live_network
from antiphon_accompany.harmony.network import FEATURE_COUNT, ChordNetwork
from antiphon_models.accompany import evaluation

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


def test_numpy_plays_live_what_torch_trains_on_rows_known_when_a_beat_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    from antiphon_models.accompany import live_networks, networks

    monkeypatch.setattr(live_network, "KEY_SHARE", 1.0)
    song = next(evaluation.drawn_songs(1, 1))
    start = song.meter * -(-song.first // song.meter) - song.first
    notes = [note._replace(start=note.start + start, end=note.end + start) for note in song.melody]
    melody, made = melody_of(notes, len(song.beats) + start), drawn(live_networks.LiveChordTraining)
    rows = live_networks.rows_at_onsets(networks.song_rows(song)["rows"])
    echoes = live_networks.echoes(rows)
    inputs = ((rows, live_network.BEAT_BY_TONIC), (echoes, live_network.ECHO_BY_TONIC))
    with torch.no_grad():
        taught = made.chances(
            *(live_networks.transpose_to_tonics(torch.from_numpy(x)[None], index) for x, index in inputs)
        )[0]
    arrays = {name: array.detach().numpy() for name, array in made.state_dict().items()}
    plays = live_network.LiveChords(live_network.LiveChordNetwork(arrays), song.meter)
    weights = np.full((1, 2, 12), 1 / 24, np.float32)
    for beat in range(start, start + len(rows)):
        found = plays.mix(np.full(24, 1 / 24, np.float32), melody, beat, weights)
        np.testing.assert_allclose(found, taught[beat - start], atol=1e-4)
    assert echoes[-8:, -2].min() > 0.0


@pytest.mark.parametrize(("name", "gain"), [("HarmonyRecipe", 0.2), ("LiveHarmonyRecipe", 0.0)])
def test_a_few_steps_learn_songs_relative_to_their_keys(
    name: str, gain: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from antiphon_models.accompany import live_networks, networks
    from antiphon_models.learning.recipe import TrainingJob

    monkeypatch.setattr(live_networks, "PIECES", 2)
    monkeypatch.setattr(live_networks, "LENGTH", 48)
    drawn_songs = list(evaluation.drawn_songs(1, 3))
    monkeypatch.setattr(networks, "songs", lambda data, digits: iter(drawn_songs))
    for song in drawn_songs:
        tonic = song.key % 12 if song.key < 12 else (song.key + 3) % 12
        assert networks.song_rows(song)["tonic"] == tonic
    recipe = getattr(networks if name == "HarmonyRecipe" else live_networks, name)()
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
    assert recipe.validate(network.eval())["nats"] < before - gain
