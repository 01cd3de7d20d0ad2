"""`antiphon train harmony-live`: finds the chords and key of a melody known up to the present beat.

`antiphon_accompany.harmony.live_network` plays the network. It learns from the annotations, and from its own output
when given the coming beats instead of their echo.
"""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon_accompany.harmony import live_network as played
from antiphon_models.accompany.networks import DROPPED, F32, PLACE, SMOOTH, HarmonyRecipe
from antiphon_models.learning.recipe import Batch, Loss, TrainingJob

PIECES, LENGTH = 16, 256
"""Songs per training step, and beats per song."""
MODULATED, CUT, LATE, DISPLACED, TOLD = 0.35, 0.25, 0.3, 0.1, 0.2
"""Probabilities that a piece changes its key, is silent for some bars, has late notes, has shifted bar lines, and that
the network is given its coming beats."""
KEYS, TEACHER = 0.25, 0.7
"""Weights of the key and of the teacher in the loss."""


class LiveMember(torch.nn.Module):
    """Maps rows and echoes in twelve keys `[12 N, L, ...]` to log probabilities of chords per key, and of keys."""

    def __init__(self) -> None:
        super().__init__()
        self.front = torch.nn.Conv1d(played.FEATURE_COUNT, played.FRONT, played.NEAR)
        self.echo = torch.nn.Linear(played.ECHO, played.FRONT)
        self.near = torch.nn.GRU(2 * played.FRONT, played.FIRST, batch_first=True)
        self.wide = torch.nn.GRU(played.FIRST, played.SECOND, batch_first=True)
        self.out = torch.nn.Linear(played.SECOND, 25)

    def forward(self, rows: torch.Tensor, echo: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log probabilities `[N, 12, L, 24]` of chords from C for the key of each tonic, and `[N, 12, L]` of keys."""
        padded = torch.nn.functional.pad(rows.transpose(1, 2), (played.NEAR - 1, 0))
        state = torch.relu(torch.cat((self.front(padded).transpose(1, 2), self.echo(echo)), -1))
        for layer in (self.near, self.wide):
            state = layer(torch.nn.functional.dropout(state, DROPPED, self.training))[0]
        out = self.out(torch.nn.functional.dropout(state, DROPPED, self.training)).float()
        out = out.reshape(-1, 12, *out.shape[1:])
        by_root = out[..., :24].log_softmax(-1).unflatten(-1, (2, 12))
        turned = torch.from_numpy(played.FROM_C).to(out.device)[None, :, None, None].expand_as(by_root)
        return by_root.gather(-1, turned).flatten(-2), out[..., 24].log_softmax(1)


class LiveChordTraining(torch.nn.ModuleList):
    """The ensemble's members, each trained separately; their probabilities are averaged."""

    def __init__(self) -> None:
        super().__init__(LiveMember() for _ in range(played.MEMBERS))

    def chances(self, rows: torch.Tensor, echo: torch.Tensor) -> torch.Tensor:
        """Mean probabilities of the chords from C, `[N, L, 24]`."""
        found = [mix_keys(*member(rows, echo)).exp() for member in self]
        return torch.stack(found).mean(0)


def mix_keys(chords: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Log probabilities of the chords, summed over all keys: `[N, L, 24]`."""
    return (chords + keys[..., None]).logsumexp(1)


def rows_at_onsets(rows: F32) -> F32:
    """Converts rows of whole beats to the rows known at each beat's onset, as `live_network.beat_row` does."""
    begun = np.zeros((len(rows), played.FEATURE_COUNT), np.float32)
    begun[1:, :24] = rows[:-1, :24]
    begun[:, 24:40], begun[:, 40:] = rows[:, 24:40], rows[:, 12:24]
    return begun


def echoes(rows: F32) -> F32:
    """Returns the echo of each beat, from a melody's known rows: `[beats, ECHO]`."""
    silent = np.zeros((played.REACH + played.AHEAD, played.FEATURE_COUNT), np.float32)
    past = np.concatenate((silent, rows))
    found = [
        played.last_beat_echo(past[max(0, end - played.MEMORY) : end]) for end in range(len(silent) + 1, len(past) + 1)
    ]
    return np.array(found, np.float32)


def coming_beats(rows: F32) -> F32:
    """Returns the coming beats `[beats, ECHO]`, as input in place of the echoes."""
    beats, ahead = len(rows), played.AHEAD
    coming = np.concatenate((rows[1:, :24], np.zeros((ahead, 24), np.float32)))
    found = np.ones((beats, played.ECHO), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(coming, (ahead, 24))[:beats, 0]
    found[:, : ahead * 24] = windows.reshape(beats, -1)
    return found


class LiveHarmonyRecipe(HarmonyRecipe):
    """Recipe of `harmony-live`, trained on the values known when a beat begins; see the module."""

    name: ClassVar[str] = "harmony-live"
    weights: ClassVar[str] = played.MODEL
    shares: ClassVar[str] = HarmonyRecipe.name
    steps: ClassVar[int] = 2400
    rate: ClassVar[float] = 2e-3

    def prepare(self, job: TrainingJob) -> None:
        super().prepare(job)
        for song in (*self._train, *self._held):
            song["rows"] = rows_at_onsets(song["rows"])

    def network(self) -> torch.nn.Module:
        return LiveChordTraining()

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        pieces = []
        for _ in range(PIECES):
            song = self._train[int(rng.choice(len(self._train), p=self._shares))]
            first = max(0, int(rng.integers(-LENGTH // 4, max(1, len(song["chords"]) - LENGTH))))
            pieces.append(self._piece(song, rng, slice(first, first + LENGTH)))
        return self._joined(pieces)

    def _piece(
        self, song: dict[str, F32], rng: np.random.Generator | None = None, part: slice = slice(None)
    ) -> dict[str, NDArray[Any]]:
        """Rows, echoes, chords and keys of an excerpt; varied by `rng`."""
        rows, chords = song["rows"][part].copy(), song["chords"][part].astype(np.int64)
        tonic = np.full(len(rows), int(song["tonic"][0]))
        if rng is not None:
            _vary(rows, rng)
            if len(rows) > 48 and rng.random() < MODULATED:
                at, by = int(rng.integers(24, len(rows) - 16)), int(rng.choice((-1, 1)) * rng.integers(1, 7))
                index = (np.arange(12) - by) % 12
                for group in played.GROUPS:
                    rows[at:, group : group + 12] = rows[at:, group + index]
                tonic[at:] = (tonic[at:] + by) % 12
                chords[at:] = np.where(chords[at:] < 0, -1, chords[at:] // 12 * 12 + (chords[at:] + by) % 12)
        coming = coming_beats(rows)
        echo = coming if rng is not None and rng.random() < TOLD else echoes(rows)
        chords = np.where(chords < 0, -1, chords)
        there = np.ones(len(rows), bool)
        return {"chords": chords, "echo": echo, "rows": rows, "there": there, "told": coming, "tonic": tonic}

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        wanted, echo, rows, there, coming, tonic = batch
        known, rows = wanted >= 0, transpose_to_tonics(rows, played.BEAT_BY_TONIC)
        with torch.no_grad():
            teacher = network.chances(rows, transpose_to_tonics(coming, played.ECHO_BY_TONIC))  # type: ignore[operator]
        total = torch.zeros((), device=rows.device)
        echo = transpose_to_tonics(echo, played.ECHO_BY_TONIC)
        for member in network.children():
            chords, keys = member(rows, echo)
            found = mix_keys(chords, keys)
            own = chords.gather(1, tonic[:, None, :, None].expand(-1, 1, -1, 24))[:, 0]
            for logs, share in ((found, 1.0), (own, 0.5)):
                smooth = (1.0 - SMOOTH) * logs.gather(-1, wanted.clamp(min=0)[..., None])[..., 0] + SMOOTH * logs.mean(
                    -1
                )
                total = total - share * smooth[known].mean()
            total = total - KEYS * keys.gather(1, tonic[:, None])[:, 0][there].mean()
            total = total - TEACHER * (teacher * found).sum(-1)[there].mean()
        return total, {"right": (found.argmax(-1) == wanted)[known].float().mean().detach()}

    def _answers(self, network: torch.nn.Module, songs: list[dict[str, F32]]) -> tuple[torch.Tensor, torch.Tensor]:
        wanted, echo, rows, *_ = self._joined([self._piece(song) for song in songs])
        inputs = transpose_to_tonics(rows, played.BEAT_BY_TONIC), transpose_to_tonics(echo, played.ECHO_BY_TONIC)
        return network.chances(*inputs).log(), wanted  # type: ignore[operator]


def transpose_to_tonics(x: torch.Tensor, index: NDArray[np.intp]) -> torch.Tensor:
    """Transposes features `[N, L, F]` relative to each of twelve tonics: `[12 N, L, F]`."""
    return x[:, :, torch.from_numpy(index).to(x.device)].transpose(1, 2).flatten(0, 1)


def _vary(rows: F32, rng: np.random.Generator) -> None:
    """Augments a piece's rows at random, in place."""
    if rng.random() < DISPLACED:
        rows[:, PLACE] = np.roll(rows[:, PLACE], int(rng.integers(4)), axis=1)
    if rng.random() < CUT:
        begins, beats = int(rng.integers(0, LENGTH)), int(rng.integers(4, 32))
        silent = rows[begins : begins + beats]
        silent[:, : PLACE.start] = silent[:, PLACE.stop :] = 0.0
    if rng.random() < LATE:
        rows[:, 40:] *= rng.random((len(rows), 1)) >= rng.random()
