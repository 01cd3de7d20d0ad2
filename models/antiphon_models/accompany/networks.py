"""`antiphon train harmony` and `harmony-live`: LSTMs that tell each beat's chord from the melody, relative to its key.

The first reads the whole song in both directions and attends to other places of it; the second reads what is past, and
is taught by the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon_accompany.files import melody_of
from antiphon_accompany.harmony import PHASES_AHEAD, HarmonyTracker
from antiphon_accompany.network import SEEN, beat_rows, from_tonic
from antiphon_accompany.tables import installed_tables
from antiphon_models.accompany.songs import TRAIN, TUNE, AnnotatedSong, songs
from antiphon_models.learning.recipe import Batch, Recipe, TrainingJob

PIECES, LENGTH = 12, 192
"""Of a step: songs, and beats of each."""
KEY_MOVED, BAR_MOVED, MELODY_CUT = 0.25, 0.12, 0.3
"""Chances that a piece is given in a wrong key, at a wrong place of the bar, with a stretch of its melody silent."""
DROPPED, SMOOTH, TEACHER = 0.35, 0.05, 0.5
FRONT, HEADS, KEYS, VALUES, FAR = 128, 2, 32, 64, 128


class ChordNetwork(torch.nn.Module):
    """Rows `[N, L, SEEN]` to logits `[N, L, 24]`. live: without what is to come."""

    def __init__(self, *, live: bool) -> None:
        super().__init__()
        self.live = live
        near, wide = (288, 256) if live else (128, 128)
        both = 1 if live else 2
        self.front = torch.nn.Conv1d(SEEN, FRONT, 5)
        self.near = torch.nn.LSTM(FRONT, near, batch_first=True, bidirectional=not live)
        self.wide = torch.nn.LSTM(near * both, wide, batch_first=True, bidirectional=not live)
        self.out = torch.nn.Linear(wide * both, 24)
        if not live:
            self.ask = torch.nn.Linear(near * both, 2 * HEADS * KEYS + HEADS * VALUES)
            self.lag = torch.nn.Parameter(torch.zeros(HEADS, 2 * FAR + 1))
            self.join = torch.nn.Linear(HEADS * VALUES, near * both)
            torch.nn.init.zeros_(self.join.weight)

    def forward(self, rows: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """there: `[N, L]`, False after the end of a piece."""
        pad = (4, 0) if self.live else (2, 2)
        state = torch.relu(self.front(torch.nn.functional.pad(rows.transpose(1, 2), pad))).transpose(1, 2)
        state = self._drop(self.near(self._drop(state))[0])
        if not self.live:
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
        at = torch.arange(length)
        lags = (at[None, :] - at[:, None]).clamp(-FAR, FAR) + FAR
        fit = asked @ keys.transpose(2, 3) * KEYS**-0.5 + self.lag[:, lags]
        fit = fit.masked_fill(~there[:, None, None, :], -1e9).softmax(-1)
        found: torch.Tensor = self.join((fit @ values).transpose(1, 2).reshape(count, length, -1))
        return found


def collection(song: AnnotatedSong) -> int:
    """The tonic of the major key with the notes of the key that most of a song's beats have by the tables."""
    start = song.meter * -(-song.first // song.meter) - song.first
    count = len(song.beats) + start
    melody = melody_of([n._replace(start=n.start + start, end=n.end + start) for n in song.melody], count)
    tracker = HarmonyTracker(installed_tables(), song.meter, phases=PHASES_AHEAD)
    keys = []
    for beat in range(count):
        tracker.add_beat(melody, beat)
        keys.append(tracker.weights.sum(axis=0))
    weight = np.sum(keys, axis=0)
    return int((weight[0] + np.roll(weight[1], 3)).argmax())


def song_rows(song: AnnotatedSong) -> dict[str, NDArray[np.float32]]:
    """A song's rows for both networks, and its chords, relative to its key."""
    count = len(song.beats)
    start = song.meter * -(-song.first // song.meter) - song.first
    melody = melody_of([n._replace(start=n.start + start, end=n.end + start) for n in song.melody], count + start)
    rows = beat_rows(melody, start - 1, start + count, song.meter)
    live = rows[1:].copy()
    live[:, :24] = rows[:-1, :24]
    chords, tonic = np.array(song.chords, np.float32), np.full(1, collection(song), np.float32)
    return {"file": rows[1:], "live": live, "chords": chords, "tonic": tonic}


def relative_chords(chords: NDArray[np.int64], tonic: int) -> NDArray[np.int64]:
    """Chords as seen from a tonic; those that are not triads are -1."""
    return np.where(chords < 0, -1, chords // 12 * 12 + (chords - tonic) % 12)


class HarmonyRecipe(Recipe):
    """POP909; see the module."""

    name: ClassVar[str] = "harmony"
    weights: ClassVar[str] = "accompany-chords"
    plugin: ClassVar[str] = "accompany"
    steps: ClassVar[int] = 2000
    rate: ClassVar[float] = 3e-3
    half: ClassVar[bool] = True
    keeps_best: ClassVar[bool] = True
    trained_on: ClassVar[str] = "POP909, songs whose number ends in 1 to 6"
    live: ClassVar[bool] = False

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        self._train, self._held = self._read(TRAIN), self._read(TUNE)
        lengths = np.array([float(len(song["chords"])) for song in self._train])
        self._shares = lengths / lengths.sum()

    def _read(self, digits: str) -> list[dict[str, NDArray[np.float32]]]:
        path = self._job.material / f"songs-{digits}.npz"
        if not path.is_file():
            self._job.say(f"reading POP909, songs ending in {', '.join(digits)}")
            found = [song_rows(song) for song in songs(self._job.data, digits)]
            np.savez(path, **{f"{n} {name}": array for n, song in enumerate(found) for name, array in song.items()})  # type: ignore[arg-type]
        with np.load(path) as stored:
            count = 1 + max(int(name.split()[0]) for name in stored.files)
            return [{name: stored[f"{n} {name}"] for name in ("file", "live", "chords", "tonic")} for n in range(count)]

    def network(self) -> torch.nn.Module:
        return ChordNetwork(live=self.live)

    def _piece(
        self, song: dict[str, NDArray[np.float32]], first: int, length: int, tonic: int, late: int = 0
    ) -> tuple[list[NDArray[np.float32]], NDArray[np.int64]]:
        made = []
        for name in ("file", "live"):
            rows = from_tonic(song[name][first : first + length], tonic)
            rows[:, 36:] = np.roll(rows[:, 36:], late, axis=1)
            made.append(rows)
        return made, relative_chords(song["chords"][first : first + length].astype(np.int64), tonic)

    def _joined(self, pieces: list[tuple[list[NDArray[np.float32]], NDArray[np.int64]]]) -> Batch:
        length = max(len(chords) for _, chords in pieces)
        rows = np.zeros((2, len(pieces), length, SEEN), np.float32)
        wanted = np.full((len(pieces), length), -1, np.int64)
        there = np.zeros((len(pieces), length), bool)
        for n, (made, chords) in enumerate(pieces):
            for kind in (0, 1):
                rows[kind, n, : len(chords)] = made[kind]
            wanted[n, : len(chords)], there[n, : len(chords)] = chords, True
        return tuple(torch.from_numpy(array).to(self._job.device) for array in (rows[0], rows[1], there, wanted))

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        pieces = []
        for _ in range(PIECES):
            song = self._train[int(rng.choice(len(self._train), p=self._shares))]
            length = len(song["chords"])
            tonic = int(song["tonic"][0]) + int(rng.integers(12) * (rng.random() < KEY_MOVED))
            late = int(rng.integers(4) * (rng.random() < BAR_MOVED))
            # a piece begins at the song's beginning more often than its beats would
            first = max(0, int(rng.integers(-LENGTH // 4, max(1, length - LENGTH))))
            made, chords = self._piece(song, first, LENGTH, tonic, late)
            if rng.random() < MELODY_CUT:
                begins, beats = int(rng.integers(0, LENGTH)), int(rng.integers(4, 32))
                for kind, rows in enumerate(made):
                    rows[begins + kind : begins + kind + beats, :36] = 0.0
            pieces.append((made, chords))
        return self._joined(pieces)

    def loss(self, network: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, Mapping[str, float | torch.Tensor]]:
        logits = network(batch[int(self.live)], batch[2])
        wanted = batch[3]
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), wanted.flatten(), ignore_index=-1, label_smoothing=SMOOTH
        )
        right = (logits.argmax(-1) == wanted)[wanted >= 0].float().mean()
        return loss, {"right": right.detach()}

    def validate(self, network: torch.nn.Module) -> Mapping[str, float]:
        """Share of right beats of whole songs, and nats."""
        right, nats = [], []
        for n in range(0, len(self._held), 8):
            some = [self._piece(s, 0, 1 << 20, int(s["tonic"][0])) for s in self._held[n : n + 8]]
            batch = self._joined(some)
            chances = network(batch[int(self.live)], batch[2]).log_softmax(-1)
            for row, wanted in zip(chances, batch[3], strict=True):
                known = wanted >= 0
                right.append(float((row.argmax(-1) == wanted)[known].float().mean()))
                nats.append(-float(row[known].gather(1, wanted[known][:, None]).mean()))
        return {"right": float(np.mean(right)), "nats": float(np.mean(nats))}


class LiveHarmonyRecipe(HarmonyRecipe):
    """The same, of what is past; where the first is installed, it is the teacher."""

    name: ClassVar[str] = "harmony-live"
    weights: ClassVar[str] = "accompany-chords-live"
    shares: ClassVar[str] = "harmony"
    live: ClassVar[bool] = True

    def prepare(self, job: TrainingJob) -> None:
        super().prepare(job)
        self._teacher = self._installed()

    def _installed(self) -> torch.nn.Module | None:
        from antiphon.api.models import ModelError, read_weights

        try:
            arrays = read_weights(HarmonyRecipe.weights)
        except ModelError:
            return None
        teacher = ChordNetwork(live=False)
        teacher.load_state_dict({name: torch.tensor(np.float32(array)) for name, array in arrays.items()})
        return teacher.eval().requires_grad_(False).to(self._job.device)

    def loss(self, network: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, Mapping[str, float | torch.Tensor]]:
        logits = network(batch[1], batch[2])
        wanted = batch[3]
        known = wanted >= 0
        loss = torch.nn.functional.cross_entropy(logits[known], wanted[known], label_smoothing=SMOOTH)
        if self._teacher is not None:
            with torch.no_grad():
                soft = self._teacher(batch[0], batch[2]).softmax(-1)
            taught = -(soft * logits.log_softmax(-1)).sum(-1)[batch[2]].mean()
            loss = (1.0 - TEACHER) * loss + TEACHER * taught
        return loss, {"right": (logits.argmax(-1) == wanted)[known].float().mean().detach()}
