"""`antiphon train harmony`: trains the network that finds a whole melody's chords, relative to its key.

It is an LSTM in both directions that attends to other beats between its layers, by likeness and distance;
`antiphon_accompany.harmony.network` plays it.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon_accompany.files.offline import melody_of
from antiphon_accompany.harmony.network import (
    FAR,
    FEATURE_COUNT,
    FRONT,
    GROUPS,
    HEADS,
    KEYS,
    MODEL,
    NEAR,
    UNITS,
    VALUES,
    beat_rows,
    rotate_to_tonic,
)
from antiphon_accompany.harmony.tracker import PHASES_AHEAD, HarmonyTracker, installed_tables
from antiphon_models.accompany.songs import TRAIN, TUNE, AnnotatedSong, songs
from antiphon_models.learning.recipe import Batch, Loss, Recipe, TrainingJob

F32 = NDArray[np.float32]
Piece: TypeAlias = dict[str, NDArray[Any]]
"""A song's training arrays: chords `[beats]`, rows `[beats, SEEN]`, and the mask `there` `[beats]`."""
PIECES, LENGTH = 12, 192
"""Songs per training step, and beats per song."""
KEY_MOVED, BAR_MOVED, MELODY_CUT = 0.25, 0.12, 0.3
"""Probabilities that a piece has a wrong key, a shifted bar line, and part of its melody silent."""
DROPPED, SMOOTH = 0.35, 0.05
PLACE = slice(36, 40)
"""Columns of the bar position."""


class ChordTraining(torch.nn.Module):
    """Maps rows `[N, L, SEEN]` to logits `[N, L, 24]`."""

    def __init__(self) -> None:
        super().__init__()
        self.front = torch.nn.Conv1d(FEATURE_COUNT, FRONT, NEAR)
        self.near = torch.nn.LSTM(FRONT, UNITS, batch_first=True, bidirectional=True)
        self.wide = torch.nn.LSTM(2 * UNITS, UNITS, batch_first=True, bidirectional=True)
        self.out = torch.nn.Linear(2 * UNITS, 24)
        self.ask = torch.nn.Linear(2 * UNITS, 2 * HEADS * KEYS + HEADS * VALUES)
        self.lag = torch.nn.Parameter(torch.zeros(HEADS, 2 * FAR + 1))
        self.join = torch.nn.Linear(HEADS * VALUES, 2 * UNITS)
        torch.nn.init.zeros_(self.join.weight)

    def forward(self, rows: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Logits of chords. there: `[N, L]`, False after the end of a piece."""
        padded = torch.nn.functional.pad(rows.transpose(1, 2), (NEAR // 2, NEAR // 2))
        state = torch.relu(self.front(padded)).transpose(1, 2)
        state = self._drop(self.near(self._drop(state))[0])
        state = state + self._elsewhere(state, there)
        out: torch.Tensor = self.out(self._drop(self.wide(state)[0]))
        return out

    def _drop(self, state: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(state, DROPPED, self.training)

    def _elsewhere(self, state: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        count, length, _ = state.shape
        asked, keys, values = self.ask(state).split([HEADS * KEYS, HEADS * KEYS, HEADS * VALUES], -1)
        asked, keys = (x.reshape(count, length, HEADS, KEYS).transpose(1, 2) for x in (asked, keys))
        values = values.reshape(count, length, HEADS, VALUES).transpose(1, 2)
        at = torch.arange(length, device=state.device)
        lags = (at[None, :] - at[:, None]).clamp(-FAR, FAR) + FAR
        fit = asked @ keys.transpose(2, 3) * KEYS**-0.5 + self.lag[:, lags]
        fit = fit.masked_fill(~there[:, None, None, :], -1e9).softmax(-1)
        found: torch.Tensor = self.join((fit @ values).transpose(1, 2).reshape(count, length, -1))
        return found


def song_rows(song: AnnotatedSong) -> dict[str, F32]:
    """Returns a song's network inputs, chords, and the tonic of the major key that most beats have by the tables.

    A minor key counts as its relative major.
    """
    count = len(song.beats)
    start = song.meter * -(-song.first // song.meter) - song.first
    moved = [note._replace(start=note.start + start, end=note.end + start) for note in song.melody]
    melody = melody_of(moved, count + start)
    tracker, weight = HarmonyTracker(installed_tables(), song.meter, phases=PHASES_AHEAD), np.zeros((2, 12))
    for beat in range(count + start):
        tracker.add_beat(melody, beat)
        weight += tracker.weights.sum(axis=0)
    tonic = int((weight[0] + np.roll(weight[1], 3)).argmax())
    return {
        "rows": beat_rows(melody, start, start + count, song.meter),
        "chords": np.array(song.chords, np.float32),
        "tonic": np.full(1, tonic, np.float32),
    }


class HarmonyRecipe(Recipe):
    """Recipe of `harmony`, trained on POP909; see the module."""

    name: ClassVar[str] = "harmony"
    weights: ClassVar[str] = MODEL
    plugin: ClassVar[str] = "accompany"
    steps: ClassVar[int] = 2000
    rate: ClassVar[float] = 3e-3
    half: ClassVar[bool] = True
    keeps_best: ClassVar[bool] = True
    trained_on: ClassVar[str] = "POP909, songs whose number ends in 1 to 6"

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        self._train, self._held = self._read(TRAIN), self._read(TUNE)
        lengths = np.array([float(len(song["chords"])) for song in self._train])
        self._shares = lengths / lengths.sum()

    def _read(self, digits: str) -> list[dict[str, F32]]:
        path = self._job.material / f"songs-{digits}.npz"
        if not path.is_file():
            self._job.say(f"reading POP909, songs ending in {', '.join(digits)}")
            found = [song_rows(song) for song in songs(self._job.data, digits)]
            arrays: dict[str, Any] = {f"{n} {name}": a for n, song in enumerate(found) for name, a in song.items()}
            np.savez(path, **arrays)
        with np.load(path) as stored:
            count = 1 + max(int(name.split()[0]) for name in stored.files)
            return [{name: stored[f"{n} {name}"] for name in ("rows", "chords", "tonic")} for n in range(count)]

    def network(self) -> torch.nn.Module:
        return ChordTraining()

    def _joined(self, pieces: list[Piece]) -> Batch:
        """Stacks the arrays of all pieces by name; `there` is False after the end of each."""
        length = max(len(piece["chords"]) for piece in pieces)
        batch = []
        for name in sorted(pieces[0]):
            # no chord is wanted where there is none
            fill = -1 if name == "chords" else 0
            array = np.full((len(pieces), length, *pieces[0][name].shape[1:]), fill, pieces[0][name].dtype)
            for n, piece in enumerate(pieces):
                array[n, : len(piece[name])] = piece[name]
            batch.append(torch.from_numpy(array).to(self._job.device))
        return tuple(batch)

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        pieces = []
        for _ in range(PIECES):
            song = self._train[int(rng.choice(len(self._train), p=self._shares))]
            moved = int(rng.integers(12) * (rng.random() < KEY_MOVED))
            late = int(rng.integers(4) * (rng.random() < BAR_MOVED))
            # a piece begins at the song's beginning more often than its beats would
            first = max(0, int(rng.integers(-LENGTH // 4, max(1, len(song["chords"]) - LENGTH))))
            piece = self._relative(song, moved, slice(first, first + LENGTH))
            rows = piece["rows"]
            rows[:, PLACE] = np.roll(rows[:, PLACE], late, axis=1)
            if rng.random() < MELODY_CUT:
                begins, beats = int(rng.integers(0, LENGTH)), int(rng.integers(4, 32))
                silent = rows[begins : begins + beats]
                silent[:, : PLACE.start] = silent[:, PLACE.stop :] = 0.0
            pieces.append(piece)
        return self._joined(pieces)

    def _relative(self, song: dict[str, F32], moved: int = 0, part: slice = slice(None)) -> Piece:
        """Returns an excerpt relative to `moved` semitones above the song's tonic; chords other than triads are -1."""
        tonic, chords = int(song["tonic"][0]) + moved, song["chords"][part].astype(np.int64)
        wanted = np.where(chords < 0, -1, chords // 12 * 12 + (chords - tonic) % 12)
        return {
            "chords": wanted,
            "rows": rotate_to_tonic(song["rows"][part], tonic, GROUPS),
            "there": np.ones(len(chords), bool),
        }

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        wanted, rows, there = batch
        return annotation_loss(network(rows, there), wanted)

    def validate(self, network: torch.nn.Module) -> Mapping[str, float]:
        """Returns the share of correct beats of whole songs, and cross-entropy in nats."""
        right, nats = [], []
        for n in range(0, len(self._held), 8):
            with torch.no_grad():
                logs, wanted = self._answers(network, self._held[n : n + 8])
            for row, theirs in zip(logs, wanted, strict=True):
                known = theirs >= 0
                right.append(float((row.argmax(-1) == theirs)[known].float().mean()))
                nats.append(-float(row[known].gather(1, theirs[known][:, None]).mean()))
        return {"right": float(np.mean(right)), "nats": float(np.mean(nats))}

    def _answers(self, network: torch.nn.Module, songs: list[dict[str, F32]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns log probabilities `[N, L, 24]` of the chords of whole songs, and the target chords `[N, L]`."""
        wanted, rows, there = self._joined([self._relative(song) for song in songs])
        return network(rows, there).log_softmax(-1), wanted


def annotation_loss(logits: torch.Tensor, wanted: torch.Tensor) -> Loss:
    """Cross-entropy with annotated chords, where present, and their accuracy."""
    known = wanted >= 0
    loss = torch.nn.functional.cross_entropy(logits[known], wanted[known], label_smoothing=SMOOTH)
    return loss, {"right": (logits.argmax(-1) == wanted)[known].float().mean().detach()}
