"""Trains the predictor of beats in sound: `python -m antiphon_models.follow.sound_fitting POP909 ESC10 [FOLDER]`.

The material is `sound_material`: songs whose numbers end in 1 to 6, plain players, guitars and basses, drum kits, and
noises without a beat (ESC-10's folds 1 to 3, without clocks). A folder given last receives the arrays and the manifest,
by default the shipped one.

The shipped weights are .3 of a network trained for 39 passes over 1,452 performances without amplified guitars (476 of
them with fewer bands and no triplet drum patterns), and .7 of one trained from that at half the rate for 12 passes over
2,756 in the shares below, drum kits twice: the mean is better than either. The one-frame network uses the latter alone.
"""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from antiphon.api import F32
from antiphon_follow.evidence import FEATURES, MODEL, PLACES, STATE
from antiphon_follow.sound import HOP, QUIET_FRAMES, BeatFrames
from antiphon_models.follow.fitting import (
    FIT,
    NOISE,
    BeatPredictorTraining,
    PlayedFrames,
    fold_scaling_into_arrays,
    labels,
    octaves,
    place_and_tempo_loss,
    song_shares,
    target_places,
)
from antiphon_models.follow.sound_material import SoundPerformance, sound_performance
from antiphon_models.learning.rate import decay_factor
from antiphon_models.material.wheels import make_and_write_weights

PERFORMANCES, FRAMES = 2756, 3950
"""Number of performances, and frames per performance."""
UNITS, PASSES, BATCH, CHUNK = 96, 39, 32, 500
"""Units per layer; passes over the performances, performances per step, and frames of backpropagation through time."""
RATE_OF_LEARNING, AVERAGE = 2e-3, 0.998
"""Initial learning rate; decay of the moving average of the weights, which is the shipped network."""
BLIND, LATE, LATEST, SHORTEST = 0.15, 0.35, 1500, 100
"""Share of performances without BeatNet's state; share of steps that begin late, latest first frame, minimum frames."""
ALONE_UNITS, ALONE_PASSES, ALONE_TAKEN, ALONE_EVERY, ALONE_BATCH = 64, 14, 64, 16, 1024
"""One-frame network: units, passes, performances at once, frame stride, frames per step."""
DETAILS = {
    "plugin": "follow",
    "licence": "MIT",
    "trained_on": "the pianists and melodies of POP909's songs whose numbers end in 1 to 6 (MIT), by several "
    "instruments, and guitars, basses and drum kits that are made, by FluidR3, TimGM6mb and sf_GMbank; "
    "noises of ESC-10's folds 1 to 3 (CC BY 3.0), made ones, and espeak-ng",
}


def frames_of(made: SoundPerformance) -> tuple[NDArray[np.float16], NDArray[np.int16], F32]:
    """Features, places and tempos of a performance in the format of `PlayedFrames`, without long silence."""
    frames, rows, kept = BeatFrames(), list[NDArray[np.float16]](), list[bool]()
    for first in range(0, len(made.sound), HOP):
        for _ in frames.take(made.sound[first : first + HOP]):
            kept.append(frames.quiet <= QUIET_FRAMES)
            if kept[-1]:
                rows.append(frames.features.now.astype(np.float16))
    places, tempos = np.full(len(kept), NOISE), np.full(len(kept), 100.0)
    if len(made.beats):
        places, tempos = labels(made.beats, made.downs, len(kept), made.numbers)
    size = min(FRAMES, len(rows))
    features, place = np.zeros((FRAMES, FEATURES), np.float16), np.full(FRAMES, -1, np.int16)
    tempo = np.zeros(FRAMES, np.float32)
    features[:size] = rows[:size]
    place[:size], tempo[:size] = places[kept][:size], octaves(tempos)[kept][:size]
    return features, place, tempo


def material(songs: Path, noises: Path) -> PlayedFrames:
    """Renders all performances, songs of rare tempos more often."""
    folders = [folder for folder in sorted(songs.iterdir()) if folder.is_dir() and folder.name[-1] in FIT]
    shares = song_shares(folders)
    made = (sound_performance(folders, shares, noises, number) for number in range(PERFORMANCES))
    features, places, tempos = zip(*(frames_of(one) for one in made if one is not None), strict=True)
    return PlayedFrames(np.array(features), np.array(places), np.array(tempos))


def train_network(material: PlayedFrames) -> BeatPredictorTraining:
    """Trains the network by `PASSES` over the performances, and returns its moving average."""
    torch.manual_seed(1)
    random, asked, network = np.random.default_rng(0), target_places(), BeatPredictorTraining(FEATURES, UNITS)
    learner = torch.optim.Adam(network.parameters(), RATE_OF_LEARNING)
    network.adapt(material.features[:, ::37].reshape(-1, FEATURES))
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE))
    for turn in range(PASSES):
        losses, order = list[float](), random.permutation(len(material.features))
        for group in learner.param_groups:
            group["lr"] = RATE_OF_LEARNING * decay_factor(turn / PASSES)
        for first in range(0, len(order) - BATCH // 2, BATCH):
            taken, state = order[first : first + BATCH], None
            begin = int(random.integers(0, LATEST)) if random.random() < LATE else 0
            features = torch.tensor(material.features[taken].astype(np.float32))
            places, tempos = torch.tensor(material.place[taken]), torch.tensor(material.tempo[taken])
            # a state of BeatNet that is as usual says nothing
            features[torch.tensor(random.random(len(taken)) < BLIND), :, -STATE:] = network.mean[-STATE:]
            for start in range(begin, FRAMES - SHORTEST, CHUNK):
                rows = slice(start, start + CHUNK)
                place, tempo, state = network(features[:, rows], state)
                loss, state = (
                    place_and_tempo_loss((place, tempo), places[:, rows], tempos[:, rows], asked),
                    state.detach(),
                )
                learner.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                learner.step()
                average.update_parameters(network)
                losses.append(loss.item())
        print(turn + 1, f"{np.mean(losses):.3f}", flush=True)
    return cast(BeatPredictorTraining, average.module).eval()


class OneFrame(nn.Module):
    """The network whose arrays `FrameOdds` plays: gives logits of the place per frame."""

    def __init__(self) -> None:
        super().__init__()
        self.frame_in, self.frame_out = nn.Linear(FEATURES, ALONE_UNITS), nn.Linear(ALONE_UNITS, PLACES)

    def forward(self, features: Tensor) -> Tensor:
        found: Tensor = self.frame_out(torch.relu(self.frame_in(features)))
        return found


def train_one_frame_network(material: PlayedFrames, mean: Tensor, scale: Tensor) -> dict[str, NDArray[np.float16]]:
    """Trains the one-frame network and returns its arrays. `mean`, `scale`: of the features."""
    torch.manual_seed(1)
    random, asked, network = np.random.default_rng(0), target_places(), OneFrame()
    learner, count = torch.optim.Adam(network.parameters(), RATE_OF_LEARNING), len(material.features)
    for turn in range(ALONE_PASSES):
        order = random.permutation(count)
        for first in range(0, count - ALONE_TAKEN // 2, ALONE_TAKEN):
            for group in learner.param_groups:
                group["lr"] = RATE_OF_LEARNING * decay_factor((turn + first / count) / ALONE_PASSES)
            taken, begin = order[first : first + ALONE_TAKEN], int(random.integers(ALONE_EVERY))
            features = torch.tensor(material.features[taken, begin::ALONE_EVERY].astype(np.float32))
            features[torch.tensor(random.random(len(taken)) < BLIND), :, -STATE:] = mean[-STATE:]
            place = torch.tensor(material.place[taken, begin::ALONE_EVERY].ravel().astype(np.int64))
            rows, place = ((features - mean) * scale).reshape(-1, FEATURES)[place >= 0], place[place >= 0]
            for some in torch.randperm(len(place)).split(ALONE_BATCH):
                loss = -(asked[place[some]] * torch.log_softmax(network(rows[some]), -1)).sum(-1).mean()
                learner.zero_grad()
                loss.backward()
                learner.step()
    return fold_scaling_into_arrays(network.state_dict(), "frame_in", mean, scale)


def train_arrays(songs: Path, noises: Path) -> dict[str, NDArray[np.float16]]:
    """Trains both networks; returns their arrays."""
    performances = material(songs, noises)
    network = train_network(performances)
    return {**network.arrays(), **train_one_frame_network(performances, network.mean, network.scale)}


if __name__ == "__main__":
    make_and_write_weights(MODEL, train_arrays, DETAILS, __doc__, "songs", "noises")
