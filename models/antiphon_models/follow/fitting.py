"""Trains the network that predicts beats from notes: `python -m antiphon_models.follow.fitting POP909 [FOLDER]`.

The material is the songs whose numbers end in 1 to 6, rare tempos more often, with varied tempo, key, loudness and
missing notes, some without the last beat of each bar; simple chord players; and random notes without a beat. A folder
given after the songs receives arrays and manifest, by default the one that ships.

The shipped network was trained on the songs alone for its first 42 passes, and with rests for the last ones.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from antiphon.api import F32, F64
from antiphon_follow.evidence import PLACES, TEMPOS
from antiphon_follow.notes import FEATURES, FRAMES_PER_SECOND, MODEL, UNITS, NoteFrames
from antiphon_models.follow.plain import plain_player
from antiphon_models.follow.songs import PlayedSong, performance, scale_beat_tempos
from antiphon_models.learning.rate import decay_factor
from antiphon_models.material.wheels import make_and_write_weights

FIT, SETTLED = "123456", 3.0
"""Last digits of the training songs; seconds at the start of a performance left out of training."""
OF_FOUR: tuple[int, ...] = (0, 1, 2, 3)
OF_THREE: tuple[int, ...] = (0, 1, 3)
"""Beats of a 4/4 bar to which the beats of a 3/4 bar are mapped."""
SECONDS = 80.0
"""Seconds of each performance."""
FRAMES = round(SECONDS * FRAMES_PER_SECOND)
PARTS, SHARES = (("PIANO",), ("PIANO", "MELODY"), ("PIANO", "MELODY", "BRIDGE")), (0.6, 0.25, 0.15)
PLAIN, WALTZES, RANDOM = 0.16, 0.09, 20
"""Shares of simple chord players and of waltzes; number of performances per one of random notes."""
RESTING, RESTS, REST_SECONDS = 0.45, 4, (1.0, 5.0)
"""Share of performances with rests, maximum rests in each, and their shortest and longest seconds."""
EVEN, WIDTH = 0.5, 0.8
"""Weight of equalising the frequency of tempos, 0 to 1; width in bins of the target place."""
VARIANTS, PASSES, BATCH, CHUNK = 12, 6, 64, 1000
"""Versions of the material, passes over each, performances per step, and frames of backpropagation through time."""
RATE_OF_LEARNING, DROPOUT, TEMPO_WEIGHT = 1.5e-3, 0.15, 0.5
NOISE = float(PLACES)
"""Place assigned to a frame without a beat."""
DETAILS = {
    "plugin": "follow",
    "licence": "MIT",
    "trained_on": "the pianists and melodies of POP909's songs whose numbers end in 1 to 6 (MIT), with other tempos, "
    "keys and loudness, some without each bar's last beat; plain players of chords and notes at random, both made",
}


def places_of(downs: F64) -> NDArray[np.int64]:
    """Place of each beat in its bar; -1 before the first bar."""
    at, firsts = np.arange(len(downs)), np.flatnonzero(downs)
    before = np.searchsorted(firsts, at, "right") - 1
    return np.where(before < 0, -1, at - firsts[np.maximum(before, 0)])


def labels(beats: F64, downs: F64, frames: int, numbers: tuple[int, ...] = OF_FOUR) -> tuple[F64, F64]:
    """Place in a bar of four and tempo of each frame; -1 where there is none.

    `numbers`: the beats of a bar of four to which the bar's beats are mapped.
    """
    at = np.arange(frames) / FRAMES_PER_SECOND
    beat = np.clip(np.searchsorted(beats, at, "right") - 1, 0, len(beats) - 2)
    number, length = places_of(downs)[beat], np.diff(beats)[beat]
    known = (number >= 0) & (number < len(numbers)) & (at >= max(SETTLED, beats[0])) & (at < beats[-1])
    number = np.array(numbers)[np.clip(number, 0, len(numbers) - 1)]
    place = np.round((number + (at - beats[beat]) / length) * PLACES / 4.0) % PLACES
    return np.where(known, place, -1.0), 60.0 / length


def octaves(bpm: F64) -> F64:
    """Places of tempos among `TEMPOS`."""
    return np.asarray(np.log(np.clip(bpm, TEMPOS[0], TEMPOS[-1]) / TEMPOS[0]) / np.log(TEMPOS[1] / TEMPOS[0]))


@dataclass(frozen=True, slots=True)
class PlayedFrames:
    """Performances: features `[n, FRAMES, FEATURES]`, place in the bar (-1: unknown) and tempo among `TEMPOS`."""

    features: NDArray[np.float16]
    place: NDArray[np.int16]
    tempo: F32


def curve(beats: int, random: np.random.Generator) -> F64:
    """Relative tempo of each beat: as played, swells, steps, ritardandi, or swells and steps."""
    kind, place, made = random.integers(6), np.arange(beats), np.ones(beats)
    if kind in (1, 5):
        depth, length = random.uniform(0.05, 0.15), random.uniform(20, 48)
        made = 1.0 + depth * np.sin(2.0 * np.pi * (place / length + random.random()))
    if kind in (2, 5):
        at, step = 0, 1.0
        while at < beats:
            length = int(random.integers(16, 64))
            made[at : at + length] *= step
            at, step = at + length, float(random.choice([1.0, 1.15, 1 / 1.15, 1.08, 1.2]))
    if kind in (3, 4):
        at = int(random.integers(12, 60))
        while at < beats:
            length, slow = int(random.integers(4, 12)), random.uniform(0.6, 0.9)
            made[at : at + length] *= np.linspace(1.0, slow, length)[: beats - at]
            made[at + length :] = random.uniform(0.85, 1.15)
            at += length + int(random.integers(24, 72))
    return np.asarray(made * np.exp(random.uniform(-0.15, 0.15)))


def without_fourth_beats(song: PlayedSong) -> PlayedSong:
    """The song without the fourth beat of each bar, and without the notes that begin in it."""
    beats, kept = song.beats, places_of(song.downs) != 3
    moved = beats[0] + np.concatenate([[0.0], np.cumsum(np.diff(beats) * kept[:-1])])
    at = song.notes[:, 0]
    beat = np.searchsorted(beats, at + 0.04, "right") - 1
    inside, beat = (beat >= 0) & (beat < len(beats) - 1), np.clip(beat, 0, len(beats) - 2)
    notes = song.notes.copy()
    notes[:, 0] = np.where(at < beats[0], at, moved[beat] + at - beats[beat])
    notes = notes[(inside & kept[beat]) | (at < beats[0])]
    return PlayedSong(song.name, notes[np.argsort(notes[:, 0])], moved[kept], song.downs[kept])


def change_tempo(song: PlayedSong, random: np.random.Generator) -> tuple[F64, PlayedSong] | None:
    """Notes of an excerpt of a song with changed tempos, and their beats; None if there are too few."""
    if len(song.notes) < 50 or song.downs.sum() < 8:
        return None
    song = scale_beat_tempos(song, curve(len(song.beats), random))
    notes, last = song.notes, song.notes[-1, 0]
    start = max(0.0, notes[0, 0] - random.uniform(0.0, 0.6))
    if last - start > SECONDS and random.random() < 0.6:
        start += random.uniform(0.0, last - start - SECONDS)
    notes = notes[(notes[:, 0] >= start) & (notes[:, 0] < start + SECONDS)].copy()
    notes[:, 0] -= start
    notes = notes[random.random(len(notes)) >= random.choice([0.0, 0.0, 0.05, 0.15])]
    notes[:, 0] += random.normal(0.0, random.choice([0.0, 0.004, 0.01]), len(notes))
    notes = notes[np.argsort(notes[:, 0])]
    notes[:, 0] = np.maximum(notes[:, 0], 0.0)
    notes[:, 1] += random.integers(-5, 7)
    louder = np.exp(random.uniform(-0.4, 0.3))
    notes[:, 2] = np.clip(notes[:, 2] * louder + random.normal(0.0, 0.02, len(notes)), 0.05, 1.0)
    if random.random() < 0.1:
        notes[:, 2] = 0.6
    return notes, PlayedSong(song.name, notes, song.beats - start, song.downs)


def add_player_rests(notes: F64, random: np.random.Generator) -> F64:
    """Notes of a performance in which some players are silent for a while."""
    if random.random() < RESTING:
        for at in random.uniform(2.0 * SETTLED, SECONDS - SETTLED, random.integers(1, RESTS + 1)):
            notes = notes[(notes[:, 0] < at) | (notes[:, 0] >= at + random.uniform(*REST_SECONDS))]
    return notes


def random_notes(random: np.random.Generator) -> F64:
    """Notes without a beat."""
    rate = random.uniform(1.5, 8.0)
    count = int(SECONDS * rate * 1.2)
    rows = random.exponential(1.0 / rate, count), random.integers(36, 88, count), random.uniform(0.3, 0.8, count)
    return np.stack([np.cumsum(rows[0]), rows[1], rows[2]], axis=1)


def features_of(notes: F64) -> NDArray[np.float16]:
    """Features of the frames of `notes` `[n, 3 or 4]`, in the format of songs."""
    heard, place, rows = NoteFrames(), 0, np.zeros((FRAMES, FEATURES), np.float16)
    for frame in range(FRAMES):
        coming = list[tuple[int, float]]()
        while place < len(notes) and notes[place, 0] < (frame + 1) / FRAMES_PER_SECOND:
            coming.append((int(notes[place, 1]), float(notes[place, 2])))
            place += 1
        heard.step(coming)
        rows[frame] = heard.now
    return rows


def performances(folders: list[Path], shares: F64, random: np.random.Generator) -> Iterator[tuple[F64, F64, F64]]:
    """Yields notes, places and tempos of each performance of a version of the material."""
    made = 0
    for at in random.choice(len(folders), len(folders), p=shares):
        what, numbers = random.random(), OF_FOUR
        if what < PLAIN:
            found = plain_player(SECONDS, curve, random)
            numbers = OF_THREE if found[1].downs[3] else OF_FOUR
        else:
            song = performance(folders[at], PARTS[random.choice(3, p=SHARES)])
            if what < PLAIN + WALTZES:
                song, numbers = without_fourth_beats(song), OF_THREE
            if (part := change_tempo(song, random)) is None:
                continue
            found = part
        place, tempo = labels(found[1].beats - 1.0 / FRAMES_PER_SECOND, found[1].downs, FRAMES, numbers)
        yield add_player_rests(found[0], random), place, octaves(tempo)
        made += 1
        if made % RANDOM == 0:
            yield random_notes(random), np.full(FRAMES, NOISE), np.zeros(FRAMES)


def song_shares(folders: list[Path]) -> F64:
    """Sampling probability of each song, higher for rare tempos; the sum is 1."""
    tempos = [60.0 / np.median(np.diff(performance(folder).beats)) for folder in folders]
    bins = (octaves(np.array(tempos)) / 2.0).astype(int)
    shares = np.maximum(np.bincount(bins)[bins] / len(bins), 0.02) ** -EVEN
    return np.asarray(shares / shares.sum())


def render_labelled(folders: list[Path], seed: int) -> PlayedFrames:
    """Renders a version of the material with its labels."""
    rows = performances(folders, song_shares(folders), np.random.default_rng(seed))
    features, places, found = zip(*((features_of(notes), place, tempo) for notes, place, tempo in rows), strict=True)
    return PlayedFrames(np.array(features), np.array(places, np.int16), np.array(found, np.float32))


class BeatPredictorTraining(nn.Module):
    """The network whose arrays `BeatPredictor` plays: gives logits of place and tempo per frame."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int = FEATURES, units: int = UNITS) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.inp = nn.Linear(features, units)
        self.gru = nn.GRU(units, units, 2, batch_first=True, dropout=DROPOUT)
        self.place, self.tempo = nn.Linear(units, PLACES), nn.Linear(units, len(TEMPOS))

    def forward(self, features: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        entered = torch.relu(self.inp((features - self.mean) * self.scale))
        found, state = self.gru(entered, state)
        return self.place(found), self.tempo(found), state

    def adapt(self, features: NDArray[np.float16]) -> None:
        """Sets mean and scale from the features of frames, `[n, features]`."""
        seen = features.astype(np.float32)
        self.mean.copy_(torch.tensor(seen.mean(axis=0)))
        self.scale.copy_(torch.tensor(1.0 / (seen.std(axis=0) + 0.03)))

    def arrays(self) -> dict[str, NDArray[np.float16]]:
        """The network's arrays, with the feature scaling folded into the first layer."""
        state = self.state_dict()
        mean, scale = state.pop("mean"), state.pop("scale")
        return fold_scaling_into_arrays(state, "inp", mean, scale)


def fold_scaling_into_arrays(
    state: Mapping[str, Tensor], first: str, mean: Tensor, scale: Tensor
) -> dict[str, NDArray[np.float16]]:
    """Arrays of a network for unscaled features: scaling is folded into the layer named `first`."""
    weight = state[f"{first}.weight"] * scale
    changed = {f"{first}.weight": weight, f"{first}.bias": state[f"{first}.bias"] - weight @ mean}
    return {name: np.asarray(array.numpy(), np.float16) for name, array in {**state, **changed}.items()}


def target_places() -> Tensor:
    """Target probabilities over `PLACES` for each place of a frame; noise allows any place."""
    distance = (np.arange(PLACES)[:, None] - np.arange(PLACES) + PLACES // 2) % PLACES - PLACES // 2
    odds = np.concatenate([np.exp(-0.5 * (distance / WIDTH) ** 2), np.ones((1, PLACES))])
    return torch.tensor(odds / odds.sum(axis=1, keepdims=True), dtype=torch.float32)


def place_and_tempo_loss(found: tuple[Tensor, Tensor], place: Tensor, tempo: Tensor, asked: Tensor) -> Tensor:
    """Cross-entropy of place and tempo over the frames that have them."""
    known = (place >= 0).float()
    places = -(asked[place.clamp(min=0).long()] * torch.log_softmax(found[0], -1)).sum(-1)
    near = torch.exp(-0.5 * (torch.arange(len(TEMPOS)) - tempo[..., None]) ** 2)
    near = torch.where((place == int(NOISE))[..., None], torch.ones(()), near)
    tempos = -(near / near.sum(-1, keepdim=True) * torch.log_softmax(found[1], -1)).sum(-1)
    return ((places + TEMPO_WEIGHT * tempos) * known).sum() / (known.sum() + 1.0)


def train_network(folders: list[Path]) -> BeatPredictorTraining:
    """Trains the network by `PASSES` over each version of the material."""
    torch.manual_seed(1)
    random, network, asked = np.random.default_rng(0), BeatPredictorTraining(), target_places()
    learner = torch.optim.Adam(network.parameters(), RATE_OF_LEARNING)
    material = [render_labelled(folders, seed) for seed in range(VARIANTS)]
    network.adapt(material[0].features.reshape(-1, FEATURES)[::37])
    network.train()
    for turn in range(VARIANTS * PASSES):
        version, losses = material[turn % VARIANTS], list[float]()
        for group in learner.param_groups:
            group["lr"] = RATE_OF_LEARNING * decay_factor(turn / (VARIANTS * PASSES))
        order = random.permutation(len(version.features))
        for first in range(0, len(order) - BATCH // 2, BATCH):
            taken, state = order[first : first + BATCH], None
            for start in range(0, FRAMES, CHUNK):
                rows = slice(start, start + CHUNK)
                place, tempo, state = network(torch.tensor(version.features[taken, rows].astype(np.float32)), state)
                labels_of = torch.tensor(version.place[taken, rows]), torch.tensor(version.tempo[taken, rows])
                loss, state = place_and_tempo_loss((place, tempo), *labels_of, asked), state.detach()
                learner.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                learner.step()
                losses.append(loss.item())
        print(turn + 1, f"{np.mean(losses):.3f}", flush=True)
    return network.eval()


def train_arrays(songs: Path) -> dict[str, NDArray[np.float16]]:
    """Trains the network on POP909's songs; returns its arrays."""
    return train_network([f for f in sorted(songs.iterdir()) if f.is_dir() and f.name[-1] in FIT]).arrays()


if __name__ == "__main__":
    make_and_write_weights(MODEL, train_arrays, DETAILS, __doc__, "songs")
