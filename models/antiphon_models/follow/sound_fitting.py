"""What a frame of sound says of the bar: `python -m antiphon_models.follow.sound_fitting POP909 ESC10 [FOLDER]`.

Trained on songs whose numbers end in 1 to 6, played by two soundfonts, on drum kits alone, and on noises that have no
beat (ESC-10's folds 1 to 3, without clocks). A folder behind them takes the arrays and the manifest.

The weights that ship were made by an earlier version, with 139 performances and a third soundfont (sf_GMbank);
a run of this one makes others.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, F64
from antiphon.api.backends.files import MidiNote, MidiTrack, write_midi
from antiphon.api.backends.models import models_folder, write_weights
from antiphon_follow.evidence import FRAMES_PER_SECOND, MODEL, PLACES, RATE, TEMPOS
from antiphon_follow.sound import HOP, SoundBeats
from antiphon_models.follow.songs import KINDS, performance, warped
from antiphon_models.material.fluidsynth import FLUID, TIM, FluidSettings, play
from antiphon_models.material.sounds import mono

FIT, SONGS, KITS, SECONDS, SETTLED = "123456", 120, 24, 70.0, 3.0
"""Last digits of the songs, their number, that of drum kits; seconds of each, and those at its beginning left out."""
PROGRAMS = (0, 0, 0, 4, 25, 48)
DRUMS, SNARES, CYMBALS = 10, (38, 40, 37, 39), (42, 51, 44)
HIDDEN, TEMPO_HIDDEN, EPOCHS, BATCH, RATE_OF_LEARNING, DROPOUT = 96, 24, 3, 1024, 3e-3, 0.1
OF_FOUR: tuple[int, ...] = (0, 1, 2, 3)
OF_THREE: tuple[int, ...] = (0, 1, 3)
"""Beats of a bar of four that those of bars of four and three are."""
WIDTH, EVEN = 0.8, 0.5
"""Width in bins of what is asked for, and share of the way to tempos that are equally frequent."""
DETAILS = {
    "plugin": "follow",
    "licence": "MIT",
    "trained_on": "the pianists and melodies of POP909's songs whose numbers end in 1 to 6 (MIT), some with other "
    "instruments or a drum kit, and drum kits alone, by FluidSynth; noises of ESC-10's folds 1 to 3 (CC BY 3.0)",
}


class FrameFeatures(SoundBeats):
    """`SoundBeats` that keeps its features."""

    def __init__(self) -> None:
        super().__init__(50.0, 200.0)

    def of(self, sound: F32) -> tuple[F32, F32]:
        """Features and averages of each frame of a sound."""
        now, slow = list[F64](), list[F64]()
        for first in range(0, len(sound), HOP):
            for _ in range(self.feed(sound[first : first + HOP])):
                now.append(self._features.now)
                slow.append(self._features.slow)
        return np.array(now, np.float32), np.array(slow, np.float32)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Frames: features, averages, place in the bar (-1: none) and tempo in bpm."""

    now: F32
    slow: F32
    place: F64
    tempo: F64


def places_of(downs: F64) -> NDArray[np.int64]:
    """Place in its bar of each beat; -1 before the first bar."""
    at, firsts = np.arange(len(downs)), np.flatnonzero(downs)
    before = np.searchsorted(firsts, at, "right") - 1
    return np.where(before < 0, -1, at - firsts[np.maximum(before, 0)])


def labels(beats: F64, downs: F64, frames: int, numbers: tuple[int, ...] = OF_FOUR) -> tuple[F64, F64]:
    """Place in a bar of four and tempo of each frame; -1 where there is none.

    `numbers`: beats of a bar of four that the beats of a bar are.
    """
    at = np.arange(frames) / FRAMES_PER_SECOND
    beat = np.clip(np.searchsorted(beats, at, "right") - 1, 0, len(beats) - 2)
    number, length = places_of(downs)[beat], np.diff(beats)[beat]
    known = (number >= 0) & (number < len(numbers)) & (at >= max(SETTLED, beats[0])) & (at < beats[-1])
    number = np.array(numbers)[np.clip(number, 0, len(numbers) - 1)]
    place = np.round((number + (at - beats[beat]) / length) * PLACES / 4.0) % PLACES
    return np.where(known, place, -1.0), 60.0 / length


def kit(beats: F64, downs: F64, random: np.random.Generator) -> MidiTrack:
    """Strokes of a pop drummer, one pattern throughout."""
    kick, snare, cymbal = random.random(16) < 0.1, np.zeros(16, bool), np.zeros(16, bool)
    kick[0], kick[8], snare[[4, 12]] = True, random.random() < 0.65, True
    if random.random() < 0.2:
        kick[::4] = True
    every = int(random.choice([0, 1, 2, 4]))
    if every:
        cymbal[::every] = True
    rows = ((kick, 36, 0.85), (snare, int(random.choice(SNARES)), 0.8), (cymbal, int(random.choice(CYMBALS)), 0.6))
    notes, place = [], -1
    for n in range(len(beats) - 1):
        place = 0 if downs[n] else place + (place >= 0)
        for quarter in range(4 if 0 <= place < 4 else 0):
            at = beats[n] + (beats[n + 1] - beats[n]) * quarter / 4.0 + random.normal(0.0, 0.004)
            for strokes, number, velocity in rows:
                if strokes[4 * place + quarter]:
                    notes.append(
                        MidiNote(max(0.0, 2.0 * at), 0.2, number, velocity * (1.0 - 0.25 * (quarter % 2)), DRUMS)
                    )
    return MidiTrack("drums", tuple(sorted(notes, key=lambda note: note.start)))


def sound_of(tracks: list[MidiTrack], font: Path, level: float) -> F32:
    """Their sound at 120 bpm, with that peak."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.mid"
        write_midi(path, tracks, 120.0)
        made = play(path.read_bytes(), font, RATE, FluidSettings(0.5, True)).mean(axis=1)[: round(SECONDS * RATE)]
    return np.asarray(level * made / max(1e-6, float(np.abs(made).max())), np.float32)


def material(songs: Path, noises: Path, random: np.random.Generator) -> Iterator[tuple[F32, F64, F64]]:
    """Sounds with beats and the beats that begin bars; noises have none."""
    every = [f for f in sorted(songs.iterdir()) if f.is_dir() and f.name[-1] in FIT]
    for n, at in enumerate(random.permutation(len(every))[:SONGS]):
        parts = ("PIANO", "MELODY") if n % 2 else ("PIANO",)
        song = warped(performance(every[at], parts), KINDS[n % 4]).upto(SECONDS)
        if len(song.notes) < 50 or song.downs.sum() < 8:
            continue
        program = int(random.choice(PROGRAMS))
        tracks = [MidiTrack(track.name, track.notes, program) for track in song.tracks()]
        if n % 10 in (3, 6, 7):
            tracks.append(kit(song.beats, song.downs, random))
        yield sound_of(tracks, (FLUID, TIM)[n % 3 % 2], random.uniform(0.1, 0.9)), song.beats, song.downs
    for n in range(KITS):
        period = 60.0 / np.exp(random.uniform(np.log(72.0), np.log(165.0)))
        beats = 0.3 + period * np.arange(int(36.0 / period))
        downs = (np.arange(len(beats)) % 4 == 0).astype(np.float64)
        yield sound_of([kit(beats, downs, random)], (FLUID, TIM)[n % 2], random.uniform(0.1, 0.9)), beats, downs
    none, size = np.zeros(0), 20 * RATE
    for _ in range(12):
        spectrum = np.fft.rfft(random.standard_normal(size))
        noise = np.fft.irfft(spectrum * (np.arange(len(spectrum)) + 20.0) ** -random.uniform(0.0, 1.2), size)
        yield np.asarray(random.uniform(0.02, 0.8) * noise / np.abs(noise).max(), np.float32), none, none
    for folder in sorted(f for f in noises.iterdir() if f.is_dir() and "clock" not in f.name):
        clips = [p for p in sorted(folder.glob("*.ogg")) if p.name[0] in "123"][::8]
        yield np.concatenate([np.asarray(mono(clip, RATE), np.float32) for clip in clips]), none, none


def labelled(songs: Path, noises: Path) -> Labelled:
    """All frames of the material."""
    rows = []
    for sound, beats, downs in material(songs, noises, np.random.default_rng(1)):
        now, slow = FrameFeatures().of(sound)
        place, tempo = labels(beats, downs, len(now)) if len(beats) else (np.full(len(now), float(PLACES)),) * 2
        rows.append((now[place >= 0], slow[place >= 0], place[place >= 0], tempo[place >= 0]))
        print(len(rows), sum(len(row[0]) for row in rows), flush=True)
    return Labelled(*(np.concatenate(part) for part in zip(*rows, strict=True)))


def trained(frames: Labelled) -> dict[str, F32]:
    """Arrays of `Evidence`."""
    noise = frames.place == PLACES
    bins = (octaves(frames.tempo) / 2.0).astype(int)
    common = np.bincount(bins[~noise], minlength=bins.max() + 1) / (~noise).sum()
    weight = np.where(noise, 2.0, np.maximum(common[bins], 0.02) ** -EVEN / np.mean(common[common > 0.0] ** -EVEN))
    distance = (np.arange(PLACES)[:, None] - np.arange(PLACES) + PLACES // 2) % PLACES - PLACES // 2
    places = np.concatenate([np.exp(-0.5 * (distance / WIDTH) ** 2), np.ones((1, PLACES))])
    place = fitted("place", frames.now, HIDDEN, lambda taken: places[frames.place[taken].astype(int)], weight)
    return {**place, **fitted("tempo", frames.slow, TEMPO_HIDDEN, tempo_odds(frames.tempo, noise), weight)}


def octaves(bpm: F64) -> F64:
    """Places of tempos among `TEMPOS`."""
    return np.asarray(np.log(np.clip(bpm, TEMPOS[0], TEMPOS[-1]) / TEMPOS[0]) / np.log(TEMPOS[1] / TEMPOS[0]))


def tempo_odds(bpm: F64, noise: NDArray[np.bool_]) -> Callable[[NDArray[np.int64]], F64]:
    """Odds of `TEMPOS` that are asked of chosen frames; any is as good where there is no beat."""
    place = octaves(bpm)

    def odds(taken: NDArray[np.int64]) -> F64:
        near = np.exp(-0.5 * (np.arange(len(TEMPOS)) - place[taken, None]) ** 2)
        return np.where(noise[taken, None], 1.0, near)

    return odds


def fitted(name: str, rows: F32, hidden: int, asked: Callable[[NDArray[np.int64]], F64], weight: F64) -> dict[str, F32]:
    """Arrays of a network that foretells what is `asked` of `rows`, which are taken as often as `weight` says."""
    import torch
    from torch import nn

    torch.manual_seed(1)
    random, shares = np.random.default_rng(2), np.cumsum(weight / weight.sum())
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    out = asked(np.zeros(1, np.int64)).shape[1]
    network = nn.Sequential(nn.Linear(rows.shape[1], hidden), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(hidden, out))
    learner = torch.optim.Adam(network.parameters(), RATE_OF_LEARNING, weight_decay=1e-5)
    steps = EPOCHS * len(rows) // BATCH
    for step in range(steps):
        for group in learner.param_groups:
            group["lr"] = RATE_OF_LEARNING * 0.5 * (1.0 + np.cos(np.pi * step / steps)) + 1e-5
        taken = np.searchsorted(shares, shares[-1] * random.random(BATCH), "right")
        target = asked(taken)
        found = torch.log_softmax(network(torch.tensor((rows[taken] - mean) / scale)), dim=1)
        loss = -(found * torch.tensor(target / target.sum(axis=1, keepdims=True))).sum(dim=1).mean()
        learner.zero_grad()
        loss.backward()
        learner.step()
    state = {key: np.asarray(array.numpy(), np.float32) for key, array in network.state_dict().items()}
    first = (state["0.weight"] / scale).astype(np.float32)
    bias = (state["0.bias"] - first @ mean).astype(np.float32)
    return dict(zip((f"{name}_in", f"{name}_in_bias", f"{name}_out", f"{name}_out_bias"),
                    (first, bias, state["3.weight"], state["3.bias"]), strict=True))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path)
    parser.add_argument("noises", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=models_folder())
    given = parser.parse_args()
    arrays = trained(labelled(given.songs, given.noises))
    write_weights(MODEL, arrays, given.folder, {**DETAILS, "parameters": sum(array.size for array in arrays.values())})


if __name__ == "__main__":
    main()
