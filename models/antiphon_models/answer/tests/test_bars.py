"""The bar model: the network as it is trained and as it plays, and what it begins with."""

import numpy as np
import pytest

from antiphon_answer.bar_features import BASS, CHORDS, DRUMS, MELODY, BarEvent, in_order
from antiphon_answer.bar_model import BarModel
from antiphon_answer.bar_writing import BarPlayer
from antiphon_answer.improviser import Improviser
from antiphon_answer.prior import installed_prior
from antiphon_models.answer import synthetic
from antiphon_models.answer.bar_material import sequence
from antiphon_models.answer.foreseeing import AnswerPredictor, bits_of

torch = pytest.importorskip("torch")

SONG = next(iter(synthetic.songs(1, 1)))
TUNE = [BarEvent(MELODY, n.slot, n.pitch, n.length, n.velocity) for n in SONG.notes[:60]]
BAND = in_order(
    [
        *TUNE[:40],
        *(BarEvent(CHORDS, slot, slot // 16 * 5 % 12) for slot in range(0, 128, 16)),
        *(BarEvent(BASS, slot, 36 + slot // 8 % 5) for slot in range(0, 128, 8)),
        *(BarEvent(DRUMS, slot, code) for slot in range(0, 128, 4) for code in (0, 2)),
    ]
)


def network(seed: int, *, drawn: bool):
    from antiphon_models.answer.bars import BarNetwork

    torch.manual_seed(seed)
    made = BarNetwork().eval()
    if drawn:
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return made


def model_of(made) -> BarModel:
    return BarModel({name: tensor.numpy() for name, tensor in made.state_dict().items()})


def player(made, *, alone: bool, key: int = -1) -> BarPlayer:
    improviser = Improviser(installed_prior())
    improviser.fixed = key
    improviser.clear()
    return BarPlayer(model_of(made), improviser, alone=alone)


@pytest.mark.parametrize(("events", "alone", "key"), [(TUNE, True, -1), (BAND, False, 2)])
def test_it_plays_what_it_was_taught(events: list[BarEvent], alone: bool, key: int) -> None:
    made, told = network(1, drawn=True), sequence(events, key, 4, alone=alone)
    rows, memory = (
        [torch.from_numpy(told[name].astype(kind))[None] for name in names]
        for names, kind in ((("events", "values", "times"), np.int64), (("value_memory", "time_memory"), np.float32))
    )
    with torch.no_grad():
        value, time = made(rows, memory, torch.ones(1))
    playing = player(made, alone=alone, key=key)
    seen: dict[int, int] = {}
    for n, event in enumerate(events):
        if event.part in seen:
            before = seen[event.part]
            by_torch = value[0, n, int(told["value"][n])] + time[0, before, int(told["time"][before])]
            assert playing.surprise(event) == pytest.approx(-float(by_torch) / np.log(2.0), abs=2e-2)
        playing.learn(event)
        seen[event.part] = n


def test_it_begins_as_the_memory() -> None:
    playing, bits = player(network(1, drawn=False), alone=True), []
    playing.learn(TUNE[0])
    for event in TUNE[1:]:
        bits.append(playing.surprise(event))
        playing.learn(event)
    assert bits == pytest.approx(bits_of(AnswerPredictor(), SONG.notes[:60]), abs=5e-2)
